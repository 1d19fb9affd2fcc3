package servers

import (
	"net/http"
	"testing"

	"plugin-oauth/internal/testkit"
)

// Every way to authenticate that the provider and the program share leads to tokens, and renews them.
func TestLogin(t *testing.T) {
	t.Parallel()
	for method, setting := range map[string]string{
		"client_secret_basic": "basic",
		"client_secret_post":  "body",
	} {
		t.Run(method, func(t *testing.T) {
			c := startCertified(t, certifiedOptions{
				change: func(client *registration) {
					client.AuthMethod = method
					client.ClientSecret = "all of it/needs+encoding: %&"
				},
				env: []string{"TOKEN_AUTH=" + setting, "CLIENT_SECRET=all of it/needs+encoding: %&"},
			})
			authorizationURL, readKey := c.Authorize()
			at := c.person.open(authorizationURL.String())
			c.Expect("poll, the login page is open", c.Poll(readKey), http.StatusNotFound, bodyPending)
			at = c.person.consent(c.person.signIn(at))
			c.ExpectPage("redirect", c.Get(at.callback), http.StatusOK, "You are signed in")
			first := readTokens(t, c.Poll(readKey))
			c.Expect("poll again", c.Poll(readKey), http.StatusNotFound, bodyUnknown)
			if first.TokenType != "Bearer" || first.ExpiresIn == nil || *first.ExpiresIn != 3600 ||
				first.IDToken == "" || first.RefreshToken == "" || first.Scope != "openid offline_access" {
				t.Errorf("the tokens are %+v", first)
			}
			second := readTokens(t, refresh(c.Backend, first.RefreshToken))
			if second.AccessToken == first.AccessToken {
				t.Error("the refresh brought no new access token")
			}
		})
	}
}

// A public client has no secret: its codes are protected by PKCE alone, and each refresh rotates its token.
func TestPublicClient(t *testing.T) {
	c := startCertified(t, certifiedOptions{
		change: func(client *registration) { client.AuthMethod, client.ClientSecret = "none", "" },
		env:    []string{"TOKEN_AUTH=none", "CLIENT_SECRET="},
	})
	first := c.login()
	second := readTokens(t, refresh(c.Backend, first.RefreshToken))
	if second.RefreshToken == first.RefreshToken {
		t.Error("the provider keeps the refresh token")
	}
	testCodeInjected(c)
	c.Expect("revoke", c.revoke(second.RefreshToken, ""), http.StatusOK, "{}")
	expectDead(c.Backend, "refresh", second.RefreshToken)
}

// A person who says no, on either page, is told so, as is the plugin.
func TestDenied(t *testing.T) {
	shared := startCertified(t, certifiedOptions{})
	shared.server.awaitCheck()
	for name, walk := range map[string]func(*person, page) page{
		"aborted at the sign-in": func(p *person, at page) page { return p.abort(at) },
		"consent denied":         func(p *person, at page) page { return p.abort(p.signIn(at)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := shared.in(t)
			authorizationURL, readKey := c.Authorize()
			at := walk(c.person, c.person.open(authorizationURL.String()))
			for _, visit := range []string{"redirect", "reload"} {
				c.ExpectPage(visit, c.Get(at.callback), http.StatusBadRequest, "Sign-in cancelled")
			}
			c.ExpectError("poll", c.Poll(readKey), http.StatusBadRequest, "access_denied")
			if asked := c.server.tokenRequests(); asked != 1 { // the check
				t.Errorf("the token endpoint was asked %d times", asked)
			}
		})
	}
}

// Redirects that come never, again, or with what belongs to another login. A code that came to the provider
// again would end the whole grant.
func TestRedirect(t *testing.T) {
	shared := startCertified(t, certifiedOptions{})
	shared.server.awaitCheck()
	for name, test := range map[string]func(*certified){
		"never":                testAbandoned,
		"repeated":             testRedirectRepeated,
		"from a second tab":    testSecondTab,
		"with a code injected": testCodeInjected,
	} {
		t.Run(name, func(t *testing.T) { test(shared.in(t)) })
	}
}

// testAbandoned closes the login page, which leaves the plugin waiting. The same address starts again.
func testAbandoned(c *certified) {
	authorizationURL, readKey := c.Authorize()
	c.person.signIn(c.person.open(authorizationURL.String()))
	c.Expect("poll", c.Poll(readKey), http.StatusNotFound, bodyPending)
	other := newPerson(c.server.t, c.Backend) // as another browser is
	c.ExpectPage("redirect", c.Get(other.agree(authorizationURL)), http.StatusOK, "You are signed in")
	readTokens(c.server.t, c.Poll(readKey))
}

