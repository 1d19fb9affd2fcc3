package cluster

import (
	"context"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// settleTime is how long what the machine that led has stored may still be answered once another leads.
const settleTime = 50 * time.Millisecond

// reigns is a connection to etcd that gives up what it waits for when another machine leads. What was handed
// to a machine that dies, or that is about to hand over, is never answered; until a limit of time says so,
// nobody could know. Whoever asks has to ask again in any case, as package etcdtry does.
type reigns struct {
	clientv3.KV

	mu      sync.Mutex
	present context.Context // ends some time after another machine leads
	end     context.CancelFunc
}

func newReigns(kv clientv3.KV) *reigns {
	r := &reigns{KV: kv}
	r.present, r.end = context.WithCancel(context.Background())
	return r
}

// follow begins a new reign with each leader, until the context ends.
func (r *reigns) follow(ctx context.Context, changed func() <-chan struct{}) {
	next := changed()
	for {
		select {
		case <-next:
			next = changed()
			r.begin()
		case <-ctx.Done():
			return
		}
	}
}

// begin makes requests belong to a new reign from now on, and ends the one before.
func (r *reigns) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	time.AfterFunc(settleTime, r.end)
	r.present, r.end = context.WithCancel(context.Background())
}

// Do asks for an operation. It fails with ErrLeaderChanged if it is not answered by the end of a reign.
func (r *reigns) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	r.mu.Lock()
	reign := r.present
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(reign, cancel)()
	response, err := r.KV.Do(ctx, op)
	if err != nil && reign.Err() != nil {
		err = rpctypes.ErrLeaderChanged
	}
	return response, err
}
