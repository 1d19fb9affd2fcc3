package main

import (
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"plugin-oauth/examples/bench/tokens"
)

// end ends a machine with a signal, and starts it again. One of several stays away for a while, so that
// whatever happens without it is seen.
func (m machines) end(index int, signal syscall.Signal, away time.Duration) error {
	s := m[index]
	s.command.Stop(signal)
	s.running = false
	if len(m) > 1 {
		time.Sleep(away)
	}
	return s.start()
}

// starts notes when logins start.
type starts struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration // between two, since it was reset
	slowest time.Duration // that one took, likewise
}

// note notes that a login has started, and when it was asked for.
func (s *starts) note(asked time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !s.last.IsZero() {
		s.longest = max(s.longest, now.Sub(s.last))
	}
	s.last, s.slowest = now, max(s.slowest, now.Sub(asked))
}

// reset returns the longest time without a start and the slowest start, and forgets them.
func (s *starts) reset() (longest, slowest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	longest, slowest = max(s.longest, time.Since(s.last)), s.slowest
	s.longest, s.slowest = 0, 0
	return longest, slowest
}

const (
	// probeEvery is how often a login is started at each machine: often enough that the longest time without
	// a start is known to some milliseconds, and so seldom that the service's limit of logins under way is
	// not reached in maxGaps ends of each kind.
	probeEvery = 10 * time.Millisecond
	// probeTime is how long a start may take, and maxProbes how many of a machine wait at the same time.
	probeTime = 5 * time.Second
	maxProbes = 500
	maxGaps   = 10
)

// probe starts logins at a machine until the channel is closed, whether or not it is there, and whether or
// not those before have been answered: people do not wait for each other.
func (s *server) probe(noted *starts, stopped <-chan struct{}) {
	var probing sync.WaitGroup
	defer probing.Wait()
	idle := make(chan *client, maxProbes)
	places := make(chan struct{}, maxProbes)
	every := time.NewTicker(probeEvery)
	defer every.Stop()
	for {
		select {
		case <-stopped:
			return
		case <-every.C:
		}
		select {
		case places <- struct{}{}:
			probing.Go(func() {
				s.startOne(noted, idle)
				<-places
			})
		default: // nobody is answered for long
		}
	}
}

// startOne starts a login on a connection that is idle, or on a new one.
func (s *server) startOne(noted *starts, idle chan *client) {
	asked := time.Now()
	var c *client
	select {
	case c = <-idle:
	default:
		var err error
		if c, err = dial(s.command.Address); err != nil {
			return
		}
	}
	err := c.conn.SetDeadline(asked.Add(probeTime))
	if err == nil {
		_, _, err = c.login()
	}
	if err != nil {
		c.close()
		return
	}
	noted.note(asked)
	idle <- c
}

// gaps ends the machine that leads, again and again, and measures the longest time without a start: with
// kill -9, and as a deploy does.
func (f *serviceFigures) gaps(m machines, rounds int) error {
	noted, stopped := &starts{}, make(chan struct{})
	var probing sync.WaitGroup
	for _, s := range m {
		probing.Go(func() { s.probe(noted, stopped) })
	}
	defer probing.Wait()
	defer close(stopped)
	last := 0
	for _, one := range []struct {
		signal           syscall.Signal
		longest, slowest **float64
	}{
		{signal: syscall.SIGKILL, longest: &f.GapAtKill, slowest: &f.SlowestAtKill},
		{signal: syscall.SIGTERM, longest: &f.GapAtTerm, slowest: &f.SlowestAtTerm},
	} {
		var longest, slowest time.Duration
		for range rounds {
			time.Sleep(time.Second)
			noted.reset()
			last = m.leader(last)
			if err := m.end(last, one.signal, 2*time.Second); err != nil {
				return err
			}
			time.Sleep(time.Second)
			gap, slow := noted.reset()
			longest, slowest = max(longest, gap), max(slowest, slow)
		}
		*one.longest, *one.slowest = new(milliseconds(longest)), new(milliseconds(slowest))
	}
	return nil
}

