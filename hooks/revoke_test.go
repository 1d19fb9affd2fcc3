package hooks

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/internal/testkit"
)

// withRevoke gives the plugin a revoke endpoint of a kind at its provider.
func withRevoke(kind oauth.RevokeKind) func(*Config) {
	return func(c *Config) {
		c.Plugin.RevokeEndpoint = strings.TrimSuffix(c.Plugin.TokenEndpoint, "/token") + "/revoke"
		c.Plugin.RevokeKind = kind
	}
}

// The token reaches the provider in the provider's way, whichever way the plugin sends it.
func TestRevoke(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind oauth.RevokeKind
		auth oauth.TokenAuth
	}{
		{}, // a plugin that says nothing of either
		{kind: oauth.RevokeForm, auth: oauth.TokenAuthBasic},
		{kind: oauth.RevokeForm, auth: oauth.TokenAuthBasicSecret},
		{kind: oauth.RevokeForm, auth: oauth.TokenAuthBody},
		{kind: oauth.RevokeFormWithoutClient, auth: oauth.TokenAuthBody},
		{kind: oauth.RevokeBearer, auth: oauth.TokenAuthBody},
		{kind: oauth.RevokeJSON, auth: oauth.TokenAuthBody},
		{kind: oauth.RevokeJSONWithClient, auth: oauth.TokenAuthBody},
		{kind: oauth.RevokeGitHub, auth: oauth.TokenAuthBody},
	} {
		t.Run(cmp.Or(string(test.kind), "default")+" "+string(test.auth), func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(c *Config) {
				withRevoke(test.kind)(c)
				c.Plugin.TokenAuth = test.auth
			})
			query := s.Post("/revoke?token=hinted%2Fb&token_type_hint=refresh_token")
			s.Expect("query", query, http.StatusOK, "{}")
			s.Expect("not encoded", s.Post("/revoke?token=50%+x=="), http.StatusOK, "{}")
			s.Expect("form", s.Request(http.MethodPost, "/revoke/", "token=c"), http.StatusOK, "{}")
			s.Expect("JSON", s.Request(http.MethodPost, "/revoke", `{"token":"d"}`), http.StatusOK, "{}")
			want := []string{"hinted/b", "50%+x==", "c", "d"}
			if got := s.Provider.Revoked(); !slices.Equal(got, want) {
				t.Errorf("the provider was sent %q", got)
			}
		})
	}
}

