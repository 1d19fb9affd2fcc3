package hooks

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRedirect(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	page, readKey := s.login()
	s.expectPage("success", page, http.StatusOK, "You are signed in")
	for _, words := range []string{"Test plugin", "You can close this window and return to Framer.", "history.replaceState"} {
		if !strings.Contains(page.body, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	header := page.header
	csp := header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; style-src 'nonce-") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("the page's policy is %q", csp)
	}
	_, nonce, _ := strings.Cut(csp, "script-src 'nonce-")
	nonce, _, _ = strings.Cut(nonce, "'")
	if nonce == "" || !strings.Contains(page.body, `<script nonce="`+nonce+`">`) || !strings.Contains(page.body, `<style nonce="`+nonce+`">`) {
		t.Error("style and script do not carry the policy's nonce")
	}
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": ""} {
		if header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, header.Get(name), want)
		}
	}
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
}

func TestRedirectBasicAuthentication(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin.TokenAuth, c.Plugin.ReturnApp = "basic", "Penpot" })
	page, readKey := s.login() // the provider refuses the secret in the body
	s.expectPage("login", page, http.StatusOK, "You can close this window and return to Penpot.")
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
}

// What a stranger may send to /redirect does no harm to a login that is under way.
func TestRedirectBadInput(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.authorize()
	state := authorizationURL.Query().Get("state")
	callback := s.agree(authorizationURL)
	for query, words := range map[string]string{
		"":                         "Nothing to finish here",
		"?":                        "Nothing to finish here",
		"?code=x":                  "Nothing to finish here",
		"?state=" + state:          "Nothing to finish here",
		"?state=&code=x":           "Nothing to finish here",
		"?state=unknown&code=x":    "not known here",
		"?state=unknown&error=x":   "not known here",
		"?state=%00%ff&code=%zz;%": "not known here",
		"?code=x&state=" + strings.Repeat("s", 10_000):    "not known here",
		"?code=x&state=" + strings.ToUpper(state):         "not known here",
		"?code=x&state=" + readKey:                        "not known here",
		"?error=<script>alert(1)</script>&state=<script>": "not known here",
	} {
		got := s.get("/redirect" + query)
		s.expectPage(query, got, http.StatusBadRequest, words)
		if strings.Contains(got.body, "alert(1)") {
			t.Errorf("%s comes back in the page", query)
		}
	}
	s.expect("still pending", s.poll(readKey), http.StatusNotFound, bodyPending)
	s.expectPage("the real redirect", s.get(callback), http.StatusOK, "You are signed in")
	s.expectPage("the same again", s.get(callback), http.StatusBadRequest, "This sign-in was already finished")
	if s.provider.exchanges() != 1 {
		t.Errorf("one state served %d exchanges", s.provider.exchanges())
	}
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
	s.expectPage("and after the poll", s.get(callback), http.StatusBadRequest, "This sign-in was already finished")
}

func TestRedirectRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for refusal, want := range map[string]struct {
		status       int
		words        string
		code, record string
	}{
		"access_denied":             {http.StatusBadRequest, "Sign-in cancelled", "access_denied", statusDenied},
		"user_cancelled_login":      {http.StatusBadRequest, "Sign-in cancelled", "access_denied", statusDenied},
		"invalid_scope":             {http.StatusBadGateway, "must check SCOPE", "invalid_scope", statusFailed},
		"some_new_error":            {http.StatusBadGateway, "refused the sign-in", "some_new_error", statusFailed},
		"not_found":                 {http.StatusBadGateway, "Sign-in failed", "server_error", statusFailed},
		"expired_token":             {http.StatusBadGateway, "Sign-in failed", "server_error", statusFailed},
		"authorization_pending":     {http.StatusBadGateway, "Sign-in failed", "server_error", statusFailed},
		"<b>Bold & loud</b>":        {http.StatusBadGateway, "problem of its own", "server_error", statusFailed},
		strings.Repeat("long", 100): {http.StatusBadGateway, "problem of its own", "server_error", statusFailed},
	} {
		authorizationURL, readKey := s.authorize()
		query := url.Values{"error": {refusal}, "error_description": {"<i>raw words</i>"}, "state": {authorizationURL.Query().Get("state")}}
		page := s.get("/redirect?" + query.Encode())
		s.expectPage(refusal, page, want.status, want.words)
		if strings.Contains(page.body, "raw words") || strings.Contains(page.body, "loud") {
			t.Errorf("%s: the provider's own words are on the page", refusal)
		}
		for range 2 {
			s.expectError(refusal, s.poll(readKey), http.StatusBadRequest, want.code)
		}
		var record string
		err := s.app.DB().NewQuery("SELECT status FROM sessions ORDER BY rowid DESC LIMIT 1").Row(&record)
		if err != nil || record != want.record {
			t.Errorf("%s: the admin sees %q (%v), want %q", refusal, record, err, want.record)
		}
	}
}

