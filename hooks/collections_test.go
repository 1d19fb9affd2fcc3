package hooks

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

const asJSON = "Content-Type: application/json"

// list reads the records of a collection as an admin.
func (s *testServer) list(collection string) []map[string]any {
	s.T.Helper()
	path := "/api/collections/" + collection + "/records?sort=created"
	if collection == "login_stats" || collection == "login_totals" {
		path = "/api/collections/" + collection + "/records" // they have no such column
	}
	var list struct{ Items []map[string]any }
	readJSON(s.Backend, path, &list)
	return list.Items
}

// inEveryStatus starts the service with one login in each status but expired: pending, ready, claimed, denied
// and failed, the oldest first.
func inEveryStatus(t *testing.T) *testServer {
	t.Helper()
	clock := newTestClock()
	s := serve(t, clock.setIn)
	s.Request(http.MethodPost, "/authorize", "", "Origin: https://abc123.plugins.framercdn.com")
	clock.move(time.Second)
	s.Login()
	clock.move(time.Second)
	_, claimed := s.Login()
	s.Poll(claimed)
	for _, code := range []string{"access_denied", "invalid_scope"} {
		clock.move(time.Second)
		authorizationURL, _ := s.Authorize()
		s.Get("/redirect?error=" + code + "&state=" + authorizationURL.Query().Get("state"))
	}
	return s
}

// The admin sees logins in every status, without what is secret.
func TestSessionsInTheDashboard(t *testing.T) {
	t.Parallel()
	s := inEveryStatus(t)
	const shown = " id plugin status error errorDescription cause origin created redirected completed " +
		"claimed expires tenant collectionId collectionName "
	want := []string{"pending", "ready", "claimed", "denied", "failed"}
	items := s.list("sessions")
	if len(items) != len(want) {
		t.Fatalf("the admin sees %v", items)
	}
	for i, item := range items {
		if item["status"] != want[i] {
			t.Errorf("session %d is %v, want %s", i, item["status"], want[i])
		}
		for name := range item {
			if !strings.Contains(shown, " "+name+" ") {
				t.Errorf("the API shows the column %s", name)
			}
		}
		for name, filled := range map[string]bool{
			"redirected": i > 0, "completed": i > 0, "claimed": i == 2, "error": i > 2,
			"errorDescription": i > 2, "expires": true, "created": true, "origin": i == 0,
		} {
			if (item[name] != "") != filled {
				t.Errorf("%s session: %s is %q", want[i], name, item[name])
			}
		}
	}
	got := s.Request(http.MethodGet, "/api/collections/pending_sessions/records", "", s.Admin())
	if strings.Count(got.Body, `"status"`) != 2 {
		t.Errorf("pending_sessions: %s", got.Body)
	}
	stats := s.list("login_stats")
	if len(stats) != 1 {
		t.Fatalf("login_stats: %v", stats)
	}
	for name, want := range map[string]float64{
		"started": 5, "underWay": 2, "claimed": 1, "denied": 1, "failed": 1, "expired": 0,
	} {
		if stats[0][name] != want {
			t.Errorf("login_stats: %s is %v, want %v", name, stats[0][name], want)
		}
	}
}

// Nobody may create or change a session, and strangers may not see one.
func TestSessionsAreReadOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.Authorize()
	admin := s.Admin()
	sessions := "/api/collections/sessions/records"
	record := sessions + "/" + s.latest()
	const person = `{"email":"a@b.example","password":"12345678","passwordConfirm":"12345678"}`
	const ready = `{"status":"ready"}`
	for _, test := range []struct {
		name, method, path, body, header string
		status                           int
	}{
		{name: "create", method: "POST", path: sessions, body: ready, header: admin, status: 403},
		{name: "update", method: "PATCH", path: record, body: ready, header: admin, status: 403},
		{name: "SQL", method: "POST", path: "/api/sql",
			body: `{"query":"UPDATE sessions SET status = 'ready'"}`, header: admin, status: 403},
		{name: "SQL at an odd address", method: "POST", path: "/api/./sql",
			body: `{"query":"SELECT * FROM sessions"}`, header: admin, status: 403},
		{name: "SQL with a slash behind", method: "POST", path: "/api/sql/",
			body: `{"query":"SELECT * FROM sessions"}`, header: admin, status: 404},
		{name: "a stranger lists", method: "GET", path: sessions, status: 401},
		{name: "a stranger lists those pending", method: "GET",
			path: "/api/collections/pending_sessions/records", status: 401},
		{name: "a stranger counts", method: "GET", path: "/api/collections/login_stats/records", status: 401},
		{name: "a stranger adds up", method: "GET",
			path: "/api/collections/login_totals/records", status: 401},
		{name: "a stranger looks", method: "GET", path: record, status: 401},
		{name: "a stranger deletes", method: "DELETE", path: record, status: 401},
		{name: "a stranger signs up", method: "POST", path: "/api/collections/users/records", body: person,
			status: 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := s.Request(test.method, test.path, test.body, asJSON, test.header)
			if got.Status != test.status {
				t.Errorf("%d %s, want %d", got.Status, got.Body, test.status)
			}
		})
	}
}

