package hooks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// superuser returns the Authorization header of an admin.
func (s *relayServer) superuser() string {
	s.t.Helper()
	collection, err := s.app.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		s.t.Fatal(err)
	}
	collection.Fields.GetByName("password").(*core.PasswordField).Cost = 4 // quick to hash
	record := core.NewRecord(collection)
	record.SetEmail(fmt.Sprintf("admin%d@plugin.example", time.Now().UnixNano()))
	record.SetPassword("long enough")
	if err := s.app.Save(record); err != nil {
		s.t.Fatal(err)
	}
	token, err := record.NewAuthToken()
	if err != nil {
		s.t.Fatal(err)
	}
	return "Authorization: " + token
}

// What the admin sees of logins in every state, and what nobody may do.
func TestSessionsInTheDashboard(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.request(http.MethodPost, "/authorize", "", "Origin: https://abc123.plugins.framercdn.com") // pending
	s.login()                                                                                    // ready
	_, claimed := s.login()
	s.poll(claimed)
	denied, _ := s.authorize()
	s.get("/redirect?error=access_denied&state=" + denied.Query().Get("state"))
	failed, _ := s.authorize()
	s.get("/redirect?error=invalid_scope&state=" + failed.Query().Get("state"))

	admin := s.superuser()
	got := s.request(http.MethodGet, "/api/collections/sessions/records?sort=created", "", admin)
	var list struct{ Items []map[string]any }
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Items) != 5 {
		t.Fatalf("the admin gets %d %s", got.status, got.body)
	}
	want := []string{"pending", "ready", "claimed", "denied", "failed"}
	for i, item := range list.Items {
		if item["status"] != want[i] {
			t.Errorf("session %d is %v, want %s", i, item["status"], want[i])
		}
		for name := range item {
			if !strings.Contains(" id plugin status error errorDescription cause origin created redirected completed claimed expires tenant collectionId collectionName ", " "+name+" ") {
				t.Errorf("the API shows the column %s", name)
			}
		}
		for name, filled := range map[string]bool{"redirected": i > 0, "completed": i > 0, "claimed": i == 2, "error": i > 2, "errorDescription": i > 2, "expires": true, "created": true, "origin": i == 0} {
			if (item[name] != "") != filled {
				t.Errorf("%s session: %s is %q", want[i], name, item[name])
			}
		}
	}

	got = s.request(http.MethodGet, "/api/collections/pending_sessions/records", "", admin)
	if strings.Count(got.body, `"status"`) != 2 {
		t.Errorf("pending_sessions: %s", got.body)
	}
	got = s.request(http.MethodGet, "/api/collections/login_stats/records", "", admin)
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("login_stats: %s", got.body)
	}
	for name, want := range map[string]float64{"started": 5, "underWay": 2, "claimed": 1, "denied": 1, "failed": 1, "expired": 0} {
		if list.Items[0][name] != want {
			t.Errorf("login_stats: %s is %v, want %v", name, list.Items[0][name], want)
		}
	}

	id := ""
	if err := s.app.DB().NewQuery("SELECT id FROM sessions WHERE status = 'pending'").Row(&id); err != nil {
		t.Fatal(err)
	}
	record := "/api/collections/sessions/records/" + id
	for _, request := range []struct {
		method, path, body, header string
		status                     int
	}{
		{"POST", "/api/collections/sessions/records", `{"status":"ready"}`, admin, 403},
		{"PATCH", record, `{"status":"ready"}`, admin, 403},
		{"POST", "/api/sql", `{"query":"UPDATE sessions SET status = 'ready'"}`, admin, 403},
		{"POST", "//api/./sql", `{"query":"SELECT * FROM sessions"}`, admin, 403},
		{"POST", "/api/sql/", `{"query":"SELECT * FROM sessions"}`, admin, 404},
		{"GET", "/api/collections/sessions/records", "", "", 403},
		{"GET", "/api/collections/pending_sessions/records", "", "", 403},
		{"GET", "/api/collections/login_stats/records", "", "", 403},
		{"GET", record, "", "", 403},
		{"DELETE", record, "", "", 403},
		{"POST", "/api/collections/users/records", `{"email":"a@b.example","password":"12345678","passwordConfirm":"12345678"}`, "", 404},
		{"DELETE", record, "", admin, 204},
	} {
		got := s.request(request.method, request.path, request.body, "Content-Type: application/json", request.header)
		if got.status != request.status {
			t.Errorf("%s %s: %d %s, want %d", request.method, request.path, got.status, got.body, request.status)
		}
	}
}

