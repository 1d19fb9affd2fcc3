package hooks

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	const (
		json   = "application/json"
		text   = "text/plain; charset=utf-8"
		page   = "text/html; charset=utf-8"
		script = "text/javascript; charset=utf-8"

		browser = "text/html,*/*"
	)
	for _, test := range []struct {
		method, path, accept string
		status               int
		contentType          string
	}{
		{method: "GET", path: "/", status: 200, contentType: text},
		{method: "HEAD", path: "/", status: 200, contentType: text},
		{method: "POST", path: "/authorize/", status: 200, contentType: json},
		{method: "POST", path: "/poll/?readKey=x", status: 404, contentType: json},
		{method: "GET", path: "/redirect/", status: 400, contentType: page},
		{method: "POST", path: "/refresh/", status: 400, contentType: text},
		// Longer, shorter and other names are not routes.
		{method: "POST", path: "/authorizeXYZ", status: 404, contentType: json},
		{method: "POST", path: "/authorize/x", status: 404, contentType: json},
		{method: "POST", path: "/AUTHORIZE", status: 404, contentType: json},
		{method: "POST", path: "/pol", status: 404, contentType: json},
		{method: "GET", path: "/favicon.ico", status: 404, contentType: json},
		{method: "GET", path: "/nothing", accept: browser, status: 404, contentType: page},
		{method: "GET", path: "/redirectXYZ?code=x&state=y", accept: browser, status: 404, contentType: page},
		// What a proxy keeps people from has one spelling.
		{method: "GET", path: "/_/", status: 200, contentType: page},
		{method: "GET", path: "//_/", accept: browser, status: 404, contentType: page},
		{method: "GET", path: "/x/../_/", status: 404, contentType: json},
		{method: "GET", path: "/x%2f..%2f_/", status: 404, contentType: json},
		{method: "GET", path: "/%5F/", status: 404, contentType: json},
		{method: "GET", path: "/api/../_/", status: 404, contentType: json},
		{method: "GET", path: "/_/../api/health", status: 404, contentType: json},
		{method: "GET", path: "//_", status: 404, contentType: json},
		{method: "GET", path: "/%61pi/health", status: 404, contentType: json},
		{method: "GET", path: "//api/health", status: 404, contentType: json},
		{method: "GET", path: "/api/health", status: 200, contentType: json},
		// Wrong methods.
		{method: "GET", path: "/authorize", status: 405, contentType: json},
		{method: "GET", path: "/authorize", accept: browser, status: 405, contentType: page},
		{method: "GET", path: "/poll?readKey=x", status: 405, contentType: json},
		{method: "PUT", path: "/poll", status: 405, contentType: json},
		{method: "DELETE", path: "/refresh?code=x", status: 405, contentType: text},
		{method: "POST", path: "/redirect?code=x&state=y", status: 400, contentType: page},
		{method: "PUT", path: "/redirect?code=x&state=y", status: 405, contentType: page},
		{method: "HEAD", path: "/redirect?code=x&state=y", status: 405, contentType: page},
		{method: "POST", path: "/", status: 405, contentType: text},
		{method: "GET", path: "/client.js", status: 200, contentType: script},
		{method: "HEAD", path: "/client.js", status: 200, contentType: script},
		{method: "GET", path: "/client.d.ts", status: 200, contentType: text},
		{method: "POST", path: "/client.js", status: 405, contentType: text},
		{method: "GET", path: "/client.jsx", status: 404, contentType: json},
		// An extra slash, from a backend URL that ends in one, causes no redirect.
		{method: "POST", path: "//poll?readKey=x", status: 404, contentType: json},
		{method: "POST", path: "/x/..//poll//?readKey=x", status: 404, contentType: json},
		{method: "GET", path: "//redirect?code=x&state=y", status: 400, contentType: page},
		// PocketBase keeps its own.
		{method: "GET", path: "/api/health", status: 200, contentType: json},
		{method: "GET", path: "/api/nothing", status: 404, contentType: json},
		{method: "GET", path: "/_/", status: 200, contentType: page},
		{method: "POST", path: "/_/authorize", status: 404, contentType: json},
		{method: "POST", path: "/api/authorize", status: 404, contentType: json},
	} {
		t.Run(strings.TrimSpace(test.method+" "+test.path+" "+test.accept), func(t *testing.T) {
			t.Parallel()
			got := root.in(t).Request(test.method, test.path, "", "Accept: "+test.accept)
			if got.Status != test.status || got.Header.Get("Content-Type") != test.contentType {
				t.Errorf("%d %s %.100s", got.Status, got.Header.Get("Content-Type"), got.Body)
			}
			mayBeCached := slices.ContainsFunc([]string{"/api", "/_", "/client."}, func(prefix string) bool {
				return strings.HasPrefix(test.path, prefix)
			})
			if !mayBeCached && got.Header.Get("Cache-Control") != "no-store" {
				t.Error("it may be cached")
			}
			if (test.status == http.StatusMethodNotAllowed) != (got.Header.Get("Allow") != "") {
				t.Errorf("Allow is %q", got.Header.Get("Allow"))
			}
		})
	}
}

