package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lines has one line for each finding.
func lines(findings []finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, fmt.Sprintf("%s %s: %s %s", f.Level, f.Plugin, f.What, f.Mend))
	}
	return all
}

// expectFindings compares the findings with lines of what lines prints.
func expectFindings(t *testing.T, findings []finding, want ...string) {
	t.Helper()
	if got := lines(findings); !slices.Equal(got, want) {
		t.Errorf("found\n\t%s\nnot\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	for _, f := range findings {
		if f.Why == "" {
			t.Errorf("%s: it does not say why", f.What)
		}
		if strings.Contains(fmt.Sprint(f), "client%20secret") || strings.Contains(fmt.Sprint(f), testClientSecret) || strings.Contains(fmt.Sprint(f), "?") {
			t.Errorf("it quotes a secret, or a query: %v", f)
		}
	}
}

// serveProvider is a provider with a login page, which answers its token endpoint so.
func serveProvider(t *testing.T, token http.HandlerFunc) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			token(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// refusingCode has a login page, and a token endpoint that knows no code.
var refusingCode http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		answering(http.StatusBadRequest, `{"error":"invalid_grant"}`)(w, r)
	}
}

// hanging answers nothing until the client leaves, or the test ends.
func hanging(t *testing.T) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client leaves
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}
}

// What a token endpoint says of the made-up code.
func TestDoctorTokenEndpoint(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const (
		client   = "error /: The provider does not accept the client ID or the secret. Enter CLIENT_SECRET again; if it is right, check CLIENT_ID and TOKEN_AUTH."
		notOAuth = "error /: The token endpoint gives an answer that is not OAuth. Check TOKEN_ENDPOINT."
		troubled = "warning /: The provider has a problem of its own, so it could not be checked. Run doctor again in some minutes."
		unclear  = "warning /: The provider refused the check with %s, which does not tell whether it accepts the client. Sign in once to see; if it fails, check TOKEN_AUTH."
	)
	redirect := "error /: The provider does not know the redirect URI. Enter " + s.url + "/redirect at the provider, in its developer console."
	for _, test := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"code refused", 400, `{"error":"invalid_grant","error_description":"it quotes client secret/+&%"}`, ""},
		{"in GitHub's way", 200, "error=bad_verification_code&error_description=x", ""},
		{"in Slack's way", 200, `{"ok":false,"error":"invalid_code"}`, ""},
		{"client", 401, `{"error":"invalid_client"}`, client},
		{"client, another name", 200, `{"ok":false,"error":"bad_client_secret"}`, client},
		{"client, without the grant", 400, `{"error":"unauthorized_client"}`, client},
		{"redirect URI", 400, `{"error":"redirect_uri_mismatch"}`, redirect},
		{"redirect URI, another name", 200, `{"ok":false,"error":"bad_redirect_uri"}`, redirect},
		{"another error", 400, `{"error":"invalid_request"}`, fmt.Sprintf(unclear, "the error invalid_request")},
		{"prose", 400, `{"error":"Quotes client secret/+&%"}`, fmt.Sprintf(unclear, "an error")},
		{"an object of its own", 400, `{"message":"Quotes client secret/+&%"}`, fmt.Sprintf(unclear, "an error")},
		{"HTML", 200, "<html>client secret/+&%</html>", notOAuth},
		{"HTML under 400", 400, "<html></html>", notOAuth},
		{"404", 404, "<html></html>", notOAuth},
		{"404 in JSON", 404, `{"message":"Not found"}`, notOAuth},
		{"redirect", 302, "", notOAuth},
		{"outage", 503, "<html></html>", troubled},
		{"too many", 429, "", troubled},
		{"its own error", 400, `{"error":"server_error"}`, troubled},
		{"tokens", 200, tokenResponse, "warning /: The token endpoint took a code that it never gave. Check TOKEN_ENDPOINT."},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := s.relay.config
			plugin := *config.Plugin
			config.Plugin = &plugin
			plugin.TokenEndpoint = serveProvider(t, answering(test.status, test.body)) + "/token"
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expectFindings(t, newDoctor(config, nil, s.app.DataDir()).examine(t.Context()), want...)
		})
	}
	if s.provider.exchanges() != 0 {
		t.Error("a check counts as a login")
	}
}

