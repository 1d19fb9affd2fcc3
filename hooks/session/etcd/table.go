// Package etcd keeps the sessions of several machines in etcd, where each machine finds the same rows. What
// may happen only once is a transaction on the revision of the row, so it does not matter which machine asks,
// or how many do: etcd's locks and leases are not used.
//
// A row is one key, s/ and the session's id, and its sealed tokens are another, t/ and the id, so that the
// watch of s/ never carries them. A state and a read key begin with the same time as the id, to the
// millisecond, so their rows are found without an index: there is hardly ever more than one.
//
// Each machine watches s/ and knows what is under way: a poll that waits costs etcd nothing, and wakes on any
// machine. Each request leaves a nonce in the row. Who finds their own has won, though the answer was lost;
// so every request is repeated until it is answered, and a machine that dies costs the others a second.
package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtry"
)

// What the keys begin with.
const (
	rowKeys   = "s/"
	tokenKeys = "t/"
	hourKeys  = "h/"
)

// idLength is the length of a session's id.
const idLength = 15

// Options are the settings of a [Table].
type Options struct {
	// Machine names this process among those that share the rows. No two that run have the same name, and a
	// process that starts again has the name that it had before.
	Machine string
	// ExchangeTime is how long a machine may take to exchange a code. Later the others end the login as
	// failed: the machine has died. Zero means 15 seconds.
	ExchangeTime time.Duration
	// Now is the clock. If it is nil, it is [time.Now].
	Now func() time.Time
	// Copy follows the rows. If it is nil, nothing does.
	Copy session.Copy
	// Log is told when the watch is interrupted, and of rows that cannot be read.
	Log *slog.Logger
}

// Table is a [session.Table] on etcd. Make it with [New]. It is safe for concurrent use.
type Table struct {
	kv      etcdtry.KV
	watcher clientv3.Watcher
	options Options
	timing  timing
	memory  memory
	maxRows int64   // beyond which rows without tokens are removed
	copier  *copier // nil if there is no copy
	totals  totals

	stop    context.CancelFunc
	running sync.WaitGroup
	listed  chan struct{} // closed when the memory has all rows

	mu          sync.Mutex
	interrupted session.Failure         // of logins whose machine has died; zero until Resume
	unstored    map[string]session.Hold // tokens that the plugin has, though that is not stored yet, by id
	abandoned   map[string]int64        // the nonces of exchanges that never began: see abandon
}

var _ session.Table = (*Table)(nil)

// New returns the table on the rows that a client finds, and watches them until Close is called.
func New(client *clientv3.Client, options Options) *Table {
	return newTable(etcdtry.KV{KV: client.KV}, client.Watcher, options, defaultTiming)
}

func newTable(kv etcdtry.KV, watcher clientv3.Watcher, options Options, timing timing) *Table {
	ctx, stop := context.WithCancel(context.Background())
	if options.ExchangeTime == 0 {
		options.ExchangeTime = 15 * time.Second
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	t := &Table{
		kv:        kv,
		watcher:   watcher,
		options:   options,
		timing:    timing,
		memory:    memory{byTime: map[string][]entry{}, now: options.Now},
		maxRows:   defaultMaxRows,
		stop:      stop,
		listed:    make(chan struct{}),
		unstored:  map[string]session.Hold{},
		abandoned: map[string]int64{},
	}
	t.running.Go(func() { t.follow(ctx) })
	t.running.Go(func() { t.superviseExchanges(ctx) })
	if options.Copy != nil {
		t.copier = newCopier(t, options.Copy)
		t.running.Go(func() { t.copier.follow(ctx) })
	}
	return t
}

// Close ends the watch. The client stays open.
func (t *Table) Close() {
	t.stop()
	t.running.Wait()
}

// Watch adds a watcher. It is notified while the table is locked.
func (t *Table) Watch(watcher session.Watcher) { t.memory.watch(watcher) }

func (t *Table) notifyEnded(e entry) {
	t.memory.mu.Lock()
	watchers := t.memory.watchers
	t.memory.mu.Unlock()
	for _, watcher := range watchers {
		watcher.Ended(e.outcome())
	}
}

// Insert stores a new row.
func (t *Table) Insert(ctx context.Context, row session.Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(row.ID) != idLength {
		return fmt.Errorf("a session's id has %d characters, not %d", idLength, len(row.ID))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.timing.short)
	defer cancel()
	key := rowKeys + row.ID
	created := newEntry(key, 0)
	created.record = newRecord(row, rand.Text())
	for {
		stored, err := t.insert(ctx, created)
		switch {
		case etcdtry.IsFinal(err):
			return err
		case err != nil:
			continue
		case stored.By != created.By:
			return errors.New("there is a session with this id")
		}
		t.memory.learn(stored)
		return nil
	}
}

// insert makes one try, and returns the row that etcd has then.
func (t *Table) insert(ctx context.Context, created entry) (entry, error) {
	key := rowKeys + created.id
	response, err := t.kv.Transact(ctx,
		[]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0)},
		[]clientv3.Op{clientv3.OpPut(key, created.encode())}, []clientv3.Op{clientv3.OpGet(key)})
	if err != nil {
		return entry{}, err
	}
	if response.Succeeded {
		created.revision = response.Header.Revision
		return created, nil
	}
	kv := response.Responses[0].GetResponseRange().Kvs[0]
	return decode(key, kv.Value, kv.ModRevision)
}

