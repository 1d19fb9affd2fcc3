package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtry"
)

// How much one transaction of the sweep changes. etcd takes 128 operations.
const (
	expireStep = 40
	removeStep = 100
)

// Sweep may run on any number of machines at a time: each counts what it has done itself.
func (t *Table) Sweep(ctx context.Context, now, removeBefore time.Time) (swept session.Swept, err error) {
	select {
	case <-t.listed:
	case <-ctx.Done():
		return swept, ctx.Err()
	}
	swept.Expired, err = t.endDue(ctx, now)
	if errors.Is(err, rpctypes.ErrNoSpace) {
		// Nothing can be written until there is room, and only what is deleted makes room.
		err = t.eraseDue(ctx, now)
	}
	if err != nil {
		return swept, err
	}
	if swept.Removed, err = t.removeDue(ctx, now, removeBefore); err != nil {
		return swept, err
	}
	surplus, err := t.removeSurplus(ctx)
	swept.Removed += surplus
	return swept, err
}

// endDue stores what is to be stored about the sessions whose time is over, and about those that the plugin
// has the tokens of.
func (t *Table) endDue(ctx context.Context, now time.Time) (expired int64, err error) {
	for _, hold := range t.delivered() {
		if err := t.Ack(ctx, hold, now); err != nil {
			return 0, err
		}
	}
	if err := t.forgetKept(ctx, now); err != nil {
		return 0, err
	}
	return t.expireDue(ctx, now)
}

// eraseDue erases the tokens of the sessions whose time is over, without noting that in their rows.
func (t *Table) eraseDue(ctx context.Context, now time.Time) error {
	var deletions []clientv3.Op
	for _, due := range t.memory.all(func(e entry) bool {
		return e.Status == session.StatusReady && milliseconds(now) >= e.Expires || t.isForgotten(e, now)
	}) {
		deletions = append(deletions, *deleteTokens(due.id))
	}
	_, err := t.remove(ctx, deletions)
	return err
}

// isForgotten reports whether tokens that were kept are no longer given.
func (t *Table) isForgotten(e entry, now time.Time) bool {
	return e.isKept() && t.claimable(e, now).CheckClaim(now) != nil
}

