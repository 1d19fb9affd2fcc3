package etcd

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtest"
	"plugin-oauth/internal/etcdtry"
)

var interrupted = session.Failure{Status: session.StatusFailed, Code: "server_error"}

// book is a copy in memory.
type book struct {
	mu      sync.Mutex
	records map[string]session.Record
	removed []session.Record
	stores  int   // how often something was stored
	refuses error // what Store fails with
}

func (b *book) Living(context.Context) (ids []string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, record := range b.records {
		if record.Status == session.StatusPending || record.Status == session.StatusReady {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (b *book) Store(_ context.Context, records []session.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuses != nil {
		return b.refuses
	}
	b.stores++
	for _, record := range records {
		switch {
		case record.Deleted:
			delete(b.records, record.ID)
		case record.Removed:
			b.removed = append(b.removed, record)
		default:
			b.records[record.ID] = record
		}
	}
	return nil
}

func (b *book) refuse(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuses = err
}

// statuses returns the ends of the ids with what became of them.
func (b *book) statuses() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var words []string
	for _, id := range slices.Sorted(maps.Keys(b.records)) {
		words = append(words, id[session.TimeLength:]+" "+string(b.records[id].Status))
	}
	return strings.Join(words, ", ")
}

// copied opens the table of a machine with a copy.
func (s *store) copied(t *testing.T, machine string) (*Table, *book) {
	t.Helper()
	b := &book{records: map[string]session.Record{}}
	return s.copiedTo(t, machine, b), b
}

func (s *store) copiedTo(t *testing.T, machine string, b *book) *Table {
	kv := etcdtry.KV{KV: s.client.KV, Try: time.Minute, Pause: time.Millisecond}
	patient := timing{short: time.Minute, long: time.Minute, claim: time.Minute, hold: claimTime}
	options := Options{Machine: machine, Log: logger(t), Copy: b}
	table := newTable(kv, s.client.Watcher, options, patient)
	t.Cleanup(table.Close)
	return table
}

// await waits until the copy has what this process has written.
func await(t *testing.T, table *Table) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := table.AwaitCopy(ctx); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, what string, b *book, want string) {
	t.Helper()
	if got := b.statuses(); got != want {
		t.Errorf("%s: the copy has %s; want %s", what, got, want)
	}
}

// The copy has what was there before, and what changes, and only the last of many changes.
func TestCopy(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	there := s.table(t, "a")
	first := insert(t, there, "000001")
	here, b := s.copied(t, "b")
	await(t, here)
	expect(t, "at the start", b, "000001 pending")
	if _, err := here.Consume(t.Context(), first.Owner, first.StateHash, first.Created); err != nil {
		t.Fatal(err)
	}
	insert(t, here, "000002")
	done, err := here.Complete(t.Context(), first.ID, []byte("sealed"), first.Created)
	if err != nil || !done {
		t.Fatal(done, err)
	}
	await(t, here)
	expect(t, "later", b, "000001 ready, 000002 pending")
	record := b.records[first.ID]
	if record.Plugin != first.Owner.Slug || !record.Created.Equal(first.Created) ||
		!record.Redirected.Equal(first.Created) || !record.Completed.Equal(first.Created) {
		t.Errorf("the record is %+v", record)
	}
}

// A copy that cannot be written holds up nothing, and has everything when it can.
func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	table, b := s.copied(t, "a")
	first := insert(t, table, "000001")
	await(t, table)
	b.refuse(errors.New("the disk is full"))
	insert(t, table, "000002")
	if done, err := table.Fail(t.Context(), first.ID, interrupted, first.Created); err != nil || !done {
		t.Fatal(done, err)
	}
	waiting, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := table.AwaitCopy(waiting); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for the copy: %v", err)
	}
	b.refuse(nil)
	await(t, table)
	expect(t, "afterwards", b, "000001 failed, 000002 pending")
}

// Nobody waits for a revision at which something else than a row has changed.
func TestCopyAwaitsRowsOnly(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	table, _ := s.copied(t, "a")
	<-table.listed
	for range 3 {
		if _, err := s.client.Put(t.Context(), "other", "value"); err != nil {
			t.Fatal(err)
		}
	}
	listed, revision, err := table.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table.memory.replace(listed, revision+1) // as after a watch that broke off
	await(t, table)
}

