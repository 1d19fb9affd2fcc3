package rotation

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/internal/etcdtest"
	"plugin-oauth/internal/etcdtry"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// token is a refresh token.
const token = "the old refresh token"

var hash = Hash(sha256.Sum256([]byte("of " + token)))

// provider counts the requests for tokens, each of which gets an answer of its own.
type provider struct {
	asked   atomic.Int32
	answer  func(count int32) (Answer, error) // nil: it rotates
	started chan struct{}                     // is sent to, if it is not nil
	release chan struct{}                     // is received from, if it is not nil
}

func (p *provider) redeem() (Answer, error) {
	count := p.asked.Add(1)
	if p.started != nil {
		p.started <- struct{}{}
	}
	if p.release != nil {
		<-p.release
	}
	if p.answer != nil {
		return p.answer(count)
	}
	return Answer{Tokens: fmt.Appendf(nil, "tokens %d", count), Rotated: true, About: []Hash{{1}, {2}}}, nil
}

// machines returns the stores of some machines, which share their keys.
func machines(t *testing.T, count int, options Options) (stores []*Store, prefix string) {
	t.Helper()
	prefix = rand.Text() + "/"
	options.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	if options.Kept == 0 {
		options.Kept = time.Hour
	}
	if options.Patience == 0 {
		options.Patience = time.Minute
	}
	for range count {
		stores = append(stores, New(etcdtest.Connect(t, prefix), options))
	}
	return stores, prefix
}

func expect(t *testing.T, store *Store, provider *provider, want string) {
	t.Helper()
	tokens, err := store.Do(t.Context(), hash, token, provider.redeem)
	if err != nil || string(tokens) != want {
		t.Errorf("it gets %q, %v; want %q", tokens, err, want)
	}
}

// Of any number of refreshes with one token on any machine, one asks the provider, and all get its answer: at
// the same time, and for a while after.
func TestOnce(t *testing.T) {
	t.Parallel()
	stores, _ := machines(t, 3, Options{})
	var provider provider
	var done sync.WaitGroup
	for i := range 24 {
		done.Go(func() { expect(t, stores[i%len(stores)], &provider, "tokens 1") })
	}
	done.Wait()
	for _, store := range stores {
		expect(t, store, &provider, "tokens 1")
	}
	if asked := provider.asked.Load(); asked != 1 {
		t.Errorf("the provider was asked %d times", asked)
	}
}

// An answer is given again as long as it is kept. The sweep removes it then, and nothing else.
func TestKept(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(time.Now().UnixMilli())
	clock := func() time.Time { return time.UnixMilli(now.Load()) }
	stores, _ := machines(t, 2, Options{Kept: 30 * time.Second, Now: clock})
	var provider provider
	expect(t, stores[0], &provider, "tokens 1")
	now.Add(29_000)
	expect(t, stores[1], &provider, "tokens 1")
	now.Add(2_000)
	expect(t, stores[1], &provider, "tokens 2")
	for _, step := range []struct {
		after int64
		left  int64
	}{{after: 30_000, left: 3}, {after: 60_000, left: 0}} { // with those about its two tokens
		now.Add(step.after)
		if err := stores[0].Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		left, err := stores[0].kv.Get(t.Context(), "", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil || left.Count != step.left {
			t.Errorf("%d keys are left, not %d: %v", left.Count, step.left, err)
		}
	}
}

// Two windows that refresh at the same time ask the provider once, also if the clock of the machine that asks
// it is five minutes slow, and the answer looks old to the other one.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	stores, _ := machines(t, 2, Options{Kept: 30 * time.Second})
	stores[0].options.Now = func() time.Time { return time.Now().Add(-5 * time.Minute) }
	provider := provider{started: make(chan struct{}), release: make(chan struct{})}
	watched := make(chan struct{})
	stores[1].watcher = watchedWatcher{Watcher: stores[1].watcher, watched: watched}
	var done sync.WaitGroup
	done.Go(func() { expect(t, stores[0], &provider, "tokens 1") })
	<-provider.started
	done.Go(func() { expect(t, stores[1], &provider, "tokens 1") })
	<-watched
	provider.release <- struct{}{}
	done.Wait()
}

// watchedWatcher says when somebody watches.
type watchedWatcher struct {
	clientv3.Watcher
	watched chan<- struct{}
}

func (w watchedWatcher) Watch(
	ctx context.Context, key string, options ...clientv3.OpOption,
) clientv3.WatchChan {
	events := w.Watcher.Watch(ctx, key, options...)
	w.watched <- struct{}{}
	return events
}

