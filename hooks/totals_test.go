package hooks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
)

// totals returns the hours' totals as text, oldest first.
func (s *relayServer) totals() string {
	s.t.Helper()
	var rows []string
	err := s.app.DB().NewQuery(`SELECT iif(plugin = '', '/', plugin) || ' started ' || started || ' redirected ' || redirected || ' finished ' || finished ||
		' claimed ' || claimed || ' denied ' || denied || ' failed ' || failed || ' expired ' || expired FROM login_totals ORDER BY hour, plugin`).Column(&rows)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(rows, "\n")
}

// age moves all sessions into the past, as if nothing had been added up.
func (s *relayServer) age(by time.Duration) {
	s.t.Helper()
	if _, err := s.app.DB().NewQuery("DELETE FROM login_totals").Execute(); err != nil {
		s.t.Fatal(err)
	}
	modifier := fmt.Sprintf("-%d seconds", int(by.Seconds()))
	for _, column := range []string{"created", "redirected", "completed", "claimed", "expires"} {
		query := fmt.Sprintf("UPDATE sessions SET %[1]s = strftime('%%Y-%%m-%%d %%H:%%M:%%fZ', %[1]s, {:modifier}) WHERE %[1]s != ''", column)
		if _, err := s.app.DB().NewQuery(query).Bind(dbx.Params{"modifier": modifier}).Execute(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// The totals say how far each login came, by plugin, and stay when the rows have gone.
func TestTotals(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.EncryptionKey, c.SessionRetention = testEncryptionKey, time.Second })
	other := s.add("other", nil)
	// All in one hour, long enough ago for nothing of it to change any more.
	s.outcomes()
	other.login()
	s.age(3 * time.Hour)
	const wantRoot = "/ started 6 redirected 5 finished 2 claimed 1 denied 1 failed 2 expired 2"
	const want = wantRoot + "\nother started 1 redirected 1 finished 1 claimed 0 denied 0 failed 0 expired 1"
	for range 3 {
		s.relay.sweep()
		if got := s.totals(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if count, err := s.app.CountRecords("sessions"); count != 0 || err != nil {
			t.Errorf("%d rows are left, %v", count, err)
		}
	}
	// Another login in that hour would be news; one of today is a total of its own.
	s.authorize()
	s.relay.sweep()
	if got := s.totals(); got != want+"\n/ started 1 redirected 0 finished 0 claimed 0 denied 0 failed 0 expired 0" {
		t.Errorf("with one of today: %s", got)
	}
}

// A row stays, whatever the retention, until its hour is added up for good; so nothing is counted short.
func TestTotalsOfOpenHour(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.SessionRetention = time.Millisecond })
	s.outcomes()
	// They expire while the hour is open: another login of it is still under way.
	if _, err := s.app.DB().NewQuery("UPDATE sessions SET expires = {:now} WHERE expires > {:now}").Bind(dbx.Params{"now": timestamp(time.Now())}).Execute(); err != nil {
		t.Fatal(err)
	}
	_, readKey := s.login()
	// The hour may have ended just now.
	if _, err := s.app.DB().NewQuery("UPDATE sessions SET created = (SELECT max(created) FROM sessions)").Execute(); err != nil {
		t.Fatal(err)
	}
	s.relay.sweep()
	s.poll(readKey)
	s.relay.sweep()
	if got := s.totals(); got != "/ started 7 redirected 6 finished 3 claimed 2 denied 1 failed 2 expired 2" {
		t.Errorf("got %s", got)
	}
}

func TestTotalsAreKeptAYear(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for i, days := range []int{364, 366} {
		hour := timestamp(time.Now().AddDate(0, 0, -days))
		_, err := s.app.DB().NewQuery("INSERT INTO login_totals (id, hour, plugin) VALUES ({:id}, {:hour}, '')").
			Bind(dbx.Params{"id": fmt.Sprintf("total%d", i), "hour": hour}).Execute()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.relay.sweep()
	var ids []string
	if err := s.app.DB().NewQuery("SELECT id FROM login_totals").Column(&ids); err != nil || fmt.Sprint(ids) != "[total0]" {
		t.Errorf("left are %v, %v", ids, err)
	}
	admin := s.superuser()
	for method, target := range map[string]string{http.MethodPost: "", http.MethodPatch: "/total0"} {
		if got := s.request(method, "/api/collections/login_totals/records"+target, `{"started":9}`, admin, "Content-Type: application/json"); got.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", method, got.status, got.body)
		}
	}
}
