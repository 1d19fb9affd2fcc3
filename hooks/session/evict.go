package session

import (
	"container/heap"
	"container/list"
	"context"
	"net/netip"
)

// evictable holds the pending logins whose state has not been used, by the site that started them. When there
// is no room for another login, the site with the most of them loses its oldest, so that a flood costs
// nobody else anything. Its zero value is ready for use; Sessions.mu guards it.
type evictable struct {
	bySite map[netip.Prefix]*site
	most   siteHeap
}

// site is where logins are started from; see [StartRequest]. The logins of an earlier process share the zero
// one.
type site struct {
	prefix netip.Prefix
	logins list.List // of *Login, the oldest first
	index  int       // in the heap
}

// add puts a login behind the others of its site.
func (e *evictable) add(login *Login) {
	login.place = e.site(login.site).logins.PushBack(login)
	e.fix(login)
}

// putBack makes a login the oldest of its site again.
func (e *evictable) putBack(login *Login) {
	login.place = e.site(login.site).logins.PushFront(login)
	e.fix(login)
}

// remove takes a login out, if it is there.
func (e *evictable) remove(login *Login) {
	if login.place == nil {
		return
	}
	e.bySite[login.site].logins.Remove(login.place)
	login.place = nil
	e.fix(login)
}

// takeOldest takes out the login that makes room for one more of a site. It returns nil if there is none. A
// site loses a login to another only if it has more than that other one would then have.
func (e *evictable) takeOldest(starting netip.Prefix) *Login {
	if len(e.most) == 0 {
		return nil
	}
	loser := e.most[0]
	if own := e.bySite[starting]; own != nil && own.logins.Len()+1 >= loser.logins.Len() {
		loser = own
	}
	login := loser.logins.Front().Value.(*Login)
	e.remove(login)
	return login
}

// site returns a site, which is new if it has no logins.
func (e *evictable) site(prefix netip.Prefix) *site {
	found := e.bySite[prefix]
	if found == nil {
		found = &site{prefix: prefix}
		if e.bySite == nil {
			e.bySite = map[netip.Prefix]*site{}
		}
		e.bySite[prefix] = found
		heap.Push(&e.most, found)
	}
	return found
}

// fix puts the site of a login where its number of logins belongs, or forgets the site if it has none.
func (e *evictable) fix(login *Login) {
	changed := e.bySite[login.site]
	if changed.logins.Len() > 0 {
		heap.Fix(&e.most, changed.index)
		return
	}
	heap.Remove(&e.most, changed.index)
	delete(e.bySite, login.site)
}

// siteHeap has the site with the most logins first; see [heap.Interface].
type siteHeap []*site

func (h siteHeap) Len() int           { return len(h) }
func (h siteHeap) Less(i, j int) bool { return h[i].logins.Len() > h[j].logins.Len() }
func (h siteHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *siteHeap) Push(x any) {
	added := x.(*site)
	added.index = len(*h)
	*h = append(*h, added)
}

func (h *siteHeap) Pop() any {
	last := len(*h) - 1
	popped := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return popped
}

// makeRoom reserves room for a login that is about to start. If there is none, a login that never came back
// from the provider expires early. It fails with ErrFull if all of them have come back.
func (s *Sessions) makeRoom(ctx context.Context, id string, starting netip.Prefix) error {
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

// reserve reserves room for a login of a site. If there is none, it returns the login to expire, if any.
func (s *Sessions) reserve(id string, starting netip.Prefix) (login *Login, reserved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID)+len(s.starting) < s.maxPending {
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
