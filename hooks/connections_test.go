package hooks

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pocketbase/pocketbase/ui"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

// roomFor lets so many plain connections be open.
func roomFor(connections int) func(*Config) {
	return func(c *Config) { c.connectionsMemory = connections * plainMemory }
}

// nothingElse is what others take of the limit where there are none, and what the pressure is.
func nothingElse() int { return 0 }

// memoryNow is what the open connections take, and those of them that keep their places, in KB.
func (s *testServer) memoryNow() (open, kept int) {
	c := s.server.connections
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, c.kept
}

// bodiesNow is how many large bodies are being read.
func (s *testServer) bodiesNow() int {
	gate := s.server.bodyGate
	gate.mu.Lock()
	defer gate.mu.Unlock()
	return gate.total
}

func (s *testServer) openNow() int {
	open, _ := s.memoryNow()
	return open / plainMemory
}

func (s *testServer) keptNow() int {
	_, kept := s.memoryNow()
	return kept
}

// dialTLS opens a connection with TLS to the server's port.
func dialTLS(t *testing.T, s *testServer, config *tls.Config) *tls.Conn {
	t.Helper()
	secure := tls.Client(s.dial(t), config)
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secure
}

// sendOn sends a request on a connection, and returns the status of its answer, or 0 if the connection is
// closed.
func sendOn(t *testing.T, connection net.Conn, text string) (status int) {
	t.Helper()
	_, _ = io.WriteString(connection, text)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

const (
	getHealth = "GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n"

	// slowBody is a request whose body does not come. It is handled until the time for that is up.
	slowBody = "POST /poll HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n"
)

// When there are as many connections as there may be, the one that has waited the longest is closed, and the
// new one is served.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	const room = 20
	for name, sent := range map[string]string{
		"silent":         "",
		"half a request": "GET / HTTP/1.1\r\nHost:",
		"idle":           getHealth,
		"slow body":      slowBody,
		"slow readers":   strings.Repeat(dashboardFile(t), 3),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(c *Config) {
				roomFor(room)(c)
				c.timing.body, c.timing.headers = time.Hour, time.Hour
			})
			first := s.dial(t)
			_, _ = io.WriteString(first, sent)
			for range 2 * room {
				_, _ = io.WriteString(s.dial(t), sent)
				if got := sendOn(t, s.dial(t), getHealth); got != http.StatusOK {
					t.Fatalf("a health check among them: %d", got)
				}
				if open := s.openNow(); open > room {
					t.Fatalf("%d connections are open", open)
				}
			}
			expectClosed(t, first)
		})
	}
}

// largestDashboardFile is the path of a file of PocketBase's dashboard, below /_/.
func largestDashboardFile(t *testing.T) (largest string) {
	t.Helper()
	var size int64
	err := fs.WalkDir(ui.DistDirFS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	})
	if err != nil || largest == "" {
		t.Fatal(err)
	}
	return largest
}

// dashboardFile is a request for the largest file of PocketBase's dashboard.
func dashboardFile(t *testing.T) string {
	t.Helper()
	const headers = " HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n"
	return "GET /_/" + largestDashboardFile(t) + headers
}

// Among requests that take long, the connections that were accepted last are not closed before they can send
// anything.
func TestNewConnectionsAmongSlowOnes(t *testing.T) {
	t.Parallel()
	const room = 20
	s := serve(t, func(c *Config) {
		roomFor(room)(c)
		c.timing.body = time.Hour
	})
	for range room {
		_, _ = io.WriteString(s.dial(t), slowBody)
	}
	eventually(t, "they are handled", func() bool {
		c := s.server.connections
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.handling.Len() == room
	})
	first := s.dial(t)
	for range room / 3 {
		s.dial(t)
	}
	if got := sendOn(t, first, getHealth); got != http.StatusOK {
		t.Errorf("the first is answered with %d", got)
	}
}

// A poll that is held, and the request of an admin, keep their places while others come and go.
func TestConnectionsThatAreKept(t *testing.T) {
	t.Parallel()
	const room = 20
	s := serve(t, roomFor(room))
	admin := s.listen(s.Admin()) // a stream
	authorizationURL, readKey := s.Authorize()
	polled := make(chan testkit.Answer, 1)
	go func() {
		defer close(polled) // also if the poll fails
		polled <- s.Post("/poll?wait=30&readKey=" + readKey)
	}()
	eventually(t, "the poll is held", func() bool { return s.waitingPolls() == 1 })
	for range 3 * room {
		_, _ = io.WriteString(s.dial(t), slowBody)
		if got := sendOn(t, s.dial(t), getHealth); got != http.StatusOK {
			t.Fatal(got)
		}
	}
	s.Client.CloseIdleConnections() // they have been closed at the other end
	s.Get(s.Agree(authorizationURL))
	s.Expect("the held poll", <-polled, http.StatusOK, testkit.TokenResponse)
	select {
	case line, isOpen := <-admin:
		if !isOpen {
			t.Error("the stream of the admin was closed")
		}
		t.Log(line)
	default:
	}
}

// What waits for a provider or for its turn to try a password, and what an admin sends, keeps its connection
// among any number of others, even if held polls have taken all the room that may be kept.
func TestWaitingRequestsAreKept(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(s *testServer) longRequest{
		"an exchange": func(s *testServer) longRequest {
			authorizationURL, _ := s.Authorize()
			return s.atProvider("GET " + strings.TrimPrefix(s.Agree(authorizationURL), s.URL))
		},
		"a refresh":    func(s *testServer) longRequest { return s.atProvider("POST /refresh?code=RT") },
		"a revocation": func(s *testServer) longRequest { return s.atProvider("POST /revoke?token=RT") },
		"a password":   (*testServer).waitsForTurn,
		"an upload":    (*testServer).uploads,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const room = 40
			s := serve(t, func(c *Config) {
				roomFor(room)(c)
				withRevoke("")(c)
				confirming("never")(c)
			})
			s.addQuickAdmin()
			request := begin(s)
			s.fillWithPolls()
			held := s.waitingPolls()
			connection := s.dial(t)
			_, _ = io.WriteString(connection, request.sent)
			eventually(t, "a poll makes room", func() bool { return s.waitingPolls() < held })
			for range 3 * room {
				_, _ = io.WriteString(s.dial(t), slowBody)
				if got := sendOn(t, s.dial(t), getHealth); got != http.StatusOK {
					t.Fatalf("a health check among them: %d", got)
				}
			}
			if open := s.openNow(); open > room {
				t.Errorf("%d connections are open", open)
			}
			request.release()
			if got := sendOn(t, connection, request.rest); got != http.StatusOK {
				t.Errorf("it is answered with %d", got)
			}
		})
	}
}

