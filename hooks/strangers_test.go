package hooks

import (
	"bufio"
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pocketBaseRoutes are PocketBase's own routes, from apis/*.go in v0.40.4, each with what a stranger gets and
// why, unless it refuses. COLLECTION and ID stand for each of our collections and one of its records.
var pocketBaseRoutes = map[string]string{
	"GET /api/health": "200: says only that the service is up",

	"GET /api/collections":                          "",
	"POST /api/collections":                         "",
	"GET /api/collections/plugins":                  "",
	"PATCH /api/collections/plugins":                "",
	"DELETE /api/collections/plugins":               "",
	"DELETE /api/collections/sessions/truncate":     "",
	"PUT /api/collections/import":                   "",
	"GET /api/collections/meta/scaffolds":           "",
	"GET /api/collections/meta/oauth2-providers":    "",
	"POST /api/collections/meta/dry-run-view":       "",
	"GET /api/collections/COLLECTION/records":       "",
	"POST /api/collections/COLLECTION/records":      "",
	"GET /api/collections/COLLECTION/records/ID":    "",
	"PATCH /api/collections/COLLECTION/records/ID":  "",
	"DELETE /api/collections/COLLECTION/records/ID": "",

	"GET /api/collections/_superusers/auth-methods":            "200: admins sign in with a password",
	"POST /api/collections/_superusers/auth-with-password":     "400: the password is wrong",
	"POST /api/collections/_superusers/auth-refresh":           "",
	"POST /api/collections/_superusers/auth-with-oauth2":       "",
	"POST /api/collections/_superusers/auth-with-otp":          "",
	"POST /api/collections/_superusers/request-otp":            "",
	"POST /api/collections/_superusers/request-password-reset": "204: always; there is no mail server",
	"POST /api/collections/_superusers/confirm-password-reset": "400: the token is not one",
	"POST /api/collections/_superusers/request-verification":   "400: admins need none",
	"POST /api/collections/_superusers/confirm-verification":   "400: the token is not one",
	"POST /api/collections/_superusers/request-email-change":   "",
	"POST /api/collections/_superusers/confirm-email-change":   "400: the token is not one",
	"POST /api/collections/_superusers/impersonate/ID":         "",

	"GET /api/backups":                                "",
	"POST /api/backups":                               "",
	"POST /api/backups/upload":                        "",
	"GET /api/backups/x.zip":                          "",
	"DELETE /api/backups/x.zip":                       "",
	"POST /api/backups/x.zip/restore":                 "",
	"GET /api/crons":                                  "",
	"POST /api/crons/sweepSessions":                   "",
	"GET /api/logs":                                   "",
	"GET /api/logs/stats":                             "",
	"GET /api/logs/ID":                                "",
	"GET /api/settings":                               "",
	"PATCH /api/settings":                             "",
	"POST /api/settings/test/s3":                      "",
	"POST /api/settings/test/email":                   "",
	"POST /api/settings/apple/generate-client-secret": "",
	"POST /api/sql":                                   "",
	"POST /api/batch":                                 "",

	"POST /api/files/token":              "",
	"GET /api/files/COLLECTION/ID/x.txt": "",
	"GET /api/realtime":                  "200: an open stream that carries nothing without a subscription",
	"POST /api/realtime":                 "",
	"GET /api/oauth2-redirect":           "307: to the dashboard, which says that it knows no such login",
	"POST /api/oauth2-redirect":          "303: likewise",

	"GET /_/":              "200: the dashboard's sign-in page",
	"GET /_/extensions.js": "200: an empty script",
	"GET /_/extensions/":   "",
}

// strangersBody has what PocketBase's routes read, with nothing in it that is valid.
const strangersBody = `{"identity":"admin@plugin.example","password":"wrong",` +
	`"email":"admin@plugin.example","token":"x","clientId":"none"}`

// Strangers can neither read nor change anything of ours through PocketBase's API.
func TestStrangers(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.add("one", nil)
	s.Login()
	ids := map[string]string{}
	for _, collection := range []string{"sessions", "plugins", "_superusers"} {
		records, err := s.App.FindAllRecords(collection)
		if err != nil || len(records) == 0 {
			t.Fatal(collection, err)
		}
		ids[collection] = records[0].Id
	}
	ids["pending_sessions"], ids["login_stats"] = ids["sessions"], "x"
	t.Run("routes", func(t *testing.T) {
		for target, expected := range pocketBaseRoutes {
			if !strings.Contains(target, "COLLECTION") {
				s.askAsStranger(t, strings.ReplaceAll(target, "ID", ids["_superusers"]), expected)
				continue
			}
			for collection, id := range ids {
				filled := strings.NewReplacer("COLLECTION", collection, "ID", id).Replace(target)
				s.askAsStranger(t, filled, expected)
			}
		}
	})
	if count := s.countSessions("true"); count != 1 {
		t.Errorf("%d sessions are left", count)
	}
}

// askAsStranger is a case of TestStrangers: a route that refuses, or answers with the status before the
// colon.
func (s *testServer) askAsStranger(t *testing.T, target, expected string) {
	t.Run(target, func(t *testing.T) {
		t.Parallel()
		method, path, _ := strings.Cut(target, " ")
		body := strings.NewReader(strangersBody)
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		response, err := s.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close() // without reading: one of the routes is a stream
		want, _, _ := strings.Cut(expected, ":")
		switch got := response.StatusCode; {
		case want == strconv.Itoa(got):
		case expected == "" && (got == 401 || got == 403 || got == 404):
		case expected == "" && got == 400 && isRefusedAsBadRequest(method, path):
		default:
			t.Errorf("a stranger gets %s, expected %q", response.Status, expected)
		}
	})
}

// isRefusedAsBadRequest reports whether a 400 is a refusal: there is no such client of the realtime API,
// OAuth is off, or a view takes no writes.
func isRefusedAsBadRequest(method, path string) bool {
	isView := strings.Contains(path, "/pending_sessions/") || strings.Contains(path, "/login_stats/")
	return strings.Contains(path, "/api/realtime") || strings.Contains(path, "oauth2") ||
		(isView && method != http.MethodGet)
}

// listen opens a stream of PocketBase's realtime API, subscribed to everything of ours, and returns its
// lines. authorization is a header, or blank for a stranger.
func (s *testServer) listen(authorization string) <-chan string {
	s.T.Helper()
	response, err := s.Client.Get(s.URL + "/api/realtime")
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { response.Body.Close() })
	lines := make(chan string, 100)
	go func() {
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			if scanner.Text() != "" {
				lines <- scanner.Text()
			}
		}
		close(lines)
	}()
	var connected struct{ ClientID string }
	for connected.ClientID == "" {
		line, isOpen := <-lines
		if !isOpen {
			s.T.Fatal("the stream ended")
		}
		if data, found := strings.CutPrefix(line, "data:"); found {
			if err := json.Unmarshal([]byte(data), &connected); err != nil {
				s.T.Fatal(line, err)
			}
		}
	}
	subscriptions := `["sessions/*","plugins/*","pending_sessions/*","login_stats/*","sessions","plugins"]`
	got := s.Request(http.MethodPost, "/api/realtime",
		`{"clientId":"`+connected.ClientID+`","subscriptions":`+subscriptions+`}`,
		"Content-Type: application/json", authorization)
	if got.Status != http.StatusNoContent {
		s.T.Fatal(got.Status, got.Body)
	}
	return lines
}

