package hooks

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
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
	testClientID     = "client id/1+&"     // needs encoding in a form, in an address and in Basic authentication
	testClientSecret = "client secret/+&%" // likewise
)

// tokenResponse has what a JSON library would change: spaces, key order, a fractional number, one beyond a float64.
const tokenResponse = "{ \"token_type\":\"bearer\",\n \"expires_in\": 3599.50, \"issued_at\":\"1278448832702\",\t\"access_token\":\"AT/1+x==\"," +
	" \"refresh_token\":\"RT-1\", \"z\":{\"b\":1,\"a\":[]}, \"id\": 12345678901234567890, \"text\":\"\\u003c\\/>\" }\n"

// provider is an authorization server that refuses every deviation from RFC 6749, 7636 and 7009, and from what its plugin
// says: another address, a parameter too many, another way to authenticate.
type provider struct {
	*httptest.Server
	plugin Plugin // what it knows of its client, complete

	mu       sync.Mutex
	answer   http.HandlerFunc  // of a token request that was good; nil means tokenResponse
	codes    map[string]string // of unused codes: the code challenge
	refusals []string
	revoked  []string
	issued   int
	served   int // good token requests
	examined int // those of the doctor, which have a made-up code
}

func newProvider(t testing.TB) *provider {
	p := &provider{codes: map[string]string{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.Close()
		for _, refusal := range p.refusals {
			t.Errorf("the provider was asked in a wrong way: %s", refusal)
		}
	})
	return p
}

// knows sets what it knows of its client.
func (p *provider) knows(plugin Plugin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plugin = plugin
}

// answers sets what good token requests are answered; nil means tokenResponse.
func (p *provider) answers(handler http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = handler
}

// examinations counts the token requests of the doctor.
func (p *provider) examinations() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.examined
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

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock() // what another process asks after knows is, to the race detector, asked at any time
	plugin := p.plugin
	p.mu.Unlock()
	address := "http://" + r.Host + r.URL.EscapedPath()
	if r.TLS != nil {
		address = "https" + strings.TrimPrefix(address, "http")
	}
	authorizeEndpoint, _, _ := strings.Cut(plugin.AuthorizeEndpoint, "?")
	switch {
	case r.Method == http.MethodGet && address == authorizeEndpoint:
		p.authorize(w, r)
	case r.Method == http.MethodPost && (address == plugin.TokenEndpoint || address == plugin.refreshEndpoint):
		p.token(w, r, address)
	case address == strings.ReplaceAll(plugin.RevokeEndpoint, "{client_id}", url.PathEscape(testClientID)):
		p.revoke(w, r)
	default:
		p.refuse(w, r.Method+" "+address+" is no endpoint of this provider")
	}
}

// differs says in what parameters are not exactly those wanted; "*" wants any value.
func differs(got, want url.Values) string {
	for name := range got {
		if len(got[name]) != 1 || !want.Has(name) {
			return fmt.Sprintf("%s is not wanted, or stands twice: %q", name, got[name])
		}
	}
	for name := range want {
		if !got.Has(name) || (want.Get(name) != "*" && got.Get(name) != want.Get(name)) {
			return fmt.Sprintf("%s is %q, not %q", name, got[name], want[name])
		}
	}
	return ""
}

// authorize stands for the login page of a person who agrees at once.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	_, endpointParams, _ := strings.Cut(p.plugin.AuthorizeEndpoint, "?")
	want, err := url.ParseQuery(endpointParams + "&" + p.plugin.AuthorizeParams)
	if err != nil {
		p.refuse(w, err.Error())
		return
	}
	for name, value := range map[string]string{"client_id": testClientID, "redirect_uri": p.plugin.RedirectURI, "response_type": "code", "state": "*"} {
		want.Set(name, value)
	}
	if p.plugin.Scope != "" {
		want.Set("scope", p.plugin.Scope)
	}
	if p.plugin.PKCE != "off" {
		want.Set("code_challenge", "*")
		want.Set("code_challenge_method", "S256")
	}
	query := r.URL.Query()
	if difference := differs(query, want); difference != "" {
		p.refuse(w, "authorization request: "+difference)
		return
	}
	challenge := query.Get("code_challenge")
	if p.plugin.PKCE != "off" && len(challenge) != 43 {
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

// authenticates checks how a form's sender does that, and returns what is wrong, and the parameters that it takes.
func (p *provider) authenticates(r *http.Request, form url.Values) (wrong string, params url.Values) {
	params = url.Values{}
	username, password, basic := r.BasicAuth()
	username, _ = url.QueryUnescape(username)
	switch p.plugin.TokenAuth {
	case "basic":
		password, _ = url.QueryUnescape(password)
	case "basic-secret":
		// The user name is the secret as it stands.
		username, password, basic = r.BasicAuth()
		if password != "" {
			return "there is a password", params
		}
		username, password = testClientID, username
	default:
		if basic || r.Header.Get("Authorization") != "" {
			return "Basic authentication was not agreed on", params
		}
		username, password, basic = form.Get("client_id"), form.Get("client_secret"), true
		params = url.Values{"client_id": {"*"}, "client_secret": {"*"}}
	}
	if !basic || username != testClientID || password != testClientSecret {
		return "the client did not authenticate", params
	}
	return "", params
}

// form reads a form in the body.
func (p *provider) form(r *http.Request) (url.Values, error) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("Accept") != "application/json" {
		return nil, errors.New("the request is not a form in the body that asks for JSON")
	}
	return url.ParseQuery(string(body))
}

