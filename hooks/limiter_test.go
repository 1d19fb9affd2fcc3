package hooks

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Each client network may start so many logins in a window; nothing else is limited.
func TestAuthorizeRateLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.AuthorizeRateLimit = RateLimit{Requests: 3, Window: time.Second}
		c.TrustedProxyHeaders = []string{"Fly-Client-IP"}
	})
	start := func(address string) answer {
		return s.request(http.MethodPost, "/authorize", "", "Fly-Client-IP: "+address, "X-Forwarded-For: "+newKey(), "Origin: https://abc123.plugins.framercdn.com")
	}
	for _, addresses := range [][]string{
		{"192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"},
		{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8:0:0:1::"},
		{"2001:db8:0:1::1", "2001:db8:0:1::1", "2001:db8:0:1::1", "2001:db8:0:1::1"},
		{"192.0.2.2", "192.0.2.2", "192.0.2.2", "192.0.2.2"},
	} {
		for i, address := range addresses {
			got := start(address)
			if i < 3 && got.status != http.StatusOK {
				t.Errorf("%s, %d: %d %s", address, i, got.status, got.body)
			}
			if i < 3 {
				continue
			}
			s.expectError(address, got, http.StatusTooManyRequests, "temporarily_unavailable")
			if seconds, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || seconds != 1 {
				t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
			}
			if got.header.Get("Access-Control-Allow-Origin") == "" {
				t.Error("the plugin cannot read the answer")
			}
		}
	}
	for _, request := range []string{"POST /poll?readKey=x", "POST /refresh?code=x", "GET /redirect?code=x&state=y", "GET /"} {
		method, path, _ := strings.Cut(request, " ")
		for range 10 {
			if got := s.request(method, path, "", "Fly-Client-IP: 192.0.2.1"); got.status == http.StatusTooManyRequests {
				t.Errorf("%s is limited", request)
			}
		}
	}
	time.Sleep(1100 * time.Millisecond)
	if got := start("192.0.2.1"); got.status != http.StatusOK {
		t.Errorf("in the next window: %d %s", got.status, got.body)
	}
}

// Without a trusted header the connection's address counts, whatever a client says.
func TestAuthorizeRateLimitIsNotFooled(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.AuthorizeRateLimit = RateLimit{Requests: 2, Window: time.Minute} })
	for i := range 4 {
		got := s.request(http.MethodPost, "/authorize", "", fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i), fmt.Sprintf("Fly-Client-IP: 192.0.2.%d", i))
		if (got.status == http.StatusOK) != (i < 2) {
			t.Errorf("%d: %d %s", i, got.status, got.body)
		}
	}
}

// Its memory is bounded, whoever floods it.
func TestLimiterIsBounded(t *testing.T) {
	limiter := newLimiter(RateLimit{Requests: 1, Window: time.Hour})
	now := time.Now()
	for i := range 3 * maxNetworks {
		network := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		if limiter.wait(network, now) != 0 {
			t.Fatalf("network %d is refused", i)
		}
	}
	if len(limiter.count) > maxNetworks {
		t.Errorf("it holds %d networks", len(limiter.count))
	}
}

// A customer's whole /48 of IPv6 has a limit, too.
func TestLimiterOfASite(t *testing.T) {
	limiter := newLimiter(RateLimit{Requests: 3, Window: time.Hour})
	now, allowed := time.Now(), 0
	for i := range 100 {
		for range 3 {
			if limiter.wait(netip.MustParsePrefix(fmt.Sprintf("2001:db8:7:%x::/64", i)), now) == 0 {
				allowed++
			}
		}
	}
	if allowed != 30 {
		t.Errorf("%d starts of one /48", allowed)
	}
	if limiter.wait(netip.MustParsePrefix("2001:db8:8::/64"), now) != 0 {
		t.Error("another site is limited with it")
	}
}

// A save of PocketBase's settings does not change whom the service believes.
func TestTrustedHeadersOutliveSettings(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.AuthorizeRateLimit, c.TrustedProxyHeaders = RateLimit{Requests: 1, Window: time.Hour}, []string{"Fly-Client-IP"}
	})
	settings := s.app.Settings()
	settings.TrustedProxy.Headers, settings.TrustedProxy.UseLeftmostIP = []string{"X-Forwarded-For"}, true
	if err := s.app.Save(settings); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for i := range 100 {
		if s.request(http.MethodPost, "/authorize", "", fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i), "Fly-Client-IP: 203.0.113.9, 198.51.100.7").status == http.StatusOK {
			passed++
		}
	}
	if passed != 1 {
		t.Errorf("%d starts of one client passed", passed)
	}
}

// What a client says of itself is never believed, however the proxy writes what it knows.
func TestClientNetwork(t *testing.T) {
	r := &relay{config: Config{TrustedProxyHeaders: []string{"X-Forwarded-For"}}}
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
		asked := httptest.NewRequest(http.MethodPost, "/authorize", nil)
		asked.RemoteAddr = "203.0.113.5:1234"
		if header != "" {
			asked.Header.Set("X-Forwarded-For", header)
		}
		if got := r.clientNetwork(&request{Request: asked}).String(); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

// So is the memory of the logins under way.
func TestPendingLoginsAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	store, err := newSessions(s.app, Config{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxPending {
		store.byID[strconv.Itoa(i)] = nil
	}
	if _, _, _, err := store.start(&s.provider.plugin, "", "", netip.Prefix{}); err != errTooManyLogins {
		t.Errorf("got %v", err)
	}
	delete(store.byID, "0")
	if _, _, _, err := store.start(&s.provider.plugin, "", "", netip.Prefix{}); err != nil {
		t.Errorf("got %v", err)
	}
}

func clientOf(address string) netip.Prefix {
	return netip.PrefixFrom(netip.MustParseAddr(address), 32)
}
