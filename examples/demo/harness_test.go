package main

import (
	"bytes"
	"context"
	_ "embed"
	"flag"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	"plugin-oauth/client"
	"plugin-oauth/internal/browser"
	"plugin-oauth/internal/testkit"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for browsers most of the time, so more of them may run than there are cores.
	parallel := flag.Lookup("test.parallel")
	if parallel.Value.String() == parallel.DefValue {
		_ = parallel.Value.Set("4") // it is a number
	}
	code := m.Run()
	browser.Quit()
	testkit.RemoveBuild()
	os.Exit(code)
}

// serve serves on loopback until the test ends, and returns the address.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	listener, err := listen("")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return localURL(listener)
}

// provider is a real OpenID provider that counts refreshes and has moods.
type provider struct {
	*storage.Storage
	account // its test user

	url       string
	ready     chan struct{} // closed when the rest is set
	handler   http.Handler
	refreshes atomic.Int64
	down      atomic.Bool                   // the token endpoint answers 503
	held      atomic.Pointer[chan struct{}] // a refresh waits until it is closed

	// keeps: a refresh token stays, and none is sent for it (RFC 6749 section 6).
	keeps atomic.Bool
}

func newProvider(t *testing.T, redirectURI string) *provider {
	t.Helper()
	p := &provider{ready: make(chan struct{})}
	p.url = serve(t, p)
	p.Storage, p.account = newStorage(registration{issuer: p.url, redirectURI: redirectURI})
	p.handler = openIDProvider(p.url, p, p.account)
	close(p.ready)
	return p
}

// CreateAccessAndRefreshTokens is that of the storage, unless the provider keeps its refresh tokens.
func (p *provider) CreateAccessAndRefreshTokens(
	ctx context.Context, request op.TokenRequest, current string,
) (accessTokenID, refreshToken string, expiration time.Time, err error) {
	if current != "" && p.keeps.Load() {
		accessTokenID, expiration, err = p.CreateAccessToken(ctx, request)
		return accessTokenID, "", expiration, err
	}
	return p.Storage.CreateAccessAndRefreshTokens(ctx, request, current)
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	<-p.ready
	if r.URL.Path == "/oauth/token" {
		if p.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if form, _ := url.ParseQuery(string(body)); form.Get("grant_type") == "refresh_token" {
			p.refreshes.Add(1)
			if held := p.held.Load(); held != nil {
				<-*held
			}
		}
	}
	if r.URL.Path == "/userinfo" {
		w = unauthorized{w}
	}
	p.handler.ServeHTTP(w, r)
}

// unauthorized makes a 403 a 401, which APIs answer to a token that has ended (RFC 6750 section 3.1).
type unauthorized struct{ http.ResponseWriter }

func (w unauthorized) WriteHeader(status int) {
	if status == http.StatusForbidden {
		status = http.StatusUnauthorized
	}
	w.ResponseWriter.WriteHeader(status)
}

// relay is the backend as a process of its own.
type relay struct {
	t       *testing.T
	url     string
	env     []string
	command *testkit.Command
	printed *testkit.Printed
}

// newRelay chooses the address of a backend, which is not started yet.
func newRelay(t *testing.T) *relay {
	t.Helper()
	address, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	printed := &testkit.Printed{}
	return &relay{
		t:   t,
		url: strings.Replace(address, "127.0.0.1", "http://localhost", 1),
		command: &testkit.Command{
			Args:    []string{"serve", "--http", address, "--dir", testkit.MigratedDir(t)},
			Dir:     t.TempDir(),
			Address: address,
			Output:  printed,
		},
		printed: printed,
	}
}

// knows sets the backend up for a provider. More of its environment may follow.
func (r *relay) knows(p *provider, env ...string) {
	r.env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"CLIENT_ID=" + clientID,
		"CLIENT_SECRET=" + clientSecret,
		"REDIRECT_URI=" + r.url + "/redirect",
		"AUTHORIZE_ENDPOINT=" + p.url + "/auth",
		"TOKEN_ENDPOINT=" + p.url + "/oauth/token",
		"REVOKE_ENDPOINT=" + p.url + "/revoke",
		"SCOPE=openid profile email offline_access",
		"TOKEN_AUTH=basic",
		"AUTHORIZE_RATE_LIMIT=off",
	}, env...)
}

// start starts the backend, which runs until the test ends.
func (r *relay) start() {
	r.t.Helper()
	r.command.Env = r.env
	r.t.Cleanup(r.stop)
	if err := r.command.Start(); err != nil {
		r.t.Fatalf("%v\n%s", err, r.printed)
	}
}

// stop ends the backend as a deploy does.
func (r *relay) stop() {
	if code := r.command.Terminate(); code != 0 {
		r.t.Errorf("the backend ended with %d:\n%s", code, r.printed)
	}
}