// Deleting a session ends its login, whatever its state.
func TestSessionDeleted(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, pending := s.Authorize()
	callback := s.Agree(authorizationURL)
	_, ready := s.Login()
	records := s.list("sessions")
	if len(records) != 2 {
		t.Fatal(records)
	}
	for _, record := range records {
		s.deleteRecord("sessions", record["id"].(string))
	}
	s.Expect("pending", s.Poll(pending), http.StatusNotFound, bodyUnknown)
	s.Expect("ready", s.Poll(ready), http.StatusNotFound, bodyUnknown)
	s.ExpectPage("redirect", s.Get(callback), http.StatusBadRequest, "not known here")
	if s.Provider.Exchanges() != 1 {
		t.Error("the code of a deleted session was exchanged")
	}
}

// deleteRecord deletes a record as an admin.
func (s *testServer) deleteRecord(collection, id string) {
	s.T.Helper()
	got := s.Request(http.MethodDelete, "/api/collections/"+collection+"/records/"+id, "", s.Admin())
	if got.Status != http.StatusNoContent {
		s.T.Errorf("the record is not deleted: %d %s", got.Status, got.Body)
	}
}

// The admin sees the totals, and cannot change them.
func TestTotalsInTheDashboard(t *testing.T) {
	t.Parallel()
	s := inEveryStatus(t)
	s.server.sweep()
	sums := map[string]float64{}
	var id string
	for _, total := range s.list("login_totals") { // two, if an hour has just ended
		id = total["id"].(string)
		for _, name := range strings.Fields("started redirected finished claimed denied failed expired") {
			sums[name] += total[name].(float64)
		}
	}
	for name, want := range map[string]float64{
		"started": 5, "redirected": 4, "finished": 2, "claimed": 1, "denied": 1, "failed": 1, "expired": 0,
	} {
		if sums[name] != want {
			t.Errorf("%s is %v, want %v", name, sums[name], want)
		}
	}
	for method, path := range map[string]string{http.MethodPost: "", http.MethodPatch: "/" + id} {
		target := "/api/collections/login_totals/records" + path
		got := s.Request(method, target, `{"started":9}`, s.Admin(), asJSON)
		if got.Status != http.StatusForbidden {
			t.Errorf("%s: %d %s", method, got.Status, got.Body)
		}
	}
}

// No admin can break the service by changing or deleting the collections that it runs on.
func TestCollectionsAreProtected(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, name := range []string{"sessions", "pending_sessions", "login_stats", "login_totals", "plugins"} {
		for _, change := range []struct{ name, method, body string }{
			{name: "delete", method: http.MethodDelete},
			{name: "rename", method: http.MethodPatch, body: `{"name":"renamed"}`},
			{name: "list rule", method: http.MethodPatch, body: `{"listRule":""}`},
			{name: "fields", method: http.MethodPatch, body: `{"fields":[]}`},
		} {
			t.Run(name+" "+change.name, func(t *testing.T) {
				got := s.Request(change.method, "/api/collections/"+name, change.body, s.Admin(), asJSON)
				if got.Status < 400 {
					t.Errorf("%d %s", got.Status, got.Body)
				}
			})
		}
	}
	page, readKey := s.Login()
	s.ExpectPage("login", page, http.StatusOK, "You are signed in")
	s.Expect("poll", s.Poll(readKey), http.StatusOK, testkit.TokenResponse)
	truncated := s.Request(http.MethodDelete, "/api/collections/sessions/truncate", "", s.Admin())
	if truncated.Status != http.StatusNoContent {
		t.Errorf("truncate: %d %s", truncated.Status, truncated.Body)
	}
}

// An import may add collections, and bring those of the service only as they are.
func TestImportOfCollections(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	exported := s.Request(http.MethodGet, "/api/collections?perPage=200", "", s.Admin())
	var export struct{ Items json.RawMessage }
	if err := json.Unmarshal([]byte(exported.Body), &export); err != nil {
		t.Fatal(err)
	}
	for _, deleteMissing := range []string{"false", "true"} {
		body := `{"collections":` + string(export.Items) + `,"deleteMissing":` + deleteMissing + `}`
		got := s.Request(http.MethodPut, "/api/collections/import", body, s.Admin(), asJSON)
		if got.Status != http.StatusNoContent {
			t.Errorf("the export, deleteMissing %s: %d %s", deleteMissing, got.Status, got.Body)
		}
	}
	const others = `{"collections":[{"name":"other","type":"base","fields":[]}],"deleteMissing":true}`
	refused := s.Request(http.MethodPut, "/api/collections/import", others, s.Admin(), asJSON)
	if refused.Status < 400 {
		t.Errorf("without those of the service: %d %s", refused.Status, refused.Body)
	}
	const own = `{"name":"own","type":"base","fields":[{"name":"text","type":"text"}]}`
	got := s.Request(http.MethodPost, "/api/collections", own, s.Admin(), asJSON)
	if got.Status != http.StatusOK {
		t.Errorf("a collection of the admin's own: %d %s", got.Status, got.Body)
	}
	page, readKey := s.Login()
	s.ExpectPage("login", page, http.StatusOK, "You are signed in")
	s.Expect("poll", s.Poll(readKey), http.StatusOK, testkit.TokenResponse)
}
