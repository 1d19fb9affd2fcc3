// Package servers walks the built program through whole logins at authorization servers that others have
// written, each as a process of its own on loopback: oidc-provider, a certified OpenID provider;
// @jmondi/oauth2-server, which answers in the words of the widely deployed league/oauth2-server; and
// @node-oauth/oauth2-server, the continuation of another that is. It has tests only. They need Node, and what
// npm ci installs in this folder.
package servers

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	clientID     = "some-plugin"
	clientSecret = "a secret of the plugin"
	bodyPending  = `{"error":"authorization_pending"}`
	bodyUnknown  = `{"error":"not_found"}`
)

// server is an authorization server as a process of its own.
type server struct {
	*testkit.Command

	t       *testing.T
	backend *testkit.Backend // asks it what host.mjs answers
	printed *testkit.Printed
	url     string
}

// startServer starts a script of this folder with settings, which become JSON, until the test ends. Without
// Node, or what npm ci installs, the test is skipped, except where SERVERS_TEST=required.
func startServer(t *testing.T, b *testkit.Backend, script string, settings any) *server {
	t.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join("node_modules", ".package-lock.json"))
	}
	if err != nil {
		testkit.Missing(t, "SERVERS_TEST",
			"the authorization servers are not installed (npm ci in examples/servers)")
	}
	address, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, backend: b, printed: &testkit.Printed{}, url: "http://" + address}
	s.Command = &testkit.Command{
		Path:    node,
		Args:    []string{script, address, string(encoded)},
		Address: address,
		Output:  s.printed,
	}
	t.Cleanup(s.stop)
	s.start()
	return s
}

// start starts the server, again if it has been stopped.
func (s *server) start() {
	s.t.Helper()
	if err := s.Command.Start(); err != nil {
		s.t.Fatalf("%v\n%s", err, s.printed)
	}
}

// stop ends the server, which forgets everything.
func (s *server) stop() { s.Stop(syscall.SIGKILL) }

// in returns the same server for a subtest.
func (s *server) in(t *testing.T, b *testkit.Backend) *server {
	subtest := *s
	subtest.t, subtest.backend = t, b
	return &subtest
}

// inSubtest returns a process that already runs, for a subtest.
func inSubtest(t *testing.T, p *testkit.Process) *testkit.Process {
	backend := *p.Backend
	backend.T = t
	return &testkit.Process{Backend: &backend, Command: p.Command, Out: p.Out}
}

// atOnce sends a request several times at the same time, and returns the answers.
func atOnce(send func() testkit.Answer) []testkit.Answer {
	answers := make([]testkit.Answer, 5)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() { answers[i] = send() })
	}
	wait.Wait()
	return answers
}

// forward turns the server's clock forward.
func (s *server) forward(by time.Duration) {
	s.t.Helper()
	s.backend.Get(s.url + "/clock?seconds=" + strconv.Itoa(int(by.Seconds())))
}

// tokenRequests is how many requests have come to the token endpoint.
func (s *server) tokenRequests() int {
	s.t.Helper()
	got := s.backend.Get(s.url + "/count?path=/token")
	count, err := strconv.Atoi(got.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return count
}

// awaitCheck waits until the service, which was started just now, has checked its set-up with a token
// request. It does so some seconds after its start, and tests that count could not tell it from others.
func (s *server) awaitCheck() {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); s.tokenRequests() == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("the service does not check its set-up")
		}
	}
}

// tokens is what a plugin reads in a token response.
type tokens struct {
	AccessToken  string   `json:"access_token"`
	TokenType    string   `json:"token_type"`
	ExpiresIn    *float64 `json:"expires_in"`
	RefreshToken string   `json:"refresh_token"`
	IDToken      string   `json:"id_token"`
	Scope        string   `json:"scope"`
}

// readTokens reads the tokens in an answer of /poll or /refresh.
func readTokens(t *testing.T, got testkit.Answer) tokens {
	t.Helper()
	var read tokens
	if err := json.Unmarshal([]byte(got.Body), &read); err != nil || got.Status != 200 ||
		read.AccessToken == "" {
		t.Fatalf("instead of tokens: %d %s", got.Status, got.Body)
	}
	return read
}

// refresh asks the backend to refresh. Errors are JSON.
func refresh(b *testkit.Backend, refreshToken string) testkit.Answer {
	b.T.Helper()
	return b.Request("POST", "/refresh?code="+url.QueryEscape(refreshToken), "", "Accept: application/json")
}

// expectDead checks that a refresh token is refused in the one word by which a plugin knows that the person
// must sign in again.
func expectDead(b *testkit.Backend, what, refreshToken string) {
	b.T.Helper()
	got := refresh(b, refreshToken)
	b.ExpectError(what, got, got.Status, "invalid_grant")
	if got.Status != 400 && got.Status != 401 {
		b.T.Errorf("%s: the status is %d", what, got.Status)
	}
}

// withState returns a redirect to the backend with the state of another login, which so gets its code.
func withState(t *testing.T, callback string, other *url.URL) string {
	t.Helper()
	address, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set("state", other.Query().Get("state"))
	address.RawQuery = query.Encode()
	return address.String()
}
