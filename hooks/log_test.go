package hooks

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

// logLines collects what a JSON logger writes.
type logLines struct{ testkit.Printed }

// of returns the lines with this message, by their session.
func (l *logLines) of(t *testing.T, message string) map[string]map[string]any {
	t.Helper()
	bySession := map[string]map[string]any{}
	for line := range strings.Lines(l.String()) {
		var attributes map[string]any
		if err := json.Unmarshal([]byte(line), &attributes); err != nil {
			t.Fatalf("%q is not JSON: %v", line, err)
		}
		if attributes["msg"] != message {
			continue
		}
		id := fmt.Sprint(attributes["session"])
		if bySession[id] != nil {
			t.Errorf("two lines for one login: %s", line)
		}
		bySession[id] = attributes
	}
	return bySession
}

// latest returns the id of the session that began last.
func (s *testServer) latest() (id string) {
	s.T.Helper()
	query := s.App.DB().NewQuery("SELECT id FROM sessions ORDER BY rowid DESC LIMIT 1")
	if err := query.Row(&id); err != nil {
		s.T.Fatal(err)
	}
	return id
}

// everyOutcome makes one login of each outcome, and returns their sessions. The clock is the service's.
func (s *testServer) everyOutcome(clock *testClock) map[string]string {
	s.T.Helper()
	sessions := map[string]string{}
	_, readKey := s.Login()
	s.Poll(readKey)
	sessions["claimed"] = s.latest()
	for outcome, code := range map[string]string{"denied": "access_denied", "failed": "invalid_scope"} {
		authorizationURL, _ := s.Authorize()
		s.Get("/redirect?error=" + code + "&state=" + authorizationURL.Query().Get("state"))
		sessions[outcome] = s.latest()
	}
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant","error_description":"SECRET"}`)
	})
	s.Login()
	sessions["refused"] = s.latest()
	s.Provider.Answers(nil)

	s.Authorize()
	sessions["never came back"] = s.latest()
	s.Login()
	sessions["never claimed"] = s.latest()
	clock.move(s.server.config.SessionTTL)
	s.server.sweep()

	s.Authorize()
	sessions["deleted"] = s.latest()
	s.deleteRecord("sessions", sessions["deleted"])
	_, readKey = s.Login()
	sessions["ended"] = s.latest()
	for _, status := range []int{http.StatusNoContent, http.StatusNotFound} {
		if got := s.endSignIn(sessions["ended"]); got.Status != status {
			s.T.Fatalf("the session is not ended: %d %s", got.Status, got.Body)
		}
	}
	s.Expect("a login that the admin has ended", s.Poll(readKey), http.StatusBadRequest,
		`{"error":"access_denied",`+
			`"error_description":"The sign-in was ended by the admin. Please start again."}`)
	return sessions
}

// endSignIn ends a sign-in as an admin does on the dashboard's page.
func (s *testServer) endSignIn(id string) testkit.Answer {
	s.T.Helper()
	return s.Request(http.MethodPost, "/api/plugin-oauth/sign-ins/"+id+"/end", "", s.Admin())
}

// serveLogged starts the service with a clock and a log that the test reads.
func serveLogged(t *testing.T) (*testServer, *testClock, *logLines) {
	t.Helper()
	clock, out := newTestClock(), &logLines{}
	s := serve(t, func(c *Config) { c.Log, c.timing.now = slog.NewJSONHandler(out, nil), clock.now })
	return s, clock, out
}

// Each login that ends has one line, with what a person wants to know first. Polls have none. The dashboard's
// log has each failure once.
func TestLog(t *testing.T) {
	t.Parallel()
	s, clock, out := serveLogged(t)
	sessions := s.everyOutcome(clock)
	ended := out.of(t, "login ended")
	if len(ended) != len(sessions) || len(out.of(t, "invalid_grant")) != 0 {
		t.Fatalf("%d lines for %d logins: %v", len(ended), len(sessions), ended)
	}
	var dashboard string
	for _, name := range []string{"failed", "refused"} {
		dashboard = s.waitLogged(`"session":"` + sessions[name])
	}
	const redirected, tokens, end = "redirectedAfter", "tokensAfter", "endedAfter"
	const denied = "access_denied"
	failed := func(code string) loginLine {
		return loginLine{outcome: "failed", level: "WARN", code: code, after: []string{redirected, end}}
	}
	for name, want := range map[string]loginLine{
		"claimed":         {outcome: "claimed", level: "INFO", after: []string{redirected, tokens, end}},
		"denied":          {outcome: "denied", level: "INFO", code: denied, after: []string{redirected, end}},
		"failed":          failed("invalid_scope"),
		"refused":         failed("invalid_grant"),
		"never came back": {outcome: "expired", level: "INFO", after: []string{end}},
		"never claimed":   {outcome: "expired", level: "INFO", after: []string{redirected, tokens, end}},
		"deleted":         {outcome: "denied", level: "INFO", code: denied, after: []string{end}},
		"ended":           {outcome: "denied", level: "INFO", code: denied, after: []string{redirected, end}},
	} {
		t.Run(name, func(t *testing.T) {
			line := ended[sessions[name]]
			want.check(t, line)
			cause, hasCause := line["cause"]
			times := map[bool]int{true: 1}[hasCause]
			if got := strings.Count(dashboard, `"session":"`+sessions[name]); got != times {
				t.Errorf("the dashboard's log has %d lines; the cause is %v", got, cause)
			}
			message := fmt.Sprintf(`plugin-oauth: login ended {"cause":"%v"`, cause)
			if got := strings.Count(dashboard, message); hasCause && got != 1 {
				t.Errorf("the dashboard's log has %d lines of it:\n%s", got, dashboard)
			}
		})
	}
	if strings.Contains(out.String(), "SECRET") || strings.Contains(dashboard, "SECRET") {
		t.Error("the log quotes the provider")
	}
}

