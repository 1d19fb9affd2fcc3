package hooks

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
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

// requestFrom returns a request that is connected from an address.
func requestFrom(connected string, headers ...string) *request {
	e := &request{Request: httptest.NewRequest(http.MethodPost, "http://localhost/authorize", nil)}
	e.Request.RemoteAddr = connected
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		e.Request.Header.Add(name, value)
	}
	return e
}

// networkAt returns the network that a request is known to come from.
func networkAt(trusted []string, connected string, headers ...string) string {
	s := &server{config: Config{TrustedProxyHeaders: trusted}}
	network, why := s.knownNetwork(requestFrom(connected, headers...))
	switch {
	case (network == unknownNetwork) != (why.Text() != ""):
		return "unknown, and it does not say why, or the other way round"
	case network == unknownNetwork:
		return "unknown"
	}
	return network.String()
}

// The address is read in whatever form the proxy writes it. What cannot be read says nothing, least of all
// that it is the proxy that asks. With several addresses it may be that of one more proxy.
func TestClientNetwork(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"192.0.2.1":                          "192.0.2.1/32",
		" 192.0.2.1:4711 ":                   "192.0.2.1/32",
		"[2001:db8::1]:4711":                 "2001:db8::/64",
		"[2001:db8::1]":                      "2001:db8::/64",
		"unknown":                            "unknown",
		"":                                   "unknown",
		"198.51.100.7,":                      "unknown",
		"198.51.100.7, unknown":              "unknown",
		"198.51.100.7, 192.0.2.1":            "unknown",
		"198.51.100.7,192.0.2.1:4711":        "unknown",
		"192.0.2.1, 192.0.2.1":               "unknown",
		",192.0.2.1":                         "unknown",
		`",192.0.2.1`:                        "unknown",
		"unknown, 192.0.2.1":                 "unknown",
		"198.51.100.7, 192.0.2.1, 192.0.2.2": "unknown",
		"fe80::1%eth0":                       "unknown", // each link has one
		"::ffff:192.0.2.1":                   "192.0.2.1/32",
		"::1":                                "::/64",
		"127.0.0.1":                          "::/64",
		"64:ff9b::192.0.2.1":                 "192.0.2.1/32", // NAT64
		"[64:ff9b::c000:201]:4711":           "192.0.2.1/32",
		"64:ff9b:1::192.0.2.1":               "192.0.2.1/32",
		"64:ff9b:1:c000:2:100::":             "unknown", // one of several forms
		"64:ff9b:1:1::192.0.2.1":             "unknown",
		"64:ff9b:2::192.0.2.1":               "unknown",
		"::ffff:0:192.0.2.1":                 "unknown", // RFC 7915, translated
		"::1:0:0:5":                          "unknown", // ::/64 belongs to nobody
		"fd00::1":                            "fd00::/64",
		"2002:c000:201::1":                   "2002:c000:201::/64",
		"0.1.2.3":                            "unknown",
		"169.254.0.1":                        "unknown",
		"255.255.255.255":                    "unknown",
		"10.0.0.1":                           "10.0.0.1/32",
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

// Forwarded is read as RFC 7239 has it. If it has several elements, there is one more proxy, or the client
// has made some up; one that leaves a string open makes all of it unreadable.
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
		`for="[2001:db8::1]:80";proto=https`:                 "2001:db8::/64",
		`for=192.0.2.43, for=198.51.100.17`:                  "unknown",
		`for=192.0.2.43,for="[2001:db8::1]:80";proto=https`:  "unknown",
		`proto=http; for=192.0.2.60 ; by=203.0.113.43`:       "192.0.2.60/32",
		`by="a, for=192.0.2.1";for=192.0.2.2`:                "192.0.2.2/32",
		`for=192.0.2.2;by="a\", for=192.0.2.1"`:              "192.0.2.2/32",
		`for=192.0.2.3;by="a\\"`:                             "192.0.2.3/32",
		`for=192.0.2.1;by="a\\", for=192.0.2.3`:              "unknown",
		`for=unknown`:                                        "unknown",
		`for=192.0.2.1, for=unknown`:                         "unknown",
		`for=_hidden`:                                        "unknown",
		`for="_SEVKISEK:80"`:                                 "unknown",
		`proto=https;by=192.0.2.1`:                           "unknown",
		`for=192.0.2.1;for=192.0.2.2`:                        "unknown",
		`for=192.0.2.1;for*=utf-8''192.0.2.2`:                "unknown", // RFC 8187 is not for this header
		`for=192.0.2.1;for*0=192.0.2;for*1=.2`:               "unknown",
		`for="192.0.2\.1"`:                                   "192.0.2.1/32",
		`for=192.0.2.1;`:                                     "192.0.2.1/32",
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

// A header takes no longer to read than its length says. Allocations stand for time here, and can be counted
// only while no other test runs.
func TestLongForwarded(t *testing.T) {
	for _, unit := range []string{"a", `\"`, ":", ",", ";", "for=a;"} {
		for _, begin := range []string{"", `for="`} {
			long := begin + strings.Repeat(unit, maxHeaders/len(unit))
			for _, value := range []string{long, long + `"`, long + `", for=192.0.2.1`} {
				allocations := testing.AllocsPerRun(5, func() { parseForwarded(value) })
				if allocations > 100 {
					t.Errorf("%.10s… makes %g allocations", value, allocations)
				}
			}
		}
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
		"trusted, but not there": {trusted: two, want: "unknown"},
		"another header":         {headers: []string{"X-Client: 192.0.2.1"}, want: ours},
		"Fly":                    {headers: []string{fly}, want: "unknown"},
		"Forwarded":              {headers: []string{"Forwarded: for=192.0.2.1"}, want: "unknown"},
		"Via":                    {headers: []string{"Via: 1.1 proxy"}, want: "unknown"},
		"scheme":                 {headers: []string{"X-Forwarded-Proto: https"}, want: "unknown"},
		"another is trusted":     {trusted: two, headers: []string{forwardedFor}, want: "unknown"},
		"one is trusted":         {trusted: two, headers: []string{fly}, want: "192.0.2.2/32"},
		"both are trusted":       {trusted: two, headers: []string{fly, realIP}, want: "192.0.2.1/32"},
		"the first is unreadable": {
			trusted: two, headers: []string{fly, "X-Real-IP: unknown"}, want: "unknown",
		},
		"twice": {
			trusted: two, headers: []string{realIP, "X-Real-IP: 192.0.2.9"}, want: "unknown",
		},
		"no address":     {connected: "@", want: "unknown"},
		"NAT64":          {connected: "[64:ff9b::192.0.2.1]:80", want: "192.0.2.1/32"},
		"mapped":         {connected: "[::ffff:192.0.2.1]:80", want: "192.0.2.1/32"},
		"Teredo":         {connected: "[2001::1]:80", want: "unknown"},
		"its own /64":    {connected: "[2001:db8::1]:80", want: "2001:db8::/64"},
		"this machine":   {connected: "[::1]:80", want: "::/64"},
		"this machine 2": {connected: "127.0.0.1:80", want: "::/64"},
		"private":        {connected: "10.0.0.1:80", want: "10.0.0.1/32"},
		"one link":       {connected: "[fe80::1%eth0]:80", want: "unknown"},
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

// Behind two proxies the address that is trusted may be that of the first one, and of all who come through
// it. Another header then names the visitor.
func TestSeveralProxies(t *testing.T) {
	t.Parallel()
	fly, one := []string{"Fly-Client-IP"}, "Fly-Client-IP: 203.0.113.8"
	const known = "203.0.113.8/32"
	for name, test := range map[string]struct {
		trusted []string // nil: fly, which has one
		headers []string
		want    string
	}{
		"Fly alone": {headers: []string{
			"X-Forwarded-For: 203.0.113.8, 66.241.124.1", "Via: 2 fly.io", "Fly-Forwarded-Port: 443",
		}, want: known},
		"Cloudflare":       {headers: []string{"CF-Connecting-IP: 192.0.2.1"}, want: "unknown"},
		"Cloudflare, IPv6": {headers: []string{"CF-Connecting-IP: 2001:db8::1"}, want: "unknown"},
		"Teredo":           {headers: []string{"CF-Connecting-IP: 2001::1"}, want: "unknown"},
		"Akamai":           {headers: []string{"True-Client-IP: 192.0.2.1"}, want: "unknown"},
		"Fastly":           {headers: []string{"Fastly-Client-IP: 192.0.2.1"}, want: "unknown"},
		"Azure":            {headers: []string{"X-Azure-ClientIP: 192.0.2.1"}, want: "unknown"},
		"CloudFront":       {headers: []string{"CloudFront-Viewer-Address: 192.0.2.1:443"}, want: "unknown"},
		"nginx":            {headers: []string{"X-Real-IP: 192.0.2.1"}, want: "unknown"},
		"RFC 7239":         {headers: []string{`Forwarded: for="192.0.2.1:80"`}, want: "unknown"},
		"a list": {headers: []string{"X-Forwarded-For: 192.0.2.1, 203.0.113.8, 66.241.124.1"},
			want: "unknown"},
		"an older list": {headers: []string{"X-Original-Forwarded-For: 192.0.2.1"}, want: "unknown"},
		"two lines": {headers: []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 203.0.113.8"},
			want: "unknown"},
		"behind a visitor's proxy": {headers: []string{
			"X-Forwarded-For: 10.1.2.3, 192.0.2.1, 203.0.113.8, 66.241.124.1"}, want: "unknown"},
		"behind one that hides": {headers: []string{"X-Forwarded-For: unknown, 192.0.2.1"}, want: "unknown"},
		"behind one, two lines": {headers: []string{
			"X-Forwarded-For: 10.1.2.3", "X-Forwarded-For: 192.0.2.1"}, want: "unknown"},
		"behind one, RFC 7239": {headers: []string{"Forwarded: for=_hidden, for=192.0.2.1"}, want: "unknown"},
		"without end": {headers: []string{
			"X-Forwarded-For: " + strings.Repeat(",", 99)}, want: "unknown"},
		"a visitor's proxy": {headers: []string{"X-Forwarded-For: 10.1.2.3, 203.0.113.8, 66.241.124.1"},
			want: known},
		"the same":             {headers: []string{"CF-Connecting-IP: 203.0.113.8"}, want: known},
		"the same, mapped":     {headers: []string{"X-Real-IP: ::ffff:203.0.113.8"}, want: known},
		"a private one":        {headers: []string{"X-Real-IP: 10.0.0.1"}, want: known},
		"this machine":         {headers: []string{"X-Real-IP: 127.0.0.1"}, want: known},
		"a hidden one":         {headers: []string{"X-Forwarded-For: unknown"}, want: "unknown"},
		"hidden, RFC 7239":     {headers: []string{"Forwarded: for=_a, for=unknown"}, want: "unknown"},
		"not an address":       {headers: []string{"X-Real-IP: a"}, want: "unknown"},
		"a blank one":          {headers: []string{"X-Real-IP:  "}, want: known},
		"hidden and a hop":     {headers: []string{"X-Forwarded-For: unknown, 10.0.0.1"}, want: known},
		"a host that has none": {headers: []string{"X-Forwarded-Host: 192.0.2.1"}, want: known},
		"RFC 7239, the same":   {headers: []string{`Forwarded: for=203.0.113.8;by="a, for=b"`}, want: known},
		"the other is trusted": {trusted: []string{"CF-Connecting-IP"},
			headers: []string{"cf-connecting-ip: 192.0.2.1"}, want: "unknown"},
		"both are trusted": {trusted: []string{"CF-Connecting-IP", "fly-client-ip"},
			headers: []string{"CF-Connecting-IP: 192.0.2.1"}, want: "192.0.2.1/32"},
		"in an office": {trusted: []string{"X-Client-IP"},
			headers: []string{"X-Client-IP: 10.0.0.1", "X-Real-IP: 10.3.4.5"}, want: "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trusted := test.trusted
			if trusted == nil {
				trusted = fly
			}
			if got := networkAt(trusted, aClient, append(test.headers, one)...); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// Where the service is reached by https, what comes without TLS has come through something that ended it, and
// connects from its address.
func TestTLSThatEndedInFront(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		publicURL, redirectURI, connected string
		hidden                            bool
	}{
		{publicURL: "https://backend.example", connected: aClient, hidden: true},
		{publicURL: "https://203.0.113.1:8443", connected: aClient, hidden: true},
		{publicURL: "HTTPS://backend.example", connected: "[2001:db8::1]:80", hidden: true},
		{publicURL: "https://nas.local", connected: "192.168.1.9:80", hidden: true},
		{publicURL: "https://nas", connected: "192.168.1.9:80", hidden: true},
		{redirectURI: "https://backend.example/redirect", connected: aClient, hidden: true},
		{publicURL: "http://backend.example", connected: aClient},
		{publicURL: "https://localhost:8787", connected: "127.0.0.1:80"},
		{publicURL: "https://localhost:8787", connected: aClient},
		{connected: aClient},
	} {
		t.Run(test.publicURL+test.redirectURI+" "+test.connected, func(t *testing.T) {
			t.Parallel()
			s := &server{config: Config{PublicURL: test.publicURL}}
			e := requestFrom(test.connected)
			e.plugin = &plugins.Plugin{Client: oauth.Client{RedirectURI: test.redirectURI}}
			network, why := s.knownNetwork(e)
			if test.hidden != (network == unknownNetwork) || test.hidden != (why == doctor.UnknownPlain) {
				t.Errorf("%v, %s", network, why)
			}
			e.Request.TLS = &tls.ConnectionState{}
			if network, why := s.knownNetwork(e); network == unknownNetwork {
				t.Errorf("with TLS: %s", why)
			}
		})
	}
}

// Of a header that is none of ours the name says that a proxy has added it.
func TestHeadersThatProxiesAdd(t *testing.T) {
	t.Parallel()
	for name, proxy := range map[string]bool{
		"Via": true, "Forwarded": true, "X-Forwarded": true, "X-Forwarded-Server": true,
		"X-Forwarded-Port": true,
		"X-Client-IP":      true, "X-Cluster-Client-IP": true, "Fastly-Client-IP": true,
		"True-Client-IP":           true,
		"X-Original-Forwarded-For": true, "X-Envoy-External-Address": true, "X-Azure-ClientIP": true,
		"X-Azure-SocketIP": true, "CF-Connecting-IP": true, "CF-Ray": true, "CDN-Loop": true,
		"X-Amzn-Trace-Id": true, "Cloudfront-Viewer-Address": true, "X-Appengine-User-Ip": true,
		"X-Vercel-Forwarded-For": true, "X-NF-Client-Connection-IP": true, "DO-Connecting-IP": true,
		"X-ProxyUser-Ip": true, "WL-Proxy-Client-IP": true, "Proxy-Client-IP": true, "X-ARR-LOG-ID": true,
		"X-Varnish": true, "Remote_Addr": true, "X-Sucuri-ClientIP": true, "Client-Ip": true,
		// What browsers and their extensions send.
		"Accept": false, "Accept-Encoding": false, "Accept-Language": false, "Authorization": false,
		"Cache-Control": false, "Connection": false, "Content-Length": false, "Content-Type": false,
		"Cookie": false, "Dnt": false, "If-None-Match": false, "Origin": false, "Pragma": false,
		"Priority": false, "Purpose": false, "Range": false, "Referer": false, "Save-Data": false,
		"Sec-Ch-Ua-Platform": false, "Sec-Fetch-Site": false, "Sec-Gpc": false, "Te": false,
		"Upgrade-Insecure-Requests": false, "User-Agent": false, "X-Requested-With": false,
		"X-Moz": false, "X-Client": false, "Traceparent": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := "203.0.113.5/32"
			if proxy {
				want = "unknown"
			}
			if got := networkAt(nil, aClient, name+": 192.0.2.1"); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// Visitors of a public address do not come from this machine or a private network. Where nothing says from
// where they do come, they are not known.
func TestHiddenVisitors(t *testing.T) {
	t.Parallel()
	const loopback, lan, carrier = "127.0.0.1:80", "192.168.1.9:80", "100.64.0.1:80"
	for _, test := range []struct {
		publicURL, redirectURI, connected string
		hidden                            bool
	}{
		{publicURL: "https://backend.example", connected: loopback, hidden: true},
		{publicURL: "https://backend.example", connected: "[::1]:80", hidden: true},
		{publicURL: "https://backend.example", connected: "[::ffff:127.0.0.1]:80", hidden: true},
		{publicURL: "https://backend.example", connected: lan, hidden: true},
		{publicURL: "https://backend.example", connected: carrier, hidden: true},
		{publicURL: "https://backend.example", connected: "[fd00::1]:80", hidden: true},
		{publicURL: "https://backend.example", connected: "198.19.249.2:80", hidden: true},
		{publicURL: "https://backend.example", connected: "192.0.0.2:80", hidden: true},
		{publicURL: "https://203.0.113.1", connected: lan, hidden: true},
		{publicURL: "https://backend.example", connected: aClient},
		{redirectURI: "https://backend.example/redirect", connected: loopback, hidden: true},
		{redirectURI: "http://localhost:8090/redirect", connected: loopback},
		{redirectURI: "http://127.0.0.1:8090/redirect", connected: loopback},
		{publicURL: "http://localhost:8090", connected: lan},
		{publicURL: "http://192.168.1.5", connected: lan},
		{publicURL: "http://nas.local", connected: lan},
		{publicURL: "http://nas", connected: lan},
		{publicURL: "http://nas.local", connected: loopback, hidden: true},
		{publicURL: "http://192.168.1.5", connected: loopback, hidden: true},
		{publicURL: "http://app.localhost", connected: loopback},
		{connected: loopback},
	} {
		t.Run(test.publicURL+test.redirectURI+" "+test.connected, func(t *testing.T) {
			t.Parallel()
			s := &server{config: Config{PublicURL: test.publicURL}}
			e := requestFrom(test.connected)
			e.Request.TLS = &tls.ConnectionState{} // else that tells
			e.plugin = &plugins.Plugin{Client: oauth.Client{RedirectURI: test.redirectURI}}
			if network, why := s.knownNetwork(e); test.hidden != (network == unknownNetwork) {
				t.Errorf("%v, %s", network, why)
			}
			// With a header that is trusted, what connects is the proxy.
			s.config.TrustedProxyHeaders = []string{"Fly-Client-IP"}
			e.Request.Header.Set("Fly-Client-IP", "192.0.2.1")
			if network, why := s.knownNetwork(e); network == unknownNetwork {
				t.Errorf("behind a proxy: %s", why)
			}
			// Nor is it known behind two, of which only the second is trusted.
			e.Request.Header.Set("Fly-Client-IP", test.connected)
			if network, why := s.knownNetwork(e); test.hidden != (network == unknownNetwork) {
				t.Errorf("behind two proxies: %v, %s", network, why)
			}
		})
	}
}

// Limits count a network that is not known as that of what connects. Junk in a header takes no share of the
// limits of those whose network is known, and gives nobody a new one.
func TestLimitsOfUnknownClients(t *testing.T) {
	t.Parallel()
	const peer, other = "203.0.113.5/32", "192.0.2.1/32"
	realIP := []string{"X-Real-IP"}
	for name, test := range map[string]struct {
		trusted   []string
		connected string
		headers   []string
		want      string
	}{
		"an untrusted header": {connected: aClient, headers: []string{"Via: 1.1 a"}, want: peer},
		"an untrusted address": {
			connected: aClient, headers: []string{"X-Forwarded-For: 192.0.2.1"}, want: peer,
		},
		"a missing header": {trusted: realIP, connected: aClient, want: peer},
		"junk": {trusted: realIP, connected: aClient,
			headers: []string{"X-Real-IP: a"}, want: peer},
		"other junk": {trusted: realIP, connected: aClient,
			headers: []string{"X-Real-IP: ::5:0:0:1"}, want: peer},
		"known": {trusted: realIP, connected: aClient,
			headers: []string{"X-Real-IP: 192.0.2.1"}, want: other},
		"known by the second": {trusted: []string{"X-Real-IP", "Fly-Client-IP"}, connected: aClient,
			headers: []string{"X-Real-IP: a", "Fly-Client-IP: 192.0.2.1"}, want: other},
		"one link":     {connected: "[fe80::1%eth0]:80", want: "fe80::/64"},
		"Teredo":       {connected: "[2001::1]:80", want: "2001::/64"},
		"this machine": {connected: "127.0.0.1:80", want: "::/64"},
		"a socket":     {connected: "@", want: "invalid Prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{config: Config{
				TrustedProxyHeaders: test.trusted, PublicURL: "https://backend.example",
			}}
			got := s.clientNetwork(requestFrom(test.connected, test.headers...))
			if got.String() != test.want {
				t.Errorf("%v, want %s", got, test.want)
			}
		})
	}
}

// A stranger's junk locks out nobody whose address is known.
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

// All visitors of a public address are hidden behind what stands in front of a listener on this machine.
func TestHidesVisitors(t *testing.T) {
	t.Parallel()
	local := &net.TCPAddr{IP: net.IPv6loopback, Port: 8787}
	for name, test := range map[string]struct {
		publicURL string
		listener  net.Addr
		want      bool
	}{
		"loopback":      {publicURL: "https://backend.example/oauth", listener: local, want: true},
		"a socket":      {publicURL: "https://backend.example", listener: &net.UnixAddr{}, want: true},
		"everywhere":    {publicURL: "https://backend.example", listener: &net.TCPAddr{Port: 8787}},
		"not known":     {publicURL: "https://backend.example"},
		"a development": {publicURL: "http://localhost:8787", listener: local},
		"at home":       {publicURL: "https://nas.local", listener: local},
		"no address":    {listener: local},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (Config{PublicURL: test.publicURL}).hidesVisitors(test.listener); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
	s := serve(t, func(c *Config) { c.PublicURL = "https://backend.example" })
	if !s.server.hidesVisitors {
		t.Error("a server on loopback does not know it")
	}
}