// expectError checks an error in JSON that has a description.
func (s *relayServer) expectError(what string, got answer, status int, code string) {
	s.t.Helper()
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	err := json.Unmarshal([]byte(got.body), &body)
	if err != nil || got.status != status || body.Error != code || body.Description == "" {
		s.t.Errorf("%s: got %d %s, want %d %s", what, got.status, got.body, status, code)
	}
}

// The faults of a token endpoint, and what the person and the plugin learn of each.
func TestRedirectFaults(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	text := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect of the token endpoint was followed")
	}))
	t.Cleanup(elsewhere.Close)
	raw := func(response string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			connection, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(connection, response)
			if !strings.Contains(response, " 101 ") { // that one stays open
				connection.Close()
			}
		}
	}
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for _, err := io.WriteString(w, `{"access_token":"`); err == nil; {
			_, err = io.WriteString(w, strings.Repeat("x", 1<<16))
		}
	}
	const json = "application/json"
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		status int
		code   string
	}{
		"refused":           {text(400, json, `{"error":"invalid_grant","error_description":"code HIDDEN is old"}`), 502, "invalid_grant"},
		"wrong secret":      {text(401, json, `{"error":"invalid_client"}`), 502, "invalid_client"},
		"error under 200":   {text(200, json, `{"error":"bad_verification_code","error_description":"raw words"}`), 502, "bad_verification_code"},
		"ok false":          {text(200, json, `{"ok":false,"error":"invalid_code"}`), 502, "invalid_code"},
		"ok false, no more": {text(200, json, `{"ok":false}`), 502, "server_error"},
		"error object":      {text(400, json, `{"error":{"message":"raw words"}}`), 502, "server_error"},
		"error in prose":    {text(400, json, `{"error":"Code HIDDEN is bad"}`), 502, "server_error"},
		"error in a form":   {text(200, "application/x-www-form-urlencoded", `error=bad_verification_code&error_uri=x`), 502, "bad_verification_code"},
		"500 in HTML":       {text(500, "text/html", "<h1>raw words</h1>"), 502, "server_error"},
		"HTML":              {text(200, "text/html", "<h1>raw words</h1>"), 502, "server_error"},
		"429":               {text(429, json, `{}`), 502, "server_error"},
		"empty":             {text(200, json, ""), 502, "server_error"},
		"204":               {text(204, json, ""), 502, "server_error"},
		"null":              {text(200, json, "null"), 502, "server_error"},
		"array":             {text(200, json, `[{"access_token":"x"}]`), 502, "server_error"},
		"string":            {text(200, json, `"access_token"`), 502, "server_error"},
		"cut off":           {text(200, json, `{"access_token":"x"`), 502, "server_error"},
		"8 MB":              {text(200, json, `{"access_token":"`+strings.Repeat("x", 8<<20)+`"}`), 502, "server_error"},
		"8 MB, blank":       {text(200, json, `{"access_token":"x"}`+strings.Repeat(" ", 8<<20)), 502, "server_error"},
		"endless":           {endless, 502, "server_error"},
		"redirect":          {http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP, 502, "server_error"},
		"101":               {raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), 502, "server_error"},
		"status 99":         {raw("HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\n{}"), 502, "server_error"},
		"status 600":        {text(600, json, `{"error":"invalid_grant"}`), 502, "server_error"},
		"malformed header":  {raw("HTTP/1.1 200 OK\r\ncode=HIDDEN\r\n\r\n"), 502, "temporarily_unavailable"},
		"too short":         {raw("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"access_token\":\"x\", \"refresh_token\":\"HIDDEN\"}"), 502, "server_error"},
		"too long":          {raw("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{\"access_token\":\"HIDDEN\"}"), 502, "temporarily_unavailable"},
		"echoed code": {func(w http.ResponseWriter, r *http.Request) {
			text(400, json, `{"error":"`+r.Form.Get("code")+`"}`)(w, r)
		}, 502, "server_error"},
		"reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, "temporarily_unavailable"},
	} {
		s.provider.answers(test.answer)
		page, readKey := s.login()
		s.expectPage(name, page, test.status, "Sign-in failed")
		got := s.poll(readKey)
		s.expectError(name, got, http.StatusBadRequest, test.code)
		if strings.Contains(page.body+got.body, "HIDDEN") || strings.Contains(page.body+got.body, "raw words") {
			t.Errorf("%s: the provider's own words are shown", name)
		}
		if logged := s.logged(); strings.Contains(logged, "HIDDEN") {
			t.Fatalf("%s: the log quotes the provider: %s", name, logged)
		}
	}
}

