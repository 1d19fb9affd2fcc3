package session

import (
	"context"
	"time"
)

// Table keeps the rows of sessions by their hashes. It lies below the cryptography: it sees neither a state
// nor a read key nor an open token. What may happen once, it lets happen once, whoever asks: goroutines of
// this process or, in a table that several share, other processes.
//
// All methods are safe for concurrent use. Times are the caller's, so that one clock decides; a table may
// keep them in whole milliseconds. A row has expired when its Expires is not after now. A context that ends
// makes an operation fail only as long as nothing can have been written: once a write has begun its result is
// awaited. The owner of a row is compared in every lookup by hash, and a row of another owner is
// [ErrUnknown].
//
// The suite in package sessiontest checks all of this.
type Table interface {
	// Insert stores a new row, which is pending. The watcher has been told of it when Insert returns. It
	// fails if there is a row with this ID. Hashes are not compared: they are too long to be made twice.
	Insert(ctx context.Context, row Row) error

	// ByState returns the row of a state, with the Code and Description of one that is denied or failed. It
	// fails with ErrUnknown.
	ByState(ctx context.Context, owner Owner, stateHash []byte) (Row, error)

	// Consume uses up a state: it stores when that was, and returns the row. Of any number of calls with one
	// state exactly one succeeds. The others fail with ErrUsed, ErrExpired or ErrUnknown; see
	// [Row.CheckState].
	Consume(ctx context.Context, owner Owner, stateHash []byte, now time.Time) (Row, error)

	// Complete makes a pending session ready, with its sealed tokens, and erases its public key. It reports
	// whether the session was pending and had not expired.
	Complete(ctx context.Context, id string, sealed []byte, now time.Time) (bool, error)

	// Fail makes a pending session denied or failed, and erases its public key. It reports whether the
	// session was pending.
	Fail(ctx context.Context, id string, failure Failure, now time.Time) (bool, error)

	// Expire makes a pending session whose state has not been consumed expired, and erases its public key. It
	// has expired at now, or when it would have anyway if that is earlier. It reports whether the session was
	// such a one.
	Expire(ctx context.Context, id string, now time.Time) (bool, error)

	// Cancel makes a pending or ready session denied, and erases its public key and its tokens. It reports
	// whether the session was one of these.
	Cancel(ctx context.Context, id string, failure Failure, now time.Time) (bool, error)

	// TakeClaim reads the row of a read key. If its tokens can be claimed and nobody holds its claim, the
	// caller holds it from now on; see [Row.CheckClaim]. If it is not, the hold has the row as it is and no
	// Holder, for any number of callers. It fails with ErrTaken if another holds the claim, and with
	// ErrUnknown if there is no such row or if the claim was acknowledged already.
	//
	// A claim is never granted on a row that was read before another claim of it was acknowledged. A table
	// that one process owns may hold claims in memory: they end with the process, and the tokens are still
	// there for the next one. A table that machines share holds them in the row for a limited time,
	// Hold.Until, after which another may take over.
	TakeClaim(ctx context.Context, owner Owner, readKeyHash []byte, now time.Time) (Hold, error)

	// Ack says that the plugin has the tokens: the session is claimed, if it was not before, and they are
	// erased. If storing that
	// fails, the claim stays taken, nobody gets the tokens again, and Sweep stores it later. Nothing happens,
	// and there is no error, if the session has ended otherwise or if the hold is no longer the present one.
	Ack(ctx context.Context, hold Hold, now time.Time) error

	// Keep says that the plugin was sent the tokens and may ask for them again, until it acknowledges them or
	// an [AckWindow] has passed: the session is claimed now, and they stay. The hold ends, and the next
	// caller of TakeClaim gets them. If the session was claimed already, nothing else happens. If the hold is
	// no longer the present one, nothing happens, and there is no error.
	Keep(ctx context.Context, hold Hold, now time.Time) error

	// Release lets the next caller of TakeClaim have the tokens. Nothing happens, and there is no error, if
	// the hold is no longer the present one, or if it was acknowledged.
	Release(ctx context.Context, hold Hold) error

	// Resume ends as failed the sessions whose state was consumed by a process that is gone, and then tells
	// the watcher of every row that is pending and has not expired. A process calls it once, before it
	// serves.
	Resume(ctx context.Context, interrupted Failure, now time.Time) error

	// Sweep ends as expired what has expired, erasing keys and tokens, erases the tokens that nobody has
	// acknowledged in time, and then deletes the rows that expired
	// at removeBefore or earlier, and those whose state was never consumed and that expired an
	// AbandonedRetention before now, or earlier. A table may delete more of the oldest that have expired, to
	// bound its size. It stores the acknowledgements that could not be stored before. Its counts
	// are right even if it fails. Callers call it one at a time.
	Sweep(ctx context.Context, now, removeBefore time.Time) (Swept, error)

	// Watch adds a watcher, which is notified of what happens from now on.
	Watch(w Watcher)
}

