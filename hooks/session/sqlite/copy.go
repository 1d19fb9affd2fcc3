package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/session"
)

// Copy is a [session.Copy] in the database of a PocketBase app, for the dashboard of a machine that shares
// its sessions with others. Its rows are those of a [Table], without what is secret in them, so that
// [Table.Report] and the collections show the sessions of all machines. Make it with [NewCopy]. It is safe
// for concurrent use.
type Copy struct {
	table     *Table
	retention time.Duration
	sweeping  sync.Mutex

	mu sync.Mutex
	// deleted has the ids of the records that an admin has deleted here, until the copy hears of it. If that
	// was first, the id stays until the process ends: there are as few as admins delete.
	deleted map[string]bool
}

var _ session.Copy = (*Copy)(nil)

// NewCopy returns the copy in a table, which is used for nothing else from now on but to read. The retention
// is how long records stay once they have expired.
func NewCopy(table *Table, retention time.Duration) *Copy {
	return &Copy{table: table, retention: retention, deleted: map[string]bool{}}
}

// copiedFor is how long after its expiry a record may still be copied. It is longer than machines share a
// row, so that none is missed. Later none comes, so what is removed then does not come again: a record that
// did would be counted twice.
const copiedFor = session.SharedRetention + 10*time.Minute

// removedEarly is how long before the end of [session.SharedRetention] a row is removed because there are too
// many. It is longer than clocks differ: what the machines remove in time stays here.
const removedEarly = 10 * time.Minute

// copyStep bounds the records in a transaction, and so the time that others wait for the database.
const copyStep = 200

// copyRecord inserts a record that expires after the last parameter, and updates any.
const copyRecord = `INSERT INTO sessions (id, plugin, tenant, origin, status, error, errorDescription, cause,
		created, expires, redirected, completed, claimed)
	SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
		WHERE ?10 > ?14 OR EXISTS (SELECT 1 FROM sessions WHERE id = ?1)
	ON CONFLICT (id) DO UPDATE SET status = excluded.status, error = excluded.error,
		errorDescription = excluded.errorDescription, cause = excluded.cause, expires = excluded.expires,
		redirected = excluded.redirected, completed = excluded.completed, claimed = excluded.claimed,
		client = NULL, stateHash = NULL, readKeyHash = NULL, publicKey = NULL, sealed = NULL, network = NULL
	WHERE readKeyHash IS NOT NULL OR (status, expires, redirected, completed, claimed) IS NOT
		(excluded.status, excluded.expires, excluded.redirected, excluded.completed, excluded.claimed)`

