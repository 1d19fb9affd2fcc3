package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/dashboard"
	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

const baseURL = "https://backend.example"

// serve starts an app with the page, for a plugin of the environment and those that the test creates. edit
// may change the options.
func serve(t *testing.T, edit func(*dashboard.Options)) *testkit.Server {
	t.Helper()
	return testkit.Serve(t, func(app core.App, backend *testkit.Backend) error {
		defaults := plugins.Defaults{
			PublicURL: baseURL, EncryptionKey: "0123456789abcdef0123456789abcdef",
		}
		records := plugins.NewRecords(app, defaults)
		records.Bind()
		environment := plugins.Plugin{Client: backend.Provider.Client(baseURL)}.Complete(defaults)
		options := dashboard.Options{
			Environment: &environment,
			Records:     records,
			BaseURL:     baseURL,
			Retention:   time.Hour,
			Report: func(context.Context, dashboard.ReportRequest) (session.Report, error) {
				return session.Report{}, nil
			},
			Cancel: func(context.Context, string) (bool, error) { return false, nil },
			Check:  func(*http.Request) ([]doctor.Finding, error) { return []doctor.Finding{}, nil },
		}
		if edit != nil {
			edit(&options)
		}
		app.OnServe().BindFunc(func(e *core.ServeEvent) error {
			e.InstallerFunc = nil // it would print a superuser token
			dashboard.Bind(e, options)
			return e.Next()
		})
		return nil
	})
}

// ask requests one of the page's routes as an admin.
func ask(s *testkit.Server, path string, into any) {
	s.T.Helper()
	got := s.Request(http.MethodGet, "/api/plugin-oauth/"+path, "", s.Admin())
	if err := json.Unmarshal([]byte(got.Body), into); err != nil || got.Status != http.StatusOK {
		s.T.Fatalf("%s: %d %s", path, got.Status, got.Body)
	}
}

