package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/pocketbase/dbx"

	"plugin-oauth/hooks/session"
)

// movedColumns are all that is stored of a session.
const movedColumns = `id, plugin, client, tenant, origin, status, error, errorDescription, cause,
	created, expires, redirected, completed, claimed, stateHash, readKeyHash, publicKey, network, sealed`

// moveStep bounds the sessions that are moved at a time.
const moveStep = 40

// hasSecrets finds what was begun here, and not elsewhere: a [Copy] has no hashes.
const hasSecrets = `readKeyHash IS NOT NULL`

// Latest returns when something last happened to a session here. The zero time: never.
func (t *Table) Latest(ctx context.Context) (time.Time, error) {
	var latest string
	err := t.app.ConcurrentDB().NewQuery(`SELECT
		coalesce(max(max(created, redirected, completed, claimed)), '') FROM sessions`).
		WithContext(ctx).Row(&latest)
	return readTime(latest), err
}

// MoveOut passes on the sessions that machines share, some at a time: all that are under way, and those that
// have not long expired. When all have been passed on, their records stay here without anything that is
// secret, so that they count in one place only. If that fails, call it again. It is for a process that does
// not serve yet.
func (t *Table) MoveOut(
	ctx context.Context, now time.Time, pass func(some []session.Moved) error,
) error {
	if _, err := t.expireDue(ctx, now); err != nil {
		return err
	}
	after := timestamp(now.Add(-session.SharedRetention))
	rows, err := t.app.ConcurrentDB().NewQuery("SELECT " + movedColumns + " FROM sessions WHERE " +
		hasSecrets + " AND expires > {:after}").Bind(dbx.Params{"after": after}).WithContext(ctx).Rows()
	if err != nil {
		return err
	}
	if err := passRows(rows.Rows, now, pass); err != nil {
		return err
	}
	_, err = t.app.NonconcurrentDB().NewQuery(`UPDATE sessions
		SET client = NULL, stateHash = NULL, readKeyHash = NULL, publicKey = NULL, sealed = NULL,
			network = NULL
		WHERE ` + hasSecrets + ` AND expires > {:after}`).Bind(dbx.Params{"after": after}).Execute()
	return err
}

// passRows reads all rows, which have movedColumns, and passes them on.
func passRows(rows *sql.Rows, now time.Time, pass func(some []session.Moved) error) error {
	defer rows.Close()
	var some []session.Moved
	for rows.Next() {
		moved, err := readMoved(rows, now)
		if err != nil {
			return err
		}
		if some = append(some, moved); len(some) < moveStep {
			continue
		}
		if err := pass(some); err != nil {
			return err
		}
		some = nil
	}
	if err := rows.Err(); err != nil || len(some) == 0 {
		return err
	}
	return pass(some)
}

func readMoved(rows *sql.Rows, now time.Time) (m session.Moved, err error) {
	var life lifetime
	var redirected, completed, claimed string
	err = rows.Scan(&m.ID, &m.Owner.Slug, &m.Owner.Fingerprint, &m.Tenant, &m.Origin, &m.Status, &m.Code,
		&m.Description, &m.Cause, &life.created, &life.expires, &redirected, &completed, &claimed,
		&m.StateHash, &m.ReadKeyHash, &m.PublicKey, &m.Network, &m.Sealed)
	if err != nil {
		return m, err
	}
	m.Redirected, m.Completed, m.Claimed = readTime(redirected), readTime(completed), readTime(claimed)
	if err := life.read(&m.Row); err != nil {
		return m, err
	}
	if m.Status == session.StatusClaimed && m.Sealed != nil {
		m.KeptUntil = m.Claimed.Add(session.AckWindow)
	}
	if m.CheckClaim(now) != nil {
		m.Sealed, m.KeptUntil = nil, time.Time{}
	}
	return m, nil
}

// moveIn gives a record back what is secret in it, if it is one that a [Copy] has left, and inserts one that
// the copy did not have yet and that expires after the last parameter. What has ended here stays so, and what
// was removed does not come again: it would be counted twice.
const moveIn = `INSERT INTO sessions (` + movedColumns + `)
	SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19
		WHERE ?11 > ?20 OR EXISTS (SELECT 1 FROM sessions WHERE id = ?1)
	ON CONFLICT (id) DO UPDATE SET client = excluded.client, status = excluded.status, error = excluded.error,
		errorDescription = excluded.errorDescription, cause = excluded.cause, expires = excluded.expires,
		redirected = excluded.redirected, completed = excluded.completed, claimed = excluded.claimed,
		stateHash = excluded.stateHash, readKeyHash = excluded.readKeyHash, publicKey = excluded.publicKey,
		network = excluded.network, sealed = excluded.sealed
	WHERE readKeyHash IS NULL AND (status IN ('pending', 'ready') OR status = excluded.status)`

// MoveIn stores sessions that this machine has shared with others, in the database of an app, or in one that
// no app has open. It may be called again with the same ones, as long as nothing is served: what is here has
// its secrets already, and stays as it is.
func MoveIn(ctx context.Context, builder dbx.Builder, sessions []session.Moved, now time.Time) error {
	db, err := database(builder)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing once it is committed
	statement, err := tx.PrepareContext(ctx, moveIn)
	if err != nil {
		return err
	}
	defer statement.Close()
	for _, m := range sessions {
		_, err := statement.ExecContext(ctx, m.ID, m.Owner.Slug, m.Owner.Fingerprint, m.Tenant, m.Origin,
			m.Status, m.Code, m.Description, m.Cause, timestamp(m.Created), timestamp(m.Expires),
			optionalTimestamp(m.Redirected), optionalTimestamp(m.Completed), optionalTimestamp(m.Claimed),
			m.StateHash, m.ReadKeyHash, m.PublicKey, m.Network, m.Sealed, timestamp(now))
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}
