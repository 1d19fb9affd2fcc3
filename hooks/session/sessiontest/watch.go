package sessiontest

import (
	"bytes"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
)

func interruptedHasFailed(t *testing.T, f *fixture) {
	row := f.insert(t)
	if _, err := f.table.Consume(t.Context(), row.Owner, row.StateHash, f.now); err != nil {
		t.Fatal(err)
	}
	f.open(t)
	later := f.now.Add(time.Second)
	for range 2 {
		if err := f.table.Resume(t.Context(), interrupted, later); err != nil {
			t.Fatal(err)
		}
	}
	f.notified.expectOutcomes(t, row.ID, session.StatusFailed)
	f.expectFailure(t, row, interrupted)
	if _, found := f.notified.row(row.ID); found {
		t.Error("it is said to be pending")
	}
	for _, outcome := range f.notified.ended(row.ID) {
		if outcome.Error != interrupted.Code || outcome.Cause != interrupted.Cause ||
			!outcome.Ended.Equal(later) {
			t.Errorf("the outcome is %+v", outcome)
		}
	}
}

// isComplete reports whether a watcher got all that it needs of a pending row.
func isComplete(got, row session.Row) bool {
	return got.Owner.Slug == row.Owner.Slug && bytes.Equal(got.Owner.Fingerprint, row.Owner.Fingerprint) &&
		bytes.Equal(got.ReadKeyHash, row.ReadKeyHash) && got.Expires.Equal(row.Expires)
}

func watcherIsNotified(t *testing.T, f *fixture) {
	second := newRecorder()
	f.table.Watch(second)
	for name, end := range map[string]func(row session.Row) error{
		"completed": func(row session.Row) error {
			_, err := f.table.Complete(t.Context(), row.ID, sealedTokens, f.now)
			return err
		},
		"failed": func(row session.Row) error {
			_, err := f.table.Fail(t.Context(), row.ID, refused, f.now)
			return err
		},
		"cancelled": func(row session.Row) error {
			_, err := f.table.Cancel(t.Context(), row.ID, cancelled, f.now)
			return err
		},
		"expired": func(row session.Row) error {
			_, err := f.table.Sweep(t.Context(), row.Expires, f.now)
			return err
		},
	} {
		row := f.insert(t)
		for _, watcher := range []*recorder{f.notified, second} {
			got, found := watcher.row(row.ID)
			if !found || !isComplete(got, row) {
				t.Errorf("%s: at the start: %+v", name, got)
			}
			if watcher.wasWoken(row.ID) {
				t.Errorf("%s: its polls were woken at the start", name)
			}
		}
		if err := end(row); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !f.notified.wasWoken(row.ID) || !second.wasWoken(row.ID) {
			t.Errorf("%s: its polls were not woken", name)
		}
	}
}

