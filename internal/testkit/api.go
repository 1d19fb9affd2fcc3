package testkit

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// API is an API whose answers have no CORS headers, so that browsers do not let pages read them. It keeps the
// requests that it gets. It is safe for concurrent use.
type API struct {
	*httptest.Server

	// Host is what stands in API_HOSTS: http://localhost and the port.
	Host string

	mu       sync.Mutex
	requests []*http.Request
}

// NewAPI starts an API until the test ends.
//
//	/echo…             answers what it was asked, in JSON
//	/events            sends an event, and one more each time that the test lets it: see handle
//	/large             answers with 30 MB
//	/status/404        answers with that status
//
// handle may answer a request itself, and then reports so. Nil means that it answers none.
func NewAPI(t testing.TB, handle func(http.ResponseWriter, *http.Request) (handled bool)) *API {
	t.Helper()
	a := &API{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.requests = append(a.requests, r.Clone(r.Context()))
		a.mu.Unlock()
		if handle == nil || !handle(w, r) {
			a.answer(w, r)
		}
	}))
	a.Host = strings.Replace(a.URL, "127.0.0.1", "localhost", 1)
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

// Requests returns the requests that the API got.
func (a *API) Requests() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*http.Request(nil), a.requests...)
}

// LargeAnswer is the size of the API's answer to /large, in bytes.
const LargeAnswer = 30 << 20

// Echo is what the API answers to /echo.
type Echo struct {
	// Method is the request's, and Target the path and query of its first line.
	Method, Target string

	// Host and Header are those that the API got.
	Host   string
	Header http.Header

	// Body is the whole body.
	Body string
}

func (a *API) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/echo"):
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", "request-1")
		w.Header().Set("Set-Cookie", "session=of-the-api")
		_ = json.NewEncoder(w).Encode(Echo{
			Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header, Body: string(body),
		})
	case r.URL.Path == "/large":
		piece := make([]byte, 64<<10)
		for range LargeAnswer / len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	case r.URL.Path == "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "data: one\n\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	default:
		http.NotFound(w, r)
	}
}
