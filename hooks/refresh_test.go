package hooks

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/internal/testkit"
)

func TestRefresh(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	got := s.Post("/refresh?code=RT-1")
	s.Expect("refresh", got, http.StatusOK, testkit.TokenResponse)
	if got.Header.Get("Content-Type") != "application/json" || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers of the tokens: %v", got.Header)
	}
	s.Expect("trailing slash", s.Post("/refresh/?code=RT-1"), http.StatusOK, testkit.TokenResponse)
	s.Expect("refresh_token", s.Post("/refresh?refresh_token=RT-1"), http.StatusOK, testkit.TokenResponse)
	form := s.Request(http.MethodPost, "/refresh", "refresh_token=RT-1")
	s.Expect("form", form, http.StatusOK, testkit.TokenResponse)
	object := s.Request(http.MethodPost, "/refresh", `{"code":"RT-1"}`)
	s.Expect("JSON", object, http.StatusOK, testkit.TokenResponse)
}

// Deployed plugins do not encode the refresh token; it must reach the provider as it is.
func TestRefreshTokenIsReadLeniently(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	for _, token := range []string{
		"oaa1.v1/x+y==", "1//0g-plain_x", "50%", "%zz%4", "a;b", "a=b==", "+", "ü", "a%b;c+d/e==",
		strings.Repeat("j", 20_000),
	} {
		for how, sent := range map[string]string{
			"as it is": token,
			"encoded":  strings.ReplaceAll(url.QueryEscape(token), "+", "%20"),
		} {
			t.Run(token[:min(len(token), 20)]+" "+how, func(t *testing.T) {
				s := root.in(t)
				var received string
				s.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
					received = r.Form.Get("refresh_token")
					_, _ = io.WriteString(w, `{"access_token":"x"}`)
				})
				// Go's client would encode a query that is parsed.
				u, err := url.Parse(s.URL + "/refresh")
				if err != nil {
					t.Fatal(err)
				}
				u.RawQuery = "code=" + sent
				s.Expect("refresh", s.Post(u.String()), http.StatusOK, `{"access_token":"x"}`)
				if received != token {
					t.Errorf("it reached the provider as %.20q", received)
				}
			})
		}
	}
}

func TestRefreshFaults(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	for name, test := range map[string]struct {
		answer providerAnswer
		status int // zero: the provider's
		code   string
	}{
		"hubspot's words": {
			answer: providerAnswer{status: 400, body: `{"status":"BAD_REFRESH_TOKEN",` +
				`"message":"missing or unknown refresh token","correlationId":"RT-HIDDEN"}`},
			code: "invalid_grant",
		},
		"atlassian's": {
			answer: providerAnswer{status: 403, body: `{"error":"unauthorized_client",` +
				`"error_description":"refresh_token is invalid"}`},
			code: "invalid_grant",
		},
		"Strava's": {
			answer: providerAnswer{status: 400, body: `{"message":"Bad Request",` +
				`"errors":[{"resource":"RefreshToken","field":"refresh_token","code":"invalid"}]}`},
			code: "invalid_grant",
		},
		"empty 400": {answer: providerAnswer{status: 400}, code: "invalid_grant"},
		"no token":  {answer: providerAnswer{body: `{}`}, status: 502, code: "server_error"},
		"another number": {
			answer: providerAnswer{body: `{"errcode":-1,"errmsg":"RT-HIDDEN"}`},
			status: 502, code: "server_error",
		},
		"client's fault": {
			answer: providerAnswer{status: 400, body: `{"status":"BAD_CLIENT_SECRET",` +
				`"message":"the client secret is wrong"}`},
			code: "server_error",
		},
		"not allowed": {
			answer: providerAnswer{status: 403, body: `{"error":"unauthorized_client",` +
				`"error_description":"Grant type 'refresh_token' not allowed for the client."}`},
			code: "unauthorized_client",
		},
		"revoked": {
			answer: providerAnswer{status: 400, body: `{"error":"invalid_grant",` +
				`"error_description":"RT-HIDDEN is revoked"}`},
			code: "invalid_grant",
		},
		"wrong secret": {
			answer: providerAnswer{status: 401, body: `{"error":"invalid_client"}`},
			code:   "invalid_client",
		},
		"forbidden, HTML": {
			answer: providerAnswer{status: 403, body: `<h1>RT-HIDDEN</h1>`},
			code:   "server_error",
		},
		"too many": {answer: providerAnswer{status: 429}, code: "temporarily_unavailable"},
		"down": {
			answer: providerAnswer{status: 503, body: `{"message":"RT-HIDDEN"}`},
			code:   "server_error",
		},
		"GitHub": {
			answer: providerAnswer{body: `{"error":"bad_refresh_token"}`},
			status: 400, code: "invalid_grant",
		},
		"Slack": {
			answer: providerAnswer{body: `{"ok":false,"error":"invalid_refresh_token"}`},
			status: 400, code: "invalid_grant",
		},
		"HTML":     {answer: providerAnswer{body: `<h1>RT-HIDDEN</h1>`}, status: 502, code: "server_error"},
		"empty":    {answer: providerAnswer{}, status: 502, code: "server_error"},
		"redirect": {answer: providerAnswer{status: 302}, status: 502, code: "server_error"},
	} {
		if test.status == 0 {
			test.status = test.answer.status
		}
		t.Run(name, func(t *testing.T) {
			s := root.in(t)
			s.Provider.Answers(test.answer.ServeHTTP)
			for _, accept := range []string{"", "*/*", "text/plain"} {
				got := s.Request(http.MethodPost, "/refresh?code=RT-HIDDEN", "", "Accept: "+accept)
				s.expectTextError(got, test.status, test.code)
			}
			got := s.Request(http.MethodPost, "/refresh?code=RT-HIDDEN", "", "Accept: application/json")
			s.ExpectError("as JSON", got, test.status, test.code)
		})
	}
}

