package etcd

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtry"
)

// Delete deletes the record of a session from the copies of all machines, and ends its login with this
// failure if it was under way, or if nobody had its tokens. Machines that are away for longer than
// [session.SharedRetention] keep the record of a login that is over.
func (t *Table) Delete(ctx context.Context, id string, failure session.Failure, now time.Time) error {
	hasEnded := false
	deleted, _, err := t.do(ctx, newRequest(byID(id), t.timing.short, func(e entry) (change, error) {
		next := e.record
		if hasEnded = !e.isOver() && !e.isKept(); hasEnded {
			next = e.end(failure, now)
		}
		next.Deleted, next.Until, next.KeptUntil = true, 0, 0
		return change{record: next, tokens: deleteTokens(id)}, nil
	}))
	switch {
	case errors.Is(err, session.ErrUnknown):
		return t.announceDeletion(ctx, id, now)
	case err == nil && hasEnded:
		t.notifyEnded(deleted)
	}
	return err
}

// announceDeletion lets the other machines know that the record of a login has been deleted whose row they no
// longer share.
func (t *Table) announceDeletion(ctx context.Context, id string, now time.Time) error {
	if len(id) != idLength || id > session.TimePrefix(now) {
		return nil // it is not one of ours, and no sweep would take it
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.timing.short)
	defer cancel()
	announced := record{Expires: milliseconds(now), Deleted: true}
	put := []clientv3.Op{clientv3.OpPut(rowKeys+id, announced.encode())}
	for {
		_, err := t.kv.Transact(ctx, nil, put, nil)
		if err == nil || etcdtry.IsFinal(err) {
			return err
		}
	}
}
