package hooks

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pocketbase/dbx"
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
	created          time.Time
	network          []byte // of the client that started it, as networkMAC returns it
}

// What may be wrong with a state or a read key.
var (
	errUnknown = errors.New("no such session")
	errUsed    = errors.New("the state has served its exchange")
	errExpired = errors.New("the session has expired")
	errEnded   = errors.New("the session was ended meanwhile")
	errTaken   = errors.New("another poll is getting the tokens")
)

// sessions holds the SQL of a login, prepared once. It writes past PocketBase's record hooks: a prepared statement is never
// printed with its values, and what may happen once is one statement, or a claim in memory. So a data folder has one process.
type sessions struct {
	ttl, retention time.Duration

	insert, redirect, byState, ready, ended, byReadKey, sealed, claimed, interrupted, living, expire, remove, lastTotal, earliest, hourTotals, storeTotal, forgetTotals, forgetRemoved *sql.Stmt

	writer   *writer
	onEnd    func(ending) // is told of every login that ends, once the database says so
	sweeping sync.Mutex
	mu       sync.RWMutex
	byKey    map[string]*login // the pending sessions, by the hash of their read key
	byID     map[string]*login
	claiming sync.Map // the ids of sessions whose tokens are being delivered; true: they are, but that is not stored yet
}

// maxPending bounds the logins under way, and with them the memory that a flood takes.
const maxPending = 100_000

var errTooManyLogins = &problem{
	Status:      http.StatusServiceUnavailable,
	Code:        "temporarily_unavailable",
	Description: "Too many sign-ins are under way. Try again in some minutes.",
}

// login is a pending session in memory, so that a poll of it costs no query, and can wait for its end.
type login struct {
	id, plugin  string
	client      []byte
	readKeyHash []byte
	expires     time.Time
	ended       chan struct{} // closed when the session is not pending any more
}

// ofPlugin finds the sessions that began at a plugin as it is now. Those that began before the column was there have no client.
const ofPlugin = `plugin = ?3 AND coalesce(client, ?4) = ?4`

// newSessions prepares the statements. Reads run on PocketBase's pool, writes on its single writer connection.
func newSessions(app core.App, config Config) (*sessions, error) {
	s := &sessions{
		ttl: config.SessionTTL, retention: config.SessionRetention,
		writer: &writer{}, onEnd: func(ending) {},
		byKey: map[string]*login{}, byID: map[string]*login{},
	}
	reader, err := database(app.ConcurrentDB())
	if err != nil {
		return nil, err
	}
	writer, err := database(app.NonconcurrentDB())
	if err != nil {
		return nil, err
	}
	s.writer.db = writer
	for _, p := range s.statements(reader, writer) {
		if *p.statement, err = p.db.Prepare(p.query); err != nil {
			return nil, fmt.Errorf("the table sessions is not as this version needs it; restore a backup, or start with another --dir: %w", err)
		}
	}
	return s, nil
}

// prepared is one statement of sessions.
type prepared struct {
	statement **sql.Stmt
	db        *sql.DB
	query     string
}