// Deleting a session ends its login, whatever its state.
func TestSessionDeleted(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	admin := s.superuser()
	authorizationURL, pending := s.authorize()
	callback := s.agree(authorizationURL)
	_, ready := s.login()
	records, err := s.app.FindAllRecords("sessions")
	if err != nil || len(records) != 2 {
		t.Fatal(len(records), err)
	}
	for _, record := range records {
		if got := s.request(http.MethodDelete, "/api/collections/sessions/records/"+record.Id, "", admin); got.status != http.StatusNoContent {
			t.Errorf("delete: %d %s", got.status, got.body)
		}
	}
	s.expect("pending", s.poll(pending), http.StatusNotFound, bodyUnknown)
	s.expect("ready", s.poll(ready), http.StatusNotFound, bodyUnknown)
	s.expectPage("redirect", s.get(callback), http.StatusBadRequest, "not known here")
	if s.provider.exchanges() != 1 {
		t.Error("the code of a deleted session was exchanged")
	}
}

// What is secret goes when a login ends; its row goes after the retention.
func TestSweep(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.SessionTTL = time.Minute })
	secrets := func() string {
		var held []string
		err := s.app.DB().NewQuery("SELECT status || ' ' || (publicKey IS NOT NULL) || (sealed IS NOT NULL) FROM sessions ORDER BY rowid").Column(&held)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(held, ", ")
	}
	s.authorize()
	s.login()
	_, claimed := s.login()
	s.poll(claimed)
	denied, _ := s.authorize()
	s.get("/redirect?error=access_denied&state=" + denied.Query().Get("state"))
	if got, want := secrets(), "pending 10, ready 01, claimed 00, denied 00"; got != want {
		t.Errorf("held: %s, want %s", got, want)
	}

	sweep := func(retention time.Duration) {
		t.Helper()
		store, err := newSessions(s.app, Config{SessionTTL: time.Minute, SessionRetention: retention})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.sweep(); err != nil {
			t.Fatal(err)
		}
	}
	sweep(time.Hour)
	if got, want := secrets(), "pending 10, ready 01, claimed 00, denied 00"; got != want {
		t.Errorf("the sweep took from living sessions: %s", got)
	}
	// Ten minutes later.
	past := timestamp(time.Now().Add(-9 * time.Minute))
	_, err := s.app.DB().NewQuery("UPDATE sessions SET expires = {:past}").Bind(dbx.Params{"past": past}).Execute()
	if err != nil {
		t.Fatal(err)
	}
	sweep(time.Hour)
	if got, want := secrets(), "expired 00, expired 00, claimed 00, denied 00"; got != want {
		t.Errorf("after expiry: %s, want %s", got, want)
	}
	sweep(8 * time.Minute)
	if got := secrets(); got != "" {
		t.Errorf("after the retention: %s", got)
	}
}

// The sweep is a job of PocketBase's, so it runs each minute and stands in the dashboard.
func TestSweepIsScheduled(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.SessionTTL = time.Millisecond })
	s.authorize()
	time.Sleep(5 * time.Millisecond)
	for _, job := range s.app.Cron().Jobs() {
		if job.Id() == "sweepSessions" && job.Expression() == "* * * * *" {
			job.Run()
		}
	}
	var status string
	if err := s.app.DB().NewQuery("SELECT status FROM sessions").Row(&status); err != nil || status != statusExpired {
		t.Errorf("status %q, %v", status, err)
	}
}

