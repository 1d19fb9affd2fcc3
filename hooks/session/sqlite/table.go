// Package sqlite keeps sessions in the database of a PocketBase app. It bypasses PocketBase's record hooks: a
// prepared statement is never printed with its values, and whatever may happen only once is a single
// statement, or a claim in memory. So only one process may use a data folder.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"

	"plugin-oauth/hooks/session"
)

// Table is a [session.Table] on a PocketBase app. Make it with [New]. It is safe for concurrent use.
type Table struct {
	// Now is the clock for what the table does without being given a time: [Table.Report] and
	// [Table.RecordDeleted]. New sets it to [time.Now]. To change it, do so before the table is used.
	Now func() time.Time

	app        core.App
	writer     *writer
	statements statements
	claims     claimRegistry

	bounds bounds

	mu       sync.RWMutex
	watchers []session.Watcher
}

var _ session.Table = (*Table)(nil)

// New prepares the statements on an app whose migrations have run. Reads run on PocketBase's pool, writes on
// its single writer connection.
func New(app core.App) (*Table, error) {
	readDB, err := database(app.ConcurrentDB())
	if err != nil {
		return nil, err
	}
	writeDB, err := database(app.NonconcurrentDB())
	if err != nil {
		return nil, err
	}
	t := &Table{
		Now:    time.Now,
		app:    app,
		writer: &writer{db: writeDB},
		claims: claimRegistry{byReadKey: map[string]*heldClaim{}},
		bounds: bounds{maxExpired: defaultMaxExpired, maxFruitless: defaultMaxFruitless},
	}
	for _, p := range t.statements.list(readDB, writeDB) {
		if *p.statement, err = p.db.Prepare(p.query); err != nil {
			return nil, fmt.Errorf("the table sessions is not as this version needs it; restore a backup, "+
				"or start with another --dir: %w", err)
		}
	}
	return t, nil
}

// database returns the handle below PocketBase's query builder.
func database(builder any) (*sql.DB, error) {
	db, ok := builder.(interface{ DB() *sql.DB })
	if !ok {
		return nil, fmt.Errorf("PocketBase gives a %T, which holds no database handle", builder)
	}
	return db.DB(), nil
}

// Insert stores a new row.
func (t *Table) Insert(ctx context.Context, row session.Row) error {
	_, err := t.writer.exec(ctx, t.statements.insert,
		row.ID, row.Owner.Slug, row.Owner.Fingerprint, row.Tenant, row.Origin,
		timestamp(row.Created), timestamp(row.Expires),
		row.StateHash, row.ReadKeyHash, row.PublicKey, row.Network)
	if err != nil {
		return err
	}
	row.Status = session.StatusPending
	t.notify(func(w session.Watcher) { w.Pending(row) })
	return nil
}

// ByState returns the row of a state, without its read key.
func (t *Table) ByState(ctx context.Context, owner session.Owner, stateHash []byte) (session.Row, error) {
	row := session.Row{Owner: owner, StateHash: stateHash}
	var redirected string
	var life lifetime
	err := t.statements.byState.QueryRowContext(ctx, nil, stateHash, owner.Slug, owner.Fingerprint).Scan(
		&row.ID, &row.Status, &row.Tenant, &row.PublicKey, &row.Network, &life.created, &redirected,
		&life.expires, &row.Code, &row.Description)
	if errors.Is(err, sql.ErrNoRows) {
		return session.Row{}, session.ErrUnknown
	}
	if err != nil {
		return session.Row{}, err
	}
	row.Redirected = readTime(redirected)
	err = life.read(&row)
	return row, err
}

// Consume uses up a state.
func (t *Table) Consume(
	ctx context.Context, owner session.Owner, stateHash []byte, now time.Time,
) (session.Row, error) {
	row := session.Row{Owner: owner, Status: session.StatusPending, StateHash: stateHash, Redirected: now}
	var life lifetime
	err := t.writer.queryRow(ctx, t.statements.consume,
		[]any{timestamp(now), stateHash, owner.Slug, owner.Fingerprint},
		[]any{&row.ID, &row.Tenant, &row.PublicKey, &row.Network, &life.created, &life.expires})
	if err == nil {
		err = life.read(&row)
		return row, err
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return session.Row{}, err
	}
	found, err := t.ByState(ctx, owner, stateHash)
	if err == nil {
		err = found.CheckState(now)
	}
	if err == nil {
		err = session.ErrUsed // by another, just now
	}
	return session.Row{}, err
}

