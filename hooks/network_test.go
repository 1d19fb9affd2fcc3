package hooks

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Saving PocketBase's settings does not change which headers the service believes.
func TestTrustedHeadersOutliveSettings(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.AuthorizeRateLimit = RateLimit{Requests: 1, Window: time.Hour}
		c.TrustedProxyHeaders = []string{"Fly-Client-IP"}
	})
	settings := s.App.Settings()
	settings.TrustedProxy.Headers, settings.TrustedProxy.UseLeftmostIP = []string{"X-Forwarded-For"}, true
	if err := s.App.Save(settings); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for i := range 100 {
		got := s.Request(http.MethodPost, "/authorize", "",
			fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i), "Fly-Client-IP: 203.0.113.9, 198.51.100.7")
		if got.Status == http.StatusOK {
			passed++
		}
	}
	if passed != 1 {
		t.Errorf("%d starts of one client passed", passed)
	}
}

// What a client says about itself is never believed, in whatever form the proxy writes the address.
func TestClientNetwork(t *testing.T) {
	t.Parallel()
	s := &server{config: Config{TrustedProxyHeaders: []string{"X-Forwarded-For"}}}
	for header, want := range map[string]string{
		"":                                   "203.0.113.5/32", // the connection's
		"192.0.2.1":                          "192.0.2.1/32",
		"198.51.100.7, 192.0.2.1":            "192.0.2.1/32",
		"198.51.100.7,192.0.2.1:4711":        "192.0.2.1/32",
		"198.51.100.7, [2001:db8::1]:4711":   "2001:db8::/64",
		"198.51.100.7, [2001:db8::1]":        "2001:db8::/64",
		"198.51.100.7, unknown":              "203.0.113.5/32",
		"198.51.100.7,":                      "203.0.113.5/32",
		"198.51.100.7, fe80::1%eth0":         "fe80::/64",
		"198.51.100.7, ::ffff:192.0.2.1":     "192.0.2.1/32",
		"198.51.100.7, ::1":                  "::/64",
		"198.51.100.7, 127.0.0.1":            "::/64",
		"198.51.100.7, 192.0.2.1, 192.0.2.2": "192.0.2.2/32",
	} {
		t.Run(cmp.Or(header, "no header"), func(t *testing.T) {
			t.Parallel()
			e := &request{Request: httptest.NewRequest(http.MethodPost, "/authorize", nil)}
			e.Request.RemoteAddr = "203.0.113.5:1234"
			if header != "" {
				e.Request.Header.Set("X-Forwarded-For", header)
			}
			if got := s.clientNetwork(e).String(); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}
