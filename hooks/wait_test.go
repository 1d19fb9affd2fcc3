package hooks

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// startPoll sends a poll that waits. Its answer comes through the channel.
func startPoll(b *testkit.Backend, readKey string) <-chan testkit.Answer {
	answered := make(chan testkit.Answer, 1)
	go func() { answered <- b.Post("/poll?wait=30&readKey=" + readKey) }()
	return answered
}

// holdPolls sends polls that wait, and returns when all of them do.
func (s *testServer) holdPolls(count int, readKey string) []<-chan testkit.Answer {
	s.T.Helper()
	held := s.waitingPolls()
	polls := make([]<-chan testkit.Answer, count)
	for i := range polls {
		polls[i] = startPoll(s.Backend, readKey)
	}
	eventually(s.T, "the polls wait", func() bool { return s.waitingPolls() == held+float64(count) })
	return polls
}

// A waiting poll is answered when its login ends, whichever way it ends. One that is not woken is answered
// when its time is up, with authorization_pending.
func TestWaitingPollWakes(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	admin := root.Admin()
	refuse := func(code string) func(s *testServer, state, callback string) {
		return func(s *testServer, state, _ string) { s.Get("/redirect?error=" + code + "&state=" + state) }
	}
	for name, test := range map[string]struct {
		end    func(s *testServer, state, callback string)
		status int
		code   string // of an error with a description
		body   string // of another answer
	}{
		"ready": {
			end:    func(s *testServer, _, callback string) { s.Get(callback) },
			status: http.StatusOK,
			body:   testkit.TokenResponse,
		},
		"denied": {
			end:    refuse("access_denied"),
			status: http.StatusBadRequest,
			code:   "access_denied",
		},
		"failed": {
			end:    refuse("invalid_scope"),
			status: http.StatusBadRequest,
			code:   "invalid_scope",
		},
		"deleted": {
			end: func(s *testServer, _, _ string) {
				var id string
				query := s.App.DB().NewQuery("SELECT id FROM sessions WHERE status = 'pending'")
				if err := query.Row(&id); err != nil {
					s.T.Error(err)
				}
				s.Request(http.MethodDelete, "/api/collections/sessions/records/"+id, "", admin)
			},
			status: http.StatusNotFound,
			body:   bodyUnknown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t)
			authorizationURL, readKey := s.Authorize()
			callback := s.Agree(authorizationURL)
			poll := s.holdPolls(1, readKey)[0]
			test.end(s, authorizationURL.Query().Get("state"), callback)
			if test.code != "" {
				s.ExpectError("poll", <-poll, test.status, test.code)
			} else {
				s.Expect("poll", <-poll, test.status, test.body)
			}
			if count := s.server.sessions.PendingCount(); count != 0 {
				t.Errorf("%d ended logins are kept", count)
			}
		})
	}
}

// A waiting poll is answered when its time is up. More than 30 seconds count as 30.
func TestWaitingPollEnds(t *testing.T) {
	t.Parallel()
	const second = 10 * time.Millisecond
	root := serve(t, func(c *Config) { c.timing.pollSecond = second })
	root.Client.Timeout = 20 * time.Second
	for wait, atLeast := range map[string]time.Duration{
		"1": second, "20": 20 * second, "30": 30 * second, "65535": 30 * second,
	} {
		t.Run(wait, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			_, readKey := s.Authorize()
			began := time.Now()
			got := s.Post("/poll?wait=" + wait + "&readKey=" + readKey)
			s.Expect("poll", got, http.StatusNotFound, bodyPending)
			if took := time.Since(began); took < atLeast {
				t.Errorf("it took only %s", took)
			}
		})
	}
}

// A poll does not wait without a number of seconds, or without a login under way.
func TestPollThatDoesNotWait(t *testing.T) {
	t.Parallel()
	root := serve(t, func(c *Config) { c.timing.pollSecond = time.Hour })
	root.Client.Timeout = 20 * time.Second
	_, readKey := root.Authorize()
	for _, wait := range []string{"0", "-1", "soon", "1.5", "", "99999999999999999999"} {
		t.Run("wait="+wait, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			got := s.Post("/poll?wait=" + wait + "&readKey=" + readKey)
			s.Expect("poll", got, http.StatusNotFound, bodyPending)
		})
	}
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		s := root.in(t)
		s.Expect("poll", s.Post("/poll?wait=5&readKey=unknown"), http.StatusNotFound, bodyUnknown)
	})
	t.Run("no key", func(t *testing.T) {
		t.Parallel()
		s := root.in(t)
		s.ExpectError("poll", s.Post("/poll?wait=5&readKey="), http.StatusBadRequest, "invalid_request")
	})
}

// A waiting poll is answered when the login expires.
func TestWaitingPollExpires(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.SessionTTL = 300 * time.Millisecond })
	_, readKey := s.Authorize()
	got := s.Post("/poll?wait=30&readKey=" + readKey)
	s.ExpectError("poll", got, http.StatusBadRequest, "expired_token")
}

