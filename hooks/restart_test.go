package hooks

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// Twenty deploys and twenty kills at random moments, while people sign in: each login whose page said "You
// are signed in" reaches its plugin, once.
func TestRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{
		"deploy": syscall.SIGTERM, "kill -9": syscall.SIGKILL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testkit.NewProcess(t)
			p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off")
			p.Start()
			p.Client.Timeout = 15 * time.Second
			people := &crowd{Process: p, stop: make(chan struct{})}
			signIns := people.signInAgainAndAgain(6)
			for round := range 20 {
				// This picks a random moment; it does not wait for anything.
				time.Sleep(time.Duration(20+rand.IntN(180)) * time.Millisecond)
				if code := p.Stop(signal); signal == syscall.SIGTERM && code != 0 {
					t.Errorf("deploy %d ended with %d:\n%s", round, code, p.Out)
				}
				people.generation.Add(1)
				p.Start()
			}
			eventually(t, "enough logins are told that they are signed in", func() bool {
				return people.acknowledged.Load() >= 100
			})
			close(people.stop)
			signIns.Wait()
			t.Logf("%d logins started, %d told that they are signed in, %d interrupted before; "+
				"%d lost, %d given twice", people.started.Load(), people.acknowledged.Load(),
				people.interrupted.Load(), people.lost.Load(), people.twice.Load())
			if lost, twice := people.lost.Load(), people.twice.Load(); lost != 0 || twice != 0 {
				t.Errorf("of %d logins %d are lost and %d were given twice",
					people.acknowledged.Load(), lost, twice)
			}
			if signal == syscall.SIGTERM && people.interrupted.Load() != 0 {
				t.Errorf("a deploy cut %d logins off", people.interrupted.Load())
			}
		})
	}
}

// crowd are people who sign in, and come again when the service does not answer.
type crowd struct {
	*testkit.Process

	machines   testkit.Machines // that each request goes to one of; nil: there is only the process
	stop       chan struct{}
	generation atomic.Int64 // of the process

	started, acknowledged, interrupted, lost, twice atomic.Int64
}

// signInAgainAndAgain lets this many people sign in at a time, until stop is closed.
func (c *crowd) signInAgainAndAgain(count int) *sync.WaitGroup {
	var signIns sync.WaitGroup
	for range count {
		signIns.Go(func() {
			for {
				select {
				case <-c.stop:
					return
				default:
					c.signIn()
				}
			}
		})
	}
	return &signIns
}

// reply is an answer, or its zero value if there was none.
type reply struct {
	status int
	body   string
}

// ask repeats a request until the answer is not a fault that a restart causes.
func (c *crowd) ask(method, target string) reply {
	const pause = 5 * time.Millisecond
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(pause) {
		if len(c.machines) > 0 {
			target = c.machines.At(c.machines[rand.IntN(len(c.machines))], target)
		}
		r, err := http.NewRequest(method, target, nil)
		if err != nil {
			c.T.Error(err)
			return reply{}
		}
		response, err := c.Client.Do(r)
		if err != nil {
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		restarting := response.StatusCode == http.StatusServiceUnavailable ||
			response.StatusCode == http.StatusInternalServerError
		if err == nil && !restarting {
			return reply{status: response.StatusCode, body: string(body)}
		}
	}
	c.T.Errorf("%s is not answered", method)
	return reply{}
}

func (c *crowd) signIn() {
	started := c.ask(http.MethodPost, c.URL+"/authorize")
	var login struct{ URL, ReadKey string }
	if err := json.Unmarshal([]byte(started.body), &login); err != nil || started.status != http.StatusOK {
		c.T.Errorf("/authorize: %+v", started)
		return
	}
	c.started.Add(1)
	response, err := c.Client.Get(login.URL)
	if err != nil {
		c.T.Error(err)
		return
	}
	response.Body.Close()
	page := c.ask(http.MethodGet, response.Header.Get("Location"))
	acknowledged := page.status == http.StatusOK
	if acknowledged {
		c.acknowledged.Add(1)
	}
	c.claim(login.ReadKey, acknowledged)
}

// claim polls until the login has ended.
func (c *crowd) claim(readKey string, acknowledged bool) {
	poll := c.URL + "/poll?wait=5&readKey=" + readKey
	generation := c.generation.Load()
	polled := c.ask(http.MethodPost, poll)
	for polled.status == http.StatusNotFound && strings.Contains(polled.body, "authorization_pending") {
		generation = c.generation.Load()
		polled = c.ask(http.MethodPost, poll)
	}
	switch {
	case polled == reply{status: http.StatusOK, body: testkit.TokenResponse}:
		// A plugin that has its tokens does not poll again, and a kill just after the answer may leave them
		// there. So a second poll is fair only to the same process.
		again := c.ask(http.MethodPost, poll)
		if again.status == http.StatusOK && c.generation.Load() == generation {
			c.twice.Add(1)
		}
	case acknowledged:
		c.T.Errorf("a login that was acknowledged is answered %+v", polled)
		c.lost.Add(1)
	default:
		c.interrupted.Add(1)
	}
}
