package hooks

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// raw sends bytes as they stand, and returns all that is answered until the connection is closed.
func (s *testServer) raw(request string) string {
	s.T.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		s.T.Fatal(err)
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(connection, request); err != nil {
		s.T.Fatal(err)
	}
	answer, err := io.ReadAll(connection)
	if timeout, ok := errors.AsType[net.Error](err); len(answer) == 0 || ok && timeout.Timeout() {
		s.T.Errorf("no answer came, or no end of it: %v", err)
	}
	return string(answer)
}

// headOf is the head of a raw request, without the empty line.
func headOf(line string, headers ...string) string {
	head := line + " HTTP/1.1\r\nHost: localhost\r\n" + apiOrigin + "\r\n" + apiToken + "\r\n"
	for _, header := range headers {
		head += header + "\r\n"
	}
	return head
}

// However the length of a body is said, the API never gets a second request out of it.
func TestFetchSmugglesNothing(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, nil)
	const inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	const chunk = "0\r\n\r\n"
	s.raw(headOf("POST "+fetchPathOf(api, "/echo"), "Content-Length: 1", "Connection: close") + "\r\nx")
	if len(api.Requests()) != 1 {
		t.Fatal("not even a good request reaches the API")
	}
	for name, headers := range map[string][]string{
		"length and chunks":   {"Content-Length: 5", "Transfer-Encoding: chunked"},
		"chunks and length":   {"Transfer-Encoding: chunked", "Content-Length: 400"},
		"two lengths":         {"Content-Length: 0", "Content-Length: 41"},
		"a list of lengths":   {"Content-Length: 0, 41"},
		"with a sign":         {"Content-Length: +0"},
		"negative":            {"Content-Length: -1"},
		"two encodings":       {"Transfer-Encoding: chunked, identity"},
		"unknown encoding":    {"Transfer-Encoding: xchunked"},
		"a blank before":      {"Transfer-Encoding : chunked"},
		"a tab":               {"Transfer-Encoding:\tchunked"},
		"two headers":         {"Transfer-Encoding: chunked", "Transfer-Encoding: identity"},
		"hidden by the list":  {"Transfer-Encoding: chunked", "Connection: transfer-encoding"},
		"length in the list":  {"Content-Length: 5", "Connection: content-length"},
		"a name with a break": {"X: a\n\nGET /smuggled HTTP/1.1"},
		"a carriage return":   {"X: a\rTransfer-Encoding: chunked"},
	} {
		for _, method := range []string{"GET", "POST", "HEAD", "DELETE"} {
			s.raw(headOf(method+" "+fetchPathOf(api, "/echo"), append(headers, "Connection: close")...) +
				"\r\n" + chunk + inner)
			for _, asked := range api.Requests() {
				if strings.Contains(asked.RequestURI, "smuggled") || len(asked.TransferEncoding) > 0 &&
					asked.Header.Get("Content-Length") != "" {
					t.Fatalf("%s with %s: the API got %s", method, name, asked.RequestURI)
				}
			}
		}
	}
}

// Methods that pages may not use reach no API: with TRACE it would say the token that it got.
func TestFetchMethods(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, nil)
	for _, method := range []string{"TRACE", "CONNECT", "TRACK", "Trace", "track"} {
		answer := s.raw(headOf(method+" "+fetchPathOf(api, "/echo"), "Connection: close") + "\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 405") || !strings.Contains(answer, "invalid_request") {
			t.Errorf("%s: %q", method, answer)
		}
	}
	if asked := api.Requests(); len(asked) > 0 {
		t.Errorf("the API got %s", asked[0].Method)
	}
}

// A refused request is answered although its body never comes.
func TestFetchLeavesTheBody(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, func(c *Config) { c.timing.body = 100 * time.Millisecond })
	for name, target := range map[string]string{
		"no such host": "/fetch/api.example/x", "no host": "/fetch/", "another address": "/nobody/fetch/x/y",
	} {
		answer := s.raw(headOf("POST "+target, "Content-Length: 1000") + "\r\nthe beginning")
		if !strings.HasPrefix(answer, "HTTP/1.1 4") || !strings.Contains(answer, "Connection: close") {
			t.Errorf("%s: %q", name, answer)
		}
	}
}