// All but the token endpoint's words. Each case changes one thing of a set-up in which all is well.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const closed = "http://127.0.0.1:1" // a port that another test gets meanwhile would be none
	plain := serveProvider(t, refusingCode)
	secure := httptest.NewUnstartedServer(refusingCode)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it would print that nobody trusts it
	secure.StartTLS()
	t.Cleanup(secure.Close)
	breaking := serveProvider(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	slow := httptest.NewServer(hanging(t))
	t.Cleanup(slow.Close)
	stranger := serveProvider(t, refusingCode)
	upstream, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	forwarding := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(upstream)
		r.SetXForwarded()
	}})
	t.Cleanup(forwarding.Close)
	status := func(status int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.WriteHeader(status)
				return
			}
			refusingCode(w, r)
		}))
		t.Cleanup(server.Close)
		return server.URL + "/authorize"
	}
	dated := func(off time.Duration) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
			refusingCode(w, r)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	behind, ahead, nearly := dated(2*time.Minute), dated(-2*time.Minute), dated(30*time.Second)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "a", "b")

	// These answer under the real names.
	providers := newNetwork(t)
	providers.serve(refusingCode)
	proxied := providers.browser.Transport.(*http.Transport).Clone()
	toProxy := proxied.Proxy
	proxied.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme == "http" {
			return nil, nil
		}
		return toProxy(r)
	}
	realNames := func(d *doctor) { d.client.Transport = proxied }
	at := func(now time.Time) func(d *doctor) {
		return func(d *doctor) { d.client.Transport, d.now = proxied, func() time.Time { return now } }
	}
	ofPreset := func(p *Plugin, name string) { p.Provider, p.AuthorizeEndpoint, p.TokenEndpoint = name, "", "" }
	clockOf := func(authorize, token string) func(*Config, *Plugin) {
		return func(_ *Config, p *Plugin) {
			p.AuthorizeEndpoint, p.TokenEndpoint = authorize+"/authorize", token+"/token"
		}
	}

	const (
		nowhere  = "warning : Nothing answers at https://backend.invalid, where logins end. Check that the service is running, and that %s leads here."
		clear    = "error %s: An address has http:// instead of https://. Write https:// in %s."
		noHost   = "error /: The authorize endpoint has a host name that leads nowhere. Check %s, and that this machine reaches https://provider.invalid."
		refresh  = "warning /: The login asks for no refresh token. %s"
		notFound = "warning /: The authorize endpoint answers with the status %d. Check AUTHORIZE_ENDPOINT."
		proxy    = "warning : Requests come with the header %s, which the service does not believe. If a proxy of yours sets it on every request, name %s in TRUSTED_PROXY_HEADERS."
		hubSpot  = "%s /: HubSpot %s this token endpoint on 2027-02-16. Leave TOKEN_ENDPOINT blank, with PROVIDER set to hubspot."
	)
	for _, test := range []struct {
		name string
		edit func(config *Config, plugin *Plugin)
		set  func(d *doctor)
		want []string
	}{
		{name: "all is well"},
		{name: "all is well at a strict provider", edit: func(_ *Config, p *Plugin) {
			p.AuthorizeEndpoint, p.TokenEndpoint = s.provider.plugin.AuthorizeEndpoint, s.provider.plugin.TokenEndpoint
		}},

		{name: "DNS", edit: func(_ *Config, p *Plugin) { p.AuthorizeEndpoint = "https://provider.invalid/authorize" }, want: []string{fmt.Sprintf(noHost, "AUTHORIZE_ENDPOINT")}},
		{name: "DNS of both", edit: func(_ *Config, p *Plugin) {
			p.AuthorizeEndpoint, p.TokenEndpoint = "https://provider.invalid/authorize", "https://provider.invalid/token"
		}, want: []string{fmt.Sprintf(noHost, "AUTHORIZE_ENDPOINT")}},
		{name: "DNS of the token endpoint", edit: func(_ *Config, p *Plugin) { p.TokenEndpoint = "https://provider.invalid/token" },
			want: []string{"error /: The token endpoint has a host name that leads nowhere. Check TOKEN_ENDPOINT, and that this machine reaches https://provider.invalid."}},
		{name: "refused", edit: func(_ *Config, p *Plugin) { p.TokenEndpoint = closed + "/token" },
			want: []string{"error /: The token endpoint refuses connections, or cannot be reached. Check TOKEN_ENDPOINT, and that this machine reaches " + closed + "."}},
		{name: "certificate", edit: func(_ *Config, p *Plugin) { p.TokenEndpoint = secure.URL + "/token" },
			want: []string{"error /: The token endpoint has a certificate that this machine does not accept. Check TOKEN_ENDPOINT, and that this machine reaches " + secure.URL + "."}},
		{name: "no TLS", edit: func(_ *Config, p *Plugin) {
			p.TokenEndpoint = strings.Replace(plain, "http://", "https://", 1) + "/token"
		},
			want: []string{"error /: The token endpoint answers, but not over TLS as it must with https. Check TOKEN_ENDPOINT, and that this machine reaches " + strings.Replace(plain, "http://", "https://", 1) + "."}},
		{name: "broken off", edit: func(_ *Config, p *Plugin) { p.TokenEndpoint = breaking + "/token" },
			want: []string{"error /: The token endpoint breaks off its answer. Check TOKEN_ENDPOINT, and that this machine reaches " + breaking + "."}},
		{name: "slow", edit: func(_ *Config, p *Plugin) { p.TokenEndpoint = slow.URL + "/token" }, set: func(d *doctor) { d.client.Timeout = 500 * time.Millisecond },
			want: []string{"error /: The token endpoint takes longer than 10 seconds to answer. Check TOKEN_ENDPOINT, and that this machine reaches " + slow.URL + "."}},
		{name: "404", edit: func(_ *Config, p *Plugin) { p.AuthorizeEndpoint = status(404) + "?secret=client%20secret" }, want: []string{fmt.Sprintf(notFound, 404)}},
		{name: "410", edit: func(_ *Config, p *Plugin) { p.AuthorizeEndpoint = status(410) }, want: []string{fmt.Sprintf(notFound, 410)}},
		{name: "500", edit: func(_ *Config, p *Plugin) { p.AuthorizeEndpoint = status(500) }, want: []string{fmt.Sprintf(notFound, 500)}},
		{name: "400", edit: func(_ *Config, p *Plugin) { p.AuthorizeEndpoint = status(400) },
			want: []string{"warning /: The authorize endpoint refuses the login with the status 400. Check CLIENT_ID, and that the provider knows the redirect URI " + s.url + "/redirect."}},
		{name: "the secret is not sent in the clear", edit: func(_ *Config, p *Plugin) { p.TokenEndpoint = "http://provider.invalid/token" },
			want: []string{fmt.Sprintf(clear, "/", "TOKEN_ENDPOINT")}},

		{name: "redirect URI on another host", edit: func(c *Config, _ *Plugin) { c.PublicURL = "https://backend.invalid" },
			want: []string{"error /: The redirect URI is on another host than PUBLIC_URL. Leave REDIRECT_URI blank, so that PUBLIC_URL decides."}},
		{name: "nobody there", edit: func(_ *Config, p *Plugin) { p.RedirectURI = closed + "/redirect" },
			want: []string{"warning /: Nothing answers at " + closed + ", where logins end. Check that the service is running, and that REDIRECT_URI leads here."}},
		{name: "somebody else there", edit: func(_ *Config, p *Plugin) { p.RedirectURI = stranger + "/redirect?x=client%20secret" },
			want: []string{"error /: Something else than this service answers at " + stranger + ", where logins end. Check REDIRECT_URI."}},
		{name: "its certificate", edit: func(_ *Config, p *Plugin) { p.RedirectURI = secure.URL + "/redirect" },
			want: []string{"warning /: The certificate at " + secure.URL + " is not accepted by this machine. Run mkcert -install, or check TLS_CERT_FILE."}},
		{name: "a slash behind", edit: func(_ *Config, p *Plugin) { p.RedirectURI += "/" }},

		{name: "http to the provider", edit: func(_ *Config, p *Plugin) {
			p.RevokeEndpoint = "http://provider.invalid/revoke"
		}, want: []string{fmt.Sprintf(clear, "/", "REVOKE_ENDPOINT")}},
		{name: "http back from it", edit: func(_ *Config, p *Plugin) { p.RedirectURI = "http://backend.invalid/redirect" },
			want: []string{strings.NewReplacer("warning :", "warning /:", "https:", "http:").Replace(fmt.Sprintf(nowhere, "REDIRECT_URI")), fmt.Sprintf(clear, "/", "REDIRECT_URI")}},
		{name: "http to PUBLIC_URL", edit: func(c *Config, p *Plugin) { c.PublicURL, p.RedirectURI = "http://backend.invalid", "" },
			want: []string{fmt.Sprintf(clear, "", "PUBLIC_URL"), strings.Replace(fmt.Sprintf(nowhere, "PUBLIC_URL"), "https:", "http:", 1)}},

		{name: "nothing published", edit: func(c *Config, p *Plugin) {
			c.PublicURL, p.RedirectURI, p.PluginID = "https://backend.invalid", "", ""
		}, want: []string{fmt.Sprintf(nowhere, "PUBLIC_URL"), "warning /: The plugin may call from localhost only. Set PLUGIN_ID to the id of the published plugin."}},
		{name: "an origin instead", edit: func(c *Config, p *Plugin) {
			c.PublicURL, p.RedirectURI, p.PluginID, p.AllowedOrigins = "https://backend.invalid", "", "", []string{"null"}
		}, want: []string{fmt.Sprintf(nowhere, "PUBLIC_URL")}},
		{name: "nothing published in development", edit: func(_ *Config, p *Plugin) { p.PluginID = "" }},

		{name: "scope for a refresh token", set: realNames, edit: func(_ *Config, p *Plugin) { ofPreset(p, "microsoft"); p.Scope = "openid,offline_access User.Read" }},
		{name: "scope lacks", set: realNames, edit: func(_ *Config, p *Plugin) { ofPreset(p, "microsoft"); p.Scope = "openid offline_access2" }, want: []string{fmt.Sprintf(refresh, "Add offline_access to SCOPE.")}},
		{name: "endpoints only", set: realNames, edit: func(_ *Config, p *Plugin) {
			p.AuthorizeEndpoint, p.TokenEndpoint = "https://login.microsoftonline.com/contoso/oauth2/v2.0/authorize", "https://login.microsoftonline.com/contoso/oauth2/v2.0/token"
		}, want: []string{fmt.Sprintf(refresh, "Add offline_access to SCOPE.")}},
		{name: "offline", set: realNames, edit: func(_ *Config, p *Plugin) { ofPreset(p, "google") }},
		{name: "offline blanked", set: realNames, edit: func(_ *Config, p *Plugin) { ofPreset(p, "google"); p.AuthorizeParams = "access_type=" },
			want: []string{fmt.Sprintf(refresh, "Put access_type=offline into AUTHORIZE_PARAMS.")}},
		{name: "offline, endpoints only", set: realNames, edit: func(_ *Config, p *Plugin) {
			p.AuthorizeEndpoint, p.TokenEndpoint = "https://accounts.google.com/o/oauth2/v2/auth", "https://oauth2.googleapis.com/token"
		}, want: []string{fmt.Sprintf(refresh, "Set PROVIDER to google, which adds access_type=offline.")}},
		{name: "online in the endpoint", set: realNames, edit: func(_ *Config, p *Plugin) {
			ofPreset(p, "dropbox")
			p.AuthorizeEndpoint = "https://www.dropbox.com/oauth2/authorize?token_access_type=online"
		}, want: []string{fmt.Sprintf(refresh, "Put token_access_type=offline into AUTHORIZE_ENDPOINT.")}},
		{name: "offline in the endpoint", set: realNames, edit: func(_ *Config, p *Plugin) {
			p.AuthorizeEndpoint, p.TokenEndpoint = "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline", "https://oauth2.googleapis.com/token"
		}},
		{name: "tenant unknown", edit: func(_ *Config, p *Plugin) { ofPreset(p, "shopify") }},

		{name: "HubSpot v1", edit: func(_ *Config, p *Plugin) { ofPreset(p, "hubspot"); p.TokenEndpoint = hubSpotV1 },
			set: at(hubSpotV1Ends.Add(-time.Second)), want: []string{fmt.Sprintf(hubSpot, "warning", "ends")}},
		{name: "HubSpot v1 has ended", edit: func(_ *Config, p *Plugin) { ofPreset(p, "hubspot"); p.TokenEndpoint = hubSpotV1 },
			set: at(hubSpotV1Ends), want: []string{fmt.Sprintf(hubSpot, "error", "has ended")}},
		{name: "HubSpot", set: realNames, edit: func(_ *Config, p *Plugin) { ofPreset(p, "hubspot") }},

		{name: "clock behind", edit: clockOf(behind, behind), want: []string{"warning : The clock of this machine is 2m0s behind. Set the clock of the machine, best by NTP."}},
		{name: "clock ahead", edit: clockOf(ahead, ahead), want: []string{"warning : The clock of this machine is 2m0s ahead. Set the clock of the machine, best by NTP."}},
		{name: "one provider's clock", edit: clockOf(ahead, plain)},
		{name: "another provider's clock", edit: clockOf(plain, ahead)},
		{name: "half a minute", edit: clockOf(nearly, nearly)},

		{name: "data folder is not writable", set: func(d *doctor) { d.dataDir = file },
			want: []string{"error : The data folder " + file + " is not writable. Choose another folder with --dir, or change its owner."}},
		{name: "data folder cannot be made", set: func(d *doctor) { d.dataDir = filepath.Join(file, "pb_data") },
			want: []string{"warning : The data folder " + filepath.Join(file, "pb_data") + " is missing, and cannot be made. Choose another folder with --dir, or change its owner."}},
		{name: "data folder is made by serve", set: func(d *doctor) { d.dataDir = missing }},
		{name: "little space", set: func(d *doctor) { d.freeSpace = func(string) (uint64, bool) { return 100<<20 - 1, true } },
			want: []string{"warning : The disk with the data folder has only 99 MB left. Make room, or choose a folder on another disk with --dir."}},
		{name: "no space", set: func(d *doctor) { d.freeSpace = func(string) (uint64, bool) { return 10<<20 - 1, true } },
			want: []string{"error : The disk with the data folder has only 9 MB left. Make room, or choose a folder on another disk with --dir."}},
		{name: "space unknown", set: func(d *doctor) { d.freeSpace = func(string) (uint64, bool) { return 0, false } }},

		{name: "proxy", edit: func(_ *Config, p *Plugin) { p.RedirectURI = forwarding.URL + "/redirect" }, want: []string{fmt.Sprintf(proxy, "X-Forwarded-For", "X-Forwarded-For")}},
		{name: "Fly", edit: func(c *Config, _ *Plugin) { c.onFly = true }, want: []string{fmt.Sprintf(proxy, "Fly-Client-IP", "Fly-Client-IP")}},
		{name: "Fly, trusted", edit: func(c *Config, _ *Plugin) { c.onFly, c.TrustedProxyHeaders = true, []string{"fly-client-ip"} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := Config{Plugin: s.provider.client(s.url)}
			config.Plugin.AuthorizeEndpoint, config.Plugin.TokenEndpoint = plain+"/authorize", plain+"/token"
			if test.edit != nil {
				test.edit(&config, config.Plugin)
			}
			config = config.withDefaults()
			if err := config.Validate(); err != nil {
				t.Fatal(err)
			}
			d := newDoctor(config, nil, s.app.DataDir())
			if test.set != nil {
				test.set(d)
			}
			expectFindings(t, d.examine(t.Context()), test.want...)
		})
	}
	if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data folder was made: %v", err)
	}
	if entries, err := filepath.Glob(filepath.Join(s.app.DataDir(), "doctor-*")); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// One plugin for each state that the dashboard may hold it in, checked beside that of the environment.
