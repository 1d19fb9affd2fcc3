package fair

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// entry is a value of the model: all that is there, in the order of its arrival.
type entry struct {
	from  Source
	place *Place[int]
}

// first returns which places of the model make room first, from the definition alone. Of equal regions, sites
// and networks it may be any.
func first(entries []entry) (places []*Place[int]) {
	network := func(s Source) netip.Prefix { return s.Network }
	site := func(s Source) netip.Prefix { return s.Site }
	region := func(s Source) netip.Prefix { return s.Region }
	count := func(of func(Source) netip.Prefix) func(Source) int {
		counts := map[netip.Prefix]int{}
		for _, one := range entries {
			counts[of(one.from)] += one.place.count
		}
		return func(s Source) int { return counts[of(s)] }
	}
	ofNetwork, ofSite, ofRegion := count(network), count(site), count(region)
	weights := map[netip.Prefix]int{}
	for _, one := range entries {
		largest := ofSite(one.from)
		weights[one.from.Region] = max(weights[one.from.Region], largest*largest, ofRegion(one.from))
	}
	// most keeps those that have the most among all with the same parent.
	most := func(entries []entry, parent func(Source) netip.Prefix, have func(Source) int) []entry {
		highest := map[netip.Prefix]int{}
		for _, one := range entries {
			highest[parent(one.from)] = max(highest[parent(one.from)], have(one.from))
		}
		return slices.DeleteFunc(slices.Clone(entries), func(one entry) bool {
			return have(one.from) < highest[parent(one.from)]
		})
	}
	all := func(Source) netip.Prefix { return netip.Prefix{} }
	entries = most(entries, all, func(s Source) int { return weights[s.Region] })
	entries = most(entries, all, ofRegion)
	entries = most(entries, region, ofSite)
	entries = most(entries, site, ofNetwork)
	seen := map[Source]bool{}
	for _, one := range entries { // the oldest of each network
		if !seen[one.from] {
			places = append(places, one.place)
			seen[one.from] = true
		}
	}
	return places
}

// Whatever is added and removed, the first is what the definition says.
func TestFirst(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var crowds Crowds[int]
	var entries []entry
	const steps = 5000
	for i := range steps {
		// Many are added at first, and many removed at last.
		if len(entries) == 0 || random.IntN(steps) > i {
			from := randomSource(random)
			entries = append(entries, entry{from: from, place: crowds.Add(i, from)})
			crowds.Resize(entries[random.IntN(len(entries))].place, 1+random.IntN(3))
		} else {
			at := random.IntN(len(entries))
			crowds.Remove(entries[at].place)
			crowds.Remove(entries[at].place) // once is enough
			entries = slices.Delete(entries, at, at+1)
		}
		if got := crowds.First(); !slices.Contains(first(entries), got) && len(entries) > 0 {
			t.Fatalf("step %d: %d of %v is not the first", i, got.Value, got.group.source())
		}
	}
	for _, one := range entries {
		crowds.Remove(one.place)
	}
	if newest, count := crowds.Last(); newest != nil || count != 0 || crowds.First() != nil {
		t.Error("something is left")
	}
	if crowds.Sources() != 0 {
		t.Errorf("%d sources are left", crowds.Sources())
	}
}

// randomSource returns one of a few networks in a few sites of a few regions. Some networks are sites.
func randomSource(random *rand.Rand) Source {
	region, site, network := random.IntN(4), random.IntN(4), random.IntN(3)
	address := netip.AddrFrom16([16]byte{0x20, 1, 0xd, byte(region), 0, byte(site), 0, byte(network)})
	prefix := func(bits int) netip.Prefix {
		masked, _ := address.Prefix(bits)
		return masked
	}
	from := Source{Network: prefix(64), Site: prefix(48), Region: prefix(32)}
	if network == 0 {
		from.Network = from.Site
	}
	return from
}

// What is put back goes first again, of its network. What a source weighs is as it was.
func TestPutBack(t *testing.T) {
	t.Parallel()
	var crowds Crowds[string]
	from := Source{Network: netip.MustParsePrefix("192.0.2.1/32")}
	from.Site, from.Region = from.Network, netip.MustParsePrefix("192.0.0.0/16")
	oldest := crowds.Add("oldest", from)
	crowds.Add("next", from)
	crowds.Remove(oldest)
	if got := crowds.First().Value; got != "next" {
		t.Error(got)
	}
	crowds.PutBack(oldest)
	if got := crowds.First().Value; got != "oldest" {
		t.Error(got)
	}
	if newest, count := crowds.Last(); newest.Value != "next" || count != 2 {
		t.Errorf("the newest of %d is %s", count, newest.Value)
	}
	neighbor := from
	neighbor.Network = netip.MustParsePrefix("192.0.2.2/32")
	neighbor.Site = neighbor.Network
	for source, want := range map[Source][2]int{from: {2, 2}, neighbor: {0, 2}, {}: {0, 0}} {
		if ofSite, ofRegion := crowds.Count(source); ofSite != want[0] || ofRegion != want[1] {
			t.Errorf("%v has %d and %d", source, ofSite, ofRegion)
		}
	}
}
