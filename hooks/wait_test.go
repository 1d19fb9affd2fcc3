package hooks

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// waitingPoll sends a poll that waits, and returns its answer and how long it took.
func (s *relayServer) waitingPoll(readKey, wait string) <-chan timedAnswer {
	done := make(chan timedAnswer, 1)
	began := time.Now()
	go func() {
		got := s.post("/poll?wait=" + wait + "&readKey=" + readKey)
		done <- timedAnswer{got, time.Since(began), time.Now()}
	}()
	time.Sleep(50 * time.Millisecond) // until it waits
	return done
}

type timedAnswer struct {
	answer
	took time.Duration
	at   time.Time
}

// A waiting poll is answered at the end of its login, whichever way it ends.
func TestWaitingPollWakes(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	admin := s.superuser()
	for name, test := range map[string]struct {
		end    func(state, callback string)
		status int
		code   string
	}{
		"ready":  {func(_, callback string) { s.get(callback) }, http.StatusOK, ""},
		"denied": {func(state, _ string) { s.get("/redirect?error=access_denied&state=" + state) }, http.StatusBadRequest, "access_denied"},
		"failed": {func(state, _ string) { s.get("/redirect?error=invalid_scope&state=" + state) }, http.StatusBadRequest, "invalid_scope"},
		"deleted": {func(string, string) {
			var id string
			if err := s.app.DB().NewQuery("SELECT id FROM sessions WHERE status = 'pending'").Row(&id); err != nil {
				t.Error(err)
			}
			s.request(http.MethodDelete, "/api/collections/sessions/records/"+id, "", admin)
		}, http.StatusNotFound, "not_found"},
	} {
		authorizationURL, readKey := s.authorize()
		state, callback := authorizationURL.Query().Get("state"), s.agree(authorizationURL)
		poll := s.waitingPoll(readKey, "20")
		test.end(state, callback)
		ended := time.Now()
		got := <-poll
		if lag := got.at.Sub(ended); lag > 500*time.Millisecond {
			t.Errorf("%s: the poll was answered %s after the end", name, lag)
		}
		switch test.code {
		case "":
			s.expect(name, got.answer, http.StatusOK, tokenResponse)
		case "not_found":
			s.expect(name, got.answer, http.StatusNotFound, bodyUnknown)
		default:
			s.expectError(name, got.answer, test.status, test.code)
		}
	}
	if len(s.relay.sessions.byID) != 0 || len(s.relay.sessions.byKey) != 0 {
		t.Errorf("%d ended logins are kept", len(s.relay.sessions.byID))
	}
}

// It is answered when the time is up, and when the login expires.
func TestWaitingPollEnds(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.authorize()
	got := <-s.waitingPoll(readKey, "1")
	s.expect("time is up", got.answer, http.StatusNotFound, bodyPending)
	if got.took < 900*time.Millisecond || got.took > 3*time.Second {
		t.Errorf("it took %s", got.took)
	}
	for _, wait := range []string{"0", "-1", "soon", "1.5", "", "99999999999999999999"} {
		got := <-s.waitingPoll(readKey, wait)
		s.expect("wait="+wait, got.answer, http.StatusNotFound, bodyPending)
		if got.took > 500*time.Millisecond {
			t.Errorf("wait=%s took %s", wait, got.took)
		}
	}
	for _, key := range []string{"unknown", ""} {
		if got := <-s.waitingPoll(key, "5"); got.took > 500*time.Millisecond {
			t.Errorf("the poll of %q took %s", key, got.took)
		}
	}
	expiring := serve(t, func(c *Config) { c.SessionTTL = 700 * time.Millisecond })
	_, readKey = expiring.authorize()
	got = <-expiring.waitingPoll(readKey, "20")
	expiring.expectError("expired", got.answer, http.StatusBadRequest, "expired_token")
	if got.took > 3*time.Second {
		t.Errorf("it took %s", got.took)
	}
}

