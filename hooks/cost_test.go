package hooks

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// What a stranger sends costs about as much as any other request of its size. The shortest of many times is
// that of a request which nothing has interrupted. Where much else runs, that may take a while to come.
func TestRequestsCostTheirSize(t *testing.T) {
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, func(c *Config) {
		c.Plugin.LoginParams = []string{"prompt", "login_hint", "hd", "display"}
		c.TrustedProxyHeaders = []string{"Forwarded"}
	})
	const length = 28_000
	fill := func(piece string, length int) string { return strings.Repeat(piece, length/len(piece)) }
	numbered := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < length; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	request := func(line, body string, headers ...string) string {
		return fmt.Sprintf("%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n\r\n%s",
			line, len(body), strings.Join(headers, "\r\n"), body)
	}
	const parts = "Content-Type: multipart/form-data; boundary=b"
	disposition := func(parameter string, count int) string { // of a part
		text := "--b\r\nContent-Disposition: form-data"
		for i := range count {
			text += fmt.Sprintf(parameter, 'g'<<8+i)
		}
		return text + "\r\n\r\nx\r\n"
	}
	times := time.Duration(4)
	withRace := debug.BuildSetting{Key: "-race", Value: "true"}
	if build, _ := debug.ReadBuildInfo(); slices.Contains(build.Settings, withRace) {
		times *= 2 // the race detector makes reading a text slower than what all requests have in common
	}
	const form, object = "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"
	key := strings.Repeat("%41", 90) + "=1&"
	for _, test := range []struct{ name, costly, usual string }{
		{
			name:   "path of an API",
			costly: request("GET "+fetchPathOf(api, "/")+fill("|", length), "", "Origin: http://localhost"),
			usual:  request("GET "+fetchPathOf(api, "/")+fill("x", length), "", "Origin: http://localhost"),
		},
		{
			name:   "names in a query",
			costly: request("GET /redirect?"+fill(key, length), ""),
			usual:  request("GET /redirect?x="+fill("x", length), ""),
		},
		{
			name:   "second query",
			costly: request("GET /redirect?"+fill("?a", length), ""),
			usual:  request("GET /redirect?x="+fill("x", length), ""),
		},
		{
			name:   "names in a form",
			costly: request("POST /redirect", fill(key, length), form),
			usual:  request("POST /redirect", fill("x", length), form),
		},
		{
			name:   "objects",
			costly: request("POST /redirect", fill(`{"a":`, 45_000)+"1"+fill("}", 9_000), object),
			usual:  request("POST /redirect", `{"a":"`+fill("x", 54_000)+`"}`, object),
		},
		{
			name:   "headers of a part",
			costly: request("POST /poll", "--b\r\n"+fill("A:\r\n", 54_000)+"\r\nx\r\n--b--", parts),
			usual:  request("POST /poll", fill("x", 54_000), parts),
		},
		{
			name:   "parameters of parts",
			costly: request("POST /poll", fill(disposition("; n%x*=b", 60), 54_000)+"--b--", parts),
			usual:  request("POST /poll", fill("x", 54_000), parts),
		},
		{
			name:   "type of a body",
			costly: request("POST /authorize", "x", "Content-Type: text/plain"+numbered(";a%d=b")),
			usual:  request("POST /authorize", "x", "Content-Type: text/plain;"+fill("x", length)),
		},
		{
			name:   "purpose",
			costly: request("GET /redirect", "", "Purpose: "+fill("prefetc ", length)),
			usual:  request("GET /redirect", "", "X: "+fill("prefetc ", length)),
		},
		{
			name:   "encodings",
			costly: request("GET /client.js", "", "Accept-Encoding: "+numbered("a%d,")),
			usual:  request("GET /client.js", "", "X: "+numbered("a%d,")),
		},
		{
			name:   "versions of a file",
			costly: request("GET /client.js", "", "If-None-Match: "+fill(`"a",`, length)),
			usual:  request("GET /client.js", "", "X: "+fill(`"a",`, length)),
		},
		{
			name:   "languages",
			costly: request("GET /redirect", "", "Accept-Language: "+numbered("a%d,")),
			usual:  request("GET /redirect", "", "X: "+numbered("a%d,")),
		},
		{
			name:   "elements of Forwarded",
			costly: request("POST /authorize", "", "Forwarded: "+fill(",", length)),
			usual:  request("POST /authorize", "", "X: "+fill(",", length)),
		},
		{
			name:   "pairs of Forwarded",
			costly: request("POST /authorize", "", "Forwarded: "+numbered("a%d=b;")),
			usual:  request("POST /authorize", "", "X: "+numbered("a%d=b;")),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			costly, usual := time.Hour, time.Hour
			isDear := func() bool { return costly > times*usual+100*time.Microsecond }
			began := time.Now()
			for rounds := 0; rounds < 30 || isDear() && time.Since(began) < 30*time.Second; rounds++ {
				costly, usual = min(costly, s.took(t, test.costly)), min(usual, s.took(t, test.usual))
			}
			t.Log(costly, usual)
			if isDear() {
				t.Errorf("%v, and %v for what is usual", costly, usual)
			}
		})
	}
}

// took returns how long the service takes for a request.
func (s *testServer) took(t *testing.T, raw string) time.Duration {
	t.Helper()
	began := time.Now()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:1"
	s.server.serve(httptest.NewRecorder(), r)
	return time.Since(began)
}
