package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
	"github.com/pocketbase/pocketbase/tools/logger"

	_ "plugin-oauth/pb_migrations"
)

const (
	testClientID     = "client-id"
	testClientSecret = "client secret/+&%" // needs encoding in a form and in Basic authentication
)

// tokenResponse has what a JSON library would change: spaces, key order, a fractional number, one beyond a float64.
const tokenResponse = "{ \"token_type\":\"bearer\",\n \"expires_in\": 3599.50, \"issued_at\":\"1278448832702\",\t\"access_token\":\"AT/1+x==\"," +
	" \"refresh_token\":\"RT-1\", \"z\":{\"b\":1,\"a\":[]}, \"id\": 12345678901234567890, \"text\":\"\\u003c\\/>\" }\n"

// provider is an authorization server that refuses every deviation from RFC 6749 and RFC 7636.
type provider struct {
	*httptest.Server
	plugin Plugin // what it knows of its client

	mu       sync.Mutex
	answer   http.HandlerFunc  // of a token request that was good; nil means tokenResponse
	codes    map[string]string // of unused codes: the code challenge
	refusals []string
	issued   int
	served   int // good token requests
}

func newProvider(t *testing.T) *provider {
	p := &provider{codes: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /authorize", p.authorize)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		p.Close()
		for _, refusal := range p.refusals {
			t.Errorf("the provider was asked in a wrong way: %s", refusal)
		}
	})
	return p
}

// answers sets what good token requests are answered; nil means tokenResponse.
func (p *provider) answers(handler http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = handler
}

// exchanges counts the good token requests.
func (p *provider) exchanges() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.served
}

func (p *provider) refuse(w http.ResponseWriter, why string) {
	p.mu.Lock()
	p.refusals = append(p.refusals, why)
	p.mu.Unlock()
	http.Error(w, why, http.StatusTeapot)
}

// authorize stands for the login page of a person who agrees at once.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	want := map[string]string{
		"client_id": testClientID, "redirect_uri": p.plugin.RedirectURI, "response_type": "code", "scope": p.plugin.Scope,
	}
	for name, value := range want {
		if query.Get(name) != value || len(query[name]) > 1 {
			p.refuse(w, fmt.Sprintf("%s is %q, not %q", name, query[name], value))
			return
		}
	}
	challenge := query.Get("code_challenge")
	if p.plugin.PKCE == "off" {
		if query.Has("code_challenge") || query.Has("code_challenge_method") {
			p.refuse(w, "PKCE was used though it is off")
			return
		}
	} else if len(challenge) != 43 || query.Get("code_challenge_method") != "S256" {
		p.refuse(w, "the code challenge is not S256")
		return
	}
	p.mu.Lock()
	p.issued++
	code := fmt.Sprintf("code/%d+%s", p.issued, newKey())
	p.codes[code] = challenge
	p.mu.Unlock()
	http.Redirect(w, r, p.plugin.RedirectURI+"?"+url.Values{"code": {code}, "state": {query.Get("state")}}.Encode(), http.StatusFound)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, err := url.ParseQuery(string(body))
	if err != nil || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("Accept") != "application/json" {
		p.refuse(w, "the token request is not a form in the body that asks for JSON")
		return
	}
	username, password, basic := r.BasicAuth()
	username, _ = url.QueryUnescape(username)
	password, _ = url.QueryUnescape(password)
	if p.plugin.TokenAuth != "basic" {
		if basic {
			p.refuse(w, "Basic authentication was not agreed on")
			return
		}
		username, password = form.Get("client_id"), form.Get("client_secret")
	} else if form.Has("client_secret") {
		p.refuse(w, "the secret was sent twice")
		return
	}
	if username != testClientID || password != testClientSecret {
		p.refuse(w, "the client did not authenticate")
		return
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		p.mu.Lock()
		challenge, ok := p.codes[form.Get("code")]
		delete(p.codes, form.Get("code"))
		p.mu.Unlock()
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		switch {
		case !ok:
			p.refuse(w, "the code is unknown or was used")
			return
		case form.Get("redirect_uri") != p.plugin.RedirectURI:
			p.refuse(w, "the redirect URI is another")
			return
		case challenge == "" && form.Has("code_verifier"):
			p.refuse(w, "a code verifier was sent though PKCE is off")
			return
		case challenge != "" && base64.RawURLEncoding.EncodeToString(sum[:]) != challenge:
			p.refuse(w, "the code verifier does not fit the challenge")
			return
		}
	case "refresh_token":
		if form.Get("refresh_token") == "" {
			p.refuse(w, "the refresh token is missing")
			return
		}
	default:
		p.refuse(w, "the grant type is wrong")
		return
	}
	p.mu.Lock()
	p.served++
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		r.Form = form
		answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	io.WriteString(w, tokenResponse)
}

