package session

import (
	"context"

	"plugin-oauth/internal/fair"
)

// makeRoom reserves room for a login that is about to start. If there is none, a login that never came back
// from the provider expires early. It fails with ErrFull if all of them have come back.
func (s *Sessions) makeRoom(ctx context.Context, id string, starting fair.Source) error {
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
func (s *Sessions) reserve(id string, starting fair.Source) (login *Login, reserved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own+len(s.starting) < s.maxPending {
		s.starting[id] = starting
		return nil, true
	}
	first := s.evictable.FirstFor(starting)
	if first == nil {
		return nil, false
	}
	s.evictable.Remove(first)
	return first.Value, false
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
		s.evictable.PutBack(login.place)
	}
}
