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
// That other is one whose token has a lower standing, if there is any: whoever has signed in goes before
// whoever has not. But the calls of a site go before others only up to its share: each site that has tokens
// of that standing has one, and all others have one together. Else somebody who has signed in could hold all
// places from two networks, against those whose tokens this process does not know because it was started
// after them. These have a standing once the API has accepted one of their calls: a hundred networks that
// make up tokens could otherwise end all their calls as soon as they begin.
//
// Otherwise it is the longest of the site that has the most, and there of the network that has the most. So
// one site, or six, cannot take more than they leave to the next, and a call of a moment outlasts one that is
// held. It is safe for concurrent use.
type apiCalls struct {
	bounds bounds

	mu       sync.Mutex
	underWay []*apiCall // the longest first
}

// standing is what is known of the token of a call. Some APIs take made-up tokens, too, so the middle one
// counts less than the last.
type standing int

const (
	unknownToken  standing = iota // anybody may have made it up
	acceptedToken                 // the API took it not long ago
	tokenFromHere
	standings = iota // how many there are
)

// apiCall is a call of an API that has a place.
type apiCall struct {
	network  netip.Prefix
	provider string
	token    standing
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

// accept says that the API has accepted a call.
func (c *apiCalls) accept(call *apiCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call.token = max(call.token, acceptedToken)
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
	of    [standings]shares
	first bool // the new call has a standing, and is within the share
}

// shares are the calls of each site whose tokens have a standing, or a higher one, the new call included.
type shares struct {
	calls map[netip.Prefix]int
	each  int // how many of them a site may have before others
}

func newPlaces(call *apiCall, rivals []*apiCall) places {
	p := places{calls: map[netip.Prefix]int{}}
	for _, rival := range rivals {
		site := siteOf(rival.network)
		p.calls[site]++
		if site != rival.network {
			p.calls[rival.network]++
		}
	}
	for token := acceptedToken; token < standings; token++ {
		p.of[token] = newShares(token, call, rivals)
	}
	p.first = call.token > unknownToken && !p.isBeyondShare(call)
	return p
}

func newShares(token standing, call *apiCall, rivals []*apiCall) shares {
	s := shares{calls: map[netip.Prefix]int{}}
	all := append(slices.Clip(rivals), call)
	for _, one := range all {
		if one.token >= token {
			s.calls[siteOf(one.network)]++
		}
	}
	count := len(s.calls)
	if slices.ContainsFunc(all, func(one *apiCall) bool { return s.calls[siteOf(one.network)] == 0 }) {
		count++ // for all others together
	}
	s.each = len(rivals) / max(1, count)
	return s
}

// isBeyondShare reports whether the site of a call has more calls of its standing than its share.
func (p places) isBeyondShare(call *apiCall) bool {
	return p.of[call.token].calls[siteOf(call.network)] > p.of[call.token].each
}

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
	case p.first && rival.token < call.token:
		return true
	case rival.token > call.token && !p.isBeyondShare(rival):
		return false
	default:
		return p.hasMore(rival, call)
	}
}

// goesFirst reports whether a rival gives up its place rather than another one.
func (p places) goesFirst(a, b *apiCall) bool {
	if p.first && a.token != b.token {
		return a.token < b.token
	}
	return p.hasMore(a, b)
}

// remove takes a call's place away, if it still has one. The caller holds the lock.
func (c *apiCalls) remove(call *apiCall) {
	if at := slices.Index(c.underWay, call); at >= 0 {
		c.underWay = slices.Delete(c.underWay, at, at+1)
	}
}
