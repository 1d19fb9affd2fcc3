package etcdtry_test

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/internal/etcdtest"
	"plugin-oauth/internal/etcdtry"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// failing is a connection to etcd that fails with these errors, one after the other. A nil one is an answer
// that never comes. After the last one it works.
type failing struct {
	clientv3.KV
	errs []error
}

func (f *failing) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	if len(f.errs) == 0 {
		return f.KV.Do(ctx, op)
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	if err == nil {
		<-ctx.Done()
		err = ctx.Err()
	}
	return clientv3.OpResponse{}, err
}

func TestGet(t *testing.T) {
	t.Parallel()
	client := etcdtest.Connect(t, "get/")
	for name, test := range map[string]struct {
		errs   []error
		within time.Duration // what the caller waits; zero: as long as it takes
		want   error
	}{
		"works":          {},
		"leader changed": {errs: []error{rpctypes.ErrLeaderChanged, rpctypes.ErrNoLeader}},
		"answer is lost": {errs: []error{nil}},
		"no room":        {errs: []error{rpctypes.ErrNoSpace}, want: rpctypes.ErrNoSpace},
		"compacted":      {errs: []error{rpctypes.ErrCompacted}, want: rpctypes.ErrCompacted},
		"nobody answers": {
			errs: make([]error, 100), within: 20 * time.Millisecond, want: etcdtry.ErrUnavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(test.within, time.Minute))
			defer cancel()
			kv := etcdtry.KV{
				KV:    &failing{KV: client.KV, errs: test.errs},
				Try:   cmp.Or(test.within/4, time.Second),
				Pause: time.Millisecond,
			}
			_, err := kv.Get(ctx, "key")
			if !errors.Is(err, test.want) || etcdtry.IsFinal(err) != (err != nil) {
				t.Errorf("it fails with %v, want %v", err, test.want)
			}
		})
	}
}

// Who leaves is told no more than that.
func TestCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kv := etcdtry.KV{KV: &failing{errs: make([]error, 1)}}
	_, err := kv.Get(ctx, "key")
	if !errors.Is(err, context.Canceled) || errors.Is(err, etcdtry.ErrUnavailable) {
		t.Errorf("it fails with %v", err)
	}
}

// What etcd takes from nobody is not tried again.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	kv := etcdtry.KV{KV: etcdtest.Connect(t, "large/").KV}
	large := strings.Repeat("x", 1_700_000)
	_, err := kv.Transact(t.Context(), nil, []clientv3.Op{clientv3.OpPut("key", large)}, nil)
	if !etcdtry.IsFinal(err) || !errors.Is(err, rpctypes.ErrRequestTooLarge) {
		t.Errorf("it fails with %v", err)
	}
}
