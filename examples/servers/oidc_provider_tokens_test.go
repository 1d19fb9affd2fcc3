package servers

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// days is a time in which the provider begins to rotate the refresh tokens that it gives for 14 days.
const days = 10 * 24 * time.Hour

// The provider keeps a refresh token at first, and rotates it later. The old one brings the same answer for
// some seconds, from memory. Without that memory the provider takes it for stolen, and ends everything.
func TestRotation(t *testing.T) {
	c := startCertified(t, certifiedOptions{})
	c.server.awaitCheck()
	first := c.login()
	kept := readTokens(t, refresh(c.Backend, first.RefreshToken))
	if kept.RefreshToken != first.RefreshToken {
		t.Fatal("the provider rotates young refresh tokens")
	}
	c.server.forward(days)
	got := refresh(c.Backend, first.RefreshToken)
	second := readTokens(t, got)
	if second.RefreshToken == first.RefreshToken {
		t.Fatal("the provider keeps the refresh token")
	}
	asked := c.server.tokenRequests()
	c.Expect("a second window", refresh(c.Backend, first.RefreshToken), got.Status, got.Body)
	if again := c.server.tokenRequests(); again != asked {
		t.Errorf("the second window's refresh reached the provider")
	}
	third := readTokens(t, refresh(c.Backend, second.RefreshToken))
	c.Crash() // which forgets the answers as time would
	expectDead(c.Backend, "the old token, after the memory", first.RefreshToken)
	expectDead(c.Backend, "the newest, since one was used twice", third.RefreshToken)
}

// Refreshes with one token that come at once are one at the provider.
func TestRefreshAtOnce(t *testing.T) {
	c := startCertified(t, certifiedOptions{})
	c.server.awaitCheck()
	first := c.login()
	c.server.forward(days)
	asked := c.server.tokenRequests()
	answers := atOnce(func() testkit.Answer { return refresh(c.Backend, first.RefreshToken) })
	for _, got := range answers[1:] {
		c.Expect("another window", got, answers[0].Status, answers[0].Body)
	}
	if again := c.server.tokenRequests(); again != asked+1 {
		t.Errorf("the provider was asked %d times", again-asked)
	}
	readTokens(t, refresh(c.Backend, readTokens(t, answers[0]).RefreshToken))
}

// A refresh token that is no longer good.
func TestDeadRefreshToken(t *testing.T) {
	shared := startCertified(t, certifiedOptions{})
	t.Run("made up", func(t *testing.T) {
		c := shared.in(t)
		expectDead(c.Backend, "refresh", "made-up")
		expectDead(c.Backend, "refresh with what nobody issues", "made up/+%&=\"<>")
	})
	t.Run("expired", func(t *testing.T) {
		c := shared.in(t)
		got := c.login()
		c.server.forward(15 * 24 * time.Hour)
		expectDead(c.Backend, "refresh", got.RefreshToken)
	})
	t.Run("revoked", func(t *testing.T) {
		c := shared.in(t)
		got := c.login()
		c.Expect("revoke", c.revoke(got.RefreshToken, ""), http.StatusOK, "{}")
		expectDead(c.Backend, "refresh", got.RefreshToken)
	})
	t.Run("rotated, then revoked", func(t *testing.T) {
		c := shared.in(t)
		first := c.login()
		c.server.forward(days)
		second := readTokens(t, refresh(c.Backend, first.RefreshToken))
		c.Expect("revoke", c.revoke(second.RefreshToken, "refresh_token"), http.StatusOK, "{}")
		expectDead(c.Backend, "the first token, from no memory", first.RefreshToken)
		expectDead(c.Backend, "the second token", second.RefreshToken)
	})
	t.Run("an access token", func(t *testing.T) {
		c := shared.in(t)
		expectDead(c.Backend, "refresh", c.login().AccessToken)
	})
}

func (c *certified) revoke(token, hint string) testkit.Answer {
	c.T.Helper()
	form := url.Values{"token": {token}, "token_type_hint": {hint}}
	return c.Request(http.MethodPost, "/revoke", form.Encode(),
		"Content-Type: application/x-www-form-urlencoded")
}

// Revocation ends a grant through either token, minds nothing that it does not know, and refuses ID tokens.
func TestRevocation(t *testing.T) {
	shared := startCertified(t, certifiedOptions{})
	t.Run("the access token", func(t *testing.T) {
		c := shared.in(t)
		got := c.login()
		c.Expect("revoke", c.revoke(got.AccessToken, "access_token"), http.StatusOK, "{}")
		expectDead(c.Backend, "refresh", got.RefreshToken)
	})
	t.Run("made up", func(t *testing.T) {
		c := shared.in(t)
		c.Expect("revoke", c.revoke("made-up", ""), http.StatusOK, "{}")
	})
	t.Run("an ID token", func(t *testing.T) {
		c := shared.in(t)
		got := c.revoke(c.login().IDToken, "")
		c.ExpectError("revoke", got, http.StatusBadRequest, "unsupported_token_type")
	})
}
