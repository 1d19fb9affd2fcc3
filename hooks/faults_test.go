package hooks

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
)

// What odd but whole answers of a provider become. Faults that end a login are in TestRedirectFaults.
func TestProviderOddities(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	io.WriteString(writer, tokenResponse)
	writer.Close()
	latin1 := "{\"access_token\":\"x\",\"name\":\"caf\xe9\"}"
	for name, test := range map[string]struct {
		header, value, body string
		want                string
	}{
		"gzip":          {"Content-Encoding", "gzip", packed.String(), tokenResponse},
		"wrong charset": {"Content-Type", "application/json; charset=utf-16", tokenResponse, tokenResponse},
		"Latin-1":       {"Content-Type", "application/json; charset=iso-8859-1", latin1, latin1},
		"no type":       {"Content-Type", "", tokenResponse, tokenResponse},
	} {
		s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(test.header, test.value)
			io.WriteString(w, test.body)
		})
		page, readKey := s.login()
		s.expectPage(name, page, http.StatusOK, "You are signed in")
		s.expect(name, s.poll(readKey), http.StatusOK, test.want)
	}
}

// A full disk: no new login begins, those that are ready can still be fetched, and all is well when there is room again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, ready := s.login()
	waitingURL, waiting := s.authorize()
	limit := func(pages int) {
		var set int
		if err := s.app.NonconcurrentDB().NewQuery(fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Row(&set); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite takes the size that it has
	full := false
	for range 200 {
		if got := s.post("/authorize"); got.status != http.StatusOK {
			s.expectError("authorize", got, http.StatusInternalServerError, "server_error")
			full = true
			break
		}
	}
	if !full {
		t.Fatal("the disk is not full")
	}
	s.expect("ready", s.poll(ready), http.StatusOK, tokenResponse)
	s.expect("waiting", s.poll(waiting), http.StatusNotFound, bodyPending)
	if logged := s.logged(); !strings.Contains(logged, "full") {
		t.Errorf("the log says %s", logged)
	}
	limit(1 << 30)
	s.expectPage("the login under way", s.get(s.agree(waitingURL)), http.StatusOK, "You are signed in")
	s.expect("its tokens", s.poll(waiting), http.StatusOK, tokenResponse)
	s.authorize()
}

// lockDatabase holds the database as another process may do, and returns what lets it go.
func (s *relayServer) lockDatabase() (unlock func()) {
	s.t.Helper()
	other, err := core.DefaultDBConnect(filepath.Join(s.app.DataDir(), "data.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx := context.WithoutCancel(s.t.Context())
	connection, err := other.DB().Conn(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := connection.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		s.t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		_, _ = connection.ExecContext(ctx, "COMMIT")
		connection.Close()
		other.Close()
	})
}

// Another process holds the database for some seconds: requests wait for it, and none is lost.
func TestDatabaseLocked(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.authorize()
	unlock := s.lockDatabase()
	go func() {
		time.Sleep(5 * time.Second)
		unlock()
	}()
	began := time.Now()
	s.expect("a poll does not wait", s.poll(readKey), http.StatusNotFound, bodyPending)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the poll took %s", took)
	}
	s.expectPage("redirect", s.get(s.agree(authorizationURL)), http.StatusOK, "You are signed in")
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("the database was not locked: %s", took)
	}
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
}

// A database file that is none stops the start, with words, and is not touched.
func TestDatabaseCorrupt(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	folder := filepath.Join(p.dir, "pb_data")
	garbage := strings.Repeat("this is not a database. ", 1000)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "data.db"), []byte(garbage), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := p.run(p.args...)
	if code != 1 || !strings.Contains(out, "file is not a database") || !strings.Contains(out, "Restore a backup") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if content, err := os.ReadFile(filepath.Join(folder, "data.db")); err != nil || string(content) != garbage {
		t.Errorf("the file was changed: %v", err)
	}
}

