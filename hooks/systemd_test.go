//go:build unix

package hooks

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// manager stands in for systemd: it holds the sockets, starts the program with them, and is notified.
type manager struct {
	*testkit.Process

	notified chan string
}

// newManager returns a manager of a program that gets listeners. Without any, the program listens by itself.
func newManager(t *testing.T, listeners ...interface{ File() (*os.File, error) }) *manager {
	t.Helper()
	m := &manager{Process: testkit.NewProcess(t), notified: make(chan string, 100)}
	for _, listener := range listeners {
		file, err := listener.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		m.Files = append(m.Files, file)
	}
	path := filepath.Join(socketFolder(t), "notify")
	socket, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		for buffer := make([]byte, 1000); ; {
			n, _, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			m.notified <- string(buffer[:n])
		}
	}()
	m.Env = append(m.Env, "NOTIFY_SOCKET="+path)
	if len(listeners) > 0 {
		m.Args = []string{"serve", "--dir", "pb_data"}
		m.handOver(len(listeners))
	}
	for _, listener := range listeners {
		if tcp, ok := listener.(*net.TCPListener); ok {
			m.Address, m.URL = tcp.Addr().String(), "http://"+tcp.Addr().String()
			client := m.Provider.Client(m.URL)
			m.Provider.Knows(client)
			m.Env = append(m.Env, "REDIRECT_URI="+client.RedirectURI)
		}
	}
	return m
}

// handOver makes the program start as systemd does it: LISTEN_PID is its own process id.
func (m *manager) handOver(count int) {
	m.T.Helper()
	program, err := testkit.Build()
	if err != nil {
		m.T.Fatal(err)
	}
	m.Path = filepath.Join(m.T.TempDir(), "start")
	script := fmt.Sprintf("#!/bin/sh\nexport LISTEN_FDS=%d LISTEN_PID=$$\nexec '%s' \"$@\"\n", count, program)
	if err := os.WriteFile(m.Path, []byte(script), 0o700); err != nil {
		m.T.Fatal(err)
	}
}

// expect waits for the next notification.
func (m *manager) expect(want string) {
	m.T.Helper()
	select {
	case got := <-m.notified:
		if !strings.HasPrefix(got, want) {
			m.T.Fatalf("notified %q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		m.T.Fatalf("not notified of %s:\n%s", want, m.Out)
	}
}

// systemd hears when the service is ready, while it reloads, and when it begins to end.
func TestNotify(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	m.Start()
	m.expect("READY=1")
	if err := syscall.Kill(m.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	m.expect("RELOADING=1\nMONOTONIC_USEC=")
	m.expect("READY=1")
	if code := m.Terminate(); code != 0 {
		t.Errorf("ended with %d:\n%s", code, m.Out)
	}
	m.expect("STOPPING=1")
}

// listenTCP listens at any port of this machine until the test ends.
func listenTCP(t *testing.T) *net.TCPListener {
	t.Helper()
	return listenAt(t, "127.0.0.1", "0").(*net.TCPListener)
}

// visitors come one after the other, each with a connection of its own, and count what they are answered.
type visitors struct {
	answered atomic.Int64
	group    sync.WaitGroup
	stop     chan struct{}
}

// visit lets this many visitors ask at a time until [visitors.leave] is called. Each answer must be good.
func visit(t *testing.T, count int, url string) *visitors {
	v := &visitors{stop: make(chan struct{})}
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
		Timeout:   time.Minute, // a start may take long on a busy machine
	}
	for range count {
		v.group.Go(func() {
			for {
				select {
				case <-v.stop:
					return
				default:
				}
				response, err := client.Post(url, "", nil)
				if err != nil {
					t.Errorf("a visitor is refused: %v", err)
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("a visitor is answered %d, %v", response.StatusCode, err)
				}
				v.answered.Add(1)
			}
		})
	}
	return v
}

func (v *visitors) leave() {
	close(v.stop)
	v.group.Wait()
}

// The sockets that a parent holds stay open while one process ends and the next starts: nobody is refused,
// and whoever comes meanwhile waits. A login that the first process began ends at the next.
func TestSocketsAreHandedOver(t *testing.T) {
	t.Parallel()
	tcp := listenTCP(t)
	path := filepath.Join(socketFolder(t), "s")
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close() })
	m := newManager(t, unix.(*net.UnixListener), tcp)
	m.Env = append(m.Env, "AUTHORIZE_RATE_LIMIT=off")

	const people = 3
	m.Start()
	m.expect("READY=1")
	expectPrinted(t, m.Process, "  Socket     unix:"+path+" (from systemd)\n")
	authorizationURL, readKey := m.Authorize()
	crowd := visit(t, people, m.URL+"/authorize")
	for generation := range int64(3) {
		before := crowd.answered.Load()
		eventually(t, "people are answered", func() bool { return crowd.answered.Load() > before+people })
		if generation == 2 {
			break
		}
		if code := m.Terminate(); code != 0 {
			t.Errorf("ended with %d:\n%s", code, m.Out)
		}
		m.expect("STOPPING=1")
		m.Start()
		m.expect("READY=1")
	}
	crowd.leave()
	m.ExpectPage("redirect", m.Get(m.Agree(authorizationURL)), http.StatusOK, "You are signed in")
	m.Expect("poll", m.Poll(readKey), http.StatusOK, testkit.TokenResponse)
	rebound, err := http.NewRequest(http.MethodGet, m.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	rebound.Host = "rebound.example"
	response, err := m.Client.Do(rebound)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another name that leads to this machine is answered %d", response.StatusCode)
	}
	m.Client = atSocket(path, m.Address)
	t.Cleanup(m.Client.CloseIdleConnections)
	if got := m.Get("/"); got.Status != http.StatusOK {
		t.Errorf("the other socket answers %d", got.Status)
	}
}

