package hooks

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

// serveSignIns starts the service with logins of two plugins, all within one hour.
func serveSignIns(t *testing.T) *testServer {
	t.Helper()
	clock := newTestClock()
	clock.time = clock.time.Truncate(time.Hour).Add(time.Minute) // so that the hour does not end in between
	s := serve(t, func(c *Config) {
		withKey(c)
		clock.setIn(c)
	})
	other := s.add("other", nil)
	s.everyOutcome(clock)
	other.Login()
	clock.move(time.Second)
	s.Request(http.MethodPost, "/authorize", "", "Origin: https://abc123.plugins.framercdn.com")
	return s
}

func (s *testServer) signIns(query string) (report session.Report) {
	s.T.Helper()
	readJSON(s.Backend, "/api/plugin-oauth/sign-ins?"+query, &report)
	return report
}

// The page gets how the logins ended, and how to fix those that failed.
func TestSignIns(t *testing.T) {
	t.Parallel()
	s := serveSignIns(t)
	for span, hours := range map[string]int{"hour": 24, "day": 24, "week": 168} {
		t.Run(span, func(t *testing.T) {
			report := s.signIns("span=" + span)
			root := session.Funnel{
				Plugin: "/", Started: 9, Redirected: 6, Finished: 2,
				Claimed: 1, Denied: 3, Failed: 2, Expired: 2,
			}
			if span == "hour" { // the one whose row was deleted is in the totals only
				root.Started, root.Denied = 8, 2
			}
			other := session.Funnel{Plugin: "other", Started: 1, Redirected: 1, Finished: 1}
			if !slices.Equal(report.Funnel, []session.Funnel{root, other}) {
				t.Errorf("the funnel is %+v", report.Funnel)
			}
			if len(report.Hours) != hours || report.Hours[hours-1].Started != 10 ||
				report.Hours[0].Started != 0 {
				t.Errorf("%d hours, %+v", len(report.Hours), report.Hours)
			}
			checkLive(t, report)
			took := report.ToClaim
			if took.Count != 1 || took.Median != took.P95 || took.Median > 60 {
				t.Errorf("%+v", took)
			}
			if report.Retention != defaultSessionRetention.Seconds() {
				t.Errorf("rows are kept for %v seconds", report.Retention)
			}
			s.checkFailures(t, report.Failures)
		})
	}
	// For one plugin the report has only its own logins, but the funnel of all plugins.
	report := s.signIns("span=day&plugin=other")
	if len(report.Funnel) != 2 || report.LiveCount != 1 || len(report.Live) != 1 ||
		len(report.Failures) != 0 || report.Hours[23].Started != 1 {
		t.Errorf("of one plugin: %+v", report)
	}
}

func checkLive(t *testing.T, report session.Report) {
	t.Helper()
	if report.LiveCount != 2 || len(report.Live) != 2 {
		t.Fatalf("under way are %d, %+v", report.LiveCount, report.Live)
	}
	newest, oldest := report.Live[0], report.Live[1]
	if newest.Stage != "started" || newest.Origin != "https://abc123.plugins.framercdn.com" ||
		oldest.Plugin != "other" || oldest.Stage != "finished" || oldest.Left < 500 || oldest.Age > 60 {
		t.Errorf("under way are %+v", report.Live)
	}
}

func (s *testServer) checkFailures(t *testing.T, failures []session.FailureKind) {
	t.Helper()
	if len(failures) != 2 || failures[0].Error == failures[1].Error {
		t.Fatalf("failures are %+v", failures)
	}
	fixes := map[string]string{
		"invalid_scope": "Check SCOPE:", "invalid_grant": "another redirect URI than " + s.URL + "/redirect",
	}
	for _, failure := range failures {
		if failure.Plugin != "/" || !strings.Contains(failure.Fix, fixes[failure.Error]) ||
			failure.Count != 1 || failure.Description == "" || failure.ID == "" || failure.Ago > 11*60 {
			t.Errorf("%+v", failure)
		}
	}
}

// A plugin that waits is told at once that the admin has ended the login.
func TestEndSignInWakes(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.Authorize()
	polled := make(chan testkit.Answer, 1)
	go func() { polled <- s.Post("/poll?wait=30&readKey=" + readKey) }()
	eventually(t, "a poll is held", func() bool { return s.waitingPolls() == 1 })
	if got := s.endSignIn(s.latest()); got.Status != http.StatusNoContent {
		t.Fatal(got.Status, got.Body)
	}
	// A poll that was not woken would be answered that the login is pending, or not before its time is up.
	s.ExpectError("poll", <-polled, http.StatusBadRequest, "access_denied")
	if held := s.waitingPolls(); held != 0 {
		t.Errorf("%v polls are counted as waiting", held)
	}
	if got := s.endSignIn("unknown"); got.Status != http.StatusNotFound {
		t.Errorf("a session that does not exist: %d %s", got.Status, got.Body)
	}
}

// The addresses that the dashboard shows are those that the service and the provider use.
func TestHelpIsTrue(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.add("sheets", nil)
	var help struct {
		Base    string
		Plugins []struct{ Slug, Backend, RedirectURI string }
	}
	readJSON(s.Backend, "/api/plugin-oauth/plugins", &help)
	if help.Base != s.URL || len(help.Plugins) != 2 {
		t.Fatalf("%+v", help)
	}
	for _, plugin := range help.Plugins {
		t.Run(plugin.Slug, func(t *testing.T) {
			authorizationURL, _ := s.AuthorizeAt(plugin.Backend + "/authorize")
			if got := authorizationURL.Query().Get("redirect_uri"); got != plugin.RedirectURI {
				t.Errorf("the provider is told %s, and the author %s", got, plugin.RedirectURI)
			}
			redirectURI, err := url.Parse(plugin.RedirectURI)
			if err != nil {
				t.Fatal(err)
			}
			page := s.Get(s.URL + redirectURI.Path)
			s.ExpectPage("it", page, http.StatusBadRequest, "start the sign-in again in the plugin")
		})
	}
}

// The page sends a request every few seconds, which is not logged.
func TestPageFillsNoLog(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.signIns("span=day")
	s.Request(http.MethodGet, "/api/plugin-oauth/nothing", "", s.Admin())
	logged := s.waitLogged("/api/plugin-oauth/nothing")
	if strings.Contains(logged, `"status":200,"type":"request","url":"/api/plugin-oauth/`) {
		t.Errorf("logged:\n%s", logged)
	}
}
