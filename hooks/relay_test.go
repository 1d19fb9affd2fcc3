package hooks

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const (
		json = "application/json"
		text = "text/plain; charset=utf-8"
		page = "text/html; charset=utf-8"
	)
	for _, test := range []struct {
		method, path, accept string
		status               int
		contentType          string
	}{
		{"GET", "/", "", 200, text},
		{"HEAD", "/", "", 200, text},
		{"POST", "/authorize/", "", 200, json},
		{"POST", "/poll/?readKey=x", "", 404, json},
		{"GET", "/redirect/", "", 400, page},
		{"POST", "/refresh/", "", 400, text},
		// Longer, shorter and other names are not these routes.
		{"POST", "/authorizeXYZ", "", 404, json},
		{"POST", "/authorize/x", "", 404, json},
		{"POST", "/AUTHORIZE", "", 404, json},
		{"POST", "/pol", "", 404, json},
		{"GET", "/favicon.ico", "", 404, json},
		{"GET", "/nothing", "text/html,*/*", 404, page},
		{"GET", "/redirectXYZ?code=x&state=y", "text/html,*/*", 404, page},
		// Wrong methods.
		{"GET", "/authorize", "", 405, json},
		{"GET", "/authorize", "text/html,*/*", 405, page},
		{"GET", "/poll?readKey=x", "", 405, json},
		{"PUT", "/poll", "", 405, json},
		{"DELETE", "/refresh?code=x", "", 405, text},
		{"POST", "/redirect?code=x&state=y", "", 400, page},
		{"PUT", "/redirect?code=x&state=y", "", 405, page},
		{"HEAD", "/redirect?code=x&state=y", "", 405, page},
		{"POST", "/", "", 405, text},
		{"GET", "/client.js", "", 200, "text/javascript; charset=utf-8"},
		{"HEAD", "/client.js", "", 200, "text/javascript; charset=utf-8"},
		{"GET", "/client.d.ts", "", 200, text},
		{"POST", "/client.js", "", 405, text},
		{"GET", "/client.jsx", "", 404, json},
		// A slash too many, as in a backend URL that ends in one, is no redirect.
		{"POST", "//poll?readKey=x", "", 404, json},
		{"POST", "/x/..//poll//?readKey=x", "", 404, json},
		{"GET", "//redirect?code=x&state=y", "", 400, page},
		// PocketBase keeps its own.
		{"GET", "/api/health", "", 200, json},
		{"GET", "/api/nothing", "", 404, json},
		{"GET", "/_/", "", 200, page},
		{"POST", "/_/authorize", "", 404, json},
		{"POST", "/api/authorize", "", 404, json},
	} {
		got := s.request(test.method, test.path, "", "Accept: "+test.accept)
		if got.status != test.status || got.header.Get("Content-Type") != test.contentType {
			t.Errorf("%s %s: %d %s %.100s", test.method, test.path, got.status, got.header.Get("Content-Type"), got.body)
		}
		if !strings.HasPrefix(test.path, "/api") && !strings.HasPrefix(test.path, "/_") && !strings.HasPrefix(test.path, "/client.") && got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s may be cached", test.method, test.path)
		}
		if (test.status == http.StatusMethodNotAllowed) != (got.header.Get("Allow") != "") {
			t.Errorf("%s %s: Allow is %q", test.method, test.path, got.header.Get("Allow"))
		}
	}
}