// A request that would wait for a provider is refused if there is no room to keep its connection, and uses up
// nothing. Else it would go on when its connection is closed for others, and nobody would be accepted.
func TestNoRoomToWaitForProvider(t *testing.T) {
	t.Parallel()
	const room, fits = 13, 11 // so many may be kept
	s := serve(t, func(c *Config) {
		roomFor(room)(c)
		withRevoke("")(c)
		confirming("never")(c)
	})
	authorizationURL, readKey := s.Authorize()
	redirect := strings.TrimPrefix(s.Agree(authorizationURL), s.URL)
	s.Client.CloseIdleConnections()
	release := sync.OnceFunc(s.atProvider("").release)
	t.Cleanup(release) // else a failure would wait for the end of them
	var waiting []net.Conn
	for i := range fits {
		connection := s.dial(t)
		fmt.Fprintf(connection, "POST /refresh?code=RT%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i)
		eventually(t, "it is kept", func() bool { return s.keptNow() == (i+1)*plainMemory })
		waiting = append(waiting, connection)
	}
	for _, target := range []string{"POST /refresh?code=RT", "POST /revoke?token=RT", "GET " + redirect} {
		connection := s.dial(t)
		fmt.Fprintf(connection, "%s HTTP/1.1\r\nHost: localhost\r\n\r\n", target)
		_ = connection.SetReadDeadline(time.Now().Add(10 * time.Second))
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatalf("%.12s: %v", target, err)
		}
		response.Body.Close()
		if after := response.Header.Get("Retry-After"); response.StatusCode != 503 || after == "" {
			t.Errorf("%.12s: %d, Retry-After: %s", target, response.StatusCode, after)
		}
	}
	release()
	for i, connection := range waiting {
		if got := sendOn(t, connection, ""); got != http.StatusOK {
			t.Errorf("refresh %d, which has room: %d", i, got)
		}
	}
	if got := s.Get(redirect); got.Status != http.StatusOK {
		t.Errorf("the redirect once there is room: %d", got.Status)
	}
	s.expectTokens(readKey)
}

// A connection that was closed for others is kept for no request, nor counted again.
func TestClosedConnectionsAreNotKept(t *testing.T) {
	t.Parallel()
	c := newConnections(10*plainMemory, nothingElse, nothingElse)
	one := &connection{counted: c, memory: plainMemory}
	c.add(one)
	for range 2 { // the second time it is kept already
		if _, kept := one.keep(); !kept {
			t.Error("one that is open is not kept")
		}
	}
	one.put(nil, 0)
	if moved, kept := one.keep(); moved || kept || c.open != 0 || c.kept != 0 {
		t.Errorf("one that is closed: %t, and %d KB are counted", kept, c.open)
	}
}

// longRequest is a request that waits until it is released.
type longRequest struct {
	sent, rest string // rest is sent after release
	release    func()
}

// atProvider returns a request that waits for the provider.
func (s *testServer) atProvider(line string) longRequest {
	answer := make(chan struct{})
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		<-answer
		_, _ = io.WriteString(w, testkit.TokenResponse)
	})
	return longRequest{
		sent:    line + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		release: func() { close(answer) },
	}
}

// waitsForTurn returns a sign-in of an admin while somebody else tries a password.
func (s *testServer) waitsForTurn() longRequest {
	other := netip.MustParsePrefix("192.0.2.1/32")
	s.server.guesses.enqueue(&try{network: other, turn: make(chan bool, 1)})
	body := fmt.Sprintf(`{"identity":%q,"password":%q}`, testkit.SuperuserEmail, testkit.SuperuserPassword)
	return longRequest{
		sent: fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
			"Content-Length: %d\r\n\r\n%s", signInPath, len(body), body),
		release: func() { s.server.guesses.leave(other, true) },
	}
}

// uploads returns a request of an admin whose body comes later.
func (s *testServer) uploads() longRequest {
	const body = `{"meta":{"appName":"x"}}`
	_, token, _ := strings.Cut(s.Admin(), ": ")
	return longRequest{
		sent: fmt.Sprintf("PATCH /api/settings HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", token, len(body)),
		rest:    body,
		release: func() {},
	}
}

// fillWithPolls holds polls until there is no room for another.
func (s *testServer) fillWithPolls() {
	s.T.Helper()
	c := s.server.connections
	for held := 1; ; held++ {
		_, readKey := s.Authorize()
		if _, kept := s.memoryNow(); kept+plainMemory-pollSaves > c.maxKept {
			return
		}
		_, _ = io.WriteString(s.dial(s.T.(*testing.T)), heldPollOf(readKey))
		eventually(s.T, "the poll is held", func() bool { return s.waitingPolls() == float64(held) })
	}
}

// heldPollOf is a request that is held until a login ends.
func heldPollOf(readKey string) string {
	return "POST /poll?wait=30&readKey=" + readKey + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
}

// A poll that makes room for others is answered as it would be without wait, the longest held one first.
func TestDisplacedPolls(t *testing.T) {
	t.Parallel()
	s := serve(t, roomFor(60))
	_, readKey := s.Authorize()
	oldest := s.dial(t)
	_, _ = io.WriteString(oldest, heldPollOf(readKey))
	eventually(t, "it is held", func() bool { return s.waitingPolls() == 1 })
	others := s.server.connections.maxKept/(plainMemory-pollSaves) - 1
	for i := range others {
		_, readKey := s.Authorize()
		_, _ = io.WriteString(s.dial(t), heldPollOf(readKey))
		eventually(t, "another is held", func() bool { return s.waitingPolls() == float64(i+2) })
	}
	request := s.atProvider("POST /refresh?code=RT")
	defer request.release()
	_, _ = io.WriteString(s.dial(t), request.sent)
	if got := sendOn(t, oldest, ""); got != http.StatusNotFound {
		t.Errorf("it is answered with %d", got)
	}
	if held := s.waitingPolls(); held < float64(others-1) {
		t.Errorf("%g of %d others are held", held, others)
	}
}

// However slowly an answer is read, it takes no place of those who wait for the provider.
func TestSlowReadersTakeNoPlaces(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, _ := s.Authorize()
	callback := s.Agree(authorizationURL)
	for _, target := range []string{callback, callback, "/refresh?code=RT"} {
		r := httptest.NewRequest(http.MethodPost, target, nil)
		if strings.Contains(target, "/redirect") {
			r.Method = http.MethodGet
		}
		_, r = s.counted(t, r)
		_, read := s.serveSlowly(r)
		for _, g := range []*gate{
			s.server.exchangeGate, s.server.providerGate, s.server.unknownGate, s.server.pollGate,
			s.server.revisitGate,
		} {
			g.mu.Lock()
			if g.total != 0 {
				t.Errorf("%s: %d are under way", r.URL.Path, g.total)
			}
			g.mu.Unlock()
		}
		if kept := s.keptNow(); kept != 0 {
			t.Errorf("%s: %d KB are kept", r.URL.Path, kept)
		}
		read()
	}
}

