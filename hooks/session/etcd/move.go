package etcd

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtry"
)

// How much one transaction moves. Rows and tokens have an operation each.
const (
	moveStep  = 40
	moveBytes = 1 << 20
)

// MoveIn stores sessions of a machine that was alone, as long as a condition holds, and reports whether it
// did. It may be called again with the same ones, as long as nobody else changes them. An exchange that was
// interrupted is that machine's, and ends when the table there resumes. It waits for a majority until the
// context ends.
func MoveIn(
	ctx context.Context, client *clientv3.Client, machine string, sessions []session.Moved,
	while clientv3.Cmp,
) (held bool, err error) {
	kv := etcdtry.KV{KV: client.KV}
	var changes []clientv3.Op
	size := 0
	flush := func() (bool, error) {
		for len(changes) > 0 {
			response, err := kv.Transact(ctx, []clientv3.Cmp{while}, changes, nil)
			switch {
			case etcdtry.IsFinal(err):
				return false, err
			case err != nil:
				continue // it may have happened, and can happen again
			case !response.Succeeded:
				return false, nil
			}
			changes, size = nil, 0
		}
		return true, nil
	}
	for _, m := range sessions {
		if !canBeFound(m.Row) {
			continue
		}
		if len(changes) >= 2*moveStep || size+len(m.Sealed) > moveBytes {
			if held, err := flush(); err != nil || !held {
				return false, err
			}
		}
		tokens := *deleteTokens(m.ID) // it may have had some the last time
		if m.Sealed != nil {
			tokens = clientv3.OpPut(tokenKeys+m.ID, string(m.Sealed))
		}
		changes = append(changes, clientv3.OpPut(rowKeys+m.ID, movedIn(m, machine).encode()), tokens)
		size += len(m.Sealed)
	}
	return flush()
}

// canBeFound reports whether a row has hashes by which it is found here. Those of versions before 2026-12
// have no time.
func canBeFound(row session.Row) bool {
	if len(row.ID) != idLength {
		return false
	}
	for _, hash := range [][]byte{row.StateHash, row.ReadKeyHash} {
		hasTime := len(hash) == session.TimeLength+sha256.Size
		if !hasTime || !strings.HasPrefix(row.ID, string(hash[:session.TimeLength])) {
			return false
		}
	}
	return true
}

// movedIn returns the record of a session that a machine brings.
func movedIn(m session.Moved, machine string) record {
	r := newRecord(m.Row, rand.Text())
	r.Status, r.Code, r.Description, r.Cause = m.Status, m.Code, m.Description, m.Cause
	r.Redirected, r.Completed = milliseconds(m.Redirected), milliseconds(m.Completed)
	r.Claimed, r.KeptUntil = milliseconds(m.Claimed), milliseconds(m.KeptUntil)
	if r.isBeingExchanged() {
		r.Machine = machine
	}
	return r
}

// MoveOut passes on all sessions that a client finds, some at a time, for a machine that goes on alone. What
// an admin has deleted is left out, and so is what cannot be read.
func MoveOut(ctx context.Context, client *clientv3.Client, pass func(some []session.Moved) error) error {
	kv := etcdtry.KV{KV: client.KV}
	end := clientv3.WithRange(clientv3.GetPrefixRangeEnd(rowKeys))
	for from := rowKeys; ; {
		response, err := kv.Get(ctx, from, end, clientv3.WithLimit(moveStep))
		if err != nil {
			return err
		}
		var some []session.Moved
		for _, stored := range response.Kvs {
			e, err := decode(string(stored.Key), stored.Value, stored.ModRevision)
			if err != nil || e.Deleted {
				continue
			}
			moved := session.Moved{Row: e.row(), Cause: e.Cause, Claimed: readTime(e.Claimed)}
			if moved.Sealed, err = sealedOf(ctx, kv, e); err != nil {
				return err
			}
			some = append(some, moved)
		}
		if err := pass(some); err != nil || !response.More {
			return err
		}
		from = string(response.Kvs[len(response.Kvs)-1].Key) + "\x00"
	}
}

// sealedOf returns the sealed tokens of a row, or nil if it has none.
func sealedOf(ctx context.Context, kv etcdtry.KV, e entry) ([]byte, error) {
	if e.Status != session.StatusReady && !e.isKept() {
		return nil, nil
	}
	read, err := kv.Get(ctx, tokenKeys+e.id)
	if err != nil || len(read.Kvs) == 0 {
		return nil, err
	}
	return read.Kvs[0].Value, nil
}
