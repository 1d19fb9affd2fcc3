package servers

import (
	"net/http"
	"testing"
)

// The provider is restarted, and forgets everything.
func TestProviderRestarted(t *testing.T) {
	shared := startCertified(t, certifiedOptions{})
	t.Run("before the login page", func(t *testing.T) {
		c := shared.in(t)
		authorizationURL, readKey := c.Authorize()
		c.server.stop()
		c.server.start()
		c.ExpectPage("redirect", c.Get(c.person.agree(authorizationURL)), http.StatusOK, "You are signed in")
		readTokens(t, c.Poll(readKey))
	})
	t.Run("with the login page open", func(t *testing.T) {
		c := shared.in(t)
		authorizationURL, readKey := c.Authorize()
		at := c.person.open(authorizationURL.String())
		c.server.stop()
		c.server.start()
		if lost := c.person.signIn(at); lost.status != http.StatusBadRequest || lost.callback != "" {
			t.Errorf("the provider's page: %d %s", lost.status, lost.callback)
		}
		c.Expect("poll", c.Poll(readKey), http.StatusNotFound, bodyPending)
		// The address that the plugin opened still works, in the same browser.
		c.ExpectPage("redirect", c.Get(c.person.agree(authorizationURL)), http.StatusOK, "You are signed in")
		readTokens(t, c.Poll(readKey))
	})
	t.Run("with a code under way", func(t *testing.T) {
		c := shared.in(t)
		authorizationURL, readKey := c.Authorize()
		callback := c.person.agree(authorizationURL)
		c.server.stop()
		c.server.start()
		c.ExpectPage("redirect", c.Get(callback), http.StatusBadGateway, "invalid_grant")
		c.ExpectError("poll", c.Poll(readKey), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("while it is down", func(t *testing.T) {
		c := shared.in(t)
		first := c.login()
		authorizationURL, readKey := c.Authorize()
		callback := c.person.agree(authorizationURL)
		c.server.stop()
		c.ExpectPage("redirect", c.Get(callback), http.StatusBadGateway, "could not be reached")
		c.ExpectError("poll", c.Poll(readKey), http.StatusBadRequest, "temporarily_unavailable")
		got := refresh(c.Backend, first.RefreshToken)
		c.ExpectError("refresh", got, http.StatusBadGateway, "temporarily_unavailable")
		c.server.start()
		c.login()
	})
}
