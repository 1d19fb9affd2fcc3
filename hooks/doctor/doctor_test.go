package doctor

import (
	"encoding/json/v2"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
)

func TestWithoutPlugins(t *testing.T) {
	t.Parallel()
	d := New(Options{DataDir: t.TempDir()})
	if checked := d.Plugins(); len(checked) != 0 {
		t.Errorf("%d plugins are checked", len(checked))
	}
	expectFindings(t, d.Check(t.Context()), "warning : There is no plugin. "+
		"Add one in the dashboard, in the collection plugins, or set PROVIDER, CLIENT_ID and CLIENT_SECRET.")
}

// complete returns a plugin whose redirect URI is at the backend.
func complete(slug string, at addresses) *plugins.Plugin {
	plugin := plugins.Plugin{
		Slug: slug,
		Client: oauth.Client{
			ClientID:          "id",
			ClientSecret:      "secret",
			AuthorizeEndpoint: at.provider + "/authorize",
			TokenEndpoint:     at.provider + "/token",
		},
	}.Complete(plugins.Defaults{PublicURL: at.self})
	return &plugin
}

// A plugin that was valid when it was saved need not be valid any more, and its secret may not open.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	unknown := oauth.FieldError{Field: "provider", Fix: "must be one that is known"}
	bySlug := func(all ...*plugins.Plugin) map[string]*plugins.Plugin {
		m := map[string]*plugins.Plugin{}
		for _, p := range all {
			m[p.Slug] = p
		}
		return m
	}
	const noKey = "error : " +
		"ENCRYPTION_KEY is not set, so the client secrets of the dashboard's plugins cannot be read. " +
		"Set ENCRYPTION_KEY to the key that they were saved under."
	misconfigured := func(slug string) string {
		return "error " + slug + ": The plugin cannot be used. " +
			"The plugin's field provider must be one that is known."
	}
	locked := func(slug string) string {
		return "error " + slug + ": The client secret does not open with this ENCRYPTION_KEY. " +
			"Set ENCRYPTION_KEY to the key that the plugin was saved under, or enter " +
			"the field clientSecret of the plugin " + slug + " in the dashboard again."
	}
	for _, test := range []struct {
		name    string
		options Options
		want    []string
	}{
		{
			name: "misconfigured",
			options: Options{Dashboard: bySlug(
				&plugins.Plugin{Slug: "old", State: plugins.Misconfigured, Invalid: unknown},
			)},
			want: []string{misconfigured("old")},
		},
		{
			name: "another key",
			options: Options{HasEncryptionKey: true, Dashboard: bySlug(
				&plugins.Plugin{Slug: "b", State: plugins.SecretUnreadable},
				&plugins.Plugin{Slug: "a", State: plugins.SecretUnreadable},
			)},
			want: []string{locked("a"), locked("b")},
		},
		{
			name: "no key, said once",
			options: Options{Dashboard: bySlug(
				&plugins.Plugin{Slug: "a", State: plugins.SecretUnreadable},
				&plugins.Plugin{Slug: "b", State: plugins.SecretUnreadable},
			)},
			want: []string{noKey},
		},
		{
			name: "what is about no single plugin comes first",
			options: Options{Dashboard: bySlug(
				&plugins.Plugin{Slug: "a", State: plugins.Misconfigured, Invalid: unknown},
				&plugins.Plugin{Slug: "b", State: plugins.SecretUnreadable},
			)},
			want: []string{noKey, misconfigured("a")},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			expectFindings(t, New(test.options).Check(t.Context()), test.want...)
		})
	}
}

