// Package sessiontest is the suite that every [session.Table] must pass, races included:
//
//	func TestTable(t *testing.T) {
//		sessiontest.Run(t, func(t *testing.T) sessiontest.Store { … })
//	}
package sessiontest

import (
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
)

// Store is one set of rows that tables can be opened on.
type Store interface {
	// Open returns the table of a process that has just started. A table that it returned before belongs to a
	// process that was killed; the suite no longer uses it.
	Open(t *testing.T) session.Table
	// Join returns the table of a second process, which runs beside the first. It is nil if only one process
	// may own the rows.
	Join(t *testing.T) session.Table
}

// Run runs the suite. Each of its tests creates an empty store of its own, and they run in parallel.
func Run(t *testing.T, create func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"a row is kept":                      rowIsKept,
		"a state is consumed once":           stateIsConsumedOnce,
		"a state expires":                    stateExpires,
		"another owner finds nothing":        ownerIsCompared,
		"a session ends once":                sessionEndsOnce,
		"an expired session gets no tokens":  expiredGetsNoTokens,
		"a ready session can be cancelled":   readyIsCancelled,
		"a pending session expires early":    pendingExpiresEarly,
		"a claim is taken once":              claimIsTakenOnce,
		"tokens are delivered once":          tokensAreDeliveredOnce,
		"a released claim is taken again":    claimIsReleased,
		"a stale hold changes nothing":       staleHold,
		"tokens are kept for the plugin":     tokensAreKept,
		"kept tokens expire":                 keptTokensExpire,
		"each poll learns what became of it": statusForEveryPoll,
		"a ready session expires":            readyExpires,
		"a session expires during a claim":   expiryDuringClaim,
		"tokens survive a restart":           tokensSurvive,
		"an interrupted exchange has failed": interruptedHasFailed,
		"the watcher is notified":            watcherIsNotified,
		"the watcher learns what is pending": pendingIsReplayed,
		"the sweep takes what is due":        sweepTakesWhatIsDue,
		"the sweep takes what was abandoned": sweepTakesAbandoned,
		"an outcome has its times":           outcomeTimes,
		"an ended context changes nothing":   contextEnded,
		"two processes":                      twoProcesses,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newFixture(t, create(t)))
		})
	}
}

// racers is how many goroutines ask for the same thing at a time.
const racers = 32

// ttl is how long the sessions of the suite live.
const ttl = 10 * time.Minute

// interrupted is the failure of a session that a killed process was exchanging.
var interrupted = session.Failure{
	Status:      session.StatusFailed,
	Code:        "server_error",
	Description: "It was interrupted.",
	Cause:       "a restart",
}

// refused is the failure of a session that the provider refused.
var refused = session.Failure{
	Status:      session.StatusFailed,
	Code:        "invalid_scope",
	Description: "The scope is wrong.",
	Cause:       "the provider said so",
}

// cancelled is the failure of a session that the admin ended.
var cancelled = session.CancelledByAdmin()

// sealedTokens stand for sealed tokens. A table cannot tell.
var sealedTokens = []byte("sealed\x00tokens")

// fixture is a table with a watcher. Its time stands still.
type fixture struct {
	store    Store
	table    session.Table
	now      time.Time
	notified *recorder
}

func newFixture(t *testing.T, store Store) *fixture {
	f := &fixture{store: store, now: time.Now().UTC().Truncate(time.Millisecond)}
	f.open(t)
	return f
}

// open starts the process, or kills it and starts it again.
func (f *fixture) open(t *testing.T) {
	f.table, f.notified = f.store.Open(t), newRecorder()
	f.table.Watch(f.notified)
}

// insert stores a new session.
func (f *fixture) insert(t *testing.T) session.Row {
	t.Helper()
	row := f.newRow()
	if err := f.table.Insert(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	return row
}

func (f *fixture) newRow() session.Row {
	bytes := func(length int) []byte {
		random := make([]byte, length)
		rand.Read(random) // It never fails: see crypto/rand.Read.
		return random
	}
	began := session.TimePrefix(f.now)
	return session.Row{
		ID:          began + strings.ToLower(rand.Text()[:15-len(began)]),
		Owner:       session.Owner{Slug: "sheets", Fingerprint: []byte("fingerprint")},
		Status:      session.StatusPending,
		Tenant:      "my-store",
		Origin:      "https://plugin.example",
		StateHash:   append([]byte(began), bytes(32)...),
		ReadKeyHash: append([]byte(began), bytes(32)...),
		PublicKey:   bytes(32),
		Network:     bytes(32),
		Created:     f.now,
		Expires:     f.now.Add(ttl),
	}
}

// ready stores a session that waits to be claimed.
func (f *fixture) ready(t *testing.T) session.Row {
	t.Helper()
	row := f.insert(t)
	if _, err := f.table.Consume(t.Context(), row.Owner, row.StateHash, f.now); err != nil {
		t.Fatal(err)
	}
	f.must(t, true)(f.table.Complete(t.Context(), row.ID, sealedTokens, f.now))
	return row
}

// must returns a function that checks what a method reports.
func (f *fixture) must(t *testing.T, want bool) func(got bool, err error) {
	t.Helper()
	return func(got bool, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Fatalf("it reports %v, %v; want %v", got, err, want)
		}
	}
}

