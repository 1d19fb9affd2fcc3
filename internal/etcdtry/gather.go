package etcdtry

import (
	"context"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// gatherTime bounds how long a transaction waits for the requests before its own to be answered.
	gatherTime = 20 * time.Millisecond
	// maxAsking is how many requests are under way before transactions wait for each other. With one, each
	// would wait for the whole way of the one before; etcd stores the second while the first is answered.
	maxAsking = 2
	// maxGathered and maxGatheredBytes bound what is asked for in one request, of which etcd takes 128
	// operations, those of the transactions in it included.
	maxGathered      = 64
	maxGatheredBytes = 256 << 10
	// maxOperations bounds the operations of a transaction that is gathered.
	maxOperations = 4
)

// Gather returns a connection that asks in one request for the transactions that come while another request
// is under way. Each has its own conditions and its own answer, as if it had been asked for alone. But for
// all of them together each machine writes its log once, and sends and wakes what it does for a request:
// that takes more of a processor than the transaction itself.
//
// What it does not gather goes through as it is: reads, large transactions, those with ranges, and those that
// store nothing, which etcd allows when its disk is full.
func Gather(kv clientv3.KV) clientv3.KV { return &gathering{KV: kv, time: gatherTime} }

type gathering struct {
	clientv3.KV

	time time.Duration // see the constant

	mu      sync.Mutex
	waiting []*gathered // in the order in which they came
	asking  int         // how many calls of send there are
}

// gathered is a transaction that waits for its answer.
type gathered struct {
	ctx      context.Context
	op       clientv3.Op
	keys     []string // all that it reads or writes
	size     int      // of the keys and values, in bytes
	answered chan answered
}

type answered struct {
	response clientv3.OpResponse
	err      error
}

// Do asks for an operation.
func (g *gathering) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	own, can := newGathered(ctx, op)
	if !can {
		return g.KV.Do(ctx, op)
	}
	g.mu.Lock()
	g.waiting = append(g.waiting, own)
	if g.asking < maxAsking {
		g.asking++
		go g.send()
	}
	g.mu.Unlock()
	select {
	case answered := <-own.answered:
		return answered.response, answered.err
	case <-ctx.Done():
		return clientv3.OpResponse{}, ctx.Err()
	}
}

// newGathered returns a transaction as one that is gathered, if it can be.
func newGathered(ctx context.Context, op clientv3.Op) (own *gathered, can bool) {
	if !op.IsTxn() {
		return nil, false
	}
	conditions, then, otherwise := op.Txn()
	if max(len(conditions), len(then), len(otherwise)) > maxOperations ||
		!slices.ContainsFunc(then, clientv3.Op.IsPut) {
		return nil, false
	}
	own = &gathered{ctx: ctx, op: op, answered: make(chan answered, 1)}
	for _, condition := range conditions {
		if condition.GetCompare().RangeEnd != nil {
			return nil, false
		}
		own.keys = append(own.keys, string(condition.KeyBytes()))
	}
	for _, part := range slices.Concat(then, otherwise) {
		if part.IsTxn() || part.RangeBytes() != nil {
			return nil, false
		}
		own.keys = append(own.keys, string(part.KeyBytes()))
		own.size += len(part.KeyBytes()) + len(part.ValueBytes())
	}
	return own, true
}

// send asks for what waits until nothing does. If a request takes long, another call goes on in its place.
func (g *gathering) send() {
	for batch := g.take(); batch != nil; batch = g.take() {
		next := time.AfterFunc(g.time, g.send)
		g.ask(batch)
		if !next.Stop() {
			return
		}
	}
}

// take takes out the next transactions that can be asked for in one request, or nil if none waits. No two of
// them have a key in common: etcd looks at all conditions before it changes anything.
func (g *gathering) take() (batch []*gathered) {
	g.mu.Lock()
	defer g.mu.Unlock()
	keys, size := map[string]bool{}, 0
	g.waiting = slices.DeleteFunc(g.waiting, func(next *gathered) bool {
		if next.ctx.Err() != nil {
			return true // nobody waits for the answer
		}
		isTaken := func(key string) bool { return keys[key] }
		if len(batch) > 0 && (len(batch) == maxGathered || size+next.size > maxGatheredBytes ||
			slices.ContainsFunc(next.keys, isTaken)) {
			return false
		}
		for _, key := range next.keys {
			keys[key] = true
		}
		size += next.size
		batch = append(batch, next)
		return true
	})
	if batch == nil {
		g.asking--
	}
	return batch
}

// ask asks for transactions in one request, and tells all of them what has become of it.
func (g *gathering) ask(batch []*gathered) {
	if len(batch) == 1 {
		response, err := g.KV.Do(batch[0].ctx, batch[0].op)
		batch[0].answered <- answered{response: response, err: err}
		return
	}
	ctx, cancel := patienceOf(batch)
	defer cancel()
	parts := make([]clientv3.Op, len(batch))
	for i, one := range batch {
		parts[i] = one.op
	}
	response, err := g.KV.Do(ctx, clientv3.OpTxn(nil, parts, nil))
	for i, one := range batch {
		if err != nil {
			one.answered <- answered{err: err}
			continue
		}
		own := response.Txn().Responses[i].GetResponseTxn()
		own.Header = response.Txn().Header // what was written has the revision of the whole
		one.answered <- answered{response: (*clientv3.TxnResponse)(own).OpResponse()}
	}
}

// patienceOf returns a context that lasts as long as any of those who wait.
func patienceOf(batch []*gathered) (context.Context, context.CancelFunc) {
	var last time.Time
	for _, one := range batch {
		deadline, bounded := one.ctx.Deadline()
		if !bounded {
			return context.WithCancel(context.Background())
		}
		if deadline.After(last) {
			last = deadline
		}
	}
	return context.WithDeadline(context.Background(), last)
}
