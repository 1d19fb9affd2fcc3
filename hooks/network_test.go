package hooks

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
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

// aClient is the address that requests of the tests below are connected from.
const aClient = "203.0.113.5:1234"

// networkAt returns the network of a request that is connected from an address.
func networkAt(trusted []string, connected string, headers ...string) string {
	e := &request{Request: httptest.NewRequest(http.MethodPost, "/authorize", nil)}
	e.Request.RemoteAddr = connected
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		e.Request.Header.Add(name, value)
	}
	network := (&server{config: Config{TrustedProxyHeaders: trusted}}).clientNetwork(e)
	if network == unknownNetwork {
		return "unknown"
	}
	return network.String()
}

// What a client says about itself is never believed, in whatever form the proxy writes the address. What
// cannot be read says nothing, least of all that it is the proxy that asks.
func TestClientNetwork(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"192.0.2.1":                          "192.0.2.1/32",
		"198.51.100.7, 192.0.2.1":            "192.0.2.1/32",
		"198.51.100.7,192.0.2.1:4711":        "192.0.2.1/32",
		"198.51.100.7, [2001:db8::1]:4711":   "2001:db8::/64",
		"198.51.100.7, [2001:db8::1]":        "2001:db8::/64",
		"198.51.100.7, unknown":              "unknown",
		"198.51.100.7,":                      "unknown",
		"":                                   "unknown",
		"198.51.100.7, fe80::1%eth0":         "fe80::/64",
		"198.51.100.7, ::ffff:192.0.2.1":     "192.0.2.1/32",
		"198.51.100.7, ::1":                  "::/64",
		"198.51.100.7, 127.0.0.1":            "::/64",
		"198.51.100.7, 192.0.2.1, 192.0.2.2": "192.0.2.2/32",
		"64:ff9b::192.0.2.1":                 "192.0.2.1/32", // NAT64
		"[64:ff9b::c000:201]:4711":           "192.0.2.1/32",
		"64:ff9b:1::192.0.2.1":               "192.0.2.1/32",
		"64:ff9b:1:c000:2:100::":             "unknown", // one of several forms
		"64:ff9b:1:1::192.0.2.1":             "unknown",
		"64:ff9b:2::192.0.2.1":               "64:ff9b:2::/64",
		"2001:0:c000:201::1":                 "unknown", // Teredo
		"2001:1::1":                          "2001:1::/64",
		"::192.0.2.1":                        "unknown", // it would look like this machine
		"::":                                 "unknown",
		"0.0.0.0":                            "unknown",
		"ff02::1":                            "unknown",
	} {
		t.Run(cmp.Or(header, "blank"), func(t *testing.T) {
			t.Parallel()
			got := networkAt([]string{"X-Forwarded-For"}, aClient, "X-Forwarded-For: "+header)
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// Forwarded is read as RFC 7239 has it. Its last element is the proxy's, and a client that leaves a string
// open makes all of it unreadable.
func TestForwarded(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		`for=192.0.2.1`:                                      "192.0.2.1/32",
		`For=192.0.2.1`:                                      "192.0.2.1/32",
		`for="192.0.2.1:4711"`:                               "192.0.2.1/32",
		`for="192.0.2.1:_port"`:                              "192.0.2.1/32",
		`for="[2001:db8:cafe::17]"`:                          "2001:db8:cafe::/64",
		`For="[2001:db8:cafe::17]:4711"`:                     "2001:db8:cafe::/64",
		`for="[64:ff9b::192.0.2.1]"`:                         "192.0.2.1/32",
		`for="[::ffff:192.0.2.1]"`:                           "192.0.2.1/32",
		`for=192.0.2.43, for=198.51.100.17`:                  "198.51.100.17/32",
		`for=192.0.2.43,for="[2001:db8::1]:80";proto=https`:  "2001:db8::/64",
		`proto=http; for=192.0.2.60 ; by=203.0.113.43`:       "192.0.2.60/32",
		`by="a, for=192.0.2.1";for=192.0.2.2`:                "192.0.2.2/32",
		`for=192.0.2.2;by="a\", for=192.0.2.1"`:              "192.0.2.2/32",
		`for=192.0.2.1;by="a\\", for=192.0.2.3`:              "192.0.2.3/32",
		`for=unknown`:                                        "unknown",
		`for=192.0.2.1, for=unknown`:                         "unknown",
		`for=_hidden`:                                        "unknown",
		`for="_SEVKISEK:80"`:                                 "unknown",
		`proto=https;by=192.0.2.1`:                           "unknown",
		`for=192.0.2.1;for=192.0.2.2`:                        "unknown",
		`for=192.0.2.1,`:                                     "unknown",
		`for=`:                                               "unknown",
		`192.0.2.1`:                                          "unknown",
		`for=192.0.2.1:80`:                                   "unknown", // a colon needs quotes
		`for=[2001:db8::1]`:                                  "unknown",
		`for="2001:db8::1"`:                                  "unknown", // it needs brackets
		`for="[192.0.2.1]"`:                                  "unknown",
		`for="[2001:db8::1"`:                                 "unknown",
		`for="[2001:db8::1]80"`:                              "unknown",
		`for="[2001:db8::1%eth0]"`:                           "unknown",
		`for="192.0.2.1:"`:                                   "unknown",
		`for="192.0.2.1`:                                     "unknown",
		`for=192.0.2.1;x=", for=192.0.2.2`:                   "unknown", // the client left a string open
		`for=192.0.2.1;x=", for="[2001:db8::1]:80"`:          "unknown",
		`for=192.0.2.1;x=", for=192.0.2.2;by="203.0.113.43"`: "unknown",
		`for=192.0.2.1;x="\, for=192.0.2.2`:                  "unknown",
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			if got := networkAt([]string{"forwarded"}, aClient, "Forwarded: "+header); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// A request that comes by a proxy which is not trusted comes from nobody knows where. Of several trusted
// headers the first that is there decides.
func TestProxyHeaders(t *testing.T) {
	t.Parallel()
	const ours = "203.0.113.5/32"
	two := []string{"X-Real-IP", "Fly-Client-IP"}
	const realIP, fly = "X-Real-IP: 192.0.2.1", "Fly-Client-IP: 192.0.2.2"
	const forwardedFor = "X-Forwarded-For: 192.0.2.3"
	for name, test := range map[string]struct {
		trusted   []string
		connected string // blank: aClient
		headers   []string
		want      string
	}{
		"nothing":                {want: ours},
		"trusted, but not there": {trusted: two, want: ours},
		"another header":         {headers: []string{"X-Client: 192.0.2.1"}, want: ours},
		"Fly":                    {headers: []string{fly}, want: "unknown"},
		"Forwarded":              {headers: []string{"Forwarded: for=192.0.2.1"}, want: "unknown"},
		"Via":                    {headers: []string{"Via: 1.1 proxy"}, want: "unknown"},
		"scheme":                 {headers: []string{"X-Forwarded-Proto: https"}, want: "unknown"},
		"another is trusted":     {trusted: two, headers: []string{forwardedFor}, want: "unknown"},
		"one is trusted":         {trusted: two, headers: []string{forwardedFor, fly}, want: "192.0.2.2/32"},
		"both are trusted":       {trusted: two, headers: []string{fly, realIP}, want: "192.0.2.1/32"},
		"the first is unreadable": {
			trusted: two, headers: []string{fly, "X-Real-IP: unknown"}, want: "unknown",
		},
		"twice": {
			trusted: two, headers: []string{realIP, "X-Real-IP: 192.0.2.9"}, want: "192.0.2.9/32",
		},
		"no address":     {connected: "@", want: "unknown"},
		"NAT64":          {connected: "[64:ff9b::192.0.2.1]:80", want: "192.0.2.1/32"},
		"mapped":         {connected: "[::ffff:192.0.2.1]:80", want: "192.0.2.1/32"},
		"Teredo":         {connected: "[2001::1]:80", want: "unknown"},
		"its own /64":    {connected: "[2001:db8::1]:80", want: "2001:db8::/64"},
		"this machine":   {connected: "[::1]:80", want: "::/64"},
		"this machine 2": {connected: "127.0.0.1:80", want: "::/64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := networkAt(test.trusted, cmp.Or(test.connected, aClient), test.headers...)
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// All clients that are not known share one limit.
func TestUnknownClientsShareALimit(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.AuthorizeRateLimit = RateLimit{Requests: 1, Window: time.Hour}
		c.TrustedProxyHeaders = []string{"X-Real-IP"}
	})
	for _, test := range []struct {
		header string
		status int
	}{
		{header: "X-Real-IP: unknown", status: http.StatusOK},
		{header: "X-Real-IP: _hidden", status: http.StatusTooManyRequests},
		{header: "X-Forwarded-For: 192.0.2.1", status: http.StatusTooManyRequests},
		{header: "X-Real-IP: 192.0.2.1", status: http.StatusOK},
	} {
		if got := s.Request(http.MethodPost, "/authorize", "", test.header); got.Status != test.status {
			t.Errorf("%s: %d, want %d", test.header, got.Status, test.status)
		}
	}
}