func TestRevokeFaults(t *testing.T) {
	t.Parallel()
	type fault struct {
		answer providerAnswer
		status int
		code   string
	}
	for kind, faults := range map[oauth.RevokeKind]map[string]fault{
		oauth.RevokeForm: {
			"revoked":       {answer: providerAnswer{status: 200}, status: 200},
			"without words": {answer: providerAnswer{status: 204}, status: 200},
			"HTML":          {answer: providerAnswer{status: 200, body: "<html>"}, status: 200},
			// A token that is unknown, or ended before (RFC 7009 section 2.2).
			"unknown token": {
				answer: providerAnswer{status: 400, body: `{"error":"invalid_token"}`},
				status: 200,
			},
			// Everything else is not a sign-out.
			"404": {answer: providerAnswer{status: 404}, status: 404, code: "server_error"},
			"wrong client": {
				answer: providerAnswer{status: 401, body: `{"error":"invalid_client"}`},
				status: 401, code: "invalid_client",
			},
			"401": {answer: providerAnswer{status: 401}, status: 401, code: "server_error"},
			"302": {answer: providerAnswer{status: 302}, status: 502, code: "server_error"},
			"500": {
				answer: providerAnswer{status: 500, body: "secret token"},
				status: 500, code: "server_error",
			},
			"busy": {
				answer: providerAnswer{
					status: 503,
					body:   `{"error":"temporarily_unavailable","error_description":"token"}`,
				},
				status: 503, code: "temporarily_unavailable",
			},
			"too many": {answer: providerAnswer{status: 429}, status: 429, code: "server_error"},
			"the other token": {
				answer: providerAnswer{status: 400, body: `{"error":"unsupported_token_type"}`},
				status: 400, code: "unsupported_token_type",
			},
		},
		oauth.RevokeFormWithoutClient: {
			"expired": {
				answer: providerAnswer{
					status: 400,
					body:   `{"error":"invalid_token","error_description":"Token expired or revoked"}`,
				},
				status: 200,
			},
		},
		oauth.RevokeBearer: {
			"Slack, revoked": {
				answer: providerAnswer{body: `{"ok":false,"error":"token_revoked"}`},
				status: 200,
			},
			"Slack, unknown": {
				answer: providerAnswer{body: `{"ok":false,"error":"invalid_auth"}`},
				status: 200,
			},
			"Dropbox": {
				answer: providerAnswer{status: 401, body: `{"error_summary":"expired_access_token/"}`},
				status: 200,
			},
			"400": {answer: providerAnswer{status: 400}, status: 400, code: "server_error"},
			"Slack, fatal": {
				answer: providerAnswer{body: `{"ok":false,"error":"fatal_error"}`},
				status: 502, code: "fatal_error",
			},
		},
		oauth.RevokeGitHub: {
			"404": {answer: providerAnswer{status: 404, body: `{"message":"Not Found"}`}, status: 200},
			"422": {
				answer: providerAnswer{status: 422, body: `{"message":"Validation Failed"}`},
				status: 200,
			},
			"401": {
				answer: providerAnswer{status: 401, body: `{"message":"Bad credentials"}`},
				status: 401, code: "server_error",
			},
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			root := serve(t, withRevoke(kind))
			for name, test := range faults {
				t.Run(name, func(t *testing.T) {
					s := root.in(t)
					s.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Location", "/elsewhere")
						test.answer.ServeHTTP(w, r)
					})
					got := s.Post("/revoke?token=the-token")
					if test.status == http.StatusOK {
						s.Expect("revoke", got, http.StatusOK, "{}")
						return
					}
					s.ExpectError("revoke", got, test.status, test.code)
					logged := s.Logged()
					if strings.Contains(got.Body, "secret token") || strings.Contains(logged, "the-token") {
						t.Errorf("it shows what is secret: %s\n%s", got.Body, logged)
					}
				})
			}
		})
	}
}

func TestRevokeIsRefused(t *testing.T) {
	t.Parallel()
	t.Run("no endpoint", func(t *testing.T) {
		t.Parallel()
		s := serve(t, nil)
		s.ExpectError("revoke", s.Post("/revoke?token=x"), http.StatusNotFound, "not_found")
	})
	t.Run("no provider", func(t *testing.T) {
		t.Parallel()
		s := serve(t, withRevoke(""))
		s.Provider.Close()
		got := s.Post("/revoke?token=x")
		s.ExpectError("revoke", got, http.StatusBadGateway, "temporarily_unavailable")
	})
	t.Run("no plugin", func(t *testing.T) {
		t.Parallel()
		s := serve(t, func(c *Config) { c.Plugin = nil })
		got := s.Post("/revoke?token=x")
		s.ExpectError("revoke", got, http.StatusServiceUnavailable, "temporarily_unavailable")
	})
	root := serve(t, withRevoke(""))
	t.Cleanup(func() {
		if revoked := root.Provider.Revoked(); len(revoked) > 0 {
			t.Errorf("the provider was asked to revoke %q", revoked)
		}
	})
	for name, query := range map[string]string{
		"no query":   "",
		"blank":      "?token=",
		"as code":    "?code=x",
		"too large":  "?token=" + strings.Repeat("x", maxRefreshToken+1),
		"a new line": "?token=a%0d%0ab",
		"no UTF-8":   "?token=a%ff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			s.ExpectError("revoke", s.Post("/revoke"+query), http.StatusBadRequest, "invalid_request")
		})
	}
	t.Run("GET", func(t *testing.T) {
		t.Parallel()
		s := root.in(t)
		s.ExpectError("revoke", s.Get("/revoke?token=x"), http.StatusMethodNotAllowed, "invalid_request")
	})
}

