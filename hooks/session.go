package hooks

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

// The states of a session. It is pending until the login ends one way or the other; ready holds sealed tokens.
const (
	statusPending = "pending"
	statusReady   = "ready"
	statusClaimed = "claimed"
	statusDenied  = "denied"
	statusFailed  = "failed"
	statusExpired = "expired"
)

// session is one login, as the handlers need it.
type session struct {
	id               string
	status           string
	error            string // OAuth's error code, of a session that is denied or failed
	errorDescription string
	tenant           string // the shop, directory or subdomain; blank: none
	publicKey        []byte // the tokens are sealed to it
	expires          string // a timestamp
}

// What may be wrong with a state or a read key.
var (
	errUnknown = errors.New("no such session")
	errUsed    = errors.New("the state has served its exchange")
	errExpired = errors.New("the session has expired")
	errEnded   = errors.New("the session was ended meanwhile")
)

// sessions holds the SQL of a login, prepared once. It writes past PocketBase's record hooks:
// a prepared statement is never printed with its values, and one statement is what makes a claim happen once.
type sessions struct {
	ttl, retention time.Duration

	insert, redirect, byState, ready, end, byReadKey, claimed, delivered, restored, interrupted, expire, forget, remove *sql.Stmt
}

// ofPlugin finds the sessions that began at a plugin as it is now. Those that began before the column was there have no client.
const ofPlugin = `plugin = ?3 AND coalesce(client, ?4) = ?4`

// newSessions prepares the statements. Reads run on PocketBase's pool, writes on its single writer connection.
func newSessions(app core.App, config Config) (*sessions, error) {
	s := &sessions{ttl: config.SessionTTL, retention: config.SessionRetention}
	reader, err := database(app.ConcurrentDB())
	if err != nil {
		return nil, err
	}
	writer, err := database(app.NonconcurrentDB())
	if err != nil {
		return nil, err
	}
	for _, p := range []struct {
		statement **sql.Stmt
		db        *sql.DB
		query     string
	}{
		{&s.insert, writer, `INSERT INTO sessions (id, plugin, client, tenant, status, origin, created, expires, stateHash, readKeyHash, publicKey)
			VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)`},
		{&s.redirect, writer, `UPDATE sessions SET redirected = ?1
			WHERE stateHash = ?2 AND ` + ofPlugin + ` AND status = 'pending' AND redirected = '' AND expires > ?1
			RETURNING id, tenant, publicKey, expires`},
		{&s.byState, reader, `SELECT status, expires FROM sessions WHERE stateHash = ?2 AND ` + ofPlugin},
		{&s.ready, writer, `UPDATE sessions SET status = 'ready', completed = ?1, sealed = ?2, publicKey = NULL
			WHERE id = ?3 AND status = 'pending' AND expires > ?1`},
		{&s.end, writer, `UPDATE sessions SET status = ?, error = ?, errorDescription = ?, completed = ?, publicKey = NULL
			WHERE id = ? AND status = 'pending'`},
		{&s.byReadKey, reader, `SELECT id, status, error, errorDescription, expires FROM sessions WHERE readKeyHash = ?2 AND ` + ofPlugin},
		{&s.claimed, writer, `UPDATE sessions SET status = 'claimed', claimed = ?1
			WHERE id = ?2 AND status = 'ready' AND expires > ?1 RETURNING sealed`},
		{&s.delivered, writer, `UPDATE sessions SET sealed = NULL WHERE id = ? AND status = 'claimed'`},
		{&s.restored, writer, `UPDATE sessions SET status = 'ready', claimed = '' WHERE id = ? AND status = 'claimed'`},
		{&s.interrupted, writer, `UPDATE sessions SET status = 'failed', error = ?, errorDescription = ?, completed = ?, publicKey = NULL
			WHERE status = 'pending' AND redirected != ''`},
		{&s.expire, writer, `UPDATE sessions SET status = 'expired', completed = expires, publicKey = NULL, sealed = NULL
			WHERE status IN ('pending', 'ready') AND expires <= ?`},
		{&s.forget, writer, `UPDATE sessions SET sealed = NULL WHERE status = 'claimed' AND expires <= ? AND sealed IS NOT NULL`},
		{&s.remove, writer, `DELETE FROM sessions WHERE expires <= ?`},
	} {
		if *p.statement, err = p.db.Prepare(p.query); err != nil {
			return nil, fmt.Errorf("the table sessions is not as this version needs it; restore a backup, or start with another --dir: %w", err)
		}
	}
	return s, nil
}

// database returns the handle below PocketBase's query builder.
func database(builder any) (*sql.DB, error) {
	db, ok := builder.(interface{ DB() *sql.DB })
	if !ok {
		return nil, fmt.Errorf("PocketBase gives a %T, which holds no database handle", builder)
	}
	return db.DB(), nil
}

