package etcd

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
)

// slice bounds what one request to etcd reads, so that others wait for a few milliseconds only.
const slice = 1000

// relistAfter is how long the table waits before it lists all rows again. The watch breaks off if this
// machine was away for longer than etcd keeps old revisions.
const relistAfter = 200 * time.Millisecond

// follow keeps the memory up to date until the context ends.
func (t *Table) follow(ctx context.Context) {
	first := true
	for ctx.Err() == nil {
		listed, revision, err := t.list(ctx)
		if err == nil {
			t.memory.replace(listed, revision)
			if first {
				close(t.listed)
				first = false
			}
			err = t.watch(ctx, revision+1)
		}
		if ctx.Err() != nil {
			return
		}
		t.options.Log.Warn("the sign-ins of the other machines were not seen for a moment", "cause", err)
		select {
		case <-time.After(relistAfter):
		case <-ctx.Done():
		}
	}
}

// list reads all rows as they are at a revision. It remembers those that can still give tokens.
func (t *Table) list(ctx context.Context) (listed []entry, revision int64, err error) {
	revision, err = t.readAll(ctx, func(some []entry) error {
		for _, e := range some {
			if !e.isOver() {
				listed = append(listed, e)
			}
		}
		return nil
	})
	return listed, revision, err
}

// readAll reads all rows as they are at a revision, some at a time.
func (t *Table) readAll(
	ctx context.Context, read func(some []entry) error,
) (revision int64, err error) {
	end := clientv3.GetPrefixRangeEnd(rowKeys)
	options := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(slice)}
	for from := rowKeys; ; {
		response, err := t.kv.Get(ctx, from, options...)
		if err != nil {
			return 0, err
		}
		if revision == 0 {
			revision = response.Header.Revision
			options = append(options, clientv3.WithRev(revision))
		}
		var some []entry
		for _, kv := range response.Kvs {
			if e, readable := t.decode(kv); readable {
				some = append(some, e)
			}
		}
		if err := read(some); err != nil || !response.More {
			return revision, err
		}
		from = string(response.Kvs[len(response.Kvs)-1].Key) + "\x00"
	}
}

// decode reads a row. One that cannot be read is logged: nobody else can be told of it.
func (t *Table) decode(kv *mvccpb.KeyValue) (e entry, readable bool) {
	e, err := decode(string(kv.Key), kv.Value, kv.ModRevision)
	if err != nil {
		t.options.Log.Error("a row is left out", "cause", err)
	}
	return e, err == nil
}

// watch takes in what changes from a revision on, until the watch breaks off.
func (t *Table) watch(ctx context.Context, from int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for response := range t.watcher.Watch(ctx, rowKeys, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		if err := response.Err(); err != nil {
			return err
		}
		for _, event := range response.Events {
			if event.Type == clientv3.EventTypeDelete {
				t.memory.event(newEntry(string(event.Kv.Key), event.Kv.ModRevision), true)
			} else if e, readable := t.decode(event.Kv); readable {
				t.memory.event(e, false)
			}
			t.memory.watchedUntil(event.Kv.ModRevision - 1)
		}
		if count := len(response.Events); count > 0 {
			t.memory.watchedUntil(response.Events[count-1].Kv.ModRevision)
		}
	}
	return ctx.Err()
}

// superviseExchanges ends the logins whose machine took too long to exchange the code: it has died. How long
// that is, this process measures itself, since the clocks of two machines differ.
func (t *Table) superviseExchanges(ctx context.Context) {
	every := time.NewTicker(max(t.options.ExchangeTime/10, time.Millisecond))
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		t.giveBackAbandoned(ctx, t.options.Now())
		interrupted := t.interruption()
		if interrupted.Status == "" {
			continue
		}
		for _, e := range t.memory.all(func(e entry) bool {
			return e.isBeingExchanged() && time.Since(e.seen) > t.options.ExchangeTime
		}) {
			// Another machine may be faster, and without a majority nobody is: it is tried again.
			if _, err := t.interrupt(ctx, e, interrupted, t.options.Now()); err != nil {
				break
			}
		}
	}
}

// interruption returns the failure of logins whose machine has died.
func (t *Table) interruption() session.Failure {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.interrupted
}

// interrupt ends a login whose machine has died, if it is still as it was.
func (t *Table) interrupt(
	ctx context.Context, seen entry, interrupted session.Failure, now time.Time,
) (bool, error) {
	return t.end(ctx, newRequest(byID(seen.id), t.timing.short, func(e entry) (change, error) {
		if !e.isBeingExchanged() || e.Machine != seen.Machine {
			return change{}, errNot
		}
		return change{record: e.end(interrupted, now)}, nil
	}))
}

// Resume ends what an earlier process of this machine was exchanging, and notifies the watchers of what is
// pending.
func (t *Table) Resume(ctx context.Context, interrupted session.Failure, now time.Time) error {
	select {
	case <-t.listed:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, e := range t.memory.all(func(e entry) bool {
		return e.isBeingExchanged() && e.Machine == t.options.Machine
	}) {
		_, err := t.interrupt(ctx, e, interrupted, now)
		// A machine that ended now could not make the room either.
		for errors.Is(err, rpctypes.ErrNoSpace) && ctx.Err() == nil {
			time.Sleep(relistAfter)
			_, err = t.interrupt(ctx, e, interrupted, now)
		}
		if err != nil {
			return err
		}
	}
	t.mu.Lock()
	t.interrupted = interrupted
	t.mu.Unlock()
	t.memory.replay(now)
	return nil
}
