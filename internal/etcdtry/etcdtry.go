// Package etcdtry asks etcd with bounded patience. A request that is handed to a leader which dies is never
// answered, so each try gets a little more time than an election takes, and then there is another. Whoever
// asks must recognize what an earlier try has done.
package etcdtry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrUnavailable says that etcd did not answer in time: most of the machines cannot be reached, or have no
// leader. Or their data have reached the quota, until the machines have made room. What was asked for may
// have happened, also then.
var ErrUnavailable = errors.New("most of the machines do not answer, or can store nothing at the moment")

// KV asks etcd. The context of each call bounds all tries.
type KV struct {
	clientv3.KV

	// Try bounds one request. Zero means 1.2 seconds.
	Try time.Duration
	// Pause is between two tries, of which the first failed at once. Zero means 50 milliseconds.
	Pause time.Duration
}

const (
	defaultTry   = 1200 * time.Millisecond
	defaultPause = 50 * time.Millisecond
)

// finalError is one that another try does not help against.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// IsFinal reports whether another try does not help against an error.
func IsFinal(err error) bool {
	_, final := errors.AsType[finalError](err)
	return final
}

// Do asks once. An error that is not final is worth another try at once. It is final, and an ErrUnavailable,
// if the context has timed out.
func (kv KV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	if kv.Try == 0 {
		kv.Try = defaultTry
	}
	if kv.Pause == 0 {
		kv.Pause = defaultPause
	}
	once, cancel := context.WithTimeout(ctx, kv.Try)
	defer cancel()
	response, err := kv.KV.Do(once, op)
	switch {
	case err == nil:
		return response, nil
	case errors.Is(err, rpctypes.ErrNoSpace):
		return response, finalError{fmt.Errorf("%w: %w", ErrUnavailable, err)}
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrCompacted):
		return response, finalError{err}
	}
	if once.Err() == nil {
		select {
		case <-time.After(kv.Pause):
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

// Transact is Do for a transaction.
func (kv KV) Transact(
	ctx context.Context, unchanged []clientv3.Cmp, then, otherwise []clientv3.Op,
) (*clientv3.TxnResponse, error) {
	response, err := kv.Do(ctx, clientv3.OpTxn(unchanged, then, otherwise))
	if err != nil {
		return nil, err
	}
	return response.Txn(), nil
}

// Get reads keys, and tries again until the context ends. Its error is final.
func (kv KV) Get(
	ctx context.Context, key string, options ...clientv3.OpOption,
) (*clientv3.GetResponse, error) {
	for {
		response, err := kv.Do(ctx, clientv3.OpGet(key, options...))
		if err == nil {
			return response.Get(), nil
		}
		if IsFinal(err) {
			return nil, err
		}
	}
}
