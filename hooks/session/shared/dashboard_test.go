package shared_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/dashboard"
	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sqlite"
	"plugin-oauth/internal/testkit"
)

// served starts a machine whose dashboard answers.
func (s *service) served(name string) (*machine, *testkit.Server) {
	s.t.Helper()
	m := &machine{service: s, name: name}
	server := testkit.Serve(s.t, func(app core.App, backend *testkit.Backend) error {
		m.app = app
		m.start()
		records := plugins.NewRecords(app, plugins.Defaults{})
		records.Bind()
		app.OnRecordDelete("sessions").BindFunc(m.shared.RecordDeleted)
		app.OnServe().BindFunc(func(e *core.ServeEvent) error {
			e.InstallerFunc = nil // it would print a superuser token
			dashboard.Bind(e, dashboard.Options{
				Records: records,
				Report: func(ctx context.Context, asked dashboard.ReportRequest) (session.Report, error) {
					return m.shared.Report(ctx, sqlite.ReportRequest(asked))
				},
				Cancel: m.shared.Cancel,
				Check:  func(*http.Request) ([]doctor.Finding, error) { return nil, nil },
			})
			return e.Next()
		})
		return nil
	})
	return m, server
}

// Without a majority nothing is ended, and the dashboard says so; what it knows it still shows. With one, an
// admin ends and deletes what began on another machine.
func TestDashboardWithoutMajority(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.machines("a")[0]
	b, dashboard := s.served("b")
	a.begin(owner)
	s.advance(time.Second)
	a.begin(other)
	b.ids(2)
	ids := strings.Fields(b.column("SELECT id FROM sessions ORDER BY created"))
	end := func() testkit.Answer {
		return dashboard.Request(http.MethodPost, "/api/plugin-oauth/sign-ins/"+ids[0]+"/end", "",
			dashboard.Admin())
	}
	remove := func() testkit.Answer {
		return dashboard.Request(http.MethodDelete, "/api/collections/sessions/records/"+ids[1], "",
			dashboard.Admin())
	}
	b.kv.cut.Store(true)
	for what, got := range map[string]testkit.Answer{"end": end(), "delete": remove()} {
		if got.Status != http.StatusServiceUnavailable ||
			!strings.Contains(got.Body, "Most of the machines cannot be reached, so nothing was ended") {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
	}
	report := dashboard.Request(http.MethodGet, "/api/plugin-oauth/sign-ins", "", dashboard.Admin())
	if report.Status != http.StatusOK || !strings.Contains(report.Body, `"liveCount":2`) {
		t.Errorf("the report: %d %s", report.Status, report.Body)
	}
	if left := b.column("SELECT status FROM sessions"); left != "pending\npending" {
		t.Errorf("the records are %s", left)
	}
	b.kv.cut.Store(false)
	for what, got := range map[string]testkit.Answer{"end": end(), "delete": remove()} {
		if got.Status != http.StatusNoContent {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
	}
	for _, m := range []*machine{a, b} {
		m.until("the records", "denied", func() string { return m.column("SELECT status FROM sessions") })
	}
	if again := end(); again.Status != http.StatusNotFound {
		t.Errorf("again: %d %s", again.Status, again.Body)
	}
}
