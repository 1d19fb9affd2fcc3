package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
)

// ErrUnavailable says that etcd did not answer in time: most of the machines cannot be reached, or have no
// leader. What was asked for may have happened.
var ErrUnavailable = errors.New("the machines that keep the sign-ins have no majority at the moment")

// timing says how long etcd may take.
type timing struct {
	// try bounds one request to etcd. One that is handed to a leader which dies is never answered.
	try time.Duration
	// short bounds all tries of what somebody can simply ask for once more.
	short time.Duration
	// long bounds all tries of what cannot be done over: a code has been used, or tokens have been sent.
	long time.Duration
	// pause is between two tries, of which the first failed at once.
	pause time.Duration
}

var defaultTiming = timing{
	try:   1200 * time.Millisecond,
	short: 2 * time.Second,
	long:  10 * time.Second,
	pause: 50 * time.Millisecond,
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
	// decide returns what becomes of a row, or an error if that may not be changed. It is called again with
	// what the row has become meanwhile.
	decide func(e entry) (change, error)
}

// newRequest returns a request that leaves its nonce in the row.
func newRequest(where lookup, patience time.Duration, decide func(e entry) (change, error)) request {
	return request{where: where, nonce: rand.Text(), patience: patience, decide: decide}
}

// do changes the row and returns what it is now, and the answer of etcd to the operation on the tokens, which
// is nil if the answer was lost. It fails with ErrUnknown, with the error of decide, or with ErrUnavailable.
// A "no" of decide counts only if it was asked about the row as etcd has it, since the memory may be behind.
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
		if response != nil || isFinal(err) {
			return stored, response, err
		}
		// Without an error, another request was first, and stored is the row that it has written.
		current, fresh, known = stored, true, err == nil && stored.revision > 0
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
	response, err := t.transact(ctx, clientv3.OpTxn(
		[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", current.revision)},
		then, []clientv3.Op{clientv3.OpGet(key)}))
	if err != nil {
		return entry{}, nil, err
	}
	if response.Succeeded {
		stored := newEntry(key, response.Header.Revision)
		stored.record = next.record
		t.memory.learn(stored)
		return stored, response, nil
	}
	present := response.Responses[0].GetResponseRange().Kvs
	if len(present) == 0 {
		return entry{}, nil, nil
	}
	found, err := decode(key, present[0].Value, present[0].ModRevision)
	if err == nil {
		t.memory.learn(found)
	}
	return found, nil, err
}

// transact makes one try of a transaction. If it fails with an error that is not final, it has waited long
// enough for another.
func (t *Table) transact(ctx context.Context, transaction clientv3.Op) (*clientv3.TxnResponse, error) {
	response, err := t.try(ctx, transaction)
	if err != nil {
		return nil, err
	}
	return response.Txn(), nil
}

// load reads a row as it is now, wherever it was written. It fails with ErrUnknown.
func (t *Table) load(ctx context.Context, where lookup) (entry, error) {
	if !where.isPossible() {
		return entry{}, session.ErrUnknown
	}
	response, err := t.get(ctx, where.key, clientv3.WithPrefix())
	if err != nil {
		return entry{}, err
	}
	for _, kv := range response.Kvs {
		found, err := decode(string(kv.Key), kv.Value, kv.ModRevision)
		if err != nil {
			return entry{}, err
		}
		if where.match(found) {
			t.memory.learn(found)
			return found, nil
		}
	}
	return entry{}, session.ErrUnknown
}

// get reads keys, and tries again until the context ends.
func (t *Table) get(
	ctx context.Context, key string, options ...clientv3.OpOption,
) (*clientv3.GetResponse, error) {
	for {
		response, err := t.try(ctx, clientv3.OpGet(key, options...))
		if err == nil {
			return response.Get(), nil
		}
		if isFinal(err) {
			return nil, err
		}
	}
}

// finalError is one that another try does not help against.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

func isFinal(err error) bool {
	_, final := errors.AsType[finalError](err)
	return final
}

// try asks etcd once. An error that is not final is worth another try at once.
func (t *Table) try(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	once, cancel := context.WithTimeout(ctx, t.timing.try)
	defer cancel()
	response, err := t.client.Do(once, op)
	switch {
	case err == nil:
		return response, nil
	case errors.Is(err, rpctypes.ErrNoSpace), errors.Is(err, rpctypes.ErrRequestTooLarge),
		errors.Is(err, rpctypes.ErrCompacted):
		return response, finalError{err}
	}
	if once.Err() == nil {
		select {
		case <-time.After(t.timing.pause):
		case <-ctx.Done():
		}
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return response, finalError{ctx.Err()}
	case ctx.Err() != nil:
		return response, finalError{fmt.Errorf("%w: %w", ErrUnavailable, err)}
	}
	return response, err
}