// What a large answer takes counts with the connection of whoever reads it slowly: a provider may answer with
// a megabyte, and anybody may have any number of such tokens.
func TestLargeTokensThatAreReadSlowly(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const size = 1_000_000
	large := `{"access_token":"` + strings.Repeat("x", size) + `"}`
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, large) })
	_, readKey := s.Login()
	for _, target := range []string{"/poll?readKey=" + readKey, "/refresh?code=RT"} {
		counted, r := s.counted(t, httptest.NewRequest(http.MethodPost, target, nil))
		_, end := s.server.connections.begin(r)
		answer, read := s.serveSlowly(r)
		if got := counted.weightNow(); got < plainMemory+answerMemory*size>>10 {
			t.Errorf("%s: %d KB are counted", r.URL.Path, got)
		}
		read()
		if end(); counted.weightNow() != plainMemory {
			t.Errorf("%s: %d KB are counted afterwards", r.URL.Path, counted.weightNow())
		}
		if got := answer.Body.String(); got != large {
			t.Errorf("%s: the answer has %d bytes", r.URL.Path, len(got))
		}
	}
}

// A connection that is closed while its request is handled takes memory until the handler has ended. One
// whose handler may take long holds up nobody.
func TestHandledConnectionsLeave(t *testing.T) {
	t.Parallel()
	c := newConnections(2*plainMemory, nothingElse, nothingElse)
	handle := func(bounded bool) *connection {
		conn, _ := net.Pipe()
		added := &connection{Conn: conn, counted: c, memory: plainMemory, bounded: bounded}
		closeAll(c.add(added))
		closeAll(added.move(&c.handling))
		return added
	}
	first, second := handle(false), handle(true)
	for range 2 {
		handle(false)
	}
	if first.weight+second.weight != 0 || c.leaving != plainMemory {
		t.Errorf("%d KB leave", c.leaving)
	}
	first.Close()
	second.Close()
	if c.leaving != 0 {
		t.Errorf("%d KB leave though the handlers have ended", c.leaving)
	}
}

// counted returns a connection that counts, and the request as one of it.
func (s *testServer) counted(t *testing.T, r *http.Request) (*connection, *http.Request) {
	t.Helper()
	counted := &connection{Conn: s.dial(t), counted: s.server.connections, memory: plainMemory}
	s.server.connections.add(counted)
	return counted, r.WithContext(context.WithValue(r.Context(), connectionKey{}, counted))
}

// weightNow is what counts with a connection, in KB.
func (c *connection) weightNow() int {
	c.counted.mu.Lock()
	defer c.counted.mu.Unlock()
	return c.weight
}

// serveSlowly serves a request to somebody who reads nothing of the answer until read is called, which waits
// for the end.
func (s *testServer) serveSlowly(r *http.Request) (answer *httptest.ResponseRecorder, read func()) {
	answer = httptest.NewRecorder()
	reads, reading := make(chan struct{}), make(chan struct{})
	w := blockedWriter{
		ResponseRecorder: answer,
		reading:          sync.OnceFunc(func() { close(reading) }),
		read:             reads,
	}
	var served sync.WaitGroup
	served.Go(func() { s.server.serve(w, r) })
	<-reading
	return answer, func() {
		close(reads)
		served.Wait()
	}
}

// blockedWriter is the response to somebody who reads nothing for a while.
type blockedWriter struct {
	*httptest.ResponseRecorder

	reading func()
	read    <-chan struct{}
}

func (w blockedWriter) Write(p []byte) (int, error) {
	w.reading()
	<-w.read
	return w.ResponseRecorder.Write(p)
}

// Held polls leave room for others: beyond that a poll is answered at once, and its connection closed.
func TestKeptConnectionsLeaveRoom(t *testing.T) {
	t.Parallel()
	const room = 22 // of which the held polls may take 20
	s := serve(t, roomFor(room))
	const fits = 20 * plainMemory / (plainMemory - pollSaves)
	for i := range fits + 3 {
		_, readKey := s.Authorize()
		poll := "POST /poll?wait=30&readKey=" + readKey + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
		connection := s.dial(t)
		if i >= fits {
			if got := sendOn(t, connection, poll); got != http.StatusNotFound {
				t.Errorf("poll %d: %d", i, got)
			}
			expectClosed(t, connection)
			continue
		}
		_, _ = io.WriteString(connection, poll)
		eventually(t, "it is held", func() bool { return s.waitingPolls() == float64(i+1) })
	}
	if got := s.Get("/api/health"); got.Status != http.StatusOK {
		t.Error(got)
	}
}

// Where the system lets the process open few files, there are fewer connections, and fewer held polls, so
// that there is a file for others.
func TestConnectionsLeaveFiles(t *testing.T) {
	t.Parallel()
	const room, files, polls = 40, 24, 8 // half of the files are for connections
	s := serve(t, func(c *Config) {
		roomFor(room)(c)
		c.openFiles = files
	})
	var readKeys []string
	for range polls {
		_, readKey := s.Authorize()
		readKeys = append(readKeys, readKey)
	}
	for i, readKey := range readKeys {
		poll := "POST /poll?wait=30&readKey=" + readKey + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
		_, _ = io.WriteString(s.dial(t), poll)
		eventually(t, "it is held", func() bool { return s.waitingPolls() == float64(i+1) })
	}
	for range 2 * files {
		s.dial(t)
	}
	if got := sendOn(t, s.dial(t), getHealth); got != http.StatusOK {
		t.Error(got)
	}
	s.server.connections.mu.Lock()
	c := s.server.connections
	open := c.waiting.Len() + c.handling.Len() + c.held.Len()
	s.server.connections.mu.Unlock()
	if open > files/2 {
		t.Errorf("%d connections are open", open)
	}
	for _, test := range []struct {
		files uint64
		want  int
	}{
		{files: 0, want: 0}, {files: math.MaxUint64, want: 0}, {files: 1, want: connectionsMemory},
		{files: 1_024, want: connectionsMemory / 512}, {files: 4_096, want: connectionsMemory / 2_896},
		{files: 10_240, want: connectionsMemory / 9_040},
	} {
		if got := leastMemory(connectionsMemory, test.files); got != test.want {
			t.Errorf("with %d files each counts %d KB, want %d", test.files, got, test.want)
		}
	}
}