// Of several polls that wait for one login the newest waits on, and gets the tokens; the others get a 404 at
// once.
func TestWaitingPollsOfOneLogin(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.Authorize()
	other := s.holdPolls(1, s.startLogin())[0]
	newest := s.holdPolls(1, readKey)[0]
	for range 15 {
		before := newest
		newest = startPoll(s.Backend, readKey)
		s.Expect("the one before", <-before, http.StatusNotFound, bodyPending)
	}
	s.ExpectPage("redirect", s.Get(s.Agree(authorizationURL)), http.StatusOK, "You are signed in")
	s.Expect("the newest", <-newest, http.StatusOK, testkit.TokenResponse)
	select {
	case got := <-other:
		t.Errorf("a poll of another login was answered %d %s", got.Status, got.Body)
	default:
	}
}

// A poll that does not wait takes the place of one that does: the client of that one may have left without a
// proxy telling, and would take the tokens with it.
func TestPlainPollEndsAWait(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, plain := range []string{"", "&wait=0", "&wait=soon", "&ack=1"} {
		authorizationURL, readKey := s.Authorize()
		held := s.holdPolls(1, readKey)[0]
		s.Expect("plain", s.Post("/poll?readKey="+readKey+plain), http.StatusNotFound, bodyPending)
		s.Get(s.Agree(authorizationURL))
		s.expectTokens(readKey)
		s.Expect("held", <-held, http.StatusNotFound, bodyPending)
	}
}

// startLogin starts a login, and returns its read key.
func (s *testServer) startLogin() (readKey string) {
	s.T.Helper()
	_, readKey = s.Authorize()
	return readKey
}

// Polls that arrive together for one login leave one that waits, and the others are answered.
func TestWaitingPollsInARace(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for range 5 {
		authorizationURL, readKey := s.Authorize()
		polls := make(chan testkit.Answer, 16)
		for range cap(polls) {
			go func() { polls <- s.Post("/poll?wait=30&readKey=" + readKey) }()
		}
		answers := make([]testkit.Answer, 0, cap(polls))
		for range cap(polls) - 1 {
			answers = append(answers, <-polls)
		}
		s.Get(s.Agree(authorizationURL))
		s.expectOneWinner(append(answers, <-polls))
	}
}

// pollFrom polls from an address, and waits.
func (s *testServer) pollFrom(address, readKey string) testkit.Answer {
	s.T.Helper()
	return s.Request(http.MethodPost, "/poll?wait=30&readKey="+readKey, "", "Fly-Client-IP: "+address)
}

// So many polls are held for each network, and in all. One more is answered at once, as without wait, and
// plain polls are not limited.
func TestHeldPollsAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("never"))
	s.server.pollGate = newGate(bounds{network: 2, inAll: 3})
	held := make(chan testkit.Answer, 3)
	hold := func(address, readKey string) {
		t.Helper()
		before := s.waitingPolls()
		go func() { held <- s.pollFrom(address, readKey) }()
		eventually(t, "the poll waits", func() bool { return s.waitingPolls() == before+1 })
	}
	authorizationURL, readKey := s.Authorize()
	hold("192.0.2.1", readKey)
	secondURL, second := s.Authorize()
	hold("192.0.2.1", second)
	s.Expect("a third of a network", s.pollFrom("192.0.2.1", s.startLogin()), http.StatusNotFound,
		bodyPending)
	hold("198.51.100.1", s.startLogin())
	s.Expect("a fourth in all", s.pollFrom("203.0.113.1", s.startLogin()), http.StatusNotFound, bodyPending)
	recorder, notHeld := httptest.NewRecorder(), s.startLogin()
	s.server.serve(recorder, httptest.NewRequest(http.MethodPost, "/poll?wait=30&readKey="+notHeld, nil))
	if recorder.Header().Get("Connection") != "close" {
		t.Error("the connection of a poll that is not held stays open")
	}
	for range 20 {
		got := s.Request(http.MethodPost, "/poll?readKey="+notHeld, "", "Fly-Client-IP: 192.0.2.1")
		s.Expect("a plain poll", got, http.StatusNotFound, bodyPending)
	}
	s.Get(s.Agree(authorizationURL))
	s.Expect("the first", <-held, http.StatusOK, testkit.TokenResponse)
	hold("192.0.2.1", s.startLogin()) // in the place of the first
	// One more of a login that is polled already ends that wait, though it is not held itself.
	s.Expect("one more", s.pollFrom("192.0.2.1", second), http.StatusNotFound, bodyPending)
	s.Get(s.Agree(secondURL))
	s.expectTokens(second)
	s.Expect("the one before", <-held, http.StatusNotFound, bodyPending)
	hold("203.0.113.1", s.startLogin()) // there is room again
}

// A poll that waits keeps nothing of what the client sent, which may be tens of kilobytes.
func TestHeldPollForgetsItsRequest(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.pollSecond = time.Millisecond })
	body := strings.NewReader(`{"wait":"30","readKey":"` + s.startLogin() + `"}`)
	r := httptest.NewRequest(http.MethodPost, "/poll?x="+strings.Repeat("x", 10_000), body)
	r.Header.Set("X-Padding", strings.Repeat("x", 10_000))
	recorder := httptest.NewRecorder()
	s.server.serve(recorder, r)
	if recorder.Code != http.StatusNotFound || recorder.Body.String() != bodyPending {
		t.Errorf("got %d %s", recorder.Code, recorder.Body)
	}
	if r.Header != nil || r.RequestURI != "" || r.URL.String() != "/poll" {
		t.Errorf("it keeps %d headers and %q", len(r.Header), r.URL)
	}
}

