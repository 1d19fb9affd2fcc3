package sessiontest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
)

func claimIsTakenOnce(t *testing.T, f *fixture) {
	for range 5 {
		row := f.ready(t)
		winners := 0
		for _, err := range race(racers, func(int) error { return f.poll(t, f.table, row, f.now) }) {
			if err == nil {
				winners++
			} else if !errors.Is(err, session.ErrTaken) {
				t.Errorf("a poll that came too late: %v", err)
			}
		}
		if winners != 1 {
			t.Fatalf("%d polls got the tokens", winners)
		}
	}
}

// Each poll acknowledges at once, so that others read the row before and after that.
func tokensAreDeliveredOnce(t *testing.T, f *fixture) {
	for range 10 {
		row := f.ready(t)
		var delivered atomic.Int32
		for _, err := range race(racers, func(int) error {
			hold, err := f.table.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, f.now)
			if err != nil {
				return err
			}
			if hold.Holder == "" {
				return hold.Row.CheckClaim(f.now)
			}
			delivered.Add(1)
			return f.table.Ack(t.Context(), hold, f.now)
		}) {
			if err != nil && !errors.Is(err, session.ErrTaken) && !errors.Is(err, session.ErrUnknown) {
				t.Error(err)
			}
		}
		if delivered.Load() != 1 {
			t.Fatalf("the tokens were delivered %d times", delivered.Load())
		}
		f.notified.expectOutcomes(t, row.ID, session.StatusClaimed)
		f.expectPoll(t, row, f.now, session.ErrUnknown)
		f.expectPoll(t, row, row.Expires, session.ErrUnknown)
		f.must(t, false)(f.table.Cancel(t.Context(), row.ID, cancelled, f.now))
	}
}

func claimIsReleased(t *testing.T, f *fixture) {
	row := f.ready(t)
	holders := map[string]bool{}
	for range 3 {
		hold := f.take(t, row)
		if holders[hold.Holder] {
			t.Error("two holds have one nonce")
		}
		holders[hold.Holder] = true
		f.expectPoll(t, row, f.now, session.ErrTaken)
		if err := f.table.Release(t.Context(), hold); err != nil {
			t.Fatal(err)
		}
	}
	f.notified.expectOutcomes(t, row.ID)
	f.take(t, row)
}

func staleHold(t *testing.T, f *fixture) {
	row := f.ready(t)
	stale := f.take(t, row)
	if err := f.table.Release(t.Context(), stale); err != nil {
		t.Fatal(err)
	}
	// Nobody holds it.
	if err := f.table.Ack(t.Context(), stale, f.now); err != nil {
		t.Errorf("a stale ack: %v", err)
	}
	present := f.take(t, row)
	// Another holds it.
	if err := f.table.Ack(t.Context(), stale, f.now); err != nil {
		t.Errorf("a stale ack: %v", err)
	}
	if err := f.table.Release(t.Context(), stale); err != nil {
		t.Errorf("a stale release: %v", err)
	}
	f.notified.expectOutcomes(t, row.ID)
	f.expectPoll(t, row, f.now, session.ErrTaken)
	if err := f.table.Ack(t.Context(), present, f.now); err != nil {
		t.Fatal(err)
	}
	f.notified.expectOutcomes(t, row.ID, session.StatusClaimed)
	// It has been delivered.
	for _, hold := range []session.Hold{stale, present} {
		if err := f.table.Ack(t.Context(), hold, f.now); err != nil {
			t.Errorf("a second ack: %v", err)
		}
		if err := f.table.Release(t.Context(), hold); err != nil {
			t.Errorf("a release after the ack: %v", err)
		}
	}
	f.notified.expectOutcomes(t, row.ID, session.StatusClaimed)
	f.expectPoll(t, row, f.now, session.ErrUnknown)
}

// Polls of a login without tokens do not get in each other's way.
func statusForEveryPoll(t *testing.T, f *fixture) {
	pending, failed, denied, expired := f.insert(t), f.insert(t), f.insert(t), f.ready(t)
	f.must(t, true)(f.table.Fail(t.Context(), failed.ID, refused, f.now))
	f.must(t, true)(f.table.Cancel(t.Context(), denied.ID, cancelled, f.now))
	for _, test := range []struct {
		name string
		row  session.Row
		now  time.Time
		want error // nil: a *session.Failure
	}{
		{name: "pending", row: pending, now: f.now, want: session.ErrPending},
		{name: "failed", row: failed, now: f.now},
		{name: "denied", row: denied, now: f.now},
		{name: "expired", row: expired, now: expired.Expires, want: session.ErrExpired},
		{name: "unknown", row: f.newRow(), now: f.now, want: session.ErrUnknown},
	} {
		for _, err := range race(racers, func(int) error { return f.poll(t, f.table, test.row, test.now) }) {
			_, failure := errors.AsType[*session.Failure](err)
			if !errors.Is(err, test.want) && (test.want != nil || !failure) {
				t.Errorf("%s: a poll learns %v", test.name, err)
			}
		}
	}
	f.expectFailure(t, failed, refused)
	f.expectFailure(t, denied, cancelled)
}

func readyExpires(t *testing.T, f *fixture) {
	row := f.ready(t)
	f.expectPoll(t, row, row.Expires.Add(time.Hour), session.ErrExpired)
	f.expectPoll(t, row, row.Expires, session.ErrExpired)
	// The polls that came too late did not hold the claim.
	f.expectPoll(t, row, row.Expires.Add(-time.Millisecond), nil)
}