// ByState returns the row of a state as it is now.
func (t *Table) ByState(ctx context.Context, owner session.Owner, stateHash []byte) (session.Row, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timing.short)
	defer cancel()
	found, err := t.load(ctx, byState(owner, stateHash))
	return t.unabandoned(found).row(), err
}

// Consume uses up a state. This machine exchanges the code from now on.
func (t *Table) Consume(
	ctx context.Context, owner session.Owner, stateHash []byte, now time.Time,
) (session.Row, error) {
	var expires int64
	request := newRequest(byState(owner, stateHash), t.timing.short, func(e entry) (change, error) {
		if err := t.unabandoned(e).row().CheckState(now); err != nil {
			return change{}, err
		}
		next := e.record
		next.Redirected, next.Machine = milliseconds(now), t.options.Machine
		expires = next.Expires
		return change{record: next}, nil
	})
	consumed, _, err := t.do(ctx, request)
	if errors.Is(err, etcdtry.ErrUnavailable) {
		t.abandon(request.nonce, expires)
	}
	if err != nil {
		return session.Row{}, err
	}
	return consumed.row(), nil
}

// errNot says that a row is not one that a request is for.
var errNot = errors.New("the session is not in this state")

// doIf is do for a request that is for some rows only. It reports whether the row was one of these.
func (t *Table) doIf(ctx context.Context, r request) (changed entry, done bool, err error) {
	changed, _, err = t.do(ctx, r)
	if errors.Is(err, errNot) || errors.Is(err, session.ErrUnknown) {
		return entry{}, false, nil
	}
	return changed, err == nil, err
}

// Complete makes a pending session ready.
func (t *Table) Complete(ctx context.Context, id string, sealed []byte, now time.Time) (bool, error) {
	put := clientv3.OpPut(tokenKeys+id, string(sealed))
	request := newRequest(byID(id), t.timing.long, func(e entry) (change, error) {
		if e.Status != session.StatusPending || milliseconds(now) >= e.Expires {
			return change{}, errNot
		}
		next := e.record
		next.Status, next.Completed, next.PublicKey = session.StatusReady, milliseconds(now), nil
		return change{record: next, tokens: &put}, nil
	})
	request.awaitsRoom = true
	_, done, err := t.doIf(ctx, request)
	return done, err
}

// Fail ends a pending session without tokens.
func (t *Table) Fail(
	ctx context.Context, id string, failure session.Failure, now time.Time,
) (bool, error) {
	return t.end(ctx, newRequest(byID(id), t.timing.long, func(e entry) (change, error) {
		if e.Status != session.StatusPending {
			return change{}, errNot
		}
		return change{record: e.end(failure, now)}, nil
	}))
}

// Cancel ends a session that is under way, or whose tokens nobody has.
func (t *Table) Cancel(
	ctx context.Context, id string, failure session.Failure, now time.Time,
) (bool, error) {
	return t.end(ctx, newRequest(byID(id), t.timing.short, func(e entry) (change, error) {
		if e.Status != session.StatusPending && e.Status != session.StatusReady {
			return change{}, errNot
		}
		return change{record: e.end(failure, now), tokens: deleteTokens(id)}, nil
	}))
}

// Expire makes a pending session expired whose browser has not come back.
func (t *Table) Expire(ctx context.Context, id string, now time.Time) (bool, error) {
	return t.end(ctx, newRequest(byID(id), t.timing.short, func(e entry) (change, error) {
		if e.Status != session.StatusPending || e.Redirected != 0 {
			return change{}, errNot
		}
		next := e.record
		next.Expires = min(next.Expires, milliseconds(now))
		return change{record: next.expire()}, nil
	}))
}

// end ends a login, and notifies the watchers of it.
func (t *Table) end(ctx context.Context, r request) (bool, error) {
	ended, done, err := t.doIf(ctx, r)
	if done {
		t.notifyEnded(ended)
	}
	return done, err
}

func deleteTokens(id string) *clientv3.Op {
	deletion := clientv3.OpDelete(tokenKeys + id)
	return &deletion
}
