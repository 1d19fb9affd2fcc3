//go:build unix

package hooks

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// socketFolder returns a folder whose path is short enough for a socket in it.
func socketFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "socket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// atSocket returns a client that comes to a socket in place of an address.
func atSocket(path, address string) *http.Client {
	client := testkit.NewClient()
	client.Transport = &http.Transport{
		DialContext: func(ctx context.Context, network, dialed string) (net.Conn, error) {
			if dialed == address {
				network, dialed = "unix", path
			}
			return (&net.Dialer{}).DialContext(ctx, network, dialed)
		},
	}
	return client
}

// The service listens at a socket that the user and the group can reach. One that a killed process has left
// is taken away, and one that is in use or a file is not. Nobody's network is known, so the person is asked.
func TestServeAtSocket(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	path := filepath.Join(socketFolder(t), "s")
	p.Client = atSocket(path, p.Address)
	p.Args[2], p.Address = "unix:"+path, "unix:"+path
	t.Cleanup(p.Client.CloseIdleConnections)
	p.Start()
	expectPrinted(t, p, "  Socket     unix:"+path+"\n")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket is %s, %v", info.Mode(), err)
	}
	authorizationURL, readKey := p.Authorize()
	p.ExpectPage("redirect", p.Get(p.Agree(authorizationURL)), http.StatusOK, "Continue")
	p.Expect("poll", p.Poll(readKey), http.StatusNotFound, bodyPending)

	out, code := p.Run("serve", "--http", "unix:"+path, "--dir", "other")
	if code != 1 || !strings.HasPrefix(out, "plugin-oauth: listen unix "+path+": ") ||
		!strings.Contains(out, "Another program uses this address.") {
		t.Errorf("a second one: exit %d\n%s", code, out)
	}
	p.Crash()
	if got := p.Get("/"); got.Status != http.StatusOK {
		t.Errorf("after a crash: %d", got.Status)
	}
	if code := p.Terminate(); code != 0 {
		t.Errorf("ended with %d:\n%s", code, p.Out)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code = p.Run("serve", "--http", "unix:"+path)
	if content, _ := os.ReadFile(path); code != 1 || string(content) != "precious" ||
		!strings.Contains(out, "is no socket; take it away") {
		t.Errorf("a file in its place: exit %d\n%s", code, out)
	}
}

// A trusted header says whose request comes through the socket.
func TestNetworkBehindSocket(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.TrustedProxyHeaders = []string{"X-Real-IP"} })
	for header, isKnown := range map[string]bool{"203.0.113.9": true, "": false} {
		r, err := http.NewRequest(http.MethodPost, "/authorize", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = "@" // as net/http has it for a socket
		if header != "" {
			r.Header.Set("X-Real-IP", header)
		}
		network, why := s.server.knownNetwork(&request{Request: r, plugin: s.server.config.Plugin})
		if (network != unknownNetwork) != isKnown || (why == "") != isKnown {
			t.Errorf("%q: %v, %q", header, network, why)
		}
	}
}

// The connections of a socket are bounded as all others are.
func TestConnectionsOfSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(socketFolder(t), "s")
	listener, err := listenAtSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	counted := newConnections(2*plainMemory, nothingElse, nothingElse).listen(listener, plainMemory)
	defer counted.Close()
	var first net.Conn
	for range 3 {
		dialed, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer dialed.Close()
		accepted, err := counted.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		if first == nil {
			first = dialed
		}
	}
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the oldest one is still open")
	}
}

// It is not quiet while a connection is new, a request is answered or a poll is held. Connections that wait
// for another request do not matter.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	quiet := func() bool { return s.server.connections.isQuiet() }
	eventually(t, "it is quiet at first", quiet)
	_, readKey := s.Authorize()
	eventually(t, "it is quiet once the answer is there", quiet)
	dialed, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new connection is accepted", func() bool { return !quiet() })
	dialed.Close()
	eventually(t, "it is quiet without it", quiet)
	polled := make(chan testkit.Answer, 1)
	go func() { polled <- s.Post("/poll?wait=30&readKey=" + readKey) }()
	eventually(t, "a poll is held", func() bool { return s.waitingPolls() == 1 })
	if quiet() {
		t.Error("it is quiet while a poll is held")
	}
	s.Post("/cancel?readKey=" + readKey)
	<-polled
	eventually(t, "it is quiet at last", quiet)
	began := time.Now()
	s.server.connections.drain(time.Hour)
	if time.Since(began) > time.Minute {
		t.Error("it waits for nobody")
	}
}

// What can be no socket is refused in a line that says what to write.
func TestSocketPaths(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/run/s.sock": "", "s.sock": "", "/run/" + strings.Repeat("x", 98): "",
		"":                                "must be the path of a socket, such as unix:/run/plugin-oauth",
		"/run/":                           "must be the path of a socket",
		"///run/s.sock":                   "must be the path of a socket",
		"@name":                           "one without a path has no owner",
		"\x00name":                        "one without a path has no owner",
		"/run/" + strings.Repeat("x", 99): "has a path of 104 bytes; a socket's may have 103",
	} {
		if err := checkSocket(path); (err == nil) != (want == "") ||
			err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", path, err)
		}
	}
	p := testkit.NewProcess(t)
	const needsPort = "--http must be an address with a port beside a domain or --https"
	for arguments, want := range map[string]string{
		"serve --http unix:":                            "must be the path of a socket",
		"serve --https unix:/run/s":                     `"unix:/run/s" must be only a host and a port`,
		"serve --http unix:/run/s backend.example":      needsPort,
		"serve --http unix:/run/s --https 0.0.0.0:8443": needsPort,
		"serve --http unix:/no/folder/s":                "\nThe folder of the socket must be there",
	} {
		out, code := p.Run(strings.Fields(arguments)...)
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d\n%s", arguments, code, out)
		}
	}
}
