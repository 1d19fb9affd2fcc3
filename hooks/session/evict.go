package session

import (
	"cmp"
	"container/heap"
	"container/list"
	"context"
	"net/netip"
	"sync/atomic"
)

// evictable holds the pending logins of this machine whose state has not been used, by where they were
// started. When there is no room for another login, the region that weighs the most loses one: the oldest of
// the network that has the most, of the site that has the most. A region weighs as much as it has logins, or
// the square of what its largest site has, if that is more. Were it only the former, a flood from a few sites
// of many regions would weigh less than the customers of one large provider; were it only the latter,
// somebody with all sites of a region could start one login from each, and an office where two people sign in
// would weigh more; and the product of both would be that of a flood for many customers with a few addresses.
// So a flood costs nobody else anything, a neighbor at the same site included. Its zero value is ready for
// use; Sessions.mu guards it.
type evictable struct {
	groups  map[netip.Prefix]*group // the networks and the sites
	regions map[netip.Prefix]*group
	most    groupHeap // the regions
	made    uint64    // how many groups there have been

	count atomic.Int64 // how many there are, so that counting waits for nobody
}

// source is where a login is started: a network, the site that it is a part of, and the region of that; see
// [StartRequest]. The zero one stands for the logins of an earlier process.
type source struct{ network, site, region netip.Prefix }

// group has the logins of a network, of all networks of a site, or of all sites of a region. A network that
// is its own site is both.
type group struct {
	prefix netip.Prefix
	site   *group    // of a network; nil if it is a site or a region
	region *group    // of a site
	own    list.List // of *Login, the oldest first
	parts  groupHeap // the other networks of a site, or the sites of a region
	count  int       // of the logins, those of the parts included
	weight int       // of a region; see [weightOf]
	index  int       // among the regions, the sites of the region, or the other networks of the site
	age    uint64    // how many groups had been made before
}

// add puts a login behind the others of its network.
func (e *evictable) add(login *Login, from source) {
	login.group = e.group(from)
	login.place = login.group.own.PushBack(login)
	e.recount(login.group, 1)
}

// putBack makes a login the oldest of its network again.
func (e *evictable) putBack(login *Login) {
	login.group = e.group(login.group.source())
	login.place = login.group.own.PushFront(login)
	e.recount(login.group, 1)
}

// remove takes a login out, if it is there.
func (e *evictable) remove(login *Login) {
	if login.place == nil {
		return
	}
	login.group.own.Remove(login.place)
	login.place = nil
	e.recount(login.group, -1)
}

// takeOldest takes out the login that makes room for one more from a source. It returns nil if there is none.
// A region loses a login to another only if it weighs more than that other one would then, and a site or a
// network to another of its region or its site only if it has more.
func (e *evictable) takeOldest(starting source) *Login {
	if len(e.most) == 0 {
		return nil
	}
	site := e.most[0].parts[0]
	if own := e.groups[starting.site]; own != nil && own.count+1 >= own.region.parts[0].count &&
		weightOf(own.count+1, own.region.count+1) >= e.most[0].weight {
		site = own
	}
	loser := site.largest()
	own := e.groups[starting.network]
	isPart := own != nil && own.source().site == site.prefix && own.own.Len() > 0
	if isPart && own.own.Len()+1 >= loser.own.Len() {
		loser = own
	}
	login := loser.own.Front().Value.(*Login)
	e.remove(login)
	return login
}

// group returns the group of a network, which is new if the network has no logins.
func (e *evictable) group(from source) *group {
	if found := e.groups[from.network]; found != nil {
		return found
	}
	made := e.make(from.network)
	if from.site == from.network {
		made.region = e.region(from.region)
	} else {
		made.site = e.group(source{network: from.site, site: from.site, region: from.region})
	}
	heap.Push(e.siblings(made), made)
	if e.groups == nil {
		e.groups = map[netip.Prefix]*group{}
	}
	e.groups[made.prefix] = made
	return made
}

