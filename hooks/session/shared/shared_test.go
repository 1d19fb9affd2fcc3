package shared_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sqlite"
)

// everyOutcome makes eight logins of the plugin at the root, at least one for each way to end, and one of the
// other plugin that waits to be claimed, each step on another machine.
func everyOutcome(t *testing.T, a, b, c *machine) {
	t.Helper()
	claimed := a.begin(owner)
	b.complete(owner, claimed)
	a.advance(10 * time.Second)
	c.claim(owner, claimed)
	failed := session.StatusFailed
	for _, status := range []session.Status{session.StatusDenied, failed, failed} {
		a.fail(b.redirect(owner, c.begin(owner)).ID, status)
	}
	a.begin(owner)                    // the browser never comes back
	a.complete(owner, b.begin(owner)) // the plugin never claims
	cancelled := c.redirect(owner, b.begin(owner)).ID
	if ended, err := a.shared.Cancel(t.Context(), cancelled); err != nil || !ended {
		t.Fatal(ended, err)
	}
	withTokens := a.complete(owner, c.begin(owner))
	if ended, err := b.shared.Cancel(t.Context(), withTokens); err != nil || !ended {
		t.Fatal(ended, err)
	}
	c.complete(other, a.begin(other))
}

// wholeService is what everyOutcome amounts to.
const wholeService = "/ started 8 redirected 7 finished 2 claimed 1 denied 3 failed 2 expired 2\n" +
	"other started 1 redirected 1 finished 1 claimed 0 denied 0 failed 0 expired 1"

// Each machine has all records and all totals, and nothing that is secret.
func TestEveryMachineHasAll(t *testing.T) {
	t.Parallel()
	s := newService(t)
	machines := s.machines("a", "b", "c")
	a, b, c := machines[0], machines[1], machines[2]
	everyOutcome(t, a, b, c)
	s.advance(11 * time.Minute)
	for _, m := range machines {
		m.expectTotals(wholeService)
		m.until("the records", a.rows(), m.rows)
		secret := m.column(`SELECT id FROM sessions WHERE stateHash IS NOT NULL OR readKeyHash IS NOT NULL OR
			publicKey IS NOT NULL OR sealed IS NOT NULL OR network IS NOT NULL OR client IS NOT NULL`)
		if secret != "" {
			t.Errorf("%s has what is secret of %s", m.name, secret)
		}
	}
	statuses := a.column("SELECT status || ' ' || count(*) FROM sessions GROUP BY status ORDER BY status")
	if statuses != "claimed 1\ndenied 3\nexpired 3\nfailed 2" {
		t.Errorf("the records are\n%s", statuses)
	}
	for _, words := range []string{
		"invalid_scope The scope is wrong. the provider's answer", "https://plugin.example", "access_denied",
	} {
		if !strings.Contains(a.rows(), words) {
			t.Errorf("%q is missing in\n%s", words, a.rows())
		}
	}
}

// What this machine has done itself is in its report at once.
func TestReportHasOwnWrites(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.machines("a")[0]
	id := a.redirect(owner, a.begin(owner)).ID
	day := sqlite.ReportRequest{Span: 24 * time.Hour, Hours: 24}
	expect := func(what string, started, live, denied int) {
		t.Helper()
		report, err := a.shared.Report(t.Context(), day)
		if err != nil || len(report.Funnel) != 1 || report.LiveCount != live ||
			report.Funnel[0].Started != started || report.Funnel[0].Denied != denied {
			t.Fatalf("%s: %+v, %v", what, report, err)
		}
	}
	expect("at the start", 1, 1, 0)
	if ended, err := a.shared.Cancel(t.Context(), id); err != nil || !ended {
		t.Fatal(ended, err)
	}
	expect("at the end", 1, 0, 1)
}

// A machine that starts again, be it after it was killed, counts nothing twice.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := newService(t)
	machines := s.machines("a", "b", "c")
	a, b, c := machines[0], machines[1], machines[2]
	everyOutcome(t, a, b, c)
	for round := range 3 {
		c.start() // the one before was not closed, and goes on, as one that is about to be killed does
		c.sweep()
		s.advance(4 * time.Minute)
		a.sweep()
		if round == 1 {
			b.shared.Close()
			b.start()
		}
	}
	for _, m := range machines {
		m.expectTotals(wholeService)
		m.until("the records", a.rows(), m.rows)
	}
}

