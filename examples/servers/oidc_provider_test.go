package servers

import (
	"net/http"
	"testing"

	"plugin-oauth/internal/testkit"
)

// registration is what oidc-provider knows of the plugin. Its defaults are those of a web application.
type registration struct {
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret,omitempty"`
	RedirectURIs []string `json:"redirect_uris"`
	GrantTypes   []string `json:"grant_types"`
	AuthMethod   string   `json:"token_endpoint_auth_method,omitempty"`
	Scope        string   `json:"scope,omitempty"` // what it may ask for; blank: everything
}

// certified is the program with oidc-provider as its provider.
type certified struct {
	*testkit.Process

	server *server
	person *person
}

// certifiedOptions changes what both sides agree on.
type certifiedOptions struct {
	// change changes what the provider knows of the plugin. It may be nil.
	change func(*registration)

	// withoutPKCE lets the provider take codes without a verifier.
	withoutPKCE bool

	// env is added to the program's environment.
	env []string
}

func startCertified(t *testing.T, options certifiedOptions) *certified {
	t.Helper()
	t.Parallel()
	p := testkit.NewProcess(t)
	client := registration{
		ClientID:     clientID,
		ClientSecret: clientSecret,
		RedirectURIs: []string{p.URL + "/redirect"},
		GrantTypes:   []string{"authorization_code", "refresh_token"},
		AuthMethod:   "client_secret_post",
	}
	if options.change != nil {
		options.change(&client)
	}
	s := startServer(t, p.Backend, "oidc-provider.mjs", map[string]any{
		"clients":      []registration{client},
		"requiresPKCE": !options.withoutPKCE,
	})
	p.Env = append(p.Env,
		"CLIENT_ID="+clientID,
		"CLIENT_SECRET="+clientSecret,
		"AUTHORIZE_ENDPOINT="+s.url+"/auth",
		"TOKEN_ENDPOINT="+s.url+"/token",
		"REVOKE_ENDPOINT="+s.url+"/token/revocation",
		"AUTHORIZE_PARAMS=prompt=consent", // else there is no refresh token
		"SCOPE=openid offline_access",
		"ISSUER="+s.url,
	)
	p.Env = append(p.Env, options.env...)
	p.Start()
	return &certified{Process: p, server: s, person: newPerson(t, p.Backend)}
}

// in returns the same programs for a subtest, with a person of its own.
func (c *certified) in(t *testing.T) *certified {
	p := inSubtest(t, c.Process)
	return &certified{Process: p, server: c.server.in(t, p.Backend), person: newPerson(t, p.Backend)}
}

// login goes through a whole login, and returns the tokens.
func (c *certified) login() tokens {
	c.T.Helper()
	authorizationURL, readKey := c.Authorize()
	c.ExpectPage("redirect", c.Get(c.person.agree(authorizationURL)), http.StatusOK, "You are signed in")
	return readTokens(c.server.t, c.Poll(readKey))
}

// restart starts the program again with more in its environment.
func (c *certified) restart(env ...string) {
	c.T.Helper()
	c.Terminate()
	c.Env = append(c.Env, env...)
	c.Start()
}