// What does not use up the old token is not kept, and neither is what is too large.
func TestNotKept(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for name, answer := range map[string]func(count int32) (Answer, error){
		"not rotated": func(count int32) (Answer, error) {
			return Answer{Tokens: fmt.Append(nil, count)}, nil
		},
		"refused": func(int32) (Answer, error) { return Answer{}, refused },
		"too large": func(count int32) (Answer, error) {
			return Answer{Tokens: bytes.Repeat([]byte{byte(count)}, maxShared+1), Rotated: true}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stores, _ := machines(t, 2, Options{})
			provider := &provider{answer: answer}
			for i, store := range stores {
				want, wantErr := answer(int32(i + 1))
				tokens, err := store.Do(t.Context(), hash, token, provider.redeem)
				if !errors.Is(err, wantErr) || !bytes.Equal(tokens, want.Tokens) {
					t.Errorf("it gets %d bytes, %v", len(tokens), err)
				}
			}
		})
	}
}

// If the machine that asks the provider dies, another one asks.
func TestDeadMachine(t *testing.T) {
	t.Parallel()
	stores, _ := machines(t, 2, Options{Busy: 50 * time.Millisecond})
	dead := provider{started: make(chan struct{}, 1), release: make(chan struct{})}
	go stores[0].Do(t.Context(), hash, token, dead.redeem)
	<-dead.started
	var alive provider
	expect(t, stores[1], &alive, "tokens 1")
	close(dead.release)
}

// If the provider fails, those who waited for the answer ask themselves, one after the other.
func TestWaitersOfAFailure(t *testing.T) {
	t.Parallel()
	stores, _ := machines(t, 2, Options{})
	provider := &provider{started: make(chan struct{}, 2), release: make(chan struct{}, 2)}
	provider.answer = func(count int32) (Answer, error) {
		if count == 1 {
			return Answer{}, errors.New("the provider is down")
		}
		return Answer{Tokens: []byte("tokens"), Rotated: true}, nil
	}
	first := make(chan error)
	go func() {
		_, err := stores[0].Do(t.Context(), hash, token, provider.redeem)
		first <- err
	}()
	<-provider.started
	second := make(chan []byte)
	go func() {
		tokens, err := stores[1].Do(t.Context(), hash, token, provider.redeem)
		if err != nil {
			t.Error(err)
		}
		second <- tokens
	}()
	provider.release <- struct{}{}
	if err := <-first; err == nil {
		t.Error("the failure is not told")
	}
	provider.release <- struct{}{}
	if tokens := <-second; string(tokens) != "tokens" {
		t.Errorf("the other one gets %q", tokens)
	}
}

// faultyKV loses the first answer to each transaction, or hears nothing at all.
type faultyKV struct {
	clientv3.KV

	gone bool
	lost sync.Map
}

func (kv *faultyKV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	if kv.gone {
		<-ctx.Done()
		return clientv3.OpResponse{}, ctx.Err()
	}
	response, err := kv.KV.Do(ctx, op)
	if _, then, _ := op.Txn(); err == nil && len(then) > 0 {
		request := string(then[0].KeyBytes()) + string(then[0].ValueBytes())
		if _, again := kv.lost.LoadOrStore(request, true); !again {
			return response, errors.New("the answer was lost")
		}
	}
	return response, err
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	stores, _ := machines(t, 2, Options{})
	for _, store := range stores {
		store.kv = etcdtry.KV{KV: &faultyKV{KV: store.kv.KV}, Pause: time.Millisecond}
	}
	var provider provider
	for _, store := range stores {
		expect(t, store, &provider, "tokens 1")
	}
}

// Without the other machines people still get their tokens.
func TestNoMajority(t *testing.T) {
	t.Parallel()
	stores, _ := machines(t, 1, Options{Patience: 10 * time.Millisecond})
	stores[0].kv.KV = &faultyKV{KV: stores[0].kv.KV, gone: true}
	var provider provider
	expect(t, stores[0], &provider, "tokens 1")
	expect(t, stores[0], &provider, "tokens 2")
}

// A token that was revoked takes the answers about it along.
func TestForget(t *testing.T) {
	t.Parallel()
	stores, _ := machines(t, 2, Options{})
	var provider provider
	expect(t, stores[0], &provider, "tokens 1")
	for i, forgotten := range []Hash{{3}, {2}} {
		if err := stores[1].Forget(t.Context(), forgotten); err != nil {
			t.Fatal(err)
		}
		expect(t, stores[0], &provider, fmt.Sprintf("tokens %d", i+1))
	}
}

