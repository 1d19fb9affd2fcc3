package oauth_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"plugin-oauth/hooks/oauth"
)

// metaWays are the ways of Instagram and Threads, and of Facebook.
var metaWays = map[string]func(base string) *oauth.LongLived{
	"instagram": func(base string) *oauth.LongLived {
		return &oauth.LongLived{
			Endpoint: base + "/access_token", GrantType: "ig_exchange_token", TokenParam: "access_token",
			RenewEndpoint: base + "/refresh_access_token", RenewGrantType: "ig_refresh_token",
		}
	},
	"facebook": func(base string) *oauth.LongLived {
		return &oauth.LongLived{
			Endpoint: base + "/token", GrantType: "fb_exchange_token", TokenParam: "fb_exchange_token",
			WithClientID: true,
		}
	},
}

// newLongLived returns a fixture whose provider answers what a function returns for the grant type and the
// token of a request.
func newLongLived(t *testing.T, way string, answer func(grantType, token string) string) *fixture {
	t.Helper()
	f := newFixture(t, func(c *oauth.Client) {
		c.LongLived = metaWays[way](strings.TrimSuffix(c.TokenEndpoint, "/token"))
	})
	f.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		body := answer(r.Form.Get("grant_type"), r.Form.Get(f.client.LongLived.TokenParam))
		if strings.HasPrefix(body, `{"error"`) {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, body)
	})
	return f
}

// The plugin gets the long-lived token, which it sends back as a refresh token.
func TestLongLived(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ way, login, want string }{
		"instagram": {
			way:   "instagram",
			login: `{"access_token":"short/+&","user_id":17841405822304914,"permissions":"a"}`,
			want: `{"refresh_token":"long of short/+&","user_id":17841405822304914,` +
				`"access_token":"long of short/+&", "expires_in":5183944}`,
		},
		"instagram, in an array": {
			way:   "instagram",
			login: `{"data":[{"access_token":"short","user_id":"1"}]}`,
			want: `{"refresh_token":"long of short","user_id":"1",` +
				`"access_token":"long of short", "expires_in":5183944}`,
		},
		"facebook": {
			way: "facebook", login: `{"access_token":"short","token_type":"bearer"}`,
			want: `{"refresh_token":"long of short","access_token":"long of short", "expires_in":5183944}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newLongLived(t, test.way, func(grantType, token string) string {
				if grantType == "authorization_code" {
					return test.login
				}
				return `{"access_token":"long of ` + token + `", "expires_in":5183944}`
			})
			var observed []string
			f.endpoint.Observe = func(call oauth.Call) { observed = append(observed, call.GrantType) }
			tokens, err := f.exchange()
			if err != nil || string(tokens) != test.want {
				t.Errorf("login: %s, %v", tokens, err)
			}
			const renewed = `{"refresh_token":"long of old/+&","access_token":"long of old/+&", ` +
				`"expires_in":5183944}`
			tokens, err = f.endpoint.Refresh(t.Context(), &f.client, "old/+&")
			if err != nil || string(tokens) != renewed {
				t.Errorf("renewal: %s, %v", tokens, err)
			}
			if got := strings.Join(observed, " "); got != "authorization_code refresh_token" {
				t.Errorf("observed are %s", got)
			}
		})
	}
}

// A step that fails ends the login with the provider's error, which quotes neither the secret nor a token.
func TestLongLivedFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ login, long string }{
		"at the code":     {login: `{"error":"invalid_request"}`},
		"without a token": {login: `{"id_token":"x"}`},
		"at the exchange": {login: `{"access_token":"short-lived"}`, long: `{"error":"invalid_request"}`},
		"with HTML":       {login: `{"access_token":"short-lived"}`, long: "<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newLongLived(t, "instagram", func(grantType, _ string) string {
				if grantType == "authorization_code" {
					return test.login
				}
				return test.long
			})
			tokens, err := f.exchange()
			if err == nil {
				t.Fatalf("got %s", tokens)
			}
			expectNoSecret(t, err, "short-lived")
			if test.long == "" {
				return
			}
			_, err = f.endpoint.Refresh(t.Context(), &f.client, "old-token")
			if err == nil {
				t.Error("the renewal is good")
			}
			expectNoSecret(t, err, "old-token")
		})
	}
}

// Nothing is quoted of an address that could not be reached, since it has the client secret in it.
func TestLongLivedUnreachable(t *testing.T) {
	t.Parallel()
	f := newLongLived(t, "facebook", func(string, string) string { return "" })
	f.client.LongLived.Endpoint = "http://127.0.0.1:1/token"
	_, err := f.endpoint.Refresh(t.Context(), &f.client, "old-token")
	unreachable.expect(t, err)
	expectNoSecret(t, err, "old-token")
}