// expectTextError checks that an error is one line of text that begins with its code and does not quote
// HIDDEN.
func (s *testServer) expectTextError(got testkit.Answer, status int, code string) {
	s.T.Helper()
	oneLine := strings.HasPrefix(got.Body, code+": ") && strings.Count(got.Body, "\n") == 1
	isText := got.Header.Get("Content-Type") == "text/plain; charset=utf-8"
	if got.Status != status || !isText || !oneLine || strings.Contains(got.Body, "HIDDEN") {
		s.T.Errorf("got %d %q as text: %t, want %d %s", got.Status, got.Body, isText, status, code)
	}
}

func TestRefreshWithoutToken(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	for name, query := range map[string]string{
		"no query": "",
		"blank":    "?code=",
		"as token": "?token=x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			s.Expect("refresh", s.Post("/refresh"+query), http.StatusBadRequest, "invalid_request: "+
				"The refresh token is missing. Send it as code or refresh_token.\n")
		})
	}
}

// A refresh token of 20,000 bytes passes in a body of any kind, and whoever sends a longer one is told so.
func TestLongRefreshTokens(t *testing.T) {
	t.Parallel()
	root := serve(t, withRevoke(""))
	long := strings.Repeat("%", 20_000)
	const tooLong = "The token has more than 20480 bytes. No longer one is passed on to the provider."
	const tooLarge = "The request's body has more than 65536 bytes, so it was not read."
	for name, test := range map[string]struct {
		path, body string
		refusal    string // blank: it reaches the provider
	}{
		"form":           {path: "/refresh", body: "refresh_token=" + strings.Repeat("%25", 20_000)},
		"JSON":           {path: "/refresh", body: `{"refresh_token":"` + long + `"}`},
		"query":          {path: "/refresh?code=" + strings.Repeat("x", 20_000)},
		"64 KB":          {path: "/refresh", body: "code=" + long + "&x=" + strings.Repeat("x", 45_528)},
		"a byte more":    {path: "/refresh", body: strings.Repeat("x", 65_537), refusal: tooLarge},
		"token":          {path: "/refresh", body: "code=" + strings.Repeat("x", 20_481), refusal: tooLong},
		"revoke":         {path: "/revoke", body: "token=" + strings.Repeat("x", 20_000)},
		"revoke, token":  {path: "/revoke", body: "token=" + strings.Repeat("x", 20_481), refusal: tooLong},
		"revoke, larger": {path: "/revoke", body: strings.Repeat("x", 65_537), refusal: tooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			got := s.Request(http.MethodPost, test.path, test.body)
			if test.refusal == "" && got.Status != http.StatusOK {
				t.Errorf("%d %.200s", got.Status, got.Body)
			}
			refused := http.StatusBadRequest
			if test.refusal == tooLarge {
				refused = http.StatusRequestEntityTooLarge
			}
			if test.refusal != "" && (got.Status != refused || !strings.Contains(got.Body, test.refusal)) {
				t.Errorf("%d %.200s", got.Status, got.Body)
			}
		})
	}
}

