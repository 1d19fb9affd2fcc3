package servers

import (
	"net/http"
	"strings"
	"testing"
)

// Settings that the provider does not agree with.
func TestMisconfigured(t *testing.T) {
	t.Parallel()
	t.Run("PKCE is off where the provider insists on it", func(t *testing.T) {
		c := startCertified(t, certifiedOptions{env: []string{"PKCE=off"}})
		c.expectRefusal("invalid_request", "PKCE")
	})
	t.Run("a scope that the client may not have", func(t *testing.T) {
		c := startCertified(t, certifiedOptions{
			change: func(client *registration) { client.Scope = "openid offline_access" },
			env:    []string{"SCOPE=openid offline_access files"},
		})
		c.expectRefusal("invalid_scope", "SCOPE")
	})
	t.Run("a scope that nobody knows", func(t *testing.T) {
		c := startCertified(t, certifiedOptions{env: []string{"SCOPE=openid offline_access nonsense"}})
		if got := c.login(); got.Scope != "openid offline_access" { // it is ignored, and the answer says so
			t.Errorf("the scope is %q", got.Scope)
		}
	})
	t.Run("another redirect URI is registered", func(t *testing.T) {
		c := startCertified(t, certifiedOptions{change: func(client *registration) {
			client.RedirectURIs = []string{"https://elsewhere.example/redirect"}
		}})
		c.expectLeftAtProvider()
	})
	t.Run("the client is unknown", func(t *testing.T) {
		c := startCertified(t, certifiedOptions{env: []string{"CLIENT_ID=nobody"}})
		c.expectLeftAtProvider()
		c.ExpectError("refresh", refresh(c.Backend, "any"), http.StatusUnauthorized, "invalid_client")
	})
}

// A redirect that names another issuer than the configured one is refused (RFC 9207), and its code goes
// nowhere.
func TestOtherIssuer(t *testing.T) {
	c := startCertified(t, certifiedOptions{env: []string{"ISSUER=https://elsewhere.example"}})
	c.server.awaitCheck()
	authorizationURL, readKey := c.Authorize()
	page := c.Get(c.person.agree(authorizationURL))
	c.ExpectPage("redirect", page, http.StatusBadGateway, "another provider")
	c.ExpectError("poll", c.Poll(readKey), http.StatusBadRequest, "invalid_request")
	if asked := c.server.tokenRequests(); asked != 1 { // the check
		t.Errorf("the token endpoint was asked %d times", asked)
	}
}

// expectLeftAtProvider goes through a login that the provider refuses on a page of its own. The plugin goes
// on waiting.
func (c *certified) expectLeftAtProvider() {
	c.T.Helper()
	authorizationURL, readKey := c.Authorize()
	at := c.person.open(authorizationURL.String())
	if at.status != http.StatusBadRequest || at.callback != "" {
		c.T.Errorf("the provider's page: %d %s", at.status, at.callback)
	}
	c.Expect("poll", c.Poll(readKey), http.StatusNotFound, bodyPending)
}

// expectRefusal goes through a login that the provider refuses at once, by a redirect with an error. The page
// and the doctor name the setting to look at.
func (c *certified) expectRefusal(code, setting string) {
	c.T.Helper()
	authorizationURL, readKey := c.Authorize()
	at := c.person.open(authorizationURL.String())
	got := c.Get(at.callback)
	c.ExpectPage("redirect", got, http.StatusBadGateway, code)
	c.ExpectPage("redirect", got, http.StatusBadGateway, setting)
	c.ExpectError("poll", c.Poll(readKey), http.StatusBadRequest, code)
	if printed, exit := c.Run("doctor"); exit != 1 || !strings.Contains(printed, setting) {
		c.T.Errorf("the doctor ended with %d, and printed %s", exit, printed)
	}
}

// A wrong secret is no reason to sign in again. The doctor finds it.
func TestWrongSecret(t *testing.T) {
	c := startCertified(t, certifiedOptions{})
	first := c.login()
	authorizationURL, readKey := c.Authorize()
	callback := c.person.agree(authorizationURL)
	c.restart("CLIENT_SECRET=wrong")
	c.ExpectPage("redirect", c.Get(callback), http.StatusBadGateway, "invalid_client")
	c.ExpectError("poll", c.Poll(readKey), http.StatusBadRequest, "invalid_client")
	got := refresh(c.Backend, first.RefreshToken)
	c.ExpectError("refresh", got, http.StatusUnauthorized, "invalid_client")
	c.ExpectError("revoke", c.revoke(first.RefreshToken, ""), http.StatusUnauthorized, "invalid_client")
	if printed, code := c.Run("doctor"); code != 1 || !strings.Contains(printed, "CLIENT_SECRET") {
		t.Errorf("the doctor ended with %d, and printed %s", code, printed)
	}
	c.restart("CLIENT_SECRET=" + clientSecret)
	if printed, code := c.Run("doctor"); code != 0 {
		t.Errorf("the doctor ended with %d, and printed %s", code, printed)
	}
	readTokens(t, refresh(c.Backend, first.RefreshToken))
}
