package etcd

import (
	"context"
	"time"
)

// maxAbandoned bounds the exchanges that this process remembers to have never begun. Without it, whoever
// loads a page again and again during an outage would fill the memory.
const maxAbandoned = 10_000

// abandon notes that this process does not exchange a code though it may have used up the state: etcd did not
// answer in time, and can still do what it was asked for once there is a majority again. Then the state is
// unused all the same. It is noted until the login expires.
func (t *Table) abandon(nonce string, expires int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.abandoned) < maxAbandoned {
		t.abandoned[nonce] = expires
	}
}

// isAbandoned reports whether this process has used up the state of a row and does not exchange the code.
func (t *Table) isAbandoned(e entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, abandoned := t.abandoned[e.By]
	return abandoned && e.isBeingExchanged()
}

// unabandoned returns a row as it is without an exchange that never began.
func (t *Table) unabandoned(e entry) entry {
	if t.isAbandoned(e) {
		e.Redirected, e.Machine = 0, ""
	}
	return e
}

// giveBackAbandoned lets other machines use the states of exchanges that never began.
func (t *Table) giveBackAbandoned(ctx context.Context, now time.Time) {
	for _, abandoned := range t.memory.all(t.isAbandoned) {
		_, _, err := t.doIf(ctx, newRequest(byID(abandoned.id), t.timing.short,
			func(e entry) (change, error) {
				if !t.isAbandoned(e) {
					return change{}, errNot
				}
				return change{record: t.unabandoned(e).record}, nil
			}))
		if err != nil {
			return // it is tried again
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for nonce, expires := range t.abandoned {
		if milliseconds(now) >= expires {
			delete(t.abandoned, nonce)
		}
	}
}
