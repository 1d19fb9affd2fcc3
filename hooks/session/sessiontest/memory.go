package sessiontest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
)

// lease is how long a claim in memory is held.
const lease = 3 * time.Second

// Memory is a [Store] without a database, for tests of what uses a table. It is also another kind of table
// than the one on SQLite: several processes share the rows, and a claim is held in the row for three seconds.
type Memory struct {
	mu     sync.Mutex
	rows   []*memoryRow
	tables []*memoryTable // of the running processes
}

var _ Store = (*Memory)(nil)

// NewMemory returns a store without rows.
func NewMemory() *Memory { return &Memory{} }

// Open returns the table of a process that starts after all others were killed.
func (m *Memory) Open(*testing.T) session.Table {
	m.mu.Lock()
	m.tables = nil
	m.mu.Unlock()
	return m.join()
}

// Join returns the table of one more process.
func (m *Memory) Join(*testing.T) session.Table { return m.join() }

func (m *Memory) join() *memoryTable {
	m.mu.Lock()
	defer m.mu.Unlock()
	table := &memoryTable{memory: m}
	m.tables = append(m.tables, table)
	return table
}

// memoryRow is a row, with what only the table knows about it.
type memoryRow struct {
	session.Row
	sealed     []byte
	cause      string
	claimed    time.Time
	consumedBy *memoryTable
	holder     string
	until      time.Time
}

// memoryTable is the table of one process.
type memoryTable struct {
	memory   *Memory
	watchers []session.Watcher
}

