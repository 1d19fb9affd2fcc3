package sessiontest

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
)

func rowIsKept(t *testing.T, f *fixture) {
	row := f.insert(t)
	want := row
	want.ReadKeyHash, want.Origin = nil, ""
	for _, lookup := range []func() (session.Row, error){
		func() (session.Row, error) { return f.table.ByState(t.Context(), row.Owner, row.StateHash) },
		func() (session.Row, error) { return f.table.Consume(t.Context(), row.Owner, row.StateHash, f.now) },
		func() (session.Row, error) { return f.table.ByState(t.Context(), row.Owner, row.StateHash) },
	} {
		got, err := lookup()
		if err != nil {
			t.Fatal(err)
		}
		got.ReadKeyHash, got.Origin, got.Redirected = nil, "", time.Time{}
		got.Created, got.Expires = got.Created.UTC(), got.Expires.UTC()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	got, err := f.table.ByState(t.Context(), row.Owner, row.StateHash)
	if err != nil || !got.Redirected.Equal(f.now) {
		t.Errorf("it was redirected at %s, not %s: %v", got.Redirected, f.now, err)
	}
	again := f.newRow()
	again.ID = row.ID
	if err := f.table.Insert(t.Context(), again); err == nil {
		t.Error("two rows have one id")
	}
	if got, _ := f.notified.row(row.ID); !bytes.Equal(got.ReadKeyHash, row.ReadKeyHash) {
		t.Error("the watcher was notified of a row that was refused")
	}
}

func stateIsConsumedOnce(t *testing.T, f *fixture) {
	for range 5 {
		row := f.insert(t)
		winners := 0
		for _, err := range race(racers, func(int) error {
			_, err := f.table.Consume(t.Context(), row.Owner, row.StateHash, f.now)
			return err
		}) {
			if err == nil {
				winners++
			} else if !errors.Is(err, session.ErrUsed) {
				t.Errorf("a redirect that came too late: %v", err)
			}
		}
		if winners != 1 {
			t.Fatalf("%d redirects got the session", winners)
		}
		if f.notified.wasWoken(row.ID) {
			t.Error("a session that was consumed is still pending, but its polls were woken")
		}
	}
}

func stateExpires(t *testing.T, f *fixture) {
	consume := func(row session.Row, now time.Time, want error) {
		t.Helper()
		if _, err := f.table.Consume(t.Context(), row.Owner, row.StateHash, now); !errors.Is(err, want) {
			t.Errorf("%s after the start: %v, want %v", now.Sub(row.Created), err, want)
		}
	}
	row := f.insert(t)
	consume(row, row.Expires.Add(time.Hour), session.ErrExpired)
	consume(row, row.Expires, session.ErrExpired)
	consume(row, row.Expires.Add(-time.Millisecond), nil)
	consume(row, row.Expires.Add(-time.Millisecond), session.ErrUsed)

	row = f.insert(t)
	if _, err := f.table.Sweep(t.Context(), row.Expires, f.now); err != nil {
		t.Fatal(err)
	}
	consume(row, row.Expires, session.ErrExpired)
	consume(row, f.now, session.ErrExpired) // though the clock was set back
	row.StateHash = f.newRow().StateHash
	consume(row, f.now, session.ErrUnknown)
}

func ownerIsCompared(t *testing.T, f *fixture) {
	pending, ready := f.insert(t), f.ready(t)
	for name, owner := range map[string]session.Owner{
		"slug":        {Slug: "other", Fingerprint: pending.Owner.Fingerprint},
		"root":        {Slug: "", Fingerprint: pending.Owner.Fingerprint},
		"fingerprint": {Slug: pending.Owner.Slug, Fingerprint: []byte("of another client")},
	} {
		_, err := f.table.ByState(t.Context(), owner, pending.StateHash)
		if !errors.Is(err, session.ErrUnknown) {
			t.Errorf("%s: ByState: %v", name, err)
		}
		_, err = f.table.Consume(t.Context(), owner, pending.StateHash, f.now)
		if !errors.Is(err, session.ErrUnknown) {
			t.Errorf("%s: Consume: %v", name, err)
		}
		hold, err := f.table.TakeClaim(t.Context(), owner, ready.ReadKeyHash, f.now)
		if !errors.Is(err, session.ErrUnknown) || hold.Holder != "" || hold.Sealed != nil {
			t.Errorf("%s: TakeClaim: %+v, %v", name, hold, err)
		}
	}
	// Other owners may ask at the same time, and do not get in its owner's way.
	other := session.Owner{Slug: "other", Fingerprint: ready.Owner.Fingerprint}
	claimed := 0
	for i, err := range race(racers, func(i int) error {
		if i%2 == 0 {
			_, err := f.table.TakeClaim(t.Context(), other, ready.ReadKeyHash, f.now)
			return err
		}
		return f.poll(t, f.table, ready, f.now)
	}) {
		switch {
		case i%2 == 0 && !errors.Is(err, session.ErrUnknown):
			t.Errorf("another owner: %v", err)
		case i%2 == 1 && err == nil:
			claimed++
		case i%2 == 1 && !errors.Is(err, session.ErrTaken):
			t.Errorf("its owner: %v", err)
		}
	}
	if claimed != 1 {
		t.Errorf("%d polls of its owner got the tokens", claimed)
	}

	// A row of a version without fingerprints belongs to any client of the plugin.
	old := f.newRow()
	old.Owner.Fingerprint = nil
	if err := f.table.Insert(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if _, err := f.table.Consume(t.Context(), pending.Owner, old.StateHash, f.now); err != nil {
		t.Errorf("a row without a fingerprint: %v", err)
	}
}

func sessionEndsOnce(t *testing.T, f *fixture) {
	for range 5 {
		row := f.insert(t)
		ended := make([]bool, racers)
		for _, err := range race(racers, func(i int) (err error) {
			switch i % 3 {
			case 0:
				ended[i], err = f.table.Complete(t.Context(), row.ID, sealedTokens, f.now)
			case 1:
				ended[i], err = f.table.Fail(t.Context(), row.ID, refused, f.now)
			default:
				ended[i], err = f.table.Cancel(t.Context(), row.ID, cancelled, f.now)
			}
			return err
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		var completed, failed, denied int
		for i, hasEnded := range ended {
			switch {
			case hasEnded && i%3 == 0:
				completed++
			case hasEnded && i%3 == 1:
				failed++
			case hasEnded:
				denied++
			}
		}
		// A ready session can still be cancelled, but no longer fail.
		if completed > 1 || failed+denied != 1 || completed+failed > 1 {
			t.Fatalf("%d completed, %d failed, %d cancelled", completed, failed, denied)
		}
		if failed == 1 {
			f.notified.expectOutcomes(t, row.ID, session.StatusFailed)
			f.expectFailure(t, row, refused)
		} else {
			f.notified.expectOutcomes(t, row.ID, session.StatusDenied)
			f.expectFailure(t, row, cancelled)
		}
		if !f.notified.wasWoken(row.ID) {
			t.Error("its polls were not woken")
		}
	}
}

func expiredGetsNoTokens(t *testing.T, f *fixture) {
	row := f.insert(t)
	f.must(t, false)(f.table.Complete(t.Context(), row.ID, sealedTokens, row.Expires))
	f.expectPoll(t, row, f.now, session.ErrPending)
	f.expectPoll(t, row, row.Expires, session.ErrExpired)
	// It can fail, though, as long as no sweep has ended it.
	f.must(t, true)(f.table.Fail(t.Context(), row.ID, refused, row.Expires))
	f.must(t, false)(f.table.Fail(t.Context(), row.ID, refused, row.Expires))
	f.must(t, false)(f.table.Cancel(t.Context(), row.ID, cancelled, row.Expires))
	f.must(t, false)(f.table.Complete(t.Context(), row.ID, sealedTokens, f.now))
	f.notified.expectOutcomes(t, row.ID, session.StatusFailed)
	f.must(t, false)(f.table.Fail(t.Context(), f.newRow().ID, refused, f.now))
}

func readyIsCancelled(t *testing.T, f *fixture) {
	row := f.ready(t)
	f.must(t, false)(f.table.Fail(t.Context(), row.ID, refused, f.now))
	f.must(t, false)(f.table.Complete(t.Context(), row.ID, []byte("other tokens"), f.now))
	hold := f.take(t, row)
	f.must(t, true)(f.table.Cancel(t.Context(), row.ID, cancelled, f.now))
	f.must(t, false)(f.table.Cancel(t.Context(), row.ID, cancelled, f.now))
	if err := f.table.Ack(t.Context(), hold, f.now); err != nil {
		t.Errorf("an ack after the cancellation: %v", err)
	}
	f.notified.expectOutcomes(t, row.ID, session.StatusDenied)
	f.expectFailure(t, row, cancelled)
}

// Only a session whose browser never came back can be expired before its time, and only once.
func pendingExpiresEarly(t *testing.T, f *fixture) {
	row, used, ready, due := f.insert(t), f.insert(t), f.ready(t), f.insert(t)
	if _, err := f.table.Consume(t.Context(), used.Owner, used.StateHash, f.now); err != nil {
		t.Fatal(err)
	}
	for _, other := range []session.Row{used, ready, f.newRow()} {
		f.must(t, false)(f.table.Expire(t.Context(), other.ID, f.now))
		f.notified.expectOutcomes(t, other.ID)
	}
	f.expectPoll(t, used, f.now, session.ErrPending)
	when := f.now.Add(time.Second)
	f.must(t, true)(f.table.Expire(t.Context(), row.ID, when))
	f.must(t, false)(f.table.Expire(t.Context(), row.ID, when))
	f.must(t, true)(f.table.Expire(t.Context(), due.ID, due.Expires.Add(time.Hour)))
	for _, expired := range []struct {
		row  session.Row
		when time.Time
	}{{row: row, when: when}, {row: due, when: due.Expires}} {
		if !f.notified.wasWoken(expired.row.ID) {
			t.Error("its polls were not woken")
		}
		f.notified.expectOutcomes(t, expired.row.ID, session.StatusExpired)
		outcome := f.notified.ended(expired.row.ID)[0]
		if !outcome.Completed.Equal(expired.when) || !outcome.Ended.Equal(expired.when) {
			t.Errorf("it ended at %s and %s, not at %s", outcome.Completed, outcome.Ended, expired.when)
		}
		f.expectPoll(t, expired.row, f.now, session.ErrExpired)
		_, err := f.table.Consume(t.Context(), expired.row.Owner, expired.row.StateHash, f.now)
		if !errors.Is(err, session.ErrExpired) {
			t.Errorf("its state: %v", err)
		}
	}
	f.must(t, false)(f.table.Complete(t.Context(), row.ID, sealedTokens, f.now))
}

func contextEnded(t *testing.T, f *fixture) {
	ended, end := context.WithCancel(t.Context())
	end()
	row := f.newRow()
	if err := f.table.Insert(ended, row); !errors.Is(err, context.Canceled) {
		t.Errorf("Insert: %v", err)
	}
	if err := f.table.Insert(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if _, err := f.table.Consume(ended, row.Owner, row.StateHash, f.now); !errors.Is(err, context.Canceled) {
		t.Errorf("Consume: %v", err)
	}
	if _, err := f.table.Consume(t.Context(), row.Owner, row.StateHash, f.now); err != nil {
		t.Errorf("the state was used up: %v", err)
	}
	if _, err := f.table.Complete(ended, row.ID, sealedTokens, f.now); !errors.Is(err, context.Canceled) {
		t.Errorf("Complete: %v", err)
	}
	f.must(t, true)(f.table.Complete(t.Context(), row.ID, sealedTokens, f.now))
	_, err := f.table.TakeClaim(ended, row.Owner, row.ReadKeyHash, f.now)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("TakeClaim: %v", err)
	}
	f.take(t, row)
}
