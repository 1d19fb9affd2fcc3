package sqlite

import (
	"database/sql"
	"strings"
)

// statements are all that sessions cost the database, prepared once.
type statements struct {
	insert, consume, complete, fail, cancel, ack, interrupted, expire, remove *sql.Stmt

	byState, byReadKey, pending *sql.Stmt

	lastTotal, earliest, hourTotals, storeTotal, forgetTotals, forgetRemoved *sql.Stmt
}

// prepared is one statement, with where it runs.
type prepared struct {
	statement **sql.Stmt
	db        *sql.DB
	query     string
}

// sweepStep bounds the rows that one statement of the sweep changes: no request waits longer than for these.
const sweepStep = "200"

// ofOwner finds the sessions that began at a plugin as it is now. Those that began before the column was
// there have no client.
const ofOwner = `plugin = ?3 AND coalesce(client, ?4) = ?4`

// outcomeColumns are read by readOutcomes.
const outcomeColumns = `id, plugin, status, error, cause, created, redirected, completed,
	CASE status WHEN 'claimed' THEN claimed WHEN 'expired' THEN expires ELSE completed END`

// cancelSession is in PocketBase's form, since it must also run in a transaction of PocketBase's.
const cancelSession = `UPDATE sessions
	SET status = {:status}, error = {:code}, errorDescription = {:description}, cause = {:cause},
	 completed = {:now}, publicKey = NULL, sealed = NULL
	WHERE id = {:id} AND status IN ('pending', 'ready') RETURNING ` + outcomeColumns

// numbered turns the parameters of cancelSession into those of a prepared statement.
var numbered = strings.NewReplacer(
	"{:status}", "?1", "{:code}", "?2", "{:description}", "?3", "{:cause}", "?4",
	"{:now}", "?5", "{:id}", "?6",
)

// list says what each statement is, and on which connection it runs.
func (s *statements) list(reader, writer *sql.DB) []prepared {
	return append(s.writes(writer), s.reads(reader)...)
}

func (s *statements) writes(writer *sql.DB) []prepared {
	const living = `status IN ('pending', 'ready')` // as the index sessions_living has it
	return []prepared{
		{statement: &s.insert, db: writer, query: `INSERT INTO sessions
			(id, plugin, client, tenant, status, origin, created, expires,
				stateHash, readKeyHash, publicKey, network)
			VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?)`},
		{statement: &s.consume, db: writer, query: `UPDATE sessions SET redirected = ?1
			WHERE stateHash = ?2 AND ` + ofOwner + `
				AND status = 'pending' AND redirected = '' AND expires > ?1
			RETURNING id, tenant, publicKey, network, created, expires`},
		{statement: &s.complete, db: writer, query: `UPDATE sessions
			SET status = 'ready', completed = ?1, sealed = ?2, publicKey = NULL
			WHERE id = ?3 AND status = 'pending' AND expires > ?1`},
		{statement: &s.fail, db: writer, query: `UPDATE sessions
			SET status = ?, error = ?, errorDescription = ?, cause = ?, completed = ?, publicKey = NULL
			WHERE id = ? AND status = 'pending' RETURNING ` + outcomeColumns},
		{statement: &s.cancel, db: writer, query: numbered.Replace(cancelSession)},
		{statement: &s.ack, db: writer, query: `UPDATE sessions
			SET status = 'claimed', claimed = ?, sealed = NULL
			WHERE id = ? AND status = 'ready' RETURNING ` + outcomeColumns},
		{statement: &s.interrupted, db: writer, query: `UPDATE sessions
			SET status = ?, error = ?, errorDescription = ?, cause = ?, completed = ?, publicKey = NULL
			WHERE ` + living + ` AND status = 'pending' AND redirected != '' RETURNING ` + outcomeColumns},
		{statement: &s.expire, db: writer, query: `UPDATE sessions SET status = 'expired',
			completed = iif(status = 'ready', completed, expires), publicKey = NULL, sealed = NULL
			WHERE id IN (SELECT id FROM sessions
				WHERE ` + living + ` AND expires <= ? LIMIT ` + sweepStep + `)
			RETURNING ` + outcomeColumns},
		{statement: &s.remove, db: writer, query: `DELETE FROM sessions
			WHERE id IN (SELECT id FROM sessions WHERE expires <= ? LIMIT ` + sweepStep + `)`},
		{statement: &s.storeTotal, db: writer, query: storeTotal},
		{statement: &s.forgetTotals, db: writer, query: `DELETE FROM login_totals WHERE hour < ?`},
		{statement: &s.forgetRemoved, db: writer, query: `DELETE FROM removed_logins WHERE hour < ?`},
	}
}

func (s *statements) reads(reader *sql.DB) []prepared {
	return []prepared{
		{statement: &s.byState, db: reader, query: `SELECT
			id, status, tenant, publicKey, network, created, redirected, expires
			FROM sessions WHERE stateHash = ?2 AND ` + ofOwner},
		{statement: &s.byReadKey, db: reader, query: `SELECT
			id, status, error, errorDescription, expires, iif(?1, sealed, NULL)
			FROM sessions WHERE readKeyHash = ?2 AND ` + ofOwner},
		{statement: &s.pending, db: reader, query: `SELECT id, plugin, client, readKeyHash, created, expires
			FROM sessions WHERE status IN ('pending', 'ready') AND status = 'pending' AND expires > ?`},
		{statement: &s.lastTotal, db: reader, query: `SELECT coalesce(max(hour), '')
			FROM login_totals WHERE hour <= ?`},
		{statement: &s.earliest, db: reader, query: `SELECT coalesce(min(created), '')
			FROM sessions WHERE expires > ?`},
		{statement: &s.hourTotals, db: reader, query: hourTotals},
	}
}
