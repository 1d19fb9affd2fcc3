package session

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"plugin-oauth/internal/fair"
)

// Login is a pending session in memory, so that a poll of it costs no query and can wait for its end.
type Login struct {
	row    Row
	ended  chan struct{}
	newest atomic.Pointer[chan struct{}] // of the poll that waits

	place *fair.Place[*Login] // among the evictable ones, if this machine has started it
}

// Ended returns a channel that is closed when the login is no longer pending. What became of it,
// [Sessions.Claim] says.
func (l *Login) Ended() <-chan struct{} { return l.ended }

// Replace makes the caller the one who waits for the login, and returns a channel that is closed when the
// next one does, or asks without waiting.
func (l *Login) Replace() <-chan struct{} {
	replaced := make(chan struct{})
	if before := l.newest.Swap(&replaced); before != nil {
		close(*before)
	}
	return replaced
}

// Displace ends the wait of the one who waits for the login, if anybody does.
func (l *Login) Displace() {
	if before := l.newest.Swap(nil); before != nil {
		close(*before)
	}
}

// Expires is when the login expires. The channel of Ended may be closed some time later.
func (l *Login) Expires() time.Time { return l.row.Expires }

// FindPending returns the login of a read key, as long as it is under way. It looks in memory only. Whoever
// wants to wait selects on [Login.Ended].
func (s *Sessions) FindPending(owner Owner, readKey string) (*Login, bool) {
	if len(readKey) > maxKeyLength {
		return nil, false
	}
	hash := keyHash(readKey)
	s.mu.RLock()
	login := s.byReadKey[string(hash)]
	s.mu.RUnlock()
	if login == nil || !owner.owns(login.row.Owner) || !s.now().Before(login.row.Expires) {
		return nil, false
	}
	return login, true
}

// findUnused returns the row of a pending login whose state has not been used, if memory knows that. If it
// does not, only the table can tell what the state is.
func (s *Sessions) findUnused(owner Owner, stateHash []byte) (Row, bool) {
	s.mu.RLock()
	login := s.byState[string(stateHash)]
	s.mu.RUnlock()
	if login == nil || !owner.owns(login.row.Owner) || !s.now().Before(login.row.Expires) {
		return Row{}, false
	}
	return login.row, true
}

// markUsed notes that the state of a login has been used.
func (s *Sessions) markUsed(row Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byState, string(row.StateHash))
	if login := s.byID[row.ID]; login != nil {
		s.evictable.Remove(login.place)
	}
}

// PendingCount returns how many logins are under way.
func (s *Sessions) PendingCount() int {
	return int(s.pending.Load())
}

// NetworkCount returns from how many networks, sites and regions the logins were started that may still make
// room for others. A network that is its own site counts once.
func (s *Sessions) NetworkCount() int {
	return s.evictable.Sources()
}

// add remembers a pending login. One that is there already stays, since polls may wait for it.
func (s *Sessions) add(row Row) {
	login := &Login{row: row, ended: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.starting[row.ID]
	delete(s.starting, row.ID)
	if known := s.byID[row.ID]; known != nil {
		if !row.Redirected.IsZero() {
			delete(s.byState, string(row.StateHash))
			s.evictable.Remove(known.place)
		}
		return
	}
	s.byReadKey[string(row.ReadKeyHash)], s.byID[row.ID] = login, login
	s.pending.Add(1)
	isOwn := row.StartedBy == s.machine
	if isOwn {
		s.own++
	}
	if !row.Redirected.IsZero() {
		return
	}
	if isOwn {
		login.place = s.evictable.Add(login, from)
	}
	if row.StateHash != nil {
		s.byState[string(row.StateHash)] = login
	}
}

// wake forgets a login that is no longer pending, and wakes its polls.
func (s *Sessions) wake(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if login := s.byID[id]; login != nil {
		s.remove(login)
	}
}

// expiryStep bounds the logins that are looked at while others wait for the lock.
const expiryStep = 1_000

// wakeExpired forgets the expired logins, and wakes their polls.
func (s *Sessions) wakeExpired(now time.Time) {
	s.mu.RLock()
	ids := slices.Collect(maps.Keys(s.byID))
	s.mu.RUnlock()
	for chunk := range slices.Chunk(ids, expiryStep) {
		s.mu.Lock()
		for _, id := range chunk {
			if login := s.byID[id]; login != nil && !now.Before(login.row.Expires) {
				s.remove(login)
			}
		}
		s.mu.Unlock()
	}
}

// remove takes a login out of memory and wakes its polls. The caller holds the lock.
func (s *Sessions) remove(login *Login) {
	delete(s.byReadKey, string(login.row.ReadKeyHash))
	delete(s.byState, string(login.row.StateHash))
	delete(s.byID, login.row.ID)
	s.pending.Add(-1)
	if login.row.StartedBy == s.machine {
		s.own--
	}
	s.evictable.Remove(login.place)
	close(login.ended)
}

// watcher is how the sessions hear of what the table has stored.
type watcher struct{ sessions *Sessions }

func (w watcher) Pending(row Row)       { w.sessions.add(row) }
func (w watcher) Woken(id string)       { w.sessions.wake(id) }
func (w watcher) Ended(outcome Outcome) { w.sessions.onOutcome(outcome) }