func (p *provider) token(w http.ResponseWriter, r *http.Request, address string) {
	form, err := p.form(r)
	if err != nil {
		p.refuse(w, err.Error())
		return
	}
	wrong, want := p.authenticates(r, form)
	if wrong != "" {
		p.refuse(w, wrong)
		return
	}
	// What the doctor asks is right but for its code.
	madeUp := form.Get("grant_type") == "authorization_code" && form.Get("code") == madeUpCode
	switch form.Get("grant_type") {
	case "authorization_code":
		tokenParams, _ := url.ParseQuery(p.plugin.tokenParams)
		maps.Copy(want, tokenParams)
		maps.Copy(want, url.Values{"grant_type": {"*"}, "code": {"*"}, "redirect_uri": {p.plugin.RedirectURI}})
		if p.plugin.PKCE != "off" {
			want.Set("code_verifier", "*")
		}
		p.mu.Lock()
		challenge, ok := p.codes[form.Get("code")]
		delete(p.codes, form.Get("code"))
		p.mu.Unlock()
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		switch {
		case address != p.plugin.TokenEndpoint:
			wrong = "a code was sent to the refresh endpoint"
		case !ok && !madeUp:
			wrong = "the code is unknown or was used"
		case challenge != "" && base64.RawURLEncoding.EncodeToString(sum[:]) != challenge:
			wrong = "the code verifier does not fit the challenge"
		}
	case "refresh_token":
		maps.Copy(want, url.Values{"grant_type": {"*"}, "refresh_token": {"*"}})
		if address != p.plugin.refreshEndpoint {
			wrong = "a refresh token was sent to the token endpoint"
		} else if form.Get("refresh_token") == "" {
			wrong = "the refresh token is missing"
		}
	default:
		wrong = "the grant type is wrong"
	}
	if wrong == "" {
		wrong = differs(form, want)
	}
	if wrong != "" {
		p.refuse(w, "token request: "+wrong)
		return
	}
	if madeUp {
		p.mu.Lock()
		p.examined++
		p.mu.Unlock()
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant"}`)
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

// revoke ends a token in the one way that the plugin's kind has. It keeps the token.
func (p *provider) revoke(w http.ResponseWriter, r *http.Request) {
	wrong, token, method := "", "", http.MethodPost
	switch kind := p.plugin.revokeKind; kind {
	case "", "rfc7009", "token":
		form, err := p.form(r)
		if err != nil {
			p.refuse(w, err.Error())
			return
		}
		want := url.Values{}
		if kind != "token" {
			wrong, want = p.authenticates(r, form)
			if strings.HasPrefix(form.Get("token"), "hinted") {
				want.Set("token_type_hint", "refresh_token")
			}
		} else if r.Header.Get("Authorization") != "" {
			wrong = "the client authenticates"
		}
		want.Set("token", "*")
		if wrong == "" {
			wrong = differs(form, want)
		}
		token = form.Get("token")
	case "bearer":
		body, _ := io.ReadAll(r.Body)
		if len(body) > 0 {
			wrong = "there is a body"
		}
		token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	default:
		want := map[string]map[string]string{
			"json":        {"token": ""},
			"github":      {"access_token": ""},
			"json-client": {"access_token": "", "client_id": testClientID, "client_secret": testClientSecret},
		}[kind]
		if kind == "github" {
			method = http.MethodDelete
		}
		var body map[string]string
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Content-Type") != "application/json" {
			wrong = "the body is not JSON, or not said to be"
		}
		for name := range want {
			if want[name] == "" {
				token, want[name] = body[name], body[name]
			}
		}
		if !maps.Equal(body, want) {
			wrong = fmt.Sprintf("the body has the members %v", slices.Sorted(maps.Keys(body)))
		}
		username, password, basic := r.BasicAuth()
		username, _ = url.QueryUnescape(username)
		password, _ = url.QueryUnescape(password)
		if kind == "json-client" && basic || kind != "json-client" && (username != testClientID || password != testClientSecret) {
			wrong = "the client did not authenticate as agreed"
		}
	}
	if r.Method != method {
		wrong = "the method is " + r.Method
	}
	if wrong == "" && token == "" {
		wrong = "the token is missing"
	}
	if wrong != "" {
		p.refuse(w, "revocation: "+wrong)
		return
	}
	p.mu.Lock()
	p.revoked = append(p.revoked, token)
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		answer(w, r)
	}
}