// Of several polls that wait for one login, one gets the tokens, and the others their 404.
func TestWaitingPollsOfOneLogin(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for range 5 {
		authorizationURL, readKey := s.authorize()
		callback := s.agree(authorizationURL)
		polls := make([]<-chan timedAnswer, 16)
		for i := range polls {
			polls[i] = s.waitingPoll(readKey, "20")
		}
		s.expectPage("redirect", s.get(callback), http.StatusOK, "You are signed in")
		winners := 0
		for _, poll := range polls {
			switch got := <-poll; {
			case got.status == http.StatusOK && got.body == tokenResponse:
				winners++
			case got.status != http.StatusNotFound || (got.body != bodyUnknown && got.body != bodyPending):
				t.Errorf("%d %s", got.status, got.body)
			}
		}
		if winners != 1 {
			t.Fatalf("%d polls got the tokens", winners)
		}
	}
}

// A login that ends just when a poll begins to wait for it is not missed.
func TestWaitingPollMissesNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var done sync.WaitGroup
	for range 40 {
		authorizationURL, readKey := s.authorize()
		callback := s.agree(authorizationURL)
		done.Go(func() { s.get(callback) })
		done.Go(func() {
			began := time.Now()
			s.expect("poll", s.post("/poll?wait=20&readKey="+readKey), http.StatusOK, tokenResponse)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("the end of a login was missed for %s", took)
			}
		})
	}
	done.Wait()
}

// One that leaves keeps its place nowhere, and its tokens wait for the next.
func TestWaitingPollLeaves(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.authorize()
	client := &http.Client{Timeout: 100 * time.Millisecond}
	for range 3 {
		if response, err := client.Post(s.url+"/poll?wait=20&readKey="+readKey, "", nil); err == nil {
			response.Body.Close()
			t.Error("the poll did not wait")
		}
	}
	s.expectPage("redirect", s.get(s.agree(authorizationURL)), http.StatusOK, "You are signed in")
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
}

// A restart answers the waiting polls, and knows the logins under way afterwards.
func TestWaitingPollAtShutdown(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.start()
	authorizationURL, readKey := p.authorize()
	poll := p.waitingPoll(readKey, "25")
	began := time.Now()
	if code := p.terminate(); code != 0 {
		t.Errorf("the program ended with %d:\n%s", code, p.out)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the waiting poll held the shutdown up for %s", took)
	}
	p.expect("at shutdown", (<-poll).answer, http.StatusNotFound, bodyPending)
	p.start()
	poll = p.waitingPoll(readKey, "25")
	p.expectPage("redirect", p.get(p.agree(authorizationURL)), http.StatusOK, "You are signed in")
	got := <-poll
	p.expect("after the restart", got.answer, http.StatusOK, tokenResponse)
	if got.took > 5*time.Second {
		t.Errorf("it was not woken: %s", got.took)
	}
}

// A poll is answered at once when a shutdown begins, though the shutdown waits for another login's exchange.
func TestWaitingPollDuringAnExchange(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.start()
	asked := make(chan struct{})
	p.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		time.Sleep(2 * time.Second)
		io.WriteString(w, tokenResponse)
	})
	_, readKey := p.authorize()
	authorizationURL, _ := p.authorize()
	callback := p.agree(authorizationURL)
	page := make(chan answer, 1)
	go func() { page <- p.get(callback) }()
	<-asked
	poll := p.waitingPoll(readKey, "25")
	began := time.Now()
	stopped := make(chan int, 1)
	go func() { stopped <- p.terminate() }()
	p.expect("poll", (<-poll).answer, http.StatusNotFound, bodyPending)
	if took := time.Since(began); took > time.Second {
		t.Errorf("the poll was answered after %s", took)
	}
	p.expectPage("the login in flight", <-page, http.StatusOK, "You are signed in")
	if code := <-stopped; code != 0 {
		t.Errorf("the program ended with %d:\n%s", code, p.out)
	}
}

// Waiting costs memory only: a thousand polls that wait do not slow others down.
func TestManyWaitingPolls(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var done sync.WaitGroup
	answers := make(chan string, 1000)
	var callbacks []string
	for range 1000 {
		authorizationURL, readKey := s.authorize()
		callbacks = append(callbacks, s.agree(authorizationURL))
		done.Go(func() { answers <- fmt.Sprint(s.post("/poll?wait=30&readKey=" + readKey).status) })
	}
	for _, callback := range callbacks {
		s.get(callback)
	}
	done.Wait()
	close(answers)
	for status := range answers {
		if status != "200" {
			t.Fatalf("a poll was answered %s", status)
		}
	}
}
