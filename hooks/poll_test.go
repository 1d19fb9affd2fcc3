package hooks

import (
	"bytes"
	"context"
	"errors"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

func TestPoll(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const plugin = "https://abc123.plugins.framercdn.com"
	got := s.Request(http.MethodPost, "/poll", "", "Origin: "+plugin)
	s.Expect("without a key", got, http.StatusBadRequest,
		`{"error":"invalid_request","error_description":"readKey is missing."}`)
	if got.Header.Get("Access-Control-Allow-Origin") != plugin {
		t.Error("a keyless poll has no CORS header: Airtable's plugin closes at start")
	}

	s.Expect("unknown key", s.Poll("nobody"), http.StatusNotFound, bodyUnknown)
	s.Expect("endless key", s.Poll(strings.Repeat("k", 5000)), http.StatusNotFound, bodyUnknown)

	authorizationURL, readKey := s.Authorize()
	s.Expect("pending", s.Poll(readKey), http.StatusNotFound, bodyPending)
	callback := s.Agree(authorizationURL)
	s.Expect("at the provider", s.Poll(readKey), http.StatusNotFound, bodyPending)
	s.ExpectPage("redirect", s.Get(callback), http.StatusOK, "You are signed in")

	got = s.Poll(readKey)
	s.Expect("ready", got, http.StatusOK, testkit.TokenResponse)
	if got.Header.Get("Content-Type") != "application/json" || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers of the tokens: %v", got.Header)
	}
	s.Expect("again", s.Poll(readKey), http.StatusNotFound, bodyUnknown)
}

// readKeyForm returns a multipart form with a read key, and its content type.
func readKeyForm(t *testing.T, readKey string) (contentType, body string) {
	t.Helper()
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	if err := errors.Join(writer.WriteField("readKey", readKey), writer.Close()); err != nil {
		t.Fatal(err)
	}
	return writer.FormDataContentType(), form.String()
}

func TestPollTakesTheKeyFromTheBody(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	_, readKey := root.Authorize()
	multipartType, multipartBody := readKeyForm(t, readKey)
	for name, test := range map[string]struct{ contentType, body string }{
		"form":      {contentType: "application/x-www-form-urlencoded", body: "a=b&readKey=" + readKey},
		"JSON":      {contentType: "application/json", body: ` {"other":1,"readKey":"` + readKey + `"}`},
		"text":      {contentType: "text/plain;charset=UTF-8", body: `{"readKey":"` + readKey + `"}`},
		"multipart": {contentType: multipartType, body: multipartBody},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			got := s.Request(http.MethodPost, "/poll", test.body, "Content-Type: "+test.contentType)
			s.Expect("poll", got, http.StatusNotFound, bodyPending)
		})
	}
	const invalid, tooLarge = http.StatusBadRequest, http.StatusRequestEntityTooLarge
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"half an object":     {body: `{"readKey":`, status: invalid},
		"a boolean":          {body: `{"readKey":true}`, status: invalid},
		"an array":           {body: `{"readKey":["a"]}`, status: invalid},
		"half an escape":     {body: "%", status: invalid},
		"separators":         {body: "&&==", status: invalid},
		"a brace":            {body: "{", status: invalid},
		"a megabyte":         {body: strings.Repeat("x", 1<<20), status: tooLarge},
		"large, key at last": {body: strings.Repeat("a=b&", maxBody/4+1) + "readKey=x", status: tooLarge},
		"large, key first":   {body: "readKey=x&" + strings.Repeat("a=b&", maxBody/4), status: tooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			got := s.Request(http.MethodPost, "/poll", test.body, "Content-Type: application/json")
			s.ExpectError("poll", got, test.status, "invalid_request")
		})
	}
}

// Sixteen pollers arrive together; exactly one gets the tokens.
func TestPollGivesTokensOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for range 10 {
		_, readKey := s.Login()
		var done sync.WaitGroup
		together := make(chan struct{})
		answers := make([]testkit.Answer, 16)
		for i := range answers {
			done.Go(func() {
				<-together
				answers[i] = s.Poll(readKey)
			})
		}
		close(together)
		done.Wait()
		s.expectOneWinner(answers)
	}
}

