package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/dbx"

	"plugin-oauth/hooks/session"
)

// other is a second plugin.
var other = session.Owner{Slug: "other", Fingerprint: []byte("of the other's client")}

// everyOutcome makes eight logins of the plugin at the root, at least one for each way to end, and one of the
// other plugin that waits to be claimed.
func (s *server) everyOutcome() {
	s.t.Helper()
	claimed, _ := s.login(owner)
	s.advance(10 * time.Second)
	s.claimTokens(owner, claimed)
	failed := session.StatusFailed
	for _, status := range []session.Status{session.StatusDenied, failed, failed} {
		s.fail(s.redirect(owner, s.start(owner)).ID, status)
	}
	s.start(owner) // the browser never comes back
	s.login(owner) // the plugin never claims
	s.start(owner)
	s.delete(s.latest())
	_, cancelled := s.login(owner)
	if ended, err := s.sessions.Cancel(s.t.Context(), cancelled); err != nil || !ended {
		s.t.Fatal(ended, err)
	}
	s.login(other)
}

// startOfHour sets the clock so that the hour does not end in the middle of a test.
func (s *server) startOfHour() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Truncate(time.Hour).Add(time.Minute)
}

// The totals say how far each login came, by plugin, and stay when the rows have gone.
func TestTotals(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{Retention: time.Second})
	s.startOfHour()
	s.everyOutcome()
	// Long enough for nothing to change any more.
	s.advance(3 * time.Hour)
	const want = "/ started 8 redirected 6 finished 2 claimed 1 denied 3 failed 2 expired 2\n" +
		"other started 1 redirected 1 finished 1 claimed 0 denied 0 failed 0 expired 1"
	for range 3 {
		s.sweep()
		if got := s.totals(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if count := s.count(); count != 0 {
			t.Errorf("%d rows are left", count)
		}
	}
	// A login of the current hour has a total of its own.
	s.start(owner)
	s.sweep()
	const today = "\n/ started 1 redirected 0 finished 0 claimed 0 denied 0 failed 0 expired 0"
	if got := s.totals(); got != want+today {
		t.Errorf("with one of today: %s", got)
	}
}

// The hour that is under way is counted right while its rows come and go.
func TestTotalsOfOpenHour(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{Retention: time.Millisecond})
	s.startOfHour()
	started, denied := 0, 0
	for round := range 3 {
		for range 3 {
			s.start(owner)
			started++
		}
		if round < 2 {
			s.sweep() // they are counted before they are deleted, and once they are not
		}
		for range 2 {
			s.delete(s.latest())
			denied++
		}
		s.sweep()
		const counted = "/ started %d redirected 0 finished 0 claimed 0 denied %d failed 0 expired 0"
		want := fmt.Sprintf(counted, started, denied)
		if got := s.totals(); got != want {
			t.Errorf("round %d: got %s, want %s", round, got, want)
		}
		s.advance(time.Minute)
	}
	// All of them expire, and their rows go at once; then others begin.
	s.advance(11 * time.Minute)
	s.sweep()
	if count := s.count(); count != 0 {
		t.Errorf("%d rows are left", count)
	}
	s.start(owner)
	s.sweep()
	const want = "/ started 10 redirected 0 finished 0 claimed 0 denied 6 failed 0 expired 3"
	if got := s.totals(); got != want {
		t.Errorf("got %s", got)
	}
}

// A login that ends in another hour than it began in is counted in the hour in which it began.
func TestTotalsAcrossTheHour(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{TTL: 2 * time.Hour})
	s.startOfHour()
	started := s.start(owner)
	s.sweep()
	s.advance(time.Hour)
	s.start(owner)
	s.sweep() // the last hour that is counted is this one
	s.fail(s.redirect(owner, started).ID, session.StatusDenied)
	s.sweep()
	const want = "/ started 1 redirected 1 finished 0 claimed 0 denied 1 failed 0 expired 0\n" +
		"/ started 1 redirected 0 finished 0 claimed 0 denied 0 failed 0 expired 0"
	if got := s.totals(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// After the clock was set back, an hour that is still to come keeps its total, and the others are counted.
func TestTotalsAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	hour := timestamp(s.clock().Add(3 * time.Hour).Truncate(time.Hour))
	s.exec("INSERT INTO login_totals (id, hour, plugin, started) VALUES ('future', {:hour}, '', 7)",
		dbx.Params{"hour": hour})
	s.start(owner)
	s.sweep()
	got := s.totals()
	if !strings.HasPrefix(got, "/ started 1 ") || !strings.Contains(got, "\n/ started 7 ") {
		t.Errorf("got %s", got)
	}
}

func TestTotalsAreKeptAYear(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	for i, days := range []int{364, 366} {
		s.exec("INSERT INTO login_totals (id, hour, plugin) VALUES ({:id}, {:hour}, '')",
			dbx.Params{"id": fmt.Sprintf("total%d", i), "hour": timestamp(s.clock().AddDate(0, 0, -days))})
	}
	s.sweep()
	if ids := s.column("SELECT id FROM login_totals"); fmt.Sprint(ids) != "[total0]" {
		t.Errorf("left are %v", ids)
	}
}

// After a flood there are 180,000 rows to add up. SQLite sorts in memory, so that the sweep sorts none.
func TestTotalsAreNotSorted(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	rows, err := s.table.writer.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+hourCounts, "2026")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(step, "TEMP B-TREE") {
			t.Error(step)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