// start makes a pending session and returns its three parts: the state for the provider, the read key for the plugin,
// and the code verifier. Only hashes of the first two are stored.
func (s *sessions) start(plugin *Plugin, tenant, origin string) (state, readKey, verifier string, err error) {
	state, readKey = newKey(), newKey()
	private, err := keyPair(readKey)
	if err != nil {
		return "", "", "", err
	}
	publicKey := private.PublicKey().Bytes()
	now := time.Now()
	_, err = s.insert.Exec(core.GenerateDefaultRandomId(), plugin.Slug, plugin.client(), tenant, origin,
		timestamp(now), timestamp(now.Add(s.ttl)), keyHash(state), keyHash(readKey), publicKey)
	return state, readKey, codeVerifier(state, publicKey), err
}

// redirected uses up the state: of any number of redirects with one state, a single one gets the session.
// It fails with errUnknown, errUsed or errExpired.
func (s *sessions) redirected(plugin *Plugin, state string) (session, error) {
	now := timestamp(time.Now())
	var found session
	err := s.redirect.QueryRow(now, keyHash(state), plugin.Slug, plugin.client()).Scan(&found.id, &found.tenant, &found.publicKey, &found.expires)
	if !errors.Is(err, sql.ErrNoRows) {
		return found, err
	}
	var status, expires string
	err = s.byState.QueryRow(nil, keyHash(state), plugin.Slug, plugin.client()).Scan(&status, &expires)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return session{}, errUnknown
	case err != nil:
		return session{}, err
	case status == statusExpired || (status == statusPending && expires <= now):
		return session{}, errExpired
	default:
		return session{}, errUsed
	}
}

// complete seals the provider's token response for the plugin to claim.
// It fails with errExpired or errEnded if the session expired or was deleted meanwhile.
func (s *sessions) complete(found session, tokens []byte) error {
	sealed, err := sealTokens(found.publicKey, found.id, tokens)
	if err != nil {
		return err
	}
	now := timestamp(time.Now())
	result, err := s.ready.Exec(now, sealed, found.id)
	if err != nil {
		return err
	}
	changed, err := result.RowsAffected()
	switch {
	case err != nil || changed == 1:
		return err
	case found.expires <= now:
		return errExpired
	default:
		return errEnded
	}
}

// fail ends a session without tokens, as denied or failed, with what the plugin will be told.
func (s *sessions) fail(id, status string, p *problem) error {
	_, err := s.end.Exec(status, p.Code, p.Description, timestamp(time.Now()), id)
	return err
}

// failInterrupted ends the sessions whose exchange was cut off when the service ended. Call it before any can begin.
func (s *sessions) failInterrupted() error {
	_, err := s.interrupted.Exec("server_error", "The sign-in was interrupted. Please start again.", timestamp(time.Now()))
	return err
}

// find returns the session of a read key. An expired one has statusExpired, whether the sweep has seen it or not.
// It fails with errUnknown.
func (s *sessions) find(plugin *Plugin, readKey string) (session, error) {
	var found session
	err := s.byReadKey.QueryRow(nil, keyHash(readKey), plugin.Slug, plugin.client()).
		Scan(&found.id, &found.status, &found.error, &found.errorDescription, &found.expires)
	if errors.Is(err, sql.ErrNoRows) {
		return session{}, errUnknown
	}
	if (found.status == statusPending || found.status == statusReady) && found.expires <= timestamp(time.Now()) {
		found.status = statusExpired
	}
	return found, err
}

// claim returns the tokens of a ready session. Of any number of concurrent claims exactly one gets them;
// the others fail with errUnknown. The winner calls erase or restore.
func (s *sessions) claim(id, readKey string) ([]byte, error) {
	var sealed []byte
	err := s.claimed.QueryRow(timestamp(time.Now()), id).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errUnknown
	}
	if err != nil {
		return nil, err
	}
	return openTokens(readKey, id, sealed)
}

// erase erases the tokens of a claimed session: the plugin has them.
func (s *sessions) erase(id string) error {
	_, err := s.delivered.Exec(id)
	return err
}

// restore puts the tokens back for the next poll: the plugin was gone before it got them.
func (s *sessions) restore(id string) error {
	_, err := s.restored.Exec(id)
	return err
}

// sweep erases what is secret in expired sessions, and removes rows that are past their retention.
// Nothing depends on when it runs: expiry is checked at every read.
func (s *sessions) sweep() error {
	now := time.Now()
	_, expireErr := s.expire.Exec(timestamp(now))
	_, forgetErr := s.forget.Exec(timestamp(now))
	_, removeErr := s.remove.Exec(timestamp(now.Add(-s.retention)))
	return errors.Join(expireErr, forgetErr, removeErr)
}

// timestamp is PocketBase's form of a time. Two of them compare as strings.
func timestamp(t time.Time) string {
	return t.UTC().Format(types.DefaultDateLayout)
}
