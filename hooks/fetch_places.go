package hooks

import (
	"net/netip"
	"slices"
	"sync"
)

// apiCalls are the calls of APIs under way. Each has a place until it ends, however slowly its page sends and
// reads, and at the bounds nobody is kept out by those who only hold places: a call that comes gets the place
// of another, which ends.
//
// That other is one whose token did not come from here, if there is any: whoever has signed in goes before
// whoever has not. Of these it is the longest of the site that has the most, and there of the network that
// has the most. So one site, or six, cannot take more than they leave to the next, and a call of a moment
// outlasts one that is held. It is safe for concurrent use.
type apiCalls struct {
	bounds bounds

	mu       sync.Mutex
	underWay []*apiCall // the longest first
}

// apiCall is a call of an API that has a place.
type apiCall struct {
	network  netip.Prefix
	provider string
	isKnown  bool   // its token came from here
	displace func() // ends the call, since another needs its place; it must not block
}

// enter gives a call a place until leave is called. It fails with errNetworkBusy or errBusy.
func (c *apiCalls) enter(call *apiCall) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rivals, err := c.rivals(call)
	if err != nil {
		victim := victimOf(call, rivals)
		if victim == nil {
			return nil, err
		}
		c.remove(victim)
		victim.displace()
	}
	c.underWay = append(c.underWay, call)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.remove(call)
	}, nil
}

// rivals returns the calls of which one must end before there is room for another, and which error tells its
// page so. There is no error if there is room. The caller holds the lock.
func (c *apiCalls) rivals(call *apiCall) (rivals []*apiCall, err error) {
	isFull := func(bound int, rivals []*apiCall) bool { return len(rivals) >= bound }
	rivals = c.underWay
	if isFull(c.bounds.inAll, c.underWay) {
		err = errBusy
	}
	there := callsOf(c.underWay, func(other *apiCall) bool { return other.provider == call.provider })
	if isFull(c.bounds.provider, there) {
		rivals, err = there, errBusy
	}
	near := func(other *apiCall) bool { return other.network == call.network }
	if isFull(c.bounds.network, callsOf(c.underWay, near)) {
		rivals, err = callsOf(rivals, near), errNetworkBusy
	}
	return rivals, err
}

func callsOf(calls []*apiCall, isOne func(*apiCall) bool) (some []*apiCall) {
	for _, call := range calls {
		if isOne(call) {
			some = append(some, call)
		}
	}
	return some
}

// victimOf returns which of the rivals gives up its place for a call. It is nil if that would be unfair: none
// has a token that is worth less, or is of a site or a network that has more than the call's.
func victimOf(call *apiCall, rivals []*apiCall) (victim *apiCall) {
	counts := map[netip.Prefix]int{}
	for _, rival := range rivals {
		counts[siteOf(rival.network)]++
		if site := siteOf(rival.network); site != rival.network {
			counts[rival.network]++
		}
	}
	hasMore := func(a, b *apiCall) bool {
		if a, b := siteOf(a.network), siteOf(b.network); a != b {
			return counts[a] > counts[b]
		}
		return counts[a.network] > counts[b.network]
	}
	goesBefore := func(a, b *apiCall) bool {
		if a.isKnown != b.isKnown {
			return b.isKnown
		}
		return hasMore(a, b)
	}
	for _, rival := range rivals {
		if goesBefore(rival, call) && (victim == nil || goesBefore(rival, victim)) {
			victim = rival
		}
	}
	return victim
}

// remove takes a call's place away, if it still has one. The caller holds the lock.
func (c *apiCalls) remove(call *apiCall) {
	if at := slices.Index(c.underWay, call); at >= 0 {
		c.underWay = slices.Delete(c.underWay, at, at+1)
	}
}
