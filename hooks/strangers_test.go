package hooks

import (
	"bufio"
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// pocketBaseRoutes are PocketBase's own, of apis/*.go in v0.40.4. What a stranger gets of them, if it is not a refusal,
// stands behind them with the reason.
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

	"GET /api/collections/_superusers/auth-methods":            "200: says that admins sign in with a password",
	"POST /api/collections/_superusers/auth-with-password":     "400: the password is wrong",
	"POST /api/collections/_superusers/auth-refresh":           "",
	"POST /api/collections/_superusers/auth-with-oauth2":       "",
	"POST /api/collections/_superusers/auth-with-otp":          "",
	"POST /api/collections/_superusers/request-otp":            "",
	"POST /api/collections/_superusers/request-password-reset": "204: the same for every address, and no mail server is set",
	"POST /api/collections/_superusers/confirm-password-reset": "400: the token is none",
	"POST /api/collections/_superusers/request-verification":   "400: admins need none",
	"POST /api/collections/_superusers/confirm-verification":   "400: the token is none",
	"POST /api/collections/_superusers/request-email-change":   "",
	"POST /api/collections/_superusers/confirm-email-change":   "400: the token is none",
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

// A stranger reads and changes nothing of ours through PocketBase's API.
func TestStrangers(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.add("one", nil)
	s.login()
	ids := map[string]string{}
	for _, collection := range []string{"sessions", "plugins", "_superusers"} {
		records, err := s.app.FindAllRecords(collection)
		if err != nil || len(records) == 0 {
			t.Fatal(collection, err)
		}
		ids[collection] = records[0].Id
	}
	ids["pending_sessions"], ids["login_stats"] = ids["sessions"], "x"
	client := &http.Client{CheckRedirect: showRedirects}
	ask := func(route, expected string) {
		method, path, _ := strings.Cut(route, " ")
		request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(`{"identity":"admin@plugin.example","password":"wrong","email":"admin@plugin.example","token":"x","clientId":"none"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			t.Errorf("%s: %v", route, err)
			return
		}
		defer response.Body.Close()
		want, _, _ := strings.Cut(expected, ":")
		switch got := response.StatusCode; {
		case expected == "" && (got == 401 || got == 403 || got == 404):
		case expected == "" && got == 400 && strings.Contains(path, "/api/realtime"): // there is no such client
		case expected == "" && got == 400 && strings.Contains(path, "oauth2"): // OAuth is not on
		case expected == "" && got == 400 && method != "GET" && (strings.Contains(path, "/pending_sessions/") || strings.Contains(path, "/login_stats/")): // a view takes no writes
		case want == strings.TrimSpace(response.Status[:3]):
		default:
			t.Errorf("%s: a stranger gets %s, expected %q", route, response.Status, expected)
		}
	}
	for route, expected := range pocketBaseRoutes {
		if !strings.Contains(route, "COLLECTION") {
			ask(strings.ReplaceAll(route, "ID", ids["_superusers"]), expected)
			continue
		}
		for collection, id := range ids {
			ask(strings.NewReplacer("COLLECTION", collection, "ID", id).Replace(route), expected)
		}
	}
	if count, err := s.app.CountRecords("sessions"); count != 1 || err != nil {
		t.Errorf("%d sessions are left, %v", count, err)
	}
}

// A stranger who listens for changes hears of none.
func TestStrangersHearNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	response, err := http.Get(s.url + "/api/realtime")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := make(chan string, 100)
	go func() {
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			lines <- scanner.Text()
		}
		close(lines)
	}()
	client := ""
	for line := range lines {
		if data, found := strings.CutPrefix(line, "data:"); found {
			var connected struct{ ClientID string }
			if err := json.Unmarshal([]byte(data), &connected); err != nil || connected.ClientID == "" {
				t.Fatal(line, err)
			}
			client = connected.ClientID
			break
		}
	}
	got := s.request(http.MethodPost, "/api/realtime", `{"clientId":"`+client+`","subscriptions":["sessions/*","plugins/*","pending_sessions/*","login_stats/*","sessions","plugins"]}`, "Content-Type: application/json")
	if got.status != http.StatusNoContent {
		t.Fatal(got.status, got.body)
	}
	s.add("one", nil)
	s.login()
	if got := s.save(http.MethodPatch, s.record("one"), map[string]any{"name": "changed"}); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	deadline := time.After(time.Second)
	for {
		select {
		case line := <-lines:
			if line != "" {
				t.Errorf("a stranger hears %s", line)
			}
		case <-deadline:
			return
		}
	}
}

// Every answer of ours has the headers that OWASP lists: no sniffing, framing, referrer or cache. Only the client, which is
// no secret, may be cached and is for every page.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.add("one", nil)
	for _, prefix := range []string{"", "/one"} {
		for _, route := range s.relay.routes {
			for _, method := range []string{route.method, "OPTIONS", "PUT"} {
				got := s.request(method, prefix+route.path+"?readKey=x&code=x&state=y&token=z", "", "Origin: https://evil.example")
				for name, want := range map[string]string{
					"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
					"Access-Control-Allow-Origin": "", "Server": "", "X-Powered-By": "", "Set-Cookie": "", "Strict-Transport-Security": "",
				} {
					if method == http.MethodGet && strings.HasPrefix(route.path, "/client.") {
						want = cmp.Or(map[string]string{"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}[name], want)
					}
					if got.header.Get(name) != want {
						t.Errorf("%s %s%s: %s is %q, want %q", method, prefix, route.path, name, got.header.Get(name), want)
					}
				}
				if policy := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || !strings.Contains(policy, "frame-ancestors 'none'") {
					t.Errorf("%s %s%s: the policy is %q", method, prefix, route.path, policy)
				}
			}
		}
	}
	for host, want := range map[string]string{"backend.example": "max-age=31536000", "backend.example:8443": "max-age=31536000", "localhost:8787": ""} {
		request := httptest.NewRequest(http.MethodGet, "https://"+host+"/", nil)
		recorder := httptest.NewRecorder()
		if s.relay.serve(recorder, request); recorder.Header().Get("Strict-Transport-Security") != want {
			t.Errorf("HTTPS on %s: %v", host, recorder.Header())
		}
	}
	var health struct{ Message string }
	if err := json.Unmarshal([]byte(s.get("/api/health").body), &health); err != nil || health.Message == "" {
		t.Error("PocketBase's health is not served", err)
	}
}