// region returns the group of a region, which is new if the region has no logins.
func (e *evictable) region(prefix netip.Prefix) *group {
	if found := e.regions[prefix]; found != nil {
		return found
	}
	made := e.make(prefix)
	heap.Push(&e.most, made)
	if e.regions == nil {
		e.regions = map[netip.Prefix]*group{}
	}
	e.regions[prefix] = made
	return made
}

func (e *evictable) make(prefix netip.Prefix) *group {
	e.made++
	e.count.Add(1)
	return &group{prefix: prefix, age: e.made}
}

// siblings returns the groups that a group is among.
func (e *evictable) siblings(g *group) *groupHeap {
	switch {
	case g.site != nil:
		return &g.site.parts
	case g.region != nil:
		return &g.region.parts
	}
	return &e.most
}

// recount adds to the number of logins of a network, its site and its region, and puts them where they
// belong. What has no logins is forgotten.
func (e *evictable) recount(network *group, change int) {
	site := cmp.Or(network.site, network)
	if site != network {
		network.count += change
		e.place(network, e.groups)
	}
	site.count += change
	e.place(site, e.groups)
	region := site.region
	region.count += change
	if len(region.parts) > 0 {
		region.weight = weightOf(region.parts[0].count, region.count)
	}
	e.place(region, e.regions)
}

// weightOf returns what a region weighs whose largest site has so many logins, of so many in all.
func weightOf(largest, all int) int { return max(largest*largest, all) }

// place puts a group where it belongs among its siblings, or forgets it if it has no logins.
func (e *evictable) place(g *group, known map[netip.Prefix]*group) {
	if g.count > 0 {
		heap.Fix(e.siblings(g), g.index)
		return
	}
	heap.Remove(e.siblings(g), g.index)
	delete(known, g.prefix)
	e.count.Add(-1)
}

// source returns where the logins of a network were started.
func (g *group) source() source {
	site := cmp.Or(g.site, g)
	return source{network: g.prefix, site: site.prefix, region: site.region.prefix}
}

// largest returns the network of a site that has the most logins.
func (g *group) largest() *group {
	if len(g.parts) > 0 && g.parts[0].count > g.own.Len() {
		return g.parts[0]
	}
	return g
}

// groupHeap has the region first that weighs the most, or else the group with the most logins, and of several
// the one that was made first; see [heap.Interface].
type groupHeap []*group

func (h groupHeap) Len() int { return len(h) }

func (h groupHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(b.count, a.count),
		cmp.Compare(a.age, b.age)) < 0
}

func (h groupHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *groupHeap) Push(x any) {
	added := x.(*group)
	added.index = len(*h)
	*h = append(*h, added)
}

func (h *groupHeap) Pop() any {
	last := len(*h) - 1
	popped := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return popped
}

// makeRoom reserves room for a login that is about to start. If there is none, a login that never came back
// from the provider expires early. It fails with ErrFull if all of them have come back.
func (s *Sessions) makeRoom(ctx context.Context, id string, starting source) error {
	for {
		login, reserved := s.reserve(id, starting)
		if reserved {
			return nil
		}
		if login == nil {
			return ErrFull
		}
		// If the state has just been used, the login goes on, and the next one is tried.
		if _, err := s.table.Expire(ctx, login.row.ID, s.now()); err != nil {
			s.restore(login)
			return err
		}
	}
}

// reserve reserves room for a login. If there is none, it returns the login to expire, if any.
func (s *Sessions) reserve(id string, starting source) (login *Login, reserved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own+len(s.starting) < s.maxPending {
		s.starting[id] = starting
		return nil, true
	}
	return s.evictable.takeOldest(starting), false
}

// unreserve gives back the room of a login that did not start.
func (s *Sessions) unreserve(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.starting, id)
}

// restore undoes what reserve did to a login that could not be expired.
func (s *Sessions) restore(login *Login) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[login.row.ID] == login {
		s.evictable.putBack(login)
	}
}
