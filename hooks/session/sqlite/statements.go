package sqlite

import (
	"database/sql"
	"slices"
	"strings"
)

// statements are all the SQL that sessions need, prepared once.
type statements struct {
	insert, consume, complete, fail, cancel, ack, keep, forget, forgetKept, interrupted, expire, expireOne,
	remove,
	removeAbandoned, removeOf *sql.Stmt

	byState, byReadKey, pending, surplus, surplusOf *sql.Stmt

	lastTotal, earliest, hourCounts, storeTotal, deleteTotals, deleteRemoved *sql.Stmt

	living, copyRecord, removeEarly, deleteCopy, raiseTotal, totalsSince *sql.Stmt // of a Copy
}

// prepared is a statement, with the connection that it runs on.
type prepared struct {
	statement **sql.Stmt
	db        *sql.DB
	query     string
}

// sweepStep bounds the rows that one statement of the sweep changes, so that no request waits for more than
// these.
const sweepStep = "200"

// fruitless finds what the index sessions_fruitless has.
const fruitless = `status IN ('denied', 'failed', 'expired')`

// kept finds what the index sessions_kept has: tokens that were sent and not acknowledged.
const kept = `status = 'claimed' AND sealed IS NOT NULL`

// ofOwner finds the sessions that began at a plugin with its present client. Those that are older than the
// column have no client.
const ofOwner = `plugin = ?3 AND coalesce(client, ?4) = ?4`

// outcomeColumns are read by readOutcomes.
const outcomeColumns = `id, plugin, status, error, cause, created, redirected, completed,
	CASE status WHEN 'claimed' THEN claimed WHEN 'expired' THEN expires ELSE completed END`

// cancelSession has parameters in PocketBase's form, since it must also run in a transaction of PocketBase.
const cancelSession = `UPDATE sessions
	SET status = {:status}, error = {:code}, errorDescription = {:description}, cause = {:cause},
	 completed = {:now}, publicKey = NULL, sealed = NULL
	WHERE id = {:id} AND status IN ('pending', 'ready') RETURNING ` + outcomeColumns

// numbered turns the parameters of cancelSession into those of a prepared statement.
var numbered = strings.NewReplacer(
	"{:status}", "?1", "{:code}", "?2", "{:description}", "?3", "{:cause}", "?4",
	"{:now}", "?5", "{:id}", "?6",
)

// list returns each statement with its SQL and the connection that it runs on.
func (s *statements) list(readDB, writeDB *sql.DB) []prepared {
	return slices.Concat(s.writes(writeDB), s.reads(readDB), s.ofCopy(readDB, writeDB))
}

// ofCopy returns the statements of a [Copy].
func (s *statements) ofCopy(readDB, writeDB *sql.DB) []prepared {
	return []prepared{
		{statement: &s.living, db: readDB, query: `SELECT id
			FROM sessions WHERE status IN ('pending', 'ready')`},
		{statement: &s.copyRecord, db: writeDB, query: copyRecord},
		{statement: &s.removeEarly, db: writeDB, query: `DELETE FROM sessions
			WHERE id = ? AND expires > ? AND ` + fruitless + ` RETURNING created`},
		{statement: &s.deleteCopy, db: writeDB, query: `DELETE FROM sessions WHERE id = ? RETURNING created`},
		{statement: &s.raiseTotal, db: writeDB, query: raiseTotal},
		{statement: &s.totalsSince, db: readDB, query: totalsSince},
	}
}