// forgetKept erases the tokens that nobody has acknowledged in time.
func (t *Table) forgetKept(ctx context.Context, now time.Time) error {
	isDue := func(e entry) bool { return t.isForgotten(e, now) }
	for _, due := range t.memory.all(isDue) {
		_, _, err := t.doIf(ctx, newRequest(byID(due.id), t.timing.short, func(e entry) (change, error) {
			if !isDue(e) {
				return change{}, errNot
			}
			next := e.record
			next.Until, next.KeptUntil = 0, 0
			return change{record: next, tokens: deleteTokens(e.id)}, nil
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

// expireDue ends the sessions whose time is over.
func (t *Table) expireDue(ctx context.Context, now time.Time) (count int64, err error) {
	isDue := func(e entry) bool {
		living := e.Status == session.StatusPending || e.Status == session.StatusReady
		return living && milliseconds(now) >= e.Expires
	}
	for some := range slices.Chunk(t.memory.all(isDue), expireStep) {
		if err := ctx.Err(); err != nil {
			return count, err
		}
		nonce := rand.Text()
		if ended, err := t.expireAll(ctx, some, nonce); err == nil && ended != nil {
			count += int64(len(ended))
			for _, e := range ended {
				t.notifyEnded(e)
			}
			continue
		}
		for _, due := range some { // one of them has changed, or the answer was lost
			r := newRequest(byID(due.id), t.timing.short, func(e entry) (change, error) {
				if !isDue(e) {
					return change{}, errNot
				}
				return change{record: e.expire(), tokens: deleteTokens(e.id)}, nil
			})
			r.nonce = nonce
			ended, err := t.end(ctx, r)
			if err != nil {
				return count, err
			}
			if ended {
				count++
			}
		}
	}
	return count, nil
}

// expireAll ends sessions in one transaction. It returns nil if one of them has changed.
func (t *Table) expireAll(ctx context.Context, due []entry, nonce string) (ended []entry, err error) {
	var unchanged []clientv3.Cmp
	var changes []clientv3.Op
	for _, e := range due {
		key := rowKeys + e.id
		unchanged = append(unchanged, clientv3.Compare(clientv3.ModRevision(key), "=", e.revision))
		e.record = e.expire()
		e.By, e.CompletedBy = nonce, nonce
		changes = append(changes, clientv3.OpPut(key, e.encode()), *deleteTokens(e.id))
		ended = append(ended, e)
	}
	response, err := t.kv.Transact(context.WithoutCancel(ctx), unchanged, changes, nil)
	if err != nil || !response.Succeeded {
		return nil, err
	}
	for i := range ended {
		ended[i].revision, ended[i].seen = response.Header.Revision, time.Now()
		t.memory.learn(ended[i])
	}
	return ended, nil
}

// removeDue deletes the rows whose retention is over. Those began before what they are compared with, and the
// keys are sorted by that.
func (t *Table) removeDue(ctx context.Context, now, removeBefore time.Time) (count int64, err error) {
	abandonedBefore := now.Add(-session.AbandonedRetention)
	last := removeBefore
	if abandonedBefore.After(last) {
		last = abandonedBefore
	}
	end := rowKeys + session.TimePrefix(last.Add(time.Millisecond))
	isDue := func(e entry) bool {
		return e.isOver() && (e.Expires <= milliseconds(removeBefore) ||
			(e.Redirected == 0 && e.Expires <= milliseconds(abandonedBefore)))
	}
	for from := rowKeys; ; {
		// This machine may be behind, and sees the rest at its next sweep.
		response, err := t.kv.Get(ctx, from,
			clientv3.WithRange(end), clientv3.WithLimit(slice), clientv3.WithSerializable())
		if err != nil {
			return count, err
		}
		var deletions []clientv3.Op
		for _, kv := range response.Kvs {
			if e, readable := t.decode(kv); readable && isDue(e) {
				deletions = append(deletions, clientv3.OpDelete(string(kv.Key)))
			}
		}
		deleted, err := t.remove(ctx, deletions)
		if count += deleted; err != nil || !response.More {
			return count, err
		}
		from = string(response.Kvs[len(response.Kvs)-1].Key) + "\x00"
	}
}

// defaultMaxRows is many times what plugins have in half an hour. The rows take about 100 MB, of the 1 GB
// that etcd takes before it refuses everything.
const defaultMaxRows = 100_000

// removeSurplus deletes the oldest rows without tokens beyond what may be kept: anybody can make such logins,
// at any rate. Those that are under way, [session.Options] bounds.
func (t *Table) removeSurplus(ctx context.Context) (count int64, err error) {
	counted, err := t.kv.Get(ctx, rowKeys,
		clientv3.WithPrefix(), clientv3.WithCountOnly(), clientv3.WithSerializable())
	if err != nil {
		return 0, err
	}
	surplus := counted.Count - t.maxRows
	end := clientv3.WithRange(clientv3.GetPrefixRangeEnd(rowKeys))
	for from := rowKeys; surplus > 0; {
		response, err := t.kv.Get(ctx, from, end, clientv3.WithLimit(slice), clientv3.WithSerializable())
		if err != nil {
			return count, err
		}
		var deletions []clientv3.Op
		for _, kv := range response.Kvs {
			e, readable := t.decode(kv)
			if readable && surplus > 0 && e.isOver() && e.Status != session.StatusClaimed {
				deletions = append(deletions, clientv3.OpDelete(string(kv.Key)))
				surplus--
			}
		}
		deleted, err := t.remove(ctx, deletions)
		if count += deleted; err != nil || !response.More {
			return count, err
		}
		from = string(response.Kvs[len(response.Kvs)-1].Key) + "\x00"
	}
	return count, nil
}

// remove deletes keys, and returns how many were still there.
func (t *Table) remove(ctx context.Context, deletions []clientv3.Op) (count int64, err error) {
	for some := range slices.Chunk(deletions, removeStep) {
		if err := ctx.Err(); err != nil {
			return count, err
		}
		removed, err := t.removeSome(ctx, some)
		if count += removed; err != nil {
			return count, err
		}
	}
	return count, nil
}

// removeSome deletes keys in one transaction. If an answer is lost, it counts all of them: it cannot tell
// those that another machine has deleted.
func (t *Table) removeSome(ctx context.Context, deletions []clientv3.Op) (count int64, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.timing.short)
	defer cancel()
	for isFirst := true; ; isFirst = false {
		response, err := t.kv.Transact(ctx, nil, deletions, nil)
		if etcdtry.IsFinal(err) {
			return 0, err
		}
		if err != nil {
			continue
		}
		if !isFirst {
			return int64(len(deletions)), nil
		}
		for _, deleted := range response.Responses {
			count += deleted.GetResponseDeleteRange().Deleted
		}
		return count, nil
	}
}
