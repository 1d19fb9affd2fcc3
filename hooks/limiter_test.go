package hooks

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// limited configures a service that lets each network start three logins in a second, and believes one
// header.
func limited(clock *testClock) func(*Config) {
	return func(c *Config) {
		clock.setIn(c)
		c.AuthorizeRateLimit = RateLimit{Requests: 3, Window: time.Second}
		c.TrustedProxyHeaders = []string{"Fly-Client-IP"}
	}
}

// authorizeFrom starts a login from an address.
func (s *testServer) authorizeFrom(address string) testkit.Answer {
	s.T.Helper()
	return s.Request(http.MethodPost, "/authorize", "", "Fly-Client-IP: "+address,
		"X-Forwarded-For: "+rand.Text(), "Origin: https://abc123.plugins.framercdn.com")
}

// Each client network may start a limited number of logins in a window.
func TestAuthorizeRateLimit(t *testing.T) {
	t.Parallel()
	root := serve(t, limited(newTestClock()))
	for name, addresses := range map[string][]string{
		"IPv4, in any form": {"192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"},
		"a /64":             {"2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8:0:0:1::"},
		"another /64":       {"2001:db8:0:1::1", "2001:db8:0:1::1", "2001:db8:0:1::1", "2001:db8:0:1::1"},
		"another IPv4":      {"192.0.2.2", "192.0.2.2", "192.0.2.2", "192.0.2.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			for _, address := range addresses[:3] {
				if got := s.authorizeFrom(address); got.Status != http.StatusOK {
					t.Errorf("%s: %d %s", address, got.Status, got.Body)
				}
			}
			got := s.authorizeFrom(addresses[3])
			s.ExpectError(addresses[3], got, http.StatusTooManyRequests, "temporarily_unavailable")
			if seconds, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || seconds != 1 {
				t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
			}
			if got.Header.Get("Access-Control-Allow-Origin") == "" {
				t.Error("the plugin cannot read the answer")
			}
		})
	}
}

// Only /authorize is limited, until the window ends.
func TestAuthorizeRateLimitEnds(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, limited(clock))
	for range 4 {
		s.authorizeFrom("192.0.2.1")
	}
	for _, r := range []struct{ method, path string }{
		{method: "POST", path: "/poll?readKey=x"},
		{method: "POST", path: "/refresh?code=x"},
		{method: "GET", path: "/redirect?code=x&state=y"},
		{method: "GET", path: "/"},
	} {
		for range 10 {
			got := s.Request(r.method, r.path, "", "Fly-Client-IP: 192.0.2.1")
			if got.Status == http.StatusTooManyRequests {
				t.Errorf("%s is limited", r.path)
			}
		}
	}
	clock.move(time.Second - time.Millisecond)
	if got := s.authorizeFrom("192.0.2.1"); got.Status != http.StatusTooManyRequests {
		t.Errorf("just before the end of the window: %d %s", got.Status, got.Body)
	}
	clock.move(time.Millisecond)
	if got := s.authorizeFrom("192.0.2.1"); got.Status != http.StatusOK {
		t.Errorf("in the next window: %d %s", got.Status, got.Body)
	}
}

// Without a trusted header the connection's address counts, whatever a client says.
func TestAuthorizeRateLimitIsNotFooled(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		newTestClock().setIn(c)
		c.AuthorizeRateLimit = RateLimit{Requests: 2, Window: time.Minute}
	})
	for i := range 4 {
		got := s.Request(http.MethodPost, "/authorize", "",
			fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i), fmt.Sprintf("Fly-Client-IP: 192.0.2.%d", i))
		if (got.Status == http.StatusOK) != (i < 2) {
			t.Errorf("%d: %d %s", i, got.Status, got.Body)
		}
	}
}

// A page elsewhere, in a browser of the network, cannot keep everybody there from signing in.
func TestForeignPagesLeaveHalf(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.AuthorizeRateLimit = RateLimit{Requests: 5, Window: time.Hour}
		c.TrustedProxyHeaders = []string{"Fly-Client-IP"}
	})
	passed := func(origin string) (count int) {
		for range 10 {
			got := s.Request(http.MethodPost, "/authorize", "", fromHome, origin)
			if got.Status == http.StatusOK {
				count++
			}
		}
		return count
	}
	for _, test := range []struct {
		origin string
		want   int
	}{
		{origin: "Origin: https://elsewhere.example", want: 3},
		{origin: "Origin: null", want: 0},
		{origin: "Origin: https://abc123.plugins.framercdn.com", want: 2},
	} {
		if got := passed(test.origin); got != test.want {
			t.Errorf("%s: %d logins, want %d", test.origin, got, test.want)
		}
	}
}

