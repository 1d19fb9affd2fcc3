package etcdtry

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/internal/etcdtest"
)

// heldKV holds back what is asked for until it is let through.
type heldKV struct {
	clientv3.KV

	through chan struct{} // closed to let everything through
	err     error         // then, if there is one
	mu      sync.Mutex
	asked   []clientv3.Op
}

func (h *heldKV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	h.mu.Lock()
	h.asked = append(h.asked, op)
	h.mu.Unlock()
	select {
	case <-h.through:
		if h.err != nil {
			return clientv3.OpResponse{}, h.err
		}
		return h.KV.Do(ctx, op)
	case <-ctx.Done():
		return clientv3.OpResponse{}, ctx.Err()
	}
}

func (h *heldKV) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.asked)
}

// crowd are transactions that are asked for at the same time.
type crowd struct {
	sync.WaitGroup

	t       *testing.T
	held    *heldKV
	kv      *gathering
	mu      sync.Mutex
	answers map[string]*clientv3.TxnResponse // by name
	errs    map[string]error
}

// newCrowd returns a crowd that gathers: as many requests are under way as may be. They are held.
func newCrowd(t *testing.T, kv clientv3.KV, patience time.Duration) *crowd {
	held := &heldKV{KV: kv, through: make(chan struct{})}
	c := &crowd{
		t: t, held: held, kv: &gathering{KV: held, time: patience},
		answers: map[string]*clientv3.TxnResponse{}, errs: map[string]error{},
	}
	for i := range maxAsking {
		name := strings.Repeat("x", i+1)
		c.ask(t.Context(), name, putIf(name, 0, "first"))
		c.await(func() bool { return held.count() == i+1 })
	}
	return c
}

// ask asks for a transaction, and returns when it is under way or waits.
func (c *crowd) ask(ctx context.Context, name string, op clientv3.Op) {
	c.t.Helper()
	queue := func() int {
		c.kv.mu.Lock()
		defer c.kv.mu.Unlock()
		return len(c.kv.waiting) + c.held.count()
	}
	before := queue()
	c.Go(func() {
		response, err := c.kv.Do(ctx, op)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.answers[name], c.errs[name] = response.Txn(), err
	})
	c.await(func() bool { return queue() > before })
}

func (c *crowd) await(is func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatal("it takes too long")
		}
	}
}

// finish lets everything through, and returns how many requests there were beside the first ones.
func (c *crowd) finish() (requests int) {
	c.t.Helper()
	close(c.held.through)
	c.Wait()
	for name, err := range c.errs {
		if err != nil {
			c.t.Errorf("%s: %v", name, err)
		}
	}
	return c.held.count() - maxAsking
}

// putIf is a transaction that puts a key if it is as it was at a revision, and reads it otherwise.
func putIf(key string, revision int64, value string) clientv3.Op {
	return clientv3.OpTxn(
		[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", revision)},
		[]clientv3.Op{clientv3.OpPut(key, value)}, []clientv3.Op{clientv3.OpGet(key)})
}

// Each of the transactions that are asked for in one request has its own condition and its own answer.
func TestGather(t *testing.T) {
	t.Parallel()
	client := etcdtest.Connect(t, rand.Text())
	before, err := client.Put(t.Context(), "there", "before")
	if err != nil {
		t.Fatal(err)
	}
	c := newCrowd(t, client.KV, time.Hour)
	c.ask(t.Context(), "new", putIf("new", 0, "value"))
	c.ask(t.Context(), "changed", putIf("there", before.Header.Revision, "after"))
	c.ask(t.Context(), "refused", putIf("other", 77, "never"))
	if requests := c.finish(); requests != 1 {
		t.Errorf("there were %d requests", requests)
	}
	for name, want := range map[string]bool{"new": true, "changed": true, "refused": false} {
		if answer := c.answers[name]; answer.Succeeded != want {
			t.Errorf("%s: %v", name, answer)
		}
	}
	for name, key := range map[string]string{"new": "new", "changed": "there"} {
		read, err := client.Get(t.Context(), key)
		if err != nil || read.Kvs[0].ModRevision != c.answers[name].Header.Revision {
			t.Errorf("%s: the answer has another revision than the key: %v, %v", name, read, err)
		}
	}
	if read := c.answers["refused"].Responses[0].GetResponseRange(); read == nil || len(read.Kvs) != 0 {
		t.Errorf("a refusal reads %v", read)
	}
}

// Of transactions on one key each sees what the one before has done.
func TestGatherSameKey(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, etcdtest.Connect(t, rand.Text()).KV, time.Hour)
	names := []string{"first", "second", "third"}
	for _, name := range names {
		c.ask(t.Context(), name, putIf("key", 0, name))
	}
	if requests := c.finish(); requests != len(names) {
		t.Errorf("there were %d requests", requests)
	}
	won := slices.DeleteFunc(names, func(name string) bool { return !c.answers[name].Succeeded })
	if len(won) != 1 {
		t.Errorf("%q have put the key", won)
	}
}

// What cannot be asked for together goes through, and nothing is left.
func TestNotGathered(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", maxGatheredBytes/2)
	many := make([]clientv3.Op, maxOperations+1)
	for i := range many {
		many[i] = clientv3.OpPut("many "+string(rune('a'+i)), "")
	}
	for name, ops := range map[string][]clientv3.Op{
		"large":     {putIf("a", 0, large), putIf("b", 0, large)},
		"many":      {clientv3.OpTxn(nil, many, nil), putIf("b", 0, "")},
		"deletions": {clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpDelete("a")}, nil), putIf("b", 0, "")},
		"a range": {
			clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision("b"), ">", 0).WithPrefix()},
				[]clientv3.Op{clientv3.OpPut("a", "")}, nil), putIf("b", 0, ""),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, etcdtest.Connect(t, rand.Text()).KV, time.Hour)
			for i, op := range ops {
				c.ask(t.Context(), string(rune('0'+i)), op)
			}
			if requests := c.finish(); requests != len(ops) {
				t.Errorf("there were %d requests", requests)
			}
		})
	}
}

// Nobody waits for long for those before, and who gives up is not asked for.
func TestGatherPatience(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, etcdtest.Connect(t, rand.Text()).KV, time.Millisecond)
	c.ask(t.Context(), "late", putIf("late", 0, ""))
	c.await(func() bool { return c.held.count() > maxAsking })
	c.finish()

	c = newCrowd(t, etcdtest.Connect(t, rand.Text()).KV, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	c.ask(ctx, "left", putIf("left", 0, ""))
	c.ask(t.Context(), "stays", putIf("stays", 0, ""))
	cancel()
	c.await(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.errs["left"] != nil
	})
	if !errors.Is(c.errs["left"], context.Canceled) {
		t.Errorf("who left is told %v", c.errs["left"])
	}
	delete(c.errs, "left")
	if requests := c.finish(); requests != 1 {
		t.Errorf("there were %d requests", requests)
	}
	read, err := c.kv.Get(t.Context(), "left")
	if err != nil || len(read.Kvs) != 0 {
		t.Errorf("who left is asked for: %v, %v", read, err)
	}
}

// An error is that of all who waited.
func TestGatherError(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, etcdtest.Connect(t, rand.Text()).KV, time.Hour)
	names := []string{"a", "b"}
	for _, name := range names {
		c.ask(t.Context(), name, putIf(name, 0, ""))
	}
	c.held.err = errors.New("the answer was lost")
	close(c.held.through)
	c.Wait()
	for _, name := range names {
		if !errors.Is(c.errs[name], c.held.err) {
			t.Errorf("%s: %v", name, c.errs[name])
		}
	}
}
