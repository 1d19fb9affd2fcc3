package sqlite

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/dbx"

	"plugin-oauth/hooks/session"
)

// The spans that the dashboard shows.
var (
	lastHour = ReportRequest{Span: time.Hour, Hours: 24}
	lastDay  = ReportRequest{Span: 24 * time.Hour, Hours: 24}
	lastWeek = ReportRequest{Span: 7 * 24 * time.Hour, Hours: 7 * 24}
)

// report adds the totals up and reads a report.
func (s *server) report(request ReportRequest) session.Report {
	s.t.Helper()
	s.sweep()
	report, err := s.table.Report(s.t.Context(), request)
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

func TestReport(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{TTL: 20 * time.Minute})
	s.startOfHour()
	s.everyOutcome()
	s.advance(30 * time.Minute) // those that were left have expired
	const origin = "https://plugin.example"
	started, err := s.sessions.Start(t.Context(), other, session.StartRequest{Origin: origin})
	if err != nil {
		t.Fatal(err)
	}
	s.advance(time.Minute)
	for _, request := range []ReportRequest{lastHour, lastDay, lastWeek} {
		report := s.report(request)
		root := session.Funnel{
			Plugin: "/", Started: 8, Redirected: 6, Finished: 2, Claimed: 1, Denied: 3, Failed: 2, Expired: 2,
		}
		if request == lastHour { // the one whose row was deleted is in the totals only
			root.Started, root.Denied = 7, 2
		}
		want := []session.Funnel{root, {Plugin: "other", Started: 2, Redirected: 1, Finished: 1, Expired: 1}}
		if !slices.Equal(report.Funnel, want) {
			t.Errorf("%s: the funnel is %+v", request.Span, report.Funnel)
		}
		last := report.Hours[len(report.Hours)-1]
		hour := s.clock().UTC().Truncate(time.Hour).Format("2006-01-02T15:04:05.000Z")
		if len(report.Hours) != request.Hours || report.Hours[0].Started != 0 ||
			last.Started != 10 || last.Plugin != "" || last.Hour != hour {
			t.Errorf("%s: %d hours, the last is %+v", request.Span, len(report.Hours), last)
		}
		if report.LiveCount != 1 || len(report.Live) != 1 || len(report.Failures) != 1 || !report.Ever {
			t.Fatalf("%s: under way are %d, %+v; failed are %+v",
				request.Span, report.LiveCount, report.Live, report.Failures)
		}
		live := report.Live[0]
		if live.ID != s.latest() || live.Plugin != "other" || live.Stage != "started" ||
			live.Origin != origin ||
			!near(live.Age, 60) || !near(live.Left, 19*60) {
			t.Errorf("%s: under way is %+v", request.Span, live)
		}
		took := report.ToClaim
		if took.Count != 1 || !near(took.Median, 10) || took.Median != took.P95 {
			t.Errorf("%s: %+v", request.Span, took)
		}
		for _, failure := range report.Failures {
			if !near(failure.Ago, 31*60) || failure.ID == "" || failure.Plugin != "/" ||
				failure.Error != "invalid_scope" || failure.Count != 2 ||
				failure.Description != "The scope is wrong." || failure.Cause != "the provider's answer" {
				t.Errorf("%s: %+v", request.Span, failure)
			}
		}
	}
	// For one plugin the report has only its own logins, but the funnel of all plugins.
	report := s.report(ReportRequest{Span: lastDay.Span, Hours: lastDay.Hours, Plugin: "other"})
	if len(report.Funnel) != 2 || report.LiveCount != 1 || len(report.Failures) != 0 ||
		report.Hours[23].Started != 2 {
		t.Errorf("of one plugin: %+v", report)
	}
	report = s.report(ReportRequest{Span: lastDay.Span, Hours: lastDay.Hours, Plugin: "/"})
	if report.LiveCount != 0 || len(report.Failures) != 1 || report.Hours[23].Started != 8 {
		t.Errorf("of the plugin at the root: %+v", report)
	}
	s.fail(s.redirect(other, started).ID, session.StatusFailed)
}

// near compares what was stored in whole milliseconds.
func near(seconds, want float64) bool {
	return seconds > want-0.01 && seconds < want+0.01
}

// The page's script reads these names, and expects empty lists instead of null.
func TestReportJSON(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	report := s.report(ReportRequest{Span: time.Hour, Hours: 1})
	report.Hours[0].Hour = ""
	got, err := json.Marshal(report)
	const want = `{"retention":0,"root":"","ever":false,"succeeded":false,"live":[],"liveCount":0,` +
		`"funnel":[],` +
		`"hours":[{"hour":"","plugin":"","started":0,"redirected":0,"finished":0,"claimed":0,` +
		`"denied":0,"failed":0,"expired":0}],"toClaim":{"count":0,"median":0,"p95":0},"failures":[]}`
	if err != nil || string(got) != want {
		t.Errorf("got\n%s, %v\nwant\n%s", got, err, want)
	}
	got, err = json.Marshal([]any{session.Live{}, session.FailureKind{}})
	const listed = `[{"id":"","plugin":"","stage":"","origin":"","age":0,"left":0},` +
		`{"id":"","plugin":"","error":"","count":0,"description":"","cause":"","fix":"","ago":0}]`
	if err != nil || string(got) != listed {
		t.Errorf("got\n%s, %v\nwant\n%s", got, err, listed)
	}
}

