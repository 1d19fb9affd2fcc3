package hooks

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
)

// The page of the question is small whatever comes with the browser, since it stays in memory while it is
// read slowly. The state is not used up.
func TestQuestionIsSmall(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, _ := s.Authorize()
	state := authorizationURL.Query().Get("state")
	elsewhere := "X-Forwarded-For: 192.0.2.1"
	ask := func(code string) int {
		form := url.Values{"state": {state}, "code": {code}}.Encode()
		got := s.Request(http.MethodPost, "/redirect", form, elsewhere,
			"Content-Type: application/x-www-form-urlencoded")
		if len(got.Body) > maxFields+12<<10 {
			t.Errorf("the page has %d bytes", len(got.Body))
		}
		return got.Status
	}
	for _, code := range []string{strings.Repeat("x", maxFields+1), strings.Repeat(`"`, maxFields/4)} {
		if status := ask(code); status != http.StatusBadRequest {
			t.Errorf("%d bytes: %d", len(code), status)
		}
	}
	if status := ask(strings.Repeat("x", maxFields/2)); status != http.StatusOK {
		t.Errorf("a long code: %d", status)
	}
}

// While an answer is read, the request's body does not stay in memory.
func TestAnswersForgetTheBody(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*request) error{
		"JSON": func(e *request) error { return e.writeJSON(http.StatusOK, struct{}{}) },
		"text": func(e *request) error { return e.writeText(http.StatusOK, "line") },
	} {
		e := &request{Request: httptest.NewRequest(http.MethodPost, "/", nil), body: []byte("a=b")}
		e.Response = &bodyWatcher{ResponseRecorder: httptest.NewRecorder(), watch: func() {
			if e.body != nil || e.bodyParams != nil {
				t.Errorf("%s is written with the body in memory", name)
			}
		}}
		e.bodyParam("a")
		if err := write(e); err != nil {
			t.Error(err)
		}
	}
}

// While a page is read, it counts with its connection, and what it was made of is in memory no longer: it is
// written when all that has handled the request has returned.
func TestPagesAreWrittenLast(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	counted, r := s.counted(t, httptest.NewRequest(http.MethodGet, "/redirect?state=a&code=b", nil))
	written := &bodyWatcher{ResponseRecorder: httptest.NewRecorder(), watch: func() {
		callers := make([]uintptr, 100)
		frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers)])
		for frame, more := frames.Next(); more; frame, more = frames.Next() {
			if strings.HasSuffix(frame.Function, ").answer") || strings.Contains(frame.Function, "/views.") {
				t.Errorf("%s is under way", frame.Function)
			}
		}
		if got, least := counted.weightNow(), plainMemory+pageMemory*3; got < least {
			t.Errorf("a page of 3 KB or more counts with %d KB", got-plainMemory)
		}
	}}
	s.server.handler(nil).ServeHTTP(written, r)
	size := written.Body.Len()
	if written.Code != http.StatusBadRequest || size < 3<<10 || written.writes != 1 {
		t.Errorf("%d with %d bytes in %d pieces", written.Code, size, written.writes)
	}
	if !written.Flushed {
		t.Error("the end of a page is read when the request counts no longer")
	}
	if got := counted.weightNow(); got != plainMemory {
		t.Errorf("a page that was read counts with %d KB", got-plainMemory)
	}
}

// bodyWatcher calls a function before it writes.
type bodyWatcher struct {
	*httptest.ResponseRecorder

	watch  func()
	writes int
}

func (w *bodyWatcher) Write(piece []byte) (int, error) {
	w.writes++
	w.watch()
	return w.ResponseRecorder.Write(piece)
}