// crowd are people who sign in, and whose plugins ask again when the service does not answer.
type crowd struct {
	machines   machines
	client     *http.Client
	generation atomic.Int64 // how often a machine was ended
	kills      int          // how often with kill -9

	acknowledged, lost, twice atomic.Int64
}

// faults kills machines while people sign in, and counts the logins whose page said that the person is signed
// in: how many of them never reached their plugin, and how many reached it twice.
func (f *serviceFigures) faults(m machines, kills, logins int) error {
	people := &crowd{machines: m, client: &http.Client{
		Timeout:   15 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 32},
	}}
	stopped := make(chan struct{})
	var signIns sync.WaitGroup
	for range 16 {
		signIns.Go(func() {
			for {
				select {
				case <-stopped:
					return
				default:
					people.signIn()
				}
			}
		})
	}
	err := people.suffer(kills, logins)
	close(stopped)
	signIns.Wait()
	f.Kills, f.Acknowledged = new(float64(people.kills)), new(float64(people.acknowledged.Load()))
	f.Lost, f.Twice = new(float64(people.lost.Load())), new(float64(people.twice.Load()))
	return err
}

// suffer kills machines at random moments, each second time the one that leads, until there were enough kills
// and logins, or the time is over.
func (c *crowd) suffer(kills, logins int) error {
	last := 0
	isEnough := func() bool { return c.kills >= kills && c.acknowledged.Load() >= int64(logins) }
	for deadline := time.Now().Add(*limit); !isEnough(); {
		if time.Now().After(deadline) {
			return errors.New("-limit is over before there were enough kills and logins")
		}
		time.Sleep(time.Duration(300+rand.IntN(700)) * time.Millisecond)
		if c.kills >= kills {
			continue
		}
		last = c.machines.leader(last)
		if c.kills%2 == 1 {
			last = rand.IntN(len(c.machines))
		}
		c.kills++
		c.generation.Add(1)
		away := time.Duration(rand.IntN(1000)) * time.Millisecond
		if err := c.machines.end(last, syscall.SIGKILL, away); err != nil {
			return err
		}
		c.generation.Add(1)
	}
	return nil
}

// ask repeats a request, each time at any machine, until the answer is not a fault that a kill causes. It
// returns no status if there is no answer in time.
func (c *crowd) ask(method, target string) (status int, body string) {
	const pause = 5 * time.Millisecond
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(pause) {
		s := c.machines[rand.IntN(len(c.machines))]
		request, err := http.NewRequest(method, "http://"+s.command.Address+target, nil)
		if err != nil {
			return 0, ""
		}
		response, err := c.client.Do(request)
		if err != nil {
			continue
		}
		content, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil && response.StatusCode < http.StatusInternalServerError {
			return response.StatusCode, string(content)
		}
	}
	return 0, ""
}

// signIn goes from the start of a login to its tokens.
func (c *crowd) signIn() {
	status, body := c.ask(http.MethodPost, "/authorize")
	var login struct{ URL, ReadKey string }
	if status != http.StatusOK || json.Unmarshal([]byte(body), &login) != nil {
		return
	}
	_, state, _ := strings.Cut(login.URL, "&state=")
	state, _, _ = strings.Cut(state, "&")
	status, _ = c.ask(http.MethodGet, "/redirect?code="+tokens.Small+"&state="+state)
	if status != http.StatusOK {
		return // nobody has told the person that they are signed in
	}
	c.acknowledged.Add(1)
	poll := "/poll?wait=5&readKey=" + login.ReadKey
	for {
		generation := c.generation.Load()
		status, body = c.ask(http.MethodPost, poll)
		switch {
		case status == http.StatusOK && body == tokens.For(tokens.Small):
			// A kill between an answer and its note may leave the tokens there, so a second poll is fair only
			// if nothing was killed.
			again, _ := c.ask(http.MethodPost, "/poll?readKey="+login.ReadKey)
			if again == http.StatusOK && c.generation.Load() == generation {
				c.twice.Add(1)
			}
			return
		case status != http.StatusNotFound || !strings.Contains(body, "authorization_pending"):
			c.lost.Add(1)
			return
		}
	}
}