// The memory of a limiter is bounded, however many networks flood it.
func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	l := newLimiter(RateLimit{Requests: 1, Window: time.Hour})
	now := time.Now()
	for i := range 3 * maxNetworks {
		address := netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
		if l.reserve(netip.PrefixFrom(address, 32), now) != 0 {
			t.Fatalf("network %d is refused", i)
		}
	}
	if len(l.count) > maxNetworks {
		t.Errorf("it holds %d networks", len(l.count))
	}
}

// The whole /48 of a customer's IPv6 addresses has a limit, too.
func TestLimiterOfASite(t *testing.T) {
	t.Parallel()
	l := newLimiter(RateLimit{Requests: 3, Window: time.Hour})
	now, allowed := time.Now(), 0
	for i := range 100 {
		for range 3 {
			if l.reserve(netip.MustParsePrefix(fmt.Sprintf("2001:db8:7:%x::/64", i)), now) == 0 {
				allowed++
			}
		}
	}
	if allowed != 30 {
		t.Errorf("%d starts of one /48", allowed)
	}
	if l.reserve(netip.MustParsePrefix("2001:db8:8::/64"), now) != 0 {
		t.Error("another site is limited with it")
	}
}

// Networks that use all they can leave a first request to each of their neighbors, even where each customer
// has 256 networks of the site. But whoever has the whole /48 has no more than its limit.
func TestLimiterOfNeighbors(t *testing.T) {
	t.Parallel()
	network := func(i int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("2001:db8:7:%x::/64", i)) }
	l, now, flood := newLimiter(RateLimit{Requests: 60, Window: time.Hour}), time.Now(), 0
	for range 100 {
		for i := range 256 {
			if l.reserve(network(i), now) == 0 {
				flood++
			}
		}
	}
	if flood > 300 {
		t.Errorf("%d starts of one neighbor", flood)
	}
	for i := range 40 {
		if l.reserve(network(1000+i), now) != 0 {
			t.Errorf("neighbor %d is refused its first start", i)
		}
		if l.reserve(network(1000+i), now) == 0 {
			t.Errorf("neighbor %d is not limited at all", i)
		}
	}
	all := flood + 40
	for i := range 65_536 {
		if l.reserve(network(i), now) == 0 {
			all++
		}
	}
	if all != 600 {
		t.Errorf("%d starts of one /48", all)
	}
}

// A gate lets in so many of one network, to one provider, and in all, and keeps nothing of those that have
// left.
func TestGate(t *testing.T) {
	t.Parallel()
	g := newGate(bounds{network: 2, provider: 4, inAll: 6})
	var leaves []func()
	enter := func(network, provider string, want error) {
		t.Helper()
		leave, err := g.enter(netip.MustParsePrefix(network), provider)
		if err != want {
			t.Fatalf("%s: %v, want %v", network, err, want)
		}
		if err == nil {
			leaves = append(leaves, leave)
		}
	}
	enter("192.0.2.1/32", "hangs", nil)
	enter("192.0.2.1/32", "hangs", nil)
	enter("192.0.2.1/32", "works", errNetworkBusy)
	enter("198.51.100.1/32", "hangs", nil)
	enter("203.0.113.1/32", "hangs", nil)
	enter("3fff:4::/64", "hangs", errBusy)
	enter("3fff:4::/64", "works", nil)
	enter("2001:db8:7::/64", "works", nil)
	enter("3fff:5::/64", "works", errBusy)
	leaves[0]()
	leaves = leaves[1:]
	enter("3fff:5::/64", "hangs", nil)
	for _, leave := range leaves {
		leave()
	}
	if g.total != 0 || len(g.underWay)+len(g.atProvider)+len(g.toProvider) != 0 {
		t.Errorf("%d are left, of %v, %v to %v", g.total, g.underWay, g.atProvider, g.toProvider)
	}
}

