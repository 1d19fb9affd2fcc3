package hooks

import (
	"cmp"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"plugin-oauth/internal/fair"
)

// RateLimit allows a number of requests in each window of time. The zero value stands for the default of what
// is limited.
type RateLimit struct {
	// Requests is the number of requests. If it is negative, there is no limit.
	Requests int

	// Window is how long a window lasts.
	Window time.Duration
}

// times returns a limit that is so many times as high.
func (l RateLimit) times(factor int) RateLimit {
	l.Requests *= factor
	return l
}

// limiter counts the requests of each client network in the current window.
type limiter struct {
	limit RateLimit

	mu      sync.Mutex
	resetAt time.Time // the end of the window
	count   map[netip.Prefix]int
}

const (
	// maxNetworks bounds the memory of a limiter, of which there are eight: each of these takes 62 bytes. A
	// limit for each network does not stop anybody who has more networks than these anyway.
	maxNetworks = 10_000

	// siteShare is how many times the limit of one network all networks of a site may use together.
	siteShare = 10
)

func newLimiter(limit RateLimit) *limiter {
	return &limiter{limit: limit, count: map[netip.Prefix]int{}}
}

// siteOf returns what an internet provider may give to one customer, and may share among thousands: the /48
// of a /64 of IPv6 (RFC 6177). Any other network is a site of its own.
func siteOf(network netip.Prefix) netip.Prefix {
	if network.Bits() == 64 {
		site, _ := network.Addr().Prefix(48)
		return site
	}
	return network
}

// sourceOf returns where something comes from that comes from a network.
func sourceOf(network netip.Prefix) fair.Source {
	return fair.Source{Network: network, Site: siteOf(network), Region: regionOf(network)}
}

// reserve counts a request. It returns 0 if the network is within its limit, else the time until it may try
// again.
func (l *limiter) reserve(network netip.Prefix, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := l.wait(network, now)
	if wait == 0 {
		l.add(network)
	}
	return wait
}

// reserveHalf is reserve for requests that leave half of the limit to others.
func (l *limiter) reserveHalf(network netip.Prefix, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := l.wait(network, now)
	if l.limit.Requests >= 0 && 2*l.count[network] >= l.limit.Requests {
		wait = l.resetAt.Sub(now)
	}
	if wait == 0 {
		l.add(network)
	}
	return wait
}

// peek returns what reserve would, and counts nothing.
func (l *limiter) peek(network netip.Prefix, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wait(network, now)
}

// left returns how many requests a network still has in this window.
func (l *limiter) left(network netip.Prefix, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit.Requests < 0 {
		return math.MaxInt
	}
	l.wait(network, now)
	return l.limit.Requests - l.count[network]
}

// spend counts a request even if the network is over its limit. It returns the end of the window if at least
// half of the limit is used, or else zero.
func (l *limiter) spend(network netip.Prefix, now time.Time) (resetAt time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wait(network, now)
	l.add(network)
	if l.limit.Requests < 0 || 2*l.count[network] < l.limit.Requests {
		return time.Time{}
	}
	return l.resetAt
}

// wait is how long a network must wait. The whole site has a limit, too: somebody who owns a /48 has 65,536
// networks. Half of that is kept for networks that have used nothing in this window. So a few networks that
// use all they can, or are flooded on purpose, take nothing from their neighbors but a second request in the
// same window. The caller holds the lock.
func (l *limiter) wait(network netip.Prefix, now time.Time) time.Duration {
	if l.limit.Requests < 0 {
		return 0
	}
	if !now.Before(l.resetAt) || len(l.count) >= maxNetworks {
		l.count = map[netip.Prefix]int{} // one that is cleared keeps its memory
		l.resetAt = now.Add(l.limit.Window)
	}
	site := siteOf(network)
	free := siteShare * l.limit.Requests
	if l.count[network] > 0 {
		free /= 2
	}
	if l.count[network] >= l.limit.Requests || (site != network && l.count[site] >= free) {
		return l.resetAt.Sub(now)
	}
	return 0
}

// add counts a request. The caller holds the lock.
func (l *limiter) add(network netip.Prefix) {
	if l.limit.Requests < 0 {
		return
	}
	l.count[network]++
	if site := siteOf(network); site != network {
		l.count[site]++
	}
}

// bounds are how many requests of a kind may be under way at a time.
type bounds struct {
	network  int // from one client network
	provider int // to one provider, so that one that hangs leaves room for the others; zero: inAll
	inAll    int
}

// gate bounds how many requests of a kind are under way at a time.
type gate struct {
	bounds bounds

	mu         sync.Mutex
	underWay   map[netip.Prefix]int // of networks, of sites and of regions
	atProvider map[partAtProvider]int
	toProvider map[string]int
	total      int
}