func TestRedirectUnreachable(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin.TokenEndpoint = "http://127.0.0.1:1/token?key=HIDDEN" })
	page, readKey := s.login()
	s.expectPage("page", page, http.StatusBadGateway, "could not be reached")
	if logged := s.logged(); !strings.Contains(logged, "connection refused") || strings.Contains(logged, "HIDDEN") {
		t.Errorf("the log says %s", logged)
	}
	s.expectError("poll", s.poll(readKey), http.StatusBadRequest, "temporarily_unavailable")
}

func TestRedirectTooSlow(t *testing.T) {
	t.Parallel()
	for name, beforeHang := range map[string]string{"before the headers": "", "in the body": `{"access_token":`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			s.provider.answers(func(w http.ResponseWriter, r *http.Request) {
				if beforeHang != "" {
					io.WriteString(w, beforeHang)
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			})
			started := time.Now()
			page, readKey := s.login()
			s.expectPage("page", page, http.StatusGatewayTimeout, "took too long to answer")
			if took := time.Since(started); took < tokenTimeout || took > tokenTimeout+3*time.Second {
				t.Errorf("it took %s", took)
			}
			s.expectError("poll", s.poll(readKey), http.StatusBadRequest, "temporarily_unavailable")
		})
	}
}

// What real providers send is a success, and reaches the plugin byte for byte.
func TestRedirectRealAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for name, test := range map[string]struct{ contentType, body, want string }{
		"JSON as HTML":      {"text/html", tokenResponse, tokenResponse},
		"Slack, nested":     {"application/json", `{"ok":true,"authed_user":{"id":"U1","access_token":"xoxp-1"}}`, ""},
		"fractional":        {"application/json", `{"access_token":"x","expires_in":3599.9}`, ""},
		"error null":        {"application/json", `{"access_token":"x","error":null,"ok":null}`, ""},
		"byte order mark":   {"application/json", "\ufeff{\"access_token\":\"x\"}", ""},
		"duplicate key":     {"application/json", `{"access_token":"x","scope":"a","scope":"b"}`, ""},
		"no UTF-8":          {"application/json", "{\"access_token\":\"x\",\"name\":\"M\xfcller\"}", ""},
		"GitHub, form":      {"application/x-www-form-urlencoded", "access_token=gho_1&scope=repo%2Cgist&token_type=bearer", `{"access_token":"gho_1","scope":"repo,gist","token_type":"bearer"}`},
		"form with a life":  {"text/plain", "access_token=1&expires_in=28800&refresh_token_expires_in=15811200&X-Own=a", `{"X-Own":"a","access_token":"1","expires_in":28800,"refresh_token_expires_in":15811200}`},
		"created (201)":     {"application/json", tokenResponse, tokenResponse},
		"nearly a megabyte": {"application/json", `{"access_token":"` + strings.Repeat("x", 1<<20-100) + `"}`, ""},
	} {
		s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", test.contentType)
			if name == "created (201)" {
				w.WriteHeader(http.StatusCreated)
			}
			io.WriteString(w, test.body)
		})
		page, readKey := s.login()
		s.expectPage(name, page, http.StatusOK, "You are signed in")
		s.expect(name, s.poll(readKey), http.StatusOK, cmp.Or(test.want, test.body))
	}
}