// Whoever has a few /48s leaves room to others at a provider that hangs, and at all providers together.
func TestGateOfSites(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]bounds{
		"exchanges": exchangeBounds,
		"refreshes": providerBounds,
		"polls":     {network: networkPolls, inAll: heldPolls},
	} {
		for sites := 1; sites <= 4; sites++ {
			t.Run(fmt.Sprintf("%s of %d sites", name, sites), func(t *testing.T) {
				t.Parallel()
				expectRoomBeside(t, newGate(b), sites)
			})
		}
	}
}

// expectRoomBeside fills a gate from so many sites of IPv6, and checks that others can still do something.
func expectRoomBeside(t *testing.T, g *gate, sites int) {
	t.Helper()
	for _, provider := range []string{"hangs", "hangs, too", "and another"} {
		for i := range 2 * g.bounds.inAll {
			network := fmt.Sprintf("2001:db8:%x:%x::/64", i%sites, i/sites)
			_, _ = g.enter(netip.MustParsePrefix(network), provider)
		}
	}
	if most := g.bounds.inAll * sites / (sites + 1); g.total > most+sites {
		t.Errorf("they have %d of %d", g.total, g.bounds.inAll)
	}
	for i := range 20 {
		network := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)
		if _, err := g.enter(network, "hangs"); err != nil {
			t.Fatalf("network %d: %v", i, err)
		}
	}
}

// A network that takes all it can, and a few that do, leave something to their neighbors.
func TestGateOfNeighbors(t *testing.T) {
	t.Parallel()
	g := newGate(providerBounds)
	network := func(i int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("2001:db8:7:%x::/64", i)) }
	alone := 0
	for range 2 * providerBounds.network {
		if _, err := g.enter(network(0), "hangs"); err == nil {
			alone++
		}
	}
	if alone != providerBounds.network {
		t.Errorf("one network has %d", alone)
	}
	for i := range 8 * providerBounds.network {
		_, _ = g.enter(network(i%8), "hangs")
	}
	for i := range 40 {
		if _, err := g.enter(network(100+i), "hangs"); err != nil {
			t.Fatalf("neighbor %d: %v", i, err)
		}
	}
}

// Whoever has all sites of a region, and so any number of networks, leaves a quarter of the room to others. A
// site, or some, that take all they can leave something to their neighbors in the region.
func TestGateOfRegions(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]bounds{"logins": storeBounds, "exchanges": exchangeBounds,
		"refreshes": providerBounds, "junk": unknownBounds, "large bodies": largeBodies} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(b)
			site := func(i int) netip.Prefix {
				return netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::/64", i))
			}
			for i := range 2 * b.inAll {
				network := fmt.Sprintf("2001:db8:0:%x::/64", i) // a site takes what it can
				_, _ = g.enter(netip.MustParsePrefix(network), "one")
			}
			for range 5 {
				if _, err := g.enter(site(100), "one"); err != nil {
					t.Errorf("a neighbor: %v", err)
				}
			}
			for i := range 2 * b.inAll {
				_, _ = g.enter(site(1+i%3), "one")
			}
			if _, err := g.enter(site(101), "one"); err != nil {
				t.Errorf("a neighbor of four: %v", err)
			}
			for i := range 2 * b.inAll {
				_, _ = g.enter(site(1000+i), "one")
			}
			if left := g.bounds.provider - g.toProvider["one"]; left < g.bounds.provider/4-1 {
				t.Errorf("all sites of a region leave %d of %d", left, g.bounds.provider)
			}
			for i := range 10 {
				office := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 32)
				if _, err := g.enter(office, "one"); err != nil {
					t.Errorf("office %d: %v", i, err)
				}
			}
		})
	}
}

// fill fills a gate with requests to a provider, from all over the world, until empty is called.
func fill(g *gate, provider string) (empty func()) {
	var leaves []func()
	for i := range g.bounds.inAll + 1 {
		network := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, byte(i), byte(i >> 8), 1}), 32)
		if leave, err := g.enter(network, provider); err == nil {
			leaves = append(leaves, leave)
		}
	}
	return func() {
		for _, leave := range leaves {
			leave()
		}
	}
}
