package hooks

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

const (
	apiOrigin = "Origin: https://abc123.plugins.framercdn.com"
	apiToken  = "Authorization: Bearer AT/1+x=="
)

// serveAPI starts the service for a plugin that may call an API.
func serveAPI(t *testing.T, api *testkit.API, edit func(*Config)) *testServer {
	t.Helper()
	return serve(t, func(c *Config) {
		c.Plugin.APIHosts = []string{api.Host}
		if edit != nil {
			edit(c)
		}
	})
}

// fetchPathOf is where the service calls an API.
func fetchPathOf(api *testkit.API, path string) string {
	return "/fetch/" + strings.TrimPrefix(api.Host, "http://") + path
}

// What the page sends reaches the API as it is, and nothing else does.
func TestFetchPassesOn(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, func(c *Config) { c.TrustedProxyHeaders = []string{"X-Company-Client"} })
	passed := []string{
		apiToken, "Notion-Version: 7", "Content-Type: text/x-own", "Accept: application/vnd.own",
		"User-Agent: own", "Range: bytes=0-",
	}
	dropped := []string{
		"Cookie: dashboard=1", "Referer: https://abc123.plugins.framercdn.com/", "Sec-Fetch-Mode: cors",
		"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: evil.example", "Forwarded: for=192.0.2.1",
		"Via: 1.1 proxy", "Fly-Client-IP: 192.0.2.1", "CF-Connecting-IP: 192.0.2.1", "X-Real-IP: 192.0.2.1",
		"X-Company-Client: 192.0.2.1", "Keep-Alive: 5", "Proxy-Authorization: Basic eA==", apiOrigin,
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY"} {
		body := "body of " + method
		if method == "GET" || method == "HEAD" {
			body = ""
		}
		got := s.Request(method, fetchPathOf(api, "/echo/a?b"), body, append(dropped, passed...)...)
		asked := api.Requests()[len(api.Requests())-1]
		var echo testkit.Echo
		if err := json.Unmarshal([]byte(got.Body), &echo); err != nil && method != "HEAD" {
			t.Fatalf("%s: %d %s", method, got.Status, got.Body)
		}
		if asked.Method != method || asked.RequestURI != "/echo/a?b" || echo.Body != body ||
			asked.Host != strings.TrimPrefix(api.Host, "http://") {
			t.Errorf("%s: the API got %s %s%s %q",
				method, asked.Method, asked.Host, asked.RequestURI, echo.Body)
		}
		for _, header := range passed {
			if name, value, _ := strings.Cut(header, ": "); asked.Header.Get(name) != value {
				t.Errorf("%s: the API got %s: %q", method, name, asked.Header.Values(name))
			}
		}
		for _, header := range dropped {
			name, _, _ := strings.Cut(header, ": ")
			if values := asked.Header.Values(name); len(values) > 0 {
				t.Errorf("%s: the API got %s: %q", method, name, values)
			}
		}
	}
}

// Path and query stay as they are, byte for byte.
func TestFetchTargets(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	root := serveAPI(t, api, withKey)
	second := root.add("second", func(fields map[string]any) {
		fields["apiHosts"], fields["allowedOrigins"] = api.Host, "https://abc123.plugins.framercdn.com"
	})
	for _, test := range []struct{ sent, want string }{
		{sent: "/echo/"}, {sent: "/echo//a/../b/./c"}, {sent: "/echo/a%2Fb%20c"}, {sent: "/echo/%7E~"},
		{sent: "/echo/a|b%2Fc", want: "/echo/a%7Cb%2Fc"}, {sent: "/echo/poll"}, {sent: "/echo?"},
		{sent: "/echo?q=a;b&c=%ZZ&%2F&a=|"}, {sent: "/echo/:x@y!$&'()*+,=;[z]"}, {sent: "/echo/%2e%2e/a"},
		{sent: "/echo/%00"}, {sent: "//echo/a", want: "//echo/a"}, {sent: "/fetch/x/y"},
		{sent: "", want: "/"},
	} {
		for _, s := range []*testServer{root, second} {
			path := strings.TrimPrefix(s.URL, root.URL)
			rawRequest(t, root, "GET "+path+fetchPathOf(api, test.sent)+" HTTP/1.1")
			asked := api.Requests()[len(api.Requests())-1]
			if want := cmp.Or(test.want, test.sent); asked.RequestURI != want {
				t.Errorf("%s%q: the API got %q", path, test.sent, asked.RequestURI)
			}
		}
	}
}

