package hooks

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

// A plugin that acknowledges gets the tokens again until then, and the login counts as claimed from the first
// time on.
func TestAcknowledge(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.Authorize()
	first := "/poll?ack=1&readKey=" + readKey
	done := "/poll?ack=done&readKey=" + readKey
	s.Expect("too early", s.Post(done), http.StatusNotFound, bodyPending)
	s.Get(s.Agree(authorizationURL))
	for range 3 {
		s.Expect("poll", s.Post(first), http.StatusOK, testkit.TokenResponse)
		s.Get("/") // the answer is sent before the database records it
		if claimed := s.statuses(); claimed != "claimed" {
			t.Errorf("the login is %s", claimed)
		}
	}
	for range 2 {
		s.Expect("acknowledged", s.Post(done), http.StatusNoContent, "")
	}
	s.Expect("poll", s.Post(first), http.StatusNotFound, bodyUnknown)
	s.Expect("poll", s.Poll(readKey), http.StatusNotFound, bodyUnknown)
	if left := s.storedTokens(); left != 0 {
		t.Errorf("the tokens of %d logins are stored", left)
	}
}

// A plugin may acknowledge, or poll again, before the database has recorded what it was sent.
func TestAckBeforeTheRecord(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for query, want := range map[string]int{"ack=1": http.StatusOK, "ack=done": http.StatusNoContent} {
		_, readKey := s.Login()
		owner := session.Owner{Fingerprint: s.server.config.Plugin.Fingerprint}
		claim, err := s.server.sessions.Claim(t.Context(), owner, readKey)
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan testkit.Answer, 1)
		go func() { answered <- s.Post("/poll?" + query + "&readKey=" + readKey) }()
		select {
		case got := <-answered:
			t.Errorf("%s was answered before: %d %s", query, got.Status, got.Body)
			continue
		case <-time.After(100 * time.Millisecond):
		}
		if err := claim.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := <-answered; got.Status != want {
			t.Errorf("%s: %d %s", query, got.Status, got.Body)
		}
	}
}

// A plain poll behind one that acknowledges takes the tokens for good.
func TestPlainPollAfterAck(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.Login()
	s.Expect("with ack", s.Post("/poll?ack=1&readKey="+readKey), http.StatusOK, testkit.TokenResponse)
	s.expectTokens(readKey)
	s.Expect("with ack", s.Post("/poll?ack=1&readKey="+readKey), http.StatusNotFound, bodyUnknown)
}

// Nobody acknowledges: after a minute, or at the end of the session, the tokens are gone, from the disk too.
func TestAckWindow(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ before, after time.Duration }{
		"a minute":               {after: session.AckWindow},
		"the end of the session": {before: 10*time.Minute - time.Second, after: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newTestClock()
			s := serve(t, clock.setIn)
			_, readKey := s.Login()
			clock.move(test.before)
			poll := "/poll?ack=1&readKey=" + readKey
			s.Expect("poll", s.Post(poll), http.StatusOK, testkit.TokenResponse)
			s.Get("/") // the answer is sent before the database records when that was
			clock.move(test.after - time.Millisecond)
			s.Expect("just in time", s.Post(poll), http.StatusOK, testkit.TokenResponse)
			s.server.sweep()
			s.Expect("after a sweep", s.Post(poll), http.StatusOK, testkit.TokenResponse)
			clock.move(time.Millisecond)
			s.Expect("too late", s.Post(poll), http.StatusNotFound, bodyUnknown)
			s.server.sweep()
			if left := s.storedTokens(); left != 0 {
				t.Errorf("the tokens of %d logins are stored", left)
			}
		})
	}
}

// A crash between the answer and the acknowledgement loses nothing.
func TestAckSurvivesACrash(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	p.Start()
	_, readKey := p.Login()
	poll := "/poll?ack=1&readKey=" + readKey
	p.Expect("poll", p.Post(poll), http.StatusOK, testkit.TokenResponse)
	p.Crash()
	p.Expect("after the crash", p.Post(poll), http.StatusOK, testkit.TokenResponse)
	p.Expect("acknowledged", p.Post(strings.Replace(poll, "ack=1", "ack=done", 1)), http.StatusNoContent, "")
	p.Crash()
	p.Expect("after the acknowledgement", p.Post(poll), http.StatusNotFound, bodyUnknown)
}

// statuses returns the statuses of all logins.
func (s *testServer) statuses() string {
	s.T.Helper()
	var statuses []string
	if err := s.App.DB().NewQuery("SELECT status FROM sessions").Column(&statuses); err != nil {
		s.T.Fatal(err)
	}
	return strings.Join(statuses, " ")
}

// storedTokens returns how many logins have tokens stored.
func (s *testServer) storedTokens() (count int) {
	s.T.Helper()
	err := s.App.DB().NewQuery("SELECT count(*) FROM sessions WHERE sealed IS NOT NULL").Row(&count)
	if err != nil {
		s.T.Fatal(err)
	}
	return count
}

// A poll that waits for the record of another asks the database a few times at most, for about a second.
func TestClaimPauses(t *testing.T) {
	t.Parallel()
	var all time.Duration
	for _, pause := range claimPauses {
		all += pause
	}
	if len(claimPauses) > 8 || all < 900*time.Millisecond || all > 1100*time.Millisecond {
		t.Errorf("%d tries in %s", len(claimPauses), all)
	}
}
