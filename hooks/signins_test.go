package hooks

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
)

// ask gets a route of the dashboard's page as an admin.
func (s *relayServer) ask(path string, into any) {
	s.t.Helper()
	if s.admin == "" {
		s.admin = s.superuser()
	}
	got := s.request(http.MethodGet, "/api/plugin-oauth/"+path, "", s.admin)
	if err := json.Unmarshal([]byte(got.body), into); err != nil || got.status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", path, got.status, got.body)
	}
}

func TestSignIns(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.EncryptionKey = testEncryptionKey })
	other := s.add("other", nil)
	s.outcomes()
	other.login()
	s.request(http.MethodPost, "/authorize", "", "Origin: https://abc123.plugins.framercdn.com")

	for _, span := range []string{"hour", "day", "week"} {
		var page signIns
		s.ask("sign-ins?span="+span, &page)
		root, sheet := funnel{"/", 9, 6, 2, 1, 3, 2, 2}, funnel{"other", 1, 1, 1, 0, 0, 0, 0}
		if span == "hour" { // the one whose row was deleted is in the totals only
			root.Started, root.Denied = 8, 2
		}
		if fmt.Sprint(page.Funnel) != fmt.Sprint([]funnel{root, sheet}) {
			t.Errorf("%s: the funnel is %+v", span, page.Funnel)
		}
		// Around a full hour, the logins are in the last two.
		hours := spans[span].hours
		if len(page.Hours) != hours || page.Hours[hours-1].Started+page.Hours[hours-2].Started != 10 || page.Hours[0].Started != 0 {
			t.Errorf("%s: %d hours, %+v", span, len(page.Hours), page.Hours[hours-1])
		}
		if page.LiveCount != 2 || len(page.Live) != 2 || page.Live[0].Stage != "started" || page.Live[0].Origin != "https://abc123.plugins.framercdn.com" ||
			page.Live[1].Plugin != "other" || page.Live[1].Stage != "finished" || page.Live[1].Left < 500 || page.Live[1].Age > 60 {
			t.Errorf("%s: under way are %d, %+v", span, page.LiveCount, page.Live)
		}
		if page.ToClaim.Count != 1 || page.ToClaim.Median != page.ToClaim.P95 || page.ToClaim.Median > 60 {
			t.Errorf("%s: %+v", span, page.ToClaim)
		}
		if len(page.Failures) != 2 || page.Failures[0].Error == page.Failures[1].Error {
			t.Fatalf("%s: failures are %+v", span, page.Failures)
		}
		for _, failure := range page.Failures {
			mend := map[string]string{"invalid_scope": "Check SCOPE:", "invalid_grant": "another redirect URI than " + s.url + "/redirect"}[failure.Error]
			if failure.Plugin != "/" || !strings.Contains(failure.Mend, mend) || failure.Description == "" || failure.ID == "" || failure.Ago > 60 {
				t.Errorf("%s: %+v", span, failure)
			}
		}
	}

	// One plugin: its own, but the funnel of all.
	var page signIns
	s.ask("sign-ins?span=day&plugin=other", &page)
	if len(page.Funnel) != 2 || page.LiveCount != 1 || len(page.Live) != 1 || len(page.Failures) != 0 || page.Hours[22].Started+page.Hours[23].Started != 1 {
		t.Errorf("of one plugin: %+v", page)
	}

	// Strangers, and plugins, are told nothing.
	for _, route := range []string{"sign-ins", "plugins", "doctor"} {
		if got := s.get("/api/plugin-oauth/" + route); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", route, got.status, got.body)
		}
	}
	if got := s.request(http.MethodGet, "/api/plugin-oauth/sign-ins?span=year", "", s.admin); got.status != http.StatusBadRequest {
		t.Errorf("%d %s", got.status, got.body)
	}
	// The page asks every few seconds: that is no news.
	if logged := s.logged(); strings.Contains(logged, "/api/plugin-oauth/sign-ins\"") && strings.Contains(logged, `"status":200,"type":"request","url":"/api/plugin-oauth/`) {
		t.Errorf("the page fills the log: %s", logged)
	}
}