// No statement reads the whole table: an index serves each.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	store := &sessions{}
	placeholder := regexp.MustCompile(`\?\d*`)
	for _, prepared := range store.statements(nil, nil) {
		if prepared.statement == &store.insert || prepared.statement == &store.storeTotal {
			continue
		}
		var plan []struct{ Detail string }
		query := placeholder.ReplaceAllString(prepared.query, "'x'")
		if err := s.app.DB().NewQuery("EXPLAIN QUERY PLAN " + query).All(&plan); err != nil || len(plan) == 0 {
			t.Errorf("%s: %v", query, err)
		}
		for _, step := range plan {
			switch step.Detail {
			case "SCAN sessions USING INDEX sessions_living": // an index of the few that are alive
				continue
			case "USE TEMP B-TREE FOR GROUP BY", "COMPOUND QUERY", "LEFT-MOST SUBQUERY", "UNION ALL", "CO-ROUTINE (subquery-2)", "SCAN (subquery-2)": // of the hour that is under way
				continue
			}
			if strings.Contains(step.Detail, "SCAN") || !strings.Contains(step.Detail, "INDEX") && !strings.Contains(step.Detail, "PRIMARY KEY") && !strings.Contains(step.Detail, "LIST SUBQUERY") {
				t.Errorf("%s: %s", query, step.Detail)
			}
		}
	}
}

// fill puts sessions that ended long ago into the table.
func (s *relayServer) fill(count int) {
	s.t.Helper()
	query := `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {:count})
		INSERT INTO sessions (id, status, created, expires, stateHash, readKeyHash)
		SELECT printf('%015d', i), iif(i % 2, 'ready', 'claimed'), '2020-01-01 00:00:00.000Z', '2020-01-01 00:10:00.000Z', randomblob(41), randomblob(41) FROM n`
	if _, err := s.app.NonconcurrentDB().NewQuery(query).Bind(dbx.Params{"count": count}).Execute(); err != nil {
		s.t.Fatal(err)
	}
}

