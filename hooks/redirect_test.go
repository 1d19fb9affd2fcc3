package hooks

import (
	"cmp"
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/dbx"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

func TestRedirect(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	page, readKey := s.Login()
	s.ExpectPage("success", page, http.StatusOK, "You are signed in")
	for _, words := range []string{
		"Test plugin", "You can close this window and return to Framer.", "history.replaceState",
	} {
		if !strings.Contains(page.Text(), words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	csp := page.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; style-src 'nonce-") ||
		!strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("the page's policy is %q", csp)
	}
	_, nonce, _ := strings.Cut(csp, "script-src 'nonce-")
	nonce, _, _ = strings.Cut(nonce, "'")
	if nonce == "" || !strings.Contains(page.Body, `<script nonce="`+nonce+`">`) ||
		!strings.Contains(page.Body, `<style nonce="`+nonce+`">`) {
		t.Error("style and script do not carry the policy's nonce")
	}
	for name, want := range map[string]string{
		"Referrer-Policy":            "no-referrer",
		"X-Frame-Options":            "DENY",
		"Cache-Control":              "no-store",
		"X-Content-Type-Options":     "nosniff",
		"Cross-Origin-Opener-Policy": "",
	} {
		if page.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, page.Header.Get(name), want)
		}
	}
	s.expectTokens(readKey)
}

func TestRedirectBasicAuthentication(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin.TokenAuth, c.Plugin.ReturnApp = "basic", "Penpot" })
	page, readKey := s.Login() // the provider refuses the secret in the body
	s.ExpectPage("login", page, http.StatusOK, "You can close this window and return to Penpot.")
	s.expectTokens(readKey)
}

// What a stranger may send to /redirect does no harm to a login that is under way.
func TestRedirectBadInput(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.Authorize()
	state := authorizationURL.Query().Get("state")
	callback := s.Agree(authorizationURL)
	const nothing, unknown = "Nothing to finish here", "not known here"
	// Not in parallel: they would wait for all other tests, and the login would expire.
	for name, test := range map[string]struct{ query, words string }{
		"no query":          {query: "", words: nothing},
		"blank query":       {query: "?", words: nothing},
		"no state":          {query: "?code=x", words: nothing},
		"blank state":       {query: "?state=&code=x", words: nothing},
		"unknown state":     {query: "?state=unknown&code=x", words: unknown},
		"unknown, refused":  {query: "?state=unknown&error=x", words: unknown},
		"broken escapes":    {query: "?state=%00%ff&code=%zz;%", words: unknown},
		"long state":        {query: "?code=x&state=" + strings.Repeat("s", 10_000), words: unknown},
		"in capitals":       {query: "?code=x&state=" + strings.ToUpper(state), words: unknown},
		"the read key":      {query: "?code=x&state=" + readKey, words: unknown},
		"HTML in the query": {query: "?error=<script>alert(1)</script>&state=<script>", words: unknown},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			got := s.Get("/redirect" + test.query)
			s.ExpectPage("page", got, http.StatusBadRequest, test.words)
			if strings.Contains(got.Body, "alert(1)") {
				t.Error("it comes back in the page")
			}
		})
	}
	s.Expect("still pending", s.Poll(readKey), http.StatusNotFound, bodyPending)
	s.ExpectPage("the real redirect", s.Get(callback), http.StatusOK, "You are signed in")
	s.ExpectPage("the same again", s.Get(callback), http.StatusOK, "You are signed in")
	if s.Provider.Exchanges() != 1 {
		t.Errorf("one state served %d exchanges", s.Provider.Exchanges())
	}
	s.expectTokens(readKey)
	s.ExpectPage("and after the poll", s.Get(callback), http.StatusOK, "You are signed in")
}

