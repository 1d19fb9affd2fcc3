package hooks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// The login finishes in spite of a kill -9 between any two of its steps.
func TestCrashBetweenSteps(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	p.Start()
	authorizationURL, readKey := p.Authorize()
	p.Crash()
	p.Expect("before the login", p.Poll(readKey), http.StatusNotFound, bodyPending)
	p.Crash()
	callback := p.Agree(authorizationURL)
	p.Crash()
	p.ExpectPage("redirect", p.Get(callback), http.StatusOK, "You are signed in")
	p.Crash()
	p.ExpectPage("reload", p.Get(callback), http.StatusOK, "You are signed in")
	p.Crash()
	p.Expect("poll", p.Poll(readKey), http.StatusOK, testkit.TokenResponse)
	p.Crash()
	p.Expect("poll again", p.Poll(readKey), http.StatusNotFound, bodyUnknown)
	p.Crash()
	p.Expect("refresh", p.Post("/refresh?code=RT-1"), http.StatusOK, testkit.TokenResponse)
}

// heldExchanges makes a provider hold its answers to codes until they are released. It answers refresh tokens
// at once.
type heldExchanges struct {
	asked   chan struct{} // receives a value for each code that is sent
	release func()        // releases the answers, as does the end of the test
}

func holdExchanges(t *testing.T, provider *testkit.Provider) heldExchanges {
	released := make(chan struct{})
	held := heldExchanges{
		asked:   make(chan struct{}, 10),
		release: sync.OnceFunc(func() { close(released) }),
	}
	t.Cleanup(held.release)
	provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		if r.Form.Get("grant_type") == "authorization_code" {
			held.asked <- struct{}{}
			<-released
		}
		_, _ = io.WriteString(w, testkit.TokenResponse)
	})
	return held
}

const textRestarting = "temporarily_unavailable: The service is restarting. Try again in a moment.\n"

// awaitShutdown waits until a service that is shutting down begins no more token requests.
func awaitShutdown(b *testkit.Backend) {
	b.T.Helper()
	var got testkit.Answer
	eventually(b.T, "the service shuts down", func() bool {
		got = b.Post("/refresh?code=RT-1")
		return got.Status != http.StatusOK
	})
	b.Expect("a refresh that comes now", got, http.StatusServiceUnavailable, textRestarting)
}

// A SIGTERM while a code is exchanged lets the exchange finish and its tokens be stored, since the code
// cannot be used twice.
func TestShutdownFinishesTheExchange(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	p.Start()
	held := holdExchanges(t, p.Provider)
	authorizationURL, readKey := p.Authorize()
	callback := p.Agree(authorizationURL)
	late, _ := p.Authorize()
	lateCallback := p.Agree(late)
	page := make(chan testkit.Answer, 1)
	go func() { page <- p.Get(callback) }()
	<-held.asked
	stopped := make(chan int, 1)
	go func() { stopped <- p.Terminate() }()
	awaitShutdown(p.Backend)
	restarting := p.Get(lateCallback)
	p.ExpectPage("a login that comes now", restarting, http.StatusServiceUnavailable, `http-equiv="refresh"`)
	if strings.Contains(restarting.Body, "replaceState") ||
		!strings.Contains(restarting.Body, "This page loads again by itself.") {
		t.Error("the page does not say that it loads again, or takes out of its address what it needs then")
	}
	time.Sleep(1500 * time.Millisecond) // longer than PocketBase itself waits, which is not one of our fields
	held.release()
	p.ExpectPage("the login in flight", <-page, http.StatusOK, "You are signed in")
	if code := <-stopped; code != 0 {
		t.Errorf("the program ended with %d:\n%s", code, p.Out)
	}
	p.Start()
	p.Expect("poll", p.Poll(readKey), http.StatusOK, testkit.TokenResponse)
	p.ExpectPage("the page, reloaded", p.Get(lateCallback), http.StatusOK, "You are signed in")
}

// After a kill -9 during an exchange, the plugin learns at the next start that it must begin again.
func TestCrashDuringTheExchange(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	p.Start()
	held := holdExchanges(t, p.Provider)
	authorizationURL, readKey := p.Authorize()
	callback := p.Agree(authorizationURL)
	go func() {
		if response, err := http.Get(callback); err == nil {
			response.Body.Close()
		}
	}()
	<-held.asked
	p.Crash()
	p.ExpectError("poll", p.Poll(readKey), http.StatusBadRequest, "server_error")
}

// The heap may grow to 12 MB until the program serves; then it is collected, and as small as usual.
func TestStartCollectsNoGarbage(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	p.Env = append(p.Env, "GODEBUG=gctrace=1")
	p.Start()
	// The last column says why: nothing, or that the program asked for it.
	atTheEnd := regexp.MustCompile(`(?m)^gc .* ([0-9]+) MB goal.* P \(forced\)$`)
	later := regexp.MustCompile(`(?m)^gc .* ([0-9]+) MB goal.* P$`)
	var end []int
	eventually(t, "the garbage is collected once it serves", func() bool {
		end = atTheEnd.FindStringSubmatchIndex(p.Out.String())
		return end != nil
	})
	if goal := p.Out.String()[end[2]:end[3]]; len(goal) < 2 {
		t.Errorf("at the end of the start it would have collected at %s MB:\n%s", goal, p.Out)
	}
	eventually(t, "the heap is as small as usual", func() bool {
		p.Get("/?" + strings.Repeat("garbage", 1000))
		got := later.FindStringSubmatch(p.Out.String()[end[1]:])
		return got != nil && len(got[1]) == 1
	})
}

