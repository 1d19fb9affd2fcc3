package hooks

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Twenty deploys and twenty kills at random moments, while people sign in: each login whose page said "You are signed in"
// reaches its plugin, once.
func TestRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"deploy": syscall.SIGTERM, "kill -9": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t)
			p.env = append(p.env, "AUTHORIZE_RATE_LIMIT=off")
			p.start()
			p.client.Timeout = 15 * time.Second
			load := &load{process: p}
			stop := make(chan struct{})
			var people sync.WaitGroup
			for range 6 {
				people.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							load.signIn()
						}
					}
				})
			}
			for round := range 20 {
				time.Sleep(time.Duration(20+rand.IntN(180)) * time.Millisecond)
				if code := p.stop(signal); signal == syscall.SIGTERM && code != 0 {
					t.Errorf("deploy %d ended with %d:\n%s", round, code, p.out)
				}
				load.generation.Add(1)
				p.start()
			}
			close(stop)
			people.Wait()
			t.Logf("%d logins begun, %d told that they are signed in, %d interrupted before; %d lost, %d given twice",
				load.begun.Load(), load.acknowledged.Load(), load.interrupted.Load(), load.lost.Load(), load.twice.Load())
			if load.acknowledged.Load() < 100 || load.lost.Load() != 0 || load.twice.Load() != 0 {
				t.Errorf("of %d logins %d are lost and %d were given twice", load.acknowledged.Load(), load.lost.Load(), load.twice.Load())
			}
			if signal == syscall.SIGTERM && load.interrupted.Load() != 0 {
				t.Errorf("a deploy cut %d logins off", load.interrupted.Load())
			}
		})
	}
}

// load counts what happens to the logins of people who come again when the service does not answer.
type load struct {
	*process
	generation                                    atomic.Int64 // of the process
	begun, acknowledged, interrupted, lost, twice atomic.Int64
}

// ask repeats a request until it is answered by other than a fault of a restart.
func (l *load) ask(method, target string) (int, string) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		request, err := http.NewRequest(method, target, nil)
		if err != nil {
			l.t.Error(err)
			return 0, ""
		}
		response, err := l.client.Do(request)
		if err != nil {
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil && response.StatusCode != http.StatusServiceUnavailable && response.StatusCode != http.StatusInternalServerError {
			return response.StatusCode, string(body)
		}
	}
	l.t.Errorf("%s is not answered", method)
	return 0, ""
}

func (l *load) signIn() {
	status, body := l.ask(http.MethodPost, l.url+"/authorize")
	var login struct{ URL, ReadKey string }
	if err := json.Unmarshal([]byte(body), &login); err != nil || status != http.StatusOK {
		l.t.Errorf("/authorize: %d %s", status, body)
		return
	}
	l.begun.Add(1)
	authorizationURL, err := url.Parse(login.URL)
	if err != nil {
		l.t.Error(err)
		return
	}
	response, err := l.client.Get(authorizationURL.String())
	if err != nil {
		l.t.Error(err)
		return
	}
	response.Body.Close()
	status, _ = l.ask(http.MethodGet, response.Header.Get("Location"))
	acknowledged := status == http.StatusOK
	if acknowledged {
		l.acknowledged.Add(1)
	}
	poll := l.url + "/poll?wait=5&readKey=" + login.ReadKey
	generation := l.generation.Load()
	for status, body = l.ask(http.MethodPost, poll); status == http.StatusNotFound && strings.Contains(body, "authorization_pending"); {
		generation = l.generation.Load()
		status, body = l.ask(http.MethodPost, poll)
	}
	switch {
	case status == http.StatusOK && body == tokenResponse:
		// A plugin that has its tokens does not poll again, and a kill just after the answer may leave them there. So a
		// second poll is fair only to the same process.
		if status, _ = l.ask(http.MethodPost, poll); status == http.StatusOK && l.generation.Load() == generation {
			l.twice.Add(1)
		}
	case acknowledged:
		l.t.Errorf("a login that was acknowledged is answered %d %s", status, body)
		l.lost.Add(1)
	default:
		l.interrupted.Add(1)
	}
}
