// Package fair keeps what strangers have brought by where it comes from, and says which of it makes room for
// more where there are bounds: something of those who have brought the most, so that a flood takes the places
// of itself alone. Fair queueing calls that longest queue drop.
//
//	var crowds fair.Crowds[*Login]
//	login.place = crowds.Add(login, fair.Source{Network: network, Site: site, Region: region})
//	if isFull {
//		oldest := crowds.First()
//		crowds.Remove(oldest)
//		end(oldest.Value)
//	}
package fair

import (
	"cmp"
	"container/heap"
	"container/list"
	"net/netip"
	"sync/atomic"
)

// Source is where something comes from: a network, the site that it is a part of, such as somebody's /48 of
// IPv6, and the region of that, which a whole provider may have. A network may be its own site. The zero
// source stands for all that nothing is known of.
type Source struct{ Network, Site, Region netip.Prefix }

// Crowds has values by their sources. First to make room is the oldest value of the network that has the
// most, of the site that has the most, of the region that weighs the most. A region weighs as much as it has
// values, or the square of what its largest site has, if that is more. Were it only the former, a flood from
// a few sites of many regions would weigh less than the customers of one large provider; were it only the
// latter, somebody with all sites of a region could bring one value from each, and an office with two would
// weigh more; and the product of both would be that of a flood for many customers with a few addresses. So a
// flood costs nobody else anything, a neighbor at the same site included.
//
// The zero value is empty and ready for use. The caller guards it, except for [Crowds.Sources].
type Crowds[T any] struct {
	groups  map[netip.Prefix]*group // the networks and the sites
	regions map[netip.Prefix]*group
	most    groupHeap // the regions
	made    uint64    // how many groups there have been

	count atomic.Int64 // how many there are, so that counting waits for nobody
}

// Place is where a value is among the others.
type Place[T any] struct {
	// Value is what was added.
	Value T

	count   int // as how many values it counts
	group   *group
	element *list.Element // among the values of the group; nil once it is removed
}

// group has the values of a network, of all networks of a site, or of all sites of a region. A network that
// is its own site is both.
type group struct {
	prefix netip.Prefix
	site   *group    // of a network; nil if it is a site or a region
	region *group    // of a site
	own    list.List // the places of its values, the oldest first
	counts int       // as how many these count
	parts  groupHeap // the other networks of a site, or the sites of a region
	count  int       // as how many all values count, those of the parts included
	weight int       // of a region; see Weigh
	index  int       // among the regions, the sites of the region, or the other networks of the site
	age    uint64    // how many groups had been made before
}

// Add puts a value behind the others of its network. It counts as one.
func (c *Crowds[T]) Add(value T, from Source) *Place[T] {
	place := &Place[T]{Value: value, count: 1, group: c.group(from)}
	place.element = place.group.own.PushBack(place)
	c.recount(place.group, place.count)
	return place
}

// Resize makes a value count as so many, which must be one or more.
func (c *Crowds[T]) Resize(place *Place[T], count int) {
	change := count - place.count
	place.count = count
	if change != 0 {
		c.recount(place.group, change)
	}
}

// PutBack makes a value that was removed the oldest of its network.
func (c *Crowds[T]) PutBack(place *Place[T]) {
	place.group = c.group(place.group.source())
	place.element = place.group.own.PushFront(place)
	c.recount(place.group, place.count)
}

// Remove takes a value out, unless that has been done. The place may be nil.
func (c *Crowds[T]) Remove(place *Place[T]) {
	if place == nil || place.element == nil {
		return
	}
	place.group.own.Remove(place.element)
	place.element = nil
	c.recount(place.group, -place.count)
}

// First returns which value makes room first. It is nil if there is none.
func (c *Crowds[T]) First() *Place[T] {
	if len(c.most) == 0 {
		return nil
	}
	return oldest[T](c.most[0].parts[0].largest())
}

// maxTied is among how many sites Last looks for the one that was made last.
const maxTied = 256

// Last returns the newest value of one of the networks that have the most, and as how many the values of that
// network count. If several sites of a region have the most, it is of the one that came last, unless there are
// very many. It is nil if there is none.
func (c *Crowds[T]) Last() (newest *Place[T], count int) {
	if len(c.most) == 0 {
		return nil, 0
	}
	sites := c.most[0].parts
	last := sites[0]
	for _, site := range sites[:min(len(sites), maxTied)] {
		if site.count == last.count && site.age > last.age {
			last = site
		}
	}
	network := last.largest()
	return network.own.Back().Value.(*Place[T]), network.counts
}

