package hooks

import (
	"net/http"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// serveBehind starts the service behind a proxy, and returns it as the world reaches it, and as the proxy
// does. edits change the proxy's configuration.
func serveBehind(
	t *testing.T, proxy *testkit.Proxy, edit func(*Config), edits ...string,
) (world, direct *testServer) {
	t.Helper()
	direct = serve(t, func(c *Config) {
		c.Plugin.RedirectURI, c.PublicURL = "", proxy.URL
		c.TrustedProxyHeaders = []string{proxy.TrustedHeader()}
		if edit != nil {
			edit(c)
		}
	})
	proxy.Start(strings.TrimPrefix(direct.URL, "http://"), edits...)
	world = direct.in(t)
	world.URL, world.Client = proxy.URL, proxy.Client
	return world, direct
}

// forEachProxy runs a test with each of the proxies of docs/proxies.md, at the root of a host and below a
// path.
func forEachProxy(t *testing.T, run func(t *testing.T, proxy *testkit.Proxy)) {
	for _, kind := range testkit.ProxyKinds {
		for _, below := range []string{"", "/oauth"} {
			t.Run(string(kind)+below, func(t *testing.T) {
				t.Parallel()
				run(t, testkit.NewProxy(t, kind, below))
			})
		}
	}
}

// Behind each proxy, as docs/proxies.md has it, a sign-in works as it does without.
func TestBehindProxies(t *testing.T) {
	t.Parallel()
	forEachProxy(t, func(t *testing.T, proxy *testkit.Proxy) {
		s, _ := serveBehind(t, proxy, nil)
		s.Expect("index", s.Get("/"), http.StatusOK, "plugin-oauth is up and running.\n")
		page, readKey := s.Login()
		s.ExpectPage("redirect", page, http.StatusOK, "You are signed in")
		s.expectTokens(readKey)
		if logged := proxy.Logged(); strings.Contains(logged, readKey) {
			t.Errorf("the read key is logged:\n%s", logged)
		}
	})
}
