package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
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
	return s.spread()
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
