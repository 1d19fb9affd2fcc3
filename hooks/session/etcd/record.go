package etcd

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"plugin-oauth/hooks/session"
)

// record is a row as etcd keeps it, in JSON. A version reads what the next one writes: new fields are added,
// and none changes its meaning. Times are in milliseconds since 1970; zero has not come.
type record struct {
	// By is the nonce of the request that wrote the record. Of a claim it is the [session.Hold.Holder].
	By string `json:"by"`
	// CompletedBy is the nonce of the request that ended the login at the provider.
	CompletedBy string `json:"completedBy,omitempty"`
	// StartedBy is the machine that started the login.
	StartedBy string `json:"startedBy,omitempty"`
	// Machine is the one that exchanges the code.
	Machine string `json:"machine,omitempty"`
	// Until is when another may take the claim over, and Clock is the machine by whose clock that is so, and
	// by whose clock KeptUntil is.
	Until int64  `json:"until,omitempty"`
	Clock string `json:"clock,omitempty"`

	Status      session.Status `json:"status"`
	Plugin      string         `json:"plugin,omitempty"`
	Client      []byte         `json:"client,omitempty"`
	Tenant      string         `json:"tenant,omitempty"`
	Origin      string         `json:"origin,omitempty"`
	StateHash   []byte         `json:"stateHash"`
	ReadKeyHash []byte         `json:"readKeyHash"`
	PublicKey   []byte         `json:"publicKey,omitempty"`
	Network     []byte         `json:"network,omitempty"`

	Created    int64 `json:"created"`
	Expires    int64 `json:"expires"`
	Redirected int64 `json:"redirected,omitempty"`
	Completed  int64 `json:"completed,omitempty"`
	Claimed    int64 `json:"claimed,omitempty"`
	KeptUntil  int64 `json:"keptUntil,omitempty"`

	Code        string `json:"error,omitempty"`
	Description string `json:"errorDescription,omitempty"`
	Cause       string `json:"cause,omitempty"`

	// Deleted says that an admin has deleted the record on some machine, and that the others are to follow.
	Deleted bool `json:"deleted,omitempty"`
}

// entry is a record with its place and its age.
type entry struct {
	record

	id       string
	revision int64     // of the record's last change
	seen     time.Time // when this process learned of it
	kept     time.Time // if the tokens are kept: when this process learned of that
}

func newRecord(row session.Row, nonce string) record {
	return record{
		By:          nonce,
		StartedBy:   row.StartedBy,
		Status:      session.StatusPending,
		Plugin:      row.Owner.Slug,
		Client:      row.Owner.Fingerprint,
		Tenant:      row.Tenant,
		Origin:      row.Origin,
		StateHash:   row.StateHash,
		ReadKeyHash: row.ReadKeyHash,
		PublicKey:   row.PublicKey,
		Network:     row.Network,
		Created:     milliseconds(row.Created),
		Expires:     milliseconds(row.Expires),
	}
}

func (r record) encode() string {
	encoded, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings, bytes and numbers can always be encoded
	}
	return string(encoded)
}

func decode(key string, value []byte, revision int64) (entry, error) {
	e := newEntry(key, revision)
	if len(e.id) != idLength {
		return entry{}, fmt.Errorf("the cluster has a row with a key that is none: %q", key)
	}
	if err := json.Unmarshal(value, &e.record); err != nil {
		return entry{}, fmt.Errorf("the row %s of the cluster cannot be read: %w", e.id, err)
	}
	return e, nil
}

func newEntry(key string, revision int64) entry {
	now := time.Now()
	return entry{id: strings.TrimPrefix(key, rowKeys), revision: revision, seen: now, kept: now}
}

// after returns the entry with what is known of its age from what this process knew before.
func (e entry) after(known entry) entry {
	if e.revision == known.revision {
		e.seen = known.seen
	}
	if e.isKept() && known.isKept() {
		e.kept = known.kept
	}
	return e
}

// row returns the row as the sessions know it.
func (e entry) row() session.Row {
	return session.Row{
		ID:          e.id,
		Owner:       session.Owner{Slug: e.Plugin, Fingerprint: e.Client},
		StartedBy:   e.StartedBy,
		Status:      e.Status,
		Tenant:      e.Tenant,
		Origin:      e.Origin,
		StateHash:   e.StateHash,
		ReadKeyHash: e.ReadKeyHash,
		PublicKey:   e.PublicKey,
		Network:     e.Network,
		Created:     readTime(e.Created),
		Expires:     readTime(e.Expires),
		Redirected:  readTime(e.Redirected),
		Completed:   readTime(e.Completed),
		KeptUntil:   readTime(e.KeptUntil),
		Code:        e.Code,
		Description: e.Description,
	}
}

