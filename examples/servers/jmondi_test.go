package servers

import (
	"cmp"
	"net/http"
	"net/url"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// league is the program with @jmondi/oauth2-server as its provider. That one speaks as league/oauth2-server
// does.
type league struct {
	*testkit.Process

	server *server
}

// leagueOptions changes what both sides agree on.
type leagueOptions struct {
	// secret is the client secret that the provider knows, if it is not the usual one.
	secret string

	// env is added to the program's environment.
	env []string
}

func startLeague(t *testing.T, options leagueOptions) *league {
	t.Helper()
	t.Parallel()
	p := testkit.NewProcess(t)
	secret := cmp.Or(options.secret, clientSecret)
	s := startServer(t, p.Backend, "jmondi.mjs", map[string]any{"client": map[string]any{
		"id":            clientID,
		"name":          "Some Plugin",
		"secret":        secret,
		"redirectUris":  []string{p.URL + "/redirect"},
		"allowedGrants": []string{"authorization_code", "refresh_token"},
		"scopes":        []string{},
	}})
	p.Env = append(p.Env,
		"CLIENT_ID="+clientID,
		"CLIENT_SECRET="+secret,
		"AUTHORIZE_ENDPOINT="+s.url+"/authorize",
		"TOKEN_ENDPOINT="+s.url+"/token",
		"REVOKE_ENDPOINT="+s.url+"/token/revoke",
		"SCOPE=files",
	)
	p.Env = append(p.Env, options.env...)
	p.Start()
	return &league{Process: p, server: s}
}

// in returns the same programs for a subtest.
func (l *league) in(t *testing.T) *league {
	p := inSubtest(t, l.Process)
	return &league{Process: p, server: l.server.in(t, p.Backend)}
}

// login goes through a whole login, and returns the tokens.
func (l *league) login() tokens {
	l.T.Helper()
	page, readKey := l.Login()
	l.ExpectPage("redirect", page, http.StatusOK, "You are signed in")
	return readTokens(l.server.t, l.Poll(readKey))
}

// Each refresh rotates the token. The old one brings the same answer for some seconds, from memory; after
// that it is an invalid_request whose words say that the token has been revoked.
func TestLeagueRotation(t *testing.T) {
	l := startLeague(t, leagueOptions{})
	l.server.awaitCheck()
	first := l.login()
	if first.TokenType != "Bearer" || first.ExpiresIn == nil || first.IDToken != "" ||
		first.Scope != "files" {
		t.Errorf("the tokens are %+v", first)
	}
	got := refresh(l.Backend, first.RefreshToken)
	second := readTokens(t, got)
	if second.RefreshToken == first.RefreshToken {
		t.Fatal("the provider keeps the refresh token")
	}
	l.Expect("a second window", refresh(l.Backend, first.RefreshToken), got.Status, got.Body)
	if asked := l.server.tokenRequests(); asked != 3 { // one was the check
		t.Errorf("the token endpoint was asked %d times", asked)
	}
	l.Crash() // which forgets the answer as time would
	expectDead(l.Backend, "the old token, after the memory", first.RefreshToken)
	readTokens(t, refresh(l.Backend, second.RefreshToken)) // it ends nothing else
}

// The provider does not decode what comes in Basic authentication (RFC 6749 section 2.3.1), so a secret that
// needs encoding only works in the body, as in the other tests.
func TestLeagueBasic(t *testing.T) {
	t.Parallel()
	t.Run("a plain secret", func(t *testing.T) {
		l := startLeague(t, leagueOptions{secret: "plain-secret", env: []string{"TOKEN_AUTH=basic"}})
		readTokens(t, refresh(l.Backend, l.login().RefreshToken))
	})
	t.Run("a secret that needs encoding", func(t *testing.T) {
		l := startLeague(t, leagueOptions{env: []string{"TOKEN_AUTH=basic"}})
		page, readKey := l.Login()
		l.ExpectPage("redirect", page, http.StatusBadGateway, "TOKEN_AUTH")
		l.ExpectError("poll", l.Poll(readKey), http.StatusBadRequest, "invalid_client")
	})
}

// "Client has been revoked or is invalid" is about the client, in words that are otherwise about tokens.
func TestLeagueWrongSecret(t *testing.T) {
	l := startLeague(t, leagueOptions{})
	first := l.login()
	authorizationURL, readKey := l.Authorize()
	callback := l.Agree(authorizationURL)
	l.Terminate()
	l.Env = append(l.Env, "CLIENT_SECRET=wrong")
	l.Start()
	l.ExpectPage("redirect", l.Get(callback), http.StatusBadGateway, "invalid_client")
	l.ExpectError("poll", l.Poll(readKey), http.StatusBadRequest, "invalid_client")
	got := refresh(l.Backend, first.RefreshToken)
	l.ExpectError("refresh", got, http.StatusUnauthorized, "invalid_client")
}

// A dead refresh token is an invalid_request here.
func TestLeagueDeadRefreshToken(t *testing.T) {
	shared := startLeague(t, leagueOptions{})
	t.Run("expired", func(t *testing.T) {
		l := shared.in(t)
		got := l.login()
		l.server.forward(31 * 24 * time.Hour)
		expectDead(l.Backend, "refresh", got.RefreshToken)
	})
	t.Run("revoked", func(t *testing.T) {
		l := shared.in(t)
		got := l.login()
		form := url.Values{"token": {got.RefreshToken}, "token_type_hint": {"refresh_token"}}
		revoked := l.Request(http.MethodPost, "/revoke", form.Encode(),
			"Content-Type: application/x-www-form-urlencoded")
		l.Expect("revoke", revoked, http.StatusOK, "{}")
		expectDead(l.Backend, "refresh", got.RefreshToken)
	})
	t.Run("an access token", func(t *testing.T) {
		l := shared.in(t)
		expectDead(l.Backend, "refresh", l.login().AccessToken)
	})
	t.Run("made up", func(t *testing.T) {
		expectDead(shared.in(t).Backend, "refresh", "made-up")
	})
	t.Run("signed with a key that was replaced", func(t *testing.T) {
		l := shared.in(t)
		got := l.login()
		l.server.stop()
		l.server.start()
		expectDead(l.Backend, "refresh", got.RefreshToken)
	})
	t.Run("not revoked, for want of a hint", func(t *testing.T) {
		l := shared.in(t)
		got := l.login()
		l.Expect("revoke", l.Post("/revoke?token="+got.RefreshToken), http.StatusOK, "{}")
		readTokens(t, refresh(l.Backend, got.RefreshToken)) // the provider says yes and does nothing
	})
}

// A code that was used before is an invalid_request here, and the provider ends what it had led to.
func TestLeagueCodeUsedTwice(t *testing.T) {
	l := startLeague(t, leagueOptions{})
	authorizationURL, readKey := l.Authorize()
	callback := l.Agree(authorizationURL)
	l.ExpectPage("redirect", l.Get(callback), http.StatusOK, "You are signed in")
	l.ExpectPage("reload", l.Get(callback), http.StatusOK, "You are signed in")
	first := readTokens(t, l.Poll(readKey))
	other, otherKey := l.Authorize()
	l.ExpectPage("another login with the same code", l.Get(withState(t, callback, other)),
		http.StatusBadGateway, "invalid_request")
	l.ExpectError("poll", l.Poll(otherKey), http.StatusBadRequest, "invalid_request")
	expectDead(l.Backend, "the first login's refresh", first.RefreshToken)
}

// What the provider does not accept at its first page, it says there and not by a redirect, so the plugin
// goes on waiting.
func TestLeagueRefusesWithoutRedirect(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]string{
		"a scope that nobody knows": "SCOPE=files nonsense",
		"PKCE is off":               "PKCE=off",
	} {
		t.Run(name, func(t *testing.T) {
			l := startLeague(t, leagueOptions{env: []string{env}})
			authorizationURL, readKey := l.Authorize()
			got := l.Get(authorizationURL.String())
			if got.Status != http.StatusBadRequest || got.Header.Get("Location") != "" {
				t.Errorf("the provider's page: %d %s", got.Status, got.Body)
			}
			l.Expect("poll", l.Poll(readKey), http.StatusNotFound, bodyPending)
		})
	}
}

// The provider is restarted with a new signing key while a code is under way.
func TestLeagueRestarted(t *testing.T) {
	l := startLeague(t, leagueOptions{})
	authorizationURL, readKey := l.Authorize()
	callback := l.Agree(authorizationURL)
	l.server.stop()
	l.server.start()
	for _, visit := range []string{"redirect", "reload"} {
		l.ExpectPage(visit, l.Get(callback), http.StatusBadGateway, "Sign-in failed")
	}
	l.ExpectError("poll", l.Poll(readKey), http.StatusBadRequest, "invalid_request")
	l.login()
}
