package servers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

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

// A person who says no, on either page, is told so, as is the plugin.
func TestDenied(t *testing.T) {
	shared := startCertified(t, certifiedOptions{})
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
			if asked := c.server.count("/token"); asked != 0 {
				t.Errorf("the token endpoint was asked %d times", asked)
			}
		})
	}
}

// Redirects that come never, again, or with what belongs to another login. A code that came to the provider
// again would end the whole grant.
func TestRedirect(t *testing.T) {
	shared := startCertified(t, certifiedOptions{})
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
	before := c.server.count("/token")
	for _, got := range atOnce(func() testkit.Answer { return c.Get(callback) }) {
		c.ExpectPage("at once", got, http.StatusOK, "You are signed in")
	}
	got := readTokens(c.server.t, c.Poll(readKey))
	c.ExpectPage("after the claim", c.Get(callback), http.StatusOK, "You are signed in")
	if asked := c.server.count("/token") - before; asked != 1 {
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
	before := c.server.count("/token")
	c.ExpectPage("first tab", c.Get(first), http.StatusOK, "You are signed in")
	c.ExpectPage("second tab", c.Get(second), http.StatusOK, "You are signed in")
	readTokens(c.server.t, c.Poll(readKey))
	if asked := c.server.count("/token") - before; asked != 1 {
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
// names the setting to look at.
func (c *certified) expectRefusal(code, setting string) {
	c.T.Helper()
	authorizationURL, readKey := c.Authorize()
	at := c.person.open(authorizationURL.String())
	got := c.Get(at.callback)
	c.ExpectPage("redirect", got, http.StatusBadGateway, code)
	c.ExpectPage("redirect", got, http.StatusBadGateway, setting)
	c.ExpectError("poll", c.Poll(readKey), http.StatusBadRequest, code)
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

// days is a time in which the provider begins to rotate the refresh tokens that it gives for 14 days.
const days = 10 * 24 * time.Hour

// The provider keeps a refresh token at first, and rotates it later. The old one brings the same answer for
// some seconds, from memory. Without that memory the provider takes it for stolen, and ends everything.
func TestRotation(t *testing.T) {
	c := startCertified(t, certifiedOptions{})
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
	asked := c.server.count("/token")
	c.Expect("a second window", refresh(c.Backend, first.RefreshToken), got.Status, got.Body)
	if again := c.server.count("/token"); again != asked {
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
	first := c.login()
	c.server.forward(days)
	asked := c.server.count("/token")
	answers := atOnce(func() testkit.Answer { return refresh(c.Backend, first.RefreshToken) })
	for _, got := range answers[1:] {
		c.Expect("another window", got, answers[0].Status, answers[0].Body)
	}
	if again := c.server.count("/token"); again != asked+1 {
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