// A first start prints no token, no SQL, and says how to make an admin.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	const howToMakeAdmin = "superuser upsert EMAIL PASSWORD"
	p := testkit.NewProcess(t, "--dev")
	p.Start()
	eventually(t, "the start says how to make an admin", func() bool {
		return strings.Contains(p.Out.String(), howToMakeAdmin)
	})
	if code := p.Terminate(); code != 0 { // so that nothing more is printed from the background
		t.Errorf("ended with %d", code)
	}
	printed := p.Out.String()
	if !strings.Contains(printed, "Backend    http://localhost:") {
		t.Errorf("printed:\n%s", printed)
	}
	for _, never := range []string{"eyJ", "INSERT", "pbinstall", testkit.ClientSecret, "power cut"} {
		if strings.Contains(printed, never) {
			t.Errorf("%s is printed:\n%s", never, printed)
		}
	}
	p.Env = append(p.Env, testkit.SuperuserEnv()...)
	p.Out = &testkit.Printed{}
	p.Start()
	p.Get("/")
	if code := p.Terminate(); code != 0 || strings.Contains(p.Out.String(), howToMakeAdmin) {
		t.Errorf("with an admin: ended with %d, printed:\n%s", code, p.Out)
	}
}

// A bad value stops the start with one line, and --help works anyway.
func TestStartErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, variable, want string }{
		{
			name: "endpoint", variable: "TOKEN_ENDPOINT=provider.example/token",
			want: "TOKEN_ENDPOINT must be an absolute URL that starts with https:// or http://",
		},
		{
			name: "duration", variable: "SESSION_TTL=soon",
			want: "SESSION_TTL \"soon\" is not a duration; write it like 90s, 10m or 168h",
		},
		{
			name: "secret", variable: "CLIENT_SECRET=",
			want: "CLIENT_SECRET must be set; the provider's developer console shows it",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := testkit.NewProcess(t)
			p.Env = append(p.Env, test.variable)
			out, code := p.Run("serve", "--http", "127.0.0.1:0")
			if out != "plugin-oauth: "+test.want+"\n" || code != 1 {
				t.Errorf("exit %d\n%s", code, out)
			}
			if out, code := p.Run("--help"); code != 0 || !strings.Contains(out, "serve") {
				t.Errorf("--help: exit %d\n%s", code, out)
			}
		})
	}
}

// writeCertificate writes the files that mkcert writes to a folder, and returns a pool that trusts them.
func writeCertificate(t *testing.T, folder string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]*pem.Block{
		"localhost.pem":     {Type: "CERTIFICATE", Bytes: certificate},
		"localhost-key.pem": {Type: "PRIVATE KEY", Bytes: keyBytes},
	}
	for file, block := range blocks {
		if err := os.WriteFile(filepath.Join(folder, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(blocks["localhost.pem"]))
	return roots
}

// With the files of mkcert in the working folder, the program speaks HTTPS by itself.
func TestCertificatesOfMkcert(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	roots := writeCertificate(t, p.Dir)
	p.Start()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	base := "https://localhost:" + port(p.Address)
	response, err := (&http.Client{Transport: transport}).Get(base)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "plugin-oauth is up and running.\n" || response.ProtoMajor != 1 {
		t.Errorf("%s %q %v", response.Proto, body, err)
	}
	if !strings.Contains(p.Out.String(), "Backend    "+base) {
		t.Errorf("printed:\n%s", p.Out)
	}
}

// port returns the port of an address, without the colon.
func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// The log as JSON, the metrics with the program's version, and what the start says of them.
func TestLogFormatAndMetrics(t *testing.T) {
	t.Parallel()
	metricsAddress := freeAddress(t)
	p := testkit.NewProcess(t, "--log-format", "json", "--dev")
	p.Env = append(p.Env, "METRICS_ADDR="+metricsAddress)
	p.Start()
	authorizationURL, _ := p.Authorize()
	p.Get("/redirect?error=invalid_scope&state=" + authorizationURL.Query().Get("state"))
	samples := scrape(t, metricsAddress)
	found := false
	for key := range samples {
		hasVersion := strings.HasPrefix(key, "plugin_oauth_build_info{goversion=go") &&
			!strings.HasSuffix(key, "version=}")
		found = found || hasVersion
	}
	if !found || samples["plugin_oauth_logins_ended_total{outcome=failed,plugin=/}"] != 1 {
		t.Errorf("the metrics are %v", samples)
	}
	p.Terminate()
	printed := p.Out.String()
	ended, greetings := 0, 0
	for line := range strings.Lines(printed) {
		var attributes map[string]any
		if err := json.Unmarshal([]byte(line), &attributes); err != nil {
			t.Errorf("a line is no JSON: %s", line)
		}
		if attributes["msg"] == "login ended" && attributes["error"] == "invalid_scope" &&
			attributes["level"] == "WARN" {
			ended++
		}
		if attributes["msg"] == "plugin-oauth is running" &&
			attributes["metrics"] == "http://localhost:"+port(metricsAddress)+"/metrics" {
			greetings++
		}
	}
	if greetings != 1 {
		t.Errorf("the start says\n%s", printed)
	}
	if ended != 1 {
		t.Errorf("%d lines of one login in\n%s", ended, printed)
	}
	out, code := p.Run("serve", "--log-format", "xml")
	if code != 1 || !strings.Contains(out, "--log-format must be text or json") {
		t.Errorf("ended with %d: %s", code, out)
	}
}