// relayServer is the relay on a real listener of PocketBase's own server.
type relayServer struct {
	t        testing.TB
	app      core.App
	relay    *relay
	url      string
	client   *http.Client
	provider *provider
	admin    string // the Authorization header of a superuser, once a test has asked for it
}

// starting is held while an app starts: PocketBase sorts its list of migrations in place.
var starting sync.Mutex

// serve starts the relay on a new data folder, with a provider of its own. edit may change the configuration.
func serve(t testing.TB, edit func(*Config)) *relayServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &relayServer{t: t, url: "http://" + listener.Addr().String(), client: newClient(), provider: newProvider(t)}
	config := Config{Plugin: s.provider.client(s.url), AuthorizeRateLimit: RateLimit{Requests: -1}, Log: slog.DiscardHandler}
	if edit != nil {
		edit(&config)
	}
	if config.Plugin != nil {
		s.provider.knows(config.Plugin.complete(config))
	}

	starting.Lock()
	defer starting.Unlock()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: t.TempDir()})
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	s.app = app
	// Bound first, it is done last: when the relay is ready, too.
	ready, ended := make(chan struct{}), make(chan error, 1)
	app.OnServe().BindFunc(func(e *core.ServeEvent) error {
		e.Listener = listener
		err := e.Next()
		close(ready)
		return err
	})
	if s.relay, err = register(app, config); err != nil {
		t.Fatal(err)
	}
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

// add makes a plugin with a provider of its own in the dashboard, as an admin does, and returns the relay at its address.
func (s *relayServer) add(slug string, edit func(fields map[string]any)) *relayServer {
	s.t.Helper()
	added := *s
	added.url, added.provider = s.url+"/"+slug, newProvider(s.t)
	fields := map[string]any{
		"slug": slug, "enabled": true, "clientId": testClientID, "clientSecret": testClientSecret, "scope": "read " + slug,
		"authorizeEndpoint": added.provider.URL + "/authorize", "tokenEndpoint": added.provider.URL + "/token",
	}
	if edit != nil {
		edit(fields)
	}
	got := s.save(http.MethodPost, "", fields)
	if got.status != http.StatusOK {
		s.t.Fatalf("the plugin is refused: %d %s", got.status, got.body)
	}
	plugin := newPlugin(func(field string) string { return fmt.Sprint(cmp.Or(fields[field], any(""))) })
	plugin.RedirectURI = cmp.Or(plugin.RedirectURI, added.url+"/redirect")
	added.provider.knows(plugin.complete(Config{}))
	return &added
}

// save creates (POST) or changes (PATCH) a record of plugins through the API, as the dashboard does.
func (s *relayServer) save(method, id string, fields map[string]any) answer {
	s.t.Helper()
	if s.admin == "" {
		s.admin = s.superuser()
	}
	body, err := json.Marshal(fields)
	if err != nil {
		s.t.Fatal(err)
	}
	base, _ := url.Parse(s.url)
	target := strings.TrimSuffix("http://"+base.Host+"/api/collections/plugins/records/"+id, "/")
	return s.request(method, target, string(body), s.admin, "Content-Type: application/json")
}

// record returns the id of a plugin's record.
func (s *relayServer) record(slug string) string {
	s.t.Helper()
	record, err := s.app.FindFirstRecordByData("plugins", "slug", slug)
	if err != nil {
		s.t.Fatal(err)
	}
	return record.Id
}

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   string
}

// showRedirects is a CheckRedirect that shows redirects instead of following them.
func showRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// newClient returns a client with connections of its own: those of http.DefaultTransport are closed whenever an httptest.Server
// of another test is.
func newClient() *http.Client {
	return &http.Client{CheckRedirect: showRedirects, Transport: http.DefaultTransport.(*http.Transport).Clone()}
}

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
	response, err := s.client.Do(request)
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
	return s.authorizeAt("/authorize")
}

func (s *relayServer) authorizeAt(target string) (authorizationURL *url.URL, readKey string) {
	s.t.Helper()
	return s.parseLogin(s.post(target))
}

func (s *relayServer) parseLogin(got answer) (authorizationURL *url.URL, readKey string) {
	s.t.Helper()
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

// poll polls, and waits until the service has noted what it answered: only then it takes the connection's next request.
func (s *relayServer) poll(readKey string) answer {
	s.t.Helper()
	got := s.post("/poll?readKey=" + readKey)
	if got.status == http.StatusOK {
		s.get("/")
	}
	return got
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