// How long a provider asks to wait is passed on in seconds, whichever way the provider says it, and nothing
// else that stands there.
func TestRetryAfterPassesThrough(t *testing.T) {
	t.Parallel()
	root := serve(t, withRevoke(""))
	now := time.Now().UTC()
	for name, test := range map[string]struct{ sent, want string }{
		"seconds":       {sent: "17", want: "17"},
		"a date":        {sent: now.Add(90 * time.Second).Format(http.TimeFormat), want: "90"},
		"a date before": {sent: now.Add(-time.Hour).Format(http.TimeFormat), want: ""},
		"none":          {sent: "", want: ""},
		"zero":          {sent: "0", want: ""},
		"negative":      {sent: "-5", want: ""},
		"words":         {sent: "soon, RT-HIDDEN", want: ""},
		"a week":        {sent: "604800", want: "86400"},
		"for ever":      {sent: strings.Repeat("9", 60), want: "86400"},
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t)
			for _, path := range []string{"/refresh?code=" + rand.Text(), "/revoke?token=" + rand.Text()} {
				s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Date", now.Format(http.TimeFormat))
					w.Header().Set("Retry-After", test.sent)
					w.WriteHeader(http.StatusTooManyRequests)
				})
				got := s.Post(path)
				if got.Status != http.StatusTooManyRequests || got.Header.Get("Retry-After") != test.want {
					t.Errorf("%d, Retry-After %q", got.Status, got.Header.Get("Retry-After"))
				}
			}
		})
	}
}

func TestRefreshTooSlow(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.provider = 300 * time.Millisecond })
	s.Provider.Answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s.Expect("refresh", s.Post("/refresh?code=x"), http.StatusGatewayTimeout,
		"temporarily_unavailable: The provider took too long to answer. It is not your fault. "+
			"Try again in a moment; if it stays, tell the plugin's author.\n")
}

// If the plugin leaves while the provider rotates its refresh token, the request is still finished.
func TestRefreshPluginGone(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.refreshKept = time.Hour })
	asked, gone := make(chan struct{}), make(chan struct{})
	s.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-gone
		if !keptUp(r) {
			t.Error("the request to the provider was cut off")
		}
		_, _ = io.WriteString(w, testkit.TokenResponse)
	})
	s.leave(http.MethodPost, s.URL+"/refresh?code=x", asked)
	close(gone)
	s.Expect("again", s.Post("/refresh?code=x"), http.StatusOK, testkit.TokenResponse)
	if s.Provider.Exchanges() != 1 {
		t.Error("the answer was lost")
	}
}

func TestRefreshUnreachable(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin.TokenEndpoint = "http://127.0.0.1:1/token" })
	s.Expect("refresh", s.Post("/refresh?code=x"), http.StatusBadGateway,
		"temporarily_unavailable: The provider could not be reached. It is not your fault. Try again in a "+
			"moment; if it stays, tell the plugin's author. For the author: Check TOKEN_ENDPOINT.\n")
}

// heldRefreshes makes the provider answer each refresh with tokens of its own. Each refresh is announced in
// asked, and answered once answer is closed.
func (s *testServer) heldRefreshes() (asked <-chan struct{}, answer chan<- struct{}) {
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	s.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, `{"access_token":"`+rand.Text()+`","refresh_token":"new"}`)
	})
	return arrived, release
}

// refreshTogether refreshes one token many times at once, and returns once all requests are on their way.
func (s *testServer) refreshTogether(count int, refreshToken string) <-chan string {
	s.T.Helper()
	answers := make(chan string, count)
	var sent, done sync.WaitGroup
	sent.Add(count)
	for range count {
		done.Go(func() {
			isSent := sync.OnceFunc(sent.Done)
			defer isSent()
			trace := httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { isSent() }}
			ctx := httptrace.WithClientTrace(s.T.Context(), &trace)
			target := s.URL + "/refresh?code=" + refreshToken
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
			if err != nil {
				s.T.Error(err)
				return
			}
			response, err := s.Client.Do(r)
			if err != nil {
				s.T.Error(err)
				return
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != http.StatusOK {
				s.T.Errorf("%s %s, %v", response.Status, body, err)
			}
			answers <- string(body)
		})
	}
	sent.Wait()
	go func() {
		done.Wait()
		close(answers)
	}()
	return answers
}

// Many windows that refresh at the same time make one request, and all get its answer. One that leaves does
// not cancel the others.
func TestRefreshesAreMerged(t *testing.T) {
	t.Parallel()
	root := serve(t, func(c *Config) {
		withKey(c)
		c.timing.refreshKept = time.Hour // a window that comes too late changes nothing
	})
	s, other := root.add("one", nil), root.add("two", nil)
	asked, answer := s.heldRefreshes()
	s.leave(http.MethodPost, s.URL+"/refresh?code=RT", asked) // the first one
	answers := s.refreshTogether(16, "RT")
	// The same token at another plugin, and another token, are requests of their own.
	other.Expect("another plugin", other.Post("/refresh?code=RT"), http.StatusOK, testkit.TokenResponse)
	another := s.refreshTogether(1, "RT2")
	<-asked
	close(answer)
	distinct := map[string]bool{}
	for body := range answers {
		distinct[body] = true
	}
	if len(distinct) != 1 || distinct[<-another] {
		t.Errorf("there are %d answers to one token, or two tokens have the same", len(distinct))
	}
	if s.Provider.Exchanges() != 2 || other.Provider.Exchanges() != 1 {
		t.Errorf("%d and %d requests", s.Provider.Exchanges(), other.Provider.Exchanges())
	}
}