// FirstFor is First before one more value is added from a source. A region makes room for another only if it
// weighs more than that other one would then, and a site or a network for another of its region or its site
// only if it has more. Else the source makes room for itself.
func (c *Crowds[T]) FirstFor(from Source) *Place[T] {
	if len(c.most) == 0 {
		return nil
	}
	site := c.most[0].parts[0]
	if own := c.groups[from.Site]; own != nil && own.count+1 >= own.region.parts[0].count &&
		Weigh(own.count+1, own.region.count+1) >= c.most[0].weight {
		site = own
	}
	loser := site.largest()
	own := c.groups[from.Network]
	isPart := own != nil && own.source().Site == site.prefix && own.counts > 0
	if isPart && own.counts+1 >= loser.counts {
		loser = own
	}
	return oldest[T](loser)
}

// oldest returns the oldest value of a network.
func oldest[T any](network *group) *Place[T] {
	return network.own.Front().Value.(*Place[T])
}

// Count returns as how many the values count that come from a source's site, and from its region.
func (c *Crowds[T]) Count(from Source) (ofSite, ofRegion int) {
	if site := c.groups[from.Site]; site != nil {
		ofSite = site.count
	}
	if region := c.regions[from.Region]; region != nil {
		ofRegion = region.count
	}
	return ofSite, ofRegion
}

// Sources returns how many networks, sites and regions have values. A network that is its own site counts
// once. It is safe for concurrent use.
func (c *Crowds[T]) Sources() int { return int(c.count.Load()) }

// group returns the group of a network, which is new if the network has no values.
func (c *Crowds[T]) group(from Source) *group {
	if found := c.groups[from.Network]; found != nil {
		return found
	}
	made := c.make(from.Network)
	if from.Site == from.Network {
		made.region = c.region(from.Region)
	} else {
		made.site = c.group(Source{Network: from.Site, Site: from.Site, Region: from.Region})
	}
	heap.Push(c.siblings(made), made)
	if c.groups == nil {
		c.groups = map[netip.Prefix]*group{}
	}
	c.groups[made.prefix] = made
	return made
}

// region returns the group of a region, which is new if the region has no values.
func (c *Crowds[T]) region(prefix netip.Prefix) *group {
	if found := c.regions[prefix]; found != nil {
		return found
	}
	made := c.make(prefix)
	heap.Push(&c.most, made)
	if c.regions == nil {
		c.regions = map[netip.Prefix]*group{}
	}
	c.regions[prefix] = made
	return made
}

func (c *Crowds[T]) make(prefix netip.Prefix) *group {
	c.made++
	c.count.Add(1)
	return &group{prefix: prefix, age: c.made}
}

// siblings returns the groups that a group is among.
func (c *Crowds[T]) siblings(g *group) *groupHeap {
	switch {
	case g.site != nil:
		return &g.site.parts
	case g.region != nil:
		return &g.region.parts
	}
	return &c.most
}

// recount adds to the number of values of a network, its site and its region, and puts them where they
// belong. What has no values is forgotten.
func (c *Crowds[T]) recount(network *group, change int) {
	network.counts += change
	site := cmp.Or(network.site, network)
	if site != network {
		network.count += change
		c.place(network, c.groups)
	}
	site.count += change
	c.place(site, c.groups)
	region := site.region
	region.count += change
	if len(region.parts) > 0 {
		region.weight = Weigh(region.parts[0].count, region.count)
	}
	c.place(region, c.regions)
}

// Weigh returns what a site of a region weighs that has so many values, of so many in all. The largest one
// weighs as much as the region.
func Weigh(ofSite, ofRegion int) int { return max(ofSite*ofSite, ofRegion) }

// place puts a group where it belongs among its siblings, or forgets it if it has no values.
func (c *Crowds[T]) place(g *group, known map[netip.Prefix]*group) {
	if g.count > 0 {
		heap.Fix(c.siblings(g), g.index)
		return
	}
	heap.Remove(c.siblings(g), g.index)
	delete(known, g.prefix)
	c.count.Add(-1)
}

// source returns where the values of a network come from.
func (g *group) source() Source {
	site := cmp.Or(g.site, g)
	return Source{Network: g.prefix, Site: site.prefix, Region: site.region.prefix}
}

// largest returns the network of a site that has the most values.
func (g *group) largest() *group {
	if len(g.parts) > 0 && g.parts[0].count > g.counts {
		return g.parts[0]
	}
	return g
}

// groupHeap has the region first that weighs the most, or else the group with the most values, and of several
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