func expiryDuringClaim(t *testing.T, f *fixture) {
	row := f.ready(t)
	hold := f.take(t, row)
	if _, err := f.table.Sweep(t.Context(), row.Expires, f.now); err != nil {
		t.Fatal(err)
	}
	if err := f.table.Ack(t.Context(), hold, row.Expires); err != nil {
		t.Fatal(err)
	}
	f.notified.expectOutcomes(t, row.ID, session.StatusExpired)
	f.expectPoll(t, row, row.Expires, session.ErrExpired)
}

func tokensSurvive(t *testing.T, f *fixture) {
	free, held, delivered := f.ready(t), f.ready(t), f.ready(t)
	hold := f.take(t, held)
	if err := f.table.Ack(t.Context(), f.take(t, delivered), f.now); err != nil {
		t.Fatal(err)
	}
	f.open(t)
	if err := f.table.Resume(t.Context(), interrupted, f.now); err != nil {
		t.Fatal(err)
	}
	f.take(t, free)
	f.expectPoll(t, delivered, f.now, session.ErrUnknown)
	// A claim ends with its process, or with its time.
	if !hold.Until.IsZero() {
		f.now = hold.Until
	}
	f.take(t, held)
	f.notified.expectOutcomes(t, held.ID)
	// Whoever held it before is gone, or at least changes nothing any more.
	if err := f.table.Ack(t.Context(), hold, f.now); err != nil {
		t.Errorf("an ack from before the restart: %v", err)
	}
	f.notified.expectOutcomes(t, held.ID)
}

func twoProcesses(t *testing.T, f *fixture) {
	second := f.store.Join(t)
	if second == nil {
		t.Skip("one process owns the rows")
	}
	tables := []session.Table{f.table, second}
	row := f.insert(t)
	once := func(name string, lost error, call func(session.Table) error) {
		t.Helper()
		winners := 0
		for _, err := range race(racers, func(i int) error { return call(tables[i%2]) }) {
			if err == nil {
				winners++
			} else if !errors.Is(err, lost) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if winners != 1 {
			t.Fatalf("%s: %d calls of both processes succeeded", name, winners)
		}
	}
	once("the state", session.ErrUsed, func(table session.Table) error {
		_, err := table.Consume(t.Context(), row.Owner, row.StateHash, f.now)
		return err
	})
	f.must(t, true)(second.Complete(t.Context(), row.ID, sealedTokens, f.now))
	// The other process is notified sooner or later.
	deadline := time.Now().Add(10 * time.Second)
	for !f.notified.wasWoken(row.ID) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if !f.notified.wasWoken(row.ID) {
		t.Error("a poll is not woken by the other process")
	}
	once("the claim", session.ErrTaken, func(table session.Table) error {
		return f.poll(t, table, row, f.now)
	})
}

// The tokens stay for the plugin until it acknowledges them, and the login ends once.
func tokensAreKept(t *testing.T, f *fixture) {
	row := f.ready(t)
	keep := func(hold session.Hold) {
		t.Helper()
		if err := f.table.Keep(t.Context(), hold, f.now); err != nil {
			t.Fatal(err)
		}
	}
	stale := f.take(t, row)
	keep(stale)
	f.notified.expectOutcomes(t, row.ID, session.StatusClaimed)
	hold := f.take(t, row)
	if hold.Row.Status != session.StatusClaimed || !f.now.Before(hold.Row.KeptUntil) {
		t.Errorf("the hold has %+v", hold.Row)
	}
	f.expectPoll(t, row, f.now, session.ErrTaken)
	keep(stale) // of a hold that has ended
	f.expectPoll(t, row, f.now, session.ErrTaken)
	f.must(t, false)(f.table.Cancel(t.Context(), row.ID, cancelled, f.now))
	if err := f.table.Release(t.Context(), hold); err != nil {
		t.Fatal(err)
	}
	keep(f.take(t, row))
	f.open(t)
	hold = f.take(t, row)
	if err := f.table.Ack(t.Context(), hold, f.now); err != nil {
		t.Fatal(err)
	}
	keep(hold)
	f.expectPoll(t, row, f.now, session.ErrUnknown)
	f.notified.expectOutcomes(t, row.ID)
}

// What is not acknowledged goes after its window, or with the session, and a sweep before that takes nothing.
func keptTokensExpire(t *testing.T, f *fixture) {
	for _, claimed := range []time.Duration{0, ttl - session.AckWindow/2} {
		row := f.ready(t)
		hold := f.take(t, row)
		at := f.now.Add(claimed)
		if err := f.table.Keep(t.Context(), hold, at); err != nil {
			t.Fatal(err)
		}
		end := at.Add(session.AckWindow)
		if row.Expires.Before(end) {
			end = row.Expires
		}
		just := end.Add(-time.Millisecond)
		if _, err := f.table.Sweep(t.Context(), just, f.now); err != nil {
			t.Fatal(err)
		}
		f.expectPoll(t, row, end, session.ErrUnknown)
		f.expectPoll(t, row, just, nil)
		if _, err := f.table.Sweep(t.Context(), end, f.now); err != nil {
			t.Fatal(err)
		}
		f.open(t)
		f.expectPoll(t, row, just, session.ErrUnknown)
		f.notified.expectOutcomes(t, row.ID)
	}
}