func (s *sessions) statements(reader, writer *sql.DB) []prepared {
	return []prepared{
		{&s.insert, writer, `INSERT INTO sessions (id, plugin, client, tenant, status, origin, created, expires, stateHash, readKeyHash, publicKey, network)
			VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?)`},
		{&s.redirect, writer, `UPDATE sessions SET redirected = ?1
			WHERE stateHash = ?2 AND ` + ofPlugin + ` AND status = 'pending' AND redirected = '' AND expires > ?1
			RETURNING id, tenant, publicKey, expires`},
		{&s.byState, reader, `SELECT status, redirected, created, expires, network FROM sessions WHERE stateHash = ?2 AND ` + ofPlugin},
		{&s.ready, writer, `UPDATE sessions SET status = 'ready', completed = ?1, sealed = ?2, publicKey = NULL
			WHERE id = ?3 AND status = 'pending' AND expires > ?1`},
		{&s.ended, writer, `UPDATE sessions SET status = ?, error = ?, errorDescription = ?, cause = ?, completed = ?, publicKey = NULL
			WHERE id = ? AND status = 'pending' RETURNING ` + endingColumns},
		{&s.byReadKey, reader, `SELECT id, status, error, errorDescription, expires FROM sessions WHERE readKeyHash = ?2 AND ` + ofPlugin},
		{&s.sealed, reader, `SELECT sealed FROM sessions WHERE id = ? AND status = 'ready' AND expires > ?`},
		{&s.claimed, writer, `UPDATE sessions SET status = 'claimed', claimed = ?, sealed = NULL
			WHERE id = ? AND status = 'ready' RETURNING ` + endingColumns},
		{&s.interrupted, writer, `UPDATE sessions SET status = 'failed', error = ?, errorDescription = ?, cause = ?, completed = ?, publicKey = NULL
			WHERE status IN ('pending', 'ready') AND status = 'pending' AND redirected != '' RETURNING ` + endingColumns},
		{&s.living, reader, `SELECT id, plugin, client, readKeyHash, expires FROM sessions WHERE status IN ('pending', 'ready') AND status = 'pending' AND expires > ?`},
		{&s.expire, writer, `UPDATE sessions SET status = 'expired', completed = iif(status = 'ready', completed, expires), publicKey = NULL, sealed = NULL
			WHERE id IN (SELECT id FROM sessions WHERE status IN ('pending', 'ready') AND expires <= ? LIMIT ` + sweepStep + `)
			RETURNING ` + endingColumns},
		{&s.lastTotal, reader, `SELECT coalesce(max(hour), '') FROM login_totals WHERE hour <= ?`},
		{&s.earliest, reader, `SELECT coalesce(min(created), '') FROM sessions WHERE expires > ?`},
		{&s.hourTotals, reader, hourTotals},
		{&s.storeTotal, writer, storeTotal},
		{&s.forgetTotals, writer, `DELETE FROM login_totals WHERE hour < ?`},
		{&s.forgetRemoved, writer, `DELETE FROM removed_logins WHERE hour < ?`},
		{&s.remove, writer, `DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires <= ? LIMIT ` + sweepStep + `)`},
	}
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
func (s *sessions) start(plugin *Plugin, tenant, origin string, network netip.Prefix) (state, readKey, verifier string, err error) {
	s.mu.RLock()
	full := len(s.byID) >= maxPending
	s.mu.RUnlock()
	if full {
		return "", "", "", errTooManyLogins
	}
	state, readKey = newKey(), newKey()
	private, err := keyPair(readKey)
	if err != nil {
		return "", "", "", err
	}
	publicKey := private.PublicKey().Bytes()
	now := time.Now().Round(0) // the clock on the wall, as in the database: the other one stops while a machine sleeps
	login := &login{
		id: newSessionID(), plugin: plugin.Slug, client: plugin.client, readKeyHash: keyHash(readKey),
		expires: now.Add(s.ttl), ended: make(chan struct{}),
	}
	_, err = s.writer.exec(s.insert, login.id, login.plugin, login.client, tenant, origin,
		timestamp(now), timestamp(login.expires), keyHash(state), login.readKeyHash, publicKey, networkMAC(state, network))
	if err != nil {
		return "", "", "", err
	}
	s.add(login)
	return state, readKey, codeVerifier(state, publicKey), nil
}

// newSessionID returns an id as PocketBase wants them, 15 of a-z and 0-9, that begins with the time.
func newSessionID() string {
	return timePrefix() + strings.ToLower(rand.Text()[:15-timeLength])
}

func (s *sessions) add(login *login) {
	s.mu.Lock()
	s.byKey[string(login.readKeyHash)], s.byID[login.id] = login, login
	s.mu.Unlock()
}

// end wakes the polls that wait for a session. Call it once the database says what became of it.
func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if login := s.byID[id]; login != nil {
		s.drop(login)
	}
}

// drop forgets a login that is not pending any more, and wakes its polls. The caller holds the lock.
func (s *sessions) drop(login *login) {
	delete(s.byKey, string(login.readKeyHash))
	delete(s.byID, login.id)
	close(login.ended)
}

// pending returns the login of a read key, as long as it is under way.
func (s *sessions) pending(plugin *Plugin, readKey string) (*login, bool) {
	s.mu.RLock()
	login := s.byKey[string(keyHash(readKey))]
	s.mu.RUnlock()
	return login, login != nil && login.plugin == plugin.Slug && (login.client == nil || bytes.Equal(login.client, plugin.client)) &&
		time.Now().Before(login.expires)
}