func TestRedirectRefusals(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	const failed, providerFailed = "Sign-in failed", "problem of its own"
	for name, test := range map[string]struct {
		refusal string // the name of the case, if it is blank
		words   string
		code    string // likewise
		denied  bool
	}{
		"access_denied":         {words: "Sign-in cancelled", denied: true},
		"user_cancelled_login":  {words: "Sign-in cancelled", code: "access_denied", denied: true},
		"invalid_scope":         {words: "Check SCOPE"},
		"some_new_error":        {words: "refused the sign-in"},
		"not_found":             {words: failed, code: "server_error"},
		"expired_token":         {words: failed, code: "server_error"},
		"authorization_pending": {words: failed, code: "server_error"},
		"HTML":                  {refusal: "<b>Bold & loud</b>", words: providerFailed, code: "server_error"},
		"long": {
			refusal: strings.Repeat("long", 100), words: providerFailed, code: "server_error",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t)
			status, record := http.StatusBadGateway, session.StatusFailed
			if test.denied {
				status, record = http.StatusBadRequest, session.StatusDenied
			}
			authorizationURL, readKey := s.Authorize()
			query := url.Values{
				"error":             {cmp.Or(test.refusal, name)},
				"error_description": {"<i>raw words</i>"},
				"state":             {authorizationURL.Query().Get("state")},
			}
			page := s.Get("/redirect?" + query.Encode())
			s.ExpectPage("page", page, status, test.words)
			if strings.Contains(page.Body, "raw words") || strings.Contains(page.Body, "loud") {
				t.Error("the provider's own words are on the page")
			}
			for range 2 {
				s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, cmp.Or(test.code, name))
			}
			if got := s.lastStatus(); got != record {
				t.Errorf("the admin sees %q, want %q", got, record)
			}
		})
	}
}

// lastStatus returns the status that the admin sees of the login that began last.
func (s *testServer) lastStatus() (status session.Status) {
	s.T.Helper()
	query := s.App.DB().NewQuery("SELECT status FROM sessions ORDER BY rowid DESC LIMIT 1")
	if err := query.Row(&status); err != nil {
		s.T.Fatal(err)
	}
	return status
}

// providerAnswer is a handler that always gives the same answer. A blank content type is sent as it is.
type providerAnswer struct {
	status      int // zero: 200
	contentType string
	body        string
}

func (a providerAnswer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", a.contentType)
	w.WriteHeader(cmp.Or(a.status, http.StatusOK))
	_, _ = io.WriteString(w, a.body)
}

func answerJSON(status int, body string) http.HandlerFunc {
	return providerAnswer{status: status, contentType: "application/json", body: body}.ServeHTTP
}

func answerAs(contentType, body string) http.HandlerFunc {
	return providerAnswer{contentType: contentType, body: body}.ServeHTTP
}

// raw answers with bytes that need not be HTTP. A connection that changes its protocol stays open.
func raw(response string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(connection, response)
		if !strings.Contains(response, " 101 ") {
			connection.Close()
		}
	}
}

// endless answers with a token that does not end.
func endless(w http.ResponseWriter, _ *http.Request) {
	for _, err := io.WriteString(w, `{"access_token":"`); err == nil; {
		_, err = io.WriteString(w, strings.Repeat("x", 1<<16))
	}
}