// A process that ends finishes the exchange of a code, and accepts nothing meanwhile: who comes then is
// answered by the next one, and not told to try again.
func TestEndingProcessAcceptsNothing(t *testing.T) {
	t.Parallel()
	m := newManager(t, listenTCP(t))
	m.Start()
	m.expect("READY=1")
	held := holdExchanges(t, m.Provider)
	authorizationURL, readKey := m.Authorize()
	callback := m.Agree(authorizationURL)
	page := make(chan testkit.Answer, 1)
	go func() { page <- m.Get(callback) }()
	<-held.asked
	ended := make(chan int, 1)
	go func() { ended <- m.Terminate() }()
	m.expect("STOPPING=1")
	refreshed := make(chan testkit.Answer, 1)
	latecomer := *m.Backend
	latecomer.Client = testkit.NewClient()
	go func() { refreshed <- latecomer.Post("/refresh?code=RT-1") }()
	held.release()
	m.ExpectPage("the login in flight", <-page, http.StatusOK, "You are signed in")
	if code := <-ended; code != 0 {
		t.Errorf("ended with %d:\n%s", code, m.Out)
	}
	m.Start()
	m.expect("READY=1")
	m.Expect("the refresh", <-refreshed, http.StatusOK, testkit.TokenResponse)
	m.Expect("poll", m.Poll(readKey), http.StatusOK, testkit.TokenResponse)
}

// A backup that is restored in the dashboard makes the process start anew by itself. It still has its sockets
// then, and its lock.
func TestRestoreKeepsSockets(t *testing.T) {
	t.Parallel()
	m := newManager(t, listenTCP(t))
	m.Env = append(m.Env, testkit.SuperuserEnv()...)
	m.Start()
	m.expect("READY=1")
	admin := m.Admin()
	got := m.Request(http.MethodPost, "/api/backups", `{"name":"backup.zip"}`, admin, asJSON)
	if got.Status != http.StatusNoContent {
		t.Fatalf("backup: %d %s", got.Status, got.Body)
	}
	got = m.Request(http.MethodPost, "/api/backups/backup.zip/restore", "", admin)
	if got.Status != http.StatusNoContent {
		t.Fatalf("restore: %d %s", got.Status, got.Body)
	}
	m.expect("READY=1")
	if got := m.Get("/"); got.Status != http.StatusOK {
		t.Errorf("after the restart: %d", got.Status)
	}
	if code := m.Terminate(); code != 0 {
		t.Errorf("ended with %d:\n%s", code, m.Out)
	}
}

// What cannot be listened on, or contradicts the arguments, is refused. Sockets for another process are none
// of ours.
func TestHandedOverWrongly(t *testing.T) {
	t.Parallel()
	tcp := listenTCP(t)
	t.Run("beside --http", func(t *testing.T) {
		t.Parallel()
		for _, arguments := range []string{"--http 8787", "--https 0.0.0.0:443", "backend.example"} {
			m := newManager(t, tcp)
			out, code := m.Run(append([]string{"serve"}, strings.Fields(arguments)...)...)
			if code != 1 || !strings.HasPrefix(out, "plugin-oauth: systemd has handed over the sockets") {
				t.Errorf("%s: exit %d\n%s", arguments, code, out)
			}
		}
	})
	t.Run("no stream", func(t *testing.T) {
		t.Parallel()
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer packets.Close()
		m := newManager(t, packets.(*net.UDPConn))
		out, code := m.Run("serve")
		if code != 1 || !strings.Contains(out, "it must be a ListenStream= with Accept=no") {
			t.Errorf("exit %d\n%s", code, out)
		}
	})
	t.Run("to another process", func(t *testing.T) {
		t.Parallel()
		m := newManager(t)
		m.Env = append(m.Env, "LISTEN_FDS=1", "LISTEN_PID=1")
		m.Start()
		m.expect("READY=1")
	})
}

// oneConnection is a listener that accepts one connection.
type oneConnection struct {
	net.Listener

	connection chan net.Conn
	accepted   chan struct{} // closed when Accept has it
	closed     chan struct{}
}

func (l *oneConnection) Accept() (net.Conn, error) {
	select {
	case connection := <-l.connection:
		close(l.accepted)
		return connection, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConnection) Close() error {
	close(l.closed)
	return nil
}

// A listener that is stopped loses no connection that it has accepted, and Accept waits until it is closed.
func TestStopLosesNoConnection(t *testing.T) {
	t.Parallel()
	inner := &oneConnection{
		connection: make(chan net.Conn, 1), accepted: make(chan struct{}), closed: make(chan struct{}),
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	inner.connection <- ours
	listener := joinAll([]net.Listener{inner})
	<-inner.accepted
	if err := listener.Stop(); err != nil {
		t.Fatal(err)
	}
	if connection, err := listener.Accept(); err != nil || connection != ours {
		t.Fatalf("accepted %v, %v", connection, err)
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := listener.Accept()
		accepted <- err
	}()
	select {
	case err := <-accepted:
		t.Fatalf("Accept returns %v before it is closed", err)
	case <-time.After(50 * time.Millisecond): // it would return at once
	}
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
	if err := <-accepted; err == nil {
		t.Error("Accept returns a connection of a closed listener")
	}
}
