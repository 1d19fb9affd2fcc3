package etcd

import (
	"errors"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
)

// The clock of one machine is five minutes off. What it has claimed is not given by another as well, what it
// keeps for a plugin stays, and if it dies another goes on as soon as with a clock that is right.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"fast": 5 * time.Minute, "slow": -5 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			here, there := s.table(t, "a"), s.table(t, "b")
			here.timing.hold = 200 * time.Millisecond // and of the other machine as usual
			row, pending := insert(t, here, "000001"), insert(t, here, "000002")
			now := row.Created
			wrong := now.Add(off)
			if done, err := here.Complete(t.Context(), row.ID, []byte("sealed"), now); err != nil || !done {
				t.Fatal(done, err)
			}
			take := func(table *Table, now time.Time) (session.Hold, error) {
				t.Helper()
				return table.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, now)
			}
			dead, err := take(there, wrong)
			if err != nil || dead.Holder == "" {
				t.Fatalf("the first claim: %+v, %v", dead, err)
			}
			if _, err := take(here, now); !errors.Is(err, session.ErrTaken) {
				t.Errorf("a claim that the other machine has just made: %v", err)
			}
			began := time.Now()
			hold, err := take(here, now)
			for errors.Is(err, session.ErrTaken) && time.Since(began) < 10*time.Second {
				time.Sleep(time.Millisecond)
				hold, err = take(here, now)
			}
			if err != nil || string(hold.Sealed) != "sealed" {
				t.Fatalf("a claim of a machine that has died: %+v, %v", hold, err)
			}
			if _, err := take(there, wrong); !errors.Is(err, session.ErrTaken) {
				t.Errorf("a claim that this machine has just made: %v", err)
			}
			if err := here.Keep(t.Context(), hold, now); err != nil {
				t.Fatal(err)
			}
			expectKept(t, there, wrong, row)
			if hold, err = take(here, now); err != nil || hold.Holder == "" {
				t.Errorf("tokens that are kept: %+v, %v", hold, err)
			}
			// A sign-in has ten minutes, of which a clock that is fast takes five.
			if _, err := there.Consume(t.Context(), pending.Owner, pending.StateHash, wrong); err != nil {
				t.Errorf("a sign-in that has just begun: %v", err)
			}
		})
	}
}

// expectKept checks that a machine gives tokens again that another keeps, for as long as it keeps them.
func expectKept(t *testing.T, table *Table, now time.Time, row session.Row) {
	t.Helper()
	if _, err := table.Sweep(t.Context(), now, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	hold, err := table.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, now)
	if err != nil || string(hold.Sealed) != "sealed" {
		t.Fatalf("tokens that another machine keeps: %+v, %v", hold, err)
	}
	if left := hold.Row.KeptUntil.Sub(now); left <= 0 || left > session.AckWindow {
		t.Errorf("they are kept for another %s", left)
	}
	if err := table.Release(t.Context(), hold); err != nil {
		t.Fatal(err)
	}
}
