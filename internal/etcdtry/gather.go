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
	// maxAsking is how many requests are under way before transactions wait for each other. With fewer, they
	// wait for longer than it takes etcd to store them one after the other; with more, little is gathered.
	maxAsking = 4
	// maxGathered and maxGatheredBytes bound what is asked for in one request, of which etcd takes 128
	// operations, those of the transactions in it included.
	maxGathered      = 64
	maxGatheredBytes = 256 << 10
	// maxOperations bounds the operations of a transaction that is gathered.
	maxOperations = 4
)

// Gather returns a connection that asks in one request for the transactions that come while some requests
// are under way. Each has its own conditions and its own answer, as if it had been asked for alone. But for
// all of them together each machine writes, sends and wakes what it does for one request.
//
// What it does not gather goes through as it is: reads, large transactions, those with ranges, and those that
// store nothing, which etcd allows when its disk is full.
func Gather(kv clientv3.KV) clientv3.KV { return &gathering{KV: kv, time: gatherTime} }

type gathering struct {
	clientv3.KV

	time time.Duration // see the constant

	mu      sync.Mutex
	asking  int         // how many requests are under way
	waiting []*gathered // in the order in which they came
	late    *time.Timer // asks for what waits, though nothing is answered; nil: nothing has waited yet
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
	if !canGather(op) {
		return g.KV.Do(ctx, op)
	}
	own := g.enter(ctx, op)
	if own == nil {
		defer g.next()
		return g.KV.Do(ctx, op)
	}
	select {
	case answered := <-own.answered:
		return answered.response, answered.err
	case <-ctx.Done():
		return clientv3.OpResponse{}, ctx.Err()
	}
}

// enter returns nil if a transaction can be asked for at once. Otherwise it waits from now on.
func (g *gathering) enter(ctx context.Context, op clientv3.Op) *gathered {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asking < maxAsking {
		g.asking++
		return nil
	}
	own := newGathered(ctx, op)
	g.waiting = append(g.waiting, own)
	if len(g.waiting) == 1 {
		g.remind()
	}
	return own
}

// remind makes what waits be asked for after some time. The caller holds the lock.
func (g *gathering) remind() {
	if g.late == nil {
		g.late = time.AfterFunc(g.time, g.askMore)
	} else {
		g.late.Reset(g.time)
	}
}

// canGather reports whether an operation is a transaction that is gathered.
func canGather(op clientv3.Op) bool {
	if !op.IsTxn() {
		return false
	}
	conditions, then, otherwise := op.Txn()
	isLarge := max(len(conditions), len(then), len(otherwise)) > maxOperations
	hasRange := func(condition clientv3.Cmp) bool { return condition.GetCompare().RangeEnd != nil }
	isOther := func(part clientv3.Op) bool { return part.IsTxn() || part.RangeBytes() != nil }
	return !isLarge && slices.ContainsFunc(then, clientv3.Op.IsPut) &&
		!slices.ContainsFunc(conditions, hasRange) &&
		!slices.ContainsFunc(then, isOther) && !slices.ContainsFunc(otherwise, isOther)
}

func newGathered(ctx context.Context, op clientv3.Op) *gathered {
	own := &gathered{ctx: ctx, op: op, answered: make(chan answered, 1)}
	conditions, then, otherwise := op.Txn()
	for _, condition := range conditions {
		own.keys = append(own.keys, string(condition.KeyBytes()))
	}
	for _, part := range slices.Concat(then, otherwise) {
		own.keys = append(own.keys, string(part.KeyBytes()))
		own.size += len(part.KeyBytes()) + len(part.ValueBytes())
	}
	return own
}

// next asks for what waits in place of a request that has been answered.
func (g *gathering) next() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking--
	g.askWaiting()
}

// askMore asks for what waits though no request has been answered.
func (g *gathering) askMore() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.askWaiting()
}

// askWaiting asks for what waits, if anything does. The caller holds the lock.
func (g *gathering) askWaiting() {
	batch := g.take()
	if len(g.waiting) > 0 {
		g.remind()
	} else if g.late != nil {
		g.late.Stop()
	}
	if len(batch) == 0 {
		return
	}
	g.asking++
	go func() {
		defer g.next()
		g.ask(batch)
	}()
}

// take takes out the next transactions that can be asked for in one request. No two of them have a key in
// common: etcd looks at all conditions before it changes anything. The caller holds the lock.
func (g *gathering) take() (batch []*gathered) {
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