// A login that ends just when a poll begins to wait for it is not missed.
func TestWaitingPollMissesNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var done sync.WaitGroup
	for range 40 {
		authorizationURL, readKey := s.Authorize()
		callback := s.Agree(authorizationURL)
		done.Go(func() { s.Get(callback) })
		done.Go(func() {
			got := s.Post("/poll?wait=30&readKey=" + readKey)
			s.Expect("poll", got, http.StatusOK, testkit.TokenResponse)
		})
	}
	done.Wait()
}

// A waiting poll that leaves takes nothing with it: the tokens wait for the next one.
func TestWaitingPollLeaves(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.Authorize()
	target := s.URL + "/poll?wait=30&readKey=" + readKey
	for range 3 {
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		left := make(chan struct{})
		go func() {
			defer close(left)
			if response, err := s.Client.Do(r); err == nil {
				response.Body.Close()
				t.Error("the poll did not wait")
			}
		}()
		eventually(t, "the poll waits", func() bool { return s.waitingPolls() == 1 })
		leave()
		<-left
		eventually(t, "the service notices that it left", func() bool { return s.waitingPolls() == 0 })
	}
	s.ExpectPage("redirect", s.Get(s.Agree(authorizationURL)), http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
}

// countPolls makes the program serve its metrics, and returns a function that reads how many polls wait. It
// returns -1 while that is not known.
func countPolls(t *testing.T, p *testkit.Process) (waiting func() int) {
	t.Helper()
	address, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p.Env = append(p.Env, "METRICS_ADDR="+address)
	return func() int {
		response, err := p.Client.Get("http://" + address + "/metrics")
		if err != nil {
			return -1 // the program listens there a moment later than elsewhere
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return -1
		}
		_, after, _ := strings.Cut(string(body), "\nplugin_oauth_polls_waiting ")
		figure, _, _ := strings.Cut(after, "\n")
		count, err := strconv.Atoi(figure)
		if err != nil {
			t.Error(err)
		}
		return count
	}
}

// A restart answers the waiting polls, and knows the logins under way afterwards.
func TestWaitingPollAtShutdown(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	waiting := countPolls(t, p)
	p.Start()
	authorizationURL, readKey := p.Authorize()
	poll := startPoll(p.Backend, readKey)
	eventually(t, "the poll waits", func() bool { return waiting() == 1 })
	if code := p.Terminate(); code != 0 {
		t.Errorf("the program ended with %d:\n%s", code, p.Out)
	}
	p.Expect("at shutdown", <-poll, http.StatusNotFound, bodyPending)
	p.Start()
	poll = startPoll(p.Backend, readKey)
	eventually(t, "the poll waits", func() bool { return waiting() == 1 })
	p.ExpectPage("redirect", p.Get(p.Agree(authorizationURL)), http.StatusOK, "You are signed in")
	p.Expect("after the restart", <-poll, http.StatusOK, testkit.TokenResponse)
}

// A poll is answered at once when a shutdown begins, though the shutdown waits for another login's exchange.
func TestWaitingPollDuringAnExchange(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	waiting := countPolls(t, p)
	p.Start()
	asked, answered := holdExchange(p.Provider)
	_, readKey := p.Authorize()
	authorizationURL, _ := p.Authorize()
	callback := p.Agree(authorizationURL)
	page := make(chan testkit.Answer, 1)
	go func() { page <- p.Get(callback) }()
	<-asked
	poll := startPoll(p.Backend, readKey)
	eventually(t, "the poll waits", func() bool { return waiting() == 1 })
	stopped := make(chan int, 1)
	go func() { stopped <- p.Terminate() }()
	p.Expect("poll", <-poll, http.StatusNotFound, bodyPending)
	close(answered)
	p.ExpectPage("the login in flight", <-page, http.StatusOK, "You are signed in")
	if code := <-stopped; code != 0 {
		t.Errorf("the program ended with %d:\n%s", code, p.Out)
	}
}

// Waiting costs memory only: a thousand polls that wait do not slow others down.
func TestManyWaitingPolls(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var done sync.WaitGroup
	answers := make(chan int, 1000)
	var callbacks []string
	for range cap(answers) {
		authorizationURL, readKey := s.Authorize()
		callbacks = append(callbacks, s.Agree(authorizationURL))
		done.Go(func() {
			status := http.StatusNotFound
			for status == http.StatusNotFound { // a slow machine may take more than 30 s for all of them
				status = s.Post("/poll?wait=30&readKey=" + readKey).Status
			}
			answers <- status
		})
	}
	for _, callback := range callbacks {
		s.Get(callback)
	}
	done.Wait()
	close(answers)
	for status := range answers {
		if status != http.StatusOK {
			t.Fatalf("a poll was answered %d", status)
		}
	}
}
