package hooks

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"plugin-oauth/views"
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
		"page": func(e *request) error {
			return e.writeResult(http.StatusOK, views.Result{Title: views.Words.SignedIn})
		},
		"JSON": func(e *request) error { return e.writeJSON(http.StatusOK, struct{}{}) },
		"text": func(e *request) error { return e.writeText(http.StatusOK, "line") },
	} {
		e := &request{Request: httptest.NewRequest(http.MethodPost, "/", nil), body: []byte("a=b")}
		e.Response = bodyWatcher{ResponseRecorder: httptest.NewRecorder(), watch: func() {
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

// bodyWatcher calls a function before it writes.
type bodyWatcher struct {
	*httptest.ResponseRecorder

	watch func()
}

func (w bodyWatcher) Write(piece []byte) (int, error) {
	w.watch()
	return w.ResponseRecorder.Write(piece)
}
