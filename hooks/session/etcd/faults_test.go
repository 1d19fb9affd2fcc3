package etcd

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sessiontest"
	"plugin-oauth/internal/etcdtest"
	"plugin-oauth/internal/etcdtry"
)

// faultyKV is a connection to etcd on which things go wrong.
type faultyKV struct {
	clientv3.KV

	// lose says whether the answer to this request is lost. What was asked for has happened.
	lose func(op clientv3.Op) bool
	// gone says that no request arrives.
	gone atomic.Bool
	// full says that nothing can be written, as etcd does at its quota.
	full atomic.Bool
}

var errLost = errors.New("the answer was lost")

func (kv *faultyKV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	if kv.gone.Load() {
		<-ctx.Done()
		return clientv3.OpResponse{}, ctx.Err()
	}
	if kv.full.Load() && op.IsTxn() {
		_, then, otherwise := op.Txn()
		if slices.ContainsFunc(slices.Concat(then, otherwise), clientv3.Op.IsPut) {
			return clientv3.OpResponse{}, rpctypes.ErrNoSpace
		}
	}
	response, err := kv.KV.Do(ctx, op)
	if err == nil && kv.lose != nil && kv.lose(op) {
		err = errLost
	}
	return response, err
}

// lossy is a store whose machines lose the first answer to every transaction.
type lossy struct{ store }

func (l *lossy) connection(t *testing.T) *clientv3.Client {
	client := etcdtest.Connect(t, l.prefix)
	var mu sync.Mutex
	lost := map[string]bool{}
	client.KV = &faultyKV{KV: client.KV, lose: func(op clientv3.Op) bool {
		if !op.IsTxn() {
			return false
		}
		_, then, _ := op.Txn()
		mu.Lock()
		defer mu.Unlock()
		request := string(then[0].KeyBytes()) + string(then[0].ValueBytes())
		isFirst := !lost[request]
		lost[request] = true
		return isFirst
	}}
	return client
}

func (l *lossy) Open(t *testing.T) session.Table {
	for _, table := range l.opened {
		table.Close()
	}
	return l.open(t, l.connection(t), "a")
}

func (l *lossy) Join(t *testing.T) session.Table { return l.open(t, l.connection(t), "b") }

// The suite again, with an answer lost in every change: each has happened once, and is told as such.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t *testing.T) sessiontest.Store { return &lossy{store: *newStore(t)} })
}

// If the answer to a completion is lost, and the plugin has the tokens by the time that it is repeated, the
// login was completed all the same.
func TestLostCompletion(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	here, there := s.table(t, "a"), s.table(t, "b")
	row := insert(t, here, "000001")
	claimed := errors.New("it is not claimed")
	here.kv.KV = &faultyKV{KV: here.kv.KV, lose: func(op clientv3.Op) bool {
		if !op.IsTxn() || claimed == nil {
			return false
		}
		_, claimed = there.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, row.Created)
		return true
	}}
	done, err := here.Complete(t.Context(), row.ID, []byte("sealed"), row.Created)
	if err != nil || !done || claimed != nil {
		t.Errorf("it is completed: %t, %v, %v", done, err, claimed)
	}
}

// blindWatcher sees nothing.
type blindWatcher struct{ clientv3.Watcher }

func (blindWatcher) Watch(ctx context.Context, _ string, _ ...clientv3.OpOption) clientv3.WatchChan {
	events := make(chan clientv3.WatchResponse)
	context.AfterFunc(ctx, func() { close(events) })
	return events
}

// newRow returns a row that begins now.
func newRow(id string) session.Row {
	now := time.Now().Truncate(time.Millisecond)
	began := session.TimePrefix(now)
	hash := func(name string) []byte {
		return slices.Concat([]byte(began), []byte(name), make([]byte, 32-len(name)))
	}
	return session.Row{
		ID:          began + id,
		Owner:       session.Owner{Slug: "sheets", Fingerprint: []byte("fingerprint")},
		StateHash:   hash("state " + id),
		ReadKeyHash: hash("read key " + id),
		PublicKey:   []byte("public key"),
		Created:     now,
		Expires:     now.Add(10 * time.Minute),
	}
}

