package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
)

// copied is a copy, and the records that the machines share.
type copied struct {
	*server

	copy *Copy
	made int
}

func newCopied(t *testing.T, retention time.Duration) *copied {
	s := serve(t, session.Options{})
	s.startOfHour()
	return &copied{server: s, copy: NewCopy(s.table, retention)}
}

// failed returns the record of a login that has failed just now.
func (c *copied) failed() session.Record {
	c.made++
	now := c.clock().Truncate(time.Millisecond)
	return session.Record{
		ID:          fmt.Sprintf("%s%06d", session.TimePrefix(now), c.made),
		Status:      session.StatusFailed,
		Code:        "invalid_scope",
		Description: "The scope is wrong.",
		Created:     now,
		Redirected:  now,
		Completed:   now,
		Expires:     now.Add(10 * time.Minute),
	}
}

func (c *copied) store(records ...session.Record) {
	c.t.Helper()
	if err := c.copy.Store(c.t.Context(), records); err != nil {
		c.t.Fatal(err)
	}
}

func (c *copied) sweepCopy() {
	c.t.Helper()
	if err := c.copy.Sweep(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// expectFailed expects a number of records, and of logins that are counted as failed.
func (c *copied) expectFailed(what string, records, counted int) {
	c.t.Helper()
	c.sweepCopy()
	var failed int
	c.row("SELECT coalesce(sum(failed), 0) FROM login_totals", &failed)
	if got := int(c.count()); got != records || failed != counted {
		c.t.Errorf("%s: %d records, and %d are counted; want %d and %d", what, got, failed, records, counted)
	}
}

// Too many records are removed, the oldest first, and only once they cannot come again: one that came again
// would be counted twice.
func TestCopyIsBounded(t *testing.T) {
	t.Parallel()
	c := newCopied(t, 24*time.Hour)
	c.table.bounds.maxFruitless, c.table.bounds.maxExpired = 30, 10
	var all []session.Record
	for range 50 {
		all = append(all, c.failed())
		c.advance(time.Second)
	}
	c.store(all...)
	c.expectFailed("at once", 50, 50)
	c.advance(10*time.Minute + session.SharedRetention)
	c.store(all...) // as a machine that starts again does
	c.expectFailed("as long as they are shared", 50, 50)
	c.advance(copiedFor - session.SharedRetention)
	c.expectFailed("later", 10, 50)
	left := c.column("SELECT id FROM sessions ORDER BY id")
	if !slices.ContainsFunc(all[49:], func(r session.Record) bool { return slices.Contains(left, r.ID) }) {
		t.Error("the latest is gone")
	}
	c.store(all...)
	c.expectFailed("again", 10, 50)
}

// A short retention counts, however long the machines share the rows.
func TestCopyHasRetention(t *testing.T) {
	t.Parallel()
	c := newCopied(t, time.Minute)
	record := c.failed()
	c.store(record)
	c.advance(11*time.Minute - time.Millisecond)
	c.expectFailed("before", 1, 1)
	c.advance(time.Millisecond)
	c.expectFailed("after", 0, 1)
	c.store(record)
	c.expectFailed("again", 0, 1)
}

// A record that an admin deletes does not come back with what the machine had heard before.
func TestCopyAfterDeletion(t *testing.T) {
	t.Parallel()
	c := newCopied(t, time.Hour)
	record := c.failed()
	c.store(record)
	c.copy.setDeleted(record.ID)
	c.exec("DELETE FROM sessions", nil)
	c.store(record)
	c.expectFailed("before it hears of it", 0, 1)
	record.Deleted = true
	c.store(record)
	c.expectFailed("after", 0, 1)
}

// What the machine had of its own before it shared anything is not secret for longer.
func TestCopyOfTimeBefore(t *testing.T) {
	t.Parallel()
	c := newCopied(t, time.Hour)
	started, kept := c.login(owner)
	claim, err := c.sessions.Claim(t.Context(), owner, started.ReadKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := claim.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.advance(session.AckWindow)
	_, ready := c.login(owner)
	c.advance(time.Millisecond)
	_, moved := c.login(owner)
	living, err := c.copy.Living(t.Context())
	if slices.Sort(living); err != nil || !slices.Equal(living, []string{ready, moved}) {
		t.Fatalf("%v, %v", living, err)
	}
	record := c.failed()
	record.ID = moved
	c.store(session.Record{ID: ready, Deleted: true}, record)
	c.sweepCopy()
	left := c.column(`SELECT id || ' ' || status || ' ' || (sealed IS NULL) FROM sessions ORDER BY id`)
	want := kept + " claimed 1, " + moved + " failed 1"
	if strings.Join(left, ", ") != want {
		t.Errorf("left are %s, want %s", left, want)
	}
	const withHash = "SELECT id FROM sessions WHERE status = 'failed' AND readKeyHash IS NOT NULL"
	if secret := c.column(withHash); secret != nil {
		t.Errorf("%v have a hash", secret)
	}
}

// What other machines know counts if it is more, and what this one counts again does not undo it.
func TestRaise(t *testing.T) {
	t.Parallel()
	c := newCopied(t, time.Hour)
	c.store(c.failed(), c.failed())
	c.expectFailed("alone", 2, 2)
	hour := c.clock().Truncate(time.Hour)
	raise := func(funnel session.Funnel) {
		t.Helper()
		funnel.Plugin = rootSlug
		if err := c.copy.Raise(t.Context(), []session.Total{{Hour: hour, Funnel: funnel}}); err != nil {
			t.Fatal(err)
		}
	}
	raise(session.Funnel{Started: 1, Redirected: 1, Failed: 1})
	c.expectFailed("one knows less", 2, 2)
	raise(session.Funnel{Started: 5, Redirected: 5, Failed: 4})
	c.expectFailed("one knows more", 2, 4)
	c.store(c.failed())
	c.expectFailed("one more here", 3, 4)
	totals, err := c.copy.Totals(t.Context(), hour)
	if err != nil || len(totals) != 1 || !totals[0].Hour.Equal(hour) || totals[0].Started != 5 ||
		totals[0].Plugin != rootSlug {
		t.Errorf("%+v, %v", totals, err)
	}
	if totals, err = c.copy.Totals(t.Context(), hour.Add(time.Hour)); err != nil || totals != nil {
		t.Errorf("of the next hour: %+v, %v", totals, err)
	}
}

// A machine that was away hears late of a login that is counted in an hour before.
func TestCopyCountsWhatComesLate(t *testing.T) {
	t.Parallel()
	c := newCopied(t, time.Hour)
	late := c.failed()
	c.advance(45 * time.Minute)
	c.store(c.failed())
	c.advance(c.clock().Truncate(time.Hour).Add(time.Hour).Sub(c.clock())) // the next hour begins
	c.store(c.failed())
	c.expectFailed("without it", 2, 2)
	late.Expires = c.clock().Add(-30 * time.Minute)
	c.store(late)
	c.expectFailed("with it", 3, 3)
}

// If the machines have to remove rows before their time, the copies do too, and count them. What is removed
// in time stays for as long as the admin wants it.
func TestCopyFollowsEarlyRemoval(t *testing.T) {
	t.Parallel()
	c := newCopied(t, 24*time.Hour)
	early, unseen, claimed, inTime := c.failed(), c.failed(), c.failed(), c.failed()
	claimed.Status, claimed.Claimed = session.StatusClaimed, claimed.Completed
	c.store(early, claimed, inTime)
	unseen.Removed = true // it has changed, and was removed, since the copy was written
	c.store(session.Record{ID: early.ID, Removed: true}, unseen,
		session.Record{ID: claimed.ID, Removed: true})
	c.expectFailed("early", 2, 3)
	c.advance(10*time.Minute + session.SharedRetention - time.Minute) // the clock of the other is ahead
	c.store(session.Record{ID: inTime.ID, Removed: true})
	c.expectFailed("in time", 2, 3)
}