// A stranger who listens for changes learns of none.
func TestStrangersHearNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	stranger, admin := s.listen(""), s.listen(s.Admin())
	s.add("one", nil)
	s.Login()
	saved := s.UpdatePlugin(s.record("one"), map[string]any{"name": "changed"})
	if saved.Status != http.StatusOK {
		t.Fatal(saved.Body)
	}
	// An admin learns of the last change; a stranger would have been told of it at the same time.
	for heard := ""; !strings.Contains(heard, `"name":"changed"`); {
		select {
		case heard = <-admin:
		case <-time.After(20 * time.Second):
			t.Fatal("an admin does not hear of a change")
		}
	}
	select {
	case line := <-stranger:
		t.Errorf("a stranger hears %s", line)
	case <-time.After(100 * time.Millisecond):
	}
}

// Every answer has the headers that OWASP lists: no sniffing, framing, referrer or cache. Only the client,
// which is not secret, may be cached, and loaded by any page.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	root.add("one", nil)
	for _, prefix := range []string{"", "/one"} {
		for _, r := range root.server.routes {
			for _, method := range []string{r.method, "OPTIONS", "PUT"} {
				t.Run(method+" "+prefix+r.path, func(t *testing.T) {
					t.Parallel()
					isClient := method == http.MethodGet && strings.HasPrefix(r.path, "/client.")
					target := prefix + r.path + "?readKey=x&code=x&state=y&token=z"
					got := root.in(t).Request(method, target, "", "Origin: https://evil.example")
					expectSecurityHeaders(t, got.Header, isClient)
				})
			}
		}
	}
}

func expectSecurityHeaders(t *testing.T, header http.Header, isClient bool) {
	t.Helper()
	ofClient := map[string]string{"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
	for name, want := range map[string]string{
		"X-Content-Type-Options":      "nosniff",
		"X-Frame-Options":             "DENY",
		"Referrer-Policy":             "no-referrer",
		"Cache-Control":               "no-store",
		"Access-Control-Allow-Origin": "",
		"Server":                      "",
		"X-Powered-By":                "",
		"Set-Cookie":                  "",
		"Strict-Transport-Security":   "",
	} {
		if isClient {
			want = cmp.Or(ofClient[name], want)
		}
		if header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, header.Get(name), want)
		}
	}
	policy := header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none';", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy is %q", policy)
		}
	}
}

// If this server itself terminates TLS, browsers are told to insist on it, except for localhost.
func TestStrictTransportSecurity(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for host, want := range map[string]string{
		"backend.example":      "max-age=31536000",
		"backend.example:8443": "max-age=31536000",
		"localhost:8787":       "",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			recorder := httptest.NewRecorder()
			s.server.serve(recorder, httptest.NewRequest(http.MethodGet, "https://"+host+"/", nil))
			if got := recorder.Header().Get("Strict-Transport-Security"); got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
		})
	}
}

// PocketBase's own health check is served, too.
func TestHealth(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var health struct{ Message string }
	if err := json.Unmarshal([]byte(s.Get("/api/health").Body), &health); err != nil || health.Message == "" {
		t.Error("PocketBase's health is not served", err)
	}
}