func insert(t *testing.T, table *Table, id string) session.Row {
	t.Helper()
	row := newRow(id)
	if err := table.Insert(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	return row
}

// A machine that has not heard of what the others did asks etcd before it says no, and is refused by the
// revision before it does something twice.
func TestMemoryBehind(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.client.Watcher = blindWatcher{Watcher: s.client.Watcher}
	here, there := s.table(t, "a"), s.table(t, "b")
	row := insert(t, here, "000001")
	now := row.Created
	if _, err := there.Consume(t.Context(), row.Owner, row.StateHash, now); err != nil {
		t.Fatalf("a state of another machine: %v", err)
	}
	if _, err := here.Consume(t.Context(), row.Owner, row.StateHash, now); !errors.Is(err, session.ErrUsed) {
		t.Errorf("a state that another machine has used: %v", err)
	}
	if done, err := there.Complete(t.Context(), row.ID, []byte("sealed"), now); err != nil || !done {
		t.Fatal(done, err)
	}
	hold, err := here.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, now)
	if err != nil || string(hold.Sealed) != "sealed" {
		t.Fatalf("the tokens of another machine: %+v, %v", hold, err)
	}
	_, err = there.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, now)
	if !errors.Is(err, session.ErrTaken) {
		t.Errorf("a claim that another machine holds: %v", err)
	}
	if err := here.Ack(t.Context(), hold, now); err != nil {
		t.Fatal(err)
	}
	if hold, err := there.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, now); err != nil ||
		!errors.Is(hold.Row.CheckClaim(now), session.ErrUnknown) {
		t.Errorf("tokens that another machine has delivered: %+v, %v", hold, err)
	}
	if tokens, err := s.client.Get(t.Context(), tokenKeys, clientv3.WithPrefix()); err != nil ||
		len(tokens.Kvs) != 0 {
		t.Errorf("the tokens are still there: %v, %v", tokens, err)
	}
}

// expectUnavailable calls a table that hears nothing from etcd: with a hold, and with a pending row.
func expectUnavailable(t *testing.T, table *Table, hold session.Hold, pending session.Row) {
	t.Helper()
	now := pending.Created
	for name, call := range map[string]func() error{
		"insert": func() error { return table.Insert(t.Context(), newRow("000003")) },
		"consume": func() error {
			_, err := table.Consume(t.Context(), pending.Owner, pending.StateHash, now)
			return err
		},
		"look": func() error {
			_, err := table.ByState(t.Context(), pending.Owner, pending.StateHash)
			return err
		},
		"cancel": func() error {
			_, err := table.Cancel(t.Context(), pending.ID, session.CancelledByAdmin(), now)
			return err
		},
		"poll": func() error {
			_, err := table.TakeClaim(t.Context(), pending.Owner, pending.ReadKeyHash, now)
			return err
		},
		"ack": func() error { return table.Ack(t.Context(), hold, now) },
	} {
		if err := call(); !errors.Is(err, etcdtry.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without a majority every method ends in time and says why, and what was delivered is stored later.
func TestNoMajority(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	faulty := &faultyKV{KV: s.client.KV}
	s.client.KV = faulty
	brief := timing{short: 10 * time.Millisecond, long: 10 * time.Millisecond}
	table := s.table(t, "a")
	row, other := insert(t, table, "000001"), insert(t, table, "000002")
	now := row.Created
	if done, err := table.Complete(t.Context(), row.ID, []byte("sealed"), now); err != nil || !done {
		t.Fatal(done, err)
	}
	hold, err := table.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, now)
	if err != nil {
		t.Fatal(err)
	}
	patient := table.timing
	table.timing = brief
	faulty.gone.Store(true)
	expectUnavailable(t, table, hold, other)
	table.timing = patient
	faulty.gone.Store(false)
	_, err = table.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, hold.Until)
	if !errors.Is(err, session.ErrUnknown) {
		t.Errorf("tokens that a plugin has are given again: %v", err)
	}
	if _, err := table.Sweep(t.Context(), now, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	stored, err := table.load(t.Context(), byID(row.ID))
	if err != nil || stored.Status != session.StatusClaimed || table.isDelivered(row.ID) {
		t.Errorf("the delivery is not stored: %+v, %v", stored, err)
	}
}

// A claim that was long in coming is given back: another machine may take it over soon.
func TestLateClaim(t *testing.T) {
	t.Parallel()
	table := newStore(t).table(t, "a")
	row := insert(t, table, "000001")
	if done, err := table.Complete(t.Context(), row.ID, []byte("sealed"), row.Created); err != nil || !done {
		t.Fatal(done, err)
	}
	patient := table.timing.claim
	table.timing.claim = 0
	_, err := table.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, row.Created)
	if !errors.Is(err, session.ErrTaken) {
		t.Errorf("the late claim: %v", err)
	}
	table.timing.claim = patient
	hold, err := table.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, row.Created)
	if err != nil || string(hold.Sealed) != "sealed" {
		t.Errorf("the next claim: %+v, %v", hold, err)
	}
}

