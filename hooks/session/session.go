// Package session takes a login from its start to the claim of its tokens, over a [Table] of rows. It knows
// neither the provider nor HTTP, and what it stores gives nobody tokens:
//
//   - Start makes a session with a state for the provider and a read key for the plugin. The table has only
//     hashes of both.
//   - Consume uses up the state when the browser comes back. Of any number of redirects exactly one gets the
//     session.
//   - Complete seals the tokens to a key that only the holder of the read key can derive; Fail ends the
//     session without any.
//   - Claim opens them for exactly one poll. They stay in the table until the claim is acknowledged, so a
//     crash loses none.
package session

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"plugin-oauth/internal/fair"
)

// Status is what has become of a session. The values are those of the database.
type Status string

// A session is pending until its login ends one way or the other. A ready one holds sealed tokens.
const (
	StatusPending Status = "pending" // the login is under way
	StatusReady   Status = "ready"   // the tokens wait for the plugin
	StatusClaimed Status = "claimed" // the plugin has the tokens
	StatusDenied  Status = "denied"  // the person or the admin said no
	StatusFailed  Status = "failed"  // the provider, or the service, failed
	StatusExpired Status = "expired" // the time was over before the plugin had the tokens
)

// Owner is the plugin that a session belongs to.
type Owner struct {
	// Slug is the plugin's name in the address. It is empty for the plugin at the root.
	Slug string
	// Fingerprint is that of the OAuth client that the plugin has now. A session of another client is
	// unknown. In a row of a version that did not store it, it is nil, and any client will do.
	Fingerprint []byte
}

// owns reports whether an owner that asks is the one of a row.
func (o Owner) owns(row Owner) bool {
	return o.Slug == row.Slug && (row.Fingerprint == nil || bytes.Equal(o.Fingerprint, row.Fingerprint))
}

// Errors about a session, a state or a read key.
var (
	ErrUnknown   = errors.New("no such session")
	ErrUsed      = errors.New("the state has been used")
	ErrExpired   = errors.New("the session has expired")
	ErrCancelled = errors.New("the session was cancelled")
	ErrPending   = errors.New("the login is still under way")
	ErrTaken     = errors.New("another poll is getting the tokens")
	ErrFull      = errors.New("too many logins are under way")
)

// defaultMaxPending bounds the logins under way, and with them the memory that a flood takes.
const defaultMaxPending = 100_000

// Options are the settings of [Sessions].
type Options struct {
	// TTL is the time from the start of a login until everything secret of it is gone.
	TTL time.Duration
	// Retention is how long the row of a session stays after that, without secrets.
	Retention time.Duration
	// Machine names this process among those that share the table. It may be empty if none does.
	Machine string
	// MaxPending is how many logins of this machine may be under way at a time. Zero means 100,000. When
	// there is no room for one more, the site that has started the most loses its oldest; see
	// [Sessions.Start]. Those of other machines make no room: nobody here knows from which networks they were
	// started, so one of a person would be as likely to go as one of a flood.
	MaxPending int
	// OnOutcome is called once for every login that ended here, when the table has stored it. Calls may be
	// concurrent. It may be nil.
	OnOutcome func(Outcome)
	// Now is the clock. If it is nil, it is [time.Now].
	Now func() time.Time
}

// Sessions are the logins of all plugins. It is safe for concurrent use.
type Sessions struct {
	table          Table
	machine        string
	ttl, retention time.Duration
	maxPending     int
	onOutcome      func(Outcome)
	now            func() time.Time

	sweeping sync.Mutex

	mu        sync.RWMutex
	byReadKey map[string]*Login // the pending logins, by the hash of their read key
	byState   map[string]*Login // the pending logins whose state is known to be unused, by its hash
	byID      map[string]*Login
	own       int                    // how many of byID this machine has started
	starting  map[string]fair.Source // of the logins that are being stored, by their ID

	// evictable are the logins of this machine whose state has not been used, by where they were started. Of
	// those of an earlier process that is unknown.
	evictable fair.Crowds[*Login]

	pending atomic.Int64 // how many byID has, so that counting waits for nobody
}

// New returns the sessions in a table, and watches the table from now on. Call [Sessions.Resume] before the
// first request.
func New(table Table, options Options) *Sessions {
	s := &Sessions{
		table:      table,
		machine:    options.Machine,
		ttl:        options.TTL,
		retention:  options.Retention,
		maxPending: cmp.Or(options.MaxPending, defaultMaxPending),
		onOutcome:  options.OnOutcome,
		now:        options.Now,
		byReadKey:  map[string]*Login{},
		byState:    map[string]*Login{},
		byID:       map[string]*Login{},
		starting:   map[string]fair.Source{},
	}
	if s.onOutcome == nil {
		s.onOutcome = func(Outcome) {}
	}
	if s.now == nil {
		s.now = time.Now
	}
	table.Watch(watcher{sessions: s})
	return s
}

// Resume takes up the sessions that an earlier process left behind: a login whose code was being exchanged
// has failed, and the others are pending again.
func (s *Sessions) Resume(ctx context.Context) error {
	interrupted := Interrupted("the service ended while the code was exchanged")
	return s.table.Resume(ctx, interrupted, s.now())
}