// The service's own routes have no access log, and a failure is logged once.
func TestNoAccessLog(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	asAdmin := func(path string) { s.Request(http.MethodGet, path, "", s.Admin()) }
	asAdmin("/api/nothing")
	known := strings.Split(s.waitLogged("/api/nothing"), "\n")
	news := func() []string { // the lines that are new
		lines := strings.Split(s.Logged(), "\n")
		return slices.DeleteFunc(lines, func(line string) bool { return slices.Contains(known, line) })
	}
	_, readKey := s.Login()
	s.Poll(readKey)
	s.Poll(readKey)
	s.Get("/nothing?code=x")
	s.Get("/poll?readKey=x")
	asAdmin("/api/nothing/more")
	s.waitLogged("/api/nothing/more")
	if lines := news(); len(lines) != 1 {
		t.Errorf("requests are logged: %q", lines)
	}
	known = strings.Split(s.Logged(), "\n")
	s.Provider.Answers(providerAnswer{status: http.StatusServiceUnavailable}.ServeHTTP)
	s.Login()
	asAdmin("/api/nothing/at/all")
	s.waitLogged("/api/nothing/at/all")
	isPocketBase := func(line string) bool { return strings.Contains(line, "/api/nothing") }
	lines := slices.DeleteFunc(news(), isPocketBase)
	if len(lines) != 1 || !strings.Contains(lines[0], "the token endpoint answered 503") {
		t.Errorf("one failure is logged as %q", lines)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	const plugin = "https://abc123.plugins.framercdn.com"
	for _, path := range []string{
		"/", "/authorize", "/poll", "/poll?readKey=x", "/refresh", "/nothing", "/redirect",
	} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			t.Run(method+" "+path, func(t *testing.T) {
				t.Parallel()
				s := root.in(t)
				allowed := s.Request(method, path, "", "Origin: "+plugin,
					"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
				expectCORS(t, allowed.Header, plugin)
				preflighted := allowed.Status == http.StatusNoContent &&
					allowed.Header.Get("Access-Control-Allow-Headers") == "content-type" &&
					allowed.Header.Get("Access-Control-Allow-Methods") == "GET, HEAD, POST"
				if method == "OPTIONS" && !preflighted {
					t.Errorf("the preflight gets %d %v", allowed.Status, allowed.Header)
				}
				exposed := allowed.Header.Get("Access-Control-Expose-Headers")
				if method != "OPTIONS" && exposed != "Retry-After" {
					t.Errorf("it exposes %q", exposed)
				}
				for _, other := range []string{"https://evil.example", "null", plugin + ".evil.example", ""} {
					expectCORS(t, s.Request(method, path, "", "Origin: "+other).Header, "")
				}
			})
		}
	}
}

// A plugin with a misspelled address can read that it is one. The page for people names no other plugin.
func TestUnknownAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.add("sheets", func(fields map[string]any) { fields["pluginId"] = "def456" })
	for _, path := range []string{"/sheet/poll", "/sheet", "/sheets/pole"} {
		for _, origin := range []string{
			"https://abc123.plugins.framercdn.com", "https://def456.plugins.framercdn.com",
			"https://evil.example",
		} {
			t.Run(path+" for "+origin, func(t *testing.T) {
				s := s.in(t)
				readable := origin
				if strings.Contains(origin, "evil") || (strings.Contains(origin, "abc123") &&
					strings.HasPrefix(path, "/sheets/")) {
					readable = ""
				}
				preflight := s.Request("OPTIONS", path, "", "Origin: "+origin,
					"Access-Control-Request-Method: POST")
				expectCORS(t, preflight.Header, readable)
				if preflight.Status != http.StatusNoContent {
					t.Errorf("the preflight gets %d", preflight.Status)
				}
				got := s.Request("POST", path, "", "Origin: "+origin)
				expectCORS(t, got.Header, readable)
				s.ExpectError("the request", got, http.StatusNotFound, "not_found")
			})
		}
	}
	s.Expect("not a preflight", s.Request("OPTIONS", "/sheet/poll", ""), http.StatusNotFound,
		s.Post("/sheet/poll").Body)
	page := s.Request("GET", "/sheet/redirect", "", "Accept: text/html")
	s.ExpectPage("page", page, http.StatusNotFound, "Nothing here")
	if strings.Contains(page.Body, "Test plugin") || strings.Contains(page.Body, "sheets") {
		t.Error("it names another plugin")
	}
}

// expectCORS checks which origin may read an answer; blank: that of the request may not.
func expectCORS(t *testing.T, header http.Header, origin string) {
	t.Helper()
	if header.Get("Access-Control-Allow-Origin") != origin || header.Get("Vary") != "Origin" {
		t.Errorf("not exactly %q may read it: %v", origin, header)
	}
}