// The relay's routes have no access log, and a failure is logged once.
func TestLog(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.get("/api/nothing")
	s.get("/") // on the same connection, so that the line of the first is there
	before := s.logged()
	if !strings.Contains(before, "/api/nothing") {
		t.Errorf("PocketBase's own log does not work: %s", before)
	}
	_, readKey := s.login()
	s.poll(readKey)
	s.poll(readKey)
	s.get("/nothing?code=x")
	s.get("/poll?readKey=x")
	if after := s.logged(); after != before {
		t.Errorf("requests are logged: %s", strings.TrimPrefix(after, before))
	}
	s.provider.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	s.login()
	failure := strings.TrimPrefix(s.logged(), before)
	if strings.Count(failure, "\n") != 1 || !strings.Contains(failure, "the token endpoint answered 503") {
		t.Errorf("one failure is logged as %s", failure)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const plugin = "https://abc123.plugins.framercdn.com"
	for _, path := range []string{"/", "/authorize", "/poll", "/poll?readKey=x", "/refresh", "/nothing", "/redirect"} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			allowed := s.request(method, path, "", "Origin: "+plugin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
			if allowed.header.Get("Access-Control-Allow-Origin") != plugin || allowed.header.Get("Vary") != "Origin" {
				t.Errorf("%s %s: an allowed origin gets %v", method, path, allowed.header)
			}
			if method == "OPTIONS" && path != "/nothing" && (allowed.status != http.StatusNoContent || allowed.header.Get("Access-Control-Allow-Headers") != "content-type" ||
				allowed.header.Get("Access-Control-Allow-Methods") != "GET, HEAD, POST") {
				t.Errorf("OPTIONS %s: the preflight gets %d %v", path, allowed.status, allowed.header)
			}
			for _, origin := range []string{"https://evil.example", "null", plugin + ".evil.example", ""} {
				other := s.request(method, path, "", "Origin: "+origin)
				if other.header.Get("Access-Control-Allow-Origin") != "" || other.header.Get("Vary") != "Origin" {
					t.Errorf("%s %s: %q gets %v", method, path, origin, other.header)
				}
			}
		}
	}
}

// A panic in a handler is a problem like any other, and its value, which may quote a request, is not logged.
func TestPanic(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	// Without sessions, each handler that needs one runs into a nil pointer.
	r := &relay{app: s.app, config: Config{Plugin: s.provider.client(s.url)}, log: s.relay.log, tokenClient: newTokenClient()}
	r.bindRoutes()
	for path, contentType := range map[string]string{
		"POST /authorize":                        "application/json",
		"POST /poll?readKey=SECRET":              "application/json",
		"GET /redirect?state=SECRET&code=SECRET": "text/html; charset=utf-8",
	} {
		method, target, _ := strings.Cut(path, " ")
		recorder := httptest.NewRecorder()
		r.serve(recorder, httptest.NewRequest(method, target, nil))
		if recorder.Code != http.StatusInternalServerError || recorder.Header().Get("Content-Type") != contentType ||
			!strings.Contains(recorder.Body.String(), "Internal error.") || strings.Contains(recorder.Body.String(), "SECRET") {
			t.Errorf("%s: %d %s", path, recorder.Code, recorder.Body)
		}
	}
	if logged := s.logged(); strings.Count(logged, "nil pointer") != 3 || strings.Contains(logged, "SECRET") {
		t.Errorf("the log says %s", logged)
	}
}

// A body beyond PocketBase's own limit is a problem in the route's face, as any other.
func TestHugeBody(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for path, face := range map[string]string{"/poll": "application/json", "/refresh": "text/plain; charset=utf-8"} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 40000000\r\n\r\n%s", path, strings.Repeat("x", maxBody+1))
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusBadRequest || response.Header.Get("Content-Type") != face || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, response.StatusCode, response.Header)
		}
	}
}

// A body that does not come is not waited for.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var done sync.WaitGroup
	for path, status := range map[string]int{"/poll": http.StatusBadRequest, "/authorize": http.StatusOK, "/nothing": http.StatusNotFound} {
		done.Go(func() {
			connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer connection.Close()
			fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nreadKey=", path)
			started := time.Now()
			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			if took := time.Since(started); response.StatusCode != status || took < bodyTimeout || took > bodyTimeout+3*time.Second {
				t.Errorf("%s: %d after %s", path, response.StatusCode, took)
			}
		})
	}
	done.Wait()
}