// Without a new refresh token there is nothing to protect, so the next refresh asks the provider again.
func TestRefreshWithoutRotation(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.refreshKept = time.Hour })
	for name, body := range map[string]string{
		"no refresh token": `{"access_token":"x"}`,
		"the same":         `{"access_token":"x","refresh_token":"RT"}`,
	} {
		s.Provider.Answers(providerAnswer{body: body}.ServeHTTP)
		for range 2 {
			before := s.Provider.Exchanges()
			s.Expect(name, s.Post("/refresh?code=RT"), http.StatusOK, body)
			if s.Provider.Exchanges() != before+1 {
				t.Errorf("%s: the answer was given again", name)
			}
		}
	}
}

// rotateOnce makes the provider accept one refresh, as one that rotates does.
func (s *testServer) rotateOnce() {
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		if s.Provider.Exchanges() > 1 {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
			return
		}
		_, _ = io.WriteString(w, testkit.TokenResponse)
	})
}

// A window that is a moment too late gets the answer of the rotation from memory.
func TestRefreshJustAfterRotation(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.refreshKept = time.Hour })
	s.rotateOnce()
	for _, when := range []string{"first", "late"} {
		s.Expect(when, s.Post("/refresh?code=old"), http.StatusOK, testkit.TokenResponse)
	}
	if s.Provider.Exchanges() != 1 {
		t.Error("the used up token was sent again")
	}
}

// The answer of a rotation is kept for some seconds only, and a failure is not kept.
func TestRefreshLongAfterRotation(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.refreshKept = 10 * time.Millisecond })
	s.rotateOnce()
	s.Expect("refresh", s.Post("/refresh?code=old"), http.StatusOK, testkit.TokenResponse)
	var got testkit.Answer
	eventually(t, "the answer is forgotten", func() bool {
		got = s.Post("/refresh?code=old")
		return s.Provider.Exchanges() > 1
	})
	s.expectTextError(got, http.StatusBadRequest, "invalid_grant")
	s.Provider.Answers(nil)
	s.Expect("after a failure", s.Post("/refresh?code=old"), http.StatusOK, testkit.TokenResponse)
}

// refreshFrom refreshes a token from an address.
func (s *testServer) refreshFrom(address, refreshToken string) testkit.Answer {
	s.T.Helper()
	return s.Request(http.MethodPost, "/refresh?code="+refreshToken, "", "Fly-Client-IP: "+address)
}

// knowsTokens makes the provider refuse all refresh tokens but those that begin with "good".
func (s *testServer) knowsTokens() {
	s.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Form.Get("refresh_token"), "good") || r.Form.Get("code") != "" {
			_, _ = io.WriteString(w,
				`{"access_token":"`+rand.Text()+`","refresh_token":"good-`+rand.Text()+`"}`)
			return
		}
		answerJSON(http.StatusBadRequest, `{"error":"invalid_grant"}`)(w, r)
	})
}

// limitRefreshes allows ten refused refreshes in a minute.
func limitRefreshes(clock *testClock) func(*Config) {
	return func(c *Config) {
		clock.setIn(c)
		c.RefreshRateLimit = RateLimit{Requests: 10, Window: time.Minute}
		confirming("never")(c)
	}
}

// expectRefreshLimit checks that a refresh is refused for now, in one line of text, and that the provider is
// not asked.
func (s *testServer) expectRefreshLimit(refresh func() testkit.Answer) {
	s.T.Helper()
	asked := s.Provider.Exchanges()
	got := refresh()
	s.expectTextError(got, http.StatusTooManyRequests, "temporarily_unavailable")
	if seconds, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || seconds < 1 ||
		seconds > 60 {
		s.T.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
	}
	if s.Provider.Exchanges() != asked {
		s.T.Error("the provider was asked")
	}
}

// A network may send so many tokens that the provider refuses. Good ones do not count, and other networks are
// not limited with it.
func TestRefreshRateLimit(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, limitRefreshes(clock))
	s.knowsTokens()
	junk := func() testkit.Answer { return s.refreshFrom("192.0.2.1", rand.Text()) }
	for range 10 {
		for range 3 {
			if got := s.refreshFrom("192.0.2.1", "good"+rand.Text()); got.Status != http.StatusOK {
				t.Fatalf("a good token: %d %s", got.Status, got.Body)
			}
		}
		s.expectTextError(junk(), http.StatusBadRequest, "invalid_grant")
	}
	for range 3 {
		s.expectRefreshLimit(junk)
	}
	limited := s.Request(http.MethodPost, "/refresh?code=x", "", "Fly-Client-IP: 192.0.2.1",
		"Accept: application/json")
	s.ExpectError("as JSON", limited, http.StatusTooManyRequests, "temporarily_unavailable")
	s.expectTextError(s.refreshFrom("192.0.2.2", "junk"), http.StatusBadRequest, "invalid_grant")
	clock.move(time.Minute)
	s.expectTextError(junk(), http.StatusBadRequest, "invalid_grant")
}