// redirected uses up the state: of any number of redirects with one state, a single one gets the session.
// It fails with errUnknown, errUsed or errExpired.
func (s *sessions) redirected(plugin *Plugin, state string) (session, error) {
	now := timestamp(time.Now())
	var found session
	err := s.writer.queryRow(s.redirect, []any{now, keyHash(state), plugin.Slug, plugin.client},
		[]any{&found.id, &found.tenant, &found.publicKey, &found.expires})
	if !errors.Is(err, sql.ErrNoRows) {
		return found, err
	}
	if _, err = s.begun(plugin, state); err == nil {
		err = errUsed // by another redirect, just now
	}
	return session{}, err
}

// begun returns a session that waits for its redirect. It fails with errUnknown, errUsed or errExpired.
func (s *sessions) begun(plugin *Plugin, state string) (found session, err error) {
	var redirected, created string
	err = s.byState.QueryRow(nil, keyHash(state), plugin.Slug, plugin.client).
		Scan(&found.status, &redirected, &created, &found.expires, &found.network)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return session{}, errUnknown
	case err != nil:
		return session{}, err
	case found.status == statusExpired || (found.status == statusPending && found.expires <= timestamp(time.Now())):
		return session{}, errExpired
	case found.status != statusPending || redirected != "":
		return session{}, errUsed
	}
	found.created, err = time.Parse(types.DefaultDateLayout, created)
	return found, err
}

// complete seals the provider's token response for the plugin to claim.
// It fails with errExpired or errEnded if the session expired or was deleted meanwhile.
func (s *sessions) complete(found session, tokens []byte) error {
	sealed, err := sealTokens(found.publicKey, found.id, tokens)
	if err != nil {
		return err
	}
	now := timestamp(time.Now())
	changed, err := s.writer.exec(s.ready, now, sealed, found.id)
	if err == nil {
		s.end(found.id)
	}
	switch {
	case err != nil || changed == 1:
		return err
	case found.expires <= now:
		return errExpired
	default:
		return errEnded
	}
}

// fail ends a session without tokens, as denied or failed, with what the plugin will be told. It reports whether the session
// was there to be ended.
func (s *sessions) fail(id, status string, p *problem) (ended bool, err error) {
	cause := ""
	if p.cause != nil {
		cause = p.cause.Error()
	}
	endings, err := s.endings(s.ended, status, p.Code, p.Description, cause, timestamp(time.Now()), id)
	if err == nil {
		s.end(id)
		s.tell(endings)
	}
	return len(endings) > 0, err
}

// stop ends a session for its admin, as if the person had cancelled, and reports whether it was there to be ended. It writes
// through db, since whoever deletes a session may be in a transaction. The caller wakes the polls, when all is done.
func (s *sessions) stop(db dbx.Builder, id string) (ended bool, err error) {
	rows, err := db.NewQuery(`UPDATE sessions SET status = 'denied', error = 'access_denied', errorDescription = {:description}, completed = {:now},
		publicKey = NULL, sealed = NULL WHERE id = {:id} AND status IN ('pending', 'ready') RETURNING ` + endingColumns).
		Bind(dbx.Params{"description": "The sign-in was ended by the admin. Please start again.", "now": timestamp(time.Now()), "id": id}).Rows()
	if err != nil {
		return false, err
	}
	endings, err := readEndings(rows.Rows)
	if err := errors.Join(err, rows.Close()); err != nil {
		return false, err
	}
	s.tell(endings)
	return len(endings) > 0, nil
}

// resume takes up the sessions that the service left behind when it ended: those whose exchange was cut off have failed,
// the others are still pending. Call it before any request.
func (s *sessions) resume() error {
	now := timestamp(time.Now())
	interrupted, err := s.endings(s.interrupted, "server_error", "The sign-in was interrupted. Please start again.",
		"the service ended while the code was exchanged", now)
	if err != nil {
		return err
	}
	s.tell(interrupted)
	rows, err := s.living.Query(now)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		login, expires := &login{ended: make(chan struct{})}, ""
		if err := rows.Scan(&login.id, &login.plugin, &login.client, &login.readKeyHash, &expires); err != nil {
			return err
		}
		if login.expires, err = time.Parse(types.DefaultDateLayout, expires); err != nil {
			return err
		}
		s.add(login)
	}
	return rows.Err()
}