// A panic in a handler is answered like any other error, and its value, which may quote a request, is not
// logged.
func TestPanic(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	broken, err := newServer(s.App, s.server.config, s.server.records)
	if err != nil {
		t.Fatal(err)
	}
	broken.sessions = nil // each handler that needs them runs into a nil pointer
	broken.routes = append(broken.routes, route{
		method: http.MethodPost,
		path:   "/quote",
		handle: func(e *request) error { panic(e.Request.URL.RawQuery) },
	})
	routes := map[string]string{
		"POST /authorize":                        "application/json",
		"POST /poll?readKey=SECRET":              "application/json",
		"GET /redirect?state=SECRET&code=SECRET": "text/html; charset=utf-8",
		"POST /quote?token=SECRET":               "application/json",
	}
	for target, contentType := range routes {
		t.Run(target, func(t *testing.T) {
			method, path, _ := strings.Cut(target, " ")
			recorder := httptest.NewRecorder()
			broken.serve(recorder, httptest.NewRequest(method, path, nil))
			body := recorder.Body.String()
			words := "Internal error."
			if strings.HasPrefix(contentType, "text/html") {
				words = "Something went wrong here."
			}
			if recorder.Code != http.StatusInternalServerError || !strings.Contains(body, words) {
				t.Errorf("%d %s", recorder.Code, body)
			}
			if got := recorder.Header().Get("Content-Type"); got != contentType {
				t.Errorf("it is said to be %s", got)
			}
			logged := s.Logged()
			if strings.Contains(body, "SECRET") || strings.Contains(logged, "SECRET") {
				t.Errorf("the secret is quoted: %s\n%s", body, logged)
			}
		})
	}
	logged := s.Logged()
	if strings.Count(logged, "nil pointer") != len(routes)-1 || strings.Count(logged, "panic: string") != 1 {
		t.Errorf("the log says %s", logged)
	}
}

// A body beyond the limit is an error in the route's format, like any other, and the server does not wait for
// its end.
func TestHugeBody(t *testing.T) {
	t.Parallel()
	root := serve(t, func(c *Config) { c.timing.body = time.Minute })
	_, readKey := root.Authorize()
	for path, contentType := range map[string]string{
		"/poll?wait=30&readKey=" + readKey: "application/json",
		"/poll":                            "application/json", "/refresh": "text/plain; charset=utf-8",
	} {
		for name, length := range map[string]int{
			"beyond PocketBase's limit": 40_000_000, "a byte is missing": maxBody + 2,
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				t.Parallel()
				head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
					path, length)
				got := root.in(t).send(head + strings.Repeat("x", maxBody+1))
				if got.StatusCode != http.StatusRequestEntityTooLarge || !got.Close ||
					got.Header.Get("Content-Type") != contentType {
					t.Errorf("%s %v", got.Status, got.Header)
				}
				if got.Header.Get("Cache-Control") != "no-store" {
					t.Error("it may be cached")
				}
			})
		}
	}
}

// The server neither waits for a body that does not come, nor does anything without it.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	const timeout = 200 * time.Millisecond
	root := serve(t, func(c *Config) { c.timing.body = timeout })
	_, readKey := root.Authorize()
	for _, path := range []string{"/poll?wait=30&readKey=" + readKey, "/authorize", "/nothing"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			got := root.in(t).send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\n" +
				"Content-Length: 20\r\n\r\nreadKey=")
			if took := time.Since(began); got.StatusCode != http.StatusRequestTimeout || took < timeout {
				t.Errorf("%s after %s", got.Status, took)
			}
		})
	}
}

// Where a proxy should take the path of PUBLIC_URL away and does not, whoever reads the answer is told.
func TestPathInFrontIsTold(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.Plugin.RedirectURI, c.PublicURL = "", "https://backend.example/oauth/"
	})
	const said = "This request has /oauth in front, as in PUBLIC_URL. The proxy in front of the service " +
		"must take it away."
	body := `{"error":"not_found","error_description":"` + said + `"}`
	for _, path := range []string{
		"/oauth", "/oauth/", "/oauth/authorize", "/oauth/plugin/poll", "/oauth/_/",
	} {
		s.Expect(path, s.Get(path), http.StatusNotFound, body)
		page := s.Request(http.MethodGet, path, "", "Accept: text/html")
		s.ExpectPage(path, page, http.StatusNotFound, said)
	}
	for _, path := range []string{"/oauths", "/other/oauth"} {
		if got := s.Get(path); got.Status != http.StatusNotFound || strings.Contains(got.Body, "front") {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
}

// The address of the dashboard leads to it without a slash, too, also below a path that a proxy takes away.
func TestDashboardWithoutSlash(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	got := s.Get("/_")
	if got.Status != http.StatusMovedPermanently || got.Header.Get("Location") != "_/" {
		t.Errorf("%d %q", got.Status, got.Header.Get("Location"))
	}
}
