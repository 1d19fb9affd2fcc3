package hooks

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/internal/testkit"
)

// expectFindings compares findings with lines of their level, plugin, What and Fix.
func expectFindings(t *testing.T, findings []doctor.Finding, want ...string) {
	t.Helper()
	var got []string
	for _, f := range findings {
		got = append(got, fmt.Sprintf("%s %s: %s %s", f.Level, f.Plugin, f.What, f.Fix))
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n\t%s\nnot\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// readWith reads the plugins of a service's data folder as the command doctor does, under another
// configuration.
func (s *testServer) readWith(config Config) (doctor.Options, map[string]*plugins.Plugin) {
	s.T.Helper()
	read, err := readDashboard(config, s.App.DataDir())
	if err != nil {
		s.T.Fatal(err)
	}
	options := config.doctorOptions()
	options.DataDir, options.Dashboard = s.App.DataDir(), read
	return options, read
}

const wrongSecret = "error wrong: The provider does not accept the client ID or the secret. " +
	"Enter the field clientSecret of the plugin wrong in the dashboard again; " +
	"if it is right, check clientId and tokenAuth."

// serveChecked starts the service with a plugin in each state that matters to the doctor, beside the
// environment's.
func serveChecked(t *testing.T) *testServer {
	t.Helper()
	s := serve(t, func(c *Config) {
		withKey(c)
		c.PublicURL = strings.TrimSuffix(c.Plugin.RedirectURI, "/redirect")
	})
	refusing := serveTokenEndpoint(t, refuseClient)
	s.add("well", nil)
	s.add("off", func(fields map[string]any) { fields["enabled"] = false })
	s.add("wrong", func(fields map[string]any) { fields["tokenEndpoint"] = refusing + "/token" })
	return s
}

// The service and the command read the same rows, each in its own way, and find the same.
func TestDoctorDashboard(t *testing.T) {
	t.Parallel()
	s := serveChecked(t)
	records, err := s.server.records.All()
	if err != nil {
		t.Fatal(err)
	}
	service := s.server.newDoctor(records)
	if checked := len(service.Plugins()); checked != 3 {
		t.Errorf("%d plugins are checked", checked)
	}
	expectFindings(t, service.Check(t.Context()), wrongSecret)
	options, _ := s.readWith(s.server.config)
	expectFindings(t, doctor.New(options).Check(t.Context()), wrongSecret)
}

// With another key, or none, the command says which plugins cannot be used.
func TestDoctorDashboardWithAnotherKey(t *testing.T) {
	t.Parallel()
	s := serveChecked(t)
	locked := func(slug string) string {
		return "error " + slug + ": The client secret does not open with this ENCRYPTION_KEY. " +
			"Set ENCRYPTION_KEY to the key that the plugin was saved under, or enter " +
			"the field clientSecret of the plugin " + slug + " in the dashboard again."
	}
	config := s.server.config
	config.EncryptionKey = otherEncryptionKey
	options, _ := s.readWith(config)
	expectFindings(t, doctor.New(options).Check(t.Context()), locked("well"), locked("wrong"))
	config.EncryptionKey = ""
	options, _ = s.readWith(config)
	expectFindings(t, doctor.New(options).Check(t.Context()), "error : "+
		"ENCRYPTION_KEY is not set, so the client secrets of the dashboard's plugins cannot be read. "+
		"Set ENCRYPTION_KEY to the key that they were saved under.")
}

// One cause that affects every plugin is one finding.
func TestDoctorDashboardOneCause(t *testing.T) {
	t.Parallel()
	s := serveChecked(t)
	config := s.server.config
	config.Plugin, config.PublicURL = nil, "http://backend.invalid"
	options, read := s.readWith(config)
	delete(read, "wrong")
	another := *read["well"]
	another.Slug, another.RedirectURI = "zz", strings.Replace(another.RedirectURI, "well", "zz", 1)
	read["zz"] = &another
	// The strict provider would refuse the other redirect URI.
	lenient := serveTokenEndpoint(t, answering(http.StatusBadRequest, `{"error":"invalid_grant"}`))
	for _, plugin := range []*plugins.Plugin{read["well"], read["zz"]} {
		plugin.AuthorizeEndpoint, plugin.TokenEndpoint = lenient+"/authorize", lenient+"/token"
	}
	unpublished := func(slug string) string {
		return "warning " + slug + ": The plugin may call from localhost only. " +
			"Set the field pluginId of the plugin " + slug +
			" in the dashboard to the id of the published plugin."
	}
	expectFindings(t, doctor.New(options).Check(t.Context()),
		"error : An address has http:// instead of https://. Write https:// in PUBLIC_URL.",
		"warning : Nothing answers at http://backend.invalid, where logins end. "+
			"Check that the service is running, and that PUBLIC_URL leads here.",
		unpublished("well"), unpublished("zz"))
}

// checkAtOnce turns on the check at start, without its delay.
func checkAtOnce(c *Config) { c.CheckAtStart, c.timing.checkAfter = true, time.Nanosecond }

// The check at start asks the service itself too. What it finds is in the log.
func TestCheckAtStart(t *testing.T) {
	t.Parallel()
	refusing := serveTokenEndpoint(t, refuseClient)
	s := serve(t, func(c *Config) {
		checkAtOnce(c)
		withKey(c)
		c.OldEncryptionKey, c.Plugin.Tokens = otherEncryptionKey, plugins.TokensSealed // there is a hint
		c.Plugin.APIHosts = []string{"localhost:1"}
		c.Plugin.TokenEndpoint = refusing + "/token"
	})
	s.server.checking.Wait()
	logged := s.waitLogged("plugin-oauth: The provider does not accept the client ID or the secret.")
	if !strings.Contains(logged, "CLIENT_SECRET again") {
		t.Errorf("logged:\n%s", logged)
	}
	for _, never := range []string{"Nothing answers", "Something else", "still opens", testkit.ClientSecret} {
		if strings.Contains(logged, never) {
			t.Errorf("%s is logged:\n%s", never, logged)
		}
	}
}

// A shutdown ends the check at start, and nothing is said about the requests that it cancelled.
func TestCheckAtStartEnds(t *testing.T) {
	t.Parallel()
	asked, left := make(chan struct{}, 1), make(chan struct{}, 1)
	provider := serveHandler(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done() // the service has left, and not by a time-out of its own
		left <- struct{}{}
	})
	s := serve(t, func(c *Config) {
		checkAtOnce(c)
		c.timing.provider = time.Hour
		c.Plugin.AuthorizeEndpoint = provider + "/authorize"
	})
	<-asked
	s.server.finishing.Do(s.server.finish)
	s.server.checking.Wait()
	<-left
	s.server.log.Warn("the last line")
	logged := s.waitLogged("the last line")
	if strings.Contains(logged, "authorize endpoint") || strings.Contains(logged, "no time") {
		t.Errorf("logged:\n%s", logged)
	}
}

// A service that ends before the check at start begins asks no provider.
func TestCheckAtStartIsPutOff(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.CheckAtStart, c.timing.checkAfter = true, time.Hour })
	s.server.finishing.Do(s.server.finish)
	s.server.checking.Wait()
	if checks := s.Provider.Checks(); checks != 0 {
		t.Errorf("the provider was asked %d times", checks)
	}
}