// The browser closes the window while the code is exchanged: the plugin gets its tokens all the same.
func TestRedirectBrowserGone(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	asked, left := make(chan struct{}), make(chan struct{})
	s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-left
		time.Sleep(50 * time.Millisecond)
		io.WriteString(w, tokenResponse)
	})
	authorizationURL, readKey := s.authorize()
	callback := s.agree(authorizationURL)
	ctx, closeWindow := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, callback, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-asked
		closeWindow()
		close(left)
	}()
	if response, err := s.client.Do(request); err == nil {
		response.Body.Close()
		t.Fatal("the browser was not gone")
	}
	for deadline := time.Now().Add(5 * time.Second); s.poll(readKey).status != http.StatusOK; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the tokens did not come")
		}
	}
}

// Eight redirects with one state arrive together: one exchange.
func TestRedirectExchangesOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(200 * time.Millisecond) // so that all of them come during the exchange
		io.WriteString(w, tokenResponse)
	})
	authorizationURL, readKey := s.authorize()
	callback := s.agree(authorizationURL)
	var done sync.WaitGroup
	pages := make([]answer, 8)
	for i := range pages {
		done.Go(func() { pages[i] = s.get(callback) })
	}
	done.Wait()
	successes := 0
	for _, page := range pages {
		if page.status == http.StatusOK {
			successes++
		} else {
			s.expectPage("the others", page, http.StatusBadRequest, "already finished")
		}
	}
	if successes != 1 || s.provider.exchanges() != 1 {
		t.Errorf("%d pages say success after %d exchanges", successes, s.provider.exchanges())
	}
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
}

// The tokens cannot be stored: the person and the plugin learn at once that the login failed.
func TestRedirectDatabaseFault(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, err := s.app.DB().NewQuery("CREATE TRIGGER full BEFORE UPDATE ON sessions WHEN NEW.status = 'ready' BEGIN SELECT RAISE(ABORT, 'disk is full'); END").Execute()
	if err != nil {
		t.Fatal(err)
	}
	page, readKey := s.login()
	s.expectPage("page", page, http.StatusInternalServerError, "Internal error.")
	s.expectError("poll", s.poll(readKey), http.StatusBadRequest, "server_error")
	if logged := s.logged(); strings.Count(logged, "disk is full") != 1 {
		t.Errorf("the log says %s", logged)
	}
}

// The session expires while the code is exchanged.
func TestRedirectExpiresMeanwhile(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.SessionTTL = time.Second })
	s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(1200 * time.Millisecond)
		io.WriteString(w, tokenResponse)
	})
	page, readKey := s.login()
	s.expectPage("page", page, http.StatusBadRequest, "This sign-in took too long")
	s.expectError("poll", s.poll(readKey), http.StatusBadRequest, "expired_token")
}

// The admin deletes the session while the code is exchanged: that ends the login.
func TestRedirectDeleted(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := s.app.DB().NewQuery("DELETE FROM sessions").Execute(); err != nil {
			t.Error(err)
		}
		io.WriteString(w, tokenResponse)
	})
	page, readKey := s.login()
	s.expectPage("page", page, http.StatusBadRequest, "was ended before it was finished")
	s.expect("poll", s.poll(readKey), http.StatusNotFound, bodyUnknown)
}
