package doctor

import (
	"encoding/json/v2"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// Whether the login comes back here.
func TestRedirectURI(t *testing.T) {
	t.Parallel()
	self, provider := serveSelf(t), serveProvider(t, refusingCode)
	upstream, err := url.Parse(self)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(upstream)
		r.SetXForwarded()
	}})
	t.Cleanup(proxy.Close)
	const nobody = "http://127.0.0.1:1" // a port that another test could get meanwhile would not do
	untrusted := serveTLS(t, nil).URL
	serve := func(status int, body string) string { return serveHandler(t, answering(status, body)) }
	html, down := serve(200, "<html>plugin-oauth is up</html>"), serve(503, `{"service":"plugin-oauth"}`)
	other, text := serve(200, `{"service":"other"}`), serve(200, "plugin-oauth is up and running.\n")
	lying := serve(200, `{"service":"plugin-oauth","plugin":true,"untrustedProxyHeader":"client%20secret",`+
		`"unknownNetwork":"client%20secret"}`)
	hidden := serve(200, `{"service":"plugin-oauth","plugin":true,"unknownNetwork":"private"}`)
	elsewhere := func(host string) string {
		return "error /: Something other than this service answers at " + host +
			", where logins end. Check REDIRECT_URI."
	}
	for _, test := range []struct {
		name string
		edit func(s *setup)
		want string // blank: nothing
	}{
		{name: "here", edit: func(*setup) {}},
		{name: "a slash behind", edit: func(s *setup) { s.plugin.RedirectURI += "/" }},
		{name: "on another host", edit: func(s *setup) { s.options.PublicURL = "https://backend.invalid" },
			want: "error /: The redirect URI is on another host than PUBLIC_URL. " +
				"Leave REDIRECT_URI blank, so that PUBLIC_URL decides."},
		{name: "nobody there", edit: func(s *setup) { s.plugin.RedirectURI = nobody + "/redirect" },
			want: "warning /: Nothing answers at " + nobody + ", where logins end. " +
				"Check that the service is running, and that REDIRECT_URI leads here."},
		{name: "its certificate", edit: func(s *setup) { s.plugin.RedirectURI = untrusted + "/redirect" },
			want: "warning /: The certificate at " + untrusted + " is not accepted by this machine. " +
				"Run mkcert -install, or check TLS_CERT_FILE."},
		{name: "a page", edit: func(s *setup) { s.plugin.RedirectURI = html + "/redirect?x=client%20secret" },
			want: elsewhere(html)},
		{name: "another service", edit: func(s *setup) { s.plugin.RedirectURI = other + "/redirect" },
			want: elsewhere(other)},
		{name: "the service's words without JSON",
			edit: func(s *setup) { s.plugin.RedirectURI = text + "/redirect" }, want: elsewhere(text)},
		{name: "another status", edit: func(s *setup) { s.plugin.RedirectURI = down + "/redirect" },
			want: elsewhere(down)},
		{name: "behind a proxy", edit: func(s *setup) { s.plugin.RedirectURI = proxy.URL + "/redirect" },
			want: lines([]Finding{UntrustedProxy("X-Forwarded-For")})[0]},
		{name: "behind something that hides everybody",
			edit: func(s *setup) { s.plugin.RedirectURI = hidden + "/redirect" },
			want: lines([]Finding{UnknownNetwork(UnknownPrivate)})[0]},
		{name: "a header or a reason that is none is not repeated",
			edit: func(s *setup) { s.plugin.RedirectURI = lying + "/redirect" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, addresses{self: self, provider: provider})
			test.edit(s)
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expectFindings(t, s.check(t), want...)
		})
	}
}