// find returns the session of a read key. An expired one has statusExpired, whether the sweep has seen it or not.
// It fails with errUnknown.
func (s *sessions) find(plugin *Plugin, readKey string) (session, error) {
	var found session
	err := s.byReadKey.QueryRow(nil, keyHash(readKey), plugin.Slug, plugin.client).
		Scan(&found.id, &found.status, &found.error, &found.errorDescription, &found.expires)
	if errors.Is(err, sql.ErrNoRows) {
		return session{}, errUnknown
	}
	if (found.status == statusPending || found.status == statusReady) && found.expires <= timestamp(time.Now()) {
		found.status = statusExpired
	}
	return found, err
}

// claim returns the tokens of a ready session. Of any number of concurrent claims exactly one gets them; the others fail
// with errTaken or errUnknown. The winner calls delivered or release. Until then the tokens stay in the database, so that a crash
// loses none.
func (s *sessions) claim(id, readKey string) ([]byte, error) {
	if delivered, taken := s.claiming.LoadOrStore(id, false); taken && delivered.(bool) {
		return nil, errUnknown
	} else if taken {
		return nil, errTaken
	}
	// Only now: who held the claim before may have delivered the tokens since this session was found to be ready.
	var sealed []byte
	err := s.sealed.QueryRow(id, timestamp(time.Now())).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		err = errUnknown
	}
	var tokens []byte
	if err == nil {
		tokens, err = openTokens(readKey, id, sealed)
	}
	if err != nil {
		s.release(id)
	}
	return tokens, err
}

// release gives a claim back: the plugin was gone before it got the tokens, which wait for its next poll.
func (s *sessions) release(id string) {
	s.claiming.Delete(id)
}

// delivered erases the tokens: the plugin has them. If that fails the claim stays, so that nobody gets them again, and the
// sweep tries once more.
func (s *sessions) delivered(id string) error {
	ended, err := s.endings(s.claimed, timestamp(time.Now()), id)
	if err != nil {
		s.claiming.Store(id, true)
		return err
	}
	s.release(id)
	s.tell(ended)
	return nil
}

// sweepStep bounds the rows that one statement of the sweep changes: no request waits longer than for these.
const sweepStep = "200"

// sweep erases what is secret in expired sessions, adds up the hours, and removes rows that are past their retention.
// Nothing depends on when it runs: expiry is checked at every read.
func (s *sessions) sweep() (swept swept, err error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	now := time.Now()
	s.mu.Lock()
	for _, login := range s.byID {
		if !now.Before(login.expires) {
			s.drop(login)
		}
	}
	s.mu.Unlock()
	s.claiming.Range(func(id, delivered any) bool {
		if delivered.(bool) {
			err = s.delivered(id.(string))
		}
		return err == nil
	})
	if err != nil {
		return swept, err
	}
	if swept.expired, err = s.expireDue(now); err != nil {
		return swept, err
	}
	if err := s.addUp(now); err != nil {
		return swept, err
	}
	swept.removed, err = s.repeat(s.remove, timestamp(now.Add(-s.retention)))
	return swept, err
}

// swept counts the rows that a sweep has changed.
type swept struct{ expired, removed int64 }

// expireDue ends the sessions whose time is over.
func (s *sessions) expireDue(now time.Time) (count int64, err error) {
	for {
		expired, err := s.endings(s.expire, timestamp(now))
		if err != nil || len(expired) == 0 {
			return count, err
		}
		for _, login := range expired {
			s.end(login.session)
		}
		s.tell(expired)
		count += int64(len(expired))
	}
}

// repeat executes a statement until there is nothing left for it to change.
func (s *sessions) repeat(statement *sql.Stmt, args ...any) (count int64, err error) {
	for {
		changed, err := s.writer.exec(statement, args...)
		if err != nil || changed == 0 {
			return count, err
		}
		count += changed
	}
}

// timestamp is PocketBase's form of a time. Two of them compare as strings.
func timestamp(t time.Time) string {
	return t.UTC().Format(types.DefaultDateLayout)
}