// openOne opens a connection, and returns it with a request that comes on it.
func (c *connections) openOne() (*connection, *http.Request) {
	conn, _ := net.Pipe()
	added := &connection{Conn: conn, counted: c, memory: plainMemory}
	closeAll(c.add(added))
	r := httptest.NewRequest(http.MethodPost, "/poll", nil)
	return added, r.WithContext(context.WithValue(r.Context(), connectionKey{}, added))
}

// What the logins take that are under way is not there for connections: as they grow more, held polls and
// other connections make room for them.
func TestLoginsTakeRoom(t *testing.T) {
	t.Parallel()
	const room, polls = 24 * plainMemory, 10
	logins := 0
	c := newConnections(room, func() int { return logins }, nothingElse)
	displaced := 0
	for range polls {
		if _, r := c.openOne(); c.hold(r, 0, func() { displaced++ }) == nil {
			t.Fatal("a poll is not held")
		}
	}
	for range room/plainMemory - polls {
		c.openOne()
	}
	logins = room / 2 // of which eleven twelfths are for what keeps its place
	_, newest := c.openOne()
	if all := c.open + logins; displaced != 0 || all > room {
		t.Errorf("%d polls are answered, and all take %d KB of %d", displaced, all, room)
	}
	if logins = c.maxKept - (polls-1)*plainMemory; c.hold(newest, 0, func() {}) != nil {
		t.Error("another poll is held")
	}
	if c.openOne(); displaced != 1 || c.open+logins > room {
		t.Errorf("%d polls are answered, and all take %d KB of %d", displaced, c.open+logins, room)
	}
}

// Those that are under way on a server are counted.
func TestLoginsAreCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for range fewLogins + 20 {
		_, err := s.server.sessions.Start(t.Context(), session.Owner{}, session.StartRequest{})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := s.server.connections.others(); got != 2*loginMemory {
		t.Errorf("twenty logins more than a few take %d KB", got)
	}
}

// So are the networks, the sites and the regions that they were started from, until no login is left.
func TestNetworksOfLoginsAreCounted(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, clock.setIn)
	const logins = fewLogins / 2
	for i := range logins {
		network := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x:1::/64", i))
		_, err := s.server.sessions.Start(t.Context(), session.Owner{}, session.StartRequest{
			Source: sourceOf(network),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := s.server.sessions.NetworkCount(); got != 2*logins+1 {
		t.Errorf("%d networks and sites and their region are counted as %d", 2*logins, got)
	}
	for i := range 100 {
		address := netip.AddrFrom4([4]byte{198, 18, 0, byte(i)})
		network := netip.PrefixFrom(address, 32)
		_, err := s.server.sessions.Start(t.Context(), session.Owner{}, session.StartRequest{
			Source: sourceOf(network),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, want := s.server.connections.others(), 102*networkMemory/10; got != want {
		t.Errorf("a hundred more than a few take %d KB, not %d", got, want)
	}
	clock.move(time.Hour)
	s.server.sweep()
	if got := s.server.sessions.NetworkCount(); got != 0 {
		t.Errorf("%d are counted once the logins have expired", got)
	}
}

// A connection is counted until it is closed, whichever end closes it.
func TestConnectionsAreUncounted(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.headers = 100 * time.Millisecond })
	for range 10 {
		connection := s.dial(t)
		sendOn(t, connection, getHealth)
		connection.Close()
		s.dial(t) // closed by the service
	}
	s.Client.CloseIdleConnections()
	eventually(t, "all are closed", func() bool {
		open, kept := s.memoryNow()
		return open == 0 && kept == 0
	})
}

// TLS keeps what has come of a message of the handshake, so that counts with its connection, and a
// ClientHello is bounded. What is read of a body counts no longer.
func TestLongHandshakes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	roots := writeCertificate(t, folder)
	s := serve(t, func(c *Config) {
		c.TLSCertFile = filepath.Join(folder, "localhost.pem")
		c.TLSKeyFile = filepath.Join(folder, "localhost-key.pem")
		c.connectionsMemory, c.timing.headers = 10*tlsMemory, time.Hour
	})
	const length = 60_000
	secure := dialTLS(t, s, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	request := fmt.Sprintf("POST /poll HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", length+1)
	_, _ = io.WriteString(secure, request+strings.Repeat("x", length))
	bodyIsRead := func() bool {
		open, _ := s.memoryNow()
		return s.bodiesNow() == 1 && open == tlsMemory
	}
	eventually(t, "the body counts no longer", bodyIsRead)
	if got := sendOn(t, secure, "x"); got != http.StatusBadRequest {
		t.Error(got)
	}
	long := s.dial(t)
	_, _ = long.Write(beginHello(9))
	expectClosed(t, long)
	first := s.dial(t)
	_, _ = first.Write(beginHello(8))
	for range 6 {
		_, _ = s.dial(t).Write(beginHello(8))
	}
	expectClosed(t, first)
	if open, _ := s.memoryNow(); open > 10*tlsMemory {
		t.Errorf("they take %d KB", open)
	}
}

// What TLS has received counts until a piece of a body has been read, however often that happens, and not
// once the connection is closed.
func TestReceivedBytes(t *testing.T) {
	t.Parallel()
	c := newConnections(1000, nothingElse, nothingElse)
	one := &connection{counted: c, memory: tlsMemory}
	c.add(one)
	one.move(&c.handling)
	body := bodyOf{ReadCloser: io.NopCloser(zeroes{}), connection: one}
	for range 3 {
		one.receive((usualReceived + 5) << 10)
		if c.open != tlsMemory+5 {
			t.Errorf("they count as %d KB", c.open-tlsMemory)
		}
		if _, err := body.Read(make([]byte, 1)); err != nil || c.open != tlsMemory {
			t.Errorf("once they are read they count as %d KB, %v", c.open-tlsMemory, err)
		}
	}
	one.put(nil, 0)
	if one.receive(64 << 10); c.open != 0 || c.kept != 0 {
		t.Errorf("a closed connection takes %d KB", c.open)
	}
}

// A second ClientHello counts with the first one, in whatever pieces both come. What is encrypted does not.
func TestRecords(t *testing.T) {
	t.Parallel()
	record := func(kind byte, length int) []byte {
		return append([]byte{kind, 3, 3, byte(length >> 8), byte(length)}, make([]byte, length)...)
	}
	const handshake, changeCipherSpec, encrypted = 22, 20, 23
	sent := slices.Concat(record(handshake, 2000), record(changeCipherSpec, 1), record(handshake, 7000),
		record(encrypted, 16_000), record(handshake, 0), record(encrypted, 300))
	for _, piece := range []int{1, 3, 5, 1000, len(sent)} {
		var r records
		var got int
		for some := range slices.Chunk(sent, piece) {
			got = r.read(some)
		}
		if got != 9000 || r.rest != 0 || r.come != 0 {
			t.Errorf("in pieces of %d bytes: %+v", piece, r)
		}
	}
}

// A client that says more than one ClientHello may have is cut off, also after the server has read one.
func TestLongSecondHello(t *testing.T) {
	t.Parallel()
	c := newConnections(1000, nothingElse, nothingElse)
	client, server := net.Pipe()
	one := &connection{Conn: server, counted: c, memory: tlsMemory, greeted: true}
	c.add(one)
	go func() {
		defer client.Close()
		_, _ = client.Write(beginHello(maxHello/1000 + 1))
	}()
	defer server.Close()
	for {
		if _, err := one.Read(make([]byte, 512)); err != nil {
			if !errors.Is(err, errHelloTooLong) {
				t.Error(err)
			}
			return
		}
	}
}

// Without TLS what was received counts as headers that have not ended, and never as more than they may have:
// the body of a request that is not read comes after its answer.
func TestReceivedHeaders(t *testing.T) {
	t.Parallel()
	c := newConnections(1000, nothingElse, nothingElse)
	one := &connection{counted: c, memory: plainMemory}
	c.add(one)
	for _, step := range []struct{ bytes, want int }{
		{bytes: usualHead << 10, want: 0},
		{bytes: 3 << 10, want: 3 * headMemory},
		{bytes: 200 << 10, want: headMemory * (maxHeaders>>10 + 4 - usualHead)},
	} {
		if one.receive(step.bytes); c.open != plainMemory+step.want {
			t.Errorf("%d more bytes: they count as %d KB, not %d", step.bytes, c.open-plainMemory, step.want)
		}
	}
}

// The names of trailers, which are as long as headers may be and count as none, do not stay in memory with
// their request, such as a held poll.
func TestTrailersAreForgotten(t *testing.T) {
	t.Parallel()
	trailers := make(chan http.Header, 1)
	s := serve(t, nil)
	handler := s.server.handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		trailers <- r.Trailer
	}))
	_, r := s.counted(t, httptest.NewRequest(http.MethodGet, "/api/health", nil))
	r.Trailer = http.Header{strings.Repeat("A", 28_000): nil}
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if kept := <-trailers; len(kept) > 0 || len(r.Trailer) > 0 {
		t.Errorf("%d trailers stay", len(kept))
	}
}