// take takes the claim of a session, which must not be taken.
func (f *fixture) take(t *testing.T, row session.Row) session.Hold {
	t.Helper()
	hold, err := f.table.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, f.now)
	if err != nil || hold.Holder == "" || hold.Row.ID != row.ID ||
		string(hold.Sealed) != string(sealedTokens) {
		t.Fatalf("the claim is not taken: %+v, %v", hold, err)
	}
	return hold
}

// poll returns why there are no tokens for a session; nil means that they were claimed.
func (f *fixture) poll(t *testing.T, table session.Table, row session.Row, now time.Time) error {
	hold, err := table.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, now)
	if err != nil || hold.Holder != "" {
		return err
	}
	if reason := hold.Row.CheckClaim(now); reason != nil {
		return reason
	}
	return errors.New("the row can be claimed, but nobody holds the claim")
}

// expectPoll checks why there are no tokens.
func (f *fixture) expectPoll(t *testing.T, row session.Row, now time.Time, want error) {
	t.Helper()
	if err := f.poll(t, f.table, row, now); !errors.Is(err, want) {
		t.Errorf("at %s: %v, want %v", now.Sub(row.Created), err, want)
	}
}

// expectFailure checks that a poll learns how a session failed.
func (f *fixture) expectFailure(t *testing.T, row session.Row, want session.Failure) {
	t.Helper()
	failure, ok := errors.AsType[*session.Failure](f.poll(t, f.table, row, f.now))
	want.Cause = ""
	if !ok || *failure != want {
		t.Errorf("the poll learns %+v, want %+v", failure, want)
	}
	revisited, err := f.table.ByState(t.Context(), row.Owner, row.StateHash)
	if err != nil || revisited.Status != want.Status || revisited.Code != want.Code ||
		revisited.Description != want.Description {
		t.Errorf("the browser learns %+v, %v, want %+v", revisited, err, want)
	}
}

// race calls a function from many goroutines at a time, and returns their errors.
func race(count int, call func(i int) error) []error {
	failed := make([]error, count)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range count {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			failed[i] = call(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return failed
}

// recorder is a watcher that keeps what it is notified of.
type recorder struct {
	mu       sync.Mutex
	pending  map[string]session.Row
	woken    map[string]bool
	outcomes []session.Outcome
}

func newRecorder() *recorder {
	return &recorder{pending: map[string]session.Row{}, woken: map[string]bool{}}
}

func (r *recorder) Pending(row session.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending[row.ID] = row
}

func (r *recorder) Woken(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.woken[id] = true
}

func (r *recorder) Ended(outcome session.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes = append(r.outcomes, outcome)
}

// row returns the pending row of a session, if the recorder was notified of it.
func (r *recorder) row(id string) (session.Row, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, found := r.pending[id]
	return row, found
}

// wasWoken reports whether the polls of a session were woken.
func (r *recorder) wasWoken(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.woken[id]
}

// ended returns the outcomes of a session.
func (r *recorder) ended(id string) (outcomes []session.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, outcome := range r.outcomes {
		if outcome.Session == id {
			outcomes = append(outcomes, outcome)
		}
	}
	return outcomes
}

// expectOutcomes checks with which statuses a session ended, in the order of the notifications.
func (r *recorder) expectOutcomes(t *testing.T, id string, want ...session.Status) {
	t.Helper()
	got := r.ended(id)
	if len(got) != len(want) {
		t.Errorf("there are %d outcomes, want %d: %+v", len(got), len(want), got)
		return
	}
	for i, outcome := range got {
		if outcome.Status != want[i] {
			t.Errorf("the outcome is %s, want %s", outcome.Status, want[i])
		}
	}
}