// The answer is the API's, with the headers that let the page read it.
func TestFetchAnswers(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, func(w http.ResponseWriter, r *http.Request) bool {
		status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/status/"))
		if err != nil {
			return false
		}
		header := w.Header()
		for _, name := range []string{
			"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Content-Security-Policy",
			"Strict-Transport-Security", "Clear-Site-Data", "X-Frame-Options", "Refresh",
			"Cross-Origin-Resource-Policy", "Alt-Svc", "Service-Worker-Allowed",
		} {
			header.Set(name, "of-the-api")
		}
		header.Set("Retry-After", "7")
		header.Set("X-Request-Id", "request-1")
		header.Set("Etag", `"1"`)
		header.Set("Vary", "Accept-Language")
		if r.URL.Query().Get("early") != "" {
			header.Set("Link", "</early>")
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.WriteHeader(status)
		if status != http.StatusNoContent && status != http.StatusNotModified {
			_, _ = io.WriteString(w, "bytes of the API")
		}
		return true
	})
	s := serveAPI(t, api, nil)
	for _, target := range []string{
		"/status/200", "/status/201", "/status/204", "/status/304", "/status/401", "/status/429",
		"/status/500", "/status/200?early=1",
	} {
		got := s.Request(http.MethodGet, fetchPathOf(api, target), "", apiOrigin, apiToken)
		if want := strings.TrimPrefix(target, "/status/")[:3]; strconv.Itoa(got.Status) != want {
			t.Errorf("%s: %d", target, got.Status)
		}
		if got.Body != "bytes of the API" && got.Body != "" {
			t.Errorf("%s: %q", target, got.Body)
		}
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin":      "https://abc123.plugins.framercdn.com",
			"Access-Control-Expose-Headers":    "*",
			"Access-Control-Allow-Credentials": "",
			"Content-Security-Policy":          "default-src 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":           "nosniff",
			"Strict-Transport-Security":        "",
			"Clear-Site-Data":                  "",
			"X-Frame-Options":                  "DENY",
			"Refresh":                          "",
			"Cross-Origin-Resource-Policy":     "",
			"Alt-Svc":                          "",
			"Service-Worker-Allowed":           "",
			"Set-Cookie":                       "",
			"Retry-After":                      "7",
			"X-Request-Id":                     "request-1",
			"Etag":                             `"1"`,
			"Vary":                             "Accept-Language, Authorization, Origin",
			"Cache-Control":                    "no-store",
		} {
			if value := strings.Join(got.Header.Values(name), ", "); value != want {
				t.Errorf("%s: %s is %q, want %q", target, name, value, want)
			}
		}
	}
}

