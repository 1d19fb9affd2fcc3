package hooks

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// withRevoke gives the plugin a revoke endpoint of a kind at its provider.
func withRevoke(kind string) func(*Config) {
	return func(c *Config) {
		c.Plugin.RevokeEndpoint = strings.TrimSuffix(c.Plugin.TokenEndpoint, "/token") + "/revoke"
		c.Plugin.revokeKind = kind
	}
}

// The token reaches the provider in its way, whichever way the plugin sends it.
func TestRevoke(t *testing.T) {
	t.Parallel()
	tests := [][2]string{{"", ""}, {"rfc7009", "basic"}, {"rfc7009", "basic-secret"}}
	for _, kind := range revokeKinds {
		tests = append(tests, [2]string{kind, "body"})
	}
	for _, test := range tests {
		t.Run(strings.Join(test[:], " "), func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(c *Config) { withRevoke(test[0])(c); c.Plugin.TokenAuth = test[1] })
			s.expect("query", s.post("/revoke?token=hinted%2Fb&token_type_hint=refresh_token"), http.StatusOK, "{}")
			s.expect("un-encoded", s.post("/revoke?token=50%+x=="), http.StatusOK, "{}")
			s.expect("form", s.request(http.MethodPost, "/revoke/", "token=c"), http.StatusOK, "{}")
			s.expect("JSON", s.request(http.MethodPost, "/revoke", `{"token":"d"}`), http.StatusOK, "{}")
			if got := fmt.Sprint(s.provider.revoked); got != "[hinted/b 50%+x== c d]" {
				t.Errorf("the provider was sent %s", got)
			}
		})
	}
}

func TestRevokeFaults(t *testing.T) {
	t.Parallel()
	servers := map[string]*relayServer{}
	for _, test := range []struct {
		kind           string
		providerStatus int
		providerBody   string
		status         int
		code           string
	}{
		{"rfc7009", 200, "", 200, ""},
		{"rfc7009", 204, "", 200, ""},
		{"rfc7009", 200, "<html>", 200, ""},
		// A token that is unknown, or ended before (RFC 7009 section 2.2).
		{"rfc7009", 400, `{"error":"invalid_token"}`, 200, ""},
		{"token", 400, `{"error":"invalid_token","error_description":"Token expired or revoked"}`, 200, ""},
		{"bearer", 200, `{"ok":false,"error":"token_revoked"}`, 200, ""},
		{"bearer", 200, `{"ok":false,"error":"invalid_auth"}`, 200, ""},
		{"bearer", 401, `{"error_summary":"expired_access_token/"}`, 200, ""},
		{"github", 404, `{"message":"Not Found"}`, 200, ""},
		{"github", 422, `{"message":"Validation Failed"}`, 200, ""},
		// Everything else is not a log-out.
		{"bearer", 400, "", 400, "server_error"},
		{"rfc7009", 404, "", 404, "server_error"},
		{"rfc7009", 401, `{"error":"invalid_client"}`, 401, "invalid_client"},
		{"rfc7009", 401, "", 401, "server_error"},
		{"github", 401, `{"message":"Bad credentials"}`, 401, "server_error"},
		{"bearer", 200, `{"ok":false,"error":"fatal_error"}`, 502, "fatal_error"},
		{"rfc7009", 302, "", 502, "server_error"},
		{"rfc7009", 500, "secret token", 500, "server_error"},
		{"rfc7009", 503, `{"error":"temporarily_unavailable","error_description":"token"}`, 503, "temporarily_unavailable"},
		{"rfc7009", 429, "", 429, "server_error"},
	} {
		s := servers[test.kind]
		if s == nil {
			s = serve(t, withRevoke(test.kind))
			servers[test.kind] = s
		}
		s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(test.providerStatus)
			io.WriteString(w, test.providerBody)
		})
		what := fmt.Sprint(test.kind, " ", test.providerStatus, " ", test.providerBody)
		got := s.post("/revoke?token=the-token")
		if test.status == http.StatusOK {
			s.expect(what, got, http.StatusOK, "{}")
			continue
		}
		s.expectError(what, got, test.status, test.code)
		if strings.Contains(got.body, "secret token") || strings.Contains(s.logged(), "the-token") {
			t.Errorf("%s: it shows what is secret: %s\n%s", what, got.body, s.logged())
		}
	}
}

func TestRevokeIsRefused(t *testing.T) {
	t.Parallel()
	without := serve(t, nil)
	without.expectError("no endpoint", without.post("/revoke?token=x"), http.StatusNotFound, "not_found")
	s := serve(t, withRevoke(""))
	for _, path := range []string{"/revoke", "/revoke?token=", "/revoke?code=x", "/revoke?token=" + strings.Repeat("x", maxRefreshToken+1), "/revoke?token=a%0d%0ab", "/revoke?token=a%ff"} {
		s.expectError(path, s.post(path), http.StatusBadRequest, "invalid_request")
	}
	s.expectError("GET", s.get("/revoke?token=x"), http.StatusMethodNotAllowed, "invalid_request")
	if len(s.provider.revoked) > 0 {
		t.Error("the provider was asked")
	}
	s.provider.Close()
	s.expectError("no provider", s.post("/revoke?token=x"), http.StatusBadGateway, "temporarily_unavailable")
	none := serve(t, func(c *Config) { c.Plugin = nil })
	none.expectError("no plugin", none.post("/revoke?token=x"), http.StatusServiceUnavailable, "temporarily_unavailable")
}

// A log-out that has begun is finished, though the plugin is closed.
func TestRevokeOutlivesThePlugin(t *testing.T) {
	t.Parallel()
	s := serve(t, withRevoke(""))
	asked := make(chan struct{})
	done := make(chan error, 1)
	s.provider.answers(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		select {
		case <-r.Context().Done():
			done <- fmt.Errorf("the request was cancelled")
		case <-time.After(300 * time.Millisecond):
			done <- nil
		}
	})
	client := &http.Client{Timeout: 100 * time.Millisecond}
	go func() {
		if response, err := client.Post(s.url+"/revoke?token=x", "", nil); err == nil {
			response.Body.Close()
		}
	}()
	<-asked
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// After a log-out, the answer of a refresh just before it is not given again.
func TestRevokeForgetsRefreshes(t *testing.T) {
	t.Parallel()
	s := serve(t, withRevoke(""))
	s.expect("refresh", s.post("/refresh?code=old"), http.StatusOK, tokenResponse)
	s.expect("revoke", s.post("/revoke?token=RT-1"), http.StatusOK, "{}")
	asked := s.provider.exchanges()
	s.post("/refresh?code=old")
	if s.provider.exchanges() != asked+1 {
		t.Error("the revoked tokens were given again")
	}
}
