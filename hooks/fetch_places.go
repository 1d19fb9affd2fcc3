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
// whoever has not. But the calls of a site go before others only up to its share: each site that has such a
// token has one, and all others have one together. Else somebody who has signed in could hold all places from
// two networks, against those whose tokens this process does not know because it was started after them.
//
// Otherwise it is the longest of the site that has the most, and there of the network that has the most. So
// one site, or six, cannot take more than they leave to the next, and a call of a moment outlasts one that is
// held. It is safe for concurrent use.
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
	if len(c.underWay) < min(c.bounds.inAll, c.bounds.provider, c.bounds.network) {
		return nil, nil
	}
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

// victimOf returns which of the rivals gives up its place for a call. It is nil if that would be unfair.
func victimOf(call *apiCall, rivals []*apiCall) (victim *apiCall) {
	held := newPlaces(call, rivals)
	for _, rival := range rivals {
		if held.yields(rival, call) && (victim == nil || held.goesFirst(rival, victim)) {
			victim = rival
		}
	}
	return victim
}

// places are the calls under way that a call competes with.
type places struct {
	calls map[netip.Prefix]int // of sites and of networks
	known map[netip.Prefix]int // those of sites whose token is known, the new one included
	share int                  // of known calls that a site may have before others
	first bool                 // the new call is known, and within the share
}

func newPlaces(call *apiCall, rivals []*apiCall) places {
	p := places{calls: map[netip.Prefix]int{}, known: map[netip.Prefix]int{}}
	for _, rival := range rivals {
		site := siteOf(rival.network)
		p.calls[site]++
		if site != rival.network {
			p.calls[rival.network]++
		}
		if rival.isKnown {
			p.known[site]++
		}
	}
	if call.isKnown {
		p.known[siteOf(call.network)]++
	}
	shares := len(p.known)
	isOfOthers := func(one *apiCall) bool { return p.known[siteOf(one.network)] == 0 }
	if isOfOthers(call) || slices.ContainsFunc(rivals, isOfOthers) {
		shares++
	}
	p.share = len(rivals) / shares
	p.first = call.isKnown && !p.isBeyondShare(call)
	return p
}

// isBeyondShare reports whether the site of a call has more known calls than its share.
func (p places) isBeyondShare(call *apiCall) bool { return p.known[siteOf(call.network)] > p.share }

// hasMore reports whether the site of a call has more calls than that of another, or the network if they are
// of one site.
func (p places) hasMore(a, b *apiCall) bool {
	if a, b := siteOf(a.network), siteOf(b.network); a != b {
		return p.calls[a] > p.calls[b]
	}
	return p.calls[a.network] > p.calls[b.network]
}

// yields reports whether a rival may have to give up its place for the new call.
func (p places) yields(rival, call *apiCall) bool {
	switch {
	case p.first && !rival.isKnown:
		return true
	case rival.isKnown && !call.isKnown && !p.isBeyondShare(rival):
		return false
	default:
		return p.hasMore(rival, call)
	}
}

// goesFirst reports whether a rival gives up its place rather than another one.
func (p places) goesFirst(a, b *apiCall) bool {
	if p.first && a.isKnown != b.isKnown {
		return b.isKnown
	}
	return p.hasMore(a, b)
}

// remove takes a call's place away, if it still has one. The caller holds the lock.
func (c *apiCalls) remove(call *apiCall) {
	if at := slices.Index(c.underWay, call); at >= 0 {
		c.underWay = slices.Delete(c.underWay, at, at+1)
	}
}
