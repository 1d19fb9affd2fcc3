package hooks

import (
	"cmp"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