// The faults of a token endpoint, and what the person and the plugin learn of each.
func TestRedirectFaults(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect of the token endpoint was followed")
	}))
	t.Cleanup(target.Close)
	const form = "application/x-www-form-urlencoded"
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		code   string // blank: server_error
	}{
		"refused": {
			answer: answerJSON(400, `{"error":"invalid_grant","error_description":"code HIDDEN is old"}`),
			code:   "invalid_grant",
		},
		"wrong secret": {answer: answerJSON(401, `{"error":"invalid_client"}`), code: "invalid_client"},
		"error under 200": {
			answer: answerJSON(200, `{"error":"bad_verification_code","error_description":"raw words"}`),
			code:   "bad_verification_code",
		},
		"ok false": {
			answer: answerJSON(200, `{"ok":false,"error":"invalid_code"}`),
			code:   "invalid_code",
		},
		"ok false, no more": {answer: answerJSON(200, `{"ok":false}`)},
		"error object":      {answer: answerJSON(400, `{"error":{"message":"raw words"}}`)},
		"error in prose":    {answer: answerJSON(400, `{"error":"Code HIDDEN is bad"}`)},
		"error in a form": {
			answer: answerAs(form, `error=bad_verification_code&error_uri=x`),
			code:   "bad_verification_code",
		},
		"500 in HTML": {answer: providerAnswer{
			status: 500, contentType: "text/html", body: "<h1>raw words</h1>",
		}.ServeHTTP},
		"HTML":        {answer: answerAs("text/html", "<h1>raw words</h1>")},
		"429":         {answer: answerJSON(429, `{}`), code: "temporarily_unavailable"},
		"empty":       {answer: answerJSON(200, "")},
		"204":         {answer: answerJSON(204, "")},
		"null":        {answer: answerJSON(200, "null")},
		"array":       {answer: answerJSON(200, `[{"access_token":"x"}]`)},
		"string":      {answer: answerJSON(200, `"access_token"`)},
		"cut off":     {answer: answerJSON(200, `{"access_token":"x"`)},
		"8 MB":        {answer: answerJSON(200, `{"access_token":"`+strings.Repeat("x", 8<<20)+`"}`)},
		"8 MB, blank": {answer: answerJSON(200, `{"access_token":"x"}`+strings.Repeat(" ", 8<<20))},
		"endless":     {answer: endless},
		"redirect":    {answer: http.RedirectHandler(target.URL, http.StatusTemporaryRedirect).ServeHTTP},
		"101": {
			answer: raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
		},
		"status 99":  {answer: raw("HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\n{}")},
		"status 600": {answer: answerJSON(600, `{"error":"invalid_grant"}`)},
		"malformed header": {
			answer: raw("HTTP/1.1 200 OK\r\ncode=HIDDEN\r\n\r\n"),
			code:   "temporarily_unavailable",
		},
		"too short": {
			answer: raw("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" +
				`{"access_token":"x", "refresh_token":"HIDDEN"}`),
		},
		"too long": {
			answer: raw("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + `{"access_token":"HIDDEN"}`),
			code:   "temporarily_unavailable",
		},
		"echoed code": {answer: func(w http.ResponseWriter, r *http.Request) {
			answerJSON(400, `{"error":"`+r.Form.Get("code")+`"}`)(w, r)
		}},
		"reset": {
			answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			code:   "temporarily_unavailable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t)
			s.Provider.Answers(test.answer)
			page, readKey := s.Login()
			s.ExpectPage("page", page, http.StatusBadGateway, "Sign-in failed")
			got := s.Poll(readKey)
			s.ExpectError("poll", got, http.StatusBadRequest, cmp.Or(test.code, "server_error"))
			shown := page.Body + got.Body
			if strings.Contains(shown, "HIDDEN") || strings.Contains(shown, "raw words") {
				t.Error("the provider's own words are shown")
			}
			if logged := s.Logged(); strings.Contains(logged, "HIDDEN") {
				t.Fatalf("the log quotes the provider: %s", logged)
			}
		})
	}
}

func TestRedirectUnreachable(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin.TokenEndpoint = "http://127.0.0.1:1/token?key=HIDDEN" })
	page, readKey := s.Login()
	s.ExpectPage("page", page, http.StatusBadGateway, "could not be reached")
	logged := s.Logged()
	if !strings.Contains(logged, "connection refused") || strings.Contains(logged, "HIDDEN") {
		t.Errorf("the log says %s", logged)
	}
	s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, "temporarily_unavailable")
}

func TestRedirectTooSlow(t *testing.T) {
	t.Parallel()
	for name, beforeHang := range map[string]string{
		"before the headers": "",
		"in the body":        `{"access_token":`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const timeout = 300 * time.Millisecond
			s := serve(t, func(c *Config) { c.timing.provider = timeout })
			s.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
				if beforeHang != "" {
					_, _ = io.WriteString(w, beforeHang)
					_ = http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			})
			began := time.Now()
			page, readKey := s.Login()
			s.ExpectPage("page", page, http.StatusGatewayTimeout, "took too long to answer")
			if took := time.Since(began); took < timeout {
				t.Errorf("it took only %s", took)
			}
			s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, "temporarily_unavailable")
		})
	}
}