// Of many sign-ins the page gets the newest, and the counts of all.
func TestSignInsOfMany(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, err := s.app.NonconcurrentDB().NewQuery(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5999)
		INSERT INTO sessions (id, plugin, status, created, redirected, completed, claimed, expires, stateHash, readKeyHash)
		SELECT printf('%015d', i), '', iif(i % 2, 'claimed', 'failed'),
			strftime('%Y-%m-%d %H:%M:%fZ', 'now', '-' || (i * 100) || ' seconds'), 'x', 'x', strftime('%Y-%m-%d %H:%M:%fZ', 'now', (10 - i * 100) || ' seconds'),
			strftime('%Y-%m-%d %H:%M:%fZ', 'now', (600 - i * 100) || ' seconds'), randomblob(41), randomblob(41) FROM n`).Execute()
	if err != nil {
		t.Fatal(err)
	}
	var page signIns
	s.ask("sign-ins?span=week", &page)
	if page.Funnel[0] != (funnel{"/", 6000, 6000, 3000, 3000, 0, 3000, 0}) || len(page.Failures) != maxListed || page.ToClaim.Count != maxClaims || page.ToClaim.Median != 10 {
		t.Errorf("%+v, %+v, %d failures", page.Funnel, page.ToClaim, len(page.Failures))
	}
}

// A span begins where it says, also for a login that outlasts its beginning.
func TestSignInsSpan(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.SessionRetention = 48 * time.Hour })
	for id, minutes := range map[string]int{"within": 30, "before": 65} {
		for _, status := range []string{"claimed", "failed"} {
			_, err := s.app.DB().NewQuery(`INSERT INTO sessions (id, plugin, status, created, completed, claimed, expires, stateHash, readKeyHash)
				VALUES ({:id} || {:status}, '', {:status}, {:created}, {:completed}, {:claimed}, {:expires}, randomblob(9), randomblob(9))`).Bind(dbx.Params{
				"id": id, "status": status, "created": timestamp(time.Now().Add(-time.Duration(minutes) * time.Minute)),
				"completed": timestamp(time.Now().Add(-20 * time.Minute)), "claimed": timestamp(time.Now().Add(-time.Duration(minutes)*time.Minute + 7*time.Second)),
				"expires": timestamp(time.Now().Add(time.Hour)),
			}).Execute()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var page signIns
	s.ask("sign-ins?span=hour", &page)
	if page.Funnel[0].Started != 2 || page.ToClaim.Count != 1 || math.Abs(page.ToClaim.Median-7) > 0.1 || len(page.Failures) != 1 || page.Failures[0].ID != "withinfailed" ||
		math.Abs(page.Failures[0].Ago-1200) > 60 || page.Retention != 48*3600 {
		t.Errorf("%+v", page)
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
	}{{nil, 0.5, 0}, {[]float64{7}, 0.95, 7}, {[]float64{3, 1, 2}, 0.5, 2}, {[]float64{4, 3, 2, 1}, 0.5, 2}, {many, 0.95, 95}, {many, 0.5, 50}} {
		if got := quantile(test.values, test.q); got != test.want {
			t.Errorf("the %v quantile of %d values is %v, want %v", test.q, len(test.values), got, test.want)
		}
	}
}

// Each kind of failure has a mend that names the plugin's own setting.
func TestMends(t *testing.T) {
	t.Parallel()
	root := &Plugin{RedirectURI: "https://relay.example/redirect"}
	sheets := &Plugin{Slug: "sheets", id: "record", RedirectURI: "https://relay.example/sheets/redirect", PKCE: "off"}
	for code, words := range map[string][2]string{
		"redirect_uri_mismatch":   {"https://relay.example/redirect", "https://relay.example/sheets/redirect"},
		"invalid_client":          {"CLIENT_SECRET", "clientSecret"},
		"invalid_scope":           {"SCOPE", "scope"},
		"invalid_grant":           {"https://relay.example/redirect", "https://relay.example/sheets/redirect"},
		"invalid_request":         {"try off in PKCE", "try on in the field pkce"},
		"temporarily_unavailable": {"out of reach", "out of reach"},
		"odd":                     {"documentation", "documentation"},
	} {
		for i, plugin := range []*Plugin{root, sheets} {
			if got := mend(code, plugin); !strings.Contains(got, words[i]) {
				t.Errorf("%s: %s", code, got)
			}
		}
	}
	if got := mend("invalid_scope", nil); !strings.Contains(got, "gone") {
		t.Error(got)
	}
}

// The addresses that the dashboard shows are those that the service and the provider use.
func TestPluginHelp(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.EncryptionKey, c.PublicURL = testEncryptionKey, "https://relay.example/" })
	s.add("sheets", func(fields map[string]any) { fields["pluginId"], fields["allowedOrigins"] = "ID1", "null" })
	s.add("off", func(fields map[string]any) { fields["enabled"] = false })
	for _, fields := range []map[string]any{
		{"slug": "shop", "provider": "shopify"},
		{"slug": "shop-own", "provider": "shopify", "tenant": "my-store"},
		{"slug": "vcs", "provider": "github"},
		{"slug": "vcs-own", "provider": "github", "revokeEndpoint": "https://vcs.example/revoke"},
	} {
		fields["enabled"], fields["clientId"], fields["clientSecret"] = true, "id", "secret"
		if got := s.save(http.MethodPost, "", fields); got.status != http.StatusOK {
			t.Fatal(got.body)
		}
	}
	var answer struct {
		Base    string
		Plugins []pluginHelp
	}
	s.ask("plugins", &answer)
	if answer.Base != "https://relay.example" || len(answer.Plugins) != 7 {
		t.Fatalf("%+v", answer)
	}
	root, off, sheets, shop := answer.Plugins[0], answer.Plugins[1], answer.Plugins[2], answer.Plugins[3]
	if root.Slug != "/" || root.Backend != answer.Base || root.RedirectURI != s.url+"/redirect" || root.Problem != "" || !root.Enabled || root.Revoke != "" {
		t.Errorf("%+v", root)
	}
	if off.Slug != "off" || off.Enabled || !strings.Contains(off.Problem, "switched off") {
		t.Errorf("%+v", off)
	}
	if sheets.Backend != "https://relay.example/sheets" || sheets.RedirectURI != "https://relay.example/sheets/redirect" ||
		fmt.Sprint(sheets.Origins) != "[http(s)://localhost, on any port https://id1.plugins.framercdn.com https://id1-VERSION.plugins.framercdn.com null]" {
		t.Errorf("%+v", sheets)
	}
	if shop.Provider != "Shopify" || shop.Tenant == nil || shop.Tenant.Name != "shop" || shop.Tenant.Default != "" {
		t.Errorf("%+v", shop)
	}
	shopOwn, vcs, vcsOwn := answer.Plugins[4], answer.Plugins[5], answer.Plugins[6]
	if shopOwn.Tenant != nil || vcs.Revoke != "access" || vcs.Console == "" || vcs.ID != s.record("vcs") || vcsOwn.Revoke != "any" {
		t.Errorf("%+v\n%+v\n%+v", shopOwn, vcs, vcsOwn)
	}
	if body := fmt.Sprintf("%+v", answer); strings.Contains(body, testClientSecret) || strings.Contains(body, "secret") {
		t.Error("a client secret is told")
	}
}

// The dashboard's page and the README tell authors the same.
func TestSnippetIsTheREADMEs(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := dashboardFiles.ReadFile("dashboard/plugins.js")
	if err != nil {
		t.Fatal(err)
	}
	_, snippet, found := strings.Cut(string(script), "=> `")
	snippet, _, closed := strings.Cut(snippet, "`\n\n//")
	before, after, _ := strings.Cut(snippet, "${tenant")
	_, after, tenant := strings.Cut(after, `: ""}`)
	snippet = strings.NewReplacer("${backend}", "http://localhost:8787").Replace(before + after)
	snippet = strings.Replace(snippet, " })\n", " })     // later: https://my-backend.fly.dev\n", 1)
	if !found || !closed || !tenant || !strings.Contains(string(readme), "```js\n"+snippet+"\n```") {
		t.Errorf("the README does not have\n%s", snippet)
	}
}