// Complete makes a pending session ready.
func (t *Table) Complete(ctx context.Context, id string, sealed []byte, now time.Time) (bool, error) {
	changed, err := t.writer.exec(ctx, t.statements.complete, timestamp(now), sealed, id)
	if err != nil {
		return false, err
	}
	t.notify(func(w session.Watcher) { w.Woken(id) })
	return changed == 1, nil
}

// Fail makes a pending session denied or failed.
func (t *Table) Fail(ctx context.Context, id string, failure session.Failure, now time.Time) (bool, error) {
	return t.endOne(ctx, id, t.statements.fail,
		failure.Status, failure.Code, failure.Description, failure.Cause, timestamp(now), id)
}

// Expire makes a pending session expired before its time.
func (t *Table) Expire(ctx context.Context, id string, now time.Time) (bool, error) {
	return t.endOne(ctx, id, t.statements.expireOne, timestamp(now), id)
}

// Cancel makes a pending or ready session denied.
func (t *Table) Cancel(ctx context.Context, id string, failure session.Failure, now time.Time) (bool, error) {
	return t.endOne(ctx, id, t.statements.cancel,
		failure.Status, failure.Code, failure.Description, failure.Cause, timestamp(now), id)
}

// endOne ends the session with this id, and reports whether the statement found it.
func (t *Table) endOne(ctx context.Context, id string, statement *sql.Stmt, args ...any) (bool, error) {
	outcomes, err := t.outcomes(ctx, statement, args...)
	if err != nil {
		return false, err
	}
	// Polls may be waiting even if the session had ended before.
	t.notify(func(w session.Watcher) { w.Woken(id) })
	t.notifyEnded(outcomes)
	t.countFruitless(len(outcomes))
	return len(outcomes) > 0, nil
}

// Resume ends what an earlier process was exchanging, and notifies the watchers of what is pending.
func (t *Table) Resume(ctx context.Context, interrupted session.Failure, now time.Time) error {
	outcomes, err := t.outcomes(ctx, t.statements.interrupted,
		interrupted.Status, interrupted.Code, interrupted.Description, interrupted.Cause, timestamp(now))
	if err != nil {
		return err
	}
	t.notifyWoken(outcomes)
	t.notifyEnded(outcomes)
	rows, err := t.statements.pending.QueryContext(ctx, timestamp(now))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row := session.Row{Status: session.StatusPending}
		var life lifetime
		err := rows.Scan(&row.ID, &row.Owner.Slug, &row.Owner.Fingerprint, &row.ReadKeyHash,
			&life.created, &life.expires)
		if err != nil {
			return err
		}
		if err := life.read(&row); err != nil {
			return err
		}
		t.notify(func(w session.Watcher) { w.Pending(row) })
	}
	return rows.Err()
}

// Sweep also adds up the hours. It lets other writes in between its steps.
func (t *Table) Sweep(ctx context.Context, now, removeBefore time.Time) (swept session.Swept, err error) {
	for _, hold := range t.claims.acked() {
		if err := t.Ack(ctx, hold, now); err != nil {
			return swept, err
		}
	}
	sentBefore := now.Add(-session.AckWindow)
	_, err = t.writer.exec(ctx, t.statements.forgetKept, timestamp(sentBefore), timestamp(now))
	if err != nil {
		return swept, err
	}
	if swept.Expired, err = t.expireDue(ctx, now); err != nil {
		return swept, err
	}
	if err := t.addUp(ctx, t.statements.storeTotal, now); err != nil {
		return swept, err
	}
	swept.Removed, err = t.removeDue(ctx, removal{now: now, before: removeBefore})
	return swept, err
}

// expireDue ends the sessions whose time is over.
func (t *Table) expireDue(ctx context.Context, now time.Time) (count int64, err error) {
	for {
		expired, err := t.outcomes(ctx, t.statements.expire, timestamp(now))
		if err != nil || len(expired) == 0 {
			return count, err
		}
		t.notifyWoken(expired)
		t.notifyEnded(expired)
		count += int64(len(expired))
	}
}

// lifetime is when a login began and when it expires, as the database stores them.
type lifetime struct{ created, expires string }

// read sets both times of a row. Without them nothing can be said about its login.
func (l lifetime) read(row *session.Row) (err error) {
	if row.Created, err = time.Parse(types.DefaultDateLayout, l.created); err != nil {
		return err
	}
	row.Expires, err = time.Parse(types.DefaultDateLayout, l.expires)
	return err
}

// readTime reads a timestamp. A blank one is the zero time.
func readTime(timestamp string) time.Time {
	t, _ := time.Parse(types.DefaultDateLayout, timestamp)
	return t
}

// timestamp returns a time in PocketBase's form. Two of them compare as strings.
func timestamp(t time.Time) string {
	return t.UTC().Format(types.DefaultDateLayout)
}
