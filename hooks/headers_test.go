package hooks

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
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

// The bounds hold for HTTP/2 as well, which a listener with a certificate speaks.
func TestHeadersOfHTTP2(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	roots := writeCertificate(t, folder)
	serveTLS := func(t *testing.T, timeout time.Duration) *tls.Conn {
		s := serve(t, func(c *Config) {
			c.TLSCertFile = filepath.Join(folder, "localhost.pem")
			c.TLSKeyFile = filepath.Join(folder, "localhost-key.pem")
			c.timing.headers = timeout
		})
		connection := tls.Client(s.dial(t), &tls.Config{
			RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"},
		})
		if _, err := io.WriteString(connection, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		if got := connection.ConnectionState().NegotiatedProtocol; got != "h2" {
			t.Fatalf("the listener speaks %q", got)
		}
		return connection
	}
	headers := func(t *testing.T, size int) []byte {
		t.Helper()
		var block strings.Builder
		encoder := hpack.NewEncoder(&block)
		for _, field := range [][2]string{
			{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", "/"},
			{"x", strings.Repeat("~", size)},
		} {
			if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
				t.Fatal(err)
			}
		}
		return []byte(block.String())
	}
	t.Run("unfinished", func(t *testing.T) {
		t.Parallel()
		connection := serveTLS(t, 200*time.Millisecond)
		framer := http2.NewFramer(connection, connection)
		if err := errors.Join(framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: 1, BlockFragment: headers(t, 10), EndStream: true,
		})); err != nil {
			t.Fatal(err)
		}
		expectClosed(t, connection)
	})
	for size, taken := range map[int]bool{28 << 10: true, 32 << 10: false, 1 << 20: false} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			connection := serveTLS(t, 0)
			framer := http2.NewFramer(connection, connection)
			framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			block := headers(t, size)
			if err := errors.Join(framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, BlockFragment: block[:1000], EndStream: true,
			})); err != nil {
				t.Fatal(err)
			}
			for block = block[1000:]; len(block) > 0; {
				part := block[:min(len(block), 16<<10)]
				block = block[len(part):]
				if framer.WriteContinuation(1, len(block) == 0, part) != nil {
					break // the other end has closed the connection
				}
			}
			// What is too large is answered with 431, or ends the connection.
			status := ""
			for status == "" {
				frame, err := framer.ReadFrame()
				if err != nil {
					break
				}
				if answer, ok := frame.(*http2.MetaHeadersFrame); ok {
					status = answer.PseudoValue("status")
				}
			}
			if (status == "200") != taken {
				t.Errorf("%d bytes of headers: status %q", size, status)
			}
		})
	}
}