// The doctor of another version reads what GET / says, too.
func TestSelfJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		self Self
		want string
	}{
		{name: "plain", self: Self{Service: ServiceName, Plugin: true},
			want: `{"service":"plugin-oauth","plugin":true}`},
		{name: "behind a proxy", self: Self{Service: ServiceName, UntrustedProxyHeader: "Forwarded"},
			want: `{"service":"plugin-oauth","plugin":false,"untrustedProxyHeader":"Forwarded"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if encoded, err := json.Marshal(test.self); err != nil || string(encoded) != test.want {
				t.Errorf("%v, %s", err, encoded)
			}
		})
	}
}

// The well-known headers are reported in their order, unless one that is trusted came too.
func TestUntrustedProxyHeaders(t *testing.T) {
	t.Parallel()
	trustingFly := []string{"fly-client-ip"}
	type test struct {
		name    string
		headers []string
		trusted []string
		want    string
	}
	tests := []test{
		{name: "none"},
		{name: "unknown", headers: []string{"X-Client"}},
		{name: "two", headers: []string{"X-Forwarded-For", "X-Real-IP"}, want: "X-Real-IP X-Forwarded-For"},
		{name: "trusted", headers: []string{"Fly-Client-IP", "X-Forwarded-For"}, trusted: trustingFly},
		{name: "another is trusted", headers: []string{"Forwarded"}, trusted: trustingFly, want: "Forwarded"},
	}
	for _, header := range []string{
		"Fly-Client-IP", "CF-Connecting-IP", "True-Client-IP", "X-Real-IP", "X-Forwarded-For", "Forwarded",
	} {
		tests = append(tests, test{name: header, headers: []string{header}, want: header})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			for _, name := range test.headers {
				header.Set(name, "192.0.2.1")
			}
			if got := strings.Join(UntrustedProxyHeaders(header, test.trusted), " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// On Fly.io the doctor says so even if the service does not answer.
func TestFly(t *testing.T) {
	t.Parallel()
	const want = "warning : " +
		"Requests come with the header Fly-Client-IP, which the service does not believe. " +
		"If a proxy of yours overwrites it or adds to it on every request, name Fly-Client-IP in " +
		"TRUSTED_PROXY_HEADERS."
	self, provider := serveSelf(t), serveProvider(t, refusingCode)
	t.Run("not trusted", func(t *testing.T) {
		t.Parallel()
		s := newSetup(t, addresses{self: self, provider: provider})
		s.options.OnFly = true
		expectFindings(t, s.check(t), want)
	})
	t.Run("trusted", func(t *testing.T) {
		t.Parallel()
		s := newSetup(t, addresses{self: self, provider: provider})
		s.options.OnFly, s.options.TrustedProxyHeaders = true, []string{"fly-client-ip"}
		expectFindings(t, s.check(t))
	})
}

// listenOn serves a handler at an address of this machine until the test ends.
func listenOn(t *testing.T, address string, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(listener) // until it is closed
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

// A browser that goes to localhost takes whichever address of this machine answers.
func TestOtherLoopback(t *testing.T) {
	t.Parallel()
	testkit.NeedIPv6(t)
	self, err := url.Parse(serveSelf(t))
	if err != nil {
		t.Fatal(err)
	}
	here := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(self) }}
	provider := serveProvider(t, refusingCode)
	other := answering(http.StatusOK, "<html>something else</html>")
	for _, test := range []struct {
		name     string
		at4, at6 http.Handler // nil: nobody
		want     string       // of %s with the port
	}{
		{name: "on one", at4: here},
		{name: "on both", at4: here, at6: here},
		{
			name: "another on IPv6", at4: here, at6: other,
			want: "error /: Another program answers at [::1]:%[1]s. End that program, or use another port: " +
				"with --http, and in REDIRECT_URI.",
		},
		{
			name: "another on IPv6, before the start", at6: other,
			want: "error /: Another program answers at [::1]:%[1]s. End that program, or use another port: " +
				"with --http, and in REDIRECT_URI.",
		},
		{
			name: "another on IPv4", at4: other, at6: here,
			want: "error /: Another program answers at 127.0.0.1:%[1]s. End that program, or use another " +
				"port: with --http, and in REDIRECT_URI.",
		},
		{
			name: "others on both", at4: other, at6: other,
			want: "error /: Something other than this service answers at http://localhost:%[1]s, where " +
				"logins end. Check REDIRECT_URI.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address, err := testkit.FreeAddress()
			if err != nil {
				t.Fatal(err)
			}
			_, port, _ := net.SplitHostPort(address)
			if test.at4 != nil {
				listenOn(t, address, test.at4)
			}
			if test.at6 != nil {
				listenOn(t, "[::1]:"+port, test.at6)
			}
			s := newSetup(t, addresses{self: "http://localhost:" + port, provider: provider})
			var want []string
			if test.want != "" {
				want = append(want, fmt.Sprintf(test.want, port))
			}
			expectFindings(t, s.check(t), want...)
		})
	}
}
