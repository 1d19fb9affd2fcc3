package hooks

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/internal/testkit"
)

// Answers of a provider that are odd but complete are accepted. Faults that end a login are in
// TestRedirectFaults.
func TestProviderOddities(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, err := io.WriteString(writer, testkit.TokenResponse)
	if err := errors.Join(err, writer.Close()); err != nil {
		t.Fatal(err)
	}
	const contentType, latin1 = "Content-Type", "{\"access_token\":\"x\",\"name\":\"caf\xe9\"}"
	for name, test := range map[string]struct{ header, value, body, want string }{
		"gzip": {
			header: "Content-Encoding", value: "gzip", body: packed.String(), want: testkit.TokenResponse,
		},
		"wrong charset": {
			header: contentType, value: "application/json; charset=utf-16",
			body: testkit.TokenResponse, want: testkit.TokenResponse,
		},
		"Latin-1": {
			header: contentType, value: "application/json; charset=iso-8859-1", body: latin1, want: latin1,
		},
		"no type": {header: contentType, value: "", body: testkit.TokenResponse, want: testkit.TokenResponse},
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t)
			s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(test.header, test.value)
				_, _ = io.WriteString(w, test.body)
			})
			page, readKey := s.Login()
			s.ExpectPage("page", page, http.StatusOK, "You are signed in")
			s.Expect("poll", s.Poll(readKey), http.StatusOK, test.want)
		})
	}
}

// When the disk is full, no new login begins, and tokens that are ready can still be fetched. Everything
// works when there is room again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, ready := s.Login()
	waitingURL, waiting := s.Authorize()
	limit := func(pages int) {
		var set int
		query := s.App.NonconcurrentDB().NewQuery(fmt.Sprintf("PRAGMA max_page_count = %d", pages))
		if err := query.Row(&set); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite takes the size that it has
	full := false
	for range 200 {
		if got := s.Post("/authorize"); got.Status != http.StatusOK {
			s.ExpectError("authorize", got, http.StatusInternalServerError, "server_error")
			full = true
			break
		}
	}
	if !full {
		t.Fatal("the disk is not full")
	}
	s.expectTokens(ready)
	s.Expect("waiting", s.Poll(waiting), http.StatusNotFound, bodyPending)
	if logged := s.Logged(); !strings.Contains(logged, "full") {
		t.Errorf("the log says %s", logged)
	}
	limit(1 << 30)
	s.ExpectPage("the login under way", s.Get(s.Agree(waitingURL)), http.StatusOK, "You are signed in")
	s.expectTokens(waiting)
	s.Authorize()
}

// lockDatabase holds the database as another process may do, and returns a function that releases it.
func (s *testServer) lockDatabase() (unlock func()) {
	s.T.Helper()
	other, err := core.DefaultDBConnect(filepath.Join(s.App.DataDir(), "data.db"))
	if err != nil {
		s.T.Fatal(err)
	}
	ctx := context.WithoutCancel(s.T.Context())
	connection, err := other.DB().Conn(ctx)
	if err != nil {
		s.T.Fatal(err)
	}
	if _, err := connection.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		s.T.Fatal(err)
	}
	return sync.OnceFunc(func() {
		_, _ = connection.ExecContext(ctx, "COMMIT")
		connection.Close()
		other.Close()
	})
}

// If another process holds the database for some seconds, requests wait for it, and none is lost.
func TestDatabaseLocked(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.Authorize()
	callback := s.Agree(authorizationURL)
	var timeout int // in milliseconds
	query := s.App.NonconcurrentDB().NewQuery("PRAGMA busy_timeout")
	if err := query.Row(&timeout); err != nil || timeout < 5_000 {
		t.Errorf("the database is waited for %d ms, %v", timeout, err)
	}
	unlock := s.lockDatabase()
	defer unlock()
	page := make(chan testkit.Answer, 1)
	go func() { page <- s.Get(callback) }()
	s.Expect("a poll does not wait", s.Poll(readKey), http.StatusNotFound, bodyPending)
	select {
	case got := <-page:
		t.Fatalf("the redirect did not wait: %d %s", got.Status, got.Body)
	case <-time.After(300 * time.Millisecond):
	}
	if s.Provider.Exchanges() != 0 {
		t.Error("the code was exchanged before the state was used up")
	}
	unlock()
	s.ExpectPage("redirect", <-page, http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
}

// A file that is not a database stops the start with an explanation, and is not changed.
func TestDatabaseCorrupt(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	folder := filepath.Join(p.Dir, "pb_data")
	garbage := strings.Repeat("this is not a database. ", 1000)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "data.db"), []byte(garbage), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := p.Run(p.Args...)
	isExplained := strings.Contains(out, "file is not a database") &&
		strings.Contains(out, "Restore a backup")
	if code != 1 || !isExplained {
		t.Errorf("exit %d\n%s", code, out)
	}
	content, err := os.ReadFile(filepath.Join(folder, "data.db"))
	if err != nil || string(content) != garbage {
		t.Errorf("the file was changed: %v", err)
	}
}

// Headers and addresses beyond the limits are refused, and the next request is served.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const host = " HTTP/1.1\r\nHost: localhost\r\n"
	const lastOne = host + "Connection: close\r\n\r\n"
	t.Run("beyond", func(t *testing.T) {
		for name, text := range map[string]string{
			"header":    "POST /poll?readKey=x" + host + "X-Long: " + strings.Repeat("x", 2<<20) + "\r\n\r\n",
			"address":   "POST /poll?readKey=" + strings.Repeat("x", 2<<20) + host + "\r\n",
			"not HTTP":  "hello\r\n\r\n",
			"long key":  "POST /poll?readKey=" + strings.Repeat("x", 1<<19) + lastOne,
			"long slug": "POST /" + strings.Repeat("x", 1<<19) + "/poll" + lastOne,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				got := s.in(t).send(text)
				if got.StatusCode < 400 || got.StatusCode >= 500 {
					t.Errorf("it is answered %s", got.Status)
				}
			})
		}
	})
	s.Authorize()
}

// send writes the text of a request to a connection of its own, and returns the answer without its body.
func (s *testServer) send(text string) *http.Response {
	s.T.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		s.T.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.T.Fatal(err)
	}
	go func() { _, _ = io.WriteString(connection, text) }() // the answer may come before it is read
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		s.T.Fatal(err)
	}
	response.Body.Close()
	return response
}

// After the machine's clock is set back, logins that have begun can still be finished, and so can new ones.
func TestClockIsSetBack(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, clock.setIn)
	authorizationURL, readKey := s.Authorize()
	_, ready := s.Login()
	clock.move(-time.Hour)
	s.Expect("pending", s.Poll(readKey), http.StatusNotFound, bodyPending)
	s.expectTokens(ready)
	s.ExpectPage("redirect", s.Get(s.Agree(authorizationURL)), http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
	page, readKey := s.Login()
	s.ExpectPage("a new one", page, http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
}

// After the clock is set forward, logins under way have expired, and say so; the next login is like any
// other.
func TestClockIsSetForward(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, clock.setIn)
	authorizationURL, readKey := s.Authorize()
	_, ready := s.Login()
	callback := s.Agree(authorizationURL)
	clock.move(time.Hour)
	s.ExpectError("pending", s.Poll(readKey), http.StatusBadRequest, "expired_token")
	s.ExpectError("ready", s.Poll(ready), http.StatusBadRequest, "expired_token")
	s.ExpectPage("redirect", s.Get(callback), http.StatusBadRequest, "took too long")
	s.server.sweep()
	page, readKey := s.Login()
	s.ExpectPage("a new one", page, http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
}
