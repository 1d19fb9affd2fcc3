package hooks

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

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
	json := s.Request(http.MethodPost, "/refresh", `{"code":"RT-1"}`)
	s.Expect("JSON", json, http.StatusOK, testkit.TokenResponse)
}

// Deployed plugins do not encode the refresh token; it must reach the provider as it is.
func TestRefreshTokenIsReadLeniently(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	for _, token := range []string{
		"oaa1.v1/x+y==", "1//0g-plain_x", "50%", "%zz%4", "a;b", "a=b==", "+", "ü", "a%b;c+d/e==",
		strings.Repeat("j", 12_000),
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
		"too many": {answer: providerAnswer{status: 429}, code: "server_error"},
		"down": {
			answer: providerAnswer{status: 503, body: `{"message":"RT-HIDDEN"}`},
			code:   "server_error",
		},
		"GitHub": {
			answer: providerAnswer{body: `{"error":"bad_refresh_token"}`},
			status: 400, code: "bad_refresh_token",
		},
		"Slack": {
			answer: providerAnswer{body: `{"ok":false,"error":"invalid_refresh_token"}`},
			status: 400, code: "invalid_refresh_token",
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
		"no query":  "",
		"blank":     "?code=",
		"as token":  "?token=x",
		"too large": "?code=" + strings.Repeat("x", maxRefreshToken+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			s.Expect("refresh", s.Post("/refresh"+query), http.StatusBadRequest, "invalid_request: "+
				"The refresh token is missing or too long. Send it as code or refresh_token.\n")
		})
	}
}

func TestRefreshTooSlow(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.provider = 300 * time.Millisecond })
	s.Provider.Answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s.Expect("refresh", s.Post("/refresh?code=x"), http.StatusGatewayTimeout,
		"temporarily_unavailable: The provider took too long to answer. Try again in a moment.\n")
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
		"temporarily_unavailable: The provider could not be reached. Try again in a moment.\n")
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