// The plugins of the dashboard are checked beside the environment's; those that are switched off are not.
func TestDashboard(t *testing.T) {
	t.Parallel()
	self := serveSelf(t)
	well := serveProvider(t, refusingCode)
	refusing := serveProvider(t, answering(http.StatusUnauthorized, `{"error":"invalid_client"}`))
	off := complete("off", addresses{self: self, provider: refusing})
	off.State = plugins.SwitchedOff
	var mu sync.Mutex
	var done []string
	d := New(Options{
		Environment: complete("", addresses{self: self, provider: well}),
		Dashboard: map[string]*plugins.Plugin{
			"wrong": complete("wrong", addresses{self: self, provider: refusing}),
			"off":   off,
			"fine":  complete("fine", addresses{self: self, provider: well}),
		},
		PublicURL: self,
		BaseURL:   self,
		Done: func(p *plugins.Plugin) {
			mu.Lock()
			defer mu.Unlock()
			done = append(done, p.Slug)
		},
	})
	expectFindings(t, d.Check(t.Context()), "error wrong: "+
		"The provider does not accept the client ID or the secret. "+
		"Enter the field clientSecret of the plugin wrong in the dashboard again; "+
		"if it is right, check clientId and tokenAuth.")
	var checked []string
	for _, p := range d.Plugins() {
		checked = append(checked, p.Slug)
	}
	if !slices.Equal(checked, []string{"", "fine", "wrong"}) {
		t.Errorf("the plugins %q are checked", checked)
	}
	slices.Sort(done)
	if !slices.Equal(done, checked) {
		t.Errorf("the plugins %q are said to be done", done)
	}
}

// One cause that affects every plugin is one finding, and comes before those about one plugin.
func TestOneCause(t *testing.T) {
	t.Parallel()
	const public = "http://backend.invalid"
	at := addresses{self: public, provider: serveProvider(t, refusingCode)}
	unpublished := func(slug string) string {
		return "warning " + slug + ": The plugin may call from localhost only. " +
			"Set the field pluginId of the plugin " + slug +
			" in the dashboard to the id of the published plugin."
	}
	d := New(Options{
		Dashboard: map[string]*plugins.Plugin{
			"aa": complete("aa", at),
			"zz": complete("zz", at),
		},
		PublicURL: public,
		BaseURL:   public,
	})
	expectFindings(t, d.Check(t.Context()),
		"error : An address has http:// instead of https://. Write https:// in PUBLIC_URL.",
		"warning : Nothing answers at http://backend.invalid, where logins end. "+
			"Check that the service is running, and that PUBLIC_URL leads here.",
		unpublished("aa"), unpublished("zz"))
}

// All the checks together have a minute, and no more than four providers are asked at once.
func TestTimeIsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked := 0
		options := Options{
			Dashboard:      map[string]*plugins.Plugin{},
			RequestTimeout: time.Hour,
			Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
				mu.Lock()
				asked++
				mu.Unlock()
				<-request.Context().Done()
				return nil, request.Context().Err()
			}),
		}
		nobody := addresses{self: "http://localhost", provider: "http://localhost"}
		var want []string
		for i := range 6 {
			slug := fmt.Sprintf("p%d", i)
			options.Dashboard[slug] = complete(slug, nobody)
			want = append(want,
				"warning "+slug+": There was no time left to check this plugin. Run doctor again.")
		}
		began, findings := time.Now(), make(chan []Finding)
		go func() { findings <- New(options).Check(t.Context()) }()
		synctest.Wait()
		mu.Lock()
		if asked != 4 {
			t.Errorf("%d were asked at once", asked)
		}
		mu.Unlock()
		expectFindings(t, <-findings, want...)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

// The command prints findings as JSON, and the dashboard reads them.
func TestFindingJSON(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(Finding{Level: LevelError, Plugin: "/", What: "a", Why: "b", Fix: "c"})
	const want = `{"level":"error","plugin":"/","what":"a","why":"b","fix":"c"}`
	if err != nil || string(encoded) != want {
		t.Errorf("%v, %s", err, encoded)
	}
	at := addresses{self: serveSelf(t), provider: serveProvider(t, refusingCode)}
	d := New(Options{Environment: complete("", at)})
	if found := d.Check(t.Context()); found == nil || len(found) > 0 {
		t.Errorf("with nothing wrong it returned %#v: %s", found, strings.Join(lines(found), "\n"))
	}
}