// partAtProvider is what requests of a site, or of a region, to a provider are counted by.
type partAtProvider struct {
	part     netip.Prefix
	provider string
}

func newGate(bounds bounds) *gate {
	bounds.provider = cmp.Or(bounds.provider, bounds.inAll)
	return &gate{
		bounds:     bounds,
		underWay:   map[netip.Prefix]int{},
		atProvider: map[partAtProvider]int{},
		toProvider: map[string]int{},
	}
}

// The errors of a gate.
var (
	errNetworkBusy = &responseError{
		Status: http.StatusTooManyRequests,
		Code:   "temporarily_unavailable",
		Description: "Too many requests from this network are waiting for the provider. Try again in a " +
			"moment.",
	}
	errBusy = &responseError{
		Status:      http.StatusServiceUnavailable,
		Code:        "temporarily_unavailable",
		Description: "Too many requests are waiting for the provider. Try again in a moment.",
	}
)

// enter lets a request in until leave is called. The provider is a host, or blank if the requests go to none.
// That of a tenant has the placeholder in place of the name, since strangers can make up any number of names.
// It fails with errNetworkBusy or errBusy.
//
// A site may not have more under way than there is room left, in all and to the provider. So one takes half
// of the room at the most, and two take a third each. In the same way half of what a site may have is kept
// for those of its networks that have none. All sites of a region together may have twice as much as there is
// room left, and three times as much with those of them that had none: so whoever has all of them leaves a
// quarter, and one that takes what it can leaves some to its neighbors.
func (g *gate) enter(network netip.Prefix, provider string) (leave func(), err error) {
	return g.enterUpTo(g.bounds.network, network, provider)
}

// enterUpTo is enter for a network that may have no more than so many under way.
func (g *gate) enterUpTo(most int, network netip.Prefix, provider string) (leave func(), err error) {
	site, region := siteOf(network), regionOf(network)
	g.mu.Lock()
	defer g.mu.Unlock()
	ofSite, ofRegion := 2, 6 // how many halves of the room they may have
	if site != network && g.underWay[network] > 0 {
		ofSite = 1
	}
	if g.underWay[site] > 0 {
		ofRegion = 4
	}
	isFull := func(held, room, halves int) bool { return max(1, held) > (halves*room+1)/2 }
	inAll, there := g.bounds.inAll-g.total, g.bounds.provider-g.toProvider[provider]
	switch {
	case g.underWay[network] >= min(most, g.bounds.network):
		return nil, errNetworkBusy
	case isFull(g.underWay[site], inAll, ofSite), isFull(g.underWay[region], inAll, ofRegion),
		isFull(g.atProvider[partAtProvider{part: site, provider: provider}], there, ofSite),
		isFull(g.atProvider[partAtProvider{part: region, provider: provider}], there, ofRegion):
		return nil, errBusy
	}
	g.add(network, provider, 1)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.add(network, provider, -1)
	}, nil
}

// sentMemory is what each byte takes that is sent to a provider, as long as that does not answer: it is there
// as it came, and in a form, where it may be encoded as three.
const sentMemory = 4

// enter lets a request in at a gate whose number of requests is small, and keeps its connection until leave
// is called. So many bytes of it are sent to the provider, and count with the connection meanwhile. It fails
// like [gate.enter], also if there is no room to keep the connection, and tells the client when to try again.
func (s *server) enter(g *gate, e *request, provider string, sent int) (leave func(), err error) {
	uncount, err := g.enter(s.clientNetwork(e), provider)
	if err != nil {
		e.setRetryAfter(retryBusy)
		return nil, err
	}
	memory := sentMemory * sent >> 10
	countMore(e.Request, memory)
	release, kept := s.connections.keep(e.Request)
	if !kept {
		countMore(e.Request, -memory)
		uncount()
		e.setRetryAfter(retryBusy)
		return nil, errBusy
	}
	return func() {
		countMore(e.Request, -memory)
		release()
		uncount()
	}, nil
}

// add counts one more, or one less. The caller holds the lock.
func (g *gate) add(network netip.Prefix, provider string, change int) {
	g.total += change
	count(g.toProvider, provider, change)
	site, region := siteOf(network), regionOf(network)
	count(g.underWay, network, change)
	if site != network {
		count(g.underWay, site, change)
	}
	count(g.atProvider, partAtProvider{part: site, provider: provider}, change)
	if region != site { // else the network is not known
		count(g.underWay, region, change)
		count(g.atProvider, partAtProvider{part: region, provider: provider}, change)
	}
}

// count changes a count, and forgets it when it is zero.
func count[K comparable](counts map[K]int, key K, change int) {
	counts[key] += change
	if counts[key] == 0 {
		delete(counts, key)
	}
}

// setRetryAfter tells the client when to try again (RFC 9110 section 10.2.3).
func (e *request) setRetryAfter(wait time.Duration) {
	e.Response.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
}
