package hooks

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
)

// logLines collects what a JSON logger writes.
type logLines struct{ output }

// of returns the lines of a message, by their session.
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
		session := fmt.Sprint(attributes["session"])
		if bySession[session] != nil {
			t.Errorf("two lines for one login: %s", line)
		}
		bySession[session] = attributes
	}
	return bySession
}

// latest is the id of the session that began last.
func (s *relayServer) latest() string {
	s.t.Helper()
	var id string
	if err := s.app.DB().NewQuery("SELECT id FROM sessions ORDER BY rowid DESC LIMIT 1").Row(&id); err != nil {
		s.t.Fatal(err)
	}
	return id
}

// outcomes makes one login of each outcome, and returns their sessions.
func (s *relayServer) outcomes() map[string]string {
	s.t.Helper()
	sessions := map[string]string{}
	_, readKey := s.login()
	s.poll(readKey)
	sessions["claimed"] = s.latest()

	for outcome, code := range map[string]string{"denied": "access_denied", "failed": "invalid_scope"} {
		authorizationURL, _ := s.authorize()
		s.get("/redirect?error=" + code + "&state=" + authorizationURL.Query().Get("state"))
		sessions[outcome] = s.latest()
	}
	s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant","error_description":"SECRET"}`)
	})
	s.login()
	sessions["refused"] = s.latest()
	s.provider.answers(nil)

	s.authorize()
	sessions["never came back"] = s.latest()
	s.login()
	sessions["never claimed"] = s.latest()
	// Not in the very millisecond in which the tokens came.
	_, err := s.app.DB().NewQuery("UPDATE sessions SET expires = {:soon} WHERE id IN ({:a}, {:b})").
		Bind(dbx.Params{"soon": timestamp(time.Now().Add(2 * time.Millisecond)), "a": sessions["never came back"], "b": sessions["never claimed"]}).Execute()
	if err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	s.relay.sweep()

	s.admin = s.superuser()
	s.authorize()
	sessions["deleted"] = s.latest()
	if got := s.request(http.MethodDelete, "/api/collections/sessions/records/"+sessions["deleted"], "", s.admin); got.status != http.StatusNoContent {
		s.t.Fatalf("the session is not deleted: %d %s", got.status, got.body)
	}
	_, readKey = s.login()
	sessions["ended"] = s.latest()
	for _, status := range []int{http.StatusNoContent, http.StatusNotFound} {
		if got := s.request(http.MethodPost, "/api/plugin-oauth/sign-ins/"+sessions["ended"]+"/end", "", s.admin); got.status != status {
			s.t.Fatalf("the session is not ended: %d %s", got.status, got.body)
		}
	}
	s.expect("a login that the admin has ended", s.poll(readKey), http.StatusBadRequest,
		`{"error":"access_denied","error_description":"The sign-in was ended by the admin. Please start again."}`)
	return sessions
}

// Each login that ends has one line, which says what a person wants to know first. Polls have none.
func TestLogOfEndings(t *testing.T) {
	t.Parallel()
	out := &logLines{}
	s := serve(t, func(c *Config) { c.Log = slog.NewJSONHandler(out, nil) })
	sessions := s.outcomes()
	ended := out.of(t, "login ended")
	if len(ended) != len(sessions) || len(out.of(t, "invalid_grant")) != 0 {
		t.Fatalf("%d lines for %d logins: %v", len(ended), len(sessions), ended)
	}
	for name, want := range map[string]struct {
		outcome, level, error string
		after                 []string
	}{
		"claimed":         {"claimed", "INFO", "", []string{"redirectedAfter", "tokensAfter", "endedAfter"}},
		"denied":          {"denied", "INFO", "access_denied", []string{"redirectedAfter", "endedAfter"}},
		"failed":          {"failed", "WARN", "invalid_scope", []string{"redirectedAfter", "endedAfter"}},
		"refused":         {"failed", "WARN", "invalid_grant", []string{"redirectedAfter", "endedAfter"}},
		"never came back": {"expired", "INFO", "", []string{"endedAfter"}},
		"never claimed":   {"expired", "INFO", "", []string{"redirectedAfter", "tokensAfter", "endedAfter"}},
		"deleted":         {"denied", "INFO", "access_denied", []string{"endedAfter"}},
		"ended":           {"denied", "INFO", "access_denied", []string{"redirectedAfter", "endedAfter"}},
	} {
		line := ended[sessions[name]]
		cause, hasCause := line["cause"]
		if line["outcome"] != want.outcome || line["level"] != want.level || line["plugin"] != "/" || (line["error"] != nil) != (want.error != "") ||
			(want.error != "" && line["error"] != want.error) || hasCause != (want.level == "WARN") {
			t.Errorf("%s: %v", name, line)
		}
		last := 0.0
		for _, stage := range []string{"redirectedAfter", "tokensAfter", "endedAfter"} {
			seconds, found := line[stage].(float64)
			if found != slices.Contains(want.after, stage) || seconds > 60 || (found && seconds < last) {
				t.Errorf("%s: %s is %v in %v", name, stage, line[stage], line)
			}
			last = max(last, seconds)
		}
		// The dashboard's log has the failures, once.
		if got := strings.Count(s.logged(), `plugin-oauth: login ended {"cause":"`+fmt.Sprint(cause)+`"`); hasCause && got != 1 {
			t.Errorf("%s: the dashboard's log has %d lines of it:\n%s", name, got, s.logged())
		}
		if got := strings.Count(s.logged(), `"session":"`+sessions[name]); got != map[bool]int{true: 1}[hasCause] {
			t.Errorf("%s: the dashboard's log has %d lines; the cause is %v", name, got, cause)
		}
	}
	if strings.Contains(out.String(), "SECRET") || strings.Contains(s.logged(), "SECRET") {
		t.Error("the log quotes the provider")
	}
}

// A login that a kill interrupted ends when the service is there again.
func TestLogOfInterrupted(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, _ := s.authorize()
	if _, err := s.relay.sessions.redirected(&s.provider.plugin, authorizationURL.Query().Get("state")); err != nil {
		t.Fatal(err)
	}
	store, err := newSessions(s.app, Config{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	var told []ending
	store.onEnd = func(e ending) { told = append(told, e) }
	for range 2 {
		if err := store.resume(); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || told[0].session != s.latest() || told[0].outcome != statusFailed || told[0].error != "server_error" || told[0].cause == "" {
		t.Errorf("told %+v", told)
	}
}

// A login that expires while its tokens are on the way ends once.
func TestExpiryDuringDelivery(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.login()
	store := s.relay.sessions
	var told []ending
	store.onEnd = func(e ending) { told = append(told, e) }
	id := s.latest()
	if _, err := store.claim(id, readKey); err != nil {
		t.Fatal(err)
	}
	if _, err := s.app.DB().NewQuery("UPDATE sessions SET expires = {:now}").Bind(dbx.Params{"now": timestamp(time.Now())}).Execute(); err != nil {
		t.Fatal(err)
	}
	s.relay.sweep()
	if err := store.delivered(id); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0].outcome != statusExpired {
		t.Errorf("told %+v", told)
	}
	s.expect("after it", s.poll(readKey), http.StatusBadRequest, `{"error":"expired_token","error_description":"The sign-in took too long. Please start again."}`)
}