// Without a limit, none is enforced.
func TestRefreshRateLimitOff(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.RefreshRateLimit = RateLimit{Requests: -1} })
	s.knowsTokens()
	for range 130 {
		s.expectTextError(s.Post("/refresh?code="+rand.Text()), http.StatusBadRequest, "invalid_grant")
	}
}

// A provider that is down, slow or busy says nothing about the token, so that does not count as a refusal.
func TestRefreshFaultsAreNoRefusals(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"down":    answerJSON(http.StatusServiceUnavailable, `{"error":"temporarily_unavailable"}`),
		"busy":    answerJSON(http.StatusTooManyRequests, `{"error":"slow_down"}`),
		"too old": answerJSON(http.StatusRequestTimeout, ""),
		"HTML":    answerAs("text/html", "<h1>Welcome</h1>"),
		"slow":    func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(c *Config) {
				c.RefreshRateLimit = RateLimit{Requests: 2, Window: time.Hour}
				c.timing.provider = 300 * time.Millisecond
			})
			s.Provider.Answers(answer)
			for range 4 {
				asked := s.Provider.Exchanges()
				if got := s.Post("/refresh?code=" + rand.Text()); s.Provider.Exchanges() != asked+1 {
					t.Errorf("the provider was not asked: %d %s", got.Status, got.Body)
				}
			}
		})
	}
}

// Whatever the provider answers to junk, it does not get that without end. Tokens that came from here are
// still sent, and other networks are not limited with it.
func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"busy":     answerJSON(http.StatusTooManyRequests, `{"error":"slow_down"}`),
		"failing":  answerJSON(http.StatusInternalServerError, ""),
		"HTML":     answerAs("text/html", "<h1>Are you a robot?</h1>"),
		"redirect": http.RedirectHandler("/blocked", http.StatusFound).ServeHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newTestClock()
			s := serve(t, limitRefreshes(clock))
			_, readKey := s.Login()
			s.expectTokens(readKey)
			s.Provider.Answers(answer)
			junk := func() testkit.Answer { return s.refreshFrom("192.0.2.1", rand.Text()) }
			asked := s.Provider.Exchanges()
			for range 100 {
				junk()
			}
			if asked = s.Provider.Exchanges() - asked; asked != 20 {
				t.Errorf("the provider was asked %d times", asked)
			}
			s.expectRefreshLimit(junk)
			for _, refresh := range []func() testkit.Answer{
				func() testkit.Answer { return s.refreshFrom("192.0.2.1", "RT-1") },
				func() testkit.Answer { return s.refreshFrom("192.0.2.2", rand.Text()) },
			} {
				asked := s.Provider.Exchanges()
				if refresh(); s.Provider.Exchanges() != asked+1 {
					t.Error("the provider was not asked")
				}
			}
			clock.move(time.Minute)
			asked = s.Provider.Exchanges()
			if junk(); s.Provider.Exchanges() != asked+1 {
				t.Error("a minute later the provider was not asked")
			}
		})
	}
}

// A broken plugin that sends a dead token for ever neither asks the provider for ever nor uses up what its
// whole office has.
func TestBrokenPluginSpoilsNothing(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, limitRefreshes(clock))
	s.knowsTokens()
	for range 50 {
		s.expectTextError(s.refreshFrom("192.0.2.1", "dead"), http.StatusBadRequest, "invalid_grant")
	}
	if asked := s.Provider.Exchanges(); asked != 5 {
		t.Errorf("the provider was asked %d times", asked)
	}
	if got := s.refreshFrom("192.0.2.1", "good"); got.Status != http.StatusOK {
		t.Errorf("another plugin of the office: %d %s", got.Status, got.Body)
	}
	clock.move(time.Minute)
	asked := s.Provider.Exchanges()
	s.refreshFrom("192.0.2.1", "dead")
	if s.Provider.Exchanges() != asked+1 {
		t.Error("the refusal outlives its window")
	}
}

// Until its network has used up half of its limit, a refused token is sent again: it may be good by now.
func TestRefusedTokenMayBecomeGood(t *testing.T) {
	t.Parallel()
	s := serve(t, limitRefreshes(newTestClock()))
	s.knowsTokens()
	for range 4 {
		s.expectTextError(s.refreshFrom("192.0.2.1", "dead"), http.StatusBadRequest, "invalid_grant")
	}
	s.Provider.Answers(nil)
	s.Expect("it is good now", s.refreshFrom("192.0.2.1", "dead"), http.StatusOK, testkit.TokenResponse)
}