// Thousands of connections that say nothing, and some that say one byte a second, keep nobody out.
func TestIdleAndSlowConnections(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.start()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	count := min(10_000, int(limit.Cur)-2_000)
	address := strings.TrimPrefix(p.url, "http://")
	var connections []net.Conn
	defer func() {
		for _, connection := range connections {
			connection.Close()
		}
	}()
	for i := range count {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		connections = append(connections, connection)
		if i%100 == 0 {
			fmt.Fprint(connection, "POST /poll?readKey=x HTTP/1.1\r\nHost: x\r\nX-Slow: ") // and no end
		}
	}
	t.Logf("%d connections", len(connections))
	began := time.Now()
	page, readKey := p.login()
	p.expectPage("login", page, http.StatusOK, "You are signed in")
	p.expect("poll", p.poll(readKey), http.StatusOK, tokenResponse)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a login took %s", took)
	}
}

// Headers and addresses beyond the limits are refused, and the next request is served.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for name, request := range map[string]string{
		"header":    "POST /poll?readKey=x HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 2<<20) + "\r\n\r\n",
		"address":   "POST /poll?readKey=" + strings.Repeat("x", 2<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"not HTTP":  "hello\r\n\r\n",
		"long key":  "POST /poll?readKey=" + strings.Repeat("x", 1<<19) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"long slug": "POST /" + strings.Repeat("x", 1<<19) + "/poll HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(connection, request)
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if response.Body.Close(); response.StatusCode < 400 || response.StatusCode >= 500 {
			t.Errorf("%s: %d", name, response.StatusCode)
		}
		connection.Close()
	}
	s.authorize()
}

// The clock is set forth, or back, by an hour. (Here the sessions are moved instead, in the other direction.)
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	move := func(by time.Duration) {
		query := fmt.Sprintf(`UPDATE sessions SET created = strftime('%%Y-%%m-%%d %%H:%%M:%%fZ', created, '%+d seconds'), expires = strftime('%%Y-%%m-%%d %%H:%%M:%%fZ', expires, '%+d seconds')`,
			int(by.Seconds()), int(by.Seconds()))
		if _, err := s.app.DB().NewQuery(query).Execute(); err != nil {
			t.Fatal(err)
		}
		s.relay.sessions.mu.Lock()
		defer s.relay.sessions.mu.Unlock()
		for _, login := range s.relay.sessions.byID {
			login.expires = login.expires.Add(by)
		}
	}
	// Set back: what was begun can still be finished, and what is begun now, too.
	authorizationURL, readKey := s.authorize()
	_, ready := s.login()
	move(time.Hour)
	s.expect("pending", s.poll(readKey), http.StatusNotFound, bodyPending)
	s.expect("ready", s.poll(ready), http.StatusOK, tokenResponse)
	s.expectPage("redirect", s.get(s.agree(authorizationURL)), http.StatusOK, "You are signed in")
	s.expect("its tokens", s.poll(readKey), http.StatusOK, tokenResponse)
	page, readKey := s.login()
	s.expectPage("a new one", page, http.StatusOK, "You are signed in")
	s.expect("its tokens", s.poll(readKey), http.StatusOK, tokenResponse)

	// Set forth: what is under way has expired, and says so; the next login is like any other.
	authorizationURL, readKey = s.authorize()
	_, ready = s.login()
	callback := s.agree(authorizationURL)
	move(-time.Hour)
	s.expectError("pending", s.poll(readKey), http.StatusBadRequest, "expired_token")
	s.expectError("ready", s.poll(ready), http.StatusBadRequest, "expired_token")
	s.expectPage("redirect", s.get(callback), http.StatusBadRequest, "took too long")
	if _, err := s.relay.sessions.sweep(); err != nil {
		t.Fatal(err)
	}
	page, readKey = s.login()
	s.expectPage("a new one", page, http.StatusOK, "You are signed in")
	s.expect("its tokens", s.poll(readKey), http.StatusOK, tokenResponse)
}