func pendingIsReplayed(t *testing.T, f *fixture) {
	pending, ready, failed := f.insert(t), f.ready(t), f.insert(t)
	f.must(t, true)(f.table.Fail(t.Context(), failed.ID, refused, f.now))
	expired := f.newRow()
	expired.Expires = f.now
	old := f.newRow()
	old.Owner = session.Owner{}
	for _, row := range []session.Row{expired, old} {
		if err := f.table.Insert(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	f.open(t)
	if err := f.table.Resume(t.Context(), interrupted, f.now); err != nil {
		t.Fatal(err)
	}
	for _, row := range []session.Row{ready, failed, expired} {
		if _, found := f.notified.row(row.ID); found {
			t.Errorf("a row is said to be pending: %+v", row)
		}
	}
	got, found := f.notified.row(pending.ID)
	if !found || !isComplete(got, pending) {
		t.Errorf("the pending row is %+v", got)
	}
	if got, found := f.notified.row(old.ID); !found || got.Owner.Slug != "" || got.Owner.Fingerprint != nil {
		t.Errorf("a row without a fingerprint is %+v", got)
	}
}

func sweepTakesWhatIsDue(t *testing.T, f *fixture) {
	pending, ready, claimed, failed := f.insert(t), f.ready(t), f.ready(t), f.insert(t)
	if err := f.table.Ack(t.Context(), f.take(t, claimed), f.now); err != nil {
		t.Fatal(err)
	}
	f.must(t, true)(f.table.Fail(t.Context(), failed.ID, refused, f.now))
	sweep := func(now, removeBefore time.Time, want session.Swept) {
		t.Helper()
		if got, err := f.table.Sweep(t.Context(), now, removeBefore); err != nil || got != want {
			t.Errorf("the sweep reports %+v, %v; want %+v", got, err, want)
		}
	}
	expires, almost := pending.Expires, pending.Expires.Add(-time.Millisecond)
	sweep(almost, almost, session.Swept{})
	f.expectPoll(t, pending, f.now, session.ErrPending)
	sweep(expires, almost, session.Swept{Expired: 2})
	f.expectPoll(t, pending, f.now, session.ErrExpired)
	f.expectPoll(t, ready, f.now, session.ErrExpired)
	f.expectPoll(t, claimed, f.now, session.ErrUnknown)
	f.expectFailure(t, failed, refused)
	f.notified.expectOutcomes(t, pending.ID, session.StatusExpired)
	f.notified.expectOutcomes(t, ready.ID, session.StatusExpired)
	sweep(expires, almost, session.Swept{})
	later := f.newRow()
	later.Expires = expires.Add(time.Millisecond)
	if err := f.table.Insert(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	sweep(expires, expires, session.Swept{Removed: 4})
	for _, row := range []session.Row{pending, ready, claimed, failed} {
		f.expectPoll(t, row, f.now, session.ErrUnknown)
	}
	f.expectPoll(t, later, f.now, session.ErrPending)
}

// A login that never came back is not kept as long as the others.
func sweepTakesAbandoned(t *testing.T, f *fixture) {
	abandoned, cancelled, back := f.insert(t), f.insert(t), f.insert(t)
	f.must(t, true)(f.table.Cancel(t.Context(), cancelled.ID, session.CancelledByAdmin(), f.now))
	if _, err := f.table.Consume(t.Context(), back.Owner, back.StateHash, f.now); err != nil {
		t.Fatal(err)
	}
	f.must(t, true)(f.table.Fail(t.Context(), back.ID, refused, f.now))
	due := abandoned.Expires.Add(session.AbandonedRetention)
	for _, step := range []struct {
		name string
		now  time.Time
		want session.Swept
	}{
		{name: "before", now: due.Add(-time.Millisecond), want: session.Swept{Expired: 1}},
		{name: "due", now: due, want: session.Swept{Removed: 2}},
		{name: "after", now: due.Add(time.Minute), want: session.Swept{}},
	} {
		got, err := f.table.Sweep(t.Context(), step.now, f.now.Add(-time.Hour))
		if err != nil || got != step.want {
			t.Errorf("%s: the sweep reports %+v, %v; want %+v", step.name, got, err, step.want)
		}
	}
	f.expectPoll(t, abandoned, f.now, session.ErrUnknown)
	f.expectPoll(t, cancelled, f.now, session.ErrUnknown)
	f.expectFailure(t, back, refused)
}

func outcomeTimes(t *testing.T, f *fixture) {
	at := func(seconds int) time.Time { return f.now.Add(time.Duration(seconds) * time.Second) }
	consumed := func() session.Row {
		row := f.insert(t)
		if _, err := f.table.Consume(t.Context(), row.Owner, row.StateHash, at(1)); err != nil {
			t.Fatal(err)
		}
		return row
	}
	finished := func() session.Row {
		row := consumed()
		f.must(t, true)(f.table.Complete(t.Context(), row.ID, sealedTokens, at(2)))
		return row
	}
	claimed, failed, cancelledFirst, cancelledLast := finished(), consumed(), f.insert(t), finished()
	neverBack, neverClaimed := f.insert(t), finished()
	if err := f.table.Ack(t.Context(), f.take(t, claimed), at(3)); err != nil {
		t.Fatal(err)
	}
	f.must(t, true)(f.table.Fail(t.Context(), failed.ID, refused, at(2)))
	f.must(t, true)(f.table.Cancel(t.Context(), cancelledFirst.ID, cancelled, at(4)))
	f.must(t, true)(f.table.Cancel(t.Context(), cancelledLast.ID, cancelled, at(4)))
	if _, err := f.table.Sweep(t.Context(), f.now.Add(2*ttl), f.now); err != nil {
		t.Fatal(err)
	}
	expires := neverBack.Expires
	for _, test := range []struct {
		name                         string
		row                          session.Row
		status                       session.Status
		failure                      session.Failure
		redirected, completed, ended time.Time
	}{
		{
			name: "claimed", row: claimed, status: session.StatusClaimed,
			redirected: at(1), completed: at(2), ended: at(3),
		},
		{
			name: "failed", row: failed, status: session.StatusFailed, failure: refused,
			redirected: at(1), completed: at(2), ended: at(2),
		},
		{
			name: "cancelled at once", row: cancelledFirst, status: session.StatusDenied, failure: cancelled,
			completed: at(4), ended: at(4),
		},
		{
			name: "cancelled when ready", row: cancelledLast,
			status: session.StatusDenied, failure: cancelled,
			redirected: at(1), completed: at(4), ended: at(4),
		},
		{
			name: "never came back", row: neverBack, status: session.StatusExpired,
			completed: expires, ended: expires,
		},
		{
			name: "never claimed", row: neverClaimed, status: session.StatusExpired,
			redirected: at(1), completed: at(2), ended: expires,
		},
	} {
		outcomes := f.notified.ended(test.row.ID)
		if len(outcomes) != 1 {
			t.Errorf("%s: there are %d outcomes", test.name, len(outcomes))
			continue
		}
		got := outcomes[0]
		if got.Plugin != test.row.Owner.Slug || got.Status != test.status || got.Error != test.failure.Code ||
			got.Cause != test.failure.Cause || !got.Created.Equal(f.now) ||
			!got.Redirected.Equal(test.redirected) ||
			!got.Completed.Equal(test.completed) || !got.Ended.Equal(test.ended) {
			t.Errorf("%s: the outcome is %+v", test.name, got)
		}
	}
}
