package servers

import (
	"net/http"
	"testing"

	"plugin-oauth/internal/testkit"
)

// nodeOAuth is the program with @node-oauth/oauth2-server as its provider.
type nodeOAuth struct {
	*testkit.Process

	server *server
}

// nodeOAuthOptions changes what both sides agree on.
type nodeOAuthOptions struct {
	// denied lets the person say no.
	denied bool

	// env is added to the program's environment.
	env []string
}

func startNodeOAuth(t *testing.T, options nodeOAuthOptions) *nodeOAuth {
	t.Helper()
	t.Parallel()
	p := testkit.NewProcess(t)
	allowed := "true"
	if options.denied {
		allowed = "false"
	}
	s := startServer(t, p.Backend, "node-oauth.mjs", map[string]any{
		"allowed": allowed,
		"client": map[string]any{
			"id":           clientID,
			"secret":       clientSecret,
			"redirectUris": []string{p.URL + "/redirect"},
			"grants":       []string{"authorization_code", "refresh_token"},
		},
	})
	p.Env = append(p.Env,
		"CLIENT_ID="+clientID,
		"CLIENT_SECRET="+clientSecret,
		"AUTHORIZE_ENDPOINT="+s.url+"/authorize",
		"TOKEN_ENDPOINT="+s.url+"/token",
		"SCOPE=files",
	)
	p.Env = append(p.Env, options.env...)
	p.Start()
	return &nodeOAuth{Process: p, server: s}
}

// A token response without expires_in is one, and so is one without a refresh token. What the provider's
// database does not answer is a 503, which leaves the person signed in.
func TestNodeOAuth(t *testing.T) {
	n := startNodeOAuth(t, nodeOAuthOptions{})
	page, readKey := n.Login()
	n.ExpectPage("redirect", page, http.StatusOK, "You are signed in")
	first := readTokens(t, n.Poll(readKey))
	if first.ExpiresIn != nil || first.RefreshToken == "" {
		t.Errorf("the tokens are %+v", first)
	}
	for _, window := range []string{"first window", "second window"} {
		second := readTokens(t, refresh(n.Backend, first.RefreshToken))
		if second.RefreshToken != "" || second.AccessToken == first.AccessToken {
			t.Errorf("%s: the tokens are %+v", window, second)
		}
	}
	expectDead(n.Backend, "a made-up token", "made-up")
	got := refresh(n.Backend, "while-the-database-is-down")
	n.ExpectError("the database is down", got, http.StatusServiceUnavailable, "server_error")
	n.Terminate()
	n.Env = append(n.Env, "CLIENT_SECRET=wrong")
	n.Start()
	got = refresh(n.Backend, first.RefreshToken)
	n.ExpectError("wrong secret", got, http.StatusBadRequest, "invalid_client") // and not 401
}

// The provider does not decode what comes in Basic authentication, and says so with a challenge.
func TestNodeOAuthBasic(t *testing.T) {
	n := startNodeOAuth(t, nodeOAuthOptions{env: []string{"TOKEN_AUTH=basic"}})
	page, readKey := n.Login()
	n.ExpectPage("redirect", page, http.StatusBadGateway, "TOKEN_AUTH")
	n.ExpectError("poll", n.Poll(readKey), http.StatusBadRequest, "invalid_client")
}

// What the person or the provider refuses comes by a redirect.
func TestNodeOAuthRefuses(t *testing.T) {
	t.Parallel()
	t.Run("the person", func(t *testing.T) {
		n := startNodeOAuth(t, nodeOAuthOptions{denied: true})
		page, readKey := n.Login()
		n.ExpectPage("redirect", page, http.StatusBadRequest, "Sign-in cancelled")
		n.ExpectError("poll", n.Poll(readKey), http.StatusBadRequest, "access_denied")
	})
	t.Run("the scope", func(t *testing.T) {
		n := startNodeOAuth(t, nodeOAuthOptions{env: []string{"SCOPE=nonsense"}})
		page, readKey := n.Login()
		n.ExpectPage("redirect", page, http.StatusBadGateway, "SCOPE")
		n.ExpectError("poll", n.Poll(readKey), http.StatusBadRequest, "invalid_scope")
	})
}