// A login whose machine dies while it exchanges the code is ended by another, however their clocks differ.
func TestDeadExchange(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dying := s.table(t, "a")
	row := insert(t, dying, "000001")
	ahead := row.Created.Add(5 * time.Minute)
	if _, err := dying.Consume(t.Context(), row.Owner, row.StateHash, ahead); err != nil {
		t.Fatal(err)
	}
	dying.Close()
	ended := make(chan session.Outcome, 1)
	other := New(s.client, Options{Machine: "b", ExchangeTime: 20 * time.Millisecond, Log: logger(t)})
	t.Cleanup(other.Close)
	other.Watch(outcomes(ended))
	interrupted := session.Failure{Status: session.StatusFailed, Code: "server_error"}
	if err := other.Resume(t.Context(), interrupted, time.Now()); err != nil {
		t.Fatal(err)
	}
	select {
	case outcome := <-ended:
		if outcome.Session != row.ID || outcome.Error != interrupted.Code {
			t.Errorf("the outcome is %+v", outcome)
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody has ended it")
	}
}

// outcomes is a watcher of outcomes.
type outcomes chan<- session.Outcome

func (outcomes) Pending(session.Row)             {}
func (outcomes) Woken(string)                    {}
func (o outcomes) Ended(outcome session.Outcome) { o <- outcome }

// A table whose watch broke off, and whose revisions are gone, is up to date again.
func TestBrokenWatch(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	table := s.table(t, "a")
	row, deleted := insert(t, table, "000001"), insert(t, table, "000002")
	<-table.listed
	table.stop()
	table.running.Wait()
	if _, err := s.client.Delete(t.Context(), rowKeys+deleted.ID); err != nil {
		t.Fatal(err)
	}
	woken := make(chan string, 10)
	table.Watch(wakes(woken))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	table.listed = make(chan struct{})
	table.running.Go(func() { table.follow(ctx) })
	if id := <-woken; id != deleted.ID {
		t.Errorf("%s is woken, not %s", id, deleted.ID)
	}
	if _, found := table.memory.find(byID(row.ID)); !found {
		t.Error("the other row is forgotten")
	}
	cancel()
}

// wakes is a watcher of what is woken.
type wakes chan<- string

func (wakes) Pending(session.Row)   {}
func (w wakes) Woken(id string)     { w <- id }
func (wakes) Ended(session.Outcome) {}

// A list that is older than what is known takes nothing away.
func TestOldList(t *testing.T) {
	t.Parallel()
	m := &memory{byTime: map[string][]entry{}, now: time.Now}
	row := newRow("000001")
	e := newEntry(rowKeys+row.ID, 7)
	e.record = newRecord(row, "nonce")
	m.replace(nil, 5)
	m.learn(e)
	m.replace(nil, 6)
	if _, found := m.find(byID(row.ID)); !found {
		t.Error("a row that is newer than the list is forgotten")
	}
	m.replace(nil, 7)
	if _, found := m.find(byID(row.ID)); found {
		t.Error("a row that is missing in the list is kept")
	}
	m.learn(e)
	if _, found := m.find(byID(row.ID)); found {
		t.Error("a row that was deleted since it was read has come back")
	}
}

// The sweep takes many rows in small steps, on several machines at a time, and none twice.
func TestSweepOfMany(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	here, there := s.table(t, "a"), s.table(t, "b")
	const many = 3*expireStep + 7
	var row session.Row
	for i := range many {
		row = insert(t, here, string([]byte{'0' + byte(i/64), '0' + byte(i%64), 'x', 'x', 'x', 'x'}))
	}
	// The last row expires last.
	for len(there.memory.all(func(entry) bool { return true })) < many {
		time.Sleep(time.Millisecond)
	}
	sweep := func(now time.Time) (total session.Swept) {
		var mu sync.Mutex
		var done sync.WaitGroup
		for _, table := range []*Table{here, there} {
			done.Go(func() {
				swept, err := table.Sweep(t.Context(), now, row.Created)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				total.Expired += swept.Expired
				total.Removed += swept.Removed
			})
		}
		done.Wait()
		return total
	}
	if got := sweep(row.Expires); got != (session.Swept{Expired: many}) {
		t.Errorf("the sweeps report %+v", got)
	}
	if got := sweep(row.Expires.Add(session.AbandonedRetention)); got != (session.Swept{Removed: many}) {
		t.Errorf("the sweeps report %+v", got)
	}
	if left, err := s.client.Get(t.Context(), "", clientv3.WithPrefix()); err != nil || left.Count != 0 {
		t.Errorf("%d keys are left: %v", left.Count, err)
	}
}

// If the answers to a redirect are lost for so long that it is given up, its state is unused: at once on this
// machine, and soon on the others.
func TestAbandonedExchange(t *testing.T) {
	t.Parallel()
	for _, byOther := range []bool{false, true} {
		s := newStore(t)
		here, there := s.table(t, "a"), s.table(t, "b")
		row := insert(t, here, "000001")
		now := row.Created
		patient, reliable := here.timing, here.kv
		here.kv.KV = &faultyKV{KV: here.kv.KV, lose: func(op clientv3.Op) bool { return true }}
		here.kv.Pause, here.timing.short = time.Millisecond, time.Second/2
		for isUsed := false; !isUsed; { // until etcd has had the time to do it
			if here.timing.short *= 2; here.timing.short > time.Minute {
				t.Fatal("etcd has done nothing")
			}
			_, err := here.Consume(t.Context(), row.Owner, row.StateHash, now)
			if !errors.Is(err, etcdtry.ErrUnavailable) {
				t.Fatal(err)
			}
			used, err := there.ByState(t.Context(), row.Owner, row.StateHash)
			if err != nil {
				t.Fatal(err)
			}
			isUsed = errors.Is(used.CheckState(now), session.ErrUsed)
		}
		here.timing, here.kv = patient, reliable
		if row, err := here.ByState(t.Context(), row.Owner, row.StateHash); err != nil ||
			row.CheckState(now) != nil {
			t.Errorf("the state is used up: %+v, %v", row, err)
		}
		next := here
		if byOther {
			for len(here.memory.all(here.isAbandoned)) == 0 { // until the watch has told of it
				time.Sleep(time.Millisecond)
			}
			here.giveBackAbandoned(t.Context(), now)
			next = there
		}
		if _, err := next.Consume(t.Context(), row.Owner, row.StateHash, now); err != nil {
			t.Errorf("the next redirect: %v", err)
		}
		for _, table := range []*Table{here, there} {
			_, err := table.Consume(t.Context(), row.Owner, row.StateHash, now)
			if !errors.Is(err, session.ErrUsed) {
				t.Errorf("the redirect after that: %v", err)
			}
		}
		here.giveBackAbandoned(t.Context(), row.Expires)
		if len(here.abandoned) != 0 {
			t.Error("it is remembered for ever")
		}
	}
}

// While etcd is full, every method says so, and the sweep erases what only deletions are needed for. When
// there is room again, it does the rest.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	full := &faultyKV{KV: s.client.KV}
	s.client.KV = full
	table := s.table(t, "a")
	rows := []session.Row{insert(t, table, "000001"), insert(t, table, "000002"), insert(t, table, "000003")}
	now := rows[0].Created
	for _, row := range rows[:2] {
		if done, err := table.Complete(t.Context(), row.ID, []byte("sealed"), now); err != nil || !done {
			t.Fatal(done, err)
		}
	}
	hold, err := table.TakeClaim(t.Context(), rows[0].Owner, rows[0].ReadKeyHash, now)
	if err != nil {
		t.Fatal(err)
	}
	full.full.Store(true)
	if _, err := table.Consume(t.Context(), rows[2].Owner, rows[2].StateHash, now); !errors.Is(err,
		etcdtry.ErrUnavailable) {
		t.Errorf("consume: %v", err)
	}
	if _, err := table.TakeClaim(t.Context(), rows[1].Owner, rows[1].ReadKeyHash, now); !errors.Is(err,
		etcdtry.ErrUnavailable) {
		t.Errorf("poll: %v", err)
	}
	if err := table.Ack(t.Context(), hold, now); !errors.Is(err, etcdtry.ErrUnavailable) {
		t.Errorf("ack: %v", err)
	}
	later := rows[2].Expires.Add(time.Minute)
	swept, err := table.Sweep(t.Context(), later, now)
	tokens, getErr := s.client.Get(t.Context(), tokenKeys, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || getErr != nil || swept.Expired != 0 || tokens.Count != 0 {
		t.Errorf("a sweep without room: %+v, %v; %d tokens are left", swept, err, tokens.Count)
	}
	full.full.Store(false)
	if swept, err := table.Sweep(t.Context(), later, now); err != nil || swept.Expired != 2 {
		t.Errorf("a sweep with room: %+v, %v", swept, err)
	}
	given, err := table.load(t.Context(), byID(rows[0].ID))
	if err != nil || given.Status != session.StatusClaimed {
		t.Errorf("what was given is %+v, %v", given, err)
	}
}

// A machine that starts while etcd is full waits until there is room: it is one of those that make it.
func TestResumeWithoutRoom(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	interrupted := session.Failure{Status: session.StatusFailed}
	full := &faultyKV{KV: s.client.KV}
	s.client.KV = full
	killed := s.table(t, "a")
	row := insert(t, killed, "000001")
	if _, err := killed.Consume(t.Context(), row.Owner, row.StateHash, row.Created); err != nil {
		t.Fatal(err)
	}
	killed.Close()
	again := s.table(t, "a")
	full.full.Store(true)
	resumed := make(chan error, 1)
	go func() { resumed <- again.Resume(t.Context(), interrupted, row.Created) }()
	select {
	case err := <-resumed:
		t.Fatalf("it does not wait: %v", err)
	case <-time.After(relistAfter / 2):
	}
	full.full.Store(false)
	if err := <-resumed; err != nil {
		t.Error(err)
	}
	ended, err := again.load(t.Context(), byID(row.ID))
	if err != nil || ended.Status != session.StatusFailed {
		t.Errorf("what it was exchanging is %+v, %v", ended, err)
	}
}

// Tokens that a provider has given while etcd is full are stored when there is room again: their code cannot
// be redeemed once more.
func TestCompleteWithoutRoom(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	full := &faultyKV{KV: s.client.KV}
	s.client.KV = full
	table := s.table(t, "a")
	row := insert(t, table, "000001")
	full.full.Store(true)
	completed := make(chan error, 1)
	go func() {
		done, err := table.Complete(t.Context(), row.ID, []byte("sealed"), row.Created)
		if err == nil && !done {
			err = errors.New("it has not been done")
		}
		completed <- err
	}()
	select {
	case err := <-completed:
		t.Fatalf("it does not wait: %v", err)
	case <-time.After(relistAfter / 2):
	}
	full.full.Store(false)
	if err := <-completed; err != nil {
		t.Error(err)
	}
	ready, err := table.load(t.Context(), byID(row.ID))
	if err != nil || ready.Status != session.StatusReady {
		t.Errorf("it is %+v, %v", ready, err)
	}
}