// change calls do while nothing else can use the rows, and then notifies the watchers of the events that do
// returns.
func (t *memoryTable) change(ctx context.Context, do func() ([]event, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.memory.mu.Lock()
	events, err := do()
	var all []session.Watcher
	for _, table := range t.memory.tables {
		all = append(all, table.watchers...)
	}
	own := slices.Clone(t.watchers)
	t.memory.mu.Unlock()
	for _, e := range events {
		for _, watcher := range all {
			switch {
			case e.pending != nil:
				watcher.Pending(*e.pending)
			case e.woken != "":
				watcher.Woken(e.woken)
			}
		}
		if e.ended != nil {
			for _, watcher := range own {
				watcher.Ended(*e.ended)
			}
		}
	}
	return err
}

// event is what watchers are notified of. One of its fields is set.
type event struct {
	pending *session.Row
	woken   string
	ended   *session.Outcome
}

// end ends a session, and returns the events of that. The caller holds the lock.
func (row *memoryRow) end(status session.Status, failure session.Failure, completed time.Time) []event {
	row.Status, row.cause = status, failure.Cause
	row.Code, row.Description = failure.Code, failure.Description
	row.Completed, row.PublicKey, row.sealed, row.holder = completed, nil, nil, ""
	ended := completed
	switch status {
	case session.StatusClaimed:
		ended = row.claimed
	case session.StatusExpired:
		ended = row.Expires
	}
	return []event{{woken: row.ID}, {ended: &session.Outcome{
		Session:    row.ID,
		Plugin:     row.Owner.Slug,
		Status:     status,
		Error:      failure.Code,
		Cause:      failure.Cause,
		Created:    row.Created,
		Redirected: row.Redirected,
		Completed:  completed,
		Ended:      ended,
	}}}
}

// find returns the first row that matches, or nil.
func (t *memoryTable) find(matches func(row *memoryRow) bool) *memoryRow {
	if i := slices.IndexFunc(t.memory.rows, matches); i >= 0 {
		return t.memory.rows[i]
	}
	return nil
}

// isOwner reports whether an owner may see a row.
func isOwner(owner session.Owner, row *memoryRow) bool {
	return owner.Slug == row.Owner.Slug &&
		(row.Owner.Fingerprint == nil || bytes.Equal(owner.Fingerprint, row.Owner.Fingerprint))
}

func (t *memoryTable) byState(owner session.Owner, stateHash []byte) (*memoryRow, error) {
	row := t.find(func(row *memoryRow) bool {
		return bytes.Equal(row.StateHash, stateHash) && isOwner(owner, row)
	})
	if row == nil {
		return nil, session.ErrUnknown
	}
	return row, nil
}

func (t *memoryTable) Insert(ctx context.Context, row session.Row) error {
	return t.change(ctx, func() ([]event, error) {
		if t.find(func(other *memoryRow) bool { return other.ID == row.ID }) != nil {
			return nil, errors.New("there is a row with this id")
		}
		row.Status = session.StatusPending
		t.memory.rows = append(t.memory.rows, &memoryRow{Row: row})
		return []event{{pending: &row}}, nil
	})
}

func (t *memoryTable) ByState(
	ctx context.Context, owner session.Owner, hash []byte,
) (found session.Row, err error) {
	err = t.change(ctx, func() ([]event, error) {
		row, err := t.byState(owner, hash)
		if err == nil {
			found = row.Row
		}
		return nil, err
	})
	return found, err
}

func (t *memoryTable) Consume(
	ctx context.Context, owner session.Owner, stateHash []byte, now time.Time,
) (found session.Row, err error) {
	err = t.change(ctx, func() ([]event, error) {
		row, err := t.byState(owner, stateHash)
		if err == nil {
			err = row.CheckState(now)
		}
		if err != nil {
			return nil, err
		}
		row.Redirected, row.consumedBy = now, t
		found = row.Row
		return nil, nil
	})
	return found, err
}

func (t *memoryTable) Complete(
	ctx context.Context, id string, sealed []byte, now time.Time,
) (done bool, err error) {
	err = t.change(ctx, func() ([]event, error) {
		row := t.find(func(row *memoryRow) bool {
			return row.ID == id && row.Status == session.StatusPending && now.Before(row.Expires)
		})
		if row == nil {
			return nil, nil
		}
		done = true
		row.Status, row.sealed, row.Completed, row.PublicKey = session.StatusReady, sealed, now, nil
		return []event{{woken: id}}, nil
	})
	return done, err
}

func (t *memoryTable) Fail(
	ctx context.Context, id string, failure session.Failure, now time.Time,
) (done bool, err error) {
	return t.endIn(ctx, id, failure, now, session.StatusPending)
}

func (t *memoryTable) Expire(ctx context.Context, id string, now time.Time) (done bool, err error) {
	err = t.change(ctx, func() ([]event, error) {
		row := t.find(func(row *memoryRow) bool { return row.ID == id })
		if row == nil || row.Status != session.StatusPending || !row.Redirected.IsZero() {
			return nil, nil
		}
		done = true
		if now.Before(row.Expires) {
			row.Expires = now
		}
		return row.end(session.StatusExpired, session.Failure{}, row.Expires), nil
	})
	return done, err
}

func (t *memoryTable) Cancel(
	ctx context.Context, id string, failure session.Failure, now time.Time,
) (done bool, err error) {
	return t.endIn(ctx, id, failure, now, session.StatusPending, session.StatusReady)
}

// endIn ends a session without tokens, if it has one of these statuses.
func (t *memoryTable) endIn(
	ctx context.Context, id string, failure session.Failure, now time.Time, statuses ...session.Status,
) (done bool, err error) {
	err = t.change(ctx, func() ([]event, error) {
		row := t.find(func(row *memoryRow) bool {
			return row.ID == id && slices.Contains(statuses, row.Status)
		})
		if row == nil {
			return nil, nil
		}
		done = true
		return row.end(failure.Status, failure, now), nil
	})
	return done, err
}

func (t *memoryTable) TakeClaim(
	ctx context.Context, owner session.Owner, readKeyHash []byte, now time.Time,
) (hold session.Hold, err error) {
	err = t.change(ctx, func() ([]event, error) {
		row := t.find(func(row *memoryRow) bool {
			return bytes.Equal(row.ReadKeyHash, readKeyHash) && isOwner(owner, row)
		})
		if row == nil {
			return nil, session.ErrUnknown
		}
		hold.Row = row.Row
		if row.CheckClaim(now) != nil {
			return nil, nil
		}
		if row.holder != "" && now.Before(row.until) {
			return nil, session.ErrTaken
		}
		row.holder, row.until = rand.Text(), now.Add(lease)
		hold.Holder, hold.Sealed, hold.Until = row.holder, row.sealed, row.until
		return nil, nil
	})
	return hold, err
}

// held returns the row of a hold, or nil if the hold is no longer the current one.
func (t *memoryTable) held(hold session.Hold) *memoryRow {
	return t.find(func(row *memoryRow) bool {
		withTokens := row.Status == session.StatusReady || !row.KeptUntil.IsZero()
		return row.ID == hold.Row.ID && withTokens && hold.Holder != "" && row.holder == hold.Holder
	})
}

func (t *memoryTable) Ack(ctx context.Context, hold session.Hold, now time.Time) error {
	return t.change(ctx, func() ([]event, error) {
		row := t.held(hold)
		if row == nil {
			return nil, nil
		}
		if row.Status == session.StatusClaimed {
			row.holder, row.sealed, row.KeptUntil = "", nil, time.Time{}
			return nil, nil
		}
		row.claimed = now
		return row.end(session.StatusClaimed, session.Failure{}, row.Completed), nil
	})
}

func (t *memoryTable) Keep(ctx context.Context, hold session.Hold, now time.Time) error {
	return t.change(ctx, func() ([]event, error) {
		row := t.held(hold)
		if row == nil {
			return nil, nil
		}
		row.holder = ""
		if row.Status == session.StatusClaimed {
			return nil, nil
		}
		row.claimed = now
		row.KeptUntil = now.Add(session.AckWindow)
		sealed := row.sealed
		events := row.end(session.StatusClaimed, session.Failure{}, row.Completed)
		row.sealed = sealed
		return events, nil
	})
}

func (t *memoryTable) Release(ctx context.Context, hold session.Hold) error {
	return t.change(ctx, func() ([]event, error) {
		if row := t.held(hold); row != nil {
			row.holder = ""
		}
		return nil, nil
	})
}

func (t *memoryTable) Resume(ctx context.Context, interrupted session.Failure, now time.Time) error {
	return t.change(ctx, func() (events []event, err error) {
		for _, row := range t.memory.rows {
			gone := row.consumedBy != nil && !slices.Contains(t.memory.tables, row.consumedBy)
			if row.Status == session.StatusPending && gone {
				events = append(events, row.end(interrupted.Status, interrupted, now)...)
			}
		}
		for _, row := range t.memory.rows {
			if pending := row.Row; pending.Status == session.StatusPending && now.Before(pending.Expires) {
				events = append(events, event{pending: &pending})
			}
		}
		return events, nil
	})
}

func (t *memoryTable) Sweep(
	ctx context.Context, now, removeBefore time.Time,
) (swept session.Swept, err error) {
	err = t.change(ctx, func() (events []event, err error) {
		for _, row := range t.memory.rows {
			if row.Status == session.StatusClaimed && row.CheckClaim(now) != nil {
				row.sealed, row.KeptUntil = nil, time.Time{}
			}
			living := row.Status == session.StatusPending || row.Status == session.StatusReady
			if !living || now.Before(row.Expires) {
				continue
			}
			completed := row.Expires
			if row.Status == session.StatusReady {
				completed = row.Completed
			}
			events = append(events, row.end(session.StatusExpired, session.Failure{}, completed)...)
			swept.Expired++
		}
		t.memory.rows = slices.DeleteFunc(t.memory.rows, func(row *memoryRow) bool {
			abandoned := row.Redirected.IsZero() &&
				!row.Expires.After(now.Add(-session.AbandonedRetention))
			past := abandoned || !row.Expires.After(removeBefore)
			if past {
				swept.Removed++
			}
			return past
		})
		return events, nil
	})
	return swept, err
}

func (t *memoryTable) Watch(watcher session.Watcher) {
	t.memory.mu.Lock()
	defer t.memory.mu.Unlock()
	t.watchers = append(t.watchers, watcher)
}
