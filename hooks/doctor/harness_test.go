package doctor

import (
	"cmp"
	"context"
	"encoding/json/v2"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/internal/testkit"
)

// lines returns one line for each finding.
func lines(findings []Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, fmt.Sprintf("%s %s: %s %s", f.Level, f.Plugin, f.What, f.Fix))
	}
	return all
}

// expectFindings compares the findings with the lines that lines returns for them.
func expectFindings(t *testing.T, findings []Finding, want ...string) {
	t.Helper()
	if got := lines(findings); !slices.Equal(got, want) {
		t.Errorf("found\n\t%s\nnot\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	for _, f := range findings {
		if f.Why == "" {
			t.Errorf("%s: it does not say why", f.What)
		}
		for _, never := range []string{"client%20secret", testkit.ClientSecret, "?"} {
			if strings.Contains(fmt.Sprint(f), never) {
				t.Errorf("it quotes a secret, or a query: %v", f)
			}
		}
	}
}

// serveHandler returns the address of a server that runs until the test ends.
func serveHandler(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// serveProvider returns the address of a provider with a login page, whose token endpoint is a handler.
func serveProvider(t *testing.T, token http.HandlerFunc) string {
	t.Helper()
	return serveHandler(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			token(w, r)
		}
	})
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// refusingCode is a provider with a login page, and a token endpoint that knows no code.
func refusingCode(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		answering(http.StatusBadRequest, `{"error":"invalid_grant"}`)(w, r)
	}
}

// serveSelf returns the address of a server that answers the doctor as the service itself does. It trusts no
// proxy.
func serveSelf(t *testing.T) string {
	t.Helper()
	return serveHandler(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Accept") != "application/json" {
			t.Errorf("the service was asked %s %s for %s", r.Method, r.URL, r.Header.Get("Accept"))
		}
		self := Self{Service: ServiceName, Plugin: true}
		if untrusted := UntrustedProxyHeaders(r.Header, nil); len(untrusted) > 0 {
			self.UntrustedProxyHeader = untrusted[0]
		}
		if err := json.MarshalWrite(w, self); err != nil {
			t.Error(err)
		}
	})
}

// addresses are where the service and its provider answer, without a path.
type addresses struct{ self, provider string }

// setup is what a test changes before it calls the doctor. plugin is the environment's, and not complete yet.
type setup struct {
	plugin    plugins.Plugin
	options   Options
	freeSpace func(folder string) (bytes uint64, known bool)
	fleeting  func(folder string) string
}

// newSetup returns a setup in which nothing is wrong.
func newSetup(t *testing.T, at addresses) *setup {
	t.Helper()
	return &setup{
		plugin: plugins.Plugin{
			PluginID: "abc123",
			Client: oauth.Client{
				ClientID:          testkit.ClientID,
				ClientSecret:      testkit.ClientSecret,
				RedirectURI:       at.self + "/redirect",
				AuthorizeEndpoint: at.provider + "/authorize",
				TokenEndpoint:     at.provider + "/token",
				Scope:             "read",
			},
		},
		options:   Options{DataDir: t.TempDir(), LookUp: lookUp},
		freeSpace: func(string) (uint64, bool) { return littleSpace, true },
		fleeting:  func(string) string { return "" },
	}
}

// lookUp stands for the names of the Internet. Those below inside.example have private addresses.
func lookUp(_ context.Context, host string) ([]netip.Addr, error) {
	public, private := netip.MustParseAddr("::ffff:198.41.0.4"), netip.MustParseAddr("10.0.0.1")
	switch host {
	case "nowhere.example":
		return nil, &net.DNSError{Name: host, IsNotFound: true}
	case "db.inside.example":
		return []netip.Addr{private}, nil
	case "both.inside.example":
		return []netip.Addr{private, public}, nil
	default:
		return []netip.Addr{public}, nil
	}
}

// preset leaves the endpoints to a preset, and lets the plugin call the API.
func (s *setup) preset(name string) {
	s.plugin.APIHosts = []string{oauth.APIHostsOfPreset}
	s.plugin.Provider, s.plugin.AuthorizeEndpoint, s.plugin.TokenEndpoint = name, "", ""
}

func (s *setup) check(t *testing.T) []Finding {
	t.Helper()
	redirectURI, _, _ := strings.Cut(s.plugin.RedirectURI, "?")
	derived := strings.TrimSuffix(strings.TrimSuffix(redirectURI, "/"), "/redirect")
	s.options.BaseURL = cmp.Or(s.options.PublicURL, derived)
	plugin := s.plugin.Complete(plugins.Defaults{PublicURL: s.options.BaseURL})
	if errs := plugin.Validate(); len(errs) > 0 {
		t.Fatal(errs)
	}
	s.options.Environment = &plugin
	d := New(s.options)
	d.freeSpace, d.fleeting = s.freeSpace, s.fleeting
	return d.Check(t.Context())
}

// roundTripper is a transport without a network, for tests of time.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