// loginLine is what the log line of a login that ended must say.
type loginLine struct {
	outcome, level, code string
	after                []string // the stages that it came to
}

func (want loginLine) check(t *testing.T, line map[string]any) {
	t.Helper()
	_, hasCause := line["cause"]
	if line["outcome"] != want.outcome || line["level"] != want.level || line["plugin"] != "/" ||
		(line["error"] != nil) != (want.code != "") || (want.code != "" && line["error"] != want.code) ||
		hasCause != (want.level == "WARN") {
		t.Errorf("the line is %v", line)
	}
	last := 0.0
	for _, stage := range []string{"redirectedAfter", "tokensAfter", "endedAfter"} {
		seconds, found := line[stage].(float64)
		if found != slices.Contains(want.after, stage) || (found && seconds < last) {
			t.Errorf("%s is %v in %v", stage, line[stage], line)
		}
		if limit := map[bool]float64{true: 660, false: 60}[want.outcome == "expired"]; seconds > limit {
			t.Errorf("%s is %v", stage, seconds)
		}
		last = max(last, seconds)
	}
}

// A login that was interrupted in its exchange ends once, when the service starts again.
func TestLogOfInterrupted(t *testing.T) {
	t.Parallel()
	s, _, out := serveLogged(t)
	authorizationURL, readKey := s.Authorize()
	owner := session.Owner{Fingerprint: s.server.config.Plugin.Fingerprint}
	state := authorizationURL.Query().Get("state")
	if _, err := s.server.sessions.Consume(t.Context(), owner, state); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.server.sessions.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	line := out.of(t, "login ended")[s.latest()]
	if line["outcome"] != "failed" || line["error"] != "server_error" || line["cause"] == nil {
		t.Errorf("logged %v", line)
	}
	s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, "server_error")
}

// A login that expires while its tokens are on the way ends once.
func TestExpiryDuringDelivery(t *testing.T) {
	t.Parallel()
	s, clock, out := serveLogged(t)
	_, readKey := s.Login()
	owner := session.Owner{Fingerprint: s.server.config.Plugin.Fingerprint}
	claim, err := s.server.sessions.Claim(t.Context(), owner, readKey)
	if err != nil {
		t.Fatal(err)
	}
	clock.move(defaultSessionTTL)
	s.server.sweep()
	if err := claim.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if line := out.of(t, "login ended")[s.latest()]; line["outcome"] != "expired" {
		t.Errorf("logged %v", line)
	}
	s.Expect("after it", s.Poll(readKey), http.StatusBadRequest,
		`{"error":"expired_token","error_description":"The sign-in took too long. Please start again."}`)
}

// A failure whose session is gone by then has no line of its own, so its cause is logged with the request.
func TestFailureOfDeletedSession(t *testing.T) {
	t.Parallel()
	s, _, out := serveLogged(t)
	s.Admin()
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		s.deleteRecord("sessions", s.latest())
		w.WriteHeader(http.StatusTeapot)
	})
	s.Login()
	ended := slices.Collect(maps.Values(out.of(t, "login ended")))
	if len(ended) != 1 || ended[0]["outcome"] != "denied" {
		t.Errorf("ended: %v", ended)
	}
	failed := out.of(t, "request failed")
	line := failed["<nil>"]
	if len(failed) != 1 || line["cause"] == nil || line["plugin"] != "/" || line["route"] != "/redirect" {
		t.Errorf("failed: %v", failed)
	}
}

// What is logged as information stays out of the dashboard's log.
func TestDashboardLogHasWarningsOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.server.log.Info("a detail")
	s.server.log.Warn("a warning")
	if logged := s.waitLogged("plugin-oauth: a warning"); strings.Contains(logged, "a detail") {
		t.Errorf("logged:\n%s", logged)
	}
}