// expectOneWinner checks that one of several polls of one login got the tokens, and the others a 404.
func (s *testServer) expectOneWinner(answers []testkit.Answer) {
	s.T.Helper()
	winners := 0
	for _, got := range answers {
		if got.Status == http.StatusOK {
			winners++
			s.Expect("the winner", got, http.StatusOK, testkit.TokenResponse)
			continue
		}
		if got.Status != http.StatusNotFound || (got.Body != bodyUnknown && got.Body != bodyPending) {
			s.T.Errorf("a loser got %d %s", got.Status, got.Body)
		}
	}
	if winners != 1 {
		s.T.Fatalf("%d polls got the tokens", winners)
	}
}

// brokenWriter is a connection that the plugin has closed.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("connection reset") }

type brokenFlusher struct{ http.ResponseWriter }

func (brokenFlusher) FlushError() error { return errors.New("connection reset") }

func TestPollPutsTokensBack(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	gone, leave := context.WithCancel(t.Context())
	leave()
	for name, test := range map[string]struct {
		ctx    context.Context
		writer http.ResponseWriter
		err    error
	}{
		"gone before the answer": { // or told to come again, at a shutdown
			ctx: gone, writer: httptest.NewRecorder(), err: session.ErrPending,
		},
		"gone while it is written": {
			ctx: t.Context(), writer: brokenWriter{httptest.NewRecorder()}, err: errPluginGone,
		},
		"gone while it is flushed": {
			ctx: t.Context(), writer: brokenFlusher{httptest.NewRecorder()}, err: errPluginGone,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t)
			_, readKey := s.Login()
			e := &request{
				Response: test.writer,
				Request:  httptest.NewRequestWithContext(test.ctx, http.MethodPost, "/poll", nil),
				plugin:   s.server.config.Plugin,
			}
			if err := s.server.deliver(e, readKey, false); !errors.Is(err, test.err) {
				t.Fatal(err)
			}
			s.expectTokens(readKey)
			s.Expect("after it", s.Poll(readKey), http.StatusNotFound, bodyUnknown)
		})
	}
}

func TestPollExpired(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, clock.setIn)
	pendingURL, pending := s.Authorize()
	page, ready := s.Login()
	s.ExpectPage("login", page, http.StatusOK, "You are signed in")
	callback := s.Agree(pendingURL)
	clock.move(defaultSessionTTL)

	const expired = `{"error":"expired_token",` +
		`"error_description":"The sign-in took too long. Please start again."}`
	for _, when := range []string{"before the sweep", "after the sweep"} {
		s.Expect("pending, "+when, s.Poll(pending), http.StatusBadRequest, expired)
		s.Expect("ready, "+when, s.Poll(ready), http.StatusBadRequest, expired)
		s.ExpectPage("redirect, "+when, s.Get(callback), http.StatusBadRequest, "This sign-in took too long")
		s.server.sweep()
	}
	if s.Provider.Exchanges() != 1 {
		t.Error("the code of an expired session was exchanged")
	}
}