// In a flood no more are accepted until those that were closed for others have ended, since they take their
// memory until then.
func TestConnectionsThatLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const room = 10
		c := newConnections(room*plainMemory, nothingElse, nothingElse)
		const all = room + 2*maxLeaving/plainMemory
		var accepted atomic.Int64
		victims := make(chan *connection, all)
		go func() {
			for accepted.Load() < all {
				conn, _ := net.Pipe()
				added := &connection{Conn: conn, counted: c, memory: plainMemory}
				for _, victim := range c.add(added) {
					victims <- victim
				}
				accepted.Add(1)
			}
		}()
		for before := int64(0); before < all; {
			synctest.Wait()
			now, leaving := accepted.Load(), len(victims)
			if now == before || leaving > maxLeaving/plainMemory+1 {
				t.Fatalf("%d were accepted while %d leave", now-before, leaving)
			}
			before = now
			for range leaving {
				(<-victims).Close()
			}
		}
		if c.leaving > maxLeaving || c.open != room*plainMemory {
			t.Errorf("%d KB leave, and %d are open", c.leaving, c.open)
		}
	})
}

// Whoever opens connections without end closes none of those of others, however long they have waited, and
// however many of them come at the same time.
func TestCrowdsTakeTheirOwnPlaces(t *testing.T) {
	t.Parallel()
	office := func(int) string { return "192.0.2.1:1" }
	visitor := func(i int) string { return fmt.Sprintf("10.%d.0.1:1", i) }
	for name, test := range map[string]struct {
		flood, others func(i int) string
		count         int // of the others
	}{
		"one network": {
			flood: func(int) string { return "198.18.0.1:1" }, others: office, count: 2,
		},
		"two networks": {
			flood: func(i int) string { return fmt.Sprintf("198.%d.0.1:1", 18+i%2) }, others: office,
			count: 2,
		},
		"all sites of a region": {
			flood: func(i int) string { return fmt.Sprintf("[2001:db8:%x::1]:1", i) }, others: office,
			count: 2,
		},
		"many visitors": {
			flood: func(i int) string { return fmt.Sprintf("198.%d.0.1:1", 18+i%2) }, others: visitor,
			count: 2 * maxCompared,
		},
		"a large office": {
			flood: func(i int) string { return fmt.Sprintf("198.18.0.%d:1", i%100) }, others: office,
			count: 8,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const room = 4 * maxCompared
			c := newConnections(room*plainMemory, nothingElse, nothingElse)
			var others, flood []*connection
			for i := range test.count {
				others = append(others, c.acceptFrom(t, test.others(i)))
			}
			for i := range room + 90 { // no more are closed than may leave at the same time
				flood = append(flood, c.acceptFrom(t, test.flood(i)))
			}
			expectFirstOpen(t, others, len(others))
			for _, one := range append(others, flood...) {
				one.Close()
			}
			for _, queue := range []*connectionQueue{&c.waiting, &c.handling, &c.held} {
				if queue.crowds.Sources() > 0 {
					t.Errorf("closed ones of %d sources are counted", queue.crowds.Sources())
				}
			}
		})
	}
}

// Whoever has had enough time goes before an office that has just come, from which more come than from any
// network of the flood.
func TestCrowdsThatHaveHadTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const room = 3 * maxCompared
		c := newConnections(room*plainMemory, nothingElse, nothingElse)
		var office, flood []*connection
		accept := func(i int) { flood = append(flood, c.acceptFrom(t, fmt.Sprintf("10.%d.0.1:1", i%room))) }
		for i := range room {
			accept(i)
		}
		time.Sleep(littleTime)
		for range maxCompared {
			office = append(office, c.acceptFrom(t, "192.0.2.1:1"))
		}
		for i := range maxCompared {
			accept(i)
		}
		expectFirstOpen(t, office, len(office))
		for _, one := range append(office, flood...) {
			one.Close()
		}
	})
}

// Whoever opens so many that none of them has enough time closes nothing that takes longer, such as an
// upload, and no idle connection.
func TestCrowdsLeaveWhatTakesLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const room = 3 * maxCompared
		c := newConnections(room*plainMemory, nothingElse, nothingElse)
		var others, flood []*connection
		for i := range maxCompared - 1 {
			others = append(others, c.acceptFrom(t, fmt.Sprintf("10.%d.0.1:1", i)))
		}
		time.Sleep(2 * littleTime)
		for range room + 90 { // no more are closed than may leave at the same time
			flood = append(flood, c.acceptFrom(t, "198.18.0.1:1"))
		}
		expectFirstOpen(t, others, len(others))
		for _, one := range append(others, flood...) {
			one.Close()
		}
	})
}