// The pages of the extension must not outlive the program in a browser's cache.
func TestExtensionIsNotCached(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for path, contentType := range map[string]string{"/_/extensions.js": "text/javascript", "/_/extensions/sign-ins/page.js": "text/javascript; charset=utf-8", "/_/extensions/sign-ins/style.css": "text/css; charset=utf-8"} {
		got := s.get(path)
		if got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-cache" || got.header.Get("Content-Type") != contentType {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
}

// The page's check of the set-up is the doctor's, and sees the headers of the admin's own proxy.
func TestDoctorRoute(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var findings []finding
	s.ask("doctor", &findings)
	if findings == nil || len(findings) != 0 {
		t.Errorf("found %+v", findings)
	}
	for _, header := range []string{"X-Forwarded-For", "Fly-Client-IP"} {
		s.relay.config.onFly = header == "Fly-Client-IP" // then the doctor says it by itself
		got := s.request(http.MethodGet, "/api/plugin-oauth/doctor", "", s.admin, header+": 192.0.2.1")
		if err := json.Unmarshal([]byte(got.body), &findings); err != nil || len(findings) != 1 || !strings.Contains(findings[0].Mend, header) {
			t.Errorf("behind a proxy: %s", got.body)
		}
	}
}

// A plugin that waits hears at once that the admin has ended the login.
func TestEndSignInWakes(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.admin = s.superuser()
	_, readKey := s.authorize()
	id, polled := s.latest(), make(chan answer, 1)
	go func() { polled <- s.post("/poll?wait=30&readKey=" + readKey) }()
	for deadline := time.Now().Add(5 * time.Second); s.relay.metrics.isWaiting() == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	if got := s.request(http.MethodPost, "/api/plugin-oauth/sign-ins/"+id+"/end", "", s.admin); got.status != http.StatusNoContent {
		t.Fatal(got.status, got.body)
	}
	if got := <-polled; got.status != http.StatusBadRequest || time.Since(began) > 10*time.Second {
		t.Errorf("after %s: %d %s", time.Since(began), got.status, got.body)
	}
	if held := s.relay.metrics.isWaiting(); held != 0 {
		t.Errorf("%v polls are said to wait", held)
	}
}

// A failure whose session is gone meanwhile has no line of its own, so its cause is logged with the request.
func TestFailureOfDeletedSession(t *testing.T) {
	t.Parallel()
	out := &logLines{}
	s := serve(t, func(c *Config) { c.Log = slog.NewJSONHandler(out, nil) })
	s.admin = s.superuser()
	s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
		if got := s.request(http.MethodDelete, "/api/collections/sessions/records/"+s.latest(), "", s.admin); got.status != http.StatusNoContent {
			t.Error(got.status, got.body)
		}
		w.WriteHeader(http.StatusTeapot)
	})
	s.login()
	ended, failed := out.of(t, "login ended"), out.of(t, "request failed")
	if len(ended) != 1 || slices.Collect(maps.Values(ended))[0]["outcome"] != "denied" || len(failed) != 1 || failed["<nil>"]["cause"] == "" || failed["<nil>"]["plugin"] != "/" || failed["<nil>"]["route"] != "/redirect" {
		t.Errorf("%v, %v", ended, failed)
	}
}
