package session

import (
	"context"
	"time"
)

// AbandonedRetention is how long a [Table] keeps the row of a login that expired before the browser came back
// from the provider, whatever the retention of the others is. Anybody can start such logins, in any number.
const AbandonedRetention = time.Hour

// Sweep erases what is secret in expired sessions, and removes the rows that are past their retention.
// Nothing depends on when it runs, since expiry is checked at every read. Only one sweep runs at a time;
// others wait for it.
func (s *Sessions) Sweep(ctx context.Context) (Swept, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	now := s.now()
	s.wakeExpired(now)
	return s.table.Sweep(ctx, now, now.Add(-s.retention))
}