// A machine that was off for longer than the others share the rows has the totals all the same, and forgets
// what was under way when it went.
func TestAwayForHours(t *testing.T) {
	t.Parallel()
	s := newService(t)
	machines := s.machines("a", "b", "c")
	a, b, c := machines[0], machines[1], machines[2]
	missed := a.begin(owner)
	c.ids(1)
	c.sweep()
	c.shared.Close()
	b.complete(owner, missed)
	a.claim(owner, missed)
	everyOutcome(t, a, b, a)
	for range 8 { // two hours
		s.advance(15 * time.Minute)
		a.sweep()
		b.sweep()
	}
	b.fail(a.redirect(other, b.begin(other)).ID, session.StatusFailed)
	if left := a.keys("s/"); left != 1 {
		t.Fatalf("etcd has %d rows", left)
	}
	const want = "/ started 9 redirected 8 finished 3 claimed 2 denied 3 failed 2 expired 2\n" +
		"other started 1 redirected 1 finished 1 claimed 0 denied 0 failed 0 expired 1\n" +
		"other started 1 redirected 1 finished 0 claimed 0 denied 0 failed 1 expired 0"
	a.expectTotals(want)
	c.start()
	c.expectTotals(want)
	living := "SELECT id FROM sessions WHERE status IN ('pending', 'ready')"
	if ids := c.column(living); ids != "" {
		t.Errorf("under way are %s", ids)
	}
	for _, m := range machines { // nothing grows
		m.sweep()
		m.expectTotals(want)
	}
}

// keys counts the keys of etcd that begin like this.
func (m *machine) keys(prefix string) int64 {
	m.t.Helper()
	response, err := m.kv.Get(m.t.Context(), prefix, countOnly...)
	if err != nil {
		m.t.Fatal(err)
	}
	return response.Count
}

// A record that an admin deletes on one machine is gone on all, its login has ended, and it is counted once.
func TestDelete(t *testing.T) {
	t.Parallel()
	s := newService(t)
	machines := s.machines("a", "b", "c")
	for _, m := range machines {
		m.app.OnRecordDelete("sessions").BindFunc(m.shared.RecordDeleted)
	}
	a, b, c := machines[0], machines[1], machines[2]
	living, old := a.begin(owner), a.begin(owner)
	b.fail(b.redirect(owner, old).ID, session.StatusFailed)
	ids := strings.Fields(a.ids(2))
	b.ids(2)
	b.delete(ids[0])
	if _, err := c.sessions.Claim(t.Context(), owner, living.ReadKey); fmt.Sprint(err) !=
		"access_denied: "+session.CancelledByAdmin().Description {
		t.Errorf("the plugin is told: %v", err)
	}
	for _, m := range machines {
		m.until("the records", ids[1], func() string { return m.column("SELECT id FROM sessions") })
	}
	// Later the row of the other has gone from etcd, and is deleted all the same.
	for range 4 {
		s.advance(15 * time.Minute)
		a.sweep()
	}
	if left := a.keys("s/"); left != 0 {
		t.Fatalf("etcd has %d rows", left)
	}
	a.delete(ids[1])
	for _, m := range machines {
		m.until("the records", "", m.rows)
		m.expectTotals("/ started 2 redirected 1 finished 0 claimed 0 denied 1 failed 1 expired 0")
	}
	s.advance(time.Hour)
	a.sweep()
	if left := a.keys("s/"); left != 0 {
		t.Errorf("etcd has %d rows", left)
	}
}

// ids waits for a number of records, and returns their ids.
func (m *machine) ids(count int) (ids string) {
	m.t.Helper()
	get := func() string { return m.column("SELECT id FROM sessions ORDER BY status DESC") }
	m.until("the number of records", fmt.Sprint(count), func() string {
		ids = get()
		return fmt.Sprint(len(strings.Fields(ids)))
	})
	return ids
}
