package hooks

import (
	"bytes"
	"context"
	"errors"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	bodyPending = `{"error":"authorization_pending"}`
	bodyUnknown = `{"error":"not_found"}`
)

func TestPoll(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)

	got := s.request(http.MethodPost, "/poll", "", "Origin: https://abc123.plugins.framercdn.com")
	s.expect("without a key", got, http.StatusBadRequest, `{"error":"invalid_request","error_description":"readKey is missing."}`)
	if got.header.Get("Access-Control-Allow-Origin") != "https://abc123.plugins.framercdn.com" {
		t.Error("a keyless poll has no CORS header: Airtable's plugin closes at start")
	}

	s.expect("unknown key", s.poll("nobody"), http.StatusNotFound, bodyUnknown)
	s.expect("endless key", s.poll(strings.Repeat("k", 5000)), http.StatusNotFound, bodyUnknown)

	authorizationURL, readKey := s.authorize()
	s.expect("pending", s.poll(readKey), http.StatusNotFound, bodyPending)
	callback := s.agree(authorizationURL)
	s.expect("at the provider", s.poll(readKey), http.StatusNotFound, bodyPending)
	s.expectPage("redirect", s.get(callback), http.StatusOK, "You are signed in")

	got = s.poll(readKey)
	s.expect("ready", got, http.StatusOK, tokenResponse)
	if got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers of the tokens: %v", got.header)
	}
	s.expect("again", s.poll(readKey), http.StatusNotFound, bodyUnknown)
}

func TestPollTakesTheKeyFromTheBody(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	for contentType, body := range map[string]func(key string) string{
		"application/x-www-form-urlencoded": func(key string) string { return "a=b&readKey=" + key },
		"application/json":                  func(key string) string { return ` {"other":1,"readKey":"` + key + `"}` },
		"text/plain;charset=UTF-8":          func(key string) string { return `{"readKey":"` + key + `"}` },
		writer.FormDataContentType(): func(key string) string {
			form.Reset()
			if err := errors.Join(writer.WriteField("readKey", key), writer.Close()); err != nil {
				t.Fatal(err)
			}
			return form.String()
		},
	} {
		_, readKey := s.authorize()
		got := s.request(http.MethodPost, "/poll", body(readKey), "Content-Type: "+contentType)
		s.expect(contentType, got, http.StatusNotFound, bodyPending)
	}
	for _, broken := range []string{`{"readKey":`, `{"readKey":7}`, `{"readKey":["a"]}`, "%", "&&==", "{", strings.Repeat("x", 1<<20),
		strings.Repeat("a=b&", maxBody/4+1) + "readKey=x", "readKey=x&" + strings.Repeat("a=b&", maxBody/4)} {
		if got := s.request(http.MethodPost, "/poll", broken, "Content-Type: application/json"); got.status != http.StatusBadRequest {
			t.Errorf("body %.20q: %d %s", broken, got.status, got.body)
		}
	}
}

// Sixteen pollers arrive together; exactly one gets the tokens.
func TestPollGivesTokensOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for range 10 {
		_, readKey := s.login()
		var together, done sync.WaitGroup
		together.Add(1)
		answers := make([]answer, 16)
		for i := range answers {
			done.Go(func() {
				together.Wait()
				answers[i] = s.poll(readKey)
			})
		}
		together.Done()
		done.Wait()
		winners := 0
		for _, got := range answers {
			if got.status == http.StatusOK {
				winners++
				s.expect("the winner", got, http.StatusOK, tokenResponse)
			} else {
				if got.status != http.StatusNotFound || (got.body != bodyUnknown && got.body != bodyPending) {
					t.Errorf("a loser got %d %s", got.status, got.body)
				}
			}
		}
		if winners != 1 {
			t.Fatalf("%d pollers got the tokens", winners)
		}
	}
}

