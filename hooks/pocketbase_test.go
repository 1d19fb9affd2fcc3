package hooks

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
)

// Requests of strangers write nothing to PocketBase's log, whatever becomes of them. Those of an admin do,
// panics included, without their queries.
func TestActivityLog(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)

	requests := []string{
		"GET /api/health", "HEAD /api/health", "PUT /api/health", "GET /api/logs", "GET /api/nothing",
		"GET /api/collections", "DELETE /api/collections", "OPTIONS /api/collections",
		"GET /api/collections/plugins/records", "POST /api/collections/_superusers/auth-with-password",
		"GET /_/", "GET /_/nothing", "POST /_/nothing", "GET /favicon.ico", "GET /api/files/a/b/c",
		"POST /api/batch", "TRACE /api/x",
	}
	padding := strings.Repeat("x", 3000)
	for _, headers := range [][]string{nil, {"Authorization: junk"}, {"Authorization: a.b.c"}} {
		for _, request := range requests {
			method, path, _ := strings.Cut(request, " ")
			s.Request(method, path+"?stranger="+padding, "{}", append(headers, "User-Agent: "+padding,
				"Referer: http://stranger.example/", asJSON)...)
		}
	}
	s.Request(http.MethodGet, "/api/nothing?code=SECRET", "", s.Admin(),
		"Referer: http://admin.example/?SECRET")
	logged := s.waitLogged("http://admin.example/")
	if strings.Contains(logged, "stranger") || strings.Contains(logged, padding) ||
		strings.Count(logged, `"type":"request"`) != 1 || strings.Contains(logged, "SECRET") {
		t.Errorf("logged:\n%.3000s", logged)
	}
}

// An admin's request that panics is answered and logged.
func TestActivityLogOfPanic(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.App.OnCollectionsListRequest().BindFunc(func(*core.CollectionsListRequestEvent) error {
		panic(io.ErrUnexpectedEOF)
	})
	if got := s.Request(http.MethodGet, "/api/collections", "", s.Admin()); got.Status != 500 {
		t.Errorf("answered %d", got.Status)
	}
	if logged := s.waitLogged("PANIC"); !strings.Contains(logged, `"execTime":`) {
		t.Errorf("logged:\n%s", logged)
	}
}