func TestDoctorDashboard(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.EncryptionKey, c.PublicURL = testEncryptionKey, c.Plugin.RedirectURI[:strings.LastIndex(c.Plugin.RedirectURI, "/")]
	})
	refusing := serveProvider(t, answering(http.StatusUnauthorized, `{"error":"invalid_client"}`))
	s.add("well", nil)
	s.add("off", func(fields map[string]any) { fields["enabled"] = false })
	s.add("wrong", func(fields map[string]any) { fields["tokenEndpoint"] = refusing + "/token" })
	dashboard, err := s.relay.plugins.all()
	if err != nil {
		t.Fatal(err)
	}
	wrong := "error wrong: The provider does not accept the client ID or the secret. Enter the field clientSecret of the plugin wrong in the dashboard again; if it is right, check clientId and tokenAuth."
	d := newDoctor(s.relay.config, dashboard, s.app.DataDir())
	if len(d.plugins) != 3 {
		t.Errorf("%d plugins are checked", len(d.plugins))
	}
	expectFindings(t, d.examine(t.Context()), wrong)

	// The service and the doctor read the same rows, each in its own way.
	read, err := readDashboard(s.relay.config, s.app.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	expectFindings(t, newDoctor(s.relay.config, read, s.app.DataDir()).examine(t.Context()), wrong)

	other := s.relay.config
	other.EncryptionKey = "another-key-with-32-characters!!"
	read, err = readDashboard(other, s.app.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	locked := func(slug string) string {
		return "error " + slug + ": The client secret does not open with this ENCRYPTION_KEY. Set ENCRYPTION_KEY to the key that the plugin was saved under, or enter the field clientSecret of the plugin " + slug + " in the dashboard again."
	}
	expectFindings(t, newDoctor(other, read, s.app.DataDir()).examine(t.Context()), locked("well"), locked("wrong"))
	other.EncryptionKey = ""
	if read, err = readDashboard(other, s.app.DataDir()); err != nil {
		t.Fatal(err)
	}
	expectFindings(t, newDoctor(other, read, s.app.DataDir()).examine(t.Context()),
		"error : ENCRYPTION_KEY is not set, so the client secrets of the dashboard's plugins cannot be read. Set ENCRYPTION_KEY to the key that they were saved under.")

	// One cause that shows at every plugin is one finding.
	public := s.relay.config
	public.Plugin, public.PublicURL = nil, "http://backend.invalid"
	if read, err = readDashboard(public, s.app.DataDir()); err != nil {
		t.Fatal(err)
	}
	delete(read, "wrong")
	another := *read["well"]
	another.Slug, another.RedirectURI = "zz", strings.Replace(another.RedirectURI, "well", "zz", 1)
	read["zz"] = &another
	unpublished := func(slug string) string {
		return "warning " + slug + ": The plugin may call from localhost only. Set the field pluginId of the plugin " + slug + " in the dashboard to the id of the published plugin."
	}
	for _, p := range read {
		if p.closed == nil {
			// Its strict provider would refuse the other redirect URI.
			p.AuthorizeEndpoint, p.TokenEndpoint = serveProvider(t, refusingCode)+"/authorize", serveProvider(t, refusingCode)+"/token"
		}
	}
	expectFindings(t, newDoctor(public, read, s.app.DataDir()).examine(t.Context()),
		"error : An address has http:// instead of https://. Write https:// in PUBLIC_URL.",
		"warning : Nothing answers at http://backend.invalid, where logins end. Check that the service is running, and that PUBLIC_URL leads here.",
		unpublished("well"), unpublished("zz"))
}

func TestDoctorWithoutPlugins(t *testing.T) {
	t.Parallel()
	expectFindings(t, newDoctor(Config{}, nil, t.TempDir()).examine(t.Context()),
		"warning : There is no plugin. Add one in the dashboard, in the collection plugins, or set PROVIDER, CLIENT_ID and CLIENT_SECRET.")
}

// A plugin that was valid when it was saved may not be so any more.
func TestDoctorClosedPlugin(t *testing.T) {
	t.Parallel()
	plugin := Plugin{Slug: "old", closed: &problem{Description: "The plugin's field provider must be one that the command plugin-oauth providers lists."}}
	expectFindings(t, newDoctor(Config{}, map[string]*Plugin{"old": &plugin}, t.TempDir()).examine(t.Context()),
		"error old: The plugin cannot be used. The plugin's field provider must be one that the command plugin-oauth providers lists.")
}

// All together has its time too, and no more than four providers are asked at once.
func TestDoctorTimeIsUp(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked, most := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		most = max(most, asked)
		mu.Unlock()
		hanging(t)(w, r)
		mu.Lock()
		asked--
		mu.Unlock()
	}))
	t.Cleanup(server.Close)
	dashboard := map[string]*Plugin{}
	var want []string
	for i := range 6 {
		plugin := Plugin{Slug: fmt.Sprintf("p%d", i), ClientID: "id", ClientSecret: "secret", AuthorizeEndpoint: server.URL + "/authorize", TokenEndpoint: server.URL + "/token",
			RedirectURI: fmt.Sprintf("%s/p%d/redirect", server.URL, i)}.complete(Config{})
		dashboard[plugin.Slug] = &plugin
		want = append(want, "warning "+plugin.Slug+": There was no time left to check this plugin. Run doctor again.")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	expectFindings(t, newDoctor(Config{}, dashboard, t.TempDir()).examine(ctx), want...)
	mu.Lock()
	defer mu.Unlock()
	if most != examineAtOnce {
		t.Errorf("%d were asked at once", most)
	}
}