// Many changes at once are stored in a few batches.
func TestCopyBatches(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	table, b := s.copied(t, "a")
	await(t, table)
	before := b.stores
	const logins = 200
	var done sync.WaitGroup
	for i := range logins {
		done.Go(func() {
			row := newRow(strings.Repeat("0", 3) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + "0")
			if err := table.Insert(t.Context(), row); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	await(t, table)
	if len(b.records) != logins || b.stores-before > logins/4 {
		t.Errorf("%d records came in %d batches", len(b.records), b.stores-before)
	}
}

// What was under way in the copy, and is in etcd no longer, is deleted when the machine is back. What is over
// stays.
func TestCopyAfterAbsence(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	old, over := newRow("000001"), newRow("000002")
	b := &book{records: map[string]session.Record{
		old.ID:  {ID: old.ID, Status: session.StatusReady},
		over.ID: {ID: over.ID, Status: session.StatusClaimed},
	}}
	table := s.copiedTo(t, "a", b)
	await(t, table)
	expect(t, "back", b, "000002 claimed")
}

// endings keeps the ids of the sessions that have ended here. Only the goroutine of the test ends some.
type endings struct{ ids []string }

func (*endings) Pending(session.Row)             {}
func (*endings) Woken(string)                    {}
func (e *endings) Ended(outcome session.Outcome) { e.ids = append(e.ids, outcome.Session) }

// A deletion ends what is under way, and goes on to copies of logins that etcd has no longer.
func TestDelete(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	table, b := s.copied(t, "a")
	pending, ready, failed, gone := insert(t, table, "000001"), insert(t, table, "000002"),
		insert(t, table, "000003"), newRow("000004")
	now := pending.Created
	if done, err := table.Complete(t.Context(), ready.ID, []byte("sealed"), now); err != nil || !done {
		t.Fatal(done, err)
	}
	if done, err := table.Fail(t.Context(), failed.ID, interrupted, now); err != nil || !done {
		t.Fatal(done, err)
	}
	await(t, table)
	b.mu.Lock()
	b.records[gone.ID] = session.Record{ID: gone.ID, Status: session.StatusClaimed}
	b.mu.Unlock()
	deletion := session.CancelledByAdmin()
	var ends endings
	table.Watch(&ends)
	for _, row := range []session.Row{pending, ready, failed, gone} {
		for range 2 {
			if err := table.Delete(t.Context(), row.ID, deletion, now.Add(time.Minute)); err != nil {
				t.Error(err)
			}
		}
	}
	await(t, table)
	b.mu.Lock()
	left := len(b.records)
	b.mu.Unlock()
	// The announcement of the last one is not a row that this process has learned of.
	for deadline := time.Now().Add(30 * time.Second); left > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		b.mu.Lock()
		left = len(b.records)
		b.mu.Unlock()
	}
	expect(t, "deleted", b, "")
	if slices.Sort(ends.ids); !slices.Equal(ends.ids, []string{pending.ID, ready.ID}) {
		t.Errorf("ended are %v", ends.ids)
	}
	for name, row := range map[string]session.Row{"pending": pending, "ready": ready} {
		hold, err := table.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, now)
		if err != nil || hold.Holder != "" || hold.Row.Code != deletion.Code {
			t.Errorf("%s: %+v, %v", name, hold, err)
		}
	}
	if _, err := table.TakeClaim(t.Context(), gone.Owner, gone.ReadKeyHash, now); !errors.Is(err,
		session.ErrUnknown) {
		t.Errorf("gone: %v", err)
	}
	tokens, err := s.client.Get(t.Context(), tokenKeys+ready.ID)
	if err != nil || len(tokens.Kvs) != 0 {
		t.Errorf("its tokens are still there: %v", err)
	}
	later := now.Add(time.Hour)
	swept, err := table.Sweep(t.Context(), later, later)
	if err != nil || swept.Removed != 4 {
		t.Errorf("the sweep: %+v, %v", swept, err)
	}
}

// Without a majority nothing is deleted.
func TestDeleteWithoutMajority(t *testing.T) {
	t.Parallel()
	client := etcdtest.Connect(t, newPrefix())
	cut := &faultyKV{KV: client.KV}
	kv := etcdtry.KV{KV: cut, Try: 5 * time.Millisecond}
	patience := 20 * time.Millisecond
	table := newTable(kv, client.Watcher, Options{Machine: "a", Log: logger(t)},
		timing{short: patience, long: patience, claim: patience, hold: claimTime})
	t.Cleanup(table.Close)
	cut.gone.Store(true)
	err := table.Delete(t.Context(), newRow("000001").ID, session.CancelledByAdmin(), time.Now())
	if !errors.Is(err, etcdtry.ErrUnavailable) {
		t.Error(err)
	}
}

// Rows without tokens are bounded, the oldest go first, and the copies hear of it.
func TestRowsAreBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	table, b := s.copied(t, "a")
	table.maxRows = 10
	await(t, table)
	var failed []string
	now := time.Now()
	for i := range 14 {
		row := newRow("0000" + string(rune('a'+i)) + "0")
		row.ID = session.TimePrefix(now.Add(time.Duration(i)*time.Millisecond)) + row.ID[session.TimeLength:]
		if err := table.Insert(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		if i == 0 || i == 5 { // these are under way
			continue
		}
		if done, err := table.Fail(t.Context(), row.ID, interrupted, row.Created); err != nil || !done {
			t.Fatal(done, err)
		}
		failed = append(failed, row.ID)
	}
	for _, want := range []int64{4, 0} {
		swept, err := table.Sweep(t.Context(), now, now.Add(-time.Hour))
		if err != nil || swept.Removed != want {
			t.Errorf("%+v, %v", swept, err)
		}
	}
	left, err := s.client.Get(t.Context(), rowKeys, clientv3.WithPrefix())
	if err != nil || len(left.Kvs) != 10 {
		t.Errorf("%d rows are left, %v", len(left.Kvs), err)
	}
	insert(t, table, "zzzzzz") // so that there is something to wait for
	await(t, table)
	var removed []string
	for _, record := range b.removed {
		if removed = append(removed, record.ID); record.Status == "" && b.records[record.ID].Status == "" {
			t.Errorf("the copy never heard how %s ended", record.ID)
		}
	}
	if slices.Sort(removed); !slices.Equal(removed, failed[:4]) {
		t.Errorf("removed are %v, of %v", removed, failed)
	}
}
