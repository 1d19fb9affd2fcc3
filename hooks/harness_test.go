package hooks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	dto "github.com/prometheus/client_model/go"

	"plugin-oauth/hooks/plugins"
	"plugin-oauth/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// testServer is the service in this process, as seen from outside and from inside.
type testServer struct {
	*testkit.Server

	server *server
}

// serve starts the service on a new data folder, with a provider of its own. edit may change the
// configuration.
func serve(t testing.TB, edit func(*Config)) *testServer {
	t.Helper()
	return serveApp(t, func(core.App) {}, edit)
}

// serveApp is [serve] with an app that prepare has changed before the service is registered with it.
func serveApp(t testing.TB, prepare func(core.App), edit func(*Config)) *testServer {
	t.Helper()
	s := &testServer{}
	s.Server = testkit.Serve(t, func(app core.App, backend *testkit.Backend) error {
		prepare(app)
		config := Config{
			Plugin:             testPlugin(backend),
			AuthorizeRateLimit: RateLimit{Requests: -1},
			Log:                slog.DiscardHandler,
		}
		if edit != nil {
			edit(&config)
		}
		if config.Plugin != nil {
			backend.Provider.Knows(config.withDefaults().Plugin.Client)
		}
		return register(app, config, func(started *server) { s.server = started })
	})
	s.App.Cron().Stop() // a test says itself when it sweeps; by the clock it could be at any moment
	return s
}

// in returns the same service for a subtest, which then fails on its own.
func (s *testServer) in(t testing.TB) *testServer {
	backend := *s.Backend
	backend.T = t
	return &testServer{Server: &testkit.Server{Backend: &backend, App: s.App}, server: s.server}
}

// testPlugin returns a plugin whose provider is the backend's.
func testPlugin(backend *testkit.Backend) *plugins.Plugin {
	return &plugins.Plugin{
		Client:   backend.Provider.Client(backend.URL),
		Name:     "Test plugin",
		PluginID: "abc123",
	}
}

// add creates a plugin with a provider of its own in the dashboard, as an admin does, and returns the service
// at its address.
func (s *testServer) add(slug string, edit func(fields map[string]any)) *testServer {
	s.T.Helper()
	backend := addPlugin(s.Backend, slug, edit)
	return &testServer{Server: &testkit.Server{Backend: backend, App: s.App}, server: s.server}
}

// addPlugin is [testServer.add] for a backend of any kind.
func addPlugin(b *testkit.Backend, slug string, edit func(fields map[string]any)) *testkit.Backend {
	b.T.Helper()
	backend := b.Plugin(slug)
	fields := map[string]any{
		"slug": slug, "enabled": true, "scope": "read " + slug,
		"clientId": testkit.ClientID, "clientSecret": testkit.ClientSecret,
		"authorizeEndpoint": backend.Provider.URL + "/authorize",
		"tokenEndpoint":     backend.Provider.URL + "/token",
	}
	if edit != nil {
		edit(fields)
	}
	if got := b.CreatePlugin(fields); got.Status != http.StatusOK {
		b.T.Fatalf("the plugin is refused: %d %s", got.Status, got.Body)
	}
	plugin := plugins.New(func(field string) string { return fmt.Sprint(cmp.Or(fields[field], any(""))) })
	plugin.RedirectURI = cmp.Or(plugin.RedirectURI, backend.URL+"/redirect")
	backend.Provider.Knows(plugin.Client.Complete())
	return backend
}

// record returns the id of a plugin's record.
func (s *testServer) record(slug string) string {
	s.T.Helper()
	record, err := s.App.FindFirstRecordByData("plugins", "slug", slug)
	if err != nil {
		s.T.Fatal(err)
	}
	return record.Id
}

// readJSON requests a route as an admin, and reads its answer.
func readJSON(b *testkit.Backend, target string, into any) {
	b.T.Helper()
	got := b.Request(http.MethodGet, target, "", b.Admin())
	if err := json.Unmarshal([]byte(got.Body), into); err != nil || got.Status != http.StatusOK {
		b.T.Fatalf("%s: %d %s", target, got.Status, got.Body)
	}
}

// expectTokens polls, and checks that the answer is the provider's, byte for byte.
func (s *testServer) expectTokens(readKey string) {
	s.T.Helper()
	s.Expect("poll", s.Poll(readKey), http.StatusOK, testkit.TokenResponse)
}

// expectTokensAgain is expectTokens for a plugin that has not acknowledged them, as often as it polls.
func (s *testServer) expectTokensAgain(readKey string) {
	s.T.Helper()
	s.Expect("poll", s.Post("/poll?ack=1&readKey="+readKey), http.StatusOK, testkit.TokenResponse)
}

// What /poll answers without tokens.
const (
	bodyPending = `{"error":"authorization_pending"}`
	bodyUnknown = `{"error":"not_found"}`
)

const testEncryptionKey = "0123456789abcdef0123456789abcdef"

// withKey lets the dashboard take client secrets.
func withKey(c *Config) { c.EncryptionKey = testEncryptionKey }

// eventually waits until a condition is true, and fails the test if that takes longer than any slow machine
// needs.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// waitingPolls returns the number of polls that are held.
func (s *testServer) waitingPolls() float64 {
	s.T.Helper()
	var sample dto.Metric
	if err := s.server.metrics.waiting.Write(&sample); err != nil {
		s.T.Fatal(err)
	}
	return sample.Gauge.GetValue()
}

// waitLogged waits until the log of the dashboard has some words, and returns all of it. PocketBase logs its
// own requests some time after they were answered.
func (s *testServer) waitLogged(words string) string {
	s.T.Helper()
	var logged string
	eventually(s.T, "the log says "+words, func() bool {
		logged = s.Logged()
		return strings.Contains(logged, words)
	})
	return logged
}

// testClock stands still until it is moved. It is safe for concurrent use.
type testClock struct {
	mu   sync.Mutex
	time time.Time
}

func newTestClock() *testClock { return &testClock{time: time.Now()} }

// setIn makes c the clock of a service.
func (c *testClock) setIn(config *Config) { config.timing.now = c.now }

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

// move sets the clock forward, or back.
func (c *testClock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(by)
}
