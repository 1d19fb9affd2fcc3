package hooks

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/internal/testkit"
)

// requestAs sends a request to a host by another name.
func requestAs(b *testkit.Backend, address, host, accept string) testkit.Answer {
	b.T.Helper()
	r, err := http.NewRequestWithContext(b.T.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.T.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Accept", accept)
	response, err := b.Client.Do(r)
	if err != nil {
		b.T.Fatal(err)
	}
	defer response.Body.Close()
	var body strings.Builder
	if err := response.Write(&body); err != nil {
		b.T.Fatal(err)
	}
	return testkit.Answer{Status: response.StatusCode, Header: response.Header, Body: body.String()}
}

// A service that only this machine can reach answers only to names that lead there.
func TestMisdirected(t *testing.T) {
	t.Parallel()
	metrics := freeAddress(t)
	s := serve(t, func(c *Config) {
		withKey(c)
		c.MetricsAddr = metrics
		c.PublicURL = "https://Backend.example/oauth"
		c.Plugin.RedirectURI = "https://other.example:8443/redirect"
	})
	s.add("one", func(fields map[string]any) { fields["redirectUri"] = "https://third.example/one/redirect" })
	for host, own := range map[string]bool{
		"localhost":              true,
		"LocalHost:8787":         true,
		"localhost.":             true,
		"localhost.:8787":        true,
		"plugin.localhost:1":     true,
		"127.0.0.1:8787":         true,
		"127.8.9.10":             true,
		"[::1]:8787":             true,
		"[::1]":                  true,
		"[::ffff:127.0.0.1]":     true,
		"backend.example":        true,
		"BACKEND.EXAMPLE.:443":   true,
		"other.example":          true,
		"third.example":          true,
		"evil.example":           false,
		"evil.example:8787":      false,
		"localhost.evil.example": false,
		"evillocalhost":          false,
		"127.0.0.1.evil.example": false,
		"evil-backend.example":   false,
		"backend.example.evil":   false,
		"192.0.2.1:8787":         false,
		"0.0.0.0:8787":           false,
		"[2001:db8::1]:8787":     false,
		"169.254.169.254":        false,
	} {
		t.Run(cmp.Or(host, "none"), func(t *testing.T) {
			t.Parallel()
			for _, address := range []string{
				s.URL + "/", s.URL + "/api/health", s.URL + "/_/", s.URL + "/one", s.URL + "/client.js",
				"http://" + metrics + "/metrics",
			} {
				got := requestAs(s.in(t).Backend, address, host, "")
				if isMisdirected := got.Status == http.StatusMisdirectedRequest; isMisdirected == own {
					t.Errorf("%s answers %d", address, got.Status)
				}
			}
		})
	}
	t.Run("words", func(t *testing.T) {
		for accept, contentType := range map[string]string{
			"text/html": "text/plain; charset=utf-8", "application/json": "application/json",
		} {
			got := requestAs(s.Backend, s.URL+"/poll", "evil.example", accept)
			isType := got.Header.Get("Content-Type") == contentType
			if !isType || !strings.Contains(got.Body, "set PUBLIC_URL") {
				t.Errorf("%s: %v %s", accept, got.Header, got.Body)
			}
		}
	})
}

// Whoever can reach a listener on another address needs no trick, so it answers to every name.
func TestEveryHost(t *testing.T) {
	t.Parallel()
	s := &server{}
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	for _, listener := range []net.Addr{
		nil, &net.UnixAddr{Name: "x", Net: "unix"}, &net.TCPAddr{Port: 80},
		&net.TCPAddr{IP: net.IPv4zero}, &net.TCPAddr{IP: net.IPv6unspecified},
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)},
	} {
		recorder := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://any.example/", nil)
		s.ownHostsOnly(listener, next).ServeHTTP(recorder, r)
		if recorder.Code != http.StatusNoContent {
			t.Errorf("%v answers %d", listener, recorder.Code)
		}
	}
}

// A page at a name that was made to lead here has the origin of the service in a person's browser: it starts
// a login from the person's network and reads the answer. So the person is asked, unless the name cannot be
// somebody else's.
func TestLoginsStartedAtForeignNames(t *testing.T) {
	t.Parallel()
	root := serve(t, func(c *Config) { c.PublicURL = "http://backend.lan.example:8787" })
	for host, asked := range map[string]bool{
		"evil.example:8787":        true,
		"EVIL.example.":            true,
		"192.0.2.1.evil.example":   true,
		"localhost.evil.example":   true,
		"backend.lan.example:8787": false,
		"BACKEND.lan.example.":     false,
		"localhost:8787":           false,
		"192.0.2.1:8787":           false,
		"[2001:db8::1]:8787":       false,
		"nas":                      false,
		"nas.local:8787":           false,
		"":                         false,
	} {
		t.Run(cmp.Or(host, "none"), func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			// Past the handler that lets a listener on loopback answer to its own names only.
			ask := func(method, target, host string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(method, target, nil)
				r.Host, r.RemoteAddr = host, aClient
				recorder := httptest.NewRecorder()
				s.server.serve(recorder, r)
				return recorder
			}
			started := ask(http.MethodPost, "/authorize", host)
			authorizationURL, _ := s.ParseLogin(testkit.Answer{
				Status: started.Code, Header: started.Header(), Body: started.Body.String(),
			})
			callback, err := url.Parse(s.Agree(authorizationURL))
			if err != nil {
				t.Fatal(err)
			}
			page := ask(http.MethodGet, callback.RequestURI(), "localhost").Body.String()
			if got := strings.Contains(page, questionTitle); got != asked {
				t.Errorf("asked: %t\n%s", got, page)
			}
		})
	}
}

// With TLS, no browser takes somebody else's name for the service's.
func TestNamesWithTLS(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	e := requestFrom(aClient)
	e.Request.Host = "evil.example"
	if _, why := s.server.knownNetwork(e); why != doctor.UnknownName {
		t.Errorf("without TLS it says %q", why)
	}
	e.Request.TLS = &tls.ConnectionState{}
	if network, _ := s.server.knownNetwork(e); network == unknownNetwork {
		t.Error("with TLS the network is not known")
	}
}