// Only a dead token is refused from memory. What an admin can correct is asked again.
func TestCorrectedSecretIsTried(t *testing.T) {
	t.Parallel()
	s := serve(t, limitRefreshes(newTestClock()))
	s.Provider.Answers(answerJSON(http.StatusUnauthorized, `{"error":"invalid_client"}`))
	for range 9 {
		s.expectTextError(s.refreshFrom("192.0.2.1", "RT"), http.StatusUnauthorized, "invalid_client")
	}
	s.Provider.Answers(nil)
	s.Expect("it is corrected", s.refreshFrom("192.0.2.1", "RT"), http.StatusOK, testkit.TokenResponse)
}

// Somebody who sends junk signs nobody out who shares the address: tokens that came from here are still
// refreshed.
func TestKnownTokensPassTheLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, limitRefreshes(newTestClock()))
	s.knowsTokens()
	handedOut := func(answer testkit.Answer) string {
		t.Helper()
		var tokens struct {
			RefreshToken string `json:"refresh_token"`
		}
		if err := json.Unmarshal([]byte(answer.Body), &tokens); err != nil || tokens.RefreshToken == "" {
			t.Fatalf("%d %s", answer.Status, answer.Body)
		}
		return tokens.RefreshToken
	}
	_, readKey := s.Login()
	polled := handedOut(s.Poll(readKey))
	refreshed := handedOut(s.refreshFrom("192.0.2.2", "good"))
	for range 10 {
		s.refreshFrom("192.0.2.1", rand.Text())
	}
	s.expectRefreshLimit(func() testkit.Answer { return s.refreshFrom("192.0.2.1", "good-but-unknown") })
	for range 3 {
		polled = handedOut(s.refreshFrom("192.0.2.1", polled))
		refreshed = handedOut(s.refreshFrom("192.0.2.1", refreshed))
	}
	s.Provider.Answers(answerJSON(http.StatusOK, `{"access_token":"x"}`)) // no rotation
	s.Expect("another", s.refreshFrom("192.0.2.2", "kept"), http.StatusOK, `{"access_token":"x"}`)
	for range 3 {
		s.Expect("another", s.refreshFrom("192.0.2.1", "kept"), http.StatusOK, `{"access_token":"x"}`)
		s.Expect("the same token", s.refreshFrom("192.0.2.1", polled), http.StatusOK, `{"access_token":"x"}`)
	}
}

// A token that came from here passes the limit of its network until the provider refuses it, as it does an
// access token, or one of another tenant. Polls that give it again change nothing.
func TestRefusedTokenPassesTheLimitOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, limitRefreshes(newTestClock()))
	_, readKey := s.Login()
	s.expectTokensAgain(readKey)
	s.Provider.Answers(answerJSON(http.StatusBadRequest, `{"error":"invalid_request"}`))
	for range 10 {
		s.refreshFrom("192.0.2.1", rand.Text())
	}
	refresh := func() testkit.Answer { return s.refreshFrom("192.0.2.1", "RT-1") }
	s.expectTextError(refresh(), http.StatusBadRequest, "invalid_request")
	s.expectRefreshLimit(refresh)
	s.expectTokensAgain(readKey)
	s.expectRefreshLimit(refresh)
}

// At a provider that hangs, so many refreshes and revocations are under way for each network, and in all. The
// others are told when to try again.
func TestProviderRequestsAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		withRevoke("")(c)
		confirming("never")(c)
	})
	s.server.providerGate = newGate(bounds{network: 2, inAll: 3})
	asked, answer := s.heldRefreshes()
	answers := make(chan testkit.Answer, 3)
	start := func(address, target string) {
		go func() { answers <- s.Request(http.MethodPost, target, "", "Fly-Client-IP: "+address) }()
		<-asked
	}
	start("192.0.2.1", "/refresh?code=a")
	start("192.0.2.1", "/revoke?token=b")
	for range 3 {
		got := s.refreshFrom("192.0.2.1", "c")
		s.expectTextError(got, http.StatusTooManyRequests, "temporarily_unavailable")
		expectRetryAfter(t, got)
		// The same token makes no request, but its caller waits, too.
		s.expectTextError(s.refreshFrom("192.0.2.1", "a"), http.StatusTooManyRequests,
			"temporarily_unavailable")
	}
	start("192.0.2.2", "/refresh?code=d")
	got := s.refreshFrom("192.0.2.3", "e")
	s.expectTextError(got, http.StatusServiceUnavailable, "temporarily_unavailable")
	expectRetryAfter(t, got)
	got = s.Request(http.MethodPost, "/revoke?token=f", "", "Fly-Client-IP: 192.0.2.3")
	s.ExpectError("a revocation", got, http.StatusServiceUnavailable, "temporarily_unavailable")
	expectRetryAfter(t, got)
	close(answer)
	for range cap(answers) {
		if got := <-answers; got.Status != http.StatusOK {
			t.Errorf("one that was under way: %d %s", got.Status, got.Body)
		}
	}
	if got := s.refreshFrom("192.0.2.1", "c"); got.Status != http.StatusOK {
		t.Errorf("afterwards: %d %s", got.Status, got.Body)
	}
	if asked := s.Provider.Exchanges(); asked != 3 {
		t.Errorf("the provider had %d refreshes", asked)
	}
}