// A fault after the tokens were sent is logged, and not written after them.
func TestPollFaultAfterDelivery(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.Login()
	s.execute("CREATE TRIGGER full BEFORE UPDATE ON sessions WHEN NEW.sealed IS NULL " +
		"BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
	s.expectTokens(readKey)
	s.Expect("poll again", s.Poll(readKey), http.StatusNotFound, bodyUnknown)
	if logged := s.Logged(); !strings.Contains(logged, "it was not recorded that the plugin has its tokens") {
		t.Errorf("the log says %s", logged)
	}
	// The sweep tries again.
	s.execute("DROP TRIGGER full")
	s.server.sweep()
	if held := s.countSessions("sealed IS NOT NULL OR status != 'claimed'"); held != 0 {
		t.Errorf("%d sessions hold tokens", held)
	}
	s.Expect("poll again", s.Poll(readKey), http.StatusNotFound, bodyUnknown)
}

// countSessions counts the rows for which a condition is true.
func (s *testServer) countSessions(where string) (count int) {
	s.T.Helper()
	if err := s.App.DB().NewQuery("SELECT COUNT(*) FROM sessions WHERE " + where).Row(&count); err != nil {
		s.T.Fatal(err)
	}
	return count
}

// A session that began at one plugin is unknown at another.
func TestSessionsOfOnePlugin(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	one, other := root.add("one", nil), root.add("another", nil)
	authorizationURL, readKey := one.Authorize()
	callback := one.Agree(authorizationURL)
	_, query, _ := strings.Cut(callback, "?")
	for name, s := range map[string]*testServer{"the root": root, "another": other} {
		s.Expect("poll at "+name, s.Poll(readKey), http.StatusNotFound, bodyUnknown)
		s.ExpectPage("redirect to "+name, s.Get("/redirect?"+query), http.StatusBadRequest, "not known here")
	}
	one.ExpectPage("redirect", one.Get(callback), http.StatusOK, "You are signed in")
	for name, s := range map[string]*testServer{"the root": root, "another": other} {
		s.Expect("poll at "+name, s.Poll(readKey), http.StatusNotFound, bodyUnknown)
	}
	one.expectTokens(readKey)
}

// With too many logins at a time the oldest that never came back from the provider ends, as one whose time is
// over. If all of them came back, the next one is refused.
func TestAuthorizeWhenFull(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	full, err := newServer(s.App, s.server.config, s.server.records)
	if err != nil {
		t.Fatal(err)
	}
	full.sessions = session.New(full.table, session.Options{TTL: time.Minute, MaxPending: 1})
	post := func(target string) testkit.Answer {
		recorder := httptest.NewRecorder()
		full.serve(recorder, httptest.NewRequest(http.MethodPost, target, nil))
		return testkit.Answer{Status: recorder.Code, Header: recorder.Header(), Body: recorder.Body.String()}
	}
	_, oldest := s.ParseLogin(post("/authorize"))
	authorizationURL, newest := s.ParseLogin(post("/authorize"))
	s.ExpectError("the oldest", post("/poll?readKey="+oldest), http.StatusBadRequest, "expired_token")
	s.Expect("the newest", post("/poll?readKey="+newest), http.StatusNotFound, bodyPending)
	if count := s.countSessions("status = 'expired' AND sealed IS NULL AND publicKey IS NULL"); count != 1 {
		t.Errorf("%d sessions are expired", count)
	}
	owner := (&request{plugin: full.config.Plugin}).owner()
	state := authorizationURL.Query().Get("state")
	if _, err := full.sessions.Consume(t.Context(), owner, state); err != nil {
		t.Fatal(err)
	}
	s.Expect("the next", post("/authorize"), http.StatusServiceUnavailable,
		`{"error":"temporarily_unavailable",`+
			`"error_description":"Too many sign-ins are under way. Try again in some minutes."}`)
}

// A flood from one network ends its own logins, and none of another.
func TestAuthorizeDuringAFlood(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.TrustedProxyHeaders = []string{"Fly-Client-IP"} })
	full, err := newServer(s.App, s.server.config, s.server.records)
	if err != nil {
		t.Fatal(err)
	}
	full.sessions = session.New(full.table, session.Options{TTL: time.Minute, MaxPending: 3})
	post := func(target, address string) testkit.Answer {
		recorder, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, target, nil)
		r.Header.Set("Fly-Client-IP", address)
		full.serve(recorder, r)
		return testkit.Answer{Status: recorder.Code, Header: recorder.Header(), Body: recorder.Body.String()}
	}
	_, readKey := s.ParseLogin(post("/authorize", "192.0.2.1"))
	for range 9 {
		s.ParseLogin(post("/authorize", "192.0.2.2"))
	}
	s.Expect("a login from elsewhere", post("/poll?readKey="+readKey, "192.0.2.1"), http.StatusNotFound,
		bodyPending)
}

// The answer is complete before the database records it: a slow database keeps no plugin from its tokens.
func TestPollDuringALock(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.Login()
	unlock := s.lockDatabase()
	defer unlock()
	s.Expect("poll", s.Post("/poll?readKey="+readKey), http.StatusOK, testkit.TokenResponse)
	s.Client.CloseIdleConnections() // the first one is still served
	s.Expect("another poll", s.Poll(readKey), http.StatusNotFound, bodyPending)
	if logged := s.Logged(); strings.Contains(logged, "it was not recorded that the plugin has its tokens") {
		t.Errorf("the plugin was answered when the database had been given up: %s", logged)
	}
	unlock()
	eventually(t, "the tokens are erased", func() bool { return s.Poll(readKey).Body == bodyUnknown })
}