// Of an office with more than its share those stay that came first, and so are the first to be answered.
func TestOfficeBeyondItsShare(t *testing.T) {
	t.Parallel()
	const room, many, share = 4 * maxCompared, 6, 2
	c := newConnections(room*plainMemory, nothingElse, nothingElse)
	var office, flood []*connection
	for range many {
		office = append(office, c.acceptFrom(t, "192.0.2.1:1"))
	}
	for i := range room + 90 { // no more are closed than may leave at the same time
		flood = append(flood, c.acceptFrom(t, fmt.Sprintf("10.%d.0.1:1", i%(room/share-1))))
	}
	expectFirstOpen(t, office, share)
	for _, one := range append(office, flood...) {
		one.Close()
	}
}

// The same holds for those who come from one provider, each from an address of its own.
func TestProviderBeyondItsShare(t *testing.T) {
	t.Parallel()
	const room, many, share = 4 * maxCompared, 12, 4 // an address with two weighs as much as four
	c := newConnections(room*plainMemory, nothingElse, nothingElse)
	var customers, flood []*connection
	for i := range many {
		customers = append(customers, c.acceptFrom(t, fmt.Sprintf("192.0.2.%d:1", i)))
	}
	for i := range room + 90 { // no more are closed than may leave at the same time
		flood = append(flood, c.acceptFrom(t, fmt.Sprintf("10.%d.0.1:1", i%(room/2-share/2))))
	}
	expectFirstOpen(t, customers, share)
	for _, one := range append(customers, flood...) {
		one.Close()
	}
}

// Whoever has half of a flood wait for requests and half for bodies has no fewer than an office of one kind.
func TestCrowdsOfBothKinds(t *testing.T) {
	t.Parallel()
	const room, addresses = 120, 10
	for name, wait := range map[string]time.Duration{"fast": 0, "slow": littleTime} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newConnections(room*plainMemory, nothingElse, nothingElse)
				var office, flood []*connection
				for range 9 {
					office = append(office, c.acceptFrom(t, "192.0.2.1:1"))
				}
				for i := range room + 90 { // no more are closed than may leave at the same time
					one := c.acceptFrom(t, fmt.Sprintf("10.%d.0.1:1", i%addresses))
					if i/addresses%2 == 0 {
						closeAll(one.move(&c.handling))
					}
					flood = append(flood, one)
					time.Sleep(wait)
				}
				expectFirstOpen(t, office, len(office))
				for _, one := range append(office, flood...) {
					one.Close()
				}
			})
		})
	}
}

// Those of an office that are idle, or have said nothing for long, do not keep out who comes from there.
func TestOfficeWithIdleConnections(t *testing.T) {
	t.Parallel()
	const room, share = 4 * maxCompared, 2
	for name, spend := range map[string]func(*connection){
		"silent": func(*connection) { time.Sleep(littleTime) },
		"idle": func(one *connection) {
			closeAll(one.move(&one.counted.handling))
			closeAll(one.move(&one.counted.waiting))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newConnections(room*plainMemory, nothingElse, nothingElse)
				var all, office []*connection
				for range share {
					one := c.acceptFrom(t, "192.0.2.1:1")
					spend(one)
					all = append(all, one)
				}
				for i := range room - share {
					all = append(all, c.acceptFrom(t, fmt.Sprintf("10.%d.0.1:1", i%(room/share-1))))
				}
				for range 2 * share {
					office = append(office, c.acceptFrom(t, "192.0.2.1:1"))
				}
				expectFirstOpen(t, office, share)
				for _, one := range append(all, office...) {
					one.Close()
				}
			})
		})
	}
}

// Of those from one network that has nearly all, the newest stays, since others may share it: each has some
// time.
func TestNewestOfAProxyStays(t *testing.T) {
	t.Parallel()
	const room = 4 * maxCompared
	c := newConnections(room*plainMemory, nothingElse, nothingElse)
	var flood []*connection
	for range room + 90 { // no more are closed than may leave at the same time
		flood = append(flood, c.acceptFrom(t, "198.18.0.1:1"))
	}
	for i, one := range flood {
		if isOpen := one.weightNow() > 0; isOpen != (i >= 90) {
			t.Errorf("connection %d is open: %t", i, isOpen)
		}
		one.Close()
	}
}

// Few large connections count as much as many small ones that take the same: an office keeps its own though
// each address of a flood has fewer.
func TestLargeConnectionsCountMore(t *testing.T) {
	t.Parallel()
	const room, addresses, size = 60, 5, 3 // no more are closed than may leave at the same time
	c := newConnections(room*plainMemory, nothingElse, nothingElse)
	var office, flood []*connection
	for range 8 {
		office = append(office, c.acceptFrom(t, "192.0.2.1:1"))
	}
	for i := range room {
		large := c.acceptFrom(t, fmt.Sprintf("10.%d.0.1:1", i%addresses))
		c.mu.Lock()
		large.grow((size - 1) * plainMemory)
		victims := c.makeRoom(0)
		c.mu.Unlock()
		closeAll(victims)
		flood = append(flood, large)
	}
	expectFirstOpen(t, office, len(office))
	large := flood[len(flood)-1]
	if weight := c.weigh(large.from); weight%(size*size) != 0 {
		t.Errorf("those of one address weigh %d", weight)
	}
	for _, one := range append(office, flood...) {
		one.Close()
	}
	if sources := c.waiting.crowds.Sources(); sources > 0 {
		t.Errorf("closed ones of %d sources are counted", sources)
	}
}

// A connection counts as often as it takes what one does in general, where few files may be open as well, and
// goes on doing so in the other queue.
func TestShareOfAConnection(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ least, request, want int }{
		{want: 1},
		{request: 1, want: 2},
		{request: plainMemory + 1, want: 3},
		{least: 3 * plainMemory, request: plainMemory + 1, want: 1},
	} {
		c := newConnections(100*plainMemory, nothingElse, nothingElse)
		c.least = test.least
		one := c.acceptFrom(t, "192.0.2.1:1")
		one.request = test.request
		closeAll(one.move(&c.handling))
		if got, _ := c.handling.crowds.Count(one.from); got != test.want {
			t.Errorf("%+v: it counts %d times", test, got)
		}
		one.Close()
	}
}

// expectFirstOpen checks that so many connections are open, and the rest closed.
func expectFirstOpen(t *testing.T, connections []*connection, count int) {
	t.Helper()
	for i, one := range connections {
		if isOpen := one.weightNow() > 0; isOpen != (i < count) {
			t.Errorf("connection %d of %d is open: %t", i, len(connections), isOpen)
		}
	}
}