// What is sent at the same time keeps to the limit of refused refreshes as well: no more are under way than
// may still be refused. The others are told when to try again.
func TestRefreshesUnderWayKeepToTheLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, limitRefreshes(newTestClock()))
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	s.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		answerJSON(http.StatusBadRequest, `{"error":"invalid_grant"}`)(w, r)
	})
	var done sync.WaitGroup
	for range 10 {
		done.Go(func() {
			s.expectTextError(s.refreshFrom("192.0.2.1", rand.Text()), http.StatusBadRequest, "invalid_grant")
		})
		<-arrived
	}
	got := s.refreshFrom("192.0.2.1", "another")
	s.expectTextError(got, http.StatusTooManyRequests, "temporarily_unavailable")
	expectRetryAfter(t, got)
	close(release)
	done.Wait()
	if asked := s.Provider.Exchanges(); asked != 10 {
		t.Errorf("the provider had %d", asked)
	}
}

// However much junk is under way at a provider, tokens that came from here are refreshed and revoked.
func TestJunkLeavesRoomToKnownTokens(t *testing.T) {
	t.Parallel()
	s := serve(t, withRevoke(""))
	_, readKey := s.Login()
	s.expectTokensAgain(readKey)
	defer fill(s.server.unknownGate, oauth.HostOf(s.Provider.URL))()
	for _, target := range []string{"/refresh?code=junk", "/revoke?token=junk"} {
		got := s.Request(http.MethodPost, target, "", "Accept: application/json")
		s.ExpectError(target, got, http.StatusServiceUnavailable, "temporarily_unavailable")
		expectRetryAfter(t, got)
	}
	for _, target := range []string{"/refresh?code=RT-1", "/revoke?token=RT-1"} {
		if got := s.Post(target); got.Status != http.StatusOK {
			t.Errorf("%s: %d %s", target, got.Status, got.Body)
		}
	}
}

// All tenants of a provider share what it may have under way: anybody can make up their names.
func TestTenantsShareABound(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.Plugin.Client = oauth.Client{
			Provider: "shopify", ClientID: "x", ClientSecret: c.Plugin.ClientSecret,
			RedirectURI: c.Plugin.RedirectURI,
		}
	})
	s.server.providerGate = newGate(bounds{network: 100, provider: 1, inAll: 100})
	const provider = "https://{shop}.myshopify.com"
	leave, err := s.server.providerGate.enter(netip.MustParsePrefix("192.0.2.9/32"), provider)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	got := s.Post("/refresh?code=x&shop=my-store")
	s.expectTextError(got, http.StatusServiceUnavailable, "temporarily_unavailable")
}

func expectRetryAfter(t *testing.T, got testkit.Answer) {
	t.Helper()
	if got.Header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
	}
}

