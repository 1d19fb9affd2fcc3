package cluster

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// slowKV answers after a time, unless whoever asks gives up before.
type slowKV struct {
	clientv3.KV

	takes time.Duration
}

func (kv slowKV) Do(ctx context.Context, _ clientv3.Op) (response clientv3.OpResponse, err error) {
	select {
	case <-time.After(kv.takes):
	case <-ctx.Done():
		err = ctx.Err()
	}
	return response, err
}

// What is not answered soon after another machine leads is given up, and what is asked for then is not.
func TestReigns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		asked, takes time.Duration // the other machine leads after a second
		want         error
		wantAfter    time.Duration
	}{
		"answered before":     {takes: time.Second / 2, wantAfter: time.Second / 2},
		"answered soon after": {takes: time.Second + settleTime/2, wantAfter: time.Second + settleTime/2},
		"never answered": {
			takes: time.Hour, want: rpctypes.ErrLeaderChanged, wantAfter: time.Second + settleTime,
		},
		"asked for soon after": {
			asked: time.Second + settleTime/2, takes: time.Minute, wantAfter: time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				leads := make(chan struct{})
				changes := []<-chan struct{}{leads, nil} // another leads once
				reigns := newReigns(slowKV{takes: test.takes})
				go reigns.follow(t.Context(), func() (next <-chan struct{}) {
					next, changes = changes[0], changes[1:]
					return next
				})
				time.AfterFunc(time.Second, func() { close(leads) })
				time.Sleep(test.asked)
				began := time.Now()
				_, err := reigns.Do(t.Context(), clientv3.OpGet("key"))
				if took := time.Since(began); !errors.Is(err, test.want) || took != test.wantAfter {
					t.Errorf("it fails with %v after %s, want %v after %s", err, took, test.want, test.wantAfter)
				}
			})
		})
	}
}
