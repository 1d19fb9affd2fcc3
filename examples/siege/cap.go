package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// floodingNetworks is from how many networks the service is filled.
const floodingNetworks = 20

// fill starts logins from a few networks until as many are under way as the service allows. At the default
// AUTHORIZE_RATE_LIMIT that takes 50 networks and ten minutes; here each network may do more.
func (s *siege) fill() error {
	service, err := s.start("AUTHORIZE_RATE_LIMIT=1000000/1m")
	if err != nil {
		return err
	}
	defer service.stop()
	const others = 20
	var before []login
	for i := range others {
		started, err := service.begin(bystander(i))
		if err != nil {
			return err
		}
		before = append(before, started)
	}
	s.progress("cap: starting %d logins from %d networks", s.logins, floodingNetworks)
	began := time.Now()
	sent, answers := service.flood(s.logins, func(i int) query {
		network := besieger(i % floodingNetworks)
		return query{method: http.MethodPost, target: "/authorize", network: network}
	})
	took := time.Since(began).Round(time.Second)
	s.report.add(row{
		name:   fmt.Sprintf("logins that %d networks started", floodingNetworks),
		figure: count(sent),
		note:   fmt.Sprintf("in %s; %s", took, answers),
	})
	s.report.add(row{
		name:   "resident then",
		figure: service.resident(),
		unit:   "MB",
		bound:  atMost(machineMemory),
	})
	s.report.add(row{
		name:   "starts from other networks that are refused then",
		figure: ifFull(answers, others-service.starts(others)),
		bound:  none,
		note:   fullNote(answers),
	})
	failures, first := service.finishAll(before)
	s.report.add(row{
		name:   "logins begun elsewhere before that do not finish",
		figure: ifFull(answers, failures),
		bound:  none,
		note:   noteOf(first),
	})
	s.crowdIn(service, s.hold, heldPoll(0)(service), slowPages(0)(service))
	bodies := slowBody(smallBody)(service)
	bodies.hurried = true
	s.crowdIn(service, s.hold, bodies)
	if err := s.spread(); err != nil {
		return err
	}
	return s.region()
}

// spread fills the service from as many networks as there are logins. What it knows of each takes memory.
func (s *siege) spread() error {
	service, err := s.start()
	if err != nil {
		return err
	}
	defer service.stop()
	s.progress("cap: starting %d logins, each from a network of its own", s.logins)
	_, answers := service.flood(s.logins, func(i int) query {
		return query{method: http.MethodPost, target: "/authorize", network: site(i)}
	})
	s.report.add(row{
		name:   "resident with as many networks as logins",
		figure: service.resident(),
		unit:   "MB",
		bound:  atMost(machineMemory),
		note:   answers.String(),
	})
	service.flood(s.logins, func(i int) query {
		target := fmt.Sprintf("/refresh?code=%s-%d", junkToken, i)
		return query{method: http.MethodPost, target: target, network: site(i)}
	})
	requests := longRequest(service)
	requests.hurried = true
	s.crowdIn(service, s.hold, requests)
	return nil
}

// region fills the service from the sites of a whole region, while the people of an office sign in, and then
// goes on with more at a time than the service stores.
func (s *siege) region() error {
	service, err := s.start()
	if err != nil {
		return err
	}
	defer service.stop()
	const ofOffice, hurried = 10, 600
	var office []login
	for range ofOffice {
		started, err := service.begin(bystander(0))
		if err != nil {
			return err
		}
		office = append(office, started)
	}
	s.progress("cap: starting %d logins, each from a /48 of one /32", s.logins)
	start := func(i int) query {
		return query{method: http.MethodPost, target: "/authorize", network: neighbor(i)}
	}
	_, answers := service.flood(s.logins, start)
	ctx, cancel := context.WithTimeout(context.Background(), s.hold)
	defer cancel()
	var started atomic.Int64
	var flood sync.WaitGroup
	flood.Go(func() {
		repeat(ctx, hurried, time.Millisecond, func(int) {
			service.send(start(s.logins+int(started.Add(1))), &tally{})
		})
	})
	others := pace(ctx, 50*time.Millisecond, func(i int) error {
		_, err := service.begin(bystander(1 + i))
		return err
	})
	flood.Wait()
	s.report.add(row{
		name:   fmt.Sprintf("starts of others that fail while %d start more from a /32", hurried),
		figure: count(others.failures),
		bound:  none,
		note:   others.note(),
	})
	failures, first := service.finishAll(office)
	s.report.add(row{
		name:   "logins of an office that do not finish then",
		figure: ifFull(answers, failures),
		bound:  none,
		note:   cmp.Or(noteOf(first), fullNote(answers)),
	})
	return nil
}

// crowdIn holds connections of some kinds for some time, of which each has its share, at a service that is
// full. With as many polls as it holds, and as many slow readers as it takes besides, or with bodies that
// come again at once, all that strangers can do to its memory comes together.
func (s *siege) crowdIn(service *server, hold time.Duration, kinds ...kind) {
	ctx, cancel := context.WithCancel(context.Background())
	peak := make(chan *float64, 1)
	go func() { peak <- watch(ctx, service) }()
	var names, notes []string
	var crowds []*crowd
	for _, what := range kinds {
		s.progress("%s: %s", s.report.attack, what.name)
		held := newCrowd(what, service.command.Address, s.sources)
		connections := min(s.connections, s.allowed(what)) / len(kinds)
		if what.most > 0 {
			connections = min(connections, what.most)
		}
		held.gather(ctx, connections)
		crowds, names = append(crowds, held), append(names, what.name)
	}
	time.Sleep(hold)
	failures := 0
	_, err := service.want(query{method: http.MethodGet, target: "/api/health", network: bystander(0)})
	if err != nil {
		failures = 1
	}
	for _, held := range crowds {
		notes = append(notes, held.kind.name+": "+held.note())
	}
	cancel()
	resident := <-peak
	for _, held := range crowds {
		held.wait()
	}
	together := strings.Join(names, " and ")
	s.report.add(row{
		name:   "resident with " + together + " as well",
		figure: resident,
		unit:   "MB",
		bound:  atMost(machineMemory),
		note:   strings.Join(notes, "; "),
	})
	s.report.add(row{
		name:   "health checks that fail then",
		figure: count(failures),
		bound:  none,
		note:   noteOf(err),
	})
}

// starts starts logins from networks that have none, and returns how many were allowed.
func (s *server) starts(logins int) (allowed int) {
	const unused = 1000 // the first of them
	for i := range logins {
		if _, err := s.begin(bystander(unused + i)); err == nil {
			allowed++
		}
	}
	return allowed
}

// finishAll finishes logins, and returns how many failed, and why the first did.
func (s *server) finishAll(logins []login) (failures int, first error) {
	for _, started := range logins {
		if _, err := s.finish(started); err != nil {
			failures++
			if first == nil {
				first = err
			}
		}
	}
	return failures, first
}

// capacity is how many logins may be under way at a time.
const capacity = 30_000

// isFull reports whether a flood with these answers has filled the service.
func isFull(answers *tally) bool {
	return answers.count("200") >= capacity || answers.count("503") > 0
}

// ifFull is a figure that says nothing of a service that was not full.
func ifFull(answers *tally, figure int) *float64 {
	if !isFull(answers) {
		return nil
	}
	return count(figure)
}

// fullNote says so if the flood has not filled the service.
func fullNote(answers *tally) string {
	if isFull(answers) {
		return ""
	}
	return fmt.Sprintf("the service was not full: %d of %d logins", answers.count("200"), capacity)
}

func noteOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