// Living returns the ids of the records that are pending or ready, be they copied or of the time before the
// machine shared its sessions.
func (c *Copy) Living(ctx context.Context) (ids []string, err error) {
	rows, err := c.table.statements.living.QueryContext(ctx)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Store stores records. Their hours are counted anew at the next sweep.
func (c *Copy) Store(ctx context.Context, records []session.Record) error {
	for some := range slices.Chunk(records, copyStep) {
		if err := c.storeSome(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// storeSome stores records in one transaction.
func (c *Copy) storeSome(ctx context.Context, records []session.Record) error {
	tx, err := c.table.writer.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing once it is committed
	earliest := ""      // when the first login began that has changed
	for _, record := range records {
		created, err := c.storeOne(ctx, tx, record)
		if err != nil {
			return err
		}
		earliest = earlier(earliest, created)
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	c.table.bounds.addUncounted(earliest)
	c.forgetDeleted(records)
	return nil
}

// storeOne stores a record. If that has changed a row, it returns when its login began.
func (c *Copy) storeOne(ctx context.Context, tx *sql.Tx, record session.Record) (created string, err error) {
	if record.Deleted {
		return c.deleteOne(ctx, tx, record)
	}
	// This transaction has the one connection that writes. So whatever an admin deletes has been deleted
	// already, and is known here, or is deleted later.
	if c.isDeleted(record.ID) {
		return "", nil
	}
	now := c.table.Now()
	if record.Status != "" {
		created, err = c.put(ctx, tx, record, timestamp(now.Add(-min(copiedFor, c.retention))))
	}
	if err != nil || !record.Removed {
		return created, err
	}
	early := timestamp(now.Add(removedEarly - min(session.SharedRetention, c.retention)))
	removed, err := c.delete(ctx, tx, c.table.statements.removeEarly, record.ID, early)
	return earlier(created, removed), err
}

// put updates the row of a record, and inserts it if it expires after a time.
func (c *Copy) put(ctx context.Context, tx *sql.Tx, r session.Record, after string) (string, error) {
	created := optionalTimestamp(r.Created)
	result, err := tx.StmtContext(ctx, c.table.statements.copyRecord).ExecContext(ctx,
		r.ID, r.Plugin, r.Tenant, r.Origin, r.Status, r.Code, r.Description, r.Cause,
		created, optionalTimestamp(r.Expires), optionalTimestamp(r.Redirected),
		optionalTimestamp(r.Completed), optionalTimestamp(r.Claimed), after)
	if err != nil {
		return "", err
	}
	if changed, err := result.RowsAffected(); err != nil || changed == 0 {
		return "", err
	}
	return created, nil
}

// deleteOne deletes a record that was deleted on another machine. The totals count it as it ended.
func (c *Copy) deleteOne(
	ctx context.Context, tx *sql.Tx, record session.Record,
) (created string, err error) {
	if record.Status != "" {
		if _, err := c.put(ctx, tx, record, forever); err != nil {
			return "", err
		}
	}
	return c.delete(ctx, tx, c.table.statements.deleteCopy, record.ID)
}

// delete executes a statement that deletes a row, and returns when its login began. The totals keep it.
func (c *Copy) delete(
	ctx context.Context, tx *sql.Tx, statement *sql.Stmt, args ...any,
) (created string, err error) {
	rows, err := tx.StmtContext(ctx, statement).QueryContext(ctx, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&created); err != nil {
			return "", err
		}
	}
	return created, rows.Err()
}

// optionalTimestamp returns a time in PocketBase's form, and nothing for the zero time.
func optionalTimestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return timestamp(t)
}

// RecordDeleted is for the app's OnRecordDelete("sessions"): an admin deletes a record here, and end deletes
// the session on all machines. If that fails, nothing is deleted.
func (c *Copy) RecordDeleted(
	e *core.RecordEvent, end func(ctx context.Context, id string) error,
) error {
	if err := end(e.Context, e.Record.Id); err != nil {
		return err
	}
	c.setDeleted(e.Record.Id)
	// The copy may not have heard of it yet, and the totals count the row as it was when it went.
	if _, err := c.table.cancelWithin(e.App.NonconcurrentDB(), e.Record.Id); err != nil {
		return err
	}
	return e.Next()
}

func (c *Copy) isDeleted(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deleted[id]
}

// setDeleted notes that a record was deleted here, though the copy may be about to store it.
func (c *Copy) setDeleted(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deleted[id] = true
}

// forgetDeleted forgets the records that the table has said were deleted: nothing else follows.
func (c *Copy) forgetDeleted(records []session.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, record := range records {
		if record.Deleted {
			delete(c.deleted, record.ID)
		}
	}
}

// Sweep adds up the hours and removes what is past its retention, and the oldest records if there are too
// many of them. What is under way is not touched: it ends in the table that the machines share. Only one
// sweep runs at a time; others wait for it.
func (c *Copy) Sweep(ctx context.Context) error {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	t, now := c.table, c.table.Now()
	// Tokens of the time before, when this machine was alone.
	_, err := t.writer.exec(ctx, t.statements.forgetKept,
		timestamp(now.Add(-session.AckWindow)), timestamp(now))
	if err != nil {
		return err
	}
	if err := t.addUp(ctx, t.statements.raiseTotal, now); err != nil {
		return err
	}
	_, err = t.removeDue(ctx, removal{
		now:           now,
		before:        now.Add(-c.retention),
		surplusBefore: now.Add(-copiedFor),
	})
	return err
}

// totalsSince reads totals as [session.Total] has them.
const totalsSince = `SELECT hour, ` + slug + `, started, redirected, finished, claimed, denied, failed,
	expired FROM login_totals WHERE hour >= ?`

// Totals returns what the last sweep counted for the hours since a time, and what other machines knew of
// them.
func (c *Copy) Totals(ctx context.Context, since time.Time) (totals []session.Total, err error) {
	rows, err := c.table.statements.totalsSince.QueryContext(ctx, timestamp(since))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var total session.Total
		var hour string
		err := rows.Scan(&hour, &total.Plugin, &total.Started, &total.Redirected, &total.Finished,
			&total.Claimed, &total.Denied, &total.Failed, &total.Expired)
		if err != nil {
			return nil, err
		}
		total.Hour = readTime(hour)
		totals = append(totals, total)
	}
	return totals, rows.Err()
}

// Raise takes in what other machines know of some hours, where that is more than what is known here.
func (c *Copy) Raise(ctx context.Context, totals []session.Total) error {
	for _, total := range totals {
		plugin := total.Plugin
		if plugin == rootSlug {
			plugin = ""
		}
		_, err := c.table.writer.exec(ctx, c.table.statements.raiseTotal, timestamp(total.Hour), plugin,
			total.Started, total.Redirected, total.Finished, total.Claimed, total.Denied, total.Failed,
			total.Expired)
		if err != nil {
			return err
		}
	}
	return nil
}
