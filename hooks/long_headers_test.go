package hooks

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// withHeaders is a request with so many headers more, each of some length.
func withHeaders(target string, count, length int) string {
	var request strings.Builder
	request.WriteString("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n")
	for i := range count {
		fmt.Fprintf(&request, "X-%d: %s\r\n", i, strings.Repeat("a", length))
	}
	return request.String() + "\r\n"
}

// Headers are bounded in number too: each takes memory of its own, however short it is.
func TestManyHeaders(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for count, want := range map[int]int{
		maxHeaderValues - 1: http.StatusOK, // and Host
		maxHeaderValues:     http.StatusRequestHeaderFieldsTooLarge,
	} {
		if got := sendOn(t, s.dial(t), withHeaders("/", count, 10)); got != want {
			t.Errorf("%d: %d", count, got)
		}
	}
}

// Long headers are counted with their connection as long as they are in memory: those of a request until its
// end, and its first line until the next request.
func TestLongHeadersAreCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.body = time.Hour })
	const long = 20 << 10
	counted := func(when string, want int) {
		t.Helper()
		eventually(t, when, func() bool {
			open, _ := s.memoryNow()
			return open >= want && open <= want+1
		})
	}
	s.Client.CloseIdleConnections()
	counted("nobody is there", 0)
	connection := s.dial(t)
	const extra = long>>10 - usualRequest
	sendOn(t, connection, withHeaders("/", 1, long))
	counted("headers are forgotten after the answer", plainMemory)
	sendOn(t, connection, withHeaders("/?"+strings.Repeat("a", long), 0, 0))
	counted("a long line is not", plainMemory+extra)
	sendOn(t, connection, getHealth)
	counted("it is with the next request", plainMemory)
	body := strings.Replace(withHeaders("/poll", 1, long), "X-0", "Content-Length: 20\r\nX-0", 1)
	_, _ = io.WriteString(connection, strings.Replace(body, "GET", "POST", 1))
	counted("headers of a request under way", plainMemory+extra)
	connection.Close()
	counted("it has left", 0)

	unfinished := s.dial(t)
	_, _ = io.WriteString(unfinished, "GET / HTTP/1.1\r\nX-Long: "+strings.Repeat("a", long))
	counted("headers that have not ended", plainMemory+headMemory*(long>>10-usualHead))
	_, _ = io.WriteString(unfinished, "\r\nHost: localhost\r\n\r\n")
	counted("they have ended, and are forgotten", plainMemory)
	unfinished.Close()
}

// Where nobody reads a body, net/http waits for the rest of it before it answers, and keeps the headers
// meanwhile. That takes no longer than a body that is read.
func TestNobodyWaitsForUnreadBodies(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.timing.body = 100 * time.Millisecond })
	for _, request := range []string{"POST /_", "OPTIONS /api/health", "POST /api/nowhere"} {
		connection := s.dial(t)
		_, _ = io.WriteString(connection, request+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n")
		_ = connection.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, connection); err != nil {
			t.Errorf("%s: the service waits for the body: %v", request, err)
		}
	}
}

// A poll that is held forgets the name of the host, which may be as long as headers.
func TestHeldPollForgetsItsHost(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/poll", nil)
	e := &request{Request: r}
	if e.forgetRequest(); r.Host != "" {
		t.Errorf("%q stays", r.Host)
	}
}

// A poll that is held takes more if its line is long.
func TestLongLineOfHeldPoll(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const long = 20 << 10
	for padding, extra := range map[string]int{
		"&pad=" + strings.Repeat("a", long) + " HTTP/1.1":  long>>10 - usualRequest,
		" HTTP/1.1\r\nX-Pad: " + strings.Repeat("a", long): 0,
	} {
		_, readKey := s.Authorize()
		connection := s.dial(t)
		_, _ = io.WriteString(connection, "POST /poll?wait=30&readKey="+readKey+padding+
			"\r\nHost: localhost\r\n\r\n")
		want := plainMemory - pollSaves + extra
		eventually(t, "it is held", func() bool { return s.keptNow() >= want && s.keptNow() <= want+1 })
		connection.Close()
		eventually(t, "it has left", func() bool { return s.keptNow() == 0 })
	}
}

// Answers repeat of a request's headers only what a browser sends.
func TestLongHeadersAreNotRepeated(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin.AllowedOrigins = []string{"*"} })
	long := strings.Repeat("a", 20<<10)
	for _, headers := range [][]string{
		{"Origin: https://" + long + ".example"},
		{"Origin: https://plugin.example", "Access-Control-Request-Headers: " + long},
	} {
		headers = append(headers, "Access-Control-Request-Method: POST")
		got := s.Request(http.MethodOptions, "/poll", "", headers...)
		for name, values := range got.Header {
			if len(values[0]) > 4<<10 {
				t.Errorf("%s has %d bytes", name, len(values[0]))
			}
		}
	}
	got := s.Request(http.MethodOptions, "/poll", "", "Origin: https://plugin.example",
		"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
	if allowed := got.Header.Get("Access-Control-Allow-Headers"); allowed != "content-type" {
		t.Errorf("a browser gets %q", allowed)
	}
}