// testRedirectRepeated repeats the redirect, several times at once and later.
func testRedirectRepeated(c *certified) {
	authorizationURL, readKey := c.Authorize()
	callback := c.person.agree(authorizationURL)
	before := c.server.tokenRequests()
	for _, got := range atOnce(func() testkit.Answer { return c.Get(callback) }) {
		c.ExpectPage("at once", got, http.StatusOK, "You are signed in")
	}
	got := readTokens(c.server.t, c.Poll(readKey))
	c.ExpectPage("after the claim", c.Get(callback), http.StatusOK, "You are signed in")
	if asked := c.server.tokenRequests() - before; asked != 1 {
		c.T.Errorf("the token endpoint was asked %d times", asked)
	}
	readTokens(c.server.t, refresh(c.Backend, got.RefreshToken))
}

// testSecondTab brings another code with the same state. It is not exchanged, and the page says what became
// of the login.
func testSecondTab(c *certified) {
	authorizationURL, readKey := c.Authorize()
	first := c.person.agree(authorizationURL)
	second := c.person.agree(authorizationURL)
	if second == first {
		c.T.Fatal("the second tab brings no code of its own")
	}
	before := c.server.tokenRequests()
	c.ExpectPage("first tab", c.Get(first), http.StatusOK, "You are signed in")
	c.ExpectPage("second tab", c.Get(second), http.StatusOK, "You are signed in")
	readTokens(c.server.t, c.Poll(readKey))
	if asked := c.server.tokenRequests() - before; asked != 1 {
		c.T.Errorf("the token endpoint was asked %d times", asked)
	}
}

// testCodeInjected brings the code of another login, which is refused since its verifier is another one.
func testCodeInjected(c *certified) {
	authorizationURL, _ := c.Authorize()
	expectRefusedCode(c, c.person.agree(authorizationURL))
}

// A code that was used before fails the login that brings it, and the provider ends the first one's grant.
func TestCodeUsedTwice(t *testing.T) {
	c := startCertified(t, certifiedOptions{withoutPKCE: true, env: []string{"PKCE=off"}})
	authorizationURL, readKey := c.Authorize()
	callback := c.person.agree(authorizationURL)
	c.ExpectPage("redirect", c.Get(callback), http.StatusOK, "You are signed in")
	first := readTokens(t, c.Poll(readKey))
	expectRefusedCode(c, callback)
	expectDead(c.Backend, "the first login's refresh", first.RefreshToken)
}

// expectRefusedCode brings the code of a redirect to another login, which fails.
func expectRefusedCode(c *certified, callback string) {
	c.T.Helper()
	other, readKey := c.Authorize()
	for _, visit := range []string{"redirect", "reload"} {
		c.ExpectPage(visit, c.Get(withState(c.server.t, callback, other)), http.StatusBadGateway,
			"invalid_grant")
	}
	c.ExpectError("poll", c.Poll(readKey), http.StatusBadRequest, "invalid_grant")
}

// The provider's answer comes as a form that its page posts.
func TestFormPost(t *testing.T) {
	shared := startCertified(t, certifiedOptions{
		env: []string{"AUTHORIZE_PARAMS=prompt=consent&response_mode=form_post"},
	})
	t.Run("agreed", func(t *testing.T) {
		c := shared.in(t)
		authorizationURL, readKey := c.Authorize()
		at := c.person.consent(c.person.signIn(c.person.open(authorizationURL.String())))
		for _, visit := range []string{"post", "reload"} {
			c.ExpectPage(visit, c.post(at), http.StatusOK, "You are signed in")
		}
		readTokens(t, c.Poll(readKey))
	})
	t.Run("denied", func(t *testing.T) {
		c := shared.in(t)
		authorizationURL, readKey := c.Authorize()
		at := c.person.abort(c.person.open(authorizationURL.String()))
		c.ExpectPage("post", c.post(at), http.StatusBadRequest, "Sign-in cancelled")
		c.ExpectError("poll", c.Poll(readKey), http.StatusBadRequest, "access_denied")
	})
}

// post sends the form of a page to the backend, as its script does.
func (c *certified) post(at page) testkit.Answer {
	c.T.Helper()
	action := formAction.FindStringSubmatch(at.body)
	if action == nil || action[1] != c.URL+"/redirect" {
		c.T.Fatalf("no form leads to the backend\n%s", at.body)
	}
	return c.Request(http.MethodPost, action[1], at.hiddenFields().Encode(),
		"Content-Type: application/x-www-form-urlencoded", "Origin: "+c.server.url,
		"Sec-Fetch-Site: cross-site")
}
