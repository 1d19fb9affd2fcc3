package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtry"
)

// timing says how long etcd may take.
type timing struct {
	// short bounds all tries of what somebody can simply ask for once more.
	short time.Duration
	// long bounds all tries of what cannot be done over: a code has been used, or tokens have been sent.
	long time.Duration
	// claim bounds the taking of a claim. One that took longer is given back: by the time that the tokens
	// have been sent, another may have them.
	claim time.Duration
	// hold is how long a claim of another machine counts.
	hold time.Duration
}

// A short request is answered within two seconds.
var defaultTiming = timing{
	short: 1800 * time.Millisecond, long: 10 * time.Second, claim: claimTime / 2, hold: claimTime,
}

// change is what a request makes of a row.
type change struct {
	record record
	// tokens is what happens to the sealed tokens in the same transaction; nil: nothing.
	tokens *clientv3.Op
}

// request is a change of one row, which may be tried any number of times.
type request struct {
	where lookup
	// nonce is the request's own. Who finds it in a row has won, even if the answer was lost.
	nonce string
	// patience bounds all tries together.
	patience time.Duration
	// awaitsRoom says that the request is tried again if there is no room: what it stores cannot be had
	// again, and the machines make some, mostly within some seconds.
	awaitsRoom bool
	// decide returns what becomes of a row, or an error if that may not be changed. It is called again with
	// what the row has become meanwhile.
	decide func(e entry) (change, error)
}

// newRequest returns a request that leaves its nonce in the row.
func newRequest(where lookup, patience time.Duration, decide func(e entry) (change, error)) request {
	return request{where: where, nonce: rand.Text(), patience: patience, decide: decide}
}

// do changes the row and returns what it is now, and the answer of etcd to the operation on the tokens, which
// is nil if the answer was lost. It fails with ErrUnknown, with the error of decide, or with
// [etcdtry.ErrUnavailable]. A "no" of decide counts only if it was asked about the row as etcd has it, since
// the memory may be behind.
func (t *Table) do(ctx context.Context, r request) (entry, *clientv3.TxnResponse, error) {
	if err := ctx.Err(); err != nil {
		return entry{}, nil, err
	}
	if !r.where.isPossible() {
		return entry{}, nil, session.ErrUnknown
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.patience)
	defer cancel()
	current, known := t.memory.find(r.where)
	fresh := false
	for {
		if !known {
			var err error
			if current, err = t.load(ctx, r.where); err != nil {
				return entry{}, nil, err
			}
			fresh, known = true, true
		}
		if fresh && (current.By == r.nonce || current.CompletedBy == r.nonce) {
			return current, nil, nil
		}
		next, refusal := r.decide(current)
		if refusal != nil && fresh {
			return entry{}, nil, refusal
		}
		if refusal != nil {
			known = false
			continue
		}
		stored, response, err := t.commit(ctx, current, next, r.nonce)
		if r.awaitsRoom && errors.Is(err, rpctypes.ErrNoSpace) && pause(ctx, relistAfter) {
			continue
		}
		if response != nil || etcdtry.IsFinal(err) {
			return stored, response, err
		}
		// Without an error, another request was first, and stored is the row that it has written.
		current, fresh, known = stored, true, err == nil && stored.revision > 0
	}
}

// pause waits, and reports whether the context has not ended meanwhile.
func pause(ctx context.Context, howLong time.Duration) bool {
	select {
	case <-time.After(howLong):
		return true
	case <-ctx.Done():
		return false
	}
}

// commit makes one try. It returns the answer of etcd if the change was made. If it was not, because the row
// has changed, it returns the row; one that is gone has no revision.
func (t *Table) commit(
	ctx context.Context, current entry, next change, nonce string,
) (entry, *clientv3.TxnResponse, error) {
	key := rowKeys + current.id
	next.record.By = nonce
	if next.record.Completed != 0 && current.Completed == 0 {
		next.record.CompletedBy = nonce
	}
	then := []clientv3.Op{clientv3.OpPut(key, next.record.encode())}
	if next.tokens != nil {
		then = append(then, *next.tokens)
	}
	response, err := t.kv.Transact(ctx,
		[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", current.revision)},
		then, []clientv3.Op{clientv3.OpGet(key)})
	if err != nil {
		return entry{}, nil, err
	}
	if response.Succeeded {
		stored := newEntry(key, response.Header.Revision)
		stored.record = next.record
		return t.memory.learn(stored), response, nil
	}
	present := response.Responses[0].GetResponseRange().Kvs
	if len(present) == 0 {
		return entry{}, nil, nil
	}
	found, err := decode(key, present[0].Value, present[0].ModRevision)
	if err != nil {
		return entry{}, nil, err
	}
	return t.memory.learn(found), nil, nil
}

// load reads a row as it is now, wherever it was written. It fails with ErrUnknown.
func (t *Table) load(ctx context.Context, where lookup) (entry, error) {
	if !where.isPossible() {
		return entry{}, session.ErrUnknown
	}
	response, err := t.kv.Get(ctx, where.key, clientv3.WithPrefix())
	if err != nil {
		return entry{}, err
	}
	for _, kv := range response.Kvs {
		found, err := decode(string(kv.Key), kv.Value, kv.ModRevision)
		if err != nil {
			return entry{}, err
		}
		if where.match(found) {
			return t.memory.learn(found), nil
		}
	}
	return entry{}, session.ErrUnknown
}
