package hooks

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A body counts with its connection from its beginning until the request has been handled.
func TestBodiesAreCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.body = time.Hour })
	s.Client.CloseIdleConnections()
	counted := func(when string, want int) {
		t.Helper()
		eventually(t, when, func() bool {
			open, _ := s.memoryNow()
			return open == want
		})
	}
	counted("nobody is there", 0)
	for name, test := range map[string]struct {
		sent, rest string
		want       int
	}{
		"known length": {
			sent: fmt.Sprintf("Content-Length: %d\r\n\r\n", smallBody),
			rest: strings.Repeat("x", smallBody),
			want: smallBody >> 10,
		},
		"unknown length": {
			sent: "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
			rest: "0\r\n\r\n",
			want: unknownBody,
		},
	} {
		connection := s.dial(t)
		_, _ = io.WriteString(connection, "POST /poll HTTP/1.1\r\nHost: localhost\r\n"+test.sent)
		counted(name, plainMemory+test.want)
		if got := sendOn(t, connection, test.rest); got != http.StatusBadRequest {
			t.Errorf("%s: %d", name, got)
		}
		counted(name+": it has been handled", plainMemory)
		connection.Close()
		counted(name+": it is closed", 0)
	}
}

// A large body counts with its connection while its answer is read.
func TestLargeBodiesAreCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	large := strings.Repeat("x", smallBody+1)
	for name, body := range map[string]io.Reader{
		"known length":   strings.NewReader(large),
		"unknown length": struct{ io.Reader }{strings.NewReader(large)},
	} {
		counted, r := s.counted(t, httptest.NewRequest(http.MethodGet, "/client.js", body))
		r, end := s.server.connections.begin(r)
		answer, read := s.serveSlowly(r)
		if got, least := counted.weightNow(), plainMemory+largeBodyMemory*smallBody>>10; got < least {
			t.Errorf("%s: %d KB are counted", name, got)
		}
		read()
		if end(); answer.Code != http.StatusOK || counted.weightNow() != plainMemory {
			t.Errorf("%s: %d, and %d KB are counted afterwards", name, answer.Code, counted.weightNow())
		}
	}
}

// The body of a request that waits for the provider is forgotten, and counts no longer.
func TestForgottenBodiesAreNotCounted(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(s *testServer) (line, form string){
		"a refresh":    func(*testServer) (string, string) { return "POST /refresh", "code=RT" },
		"a revocation": func(*testServer) (string, string) { return "POST /revoke", "token=RT" },
		"an exchange": func(s *testServer) (string, string) {
			authorizationURL, _ := s.Authorize()
			_, query, _ := strings.Cut(s.Agree(authorizationURL), "?")
			return "POST /redirect", query
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(c *Config) {
				withRevoke("")(c)
				confirming("never")(c)
			})
			line, form := begin(s)
			s.Client.CloseIdleConnections()
			release := sync.OnceFunc(s.atProvider(line).release)
			t.Cleanup(release) // else a failure would wait for the end of it
			form += "&padding=" + strings.Repeat("x", 2*smallBody)
			connection := s.dial(t)
			fmt.Fprintf(connection, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s",
				line, len(form), form)
			eventually(t, "it waits, and its body is forgotten", func() bool {
				open, kept := s.memoryNow()
				return open == plainMemory && kept == plainMemory
			})
			release()
			if got := sendOn(t, connection, ""); got != http.StatusOK {
				t.Errorf("it is answered with %d", got)
			}
		})
	}
}

// What is sent to a provider, or kept for the plugin meanwhile, counts with the connection of its request,
// until the provider has answered.
func TestWhatIsSentIsCounted(t *testing.T) {
	t.Parallel()
	const size = 2 << 10
	long := strings.Repeat("x", size)
	for name, begin := range map[string]func(s *testServer) (line, form string){
		"a refresh":    func(*testServer) (string, string) { return "POST /refresh", "code=" + long },
		"a revocation": func(*testServer) (string, string) { return "POST /revoke", "token=" + long },
		"an exchange": func(s *testServer) (string, string) {
			authorizationURL, _ := s.Authorize()
			_, query, _ := strings.Cut(s.Agree(authorizationURL), "?")
			return "POST /redirect", "about=" + long + "&" + query
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(c *Config) {
				withRevoke("")(c)
				confirming("never")(c)
				c.Plugin.RedirectParams = []string{"about"}
			})
			line, form := begin(s)
			s.Client.CloseIdleConnections()
			release := sync.OnceFunc(s.atProvider(line).release)
			t.Cleanup(release) // else a failure would wait for the end of it
			connection := s.dial(t)
			fmt.Fprintf(connection, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s",
				line, len(form), form)
			// The code of the exchange is too short to count.
			const want = plainMemory + sentMemory*size>>10
			eventually(t, "it waits, and what was sent is counted", func() bool {
				open, kept := s.memoryNow()
				return open == want && kept == want
			})
			release()
			if got := sendOn(t, connection, ""); got == 0 {
				t.Error("it is not answered")
			}
			eventually(t, "it counts no longer", func() bool {
				open, kept := s.memoryNow()
				return open <= plainMemory && kept == 0
			})
		})
	}
}

// Of bodies that are large and do not end only a few are read at a time. Small ones are read all the same,
// and large ones again once there is room.
func TestLargeBodiesAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.server.bodyGate.bounds = bounds{network: 2, provider: 3, inAll: 3}
	send := func(length int, body string) net.Conn {
		connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		fmt.Fprintf(connection, "POST /poll HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s",
			length, body)
		return connection
	}
	status := func(connection net.Conn) int {
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	large := strings.Repeat("x", smallBody+1)
	first, second := send(len(large)+1, large), send(len(large)+1, large)
	eventually(t, "both are being read", func() bool {
		s.server.bodyGate.mu.Lock()
		defer s.server.bodyGate.mu.Unlock()
		return s.server.bodyGate.total == 2
	})
	if got := status(send(len(large), large)); got != http.StatusTooManyRequests {
		t.Errorf("a third large body: %d", got)
	}
	if got := status(send(smallBody, large[:smallBody])); got != http.StatusBadRequest {
		t.Errorf("a small body: %d", got)
	}
	for _, connection := range []net.Conn{first, second} {
		_, _ = io.WriteString(connection, "x")
		if got := status(connection); got != http.StatusBadRequest {
			t.Errorf("a large body that ends: %d", got)
		}
	}
	if got := status(send(len(large), large)); got != http.StatusBadRequest {
		t.Errorf("a large body with room: %d", got)
	}
}
