package hooks

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// Headers of up to 32 KB are read, and no more, on all of the service's routes.
func TestLargeHeaders(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for name, test := range map[string]struct{ size, status int }{
		"1 KB below":  {size: 31 << 10, status: http.StatusOK},
		"a bit above": {size: 32<<10 + 100, status: http.StatusRequestHeaderFieldsTooLarge},
		"1 MB":        {size: 1 << 20, status: http.StatusRequestHeaderFieldsTooLarge},
	} {
		for _, path := range []string{"/", "/api/health"} {
			t.Run(name+" at "+path, func(t *testing.T) {
				t.Parallel()
				connection := s.dial(t)
				head := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nX: "
				go io.WriteString(connection, head+strings.Repeat("x", test.size-len(head)-4)+"\r\n\r\n")
				response, err := http.ReadResponse(bufio.NewReader(connection), nil)
				if err != nil {
					t.Fatal(err)
				}
				if response.StatusCode != test.status {
					t.Errorf("%d bytes of headers: %s", test.size, response.Status)
				}
			})
		}
	}
}

func (s *testServer) dial(t *testing.T) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

// expectClosed waits until the other end closes a connection.
func expectClosed(t *testing.T, connection net.Conn) {
	t.Helper()
	if err := connection.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, connection); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
}

// Whoever does not finish the headers of a request in time loses the connection.
func TestUnfinishedHeaders(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.headers = 100 * time.Millisecond })
	for name, sent := range map[string]string{
		"nothing":             "",
		"half a line":         "GET / HT",
		"half the headers":    "GET /api/health HTTP/1.1\r\nHost: localhost\r\nX: ",
		"after another":       "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost:",
		"a preface of HTTP/2": http2.ClientPreface,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection := s.dial(t)
			if _, err := io.WriteString(connection, sent); err != nil {
				t.Fatal(err)
			}
			expectClosed(t, connection)
		})
	}
}