// Headers that a browser or a proxy would obey are the service's own or none; the API's others stay.
func TestFetchAnswerHeaders(t *testing.T) {
	t.Parallel()
	dropped := strings.Fields(`Set-Cookie Set-Login Clear-Site-Data Strict-Transport-Security Refresh
		Content-Security-Policy-Report-Only Cross-Origin-Opener-Policy Cross-Origin-Embedder-Policy
		Cross-Origin-Resource-Policy Service-Worker-Allowed Use-As-Dictionary Alt-Svc Report-To NEL
		Access-Control-Max-Age Access-Control-Allow-Private-Network Secure-Session-Registration
		Sec-Session-Registration Attribution-Reporting-Register-Source No-Vary-Search Timing-Allow-Origin
		Fly-Replay Fly-Replay-Cache fly-cache X-Accel-Redirect X-Accel-Expires X-Sendfile
		X-LIGHTTPD-send-file X-Reproxy-URL Surrogate-Control CDN-Cache-Control
		Cloudflare-CDN-Cache-Control X-Envoy-Immediate-Health-Check-Fail`)
	kept := strings.Fields(`Link ETag Last-Modified WWW-Authenticate X-Request-Id CF-Ray Server-Timing
		Content-Disposition Content-Language X-RateLimit-Remaining Content-Location`)
	api := testkit.NewAPI(t, func(w http.ResponseWriter, _ *http.Request) bool {
		for _, name := range append(dropped, kept...) {
			w.Header()[name] = []string{"of-the-api"}
		}
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<!DOCTYPE html><script>")
		return true
	})
	s := serveAPI(t, api, nil)
	got := s.Request(http.MethodGet, fetchPathOf(api, "/"), "", apiOrigin, apiToken)
	for _, name := range dropped {
		if values := got.Header.Values(name); len(values) > 0 {
			t.Errorf("%s: %q", name, values)
		}
	}
	for _, name := range kept {
		if got.Header.Get(name) != "of-the-api" {
			t.Errorf("%s is gone", name)
		}
	}
	if contentType := got.Header.Get("Content-Type"); contentType != "" {
		t.Errorf("a type was guessed: %s", contentType)
	}
}

// An answer is kept by the page's browser at most, and for this token only.
func TestFetchCaching(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header()["Cache-Control"] = strings.Split(r.URL.Query().Get("say"), ";")
		return true
	})
	s := serveAPI(t, api, nil)
	for said, want := range map[string]string{
		"public,%20max-age=60":              "private, max-age=60",
		"max-age=60":                        "private, max-age=60",
		"PUBLIC,S-MaxAge=9,immutable":       "private, immutable",
		"private=%22Set-Cookie%22,no-cache": "private, no-cache",
		"no-store":                          "private, no-store",
		"":                                  "private",
	} {
		got := s.Request(http.MethodGet, fetchPathOf(api, "/?say="+said), "", apiOrigin, apiToken)
		if value := strings.Join(got.Header.Values("Cache-Control"), "|"); value != want {
			t.Errorf("%q becomes %q, want %q", said, value, want)
		}
		if vary := strings.Join(got.Header.Values("Vary"), ", "); vary != "Authorization, Origin" {
			t.Errorf("Vary is %q", vary)
		}
	}
}