func (s *statements) writes(db *sql.DB) []prepared {
	const living = `status IN ('pending', 'ready')` // as the index sessions_living has it
	return []prepared{
		{statement: &s.insert, db: db, query: `INSERT INTO sessions
			(id, plugin, client, tenant, status, origin, created, expires,
				stateHash, readKeyHash, publicKey, network)
			VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?)`},
		{statement: &s.consume, db: db, query: `UPDATE sessions SET redirected = ?1
			WHERE stateHash = ?2 AND ` + ofOwner + `
				AND status = 'pending' AND redirected = '' AND expires > ?1
			RETURNING id, tenant, publicKey, network, created, expires`},
		{statement: &s.complete, db: db, query: `UPDATE sessions
			SET status = 'ready', completed = ?1, sealed = ?2, publicKey = NULL
			WHERE id = ?3 AND status = 'pending' AND expires > ?1`},
		{statement: &s.fail, db: db, query: `UPDATE sessions
			SET status = ?, error = ?, errorDescription = ?, cause = ?, completed = ?, publicKey = NULL
			WHERE id = ? AND status = 'pending' RETURNING ` + outcomeColumns},
		{statement: &s.cancel, db: db, query: numbered.Replace(cancelSession)},
		{statement: &s.ack, db: db, query: `UPDATE sessions
			SET status = 'claimed', claimed = ?, sealed = NULL
			WHERE id = ? AND status = 'ready' RETURNING ` + outcomeColumns},
		{statement: &s.keep, db: db, query: `UPDATE sessions
			SET status = 'claimed', claimed = ?
			WHERE id = ? AND status = 'ready' RETURNING ` + outcomeColumns},
		{statement: &s.forget, db: db, query: `UPDATE sessions
			SET sealed = NULL WHERE id = ? AND ` + kept},
		{statement: &s.forgetKept, db: db, query: `UPDATE sessions
			SET sealed = NULL WHERE ` + kept + ` AND (claimed <= ? OR expires <= ?)`},
		{statement: &s.interrupted, db: db, query: `UPDATE sessions
			SET status = ?, error = ?, errorDescription = ?, cause = ?, completed = ?, publicKey = NULL
			WHERE ` + living + ` AND status = 'pending' AND redirected != '' RETURNING ` + outcomeColumns},
		{statement: &s.expire, db: db, query: `UPDATE sessions SET status = 'expired',
			completed = iif(status = 'ready', completed, expires), publicKey = NULL, sealed = NULL
			WHERE id IN (SELECT id FROM sessions
				WHERE ` + living + ` AND expires <= ? LIMIT ` + sweepStep + `)
			RETURNING ` + outcomeColumns},
		{statement: &s.expireOne, db: db, query: `UPDATE sessions SET status = 'expired',
			expires = min(expires, ?1), completed = min(expires, ?1), publicKey = NULL
			WHERE id = ?2 AND status = 'pending' AND redirected = '' RETURNING ` + outcomeColumns},
		{statement: &s.remove, db: db, query: `DELETE FROM sessions
			WHERE id IN (SELECT id FROM sessions WHERE expires <= ? LIMIT ` + sweepStep + `)`},
		{statement: &s.removeAbandoned, db: db, query: `DELETE FROM sessions
			WHERE id IN (SELECT id FROM sessions
				WHERE expires > ? AND expires <= ? AND redirected = '' LIMIT ` + sweepStep + `)`},
		{statement: &s.removeOf, db: db, query: `DELETE FROM sessions
			WHERE rowid IN (SELECT rowid FROM sessions
				WHERE ` + fruitless + ` AND status = ? AND expires <= ? LIMIT ` + sweepStep + `)
			RETURNING created, completed`},
		{statement: &s.storeTotal, db: db, query: storeTotal},
		{statement: &s.deleteTotals, db: db, query: `DELETE FROM login_totals WHERE hour < ?`},
		{statement: &s.deleteRemoved, db: db, query: `DELETE FROM removed_logins WHERE hour < ?`},
	}
}

func (s *statements) reads(db *sql.DB) []prepared {
	return []prepared{
		{statement: &s.byState, db: db, query: `SELECT
			id, status, tenant, publicKey, network, created, redirected, expires, error, errorDescription
			FROM sessions WHERE stateHash = ?2 AND ` + ofOwner},
		{statement: &s.byReadKey, db: db, query: `SELECT
			id, status, error, errorDescription, expires, iif(` + kept + `, claimed, ''),
			iif(?1, sealed, NULL)
			FROM sessions WHERE readKeyHash = ?2 AND ` + ofOwner},
		{statement: &s.pending, db: db, query: `SELECT id, plugin, client, readKeyHash, created, expires
			FROM sessions WHERE status IN ('pending', 'ready') AND status = 'pending' AND expires > ?`},
		{statement: &s.surplus, db: db, query: `SELECT expires
			FROM sessions WHERE expires <= ? ORDER BY expires DESC LIMIT 1 OFFSET ?`},
		{statement: &s.surplusOf, db: db, query: `SELECT expires FROM sessions
			WHERE ` + fruitless + ` AND status = ? ORDER BY expires DESC LIMIT 1 OFFSET ?`},
		{statement: &s.lastTotal, db: db, query: `SELECT coalesce(max(hour), '')
			FROM login_totals WHERE hour <= ?`},
		{statement: &s.earliest, db: db, query: `SELECT coalesce(min(created), '')
			FROM sessions WHERE expires > ?`},
		{statement: &s.hourCounts, db: db, query: hourCounts},
	}
}