// The sweep lets others in between its steps.
func TestSweepOfMany(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.fill(20_000)
	swept := make(chan error, 1)
	store, err := newSessions(s.app, Config{SessionRetention: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := store.sweep()
		swept <- err
	}()
	var longest time.Duration
	requests := 0
	for sweeping := true; sweeping; requests++ {
		began := time.Now()
		s.authorize()
		longest = max(longest, time.Since(began))
		select {
		case err := <-swept:
			if sweeping = false; err != nil {
				t.Error(err)
			}
		default:
		}
	}
	t.Logf("%d starts during the sweep, the longest took %s", requests, longest)
	if requests < 20 {
		t.Errorf("only %d starts got in during the sweep; the longest took %s", requests, longest)
	}
	if count, err := s.app.CountRecords("sessions", dbx.NewExp("created < '2021'")); count != 0 || err != nil {
		t.Errorf("the sweep left %d, %v", count, err)
	}
}

func TestSealing(t *testing.T) {
	t.Parallel()
	readKey, state := newKey(), newKey()
	private, err := keyPair(readKey)
	if err != nil {
		t.Fatal(err)
	}
	public := private.PublicKey().Bytes()
	sealed, err := sealTokens(public, "session", []byte(tokenResponse))
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := openTokens(readKey, "session", sealed); err != nil || string(opened) != tokenResponse {
		t.Errorf("opened %q, %v", opened, err)
	}
	if _, err := openTokens(readKey, "other session", sealed); err == nil {
		t.Error("tokens open in another session")
	}
	if _, err := openTokens(newKey(), "session", sealed); err == nil {
		t.Error("tokens open with another key")
	}
	if again, _ := sealTokens(public, "session", []byte(tokenResponse)); string(again) == string(sealed) {
		t.Error("sealing is not randomised")
	}
	verifier := codeVerifier(state, public)
	if len(verifier) != 43 || url.QueryEscape(verifier) != verifier {
		t.Errorf("the verifier %q is not of RFC 7636's form", verifier)
	}
	if verifier != codeVerifier(state, public) || verifier == codeVerifier(newKey(), public) || verifier == codeVerifier(state, []byte("another")) {
		t.Error("the verifier does not depend on the state and the public key alone")
	}
}

// An admin who swaps the public key of a pending session for his own gets no tokens: the code verifier no longer fits.
func TestSwappedPublicKey(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.authorize()
	private, err := keyPair("the admin's")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.app.DB().NewQuery("UPDATE sessions SET publicKey = {:key}").Bind(dbx.Params{"key": private.PublicKey().Bytes()}).Execute(); err != nil {
		t.Fatal(err)
	}
	s.expectPage("redirect", s.get(s.agree(authorizationURL)), http.StatusBadGateway, "Sign-in failed")
	if s.poll(readKey).status != http.StatusBadRequest || s.provider.exchanges() != 0 {
		t.Error("the provider accepted the code")
	}
	s.provider.refusals = nil // it refused the verifier, as it should
}

// No admin can break the service by changing or deleting the collections that it runs on.
func TestCollectionsAreProtected(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	admin := s.superuser()
	for _, name := range []string{"sessions", "pending_sessions", "login_stats", "plugins"} {
		for _, request := range [][2]string{
			{"DELETE", ""}, {"PATCH", `{"name":"renamed"}`}, {"PATCH", `{"listRule":""}`}, {"PATCH", `{"fields":[]}`},
		} {
			if got := s.request(request[0], "/api/collections/"+name, request[1], admin, "Content-Type: application/json"); got.status < 400 {
				t.Errorf("%s %s %s: %d %s", request[0], name, request[1], got.status, got.body)
			}
		}
	}
	// An export that is imported unchanged is no change.
	exported := s.request(http.MethodGet, "/api/collections?perPage=200", "", admin)
	var export struct{ Items json.RawMessage }
	if err := json.Unmarshal([]byte(exported.body), &export); err != nil {
		t.Fatal(err)
	}
	for _, deleteMissing := range []string{"false", "true"} {
		body := `{"collections":` + string(export.Items) + `,"deleteMissing":` + deleteMissing + `}`
		if got := s.request(http.MethodPut, "/api/collections/import", body, admin, "Content-Type: application/json"); got.status != http.StatusNoContent {
			t.Errorf("import of the export: %d %s", got.status, got.body)
		}
	}
	got := s.request(http.MethodPut, "/api/collections/import", `{"collections":[{"name":"other","type":"base","fields":[]}],"deleteMissing":true}`, admin, "Content-Type: application/json")
	if got.status < 400 {
		t.Errorf("import: %d %s", got.status, got.body)
	}
	if got := s.request(http.MethodPost, "/api/collections", `{"name":"own","type":"base","fields":[{"name":"text","type":"text"}]}`, admin, "Content-Type: application/json"); got.status != http.StatusOK {
		t.Errorf("a collection of the admin's own: %d %s", got.status, got.body)
	}
	page, readKey := s.login()
	s.expectPage("login", page, http.StatusOK, "You are signed in")
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
	if got := s.request(http.MethodDelete, "/api/collections/sessions/truncate", "", admin); got.status != http.StatusNoContent {
		t.Errorf("truncate: %d %s", got.status, got.body)
	}
}

func TestSuperuserFromTheEnvironment(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.SuperuserEmail, c.SuperuserPassword = "admin@plugin.example", "long enough" })
	login := func(password string) int {
		return s.request(http.MethodPost, "/api/collections/_superusers/auth-with-password",
			`{"identity":"admin@plugin.example","password":"`+password+`"}`, "Content-Type: application/json").status
	}
	if login("long enough") != http.StatusOK || login("another password") != http.StatusBadRequest {
		t.Error("the admin of the environment cannot sign in")
	}
	// A second start with another password leaves the admin's own alone.
	if err := createSuperuser(s.app, Config{SuperuserEmail: "admin@plugin.example", SuperuserPassword: "another password"}); err != nil {
		t.Fatal(err)
	}
	if login("long enough") != http.StatusOK {
		t.Error("the password was changed")
	}
}

// Only the headers of TRUSTED_PROXY_HEADERS are believed, whatever the settings in the database say.
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.TrustedProxyHeaders = []string{"Fly-Client-IP"} })
	realIP := func() string {
		request, _ := http.NewRequest(http.MethodGet, "/", nil)
		request.RemoteAddr = "192.0.2.1:1"
		request.Header.Set("X-Forwarded-For", "203.0.113.9")
		request.Header.Set("Fly-Client-IP", "198.51.100.7")
		e := &core.RequestEvent{App: s.app}
		e.Request = request
		return e.RealIP()
	}
	if got := realIP(); got != "198.51.100.7" {
		t.Errorf("at start: %s", got)
	}
	settings := s.app.Settings()
	settings.TrustedProxy.Headers = []string{"X-Forwarded-For"}
	if err := s.app.Save(settings); err != nil {
		t.Fatal(err)
	}
	if got := realIP(); got != "198.51.100.7" {
		t.Errorf("after a save in the dashboard: %s", got)
	}
}