// The page's check of the set-up is the doctor's, and also sees the headers of the admin's own proxy.
func TestDoctorRoute(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var findings []doctor.Finding
	readJSON(s.Backend, "/api/plugin-oauth/doctor", &findings)
	if findings == nil || len(findings) != 0 {
		t.Errorf("found %+v", findings)
	}
	got := s.Request(http.MethodGet, "/api/plugin-oauth/doctor", "", s.Admin(), "X-Forwarded-For: 192.0.2.1")
	const fix = `"fix":"If a proxy of yours overwrites it or adds to it on every request, ` +
		`name X-Forwarded-For in TRUSTED_PROXY_HEADERS."`
	if strings.Count(got.Body, `"level"`) != 1 || !strings.Contains(got.Body, fix) {
		t.Errorf("behind a proxy: %s", got.Body)
	}
}

// On Fly.io the doctor itself finds what the admin's own request shows, too; it is reported once.
func TestDoctorRouteOnFly(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.onFly = true })
	got := s.Request(http.MethodGet, "/api/plugin-oauth/doctor", "", s.Admin(), "Fly-Client-IP: 192.0.2.1")
	if strings.Count(got.Body, `"level"`) != 1 || !strings.Contains(got.Body, "Fly-Client-IP") {
		t.Errorf("found %s", got.Body)
	}
}