// copied returns the row as the admin sees it.
func (e entry) copied() session.Record {
	return session.Record{
		ID:          e.id,
		Plugin:      e.Plugin,
		Tenant:      e.Tenant,
		Origin:      e.Origin,
		Status:      e.Status,
		Code:        e.Code,
		Description: e.Description,
		Cause:       e.Cause,
		Created:     readTime(e.Created),
		Expires:     readTime(e.Expires),
		Redirected:  readTime(e.Redirected),
		Completed:   readTime(e.Completed),
		Claimed:     readTime(e.Claimed),
		Deleted:     e.Deleted,
	}
}

// outcome returns how a login ended that is over.
func (e entry) outcome() session.Outcome {
	ended := e.Completed
	switch e.Status {
	case session.StatusClaimed:
		ended = e.Claimed
	case session.StatusExpired:
		ended = e.Expires
	}
	return session.Outcome{
		Session:    e.id,
		Plugin:     e.Plugin,
		Status:     e.Status,
		Error:      e.Code,
		Cause:      e.Cause,
		Created:    readTime(e.Created),
		Redirected: readTime(e.Redirected),
		Completed:  readTime(e.Completed),
		Ended:      readTime(ended),
	}
}

// isOver reports whether the row can no longer give tokens. Such rows are read from etcd when somebody asks
// for them.
func (r record) isOver() bool {
	switch r.Status {
	case session.StatusPending, session.StatusReady:
		return false
	default:
		return !r.isKept()
	}
}

// isKept reports whether the plugin was sent the tokens, and they are still there.
func (r record) isKept() bool { return r.Status == session.StatusClaimed && r.KeptUntil != 0 }

// isBeingExchanged reports whether a machine exchanges the code.
func (r record) isBeingExchanged() bool {
	return r.Status == session.StatusPending && r.Redirected != 0
}

// end ends the login without tokens.
func (r record) end(failure session.Failure, completed time.Time) record {
	r.Status, r.Code, r.Description = failure.Status, failure.Code, failure.Description
	r.Cause, r.Completed = failure.Cause, milliseconds(completed)
	r.PublicKey, r.Until = nil, 0
	return r
}

// expire ends the login as expired.
func (r record) expire() record {
	if r.Status == session.StatusPending {
		r.Completed = r.Expires
	}
	r.Status, r.PublicKey, r.Until = session.StatusExpired, nil, 0
	return r
}

// lookup says how a row is found: by how its key begins, which is the time at least, and by comparing the few
// rows of which that is true.
type lookup struct {
	key   string
	match func(e entry) bool
}

func byID(id string) lookup {
	where := lookup{match: func(e entry) bool { return e.id == id }}
	if len(id) == idLength {
		where.key = rowKeys + id
	}
	return where
}

func byState(owner session.Owner, hash []byte) lookup {
	return byHash(owner, hash, func(e entry) []byte { return e.StateHash })
}

func byReadKey(owner session.Owner, hash []byte) lookup {
	return byHash(owner, hash, func(e entry) []byte { return e.ReadKeyHash })
}

func byHash(owner session.Owner, hash []byte, hashOf func(entry) []byte) lookup {
	where := lookup{match: func(e entry) bool {
		return subtle.ConstantTimeCompare(hash, hashOf(e)) == 1 && owner.Slug == e.Plugin &&
			(e.Client == nil || subtle.ConstantTimeCompare(owner.Fingerprint, e.Client) == 1)
	}}
	if len(hash) == session.TimeLength+sha256.Size {
		where.key = rowKeys + string(hash[:session.TimeLength])
	}
	return where
}

// isPossible reports whether there can be a row. Strangers send anything, and etcd is not asked for what has
// not the form of ours.
func (l lookup) isPossible() bool { return l.key != "" }

// time returns what the ids of rows of one millisecond have in common.
func (l lookup) time() string { return l.key[len(rowKeys):][:session.TimeLength] }

func (e entry) time() string { return e.id[:session.TimeLength] }

// milliseconds returns a time as a record keeps it.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// readTime reverses milliseconds.
func readTime(milliseconds int64) time.Time {
	if milliseconds == 0 {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}