// The answers of rotations that are kept have a bounded size, and leave nothing behind.
func TestRefreshCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newRefreshCache(time.Hour)
	about := []tokenKey{{1}}
	fill := func(site netip.Prefix, first byte) {
		for i := range 30 {
			_, err := c.do(refreshKey{first, byte(i)}, func() (refreshAnswer, error) {
				return refreshAnswer{tokens: make([]byte, 1<<19), about: about, site: site}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	one := netip.MustParsePrefix("192.0.2.1/32")
	fill(one, 0)
	if len(c.answers) != 7 || c.sites[one] != c.bytes() {
		t.Errorf("it keeps %d answers of one site", len(c.answers))
	}
	for i := range 10 {
		fill(netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 32), byte(i+1))
	}
	kept := len(c.answers)
	if kept != 28 && kept != 31 || c.bytes() > maxRefreshAnswers || c.bytes() < kept*(1<<19) {
		t.Errorf("it keeps %d answers of %d bytes", len(c.answers), c.bytes())
	}
	c.forget(tokenKey{2})
	if len(c.answers) != kept {
		t.Error("it forgets answers about other tokens")
	}
	c.forget(about[0])
	if len(c.answers) != 0 || c.bytes() != 0 || len(c.sites) != 0 {
		t.Errorf("it still keeps %d answers of %d bytes", len(c.answers), c.bytes())
	}
}

// Answers are given for as long as they should be, and a moment later there is nothing left of them.
func TestRefreshCacheExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const kept = 32 * time.Second
		c := newRefreshCache(kept)
		keep := func(name byte) {
			_, err := c.do(refreshKey{name}, func() (refreshAnswer, error) {
				return refreshAnswer{tokens: []byte{name}, about: []tokenKey{{name}}}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		given := func() (names string) {
			for name := byte('a'); name < 'e'; name++ {
				if _, found := c.find(refreshKey{name}); found {
					names += string(name)
				}
			}
			return names
		}
		expect := func(names string, left int) {
			t.Helper()
			synctest.Wait()
			got := given()
			c.mu.Lock()
			defer c.mu.Unlock()
			if got != names || len(c.answers) != left || c.oldest.Len() != left {
				t.Errorf("it gives %q, and keeps %d", got, len(c.answers))
			}
		}
		keep('a')
		keep('b')
		time.Sleep(kept / 2)
		keep('c')
		c.forget(tokenKey{'b'})
		expect("ac", 2)
		time.Sleep(kept/2 - time.Nanosecond)
		expect("ac", 2)
		time.Sleep(time.Nanosecond)
		expect("c", 1)
		keep('a')
		time.Sleep(kept / 2)
		expect("a", 1)
		time.Sleep(kept / 2)
		expect("", 0)
		keep('c')
		time.Sleep(time.Nanosecond)
		keep('d')
		time.Sleep(kept)
		expect("", 1) // those that come together are removed together
		keep('d')
		expect("d", 1)
		time.Sleep(kept / 2)
		expect("d", 1)
		time.Sleep(kept)
		if expect("", 0); c.bytes() != 0 || len(c.sites) != 0 || c.expiring {
			t.Errorf("%d bytes are left", c.bytes())
		}
		keep('b')
		time.Sleep(kept)
		expect("", 0)
	})
}

// An answer that another machine no longer gives is forgotten, also if it was under way meanwhile.
func TestRefreshCacheForgetsKey(t *testing.T) {
	t.Parallel()
	c := newRefreshCache(time.Hour)
	forgotten, other := refreshKey{1}, refreshKey{2}
	answer := refreshAnswer{tokens: []byte("tokens"), about: []tokenKey{{1}}}
	for _, forgetsMeanwhile := range []bool{false, true} {
		for _, key := range []refreshKey{forgotten, other} {
			_, err := c.do(key, func() (refreshAnswer, error) {
				if forgetsMeanwhile {
					c.forgetKey(forgotten)
				}
				return answer, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if !forgetsMeanwhile {
			c.forgetKey(forgotten)
		}
		if _, found := c.find(forgotten); found {
			t.Error("it is still given")
		}
		if _, found := c.find(other); !found {
			t.Error("another one is forgotten")
		}
	}
	if c.bytes() != answer.size() || len(c.asking) != 0 {
		t.Errorf("it has %d bytes, and %d are under way", c.bytes(), len(c.asking))
	}
}

// A provider that sends any number of tokens makes nobody forget those of another plugin.
func TestManyTokensInAnAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	other := s.add("other", nil)
	const known = "AT-known"
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"access_token":"`+known+`"}`)
	})
	const each = 900
	other.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"id_token":"x","access_token":[`)
		for i := range each {
			fmt.Fprintf(w, `"%s-%d",`, r.Form.Get("refresh_token"), i)
		}
		_, _ = io.WriteString(w, `"last"]}`)
	})
	s.Expect("one", s.Post("/refresh?code=RT"), http.StatusOK, `{"access_token":"`+known+`"}`)
	for i := range 3 * maxRecent / each {
		if got := other.Post(fmt.Sprint("/refresh?code=", i)); got.Status != http.StatusOK {
			t.Fatalf("%d %.100s", got.Status, got.Body)
		}
	}
	e := &request{plugin: s.server.config.Plugin}
	if !s.server.knownTokens.isGood(newTokenKey(e, known)) {
		t.Error("a token of another plugin is forgotten")
	}
}

// What is known of tokens has a bounded size, and the latest is always known.
func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	var r recent[int, int]
	for i := range 5 * maxRecent {
		r.put(i, -i)
		if value, found := r.get(max(0, i-maxRecent/2)); !found || value != -max(0, i-maxRecent/2) {
			t.Fatalf("at %d: %d %t", i, value, found)
		}
	}
	if len(r.new)+len(r.old) > 2*maxRecent {
		t.Errorf("it keeps %d", len(r.new)+len(r.old))
	}
}