// Whatever is not the plugin's page, has no token, or names another host calls nothing.
func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, nil)
	host := strings.TrimPrefix(api.Host, "http://")
	port := host[strings.Index(host, ":"):]
	address := fetchPathOf(api, "/echo")
	for _, test := range []struct {
		name, target string
		headers      []string
		status       int
		code         string
	}{
		{
			name: "no origin", target: address, status: 403, code: "invalid_request",
			headers: []string{apiToken},
		},
		{
			name: "another origin", target: address, status: 403, code: "invalid_request",
			headers: []string{apiToken, "Origin: https://evil.example"},
		},
		{name: "no token", target: address, headers: []string{apiOrigin}, status: 401, code: "invalid_token"},
		{
			name: "blank token", target: address, status: 401, code: "invalid_token",
			headers: []string{apiOrigin, "Authorization:  "},
		},
		{
			name: "WebSocket", target: address, status: 400, code: "invalid_request",
			headers: []string{apiOrigin, apiToken, "Connection: Upgrade", "Upgrade: websocket"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := s.in(t)
			got := s.Request(http.MethodGet, test.target, "", test.headers...)
			s.ExpectError(test.target, got, test.status, test.code)
		})
	}
	for _, wrong := range []string{
		"", "/", "localhost", "LOCALHOST" + port, "localhost" + port + ".", "localhost." + port,
		"127.0.0.1" + port, "[::1]" + port, "0x7f000001" + port, "2130706433" + port, "127.1" + port,
		"localhost%3A" + port[1:], "localhost" + port + "%2F", "localhost" + port + "%40evil.example",
		"evil.example@localhost" + port, "localhost" + port + "@evil.example", "localhost" + port + "\\",
		"localhost:0" + port[1:], "localhost" + port + "%00", "http:%2F%2Flocalhost" + port,
		"localhost" + port + "%23", "localhost" + port + "%3F", "xn--localhost" + port, "localhost:",
		"169.254.169.254", "metadata.google.internal", "api.example",
	} {
		t.Run("host "+wrong, func(t *testing.T) {
			got := rawRequest(t, s, "GET /fetch/"+wrong+"/echo HTTP/1.1")
			if got != http.StatusForbidden && got != http.StatusBadRequest && got != http.StatusNotFound {
				t.Errorf("%d", got)
			}
		})
	}
	for _, line := range []string{
		"GET /poll/../fetch/evil.example/echo HTTP/1.1", "GET //fetch/evil.example/echo HTTP/1.1",
		"GET http://evil.example/fetch/evil.example/ HTTP/1.1", "GET /fetch HTTP/1.1",
		"GET /%66etch/evil.example/ HTTP/1.1", "GET /nobody/fetch/" + host + "/echo HTTP/1.1",
	} {
		t.Run(line, func(t *testing.T) {
			if got := rawRequest(t, s, line); got < 400 || got >= 500 {
				t.Errorf("%d", got)
			}
		})
	}
	if calls := api.Requests(); len(calls) > 0 {
		t.Errorf("the API was called: %s %s", calls[0].Method, calls[0].RequestURI)
	}
}

// rawRequest sends a request line as it stands, and returns the status of the answer.
func rawRequest(t *testing.T, s *testServer, line string) int {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, err = io.WriteString(connection, line+"\r\nHost: "+strings.TrimPrefix(s.URL, "http://")+"\r\n"+
		apiOrigin+"\r\n"+apiToken+"\r\nConnection: close\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// A browser may ask for all methods and headers.
func TestFetchPreflight(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, nil)
	got := s.Request(http.MethodOptions, fetchPathOf(api, "/echo"), "", apiOrigin,
		"Access-Control-Request-Method: PATCH",
		"Access-Control-Request-Headers: authorization,notion-version")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":  "https://abc123.plugins.framercdn.com",
		"Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
		"Access-Control-Allow-Headers": "authorization,notion-version",
	} {
		if got.Status != http.StatusNoContent || got.Header.Get(name) != want {
			t.Errorf("%d, %s is %q", got.Status, name, got.Header.Get(name))
		}
	}
	if len(api.Requests()) > 0 {
		t.Error("the API was asked")
	}
}

// A redirect to a host of the list comes back here; any other stays. None is followed.
func TestFetchRedirects(t *testing.T) {
	t.Parallel()
	var location string
	status := http.StatusFound
	api := testkit.NewAPI(t, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Location", location)
		w.WriteHeader(status)
		return true
	})
	root := serveAPI(t, api, withKey)
	second := root.add("second", func(fields map[string]any) {
		fields["apiHosts"], fields["allowedOrigins"] = api.Host, "https://abc123.plugins.framercdn.com"
	})
	host := strings.TrimPrefix(api.Host, "http://")
	for _, test := range []struct{ name, location, want string }{
		{name: "itself", location: api.Host + "/v2/a?b=c%2Fd#e", want: "/fetch/" + host + "/v2/a?b=c%2Fd#e"},
		{name: "a path", location: "/v2", want: "/fetch/" + host + "/v2"},
		{name: "relative", location: "v2", want: "/fetch/" + host + "/status/v2"},
		{name: "its root", location: api.Host, want: "/fetch/" + host + "/"},
		{name: "with https", location: strings.Replace(api.Host, "http", "https", 1) + "/x"},
		{name: "elsewhere", location: "https://files.example/x"},
		{name: "with a user", location: strings.Replace(api.Host, "://", "://user@", 1) + "/x"},
	} {
		for _, s := range []*testServer{root, second} {
			location, status = test.location, http.StatusTemporaryRedirect
			want := test.location
			if test.want != "" {
				want = strings.TrimPrefix(s.URL, root.URL) + test.want
			}
			got := s.Request(http.MethodPost, fetchPathOf(api, "/status/1"), "", apiOrigin, apiToken)
			if got.Status != status || got.Header.Get("Location") != want {
				t.Errorf("%s: %d to %s, want %s", test.name, got.Status, got.Header.Get("Location"), want)
			}
		}
	}
	location, status = api.Host+"/created", http.StatusCreated
	got := root.Request(http.MethodPost, fetchPathOf(api, "/x"), "", apiOrigin, apiToken)
	if got.Header.Get("Location") != location {
		t.Errorf("the address of what was created is %s", got.Header.Get("Location"))
	}
}

