package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"plugin-oauth/hooks/session"
)

// bounds keep the rows from filling the disk. The oldest go first; the totals keep them. What SQLite has made
// room for is used again and not given back to the disk, so the database is as large as the most it had to
// hold.
type bounds struct {
	// maxExpired bounds the rows that have expired.
	maxExpired int
	// maxFruitless bounds the rows of each kind that ended without tokens, whether they have expired or not.
	// Anybody can make such logins, at any rate.
	maxFruitless int
	// fruitless counts the logins that ended since the surplus was removed last.
	fruitless atomic.Int64
	// trimming is held while the surplus is removed.
	trimming sync.Mutex
	// abandonedUntil is up to which expiry the abandoned logins were removed, as a timestamp. Only Sweep uses
	// it.
	abandonedUntil string

	mu sync.Mutex
	// countedUntil is up to which end of a login the totals certainly have it, as a timestamp.
	countedUntil string
	// uncounted is when the earliest login began that they may lack though its row was removed, as a
	// timestamp. It is empty if there is none.
	uncounted string
}

const (
	// defaultMaxExpired is many times what a plugin has in a week. The rows take about 60 MB.
	defaultMaxExpired = 100_000

	// defaultMaxFruitless leaves a plugin time to learn of its failed login, even if strangers make thousands
	// in a second. The rows of each kind take about 30 MB.
	defaultMaxFruitless = 50_000
)

// fruitlessKinds are the statuses of [bounds.maxFruitless].
var fruitlessKinds = []session.Status{session.StatusDenied, session.StatusFailed, session.StatusExpired}

// countFruitless counts logins that have ended without tokens. When they are many, it does not leave their
// removal to the sweep: in a minute, strangers can make more rows than the disk has room for.
func (t *Table) countFruitless(ended int) {
	t.bounds.fruitless.Add(int64(ended))
	if !t.bounds.isTrimDue() || !t.bounds.trimming.TryLock() {
		return
	}
	go func() {
		defer t.bounds.trimming.Unlock()
		for t.bounds.isTrimDue() { // again, if many ended meanwhile and found the lock taken
			if _, err := t.removeSurplus(context.Background(), forever); err != nil {
				return // the sweep meets the same error, and reports it
			}
		}
	}()
}

// isTrimDue reports whether many logins have ended since the surplus was removed last.
func (b *bounds) isTrimDue() bool { return b.fruitless.Load() > int64(b.maxFruitless/4) }

// removal says which rows are to be removed.
type removal struct {
	// now is the time, and before is up to which expiry the retention is over.
	now, before time.Time
	// surplusBefore is up to which expiry rows are removed because there are too many. Zero: whenever they
	// expire.
	surplusBefore time.Time
}

// forever is later than any timestamp.
const forever = "9999"

// removeDue deletes the rows whose retention is over, and the oldest beyond what may be kept.
func (t *Table) removeDue(ctx context.Context, due removal) (count int64, err error) {
	expiredUntil, fruitlessUntil := timestamp(due.now), forever
	if !due.surplusBefore.IsZero() {
		expiredUntil, fruitlessUntil = timestamp(due.surplusBefore), timestamp(due.surplusBefore)
	}
	t.bounds.trimming.Lock()
	count, err = t.removeSurplus(ctx, fruitlessUntil)
	t.bounds.trimming.Unlock()
	if err != nil {
		return count, err
	}
	abandoned := timestamp(due.now.Add(-session.AbandonedRetention))
	removed, err := t.remove(ctx, t.statements.removeAbandoned, t.bounds.abandonedUntil, abandoned)
	if count += removed; err != nil {
		return count, err
	}
	t.bounds.abandonedUntil = abandoned
	var surplus string // the latest expiry of a row that is one too many
	err = t.statements.surplus.QueryRowContext(ctx, expiredUntil, t.bounds.maxExpired).Scan(&surplus)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return count, err
	}
	removed, err = t.remove(ctx, t.statements.remove, max(timestamp(due.before), surplus))
	return count + removed, err
}

// remove executes a statement that deletes some rows until it finds no more of them.
func (t *Table) remove(ctx context.Context, statement *sql.Stmt, args ...any) (count int64, err error) {
	for {
		changed, err := t.writer.exec(ctx, statement, args...)
		if err != nil || changed == 0 {
			return count, err
		}
		count += changed
	}
}

// removeSurplus deletes the oldest rows beyond maxFruitless that expire at a time or before. The caller holds
// the lock trimming.
func (t *Table) removeSurplus(ctx context.Context, until string) (count int64, err error) {
	t.bounds.fruitless.Store(0)
	for _, kind := range fruitlessKinds {
		var surplus string // the latest expiry of a row that is one too many
		err := t.statements.surplusOf.QueryRowContext(ctx, kind, t.bounds.maxFruitless).Scan(&surplus)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return count, err
		}
		for {
			removed, err := t.removeSome(ctx, kind, min(surplus, until))
			if count += removed; err != nil {
				return count, err
			}
			if removed == 0 {
				break
			}
		}
	}
	return count, nil
}

// removeSome deletes some rows of a kind that expire at a time or before. It waits for no other write: in a
// flood hundreds would come between its steps, and make more rows than it deletes.
func (t *Table) removeSome(ctx context.Context, kind session.Status, until string) (count int64, err error) {
	counted := t.bounds.counted()
	var uncounted string
	err = t.writer.queryFirst(ctx, t.statements.removeOf, []any{kind, until}, func(rows *sql.Rows) error {
		count, uncounted = 0, ""
		for rows.Next() {
			var created, completed string
			if err := rows.Scan(&created, &completed); err != nil {
				return err
			}
			count++
			if completed > counted {
				uncounted = earlier(uncounted, created)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return 0, err
	}
	t.bounds.addUncounted(uncounted)
	return count, nil
}

func (b *bounds) counted() (until string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.countedUntil
}

// addUncounted notes that a login which began then has to be counted.
func (b *bounds) addUncounted(created string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.uncounted = earlier(b.uncounted, created)
}

// takeUncounted returns uncounted, and empties it, since the totals are about to be made.
func (b *bounds) takeUncounted() (created string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	created, b.uncounted = b.uncounted, ""
	return created
}

// setCounted notes that the totals were made at this time. What ended in the minute before may have been
// stored too late for them.
func (b *bounds) setCounted(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.countedUntil = timestamp(now.Add(-time.Minute))
}

// earlier returns the earlier of two timestamps. An empty one is none.
func earlier(one, other string) string {
	if one == "" || (other != "" && other < one) {
		return other
	}
	return one
}