// front stands between a plugin and the backend. It counts requests, holds answers back, and as a Worker it
// answers as framer/plugin-oauth does.
type front struct {
	worker    bool
	proxy     httputil.ReverseProxy
	slow      atomic.Int64 // how long /authorize takes, in nanoseconds
	deaf      atomic.Int64 // so many polls get no answer at all
	offline   atomic.Bool  // the connections break, those that wait as well
	open      atomic.Int64 // requests that have not been answered
	refreshes atomic.Int64 // requests to /refresh
	polls     atomic.Int64 // requests to /poll
	delivered atomic.Int64 // answers to them with tokens

	refreshAnswer atomic.Pointer[answer] // instead of the backend's
	pollAnswer    atomic.Pointer[answer]
}

// answer is a status and a body.
type answer struct {
	status     int
	body       string
	retryAfter string // the header; blank: none
}

func (a *answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

func newFront(r *relay, worker bool) *front {
	behind, _ := url.Parse(r.url)
	f := &front{worker: worker}
	f.proxy.Rewrite = func(request *httputil.ProxyRequest) {
		request.SetURL(behind)
		request.Out.URL.RawQuery = request.In.URL.RawQuery // also what cannot be parsed
		if worker {
			forgetBody(request.Out)
		}
	}
	// Where nobody listens, a connection breaks.
	f.proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	f.proxy.ModifyResponse = func(response *http.Response) error {
		if response.Request.URL.Path == "/poll" && response.StatusCode == http.StatusOK {
			f.delivered.Add(1)
		}
		if worker && response.StatusCode >= 400 {
			answerInText(response)
		}
		return nil
	}
	return f
}

// forgetBody leaves of a request what framer/plugin-oauth reads: the query and nothing else. It does not know
// wait.
func forgetBody(request *http.Request) {
	query := request.URL.Query()
	query.Del("wait")
	request.URL.RawQuery = query.Encode()
	request.Body, request.ContentLength = nil, 0
	request.Header.Del("Accept")
	request.Header.Del("Content-Type")
}

// answerInText makes an error what it is of framer/plugin-oauth.
func answerInText(response *http.Response) {
	text := http.StatusText(response.StatusCode)
	if response.Request.URL.RawQuery == "" {
		text = "Missing read key URL param"
	}
	if response.Request.URL.Path == "/poll" && response.Request.URL.Query().Has("readKey") {
		response.StatusCode, text = http.StatusNotFound, "" // also when the sign-in has ended
	}
	response.Body = io.NopCloser(strings.NewReader(text))
	response.Header.Set("Content-Type", "text/plain")
	response.Header.Del("Content-Length")
	response.ContentLength = -1
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.open.Add(1)
	defer f.open.Add(-1)
	if r.URL.Path == "/poll" {
		f.polls.Add(1)
	}
	if f.offline.Load() {
		panic(http.ErrAbortHandler)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go f.cancelOffline(ctx, cancel)
	defer func() {
		if f.offline.Load() {
			panic(http.ErrAbortHandler)
		}
	}()
	if r = r.WithContext(ctx); f.answers(w, r) {
		return
	}
	f.proxy.ServeHTTP(w, r)
}

// cancelOffline cancels a request once the front is offline.
func (f *front) cancelOffline(ctx context.Context, cancel context.CancelFunc) {
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if f.offline.Load() {
			cancel()
		}
	}
}

// answers counts a request, holds it back, and reports whether it has answered in place of the backend.
func (f *front) answers(w http.ResponseWriter, r *http.Request) bool {
	switch r.URL.Path {
	case "/authorize":
		time.Sleep(time.Duration(f.slow.Load()))
	case "/poll":
		if f.deaf.Add(-1) >= 0 {
			_, _ = io.Copy(io.Discard, r.Body) // the end of a connection is noticed only behind it
			<-r.Context().Done()
			return true
		}
		if instead := f.pollAnswer.Load(); instead != nil {
			instead.ServeHTTP(w, r)
			return true
		}
	case "/refresh":
		f.refreshes.Add(1)
		if instead := f.refreshAnswer.Load(); instead != nil {
			instead.ServeHTTP(w, r)
			return true
		}
	}
	if f.worker && (r.Method != http.MethodPost || r.URL.Path == "/revoke") {
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "Page not found")
		return true
	}
	return false
}

//go:embed client_test.html
var clientTestHTML string

// clientPages serves a page that uses the client, whose backend the query names.
func clientPages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/client.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		w.Header().Set("Access-Control-Allow-Origin", "*") // a sandbox may have no origin
		w.Write(client.JavaScript)
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, clientTestHTML) })
	return mux
}