// Each plugin has hosts of its own.
func TestFetchHostsOfEachPlugin(t *testing.T) {
	t.Parallel()
	one, two := testkit.NewAPI(t, nil), testkit.NewAPI(t, nil)
	root := serveAPI(t, one, withKey)
	second := root.add("second", func(fields map[string]any) {
		fields["apiHosts"], fields["allowedOrigins"] = two.Host, "https://abc123.plugins.framercdn.com"
	})
	for _, test := range []struct {
		name   string
		s      *testServer
		api    *testkit.API
		status int
	}{
		{name: "the first plugin's own", s: root, api: one, status: http.StatusOK},
		{name: "that of the other", s: root, api: two, status: http.StatusForbidden},
		{name: "the second plugin's own", s: second, api: two, status: http.StatusOK},
		{name: "that of the first", s: second, api: one, status: http.StatusForbidden},
	} {
		got := test.s.Request(http.MethodGet, fetchPathOf(test.api, "/echo"), "", apiOrigin, apiToken)
		if got.Status != test.status {
			t.Errorf("%s: %d %s", test.name, got.Status, got.Body)
		}
	}
}

// open opens a stream at the API, and returns its body once the first event has come.
func (s *testServer) open(target string) *http.Response {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), time.Minute)
	s.T.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+target, nil)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, header := range []string{apiOrigin, apiToken} {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := s.Client.Do(request)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { response.Body.Close() })
	first := make([]byte, len("data: one\n\n"))
	if _, err := io.ReadFull(response.Body, first); err != nil || response.StatusCode != http.StatusOK {
		s.T.Fatalf("no event came: %d %v", response.StatusCode, err)
	}
	return response
}

// Once the plugin is switched off or the host is taken away, a stream that is open breaks off.
func TestFetchEndsWithThePlugin(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	root := serve(t, withKey)
	for name, change := range map[string]map[string]any{
		"switched-off": {"enabled": false},
		"other-hosts":  {"apiHosts": "api.example"},
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t).add(name, func(fields map[string]any) {
				fields["apiHosts"] = api.Host
				fields["allowedOrigins"] = "https://abc123.plugins.framercdn.com"
			})
			stream := s.open(fetchPathOf(api, "/events"))
			if got := s.UpdatePlugin(s.record(name), change); got.Status != http.StatusOK {
				t.Fatalf("%d %s", got.Status, got.Body)
			}
			if _, err := io.Copy(io.Discard, stream.Body); err == nil {
				t.Error("the stream ended as if the API had ended it")
			}
		})
	}
}

// The end of the service ends streams, in time and so that the page notices it. The next one serves again.
func TestFetchEndsWithTheService(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	process := testkit.NewProcess(t)
	process.Env = append(process.Env, "API_HOSTS="+api.Host)
	process.Start()
	s := &testServer{Server: &testkit.Server{Backend: process.Backend}}
	stream := s.open(fetchPathOf(api, "/events"))
	if code := process.Terminate(); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, process.Out)
	}
	if _, err := io.Copy(io.Discard, stream.Body); err == nil {
		t.Error("the stream ended as if the API had ended it")
	}
	process.Start()
	s.open(fetchPathOf(api, "/events"))
}

// When the page leaves, the call of the API ends, and its place is free.
func TestFetchEndsWithThePage(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, nil)
	stream := s.open(fetchPathOf(api, "/events"))
	stream.Body.Close()
	eventually(t, "the API is left alone", func() bool { return api.Requests()[0].Context().Err() != nil })
	eventually(t, "the place is free", func() bool {
		s.server.apiCalls.mu.Lock()
		defer s.server.apiCalls.mu.Unlock()
		return len(s.server.apiCalls.underWay) == 0
	})
}