// Watcher is notified by a [Table] of what has been stored, by this process or by another that shares the
// table. Its methods return at once, may be called concurrently, and may be called again with the same row or
// id.
type Watcher interface {
	// Pending says that a row is pending. A row with a StateHash has all that a lookup by state gives. A
	// table that several processes share says it again when another of them has consumed the state.
	Pending(row Row)
	// Woken says that the session with this id is no longer pending, or no longer there.
	Woken(id string)
	// Ended says how a login ended. Only the process that ended it is notified, once, after Woken. When an
	// admin deletes a record it may be notified before, inside the transaction that deletes it.
	Ended(outcome Outcome)
}

// Row is a session as a [Table] keeps it. Which fields a method fills stands in its name: a lookup by state
// needs no read key. A time that is zero has not come.
type Row struct {
	// ID is what the admin knows the session by: 15 characters of a-z and 0-9.
	ID string
	// Owner is the plugin that started the session.
	Owner Owner
	// StartedBy is the machine that started the session. A table of one process does not keep it.
	StartedBy string
	// Status is what has become of it.
	Status Status
	// Tenant is the shop, directory or subdomain at the provider, or empty.
	Tenant string
	// Origin is that of the page that started the session, or empty.
	Origin string

	// StateHash and ReadKeyHash are 41 bytes: the time of the key, which is that of the ID (see
	// [TimePrefix]), then SHA-256. Versions before 2026-12 wrote 32, and had no time.
	StateHash, ReadKeyHash []byte
	// PublicKey is what the tokens are sealed to: 65 bytes, or 32 of a version before 2026-12. It is nil once
	// the login has ended.
	PublicKey []byte
	// Network is a MAC of the network that started the session, or nil in a row of a version that had none.
	Network []byte

	// Created is when the login began, and Expires when all that is secret must be gone.
	Created, Expires time.Time
	// Redirected is when the state was consumed, and Completed when the login ended at the provider, well or
	// not.
	Redirected, Completed time.Time

	// KeptUntil is until when the tokens of a session that is claimed can be claimed again. Zero: they are
	// erased.
	KeptUntil time.Time

	// Code and Description are what the plugin is told of a session that is denied or failed.
	Code, Description string
}

// CheckState says whether the row still waits for its redirect. If it does not, the error is ErrUsed or
// ErrExpired.
func (r Row) CheckState(now time.Time) error {
	switch {
	case r.Status == StatusExpired || (r.Status == StatusPending && !now.Before(r.Expires)):
		return ErrExpired
	case r.Status != StatusPending || !r.Redirected.IsZero():
		return ErrUsed
	}
	return nil
}

// CheckClaim says why the tokens of the row cannot be claimed. It is nil if they can, and otherwise
// ErrPending, ErrExpired, ErrUnknown or a *[Failure].
func (r Row) CheckClaim(now time.Time) error {
	switch r.Status {
	case StatusPending, StatusReady:
		if !now.Before(r.Expires) {
			return ErrExpired
		}
		if r.Status == StatusPending {
			return ErrPending
		}
		return nil
	case StatusDenied, StatusFailed:
		return &Failure{Status: r.Status, Code: r.Code, Description: r.Description}
	case StatusExpired:
		return ErrExpired
	case StatusClaimed:
		if now.Before(r.KeptUntil) && now.Before(r.Expires) {
			return nil
		}
		return ErrUnknown
	default:
		return ErrUnknown
	}
}

// Hold is a claim as a [Table] knows it: a value that says who is getting the tokens of a session.
type Hold struct {
	// Row is the session's. TakeClaim fills ID, Status, Expires, KeptUntil, Code and Description at least.
	Row Row
	// Holder is a fresh nonce that names the holder. If it is empty, nobody holds anything.
	Holder string
	// Sealed are the tokens, sealed.
	Sealed []byte
	// Until is when another may take the claim over. Zero means never, as long as this process lives.
	Until time.Time
}

// AckWindow is how long the tokens stay for a plugin that acknowledges them, from when it was first sent
// them. They never stay longer than the session lives.
const AckWindow = time.Minute

// Swept counts the rows that a sweep has changed.
type Swept struct {
	// Expired counts the sessions that were ended because their time was over.
	Expired int64
	// Removed counts the rows that were deleted because their retention was over.
	Removed int64
}
