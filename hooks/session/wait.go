package session

import "time"

// Login is a pending session in memory, so that a poll of it costs no query and can wait for its end.
type Login struct {
	id          string
	owner       Owner
	readKeyHash []byte
	expires     time.Time
	ended       chan struct{}
}

// Ended returns a channel that is closed when the login is no longer pending. What became of it,
// [Sessions.Claim] says.
func (l *Login) Ended() <-chan struct{} { return l.ended }

// Expires is when the login expires. The channel of Ended may be closed some time later.
func (l *Login) Expires() time.Time { return l.expires }

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
	if login == nil || !owner.owns(login.owner) || !s.now().Before(login.expires) {
		return nil, false
	}
	return login, true
}

// Pending returns how many logins are under way.
func (s *Sessions) Pending() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.byID)
}

// add remembers a pending login. One that is there already stays, since polls may wait for it.
func (s *Sessions) add(row Row) {
	login := &Login{
		id:          row.ID,
		owner:       row.Owner,
		readKeyHash: row.ReadKeyHash,
		expires:     row.Expires,
		ended:       make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[row.ID] == nil {
		s.byReadKey[string(row.ReadKeyHash)], s.byID[row.ID] = login, login
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

// wakeExpired does the same with those whose time is over.
func (s *Sessions) wakeExpired(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, login := range s.byID {
		if !now.Before(login.expires) {
			s.remove(login)
		}
	}
}

// remove takes a login out of memory and wakes its polls. The caller holds the lock.
func (s *Sessions) remove(login *Login) {
	delete(s.byReadKey, string(login.readKeyHash))
	delete(s.byID, login.id)
	close(login.ended)
}

// watcher is how the sessions hear of what the table has stored.
type watcher struct{ sessions *Sessions }

func (w watcher) Pending(row Row)       { w.sessions.add(row) }
func (w watcher) Woken(id string)       { w.sessions.wake(id) }
func (w watcher) Ended(outcome Outcome) { w.sessions.onOutcome(outcome) }
