package main

import (
	"bytes"
	"context"
	_ "embed"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	"plugin-oauth/client"
)

// serve serves on loopback until the test ends, and returns the address.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	listener, err := listen(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	t.Cleanup(func() {
		// What the last request touches may be the next test's: the provider has one table of clients for the whole program.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	})
	return localURL(listener)
}

// provider is a real OpenID provider that counts refreshes and has moods.
type provider struct {
	*storage.Storage
	url, username, password string

	ready     chan struct{} // closed when the rest is set
	handler   http.Handler
	refreshes atomic.Int64
	keeps     atomic.Bool                   // a refresh token stays, and none is sent for it (RFC 6749 section 6)
	down      atomic.Bool                   // the token endpoint answers 503
	held      atomic.Pointer[chan struct{}] // a refresh waits until it is closed
}

func newProvider(t *testing.T, redirectURI string) *provider {
	t.Helper()
	p := &provider{ready: make(chan struct{})}
	p.url = serve(t, p)
	storage.RegisterClients(storage.WebClient(clientID, clientSecret, redirectURI))
	users := storage.NewUserStore(p.url)
	user := users.GetUserByID("id1")
	p.Storage, p.username, p.password = storage.NewStorage(users), user.Username, user.Password
	p.handler = oneByOne(exampleop.SetupServer(p.url, p, slog.New(slog.DiscardHandler), false))
	close(p.ready)
	return p
}

func (p *provider) CreateAccessAndRefreshTokens(ctx context.Context, request op.TokenRequest, current string) (string, string, time.Time, error) {
	if current != "" && p.keeps.Load() {
		id, expiration, err := p.CreateAccessToken(ctx, request)
		return id, "", expiration, err
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

// program builds the binary once.
var program = sync.OnceValues(func() (string, error) {
	file, err := os.CreateTemp("", "plugin-oauth-test")
	if err != nil {
		return "", err
	}
	file.Close()
	output, err := exec.Command("go", "build", "-o", file.Name(), "plugin-oauth").CombinedOutput()
	os.Stderr.Write(output)
	return file.Name(), err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.Remove(path)
	}
	os.Exit(code)
}

// relay is the binary as a process of its own.
type relay struct {
	t       *testing.T
	url     string
	env     []string
	dir     string
	command *exec.Cmd
}

// newRelay chooses the address of a relay, which is not started yet.
func newRelay(t *testing.T) *relay {
	t.Helper()
	listener, err := listen(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return &relay{t: t, url: localURL(listener), dir: t.TempDir()}
}

// knows sets the relay up for a provider. More of its environment may follow.
func (r *relay) knows(p *provider, env ...string) {
	r.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "CLIENT_ID=" + clientID, "CLIENT_SECRET=" + clientSecret, "REDIRECT_URI=" + r.url + "/redirect",
		"AUTHORIZE_ENDPOINT=" + p.url + "/auth", "TOKEN_ENDPOINT=" + p.url + "/oauth/token", "REVOKE_ENDPOINT=" + p.url + "/revoke",
		"SCOPE=openid profile email offline_access", "TOKEN_AUTH=basic", "AUTHORIZE_RATE_LIMIT=off",
	}, env...)
}

func (r *relay) start() {
	r.t.Helper()
	path, err := program()
	if err != nil {
		r.t.Fatal(err)
	}
	address := strings.Replace(r.url, "http://localhost", "127.0.0.1", 1)
	r.command = exec.Command(path, "serve", "--http", address)
	r.command.Dir, r.command.Env = r.dir, r.env
	if err := r.command.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(r.stop)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if connection, err := net.Dial("tcp", address); err == nil {
			connection.Close()
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatal("the relay does not answer")
		}
	}
}

// stop ends the relay as a deploy does.
func (r *relay) stop() {
	if r.command.ProcessState == nil {
		_ = r.command.Process.Signal(syscall.SIGTERM)
		_ = r.command.Wait()
	}
}

// front stands between a plugin and the relay. It holds answers back, and as a Worker it answers as framer/plugin-oauth does.
type front struct {
	worker    bool
	proxy     httputil.ReverseProxy
	slow      atomic.Int64 // how long /authorize takes, in nanoseconds
	deaf      atomic.Int64 // so many polls get no answer at all
	offline   atomic.Bool  // the connections break, those that wait as well
	refreshes atomic.Int64 // requests to /refresh
	polls     atomic.Int64 // requests to /poll

	refreshAnswer atomic.Pointer[answer] // instead of the relay's
}

// answer is a status and a body.
type answer struct {
	status int
	body   string
}

func newFront(r *relay, worker bool) *front {
	behind, _ := url.Parse(r.url)
	f := &front{worker: worker}
	f.proxy.Rewrite = func(request *httputil.ProxyRequest) {
		request.SetURL(behind)
		if worker {
			// It reads the query and nothing else, and has never heard of wait.
			query := request.Out.URL.Query()
			query.Del("wait")
			request.Out.URL.RawQuery = query.Encode()
			request.Out.Body, request.Out.ContentLength = nil, 0
			request.Out.Header.Del("Accept")
			request.Out.Header.Del("Content-Type")
		}
	}
	f.proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	f.proxy.ModifyResponse = func(response *http.Response) error {
		if worker && response.StatusCode >= 400 {
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
		return nil
	}
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.offline.Load() {
		panic(http.ErrAbortHandler)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			if f.offline.Load() {
				cancel()
			}
		}
	}()
	defer func() {
		if f.offline.Load() {
			panic(http.ErrAbortHandler)
		}
	}()
	r = r.WithContext(ctx)
	switch r.URL.Path {
	case "/authorize":
		time.Sleep(time.Duration(f.slow.Load()))
	case "/poll":
		f.polls.Add(1)
		if f.deaf.Add(-1) >= 0 {
			<-r.Context().Done()
			return
		}
	case "/refresh":
		f.refreshes.Add(1)
		if answer := f.refreshAnswer.Load(); answer != nil {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.WriteHeader(answer.status)
			io.WriteString(w, answer.body)
			return
		}
	}
	if f.worker && (r.Method != http.MethodPost || r.URL.Path == "/revoke") {
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "Page not found")
		return
	}
	f.proxy.ServeHTTP(w, r)
}

//go:embed client_test.html
var clientTestHTML string

// clientPages serves a page that uses the client, whose backend the query names.
func clientPages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/client.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		w.Write(client.JavaScript)
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, clientTestHTML) })
	return mux
}