// Each machine hears which answers are no longer given, and of nothing else.
func TestFollow(t *testing.T) {
	t.Parallel()
	stores, prefix := machines(t, 2, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	gone, ended := make(chan Hash, 10), make(chan struct{})
	go func() {
		defer close(ended)
		stores[1].Follow(ctx, func(hash Hash) { gone <- hash })
	}()
	// A watch begins some time after it is asked for.
	client := etcdtest.Connect(t, prefix)
	marker := Hash{9}
	for begun := false; !begun; {
		for _, op := range []clientv3.Op{clientv3.OpPut(marker.key(), ""), clientv3.OpDelete(marker.key())} {
			if _, err := client.Do(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-gone:
			begun = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	var provider provider
	expect(t, stores[0], &provider, "tokens 1")
	if err := stores[0].Forget(t.Context(), Hash{2}); err != nil {
		t.Fatal(err)
	}
	for said := marker; said != hash; {
		if said = <-gone; said != hash && said != marker {
			t.Errorf("it hears of %x", said)
		}
	}
	cancel()
	<-ended
}

// readKV counts the keys that are read.
type readKV struct {
	clientv3.KV

	read int
}

func (kv *readKV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	response, err := kv.KV.Do(ctx, op)
	if err == nil && op.IsGet() {
		kv.read += len(response.Get().Kvs)
	}
	return response, err
}

// However many answers are kept, none is read to forget those about a token that has none: anybody may make
// up tokens to revoke.
func TestForgetReadsNoOthers(t *testing.T) {
	t.Parallel()
	stores, _ := machines(t, 1, Options{})
	var provider provider
	for i := range 5 {
		other := Hash(sha256.Sum256([]byte{byte(i)}))
		if _, err := stores[0].Do(t.Context(), other, token, provider.redeem); err != nil {
			t.Fatal(err)
		}
	}
	counting := &readKV{KV: stores[0].kv.KV}
	stores[0].kv.KV = counting
	if err := stores[0].Forget(t.Context(), Hash{3}); err != nil || counting.read > 0 {
		t.Errorf("%d keys were read: %v", counting.read, err)
	}
	if err := stores[0].Forget(t.Context(), Hash{2}); err != nil || counting.read == 0 {
		t.Errorf("%d keys were read of those about the token: %v", counting.read, err)
	}
}

// What a provider answers may have any number of tokens in it.
func TestManyTokens(t *testing.T) {
	t.Parallel()
	stores, _ := machines(t, 2, Options{})
	for _, many := range []int{maxAbout, maxAbout + 1} {
		provider := &provider{answer: func(count int32) (Answer, error) {
			answer := Answer{Tokens: fmt.Append(nil, count), Rotated: true}
			for i := range many {
				answer.About = append(answer.About, Hash{byte(i)}, Hash{byte(i)})
			}
			answer.About = answer.About[:many]
			return answer, nil
		}}
		other := Hash{byte(many)}
		for _, store := range stores {
			if _, err := store.Do(t.Context(), other, token, provider.redeem); err != nil {
				t.Fatal(err)
			}
		}
		if shared := provider.asked.Load() == 1; shared != (many <= maxAbout) {
			t.Errorf("with %d tokens it was shared: %t", many, shared)
		}
	}
}

// etcd has neither the tokens nor the one that they replace, and another token does not open them.
func TestSealed(t *testing.T) {
	t.Parallel()
	stores, prefix := machines(t, 1, Options{})
	var provider provider
	expect(t, stores[0], &provider, "tokens 1")
	all, err := etcdtest.Connect(t, prefix).Get(t.Context(), "", clientv3.WithPrefix())
	if err != nil || len(all.Kvs) != 3 {
		t.Fatal(all, err)
	}
	for _, secret := range []string{token, "tokens 1"} {
		for _, kv := range all.Kvs {
			if strings.Contains(string(kv.Key)+string(kv.Value), secret) {
				t.Errorf("etcd has %q", secret)
			}
		}
	}
	sealed := newSealing(hash, token).seal([]byte("tokens"))
	for name, other := range map[string]sealing{
		"token": newSealing(hash, "another token"),
		"hash":  newSealing(Hash{1}, token),
	} {
		if tokens, err := other.open(sealed); err == nil {
			t.Errorf("with another %s it opens: %q", name, tokens)
		}
	}
}