// Strangers, and plugins, are told nothing.
func TestAdminsOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, request := range []string{
		"GET sign-ins", "GET plugins", "GET providers", "GET doctor", "POST sign-ins/id/end",
	} {
		t.Run(request, func(t *testing.T) {
			method, path, _ := strings.Cut(request, " ")
			got := s.Request(method, "/api/plugin-oauth/"+path, "")
			if got.Status != http.StatusUnauthorized {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
}

// The page names its span by a word, and the report goes back that far.
func TestSpans(t *testing.T) {
	t.Parallel()
	var asked dashboard.ReportRequest
	s := serve(t, func(options *dashboard.Options) {
		options.Report = func(_ context.Context, request dashboard.ReportRequest) (session.Report, error) {
			asked = request
			return session.Report{}, nil
		}
	})
	day := dashboard.ReportRequest{Span: 24 * time.Hour, Hours: 24}
	for _, test := range []struct {
		name, query string
		want        dashboard.ReportRequest // zero: it is refused
	}{
		{name: "hour", query: "?span=hour", want: dashboard.ReportRequest{Span: time.Hour, Hours: 24}},
		{name: "day", query: "?span=day", want: day},
		{name: "week", query: "?span=week",
			want: dashboard.ReportRequest{Span: 7 * 24 * time.Hour, Hours: 7 * 24}},
		{name: "none", want: day},
		{name: "plugin", query: "?plugin=one",
			want: dashboard.ReportRequest{Span: day.Span, Hours: day.Hours, Plugin: "one"}},
		{name: "unknown", query: "?span=year"},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked = dashboard.ReportRequest{}
			got := s.Request(http.MethodGet, "/api/plugin-oauth/sign-ins"+test.query, "", s.Admin())
			refused := test.want == dashboard.ReportRequest{}
			if asked != test.want || refused != (got.Status == http.StatusBadRequest) {
				t.Errorf("%d %s, asked for %+v", got.Status, got.Body, asked)
			}
		})
	}
}

// The machines of a cluster are in the answer, and without one there is nothing of it.
func TestMachines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		machines func() []dashboard.Machine
		want     string
	}{
		"one machine": {},
		"a cluster": {
			machines: func() []dashboard.Machine { return []dashboard.Machine{{Name: "a", IsThis: true}} },
			want: `,"machines":[{"name":"a","version":"","leads":false,"isThis":true,"seen":null,` +
				`"free":null,"ahead":null}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(options *dashboard.Options) { options.Machines = test.machines })
			got := s.Request(http.MethodGet, "/api/plugin-oauth/sign-ins", "", s.Admin())
			if got.Status != http.StatusOK || !strings.Contains(got.Body, test.want) ||
				strings.Contains(got.Body, "machines") != (test.want != "") {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
}

// Each failure has a fix that names the plugin's own setting, as long as the plugin exists.
func TestFixes(t *testing.T) {
	t.Parallel()
	s := serve(t, func(options *dashboard.Options) {
		options.Report = func(context.Context, dashboard.ReportRequest) (session.Report, error) {
			return session.Report{Failures: []session.FailureKind{
				{Plugin: "/", Error: "invalid_scope"},
				{Plugin: "sheets", Error: "invalid_scope"},
				{Plugin: "deleted", Error: "invalid_scope"},
			}}, nil
		}
	})
	createPlugin(s, map[string]any{"slug": "sheets", "provider": "github"})
	var report session.Report
	ask(s, "sign-ins", &report)
	if report.Retention != time.Hour.Seconds() || len(report.Failures) != 3 {
		t.Fatalf("%+v", report)
	}
	for i, words := range []string{
		"Check SCOPE:", "Check the field scope of the plugin sheets in the dashboard:",
		"The plugin is gone, so there is nothing to fix.",
	} {
		if fix := report.Failures[i].Fix; !strings.HasPrefix(fix, words) {
			t.Errorf("%s: %s", report.Failures[i].Plugin, fix)
		}
	}
}

// createPlugin saves a plugin with these fields, as the dashboard does.
func createPlugin(s *testkit.Server, fields map[string]any) (id string) {
	s.T.Helper()
	fields["clientId"], fields["clientSecret"] = "id", testkit.ClientSecret
	if fields["enabled"] == nil {
		fields["enabled"] = true
	}
	got := s.CreatePlugin(fields)
	var record struct{ ID string }
	if err := json.Unmarshal([]byte(got.Body), &record); err != nil || got.Status != http.StatusOK {
		s.T.Fatalf("%d %s", got.Status, got.Body)
	}
	return record.ID
}

// help is what an author must paste where, for one plugin.
type help struct {
	ID, Slug, Label               string
	Name, Provider, Console       string
	Enabled                       bool
	Problem, Backend, RedirectURI string
	Origins, APIHosts             []string
	Revoke                        string
	Tenant                        *struct{ Name, Example, Default string }
}

// What authors are told, for plugins of each kind.
func TestPluginHelp(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	createPlugin(s, map[string]any{
		"slug": "sheets", "provider": "google", "scope": "openid",
		"pluginId": "ID1", "allowedOrigins": "null",
	})
	createPlugin(s, map[string]any{"slug": "off", "provider": "google", "scope": "openid", "enabled": false})
	createPlugin(s, map[string]any{"slug": "shop", "provider": "shopify"})
	createPlugin(s, map[string]any{
		"slug": "shop-own", "provider": "shopify", "tenant": "my-store", "apiHosts": "on",
	})
	vcs := createPlugin(s, map[string]any{"slug": "vcs", "provider": "github"})
	createPlugin(s, map[string]any{
		"slug": "vcs-own", "provider": "github", "revokeEndpoint": "https://vcs.example/revoke",
		"apiHosts": "on, api.example:8443",
	})
	var answer struct {
		Base    string
		Plugins []help
	}
	ask(s, "plugins", &answer)
	if answer.Base != baseURL || len(answer.Plugins) != 7 || answer.Plugins[0].Slug != "/" {
		t.Fatalf("%+v", answer)
	}
	slugs := map[string]help{}
	for i, plugin := range answer.Plugins {
		slugs[plugin.Slug] = plugin
		if i > 1 && answer.Plugins[i-1].Slug > plugin.Slug {
			t.Errorf("%s does not stand in its place", plugin.Slug)
		}
	}
	const origins = "[http(s)://localhost, on any port https://id1.plugins.framercdn.com " +
		"https://id1-VERSION.plugins.framercdn.com null]"
	shop := slugs["shop"]
	for what, ok := range map[string]bool{
		"the root's backend":  slugs["/"].Backend == baseURL,
		"the root's redirect": slugs["/"].RedirectURI == baseURL+"/redirect",
		"the root is well":    slugs["/"].Problem == "" && slugs["/"].Enabled && slugs["/"].Revoke == "",
		"no record of it":     slugs["/"].ID == "",
		"labels":              slugs["/"].Label == "The environment's plugin" && slugs["off"].Label == "off",
		"off":                 !slugs["off"].Enabled,
		"why":                 strings.Contains(slugs["off"].Problem, "switched off"),
		"backend":             slugs["sheets"].Backend == baseURL+"/sheets",
		"redirect URI":        slugs["sheets"].RedirectURI == baseURL+"/sheets/redirect",
		"origins":             fmt.Sprint(slugs["sheets"].Origins) == origins,
		"provider":            shop.Provider == "Shopify" && slugs["vcs"].Console != "",
		"tenant":              shop.Tenant != nil && shop.Tenant.Name == "shop" && shop.Tenant.Default == "",
		"a tenant of its own": slugs["shop-own"].Tenant == nil,
		"record":              slugs["vcs"].ID == vcs,
		"revocable":           slugs["vcs"].Revoke == "access" && slugs["vcs-own"].Revoke == "any",
		"no API hosts":        shop.APIHosts != nil && len(shop.APIHosts) == 0,
		"API hosts": fmt.Sprint(slugs["vcs-own"].APIHosts) ==
			"[api.example:8443 api.github.com uploads.github.com]",
		"a tenant's API host": fmt.Sprint(slugs["shop-own"].APIHosts) == "[my-store.myshopify.com]",
		"no secret":           !strings.Contains(fmt.Sprintf("%+v", answer), "secret"),
	} {
		if !ok {
			t.Errorf("%s: %+v", what, answer.Plugins)
		}
	}
}

// What the form says about providers: what each needs, and what it fills.
func TestProviders(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var list []struct {
		Name, Title, Console, ScopeSeparator, RefreshNote, Revoke, RedirectName string
		Scopes                                                                  []oauth.PresetScope
		Required                                                                []string
		API, CORS                                                               string
		APIHosts                                                                []string
		Fills                                                                   map[string]string
	}
	ask(s, "providers", &list)
	if len(list) != len(oauth.Presets())+1 {
		t.Fatalf("%d providers", len(list))
	}
	for name, want := range map[string]struct{ required, tokenEndpoint, revoke, pkce, api string }{
		"": {required: "clientId clientSecret authorizeEndpoint tokenEndpoint", pkce: "on", api: " []"},
		"notion": {
			required: "clientId clientSecret", tokenEndpoint: "https://api.notion.com/v1/oauth/token",
			revoke: "access", pkce: "on", api: "no [api.notion.com]",
		},
		"google": {
			api:      "yes [",
			required: "clientId clientSecret scope", tokenEndpoint: "https://oauth2.googleapis.com/token",
			revoke: "any", pkce: "on",
		},
		"apple": {
			api: " []", required: "clientId clientSecret teamId keyId", revoke: "any", pkce: "on",
			tokenEndpoint: "https://appleid.apple.com/auth/token",
		},
		"ebay": {
			api:      " [api.ebay.com apiz.ebay.com]",
			required: "clientId clientSecret redirectName scope", pkce: "off",
			tokenEndpoint: "https://api.ebay.com/identity/v1/oauth2/token",
		},
		"shopify": {
			required: "clientId clientSecret", pkce: "on", api: "no [{shop}.myshopify.com]",
			tokenEndpoint: "https://{shop}.myshopify.com/admin/oauth/access_token",
		},
	} {
		t.Run("provider "+name, func(t *testing.T) {
			for _, got := range list {
				if got.Name != name {
					continue
				}
				if api := fmt.Sprint(got.CORS, " ", got.APIHosts); !strings.HasPrefix(api, want.api) {
					t.Errorf("its API is %s, %s", api, got.API)
				}
				if strings.Join(got.Required, " ") != want.required || got.Revoke != want.revoke ||
					got.Fills["tokenEndpoint"] != want.tokenEndpoint || got.Fills["pkce"] != want.pkce {
					t.Errorf("%+v", got)
				}
				return
			}
			t.Error("it is not in the list")
		})
	}
}

// The plugin at the root is called by its name, also in what the check finds.
func TestRootIsCalledByItsName(t *testing.T) {
	t.Parallel()
	s := serve(t, func(options *dashboard.Options) {
		options.Environment.Name = "Sheets plugin"
		options.Check = func(*http.Request) ([]doctor.Finding, error) {
			return []doctor.Finding{{Plugin: "/"}, {Plugin: "other"}}, nil
		}
	})
	var report session.Report
	ask(s, "sign-ins", &report)
	var findings []doctor.Finding
	ask(s, "doctor", &findings)
	if report.Root != "Sheets plugin" || findings[0].Plugin != report.Root || findings[1].Plugin != "other" {
		t.Errorf("%q, %+v", report.Root, findings)
	}
}

// If nothing is set up yet, the list is empty, not null.
func TestNoPlugins(t *testing.T) {
	t.Parallel()
	s := serve(t, func(options *dashboard.Options) { options.Environment, options.BaseURL = nil, "" })
	got := s.Request(http.MethodGet, "/api/plugin-oauth/plugins", "", s.Admin())
	s.Expect("plugins", got, http.StatusOK, `{"base":"","plugins":[]}`)
}

// The page and the README show authors the same snippet.
func TestSnippetIsTheREADMEs(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("plugins.js")
	if err != nil {
		t.Fatal(err)
	}
	_, snippet, found := strings.Cut(string(script), "return `")
	snippet, _, closed := strings.Cut(snippet, "`\n}\n")
	values := strings.NewReplacer("${backend}", "http://localhost:8787", "${parameters}", "", "${relay}", "")
	snippet = values.Replace(snippet)
	snippet = strings.Replace(snippet, " })\n", " })     // later: https://my-backend.fly.dev\n", 1)
	if !found || !closed || !strings.Contains(string(readme), "```js\n"+snippet+"\n```") {
		t.Errorf("the README does not have\n%s", snippet)
	}
}

// The files of the extension must not outlive the program in a browser's cache.
func TestExtensionIsNotCached(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for path, contentType := range map[string]string{
		"/_/extensions.js":                 "text/javascript",
		"/_/extensions/sign-ins/page.js":   "text/javascript; charset=utf-8",
		"/_/extensions/sign-ins/style.css": "text/css; charset=utf-8",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			got := s.Get(path)
			if got.Status != http.StatusOK || got.Header.Get("Cache-Control") != "no-cache" ||
				got.Header.Get("Content-Type") != contentType {
				t.Errorf("%d %v", got.Status, got.Header)
			}
		})
	}
}