// A sign-out that has begun is finished even if the plugin is closed.
func TestRevokeOutlivesThePlugin(t *testing.T) {
	t.Parallel()
	s := serve(t, withRevoke(""))
	asked, gone, kept := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
	s.Provider.Answers(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-gone
		kept <- keptUp(r)
	})
	s.leave(http.MethodPost, s.URL+"/revoke?token=x", asked)
	close(gone)
	if !<-kept {
		t.Error("the request was cancelled")
	}
}

// After a sign-out, the answer of a refresh just before it is not given again, whichever of its tokens is
// revoked.
func TestRevokeForgetsRefreshes(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{
		"refresh token": "RT-1", "access token": "AT/1%2Bx==", "old refresh token": "old", "nested": "inner",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, asked := rotatedOnce(t)
			s.Expect("revoke", s.Post("/revoke?token="+token), http.StatusOK, "{}")
			s.Post("/refresh?code=old")
			if s.Provider.Exchanges() != asked+1 {
				t.Error("the revoked tokens were given again")
			}
		})
	}
}

// A stranger's junk, or words that stand in everybody's answer, take nobody's answer away.
func TestRevokeOfJunkForgetsNothing(t *testing.T) {
	t.Parallel()
	s, asked := rotatedOnce(t)
	for _, token := range []string{"junk", "bearer", "RT", "RT-1-", "1", "%7B", `"`, "my-id", "OLD"} {
		s.Post("/revoke?token=" + token)
	}
	if got := s.Post("/refresh?code=old"); got.Status != http.StatusOK || s.Provider.Exchanges() != asked {
		t.Errorf("the answer is not given again: %d %s", got.Status, got.Body)
	}
}

// rotatedOnce serves a plugin whose token "old" has just been rotated, and returns how many requests that
// took.
func rotatedOnce(t *testing.T) (s *testServer, asked int) {
	t.Helper()
	s = serve(t, func(c *Config) {
		withRevoke("")(c)
		c.timing.refreshKept = time.Hour
	})
	s.Provider.Answers(answerJSON(http.StatusOK,
		`{"token_type":"bearer","id":"my-id","access_token":"AT/1+x==",`+
			`"refresh_token":"RT-1","list":[{"authed_user":{"access_token":"inner"}}]}`))
	if got := s.Post("/refresh?code=old"); got.Status != http.StatusOK {
		t.Fatal(got.Status, got.Body)
	}
	s.Provider.Answers(nil)
	return s, s.Provider.Exchanges()
}

// A network may revoke so many tokens that did not come from here, whatever the provider says of them. That
// takes nothing from its refreshes.
func TestRevokeRateLimit(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, func(c *Config) {
		withRevoke("")(c)
		limitRefreshes(clock)(c)
	})
	_, readKey := s.Login()
	s.expectTokensAgain(readKey)
	revoke := func(address, token string) testkit.Answer {
		return s.Request(http.MethodPost, "/revoke?token="+token, "", "Fly-Client-IP: "+address)
	}
	for i := range 12 {
		got := revoke("192.0.2.1", "junk"+rand.Text())
		if i < 10 {
			s.Expect("junk", got, http.StatusOK, "{}")
			continue
		}
		s.ExpectError("more junk", got, http.StatusTooManyRequests, "temporarily_unavailable")
		if got.Header.Get("Retry-After") != "60" {
			t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
		}
	}
	if count := len(s.Provider.Revoked()); count != 10 {
		t.Errorf("the provider was asked %d times", count)
	}
	s.Expect("a token that came from here", revoke("192.0.2.1", "RT-1"), http.StatusOK, "{}")
	for range 2 {
		s.ExpectError("the same again", revoke("192.0.2.1", "RT-1"), http.StatusTooManyRequests,
			"temporarily_unavailable")
		s.expectTokensAgain(readKey)
	}
	s.Expect("another network", revoke("192.0.2.2", "junk"), http.StatusOK, "{}")
	s.Expect("a refresh", s.refreshFrom("192.0.2.1", "RT-2"), http.StatusOK, testkit.TokenResponse)
	clock.move(time.Minute)
	s.Expect("a minute later", revoke("192.0.2.1", "junk"), http.StatusOK, "{}")
}