// acceptFrom accepts a connection from an address.
func (c *connections) acceptFrom(t *testing.T, address string) *connection {
	t.Helper()
	listener := newListenerFrom()
	listener.from(address)
	accepted, err := c.listen(listener, plainMemory).Accept()
	if err != nil {
		t.Fatal(err)
	}
	return accepted.(*connection)
}

// listenerFrom accepts connections from addresses that a test chooses.
type listenerFrom struct {
	net.Listener

	next chan net.Conn
}

func newListenerFrom() *listenerFrom { return &listenerFrom{next: make(chan net.Conn, 1)} }

// from makes the next connection come from an address.
func (l *listenerFrom) from(address string) {
	conn, _ := net.Pipe()
	l.next <- connFrom{Conn: conn, remote: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))}
}

func (l *listenerFrom) Accept() (net.Conn, error) { return <-l.next, nil }

type connFrom struct {
	net.Conn

	remote net.Addr
}

func (c connFrom) RemoteAddr() net.Addr { return c.remote }

// beginHello returns the beginning of a ClientHello of 64 KB, in records of 1,000 bytes each.
func beginHello(records int) (hello []byte) {
	const length = 1000
	for i := range records {
		fragment := make([]byte, length)
		if i == 0 {
			copy(fragment, "\x01\x00\xff\xff")
		}
		hello = append(append(hello, 0x16, 3, 1, length>>8, length&0xff), fragment...)
	}
	return hello
}

// A connection with TLS counts for more.
func TestConnectionsWithTLS(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	roots := writeCertificate(t, folder)
	s := serve(t, func(c *Config) {
		c.TLSCertFile = filepath.Join(folder, "localhost.pem")
		c.TLSKeyFile = filepath.Join(folder, "localhost-key.pem")
		c.connectionsMemory, c.timing.headers = 10*tlsMemory, time.Hour
	})
	config := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	first := dialTLS(t, s, config)
	for range 10 {
		if got := sendOn(t, dialTLS(t, s, config), getHealth); got != http.StatusOK {
			t.Fatal(got)
		}
	}
	expectClosed(t, first)
	if open, _ := s.memoryNow(); open > 10*tlsMemory {
		t.Errorf("%d KB are counted", open)
	}
}

// An idle connection is closed after a while, though not before another poll of a deployed plugin comes.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	if idle := (timing{}).withDefaults().idle; idle <= time.Minute {
		t.Errorf("a load balancer's connection would be closed after %s", idle)
	}
	s := serve(t, func(c *Config) { c.timing.idle = 100 * time.Millisecond })
	connection := s.dial(t)
	if got := sendOn(t, connection, getHealth); got != http.StatusOK {
		t.Fatal(got)
	}
	expectClosed(t, connection)
}

// A stranger who does not read an answer loses the connection. An admin may take longer.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	const requests = 30 // so many that no buffer of the system holds their answers
	s := serve(t, func(c *Config) { c.timing.answer = 300 * time.Millisecond })
	_, token, _ := strings.Cut(s.Admin(), ": ")
	ask := func(header string) net.Conn {
		connection := s.dial(t)
		// Compressed, as for an admin, they would fit in the buffers.
		plain := strings.Replace(dashboardFile(t), "gzip", "identity", 1)
		request := strings.TrimSuffix(plain, "\r\n") + header + "\r\n"
		go io.WriteString(connection, strings.Repeat(request, requests))
		return connection
	}
	read := func(connection net.Conn) error {
		reader := bufio.NewReader(connection)
		for range requests {
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				return err
			}
		}
		return nil
	}
	admin := ask("Authorization: " + token + "\r\n")
	eventually(t, "the admin keeps the connection", func() bool { return s.keptNow() > 0 })
	before := s.openNow()
	stranger := ask("")
	eventually(t, "the stranger is served", func() bool { return s.openNow() > before })
	eventually(t, "the stranger is cut off", func() bool { return s.openNow() == before })
	if read(stranger) == nil {
		t.Error("a stranger may take as long as they like")
	}
	if err := read(admin); err != nil {
		t.Errorf("an admin is cut off: %v", err)
	}
}

// A held poll, with its longest wait, is answered in the time that there is for an answer.
func TestHeldPollsAreAnsweredInTime(t *testing.T) {
	t.Parallel()
	if answer := (timing{}).withDefaults().answer; answer < maxWait*time.Second+20*time.Second {
		t.Errorf("a poll that is held for %d s must be read within %s", maxWait, answer)
	}
}

// PocketBase compresses the dashboard's files for each request anew, and holds 0.85 MB for each slow reader.
// For strangers it does not.
func TestDashboardIsNotCompressed(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, path := range []string{"/_/", "/_/" + largestDashboardFile(t), "/_/extensions.js"} {
		got := s.Request(http.MethodGet, path, "", "Accept-Encoding: gzip")
		if got.Status != http.StatusOK || got.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %v", path, got.Status, got.Header)
		}
	}
}

// Files are sent in small pieces, since each slow reader holds the piece that comes next.
func TestFilesInSmallPieces(t *testing.T) {
	t.Parallel()
	largest := 0
	w := smallCopies{ResponseWriter: writer(func(p []byte) { largest = max(largest, len(p)) })}
	n, err := io.Copy(w, io.LimitReader(zeroes{}, 100_000))
	if n != 100_000 || err != nil || largest > 4<<10 {
		t.Errorf("%d bytes, %v, in pieces of up to %d", n, err, largest)
	}
}

// writer is a [http.ResponseWriter] that only looks at what is written.
type writer func([]byte)

func (w writer) Header() http.Header { return nil }

func (w writer) WriteHeader(int) {}

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { return len(p), nil }

// With HTTP/2 one connection could take as much memory as hundreds.
func TestOnlyHTTP1(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	roots := writeCertificate(t, folder)
	s := serve(t, func(c *Config) {
		c.TLSCertFile = filepath.Join(folder, "localhost.pem")
		c.TLSKeyFile = filepath.Join(folder, "localhost-key.pem")
	})
	offered := &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2", "http/1.1"}}
	connection := dialTLS(t, s, offered)
	if got := connection.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("it speaks %q", got)
	}
	offered = offered.Clone()
	offered.NextProtos = []string{"h2"}
	only := tls.Client(s.dial(t), offered)
	if err := only.Handshake(); err == nil {
		t.Error("it speaks HTTP/2")
	}
	if got := sendOn(t, connection, getHealth); got != http.StatusOK {
		t.Error(got)
	}
}

