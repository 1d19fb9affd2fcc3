package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/session"
)

// Watch adds a watcher. It is called after the commit, from the goroutine that made the change.
func (t *Table) Watch(watcher session.Watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchers = append(slices.Clip(t.watchers), watcher)
}

func (t *Table) notify(call func(session.Watcher)) {
	t.mu.RLock()
	watchers := t.watchers
	t.mu.RUnlock()
	for _, watcher := range watchers {
		call(watcher)
	}
}

func (t *Table) notifyWoken(outcomes []session.Outcome) {
	for _, outcome := range outcomes {
		t.notify(func(w session.Watcher) { w.Woken(outcome.Session) })
	}
}

func (t *Table) notifyEnded(outcomes []session.Outcome) {
	for _, outcome := range outcomes {
		t.notify(func(w session.Watcher) { w.Ended(outcome) })
	}
}

// outcomes executes a statement that ends logins, and returns how they ended.
func (t *Table) outcomes(
	ctx context.Context, statement *sql.Stmt, args ...any,
) (outcomes []session.Outcome, err error) {
	err = t.writer.query(ctx, statement, args, func(rows *sql.Rows) (err error) {
		outcomes, err = readOutcomes(rows)
		return err
	})
	return outcomes, err
}

// readOutcomes reads rows of outcomeColumns.
func readOutcomes(rows *sql.Rows) (outcomes []session.Outcome, err error) {
	for rows.Next() {
		var o session.Outcome
		var created, redirected, completed, ended string
		err := rows.Scan(
			&o.Session, &o.Plugin, &o.Status, &o.Error, &o.Cause, &created, &redirected, &completed, &ended)
		if err != nil {
			return nil, err
		}
		o.Created, o.Redirected = readTime(created), readTime(redirected)
		o.Completed, o.Ended = readTime(completed), readTime(ended)
		outcomes = append(outcomes, o)
	}
	return outcomes, rows.Err()
}

// RecordDeleted ends the login of a record that an admin deletes. Bind it to the app's
// OnRecordDelete("sessions").
func (t *Table) RecordDeleted(e *core.RecordEvent) error {
	outcomes, err := t.cancelWithin(e.App.NonconcurrentDB(), e.Record.Id)
	if err != nil {
		return err
	}
	t.notifyEnded(outcomes)
	// Only when the row is gone: until then a poll may not see the change.
	defer t.notify(func(w session.Watcher) { w.Woken(e.Record.Id) })
	return e.Next()
}

// cancelWithin is Cancel on the caller's connection. The caller may be in a transaction, which the writer
// would wait for.
func (t *Table) cancelWithin(db dbx.Builder, id string) ([]session.Outcome, error) {
	failure := session.CancelledByAdmin()
	rows, err := db.NewQuery(cancelSession).Bind(dbx.Params{
		"status":      failure.Status,
		"code":        failure.Code,
		"description": failure.Description,
		"cause":       failure.Cause,
		"now":         timestamp(t.Now()),
		"id":          id,
	}).Rows()
	if err != nil {
		return nil, err
	}
	outcomes, err := readOutcomes(rows.Rows)
	return outcomes, errors.Join(err, rows.Close())
}