// The same at the table itself, where the claims meet without anything between them.
func TestClaimOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	store, err := newSessions(s.app, Config{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		_, readKey := s.login()
		found, err := store.find(&s.provider.plugin, readKey)
		if err != nil {
			t.Fatal(err)
		}
		var done sync.WaitGroup
		var claims atomic.Int32
		for range 16 {
			done.Go(func() {
				tokens, err := store.claim(found.id, readKey)
				if err == nil && string(tokens) == tokenResponse {
					claims.Add(1)
					if err := store.delivered(found.id); err != nil {
						t.Error(err)
					}
				} else if !errors.Is(err, errUnknown) && !errors.Is(err, errTaken) {
					t.Error(err)
				}
			})
		}
		done.Wait()
		if claims.Load() != 1 {
			t.Fatalf("%d claims of one session", claims.Load())
		}
	}
	_, readKey := s.login()
	found, err := store.find(&s.provider.plugin, readKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.app.DB().NewQuery("UPDATE sessions SET expires = created").Execute(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.claim(found.id, readKey); !errors.Is(err, errUnknown) {
		t.Errorf("the claim of an expired session: %v", err)
	}
}

// brokenWriter is a connection that the plugin has left.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("connection reset") }

type brokenFlusher struct{ http.ResponseWriter }

func (brokenFlusher) FlushError() error { return errors.New("connection reset") }

func TestPollPutsTokensBack(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	store, err := newSessions(s.app, Config{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{app: s.app, sessions: store}
	gone, leave := context.WithCancel(t.Context())
	leave()
	for name, test := range map[string]struct {
		ctx    context.Context
		writer http.ResponseWriter
		err    error
	}{
		"gone before the answer":   {gone, httptest.NewRecorder(), pollPending}, // or told to come again, at a shutdown
		"gone while it is written": {t.Context(), brokenWriter{httptest.NewRecorder()}, errGone},
		"gone while it is flushed": {t.Context(), brokenFlusher{httptest.NewRecorder()}, errGone},
	} {
		t.Run(name, func(t *testing.T) {
			_, readKey := s.login()
			found, err := store.find(&s.provider.plugin, readKey)
			if err != nil {
				t.Fatal(err)
			}
			e := &request{Response: test.writer}
			e.Request = httptest.NewRequest(http.MethodPost, "/poll", nil).WithContext(test.ctx)
			if err := r.deliver(e, found, readKey); err != test.err {
				t.Fatal(err)
			}
			s.expect("next poll", s.poll(readKey), http.StatusOK, tokenResponse)
			s.expect("after it", s.poll(readKey), http.StatusNotFound, bodyUnknown)
		})
	}
}

func TestPollExpired(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.SessionTTL = 400 * time.Millisecond })
	pendingURL, pending := s.authorize()
	page, ready := s.login()
	s.expectPage("login", page, http.StatusOK, "You are signed in")
	callback := s.agree(pendingURL)
	time.Sleep(500 * time.Millisecond)

	const expired = `{"error":"expired_token","error_description":"The sign-in took too long. Please start again."}`
	s.expect("pending", s.poll(pending), http.StatusBadRequest, expired)
	s.expect("ready", s.poll(ready), http.StatusBadRequest, expired)
	s.expectPage("redirect", s.get(callback), http.StatusBadRequest, "This sign-in took too long")
	if s.provider.exchanges() != 1 {
		t.Error("the code of an expired session was exchanged")
	}
	store, err := newSessions(s.app, Config{SessionTTL: time.Minute, SessionRetention: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.sweep(); err != nil {
		t.Fatal(err)
	}
	s.expect("pending, swept", s.poll(pending), http.StatusBadRequest, expired)
	s.expect("ready, swept", s.poll(ready), http.StatusBadRequest, expired)
	s.expectPage("redirect, swept", s.get(callback), http.StatusBadRequest, "This sign-in took too long")
}

// A fault after the tokens are out is logged, and not written behind them.
func TestPollFaultAfterDelivery(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.login()
	_, err := s.app.DB().NewQuery("CREATE TRIGGER full BEFORE UPDATE ON sessions WHEN NEW.sealed IS NULL BEGIN SELECT RAISE(ABORT, 'disk is full'); END").Execute()
	if err != nil {
		t.Fatal(err)
	}
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
	s.expect("poll again", s.poll(readKey), http.StatusNotFound, bodyUnknown)
	if logged := s.logged(); !strings.Contains(logged, "delivered tokens were not erased") {
		t.Errorf("the log says %s", logged)
	}
	// The sweep tries again.
	if _, err := s.app.DB().NewQuery("DROP TRIGGER full").Execute(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.relay.sessions.sweep(); err != nil {
		t.Fatal(err)
	}
	var held int
	if err := s.app.DB().NewQuery("SELECT COUNT(*) FROM sessions WHERE sealed IS NOT NULL OR status != 'claimed'").Row(&held); err != nil || held != 0 {
		t.Errorf("%d sessions hold tokens, %v", held, err)
	}
	s.expect("poll again", s.poll(readKey), http.StatusNotFound, bodyUnknown)
}

// A session that began at one plugin is unknown at another.
func TestSessionsOfOnePlugin(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	store, err := newSessions(s.app, Config{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	plugin := Plugin{Slug: "one"}.complete(Config{})
	one := &plugin
	state, readKey, _, err := store.start(one, "", "", netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.find(&Plugin{Slug: "another"}, readKey); !errors.Is(err, errUnknown) {
		t.Errorf("find: %v", err)
	}
	if _, err := store.redirected(&Plugin{Slug: "another"}, state); !errors.Is(err, errUnknown) {
		t.Errorf("redirected: %v", err)
	}
	s.expect("poll at the root", s.poll(readKey), http.StatusNotFound, bodyUnknown)
	if found, err := store.redirected(one, state); err != nil || found.id == "" {
		t.Errorf("at its own: %+v, %v", found, err)
	}
}

// The answer is whole before anything is written of it: a slow database keeps no plugin from its tokens.
func TestPollDuringALock(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.login()
	unlock := s.lockDatabase()
	defer unlock()
	began := time.Now()
	s.expect("poll", s.post("/poll?readKey="+readKey), http.StatusOK, tokenResponse)
	if took := time.Since(began); took > time.Second {
		t.Errorf("the answer took %s", took)
	}
	s.client.CloseIdleConnections() // the first one is still served
	s.expect("another poll", s.poll(readKey), http.StatusNotFound, bodyPending)
	unlock()
	for range 100 {
		if s.poll(readKey).body == bodyUnknown {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the tokens are still there")
}