// No redirect leads to an address of the service that is not of the API.
func TestFetchRedirectTricks(t *testing.T) {
	t.Parallel()
	var location string
	api := testkit.NewAPI(t, func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	})
	s := serveAPI(t, api, nil)
	host := strings.TrimPrefix(api.Host, "http://")
	here := "/fetch/" + host
	for from, want := range map[string]string{
		"/../../poll":               here + "/poll",
		"/%2e%2e/%2E./poll":         here + "/poll",
		api.Host + "/a/%2e%2e/../x": here + "/x",
		"//" + host + "/x":          here + "/x",
		"http://LOCALHOST" + host[len("localhost"):] + "/x": here + "/x",
		"HTTP://" + host + "/x":                             here + "/x",
		"//evil.example/x":                                  "//evil.example/x",
		"https://evil.example/%2e%2e/x":                     "https://evil.example/%2e%2e/x",
		"/a%zz":                                             "",
		"/\tevil.example":                                   "",
		"http://" + host + "\\@evil.example":                "",
		"http://[evil":                                      "",
		"http:/poll":                                        "",
		"http:poll":                                         "",
		"HTTPS:/poll":                                       "",
		"http:///poll":                                      "",
		"http:?a":                                           "",
		"?a=%2e":                                            here + "/?a=%2e",
		"#b":                                                here + "/#b",
		"javascript:alert(1)":                               "javascript:alert(1)",
	} {
		location = from
		got := s.Request(http.MethodGet, fetchPathOf(api, "/"), "", apiOrigin, apiToken)
		if to := got.Header.Get("Location"); to != want {
			t.Errorf("%q becomes %q, want %q", from, to, want)
		}
	}
	// A backslash is a slash to browsers.
	for _, from := range []string{`\\evil.example`, `/\evil.example`, `\poll`} {
		location = from
		got := s.Request(http.MethodGet, fetchPathOf(api, "/"), "", apiOrigin, apiToken)
		if to := got.Header.Get("Location"); !strings.HasPrefix(to, here+"/") || strings.Contains(to, `\`) {
			t.Errorf("%q becomes %q", from, to)
		}
	}
}

// Whoever makes up tokens does not spend an API's patience with this service.
func TestFetchBoundsRefusedTokens(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer good" {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	clock := newTestClock()
	s := serveAPI(t, api, func(c *Config) {
		clock.setIn(c)
		c.RefreshRateLimit = RateLimit{Requests: 2, Window: time.Minute}
		c.TrustedProxyHeaders = []string{"X-Client"}
	})
	call := func(network, token string) testkit.Answer {
		return s.Request(http.MethodGet, fetchPathOf(api, "/echo"), "", apiOrigin,
			"Authorization: Bearer "+token, "X-Client: "+network)
	}
	for i := range 2 * refusedCalls {
		if got := call("192.0.2.1", "made-up"); got.Status != http.StatusUnauthorized {
			t.Fatalf("call %d: %d %s", i, got.Status, got.Body)
		}
	}
	asked := len(api.Requests())
	got := call("192.0.2.1", "made-up")
	s.ExpectError("one too many", got, http.StatusTooManyRequests, "temporarily_unavailable")
	if got.Header.Get("Retry-After") == "" || len(api.Requests()) != asked {
		t.Error("there is no time to try again, or the API was asked")
	}
	if got := call("192.0.2.2", "good"); got.Status != http.StatusOK {
		t.Errorf("another network: %d", got.Status)
	}
	clock.move(time.Minute)
	if got := call("192.0.2.1", "good"); got.Status != http.StatusOK {
		t.Errorf("later: %d", got.Status)
	}
}

// A name that resolves to the machine's own address is not called, whatever it is.
func TestFetchOfPrivateNames(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	_, port, _ := net.SplitHostPort(api.Listener.Addr().String())
	names := []string{"localhost.localdomain:" + port, "api.localhost:" + port, "ip6-localhost:" + port}
	s := serveAPI(t, api, func(c *Config) { c.Plugin.APIHosts = names })
	for _, name := range names {
		answer := s.raw(headOf("GET /fetch/"+name+"/echo", "Connection: close") + "\r\n")
		response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
		if err != nil || response.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: %v %q", name, err, answer)
		}
	}
	if len(api.Requests()) > 0 {
		t.Error("it was called")
	}
}