// relayServer is the relay on a real listener of PocketBase's own server.
type relayServer struct {
	t        *testing.T
	app      core.App
	url      string
	provider *provider
}

// starting is held while an app starts: PocketBase sorts its list of migrations in place.
var starting sync.Mutex

// serve starts the relay on a new data folder, with a provider of its own. edit may change the configuration.
func serve(t *testing.T, edit func(*Config)) *relayServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &relayServer{t: t, url: "http://" + listener.Addr().String(), provider: newProvider(t)}
	config := Config{Plugin: s.provider.client(s.url)}
	if edit != nil {
		edit(&config)
	}
	if config.Plugin != nil {
		s.provider.plugin = *config.Plugin
	}

	starting.Lock()
	defer starting.Unlock()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: t.TempDir()})
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	s.app = app
	MustRegister(app, config)
	ready, ended := make(chan struct{}), make(chan error, 1)
	app.OnServe().BindFunc(func(e *core.ServeEvent) error {
		e.Listener = listener
		err := e.Next()
		close(ready)
		return err
	})
	go func() { ended <- apis.Serve(app, apis.ServeConfig{HttpAddr: listener.Addr().String()}) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		event := &core.TerminateEvent{App: app}
		if err := app.OnTerminate().Trigger(event, func(e *core.TerminateEvent) error { return e.App.ClearBootstrap() }); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return s
}

// client is a plugin whose provider is p and whose relay is at relayURL.
func (p *provider) client(relayURL string) *Plugin {
	return &Plugin{
		Name:              "Test plugin",
		ClientID:          testClientID,
		ClientSecret:      testClientSecret,
		RedirectURI:       relayURL + "/redirect",
		AuthorizeEndpoint: p.URL + "/authorize",
		TokenEndpoint:     p.URL + "/token",
		Scope:             "read:a,write:b c",
		PluginID:          "abc123",
	}
}

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   string
}

// noRedirects is a client that shows redirects instead of following them.
var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// request sends a request with headers given as "Name: value".
func (s *relayServer) request(method, target, body string, headers ...string) answer {
	s.t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = s.url + target
	}
	request, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, header := range headers {
		if name, value, found := strings.Cut(header, ": "); found {
			request.Header.Set(name, value)
		}
	}
	response, err := noRedirects.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(content)}
}

func (s *relayServer) get(target string) answer  { return s.request(http.MethodGet, target, "") }
func (s *relayServer) post(target string) answer { return s.request(http.MethodPost, target, "") }

// authorize starts a login.
func (s *relayServer) authorize() (authorizationURL *url.URL, readKey string) {
	s.t.Helper()
	got := s.post("/authorize")
	var login struct{ URL, ReadKey string }
	if err := json.Unmarshal([]byte(got.body), &login); err != nil || got.status != http.StatusOK {
		s.t.Fatalf("/authorize answered %d %s", got.status, got.body)
	}
	authorizationURL, err := url.Parse(login.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	return authorizationURL, login.ReadKey
}

// agree lets the person sign in at the provider, and returns the address that the provider redirects to.
func (s *relayServer) agree(authorizationURL *url.URL) string {
	s.t.Helper()
	got := s.get(authorizationURL.String())
	if got.status != http.StatusFound {
		s.t.Fatalf("the provider answered %d %s", got.status, got.body)
	}
	return got.header.Get("Location")
}

// login starts a login and goes through it up to the relay's page. It returns the page.
func (s *relayServer) login() (page answer, readKey string) {
	s.t.Helper()
	authorizationURL, readKey := s.authorize()
	return s.get(s.agree(authorizationURL)), readKey
}

func (s *relayServer) poll(readKey string) answer {
	s.t.Helper()
	return s.post("/poll?readKey=" + readKey)
}

// expect compares an answer's status and body.
func (s *relayServer) expect(what string, got answer, status int, body string) {
	s.t.Helper()
	if got.status != status || got.body != body {
		s.t.Errorf("%s: got %d %q, want %d %q", what, got.status, got.body, status, body)
	}
}

// expectPage checks that an answer is a page for a person, with a status and words in it.
func (s *relayServer) expectPage(what string, got answer, status int, words string) {
	s.t.Helper()
	if got.status != status || got.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(got.body, words) {
		s.t.Errorf("%s: got %d %s without %q\n%s", what, got.status, got.header.Get("Content-Type"), words, got.body)
	}
}

// logged returns the whole log table.
func (s *relayServer) logged() string {
	s.t.Helper()
	handler, ok := s.app.Logger().Handler().(interface{ WriteAll(context.Context) error })
	if !ok {
		s.t.Fatalf("PocketBase logs through a %T", s.app.Logger().Handler())
	}
	if err := handler.WriteAll(context.WithValue(s.t.Context(), logger.BlockKey, true)); err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	if err := s.app.AuxDB().NewQuery("SELECT message || ' ' || data FROM _logs").Column(&lines); err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
