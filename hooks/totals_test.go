package hooks

import (
	"cmp"
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
	if _, err := s.app.DB().NewQuery("UPDATE removed_logins SET hour = {:hour}").
		Bind(dbx.Params{"hour": timestamp(time.Now().Add(-by).Truncate(time.Hour))}).Execute(); err != nil {
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
	const wantRoot = "/ started 8 redirected 6 finished 2 claimed 1 denied 3 failed 2 expired 2"
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

// The hour that is under way is counted right while its rows come and go.
func TestTotalsOfOpenHour(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.SessionRetention = time.Millisecond })
	started, denied := 0, 0
	for round := range 3 {
		for range 3 {
			s.authorize()
			started++
		}
		if round < 2 {
			s.relay.sweep() // they are counted before they are deleted, and once they are not
		}
		for range 2 {
			if got := s.request(http.MethodDelete, "/api/collections/sessions/records/"+s.latest(), "", cmp.Or(s.admin, s.superuser())); got.status != http.StatusNoContent {
				t.Fatal(got)
			}
			denied++
		}
		s.relay.sweep()
		want := fmt.Sprintf("/ started %d redirected 0 finished 0 claimed 0 denied %d failed 0 expired 0", started, denied)
		if got := s.hour(); got != want {
			t.Errorf("round %d: got %s, want %s", round, got, want)
		}
	}
	// All of them expire, and their rows go at once; then others begin.
	if _, err := s.app.DB().NewQuery("UPDATE sessions SET expires = {:now} WHERE expires > {:now}").Bind(dbx.Params{"now": timestamp(time.Now().Add(-time.Second))}).Execute(); err != nil {
		t.Fatal(err)
	}
	s.relay.sweep()
	if count, err := s.app.CountRecords("sessions"); count != 0 || err != nil {
		t.Errorf("%d rows are left, %v", count, err)
	}
	s.authorize()
	s.relay.sweep()
	if got := s.hour(); got != "/ started 10 redirected 0 finished 0 claimed 0 denied 6 failed 0 expired 3" {
		t.Errorf("got %s", got)
	}
}

// hour returns the totals of all hours as one, since an hour may end in the middle of a test.
func (s *relayServer) hour() string {
	s.t.Helper()
	if _, err := s.app.DB().NewQuery(`UPDATE sessions SET created = (SELECT max(created) FROM sessions)`).Execute(); err != nil {
		s.t.Fatal(err)
	}
	return s.totals()
}

// A login that ends in another hour than it began in is counted in that.
func TestTotalsAcrossTheHour(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, _ := s.authorize()
	_, err := s.app.DB().NewQuery("UPDATE sessions SET created = {:hourAgo}").Bind(dbx.Params{"hourAgo": timestamp(time.Now().Add(-time.Hour))}).Execute()
	if err != nil {
		t.Fatal(err)
	}
	s.relay.sweep()
	s.authorize()
	s.relay.sweep() // the last hour that is counted is this one
	s.get("/redirect?error=access_denied&state=" + authorizationURL.Query().Get("state"))
	s.relay.sweep()
	if got := s.totals(); !strings.HasPrefix(got, "/ started 1 redirected 1 finished 0 claimed 0 denied 1 ") || !strings.Contains(got, "\n/ started 1 redirected 0 ") {
		t.Errorf("got %s", got)
	}
}

// A clock that was set back, after an hour that is still to come was counted.
func TestTotalsAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, err := s.app.DB().NewQuery("INSERT INTO login_totals (id, hour, plugin, started) VALUES ('future', {:hour}, '', 7)").
		Bind(dbx.Params{"hour": timestamp(time.Now().Add(3 * time.Hour).Truncate(time.Hour))}).Execute()
	if err != nil {
		t.Fatal(err)
	}
	s.authorize()
	s.relay.sweep()
	if got := s.totals(); !strings.HasPrefix(got, "/ started 1 ") || !strings.Contains(got, "\n/ started 7 ") {
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