// Whole seconds and the time that a request takes are no difference.
func TestClock(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct{ sent, received, want time.Duration }{
		{0, 0, 0}, {900 * time.Millisecond, time.Second, 0}, {-9 * time.Second, 9 * time.Second, 0},
		{61 * time.Second, 62 * time.Second, time.Minute}, {-70 * time.Second, -61 * time.Second, -61 * time.Second},
	} {
		c := &clock{}
		c.measure(date.Add(test.sent), date.Add(test.received), date)
		if c.off != test.want {
			t.Errorf("sent %s and received %s after the date: %s, not %s", test.sent, test.received, c.off, test.want)
		}
	}
}

// GET / says which header it does not believe, once none of those that are trusted came.
func TestUntrustedProxyHeader(t *testing.T) {
	t.Parallel()
	trusting := serve(t, func(c *Config) { c.TrustedProxyHeaders = []string{"fly-client-ip"} })
	trustless := serve(t, nil)
	const up = "plugin-oauth is up and running.\n"
	not := func(header string) string {
		return up + "It does not believe the header " + header + ", which came with this request. If a proxy of yours sets it, name it in TRUSTED_PROXY_HEADERS.\n"
	}
	for _, header := range []string{"Fly-Client-IP", "CF-Connecting-IP", "True-Client-IP", "X-Real-IP", "X-Forwarded-For", "Forwarded"} {
		trustless.expect(header, trustless.request(http.MethodGet, "/", "", header+": 192.0.2.1"), http.StatusOK, not(header))
	}
	trustless.expect("two", trustless.request(http.MethodGet, "/", "", "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1"), http.StatusOK, not("X-Real-IP"))
	trustless.expect("none", trustless.get("/"), http.StatusOK, up)
	trustless.expect("unknown", trustless.request(http.MethodGet, "/", "", "X-Client: 192.0.2.1"), http.StatusOK, up)
	trusting.expect("trusted", trusting.request(http.MethodGet, "/", "", "Fly-Client-IP: 192.0.2.1", "X-Forwarded-For: 192.0.2.1"), http.StatusOK, up)
	trusting.expect("another", trusting.request(http.MethodGet, "/", "", "X-Forwarded-For: 192.0.2.1"), http.StatusOK, not("X-Forwarded-For"))
}