// What real providers send counts as success, and reaches the plugin byte for byte.
func TestRedirectRealAnswers(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	const inJSON, inForm = "application/json", "application/x-www-form-urlencoded"
	for name, test := range map[string]struct {
		answer providerAnswer
		want   string // blank: the same bytes
	}{
		"JSON as HTML": {answer: providerAnswer{contentType: "text/html", body: testkit.TokenResponse}},
		"Slack, nested": {answer: providerAnswer{
			contentType: inJSON, body: `{"ok":true,"authed_user":{"id":"U1","access_token":"xoxp-1"}}`,
		}},
		"fractional": {answer: providerAnswer{
			contentType: inJSON, body: `{"access_token":"x","expires_in":3599.9}`,
		}},
		"error null": {answer: providerAnswer{
			contentType: inJSON, body: `{"access_token":"x","error":null,"ok":null}`,
		}},
		"byte order mark": {answer: providerAnswer{
			contentType: inJSON, body: "\ufeff{\"access_token\":\"x\"}",
		}},
		"duplicate key": {answer: providerAnswer{
			contentType: inJSON, body: `{"access_token":"x","scope":"a","scope":"b"}`,
		}},
		"no UTF-8": {answer: providerAnswer{
			contentType: inJSON, body: "{\"access_token\":\"x\",\"name\":\"M\xfcller\"}",
		}},
		"GitHub, form": {
			answer: providerAnswer{
				contentType: inForm, body: "access_token=gho_1&scope=repo%2Cgist&token_type=bearer",
			},
			want: `{"access_token":"gho_1","scope":"repo,gist","token_type":"bearer"}`,
		},
		"form with a life": {
			answer: providerAnswer{
				contentType: "text/plain",
				body:        "access_token=1&expires_in=28800&refresh_token_expires_in=15811200&X-Own=a",
			},
			want: `{"X-Own":"a","access_token":"1","expires_in":28800,"refresh_token_expires_in":15811200}`,
		},
		"created": {answer: providerAnswer{
			status: http.StatusCreated, contentType: inJSON, body: testkit.TokenResponse,
		}},
		"nearly a megabyte": {answer: providerAnswer{
			contentType: inJSON, body: `{"access_token":"` + strings.Repeat("x", 1<<20-100) + `"}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t)
			s.Provider.Answers(test.answer.ServeHTTP)
			page, readKey := s.Login()
			s.ExpectPage("page", page, http.StatusOK, "You are signed in")
			s.Expect("poll", s.Poll(readKey), http.StatusOK, cmp.Or(test.want, test.answer.body))
		})
	}
}

// keptUp reports whether a request to the provider goes on although its client has left.
func keptUp(r *http.Request) bool {
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(200 * time.Millisecond):
		return true
	}
}

// leave sends a request, and cancels it once asked is closed or has a value.
func (s *testServer) leave(method, target string, asked <-chan struct{}) {
	s.T.Helper()
	ctx, cancel := context.WithCancel(s.T.Context())
	r, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		s.T.Fatal(err)
	}
	go func() {
		<-asked
		cancel()
	}()
	if response, err := s.Client.Do(r); err == nil {
		response.Body.Close()
		s.T.Fatal("it did not leave")
	}
}

// If the browser closes the window while the code is exchanged, the plugin still gets its tokens.
func TestRedirectBrowserGone(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	asked, gone := make(chan struct{}), make(chan struct{})
	s.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-gone
		if !keptUp(r) {
			t.Error("the exchange was cut off")
		}
		_, _ = io.WriteString(w, testkit.TokenResponse)
	})
	authorizationURL, readKey := s.Authorize()
	s.leave(http.MethodGet, s.Agree(authorizationURL), asked)
	close(gone)
	s.Expect("poll", s.Post("/poll?wait=20&readKey="+readKey), http.StatusOK, testkit.TokenResponse)
}

// Redirects with one state that come while its code is exchanged wait for that, and cause no other exchange.
// After a double click some providers send each with a code of its own.
func TestRedirectExchangesOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		status int
		words  string
	}{
		"success": {
			answer: answerJSON(200, testkit.TokenResponse), status: http.StatusOK, words: "You are signed in",
		},
		"failure": {
			answer: answerJSON(400, `{"error":"invalid_grant"}`), status: http.StatusBadGateway,
			words: "Sign-in failed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			const others = 7
			asked := make(chan struct{})
			s.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
				close(asked)
				eventually(t, "the others wait", func() bool { return s.heldRequests() == others })
				test.answer(w, r)
			})
			authorizationURL, readKey := s.Authorize()
			callback := s.Agree(authorizationURL)
			pages := make(chan testkit.Answer, others+1)
			var done sync.WaitGroup
			done.Go(func() { pages <- s.Get(callback) })
			<-asked
			for i := range others {
				again := callback
				if i%2 == 0 {
					again = "/redirect?code=another&state=" + authorizationURL.Query().Get("state")
				}
				done.Go(func() { pages <- s.Get(again) })
			}
			done.Wait()
			for range others + 1 {
				s.ExpectPage("each", <-pages, test.status, test.words)
			}
			if s.Provider.Exchanges() != 1 {
				t.Errorf("%d exchanges", s.Provider.Exchanges())
			}
			if test.status == http.StatusOK {
				s.expectTokens(readKey)
			} else {
				s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, "invalid_grant")
			}
		})
	}
}

// heldRequests returns how many polls and redirects wait.
func (s *testServer) heldRequests() (held int) {
	for _, g := range []*gate{s.server.pollGate, s.server.revisitGate} {
		g.mu.Lock()
		held += g.total
		g.mu.Unlock()
	}
	return held
}

// A redirect that comes again is told what became of its login, whatever it brings and however many wait for
// theirs, and ends nothing.
func TestRedirectAgain(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	root := serve(t, clock.setIn)
	defer fill(root.server.revisitGate, "")()
	for name, test := range map[string]struct {
		end    func(s *testServer, callback, state, readKey string)
		status int
		words  []string
	}{
		"signed in": {
			end:    func(s *testServer, callback, _, _ string) { s.Get(callback) },
			status: http.StatusOK,
			words:  []string{"You are signed in", "Test plugin is connected to 127.0.0.1."},
		},
		"claimed": {
			end: func(s *testServer, callback, _, readKey string) {
				s.Get(callback)
				s.expectTokens(readKey)
			},
			status: http.StatusOK,
			words:  []string{"You are signed in"},
		},
		"cancelled": {
			end: func(s *testServer, _, state, _ string) {
				s.Get("/redirect?error=access_denied&state=" + state)
			},
			status: http.StatusBadRequest,
			words:  []string{"Sign-in cancelled", "If the plugin still seems to wait"},
		},
		"failed": {
			end: func(s *testServer, _, state, _ string) {
				s.Get("/redirect?error=invalid_scope&state=" + state)
			},
			status: http.StatusBadGateway,
			words:  []string{"Sign-in failed", "did not work", "<code>invalid_scope</code>", "SCOPE"},
		},
		"to be approved": {
			end: func(s *testServer, _, state, _ string) {
				s.Get("/redirect?setup_action=request&state=" + state)
			},
			status: http.StatusBadGateway,
			words:  []string{"Not finished yet", "The provider waits for you"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t)
			authorizationURL, readKey := s.Authorize()
			state := authorizationURL.Query().Get("state")
			callback := s.Agree(authorizationURL)
			test.end(s, callback, state, readKey)
			exchanges := s.Provider.Exchanges()
			status := s.lastStatus()
			for what, query := range map[string]string{
				"reload":       strings.TrimPrefix(callback, "/redirect?"),
				"another code": "code=another&state=" + state,
				"an error":     "error=server_error&state=" + state,
				"a denial":     "error=access_denied&state=" + state,
				"no code":      "state=" + state,
			} {
				page := s.Get("/redirect?" + query)
				for _, words := range test.words {
					s.ExpectPage(what, page, test.status, words)
				}
			}
			if got := s.lastStatus(); got != status || s.Provider.Exchanges() != exchanges {
				t.Errorf("the login was %s and is %s", status, got)
			}
		})
	}
	t.Run("too late", func(t *testing.T) {
		s := root.in(t)
		authorizationURL, _ := s.Authorize()
		callback := s.Agree(authorizationURL)
		s.Get(callback)
		clock.move(defaultSessionTTL)
		s.ExpectPage("again", s.Get(callback), http.StatusBadRequest, "This sign-in took too long")
	})
}

// holdExchange lets the provider answer its one request once answer is closed. It closes asked before.
func holdExchange(provider *testkit.Provider) (asked, answer chan struct{}) {
	asked, answer = make(chan struct{}), make(chan struct{})
	provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		_, _ = io.WriteString(w, testkit.TokenResponse)
	})
	return asked, answer
}

// Who comes again does not wait for ever, nor hold up a shutdown.
func TestRedirectAgainInVain(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	asked, answer := holdExchange(s.Provider)
	authorizationURL, readKey := s.Authorize()
	callback := s.Agree(authorizationURL)
	var done sync.WaitGroup
	done.Go(func() { s.ExpectPage("the first", s.Get(callback), http.StatusOK, "You are signed in") })
	<-asked
	done.Go(func() {
		again := s.Get(callback)
		s.ExpectPage("the second", again, http.StatusServiceUnavailable, "Your sign-in is being finished.")
		if !strings.Contains(again.Body, `http-equiv="refresh"`) {
			t.Error("it does not load again")
		}
	})
	eventually(t, "the second waits", func() bool { return s.heldRequests() == 1 })
	close(s.server.closing)
	eventually(t, "the second has its answer", func() bool { return s.heldRequests() == 0 })
	s.server.closing = make(chan struct{}) // for the real shutdown
	close(answer)
	done.Wait()
	s.expectTokens(readKey)
}

// However many come again while a code is exchanged, few wait for that. The others load their page again.
func TestFewComeAgainAndWait(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	asked, answer := holdExchange(s.Provider)
	authorizationURL, _ := s.Authorize()
	callback := s.Agree(authorizationURL)
	var done sync.WaitGroup
	again := func() {
		done.Go(func() {
			s.ExpectPage("one that waits", s.Get(callback), http.StatusOK, "You are signed in")
		})
	}
	again()
	<-asked
	for i := range exchangeBounds.network {
		again()
		eventually(t, "one more waits", func() bool { return s.heldRequests() == i+1 })
	}
	s.ExpectPage("one too many", s.Get(callback), http.StatusServiceUnavailable,
		"Your sign-in is being finished.")
	close(answer)
	done.Wait()
}

// At a provider that hangs, so many exchanges are under way. One more uses up nothing and loads its page
// again; another plugin, with another provider, does not notice.
func TestExchangesAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.server.exchangeGate = newGate(bounds{network: 100, provider: 1, inAll: 2})
	other := s.add("sheets", nil)
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		_, _ = io.WriteString(w, testkit.TokenResponse)
	})
	first, _ := s.Authorize()
	var done sync.WaitGroup
	done.Go(func() { s.ExpectPage("the first", s.Get(s.Agree(first)), http.StatusOK, "You are signed in") })
	<-asked
	second, readKey := s.Authorize()
	callback := s.Agree(second)
	page := s.Get(callback)
	s.ExpectPage("one more", page, http.StatusServiceUnavailable, "Many people are signing in")
	expectRetryAfter(t, page)
	if !strings.Contains(page.Body, `http-equiv="refresh"`) {
		t.Error("it does not load again")
	}
	elsewhere, _ := other.Login()
	other.ExpectPage("another plugin", elsewhere, http.StatusOK, "You are signed in")
	close(answer)
	done.Wait()
	s.ExpectPage("again", s.Get(callback), http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
}

// States that somebody made up take no place from those who sign in.
func TestMadeUpStatesTakeNoPlace(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	defer fill(s.server.exchangeGate, oauth.HostOf(s.Provider.URL))()
	const unknown = "This sign-in is not known here"
	page := s.Get("/redirect?error=access_denied&state=made-up")
	s.ExpectPage("an error", page, http.StatusBadRequest, unknown)
	page = s.Request(http.MethodPost, "/redirect", "choice=continue&code=c&state=made-up",
		"Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin")
	s.ExpectPage("a choice", page, http.StatusBadRequest, unknown)
}

// What a browser fetches before anybody opens it uses up nothing, and no browser keeps the answer.
func TestRedirectPrefetch(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.Authorize()
	callback := s.Agree(authorizationURL)
	onlyState := "/redirect?state=" + authorizationURL.Query().Get("state")
	for _, header := range []string{
		"Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender",
		"Sec-Purpose: prefetch;anonymous-client-ip",
		"Purpose: prefetch", "purpose: Prefetch", "X-Moz: prefetch", "X-Purpose: preview",
		"Sec-Purpose: prerender",
	} {
		for _, target := range []string{callback, onlyState, onlyState + "&error=access_denied"} {
			got := s.Request(http.MethodGet, target, "", header)
			if got.Status != http.StatusServiceUnavailable || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %s", header, got.Status, got.Body)
			}
		}
	}
	s.Expect("poll", s.Poll(readKey), http.StatusNotFound, bodyPending)
	got := s.Request(http.MethodGet, callback, "", "Sec-Purpose: something-else", "Purpose:", "X-Moz: x")
	s.ExpectPage("opened", got, http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
}

// A redirect with a good state and no code ends the login at once, on a page that fits.
func TestRedirectWithoutCode(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	for name, test := range map[string]struct {
		query  string
		code   string
		status session.Status
		words  string
	}{
		"only the state": {code: "server_error", status: session.StatusFailed, words: "without an answer"},
		"blank code": {
			query: "&code=", code: "server_error", status: session.StatusFailed, words: "without an answer",
		},
		"a number": {
			query: "&error_code=901&error_message=x", code: "server_error", status: session.StatusFailed,
			words: "problem of its own",
		},
		"denied": {
			query: "&error_reason=user_denied", code: "access_denied", status: session.StatusDenied,
			words: "Sign-in cancelled",
		},
		"to be approved": {
			query: "&setup_action=request", code: "consent_required", status: session.StatusFailed,
			words: "owner of the account",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				s := root.in(t)
				authorizationURL, readKey := s.Authorize()
				query := "state=" + authorizationURL.Query().Get("state") + test.query
				wanted := http.StatusBadGateway
				if test.status == session.StatusDenied {
					wanted = http.StatusBadRequest
				}
				var page testkit.Answer
				if method == http.MethodGet {
					page = s.Get("/redirect?" + query)
				} else {
					page = s.Request(method, "/redirect", query,
						"Content-Type: application/x-www-form-urlencoded")
				}
				s.ExpectPage(method, page, wanted, test.words)
				s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, test.code)
				if got := s.lastStatus(); got != test.status {
					t.Errorf("the admin sees %s", got)
				}
			}
		})
	}
}

// The plugin cannot be told of an error without a state. The person is, and the log.
func TestRedirectErrorWithoutState(t *testing.T) {
	t.Parallel()
	for query, test := range map[string]struct{ title, code string }{
		"error=access_denied":                           {title: "Sign-in cancelled", code: "access_denied"},
		"error=invalid_client&error_description=HIDDEN": {title: "Sign-in failed", code: "invalid_client"},
		"error_code=901":                                {title: "Sign-in failed", code: "server_error"},
		"error=HIDDEN%20words":                          {title: "Sign-in failed", code: "server_error"},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			page := s.Get("/redirect?" + query)
			s.ExpectPage("page", page, http.StatusBadRequest, test.title)
			if test.code != "access_denied" && !strings.Contains(page.Body, "<code>"+test.code+"</code>") {
				t.Error("the page does not have the code")
			}
			logged := s.waitLogged("without a state")
			if strings.Count(logged, "without a state") != 1 || !strings.Contains(logged, test.code) {
				t.Errorf("the log says %s", logged)
			}
			if strings.Contains(logged+page.Body, "HIDDEN") {
				t.Error("the provider's words are shown")
			}
		})
	}
}

// Addresses that providers build badly are read.
func TestRedirectBuiltBadly(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	for name, query := range map[string]string{
		"a second question mark":    "app=1?code=CODE&state=STATE",
		"state behind it":           "app=1?state=STATE&code=CODE",
		"only a question mark":      "?code=CODE&state=STATE",
		"escaped as in HTML":        "code=CODE&amp;state=STATE",
		"everything escaped":        "amp;x=1&amp;state=STATE&amp;code=CODE",
		"both":                      "app=1?code=CODE&amp;state=STATE",
		"another parameter":         "app=1?session=2&code=CODE&state=STATE",
		"further parameters around": "a=b&code=CODE&c&&state=STATE&d=?",
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t)
			authorizationURL, readKey := s.Authorize()
			agreed, err := url.Parse(s.Agree(authorizationURL))
			if err != nil {
				t.Fatal(err)
			}
			sent := agreed.Query()
			code, state := url.QueryEscape(sent.Get("code")), sent.Get("state")
			page := s.Get("/redirect?" + strings.NewReplacer("CODE", code, "STATE", state).Replace(query))
			s.ExpectPage("page", page, http.StatusOK, "You are signed in")
			s.expectTokens(readKey)
		})
	}
}

// If the tokens cannot be stored, the person and the plugin learn at once that the login failed.
func TestRedirectDatabaseFault(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.execute("CREATE TRIGGER full BEFORE UPDATE ON sessions WHEN NEW.status = 'ready' " +
		"BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
	page, readKey := s.Login()
	s.ExpectPage("page", page, http.StatusInternalServerError, "Something went wrong here.")
	s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, "server_error")
	if logged := s.Logged(); strings.Count(logged, "disk is full") != 1 {
		t.Errorf("the log says %s", logged)
	}
}

// execute changes the database behind the service's back.
func (s *testServer) execute(statement string) {
	s.T.Helper()
	if _, err := s.App.DB().NewQuery(statement).Execute(); err != nil {
		s.T.Error(err)
	}
}

// A session may expire while the code is exchanged.
func TestRedirectExpiresMeanwhile(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, clock.setIn)
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		clock.move(defaultSessionTTL)
		_, _ = io.WriteString(w, testkit.TokenResponse)
	})
	page, readKey := s.Login()
	s.ExpectPage("page", page, http.StatusBadRequest, "This sign-in took too long")
	s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, "expired_token")
}

// If the admin deletes the session while the code is exchanged, that ends the login.
func TestRedirectDeleted(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		s.execute("DELETE FROM sessions")
		_, _ = io.WriteString(w, testkit.TokenResponse)
	})
	page, readKey := s.Login()
	s.ExpectPage("page", page, http.StatusBadRequest, "was ended before it was finished")
	s.Expect("poll", s.Poll(readKey), http.StatusNotFound, bodyUnknown)
}

// Whoever swaps the public key in the database, to have the tokens sealed to another key, changes the code
// verifier: the provider then refuses the code.
func TestSwappedPublicKey(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.Authorize()
	private, err := hpke.DHKEM(ecdh.P256()).GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	swap := s.App.DB().NewQuery("UPDATE sessions SET publicKey = {:key}")
	if _, err := swap.Bind(dbx.Params{"key": private.PublicKey().Bytes()}).Execute(); err != nil {
		t.Fatal(err)
	}
	s.ExpectPage("redirect", s.Get(s.Agree(authorizationURL)), http.StatusBadGateway, "Sign-in failed")
	if s.Poll(readKey).Status != http.StatusBadRequest || s.Provider.Exchanges() != 0 {
		t.Error("the provider accepted the code")
	}
	if refusals := s.Provider.Refusals(); len(refusals) != 1 {
		t.Errorf("the provider refused %q", refusals)
	}
}