// The report counts each kind of failure among many sign-ins, and all that it counts add up.
func TestReportOfMany(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{Retention: 8 * 24 * time.Hour})
	// Of 3000 failures, one in a hundred is of a kind of its own, and half of the others another plugin's.
	s.exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5999)
		INSERT INTO sessions
			(id, plugin, status, error, created, redirected, completed, claimed, expires,
				stateHash, readKeyHash)
		SELECT printf('%015d', i), iif(i % 4, '', 'other'), iif(i % 2, 'claimed', 'failed'),
			iif(i % 2, '', iif(i % 200, 'invalid_scope', 'kind' || i)),
			strftime('%Y-%m-%d %H:%M:%fZ', 'now', '-' || (i * 100) || ' seconds'), 'x',
			strftime('%Y-%m-%d %H:%M:%fZ', 'now', (10 - i * 100) || ' seconds'),
			strftime('%Y-%m-%d %H:%M:%fZ', 'now', (10 - i * 100) || ' seconds'),
			strftime('%Y-%m-%d %H:%M:%fZ', 'now', (600 - i * 100) || ' seconds'),
			randomblob(41), randomblob(41) FROM n`, nil)
	s.advance(time.Minute) // past what SQLite's own clock says
	report := s.report(lastWeek)
	sum := session.Funnel{}
	for _, row := range report.Funnel {
		sum.Started, sum.Failed = sum.Started+row.Started, sum.Failed+row.Failed
	}
	if sum.Started != 6000 || sum.Failed != 3000 || report.ToClaim.Count != maxClaims ||
		report.ToClaim.Median != 10 {
		t.Errorf("%+v, %+v", report.Funnel, report.ToClaim)
	}
	counts := map[string]int{}
	for _, kind := range report.Failures {
		counts[kind.Plugin+" "+kind.Error] = kind.Count
	}
	if counts["/ invalid_scope"] != 1500 || counts["other invalid_scope"] != 1470 ||
		counts["other kind0"] != 1 || len(counts) != 32 {
		t.Errorf("the kinds are %v", counts)
	}
	// The newest is first, and gives the kind its words.
	if first := report.Failures[0]; first.Error != "kind0" || report.Failures[1].ID != "000000000000002" {
		t.Errorf("the first is %+v, the second %+v", first, report.Failures[1])
	}
	if plan := fmt.Sprint(s.plan(failureKinds)); !strings.Contains(plan, "sessions_fruitless") {
		t.Errorf("the failures are not found by their index: %s", plan)
	}
}

// Failures by kind begin where the funnel does, so that they add up to what it counts as failed.
func TestFailuresAddUp(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{Retention: 8 * 24 * time.Hour})
	for i := range 4 * 26 { // a failure each quarter of an hour, for more than a day
		created := s.clock().Add(-time.Duration(i)*15*time.Minute - time.Minute)
		s.exec(`INSERT INTO sessions
			(id, status, error, created, redirected, completed, expires, stateHash, readKeyHash)
			VALUES ({:id}, 'failed', 'invalid_scope', {:created}, {:created}, {:created}, {:expires},
				randomblob(9), randomblob(9))`,
			dbx.Params{
				"id":      fmt.Sprint("failed", i),
				"created": timestamp(created),
				"expires": timestamp(created.Add(10 * time.Minute)),
			})
	}
	for _, request := range []ReportRequest{lastHour, lastDay, lastWeek} {
		report := s.report(request)
		if len(report.Failures) != 1 || report.Failures[0].Count != report.Funnel[0].Failed {
			t.Errorf("%s: %+v of %+v", request.Span, report.Failures, report.Funnel)
		}
	}
}

// A span leaves out logins that began before it, even if they ended in it.
func TestReportSpan(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	for id, minutes := range map[string]time.Duration{"within": 30, "before": 65} {
		created := s.clock().Add(-minutes * time.Minute)
		for _, status := range []string{"claimed", "failed"} {
			s.exec(`INSERT INTO sessions
				(id, plugin, status, created, completed, claimed, expires, stateHash, readKeyHash)
				VALUES ({:id} || {:status}, '', {:status}, {:created}, {:completed}, {:claimed}, {:expires},
					randomblob(9), randomblob(9))`,
				dbx.Params{
					"id":        id,
					"status":    status,
					"created":   timestamp(created),
					"claimed":   timestamp(created.Add(7 * time.Second)),
					"completed": timestamp(s.clock().Add(-20 * time.Minute)),
					"expires":   timestamp(s.clock().Add(time.Hour)),
				})
		}
	}
	report := s.report(lastHour)
	if report.Funnel[0].Started != 2 || report.ToClaim.Count != 1 || !near(report.ToClaim.Median, 7) ||
		len(report.Failures) != 1 || report.Failures[0].ID != "withinfailed" ||
		!near(report.Failures[0].Ago, 20*60) {
		t.Errorf("%+v", report)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	many := make([]float64, 100)
	for i := range many {
		many[i] = float64(100 - i)
	}
	for _, test := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{values: nil, q: 0.5, want: 0},
		{values: []float64{7}, q: 0.95, want: 7},
		{values: []float64{3, 1, 2}, q: 0.5, want: 2},
		{values: []float64{4, 3, 2, 1}, q: 0.5, want: 2},
		{values: many, q: 0.95, want: 95},
		{values: many, q: 0.5, want: 50},
	} {
		t.Run(fmt.Sprintf("%v of %d", test.q, len(test.values)), func(t *testing.T) {
			t.Parallel()
			if got := quantile(slices.Clone(test.values), test.q); got != test.want {
				t.Errorf("it is %v, want %v", got, test.want)
			}
		})
	}
}