// The calls under way are bounded for each network and in all, and each refusal can be read by the page.
func TestFetchIsBounded(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, func(c *Config) { c.TrustedProxyHeaders = []string{"X-Client"} })
	s.server.apiCalls.bounds = bounds{network: 2, provider: 3, inAll: 3}
	s.Client.Transport = fromNetwork{RoundTripper: s.Client.Transport, address: "192.0.2.1"}
	first := s.open(fetchPathOf(api, "/events"))
	s.open(fetchPathOf(api, "/events"))
	call := func(network string) testkit.Answer {
		return s.Request(http.MethodGet, fetchPathOf(api, "/echo"), "", apiOrigin, apiToken,
			"X-Client: "+network)
	}
	got := call("192.0.2.1")
	s.ExpectError("one too many of a network", got, http.StatusTooManyRequests, "temporarily_unavailable")
	if got.Header.Get("Retry-After") == "" || got.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("the page cannot read it: %v", got.Header)
	}
	if got := call("192.0.2.2"); got.Status != http.StatusOK {
		t.Errorf("another network is refused: %d %s", got.Status, got.Body)
	}
	s.Client.Transport = fromNetwork{RoundTripper: s.Client.Transport, address: "192.0.2.3"}
	s.open(fetchPathOf(api, "/events"))
	if got := call("192.0.2.4"); got.Status != http.StatusOK {
		t.Errorf("a network that has none is refused: %d %s", got.Status, got.Body)
	}
	if _, err := io.Copy(io.Discard, first.Body); err == nil {
		t.Error("the stream whose place it got ended as if the API had ended it")
	}
}

// fromNetwork sends requests from a network, unless they say another.
type fromNetwork struct {
	http.RoundTripper

	address string
}

func (f fromNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("X-Client") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("X-Client", f.address)
	}
	return f.RoundTripper.RoundTrip(r)
}

// What fails is said to the page, counted, and logged without an address, a header or a body.
func TestFetchFailures(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, func(_ http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasPrefix(r.URL.Path, "/hang"):
			<-r.Context().Done()
		case strings.HasPrefix(r.URL.Path, "/cut"):
			panic(http.ErrAbortHandler)
		}
		return false
	})
	gone := testkit.NewAPI(t, nil)
	gone.Close()
	log := &testkit.Printed{}
	s := serveAPI(t, api, func(c *Config) {
		c.Plugin.APIHosts = append(c.Plugin.APIHosts, gone.Host, "127.0.0.1")
		c.timing.apiHead = 50 * time.Millisecond
		c.Log = slog.NewTextHandler(log, nil)
	})
	const unavailable = "temporarily_unavailable"
	large := strings.Repeat("x", 20<<20+1)
	for _, test := range []struct {
		name, target, body string
		status             int
		code               string
	}{
		{name: "slow", target: fetchPathOf(api, "/hang/secret?secret"), status: 504, code: unavailable},
		{name: "cut", target: fetchPathOf(api, "/cut/secret?secret"), status: 502, code: unavailable},
		{name: "gone", target: fetchPathOf(gone, "/secret?secret"), status: 502, code: unavailable},
		{name: "private", target: "/fetch/127.0.0.1/secret?secret", status: 502, code: "invalid_request"},
		{
			name: "large", target: fetchPathOf(api, "/echo/secret"), body: large, status: 413,
			code: "invalid_request",
		},
	} {
		got := s.Request(http.MethodPost, test.target, test.body, apiOrigin, apiToken)
		s.ExpectError(test.name, got, test.status, test.code)
		if got.Header.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("%s: the page cannot read it: %v", test.name, got.Header)
		}
	}
	logged := log.String()
	if strings.Count(logged, "route=/fetch/ ") != 4 || strings.Contains(logged, "secret") ||
		strings.Contains(logged, "AT/1") {
		t.Errorf("logged:\n%s", logged)
	}
	metrics, err := s.server.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(metrics); strings.Contains(text, "secret") {
		t.Errorf("counted: %s", text)
	}
}