// The check at start asks the service itself too. What it finds is in the log.
func TestCheckAtStart(t *testing.T) {
	t.Parallel()
	refusing := serveProvider(t, answering(http.StatusUnauthorized, `{"error":"invalid_client"}`))
	s := serve(t, func(c *Config) { c.CheckAtStart, c.Plugin.TokenEndpoint = true, refusing+"/token" })
	s.relay.checking.Wait()
	logged := s.logged()
	if !strings.Contains(logged, "plugin-oauth: The provider does not accept the client ID or the secret.") || !strings.Contains(logged, "CLIENT_SECRET again") {
		t.Errorf("logged:\n%s", logged)
	}
	for _, never := range []string{"Nothing answers", "Something else", testClientSecret} {
		if strings.Contains(logged, never) {
			t.Errorf("%s is logged:\n%s", never, logged)
		}
	}
}

// A shutdown ends the check at start, and nothing is said of what it broke off.
func TestCheckAtStartEnds(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		hanging(t)(w, r)
	}))
	t.Cleanup(server.Close)
	s := serve(t, func(c *Config) { c.CheckAtStart, c.Plugin.AuthorizeEndpoint = true, server.URL+"/authorize" })
	select {
	case <-asked:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is checked")
	}
	began := time.Now()
	s.relay.finishing.Do(s.relay.finish)
	s.relay.checking.Wait()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	if logged := s.logged(); strings.Contains(logged, "authorize endpoint") || strings.Contains(logged, "no time") {
		t.Errorf("logged:\n%s", logged)
	}
}