// Plain HTTP is redirected to HTTPS by a server that has limits.
func TestRedirectsToHTTPS(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	s := serve(t, func(c *Config) {
		c.redirectAddress, c.timing.headers = address, 200*time.Millisecond
		c.connectionsMemory = 20 * plainMemory
	})
	dial := func() net.Conn {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		return connection
	}
	get := func(headers string) int {
		return sendOn(t, dial(), "GET /poll HTTP/1.1\r\nHost: backend.example\r\n"+headers+"\r\n")
	}
	if got := get(""); got != http.StatusFound {
		t.Errorf("it is answered with %d", got)
	}
	s.expectNoEcho(t, address)
	long := "X: " + strings.Repeat("x", 40<<10) + "\r\n"
	if got := get(long); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("40 KB of headers: %d", got)
	}
	for name, sent := range map[string]string{
		"silent": "", "half a request": "GET / HTTP/1.1\r\nHost:",
		"idle":      "GET / HTTP/1.1\r\nHost: backend.example\r\n\r\n",
		"slow body": "POST / HTTP/1.1\r\nHost: backend.example\r\nContent-Length: 9\r\n\r\n",
	} {
		connection := dial()
		_, _ = io.WriteString(connection, sent)
		expectClosed(t, connection)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	for range 30 {
		dial()
	}
	eventually(t, "they are counted", func() bool { return s.openNow() > 0 })
	if open := s.openNow(); open > 20 {
		t.Errorf("%d connections are open", open)
	}
}

// expectNoEcho sends long requests to where plain HTTP is redirected from. Nothing of them is in an answer
// but the address in the header, which counts with its connection.
func (s *testServer) expectNoEcho(t *testing.T, address string) {
	t.Helper()
	const length = 20 << 10
	long := "/x?" + strings.Repeat("&", length)
	for _, test := range []struct{ target, host, location string }{
		{target: long, host: "backend.example:80", location: "https://backend.example:443" + long},
		{target: "/.well-known/acme-challenge/x", host: "evil.example"},
		{target: "/.well-known/acme-challenge/x" + long, host: strings.Repeat("\x80", maxHost+1)},
		{target: "/.well-known/acme-challenge/../x", host: "backend.example"},
		{target: "/.well-known/acme-challenge/" + strings.Repeat("x", 300), host: "backend.example"},
	} {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		_, _ = fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", test.target, test.host)
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || len(body) > 200 {
			t.Errorf("%.50s: %d bytes, %v", test.target, len(body), err)
		}
		if got := response.Header.Get("Location"); test.location != "" && got != test.location {
			t.Errorf("it is redirected to %.100s", got)
		}
	}
	counted, r := s.counted(t, httptest.NewRequest(http.MethodGet, long, nil))
	before := counted.weightNow()
	sendToHTTPS(httptest.NewRecorder(), r)
	if counts := counted.weightNow() - before; counts < length>>10 {
		t.Errorf("the address counts as %d KB", counts)
	}
}

// The program has no other listener when it gets its certificates itself.
func TestServeDomain(t *testing.T) {
	t.Parallel()
	plain, secure := freeAddress(t), freeAddress(t)
	p := testkit.NewProcess(t, "--http", plain, "--https", secure, "backend.example")
	p.Address = secure
	p.Start()
	var connection net.Conn
	eventually(t, "it listens for plain HTTP", func() (listens bool) {
		var err error
		connection, err = net.Dial("tcp", plain)
		return err == nil
	})
	defer connection.Close()
	text := "GET / HTTP/1.1\r\nHost: backend.example\r\nX: " + strings.Repeat("x", 60<<10) + "\r\n\r\n"
	if got := sendOn(t, connection, text); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("60 KB of headers: %d", got)
	}
}

// net/http waits for half a second for a client that has not sent all of its body, unless the connection was
// closed for others: few are accepted until it has ended. Nor does it wait while there is little room.
func TestNobodyWaitsForThoseWhoAreClosed(t *testing.T) {
	t.Parallel()
	aborts := func(when string, call func()) {
		t.Helper()
		defer func() {
			if recovered := recover(); recovered != http.ErrAbortHandler {
				t.Errorf("%s: %v", when, recovered)
			}
		}()
		call()
	}
	s := serve(t, nil)
	counted, r := s.counted(t, httptest.NewRequest(http.MethodPost, "/poll", strings.NewReader("x")))
	_, end := s.server.connections.begin(r)
	if err := counted.CloseWrite(); err != nil {
		t.Error(err)
	}
	s.server.connections.limit = 0
	s.server.connections.maxKept = 0
	aborts("there is no room", func() { _ = counted.CloseWrite() })
	counted.Close()
	aborts("it was closed", end)
}

// A connection that is closed though it has had little time takes a held poll with it, and then polls are
// held in half of the room only. One that has had its time does neither.
func TestHeldPollsLeaveOthersTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const room = 12
		c := newConnections(room*plainMemory, nothingElse, nothingElse)
		var displaced []*connection
		come := func() *connection {
			conn, _ := net.Pipe()
			added := &connection{Conn: conn, counted: c, memory: plainMemory}
			victims := c.add(added)
			for _, ended := range slices.Concat(victims, displaced) {
				ended.Close()
			}
			return added
		}
		hold := func() bool {
			added := come()
			closeAll(added.move(&c.handling))
			r := httptest.NewRequest(http.MethodPost, "/poll", nil)
			r = r.WithContext(c.connContext(r.Context(), added))
			return c.hold(r, 0, func() { displaced = append(displaced, added) }) != nil
		}
		for range room - 2 {
			if !hold() {
				t.Fatal("a poll is not held")
			}
		}
		for range 2 {
			closeAll(come().move(&c.handling))
		}
		time.Sleep(2 * littleTime)
		if come(); len(displaced) > 0 {
			t.Error("a poll is displaced for one that has had its time")
		}
		for range 2 * room {
			come()
		}
		if want := room/2 - 2; len(displaced) != want {
			t.Errorf("%d polls are displaced, not %d", len(displaced), want)
		}
		if hold() {
			t.Error("a poll is held in more than half")
		}
		time.Sleep(2 * time.Minute)
		if !hold() {
			t.Error("no poll is held a minute later")
		}
	})
}

// Answers to refreshes take their room from the connections as long as they are kept.
func TestKeptAnswersAreCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const size = 1 << 20
	s.server.refreshes.keep(refreshKey{}, &refreshAnswer{tokens: make([]byte, size)})
	if counted := s.server.connections.others(); counted < size>>10 {
		t.Errorf("%d KB are counted", counted)
	}
	s.server.refreshes.forgetKey(refreshKey{})
	if counted := s.server.connections.others(); counted != 0 {
		t.Errorf("%d KB are counted when they are forgotten", counted)
	}
}