// The command of the program: beside a running service, without one, and without anything.
func TestDoctorCommand(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.env = append(p.env, "ENCRYPTION_KEY="+testEncryptionKey, "PUBLIC_URL="+p.url, "SUPERUSER_EMAIL=admin@plugin.example", "SUPERUSER_PASSWORD=superuser-password")
	files := func() (names []string) {
		err := filepath.WalkDir(p.dir, func(path string, _ os.DirEntry, err error) error {
			names = append(names, path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	// doctor runs the command. It must leave no file, and tell no secret.
	doctor := func(want int, args ...string) string {
		t.Helper()
		before := files()
		out, code := p.run(append([]string{"doctor"}, args...)...)
		if code != want || strings.Contains(out, testClientSecret) || strings.Contains(out, url.QueryEscape(testClientSecret)) || strings.Contains(out, testEncryptionKey) || strings.Contains(out, "superuser-password") {
			t.Errorf("%v: exit %d\n%s", args, code, out)
		}
		if after := files(); !slices.Equal(before, after) {
			t.Errorf("%v: there were the files %v, and now %v", args, before, after)
		}
		return out
	}
	if out := doctor(0); !strings.HasSuffix(out, "\n1 warning.\n") || !strings.Contains(out, "warning  Nothing answers at "+p.url) {
		t.Errorf("before the first start:\n%s", out)
	}

	p.start()
	p.signIn()
	added := p.add("sheets", nil)
	p.add("off", func(fields map[string]any) { fields["enabled"] = false })
	if out := doctor(0); !strings.HasPrefix(out, "Checking 2 plugins…\n") || !strings.HasSuffix(out, "\nNothing wrong was found at 2 plugins. A sign-in proves it.\n") || added.provider.examinations() != 1 {
		t.Errorf("beside the service:\n%s", out)
	}
	if out := doctor(0, "--json"); !strings.HasSuffix(out, "\n[]") {
		t.Errorf("beside the service, as JSON:\n%s", out)
	}

	refusing := serveProvider(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, body)
	})
	changed := map[string]any{"tokenEndpoint": refusing + "/token", "clientSecret": testClientSecret}
	var list struct{ Items []struct{ ID string } }
	if err := json.Unmarshal([]byte(p.request(http.MethodGet, "/api/collections/plugins/records?sort=-slug", "", p.admin).body), &list); err != nil || len(list.Items) != 2 {
		t.Fatal(list, err)
	}
	if got := p.save(http.MethodPatch, list.Items[0].ID, changed); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	const want = `error    sheets   The provider does not accept the client ID or the secret.
         Why    Nobody can sign in.
         Mend   Enter the field clientSecret of the plugin sheets in the dashboard again; if it is right, check clientId and tokenAuth.

1 error.
plugin-oauth: not all is well; mend the errors and run doctor again
`
	if out := doctor(1); !strings.HasSuffix(out, want) {
		t.Errorf("with a wrong secret:\n%s", out)
	}
	out := doctor(1, "--json")
	var findings []finding
	if err := json.NewDecoder(strings.NewReader(out[max(0, strings.Index(out, "[")):])).Decode(&findings); err != nil || len(findings) != 1 || findings[0].Plugin != "sheets" || findings[0].Level != levelError {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
	p.env = append(p.env, "FLY_APP_NAME=my-backend")
	if out := doctor(1); !strings.Contains(out, "1 error, 1 warning.\n") || !strings.Contains(out, "warning           Requests come with the header Fly-Client-IP") {
		t.Errorf("on Fly:\n%s", out)
	}

	// The start says the same.
	p.stop(syscall.SIGTERM)
	p.start()
	const warning = `level=WARN msg="The provider does not accept the client ID or the secret." plugin=sheets why="Nobody can sign in." mend="Enter the field clientSecret`
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(p.out.String(), warning); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the start printed\n%s", p.out)
		}
	}
	if printed := p.out.String(); strings.Contains(printed, testClientSecret) || !strings.Contains(printed, `level=WARN msg="Requests come with`) {
		t.Errorf("the start printed\n%s", printed)
	}

	p.stop(syscall.SIGTERM)
	if out := doctor(1); !strings.Contains(out, "1 error, 2 warnings.\n") {
		t.Errorf("without the service:\n%s", out)
	}
	if out := doctor(0, "--dir", "elsewhere"); !strings.Contains(out, "Checking 1 plugin…") {
		t.Errorf("with another data folder:\n%s", out)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "pb_data", "data.db"), []byte("this is no database, and longer than a header of one is, which has a hundred bytes in all; so it is read"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := doctor(1); !strings.Contains(out, "The database in pb_data cannot be read.") {
		t.Errorf("with a damaged database:\n%s", out)
	}
	p.env = append(p.env, "TOKEN_ENDPOINT=nowhere")
	if out := doctor(1); !strings.Contains(out, "error    The configuration is not valid.\n") || !strings.Contains(out, "Mend   TOKEN_ENDPOINT must be an absolute URL") {
		t.Errorf("with a wrong variable:\n%s", out)
	}
}
