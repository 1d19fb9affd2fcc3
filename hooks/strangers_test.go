package hooks

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/security"
)

// closed is the verdict on a route that a stranger is refused at.
const closed = "401"

// verdicts are what a stranger gets at each route of PocketBase's router: a status, and why that is right.
// For a route with {collection} that is the verdict on _superusers; it is closed for all others.
var verdicts = map[string]string{
	"GET /api/health": "200: says only that the service is up",

	"GET /api/collections/{collection}/auth-methods":            "200: how admins sign in",
	"POST /api/collections/{collection}/auth-with-password":     "400: the password is wrong",
	"POST /api/collections/{collection}/request-otp":            "403: a second factor is off",
	"POST /api/collections/{collection}/auth-with-otp":          "403: a second factor is off",
	"POST /api/collections/{collection}/request-password-reset": "403: says how to set a new one",
	"POST /api/collections/{collection}/confirm-password-reset": "403: says how to set a new one",

	"GET /_/{path...}":                     "404: PocketBase's own dashboard has no such file",
	"GET /_/extensions/sign-ins/{path...}": "404: neither has the Sign-ins page",
	"GET /_/extensions.js":                 "200: the start of the Sign-ins page",

	"/api/{path...}": "404: no such address",
	"/_/{path...}":   "404: no such address",
	"/":              "404: no such address",

	"GET /api/settings":                                       closed,
	"PATCH /api/settings":                                     closed,
	"POST /api/settings/test/s3":                              closed,
	"POST /api/settings/test/email":                           closed,
	"POST /api/settings/apple/generate-client-secret":         closed,
	"GET /api/collections":                                    closed,
	"POST /api/collections":                                   closed,
	"GET /api/collections/{collection}":                       closed,
	"PATCH /api/collections/{collection}":                     closed,
	"DELETE /api/collections/{collection}":                    closed,
	"DELETE /api/collections/{collection}/truncate":           closed,
	"PUT /api/collections/import":                             closed,
	"GET /api/collections/meta/scaffolds":                     closed,
	"GET /api/collections/meta/oauth2-providers":              closed,
	"POST /api/collections/meta/dry-run-view":                 closed,
	"GET /api/collections/{collection}/records":               closed,
	"GET /api/collections/{collection}/records/{id}":          closed,
	"POST /api/collections/{collection}/records":              closed,
	"PATCH /api/collections/{collection}/records/{id}":        closed,
	"DELETE /api/collections/{collection}/records/{id}":       closed,
	"GET /api/oauth2-redirect":                                closed,
	"POST /api/oauth2-redirect":                               closed,
	"POST /api/collections/{collection}/auth-refresh":         closed,
	"POST /api/collections/{collection}/auth-with-oauth2":     closed,
	"POST /api/collections/{collection}/request-verification": closed,
	"POST /api/collections/{collection}/confirm-verification": closed,
	"POST /api/collections/{collection}/request-email-change": closed,
	"POST /api/collections/{collection}/confirm-email-change": closed,
	"POST /api/collections/{collection}/impersonate/{id}":     closed,
	"GET /api/logs":                                     closed,
	"DELETE /api/logs":                                  closed,
	"GET /api/logs/stats":                               closed,
	"GET /api/logs/{id}":                                closed,
	"GET /api/backups":                                  closed,
	"POST /api/backups":                                 closed,
	"POST /api/backups/upload":                          closed,
	"GET /api/backups/{key}":                            closed,
	"DELETE /api/backups/{key}":                         closed,
	"POST /api/backups/{key}/restore":                   closed,
	"GET /api/crons":                                    closed,
	"POST /api/crons/{id}":                              closed,
	"POST /api/files/token":                             closed,
	"GET /api/files/{collection}/{recordId}/{filename}": closed,
	"POST /api/batch":                                   closed,
	"GET /api/realtime":                                 closed,
	"POST /api/realtime":                                closed,
	"POST /api/sql":                                     closed,
	"GET /api/plugin-oauth/providers":                   closed,
	"GET /api/plugin-oauth/sign-ins":                    closed,
	"POST /api/plugin-oauth/sign-ins/{id}/end":          closed,
	"GET /api/plugin-oauth/plugins":                     closed,
	"GET /api/plugin-oauth/doctor":                      closed,
}

// strangersBody has what PocketBase's routes read, with nothing in it that is valid.
const strangersBody = `{"identity":"admin@plugin.example","password":"wrong","otpId":"x",` +
	`"email":"admin@plugin.example","token":"x","clientId":"none"}`

// serveWithRoutes starts the service, and returns the patterns of all routes of PocketBase's router.
func serveWithRoutes(t *testing.T, edit func(*Config)) (*testServer, []string) {
	t.Helper()
	var patterns []string
	s := serveApp(t, func(app core.App) {
		app.OnServe().BindFunc(func(e *core.ServeEvent) error {
			err := e.Next()
			patterns = routesOf(reflect.ValueOf(e.Router.RouterGroup), "")
			return err
		})
	}, edit)
	return s, patterns
}

// routesOf returns the patterns of a group of PocketBase's router, which does not list them.
func routesOf(group reflect.Value, prefix string) (patterns []string) {
	prefix += group.Elem().FieldByName("Prefix").String()
	children := group.Elem().FieldByName("children")
	for i := range children.Len() {
		child := children.Index(i).Elem()
		method := child.Elem().FieldByName("Method")
		if !method.IsValid() {
			patterns = append(patterns, routesOf(child, prefix)...)
			continue
		}
		pattern := prefix + child.Elem().FieldByName("Path").String()
		patterns = append(patterns, strings.TrimSpace(method.String()+" "+pattern))
	}
	return patterns
}

// Strangers can neither read nor change anything of ours through PocketBase's API, nor have it do any work.
// Each of its routes has a verdict.
func TestStrangers(t *testing.T) {
	t.Parallel()
	s, patterns := serveWithRoutes(t, func(c *Config) {
		withKey(c)
		c.TrustedProxyHeaders = []string{"X-Forwarded-For"}
	})
	s.add("one", nil)
	s.Login()
	ids := map[string]string{}
	for _, collection := range []string{"sessions", "plugins", "_superusers"} {
		records, err := s.App.FindAllRecords(collection)
		if err != nil || len(records) == 0 {
			t.Fatal(collection, err)
		}
		ids[collection] = records[0].Id
	}
	ids["pending_sessions"], ids["login_stats"] = ids["sessions"], "x"
	ids["_SUPERUSERS"], ids["pbc_3142635823"] = ids["_superusers"], ids["_superusers"] // the same collection
	for pattern := range verdicts {
		if !slices.Contains(patterns, pattern) {
			t.Errorf("%q is not a route any more", pattern)
		}
	}
	t.Run("routes", func(t *testing.T) {
		for _, pattern := range patterns {
			verdict, found := verdicts[pattern]
			if !found {
				t.Errorf("nothing says what a stranger may do at %q", pattern)
			}
			if !strings.Contains(pattern, "{collection}") {
				s.askAsStranger(t, fillPattern(pattern, "", "x"), verdict)
				continue
			}
			for collection, id := range ids {
				if collection == "_superusers" {
					s.askAsStranger(t, fillPattern(pattern, collection, id), verdict)
				} else {
					s.askAsStranger(t, fillPattern(pattern, collection, id), closed)
				}
			}
		}
	})
	if count := s.countSessions("true"); count != 1 {
		t.Errorf("%d sessions are left", count)
	}
	for _, collection := range []string{"_otps", "_mfas", "_authOrigins"} {
		if records, err := s.App.FindAllRecords(collection); err != nil || len(records) > 0 {
			t.Errorf("a stranger made %d rows in %s, %v", len(records), collection, err)
		}
	}
}

// No answer of PocketBase's, or of its router, repeats what a stranger sends: a page with a query in which
// each & takes five bytes would be in memory as long as it is read slowly.
func TestNothingIsRepeated(t *testing.T) {
	t.Parallel()
	s, patterns := serveWithRoutes(t, nil)
	query := "?" + strings.Repeat("&", 10<<10)
	ask := func(path string) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			connection := s.in(t).dial(t)
			_, _ = fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path+query)
			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			if err != nil {
				t.Fatal(err)
			}
			if location := response.Header.Get("Location"); len(location) > 100 {
				t.Errorf("%d: it is redirected to %.100s", response.StatusCode, location)
			}
		})
	}
	folders := 0
	for _, pattern := range patterns {
		_, path, found := strings.Cut(pattern, " ")
		if !found {
			path = pattern
		}
		folder, isFolder := strings.CutSuffix(path, "/{path...}")
		if isFolder {
			folders++
			ask(folder)
		}
	}
	if folders < 4 {
		t.Errorf("there are %d folders", folders)
	}
}

// Nor is anybody redirected from www in front of the service's name, with such a page.
func TestNoRedirectFromWWW(t *testing.T) {
	t.Parallel()
	serveApp(t, func(app core.App) {
		app.OnServe().BindFunc(func(e *core.ServeEvent) error {
			const id = apis.DefaultWWWRedirectMiddlewareId
			e.Router.Bind(&hook.Handler[*core.RequestEvent]{Id: id}) // as PocketBase does
			err := e.Next()
			for _, middleware := range e.Router.Middlewares {
				if middleware.Id == id {
					t.Error("it redirects from www")
				}
			}
			return err
		})
	}, nil)
}

// fillPattern makes a request line of a pattern.
func fillPattern(pattern, collection, id string) string {
	if !strings.Contains(pattern, " ") {
		pattern = "PUT " + pattern
	}
	if strings.HasSuffix(pattern, " /") {
		pattern += "nothing"
	}
	return strings.NewReplacer("{collection}", collection, "{id}", id, "{recordId}", id, "{key}", "x.zip",
		"{filename}", "x.txt", "{path...}", "nothing").Replace(pattern)
}

// askAsStranger is a case of TestStrangers, from a network of its own.
func (s *testServer) askAsStranger(t *testing.T, target, verdict string) {
	network := fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", len(target))
	t.Run(target, func(t *testing.T) {
		t.Parallel()
		method, path, _ := strings.Cut(target, " ")
		got := s.in(t).Request(method, path, strangersBody, asJSON, network)
		if want, _, _ := strings.Cut(verdict, ":"); want != strconv.Itoa(got.Status) {
			t.Errorf("a stranger gets %d %s, expected %q", got.Status, got.Body, verdict)
		}
	})
}

// What is closed to strangers is open to admins, by their token or by a link with one for files.
func TestAdminsPass(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	got := s.Request(http.MethodPost, "/api/files/token", "", s.Admin())
	var file struct{ Token string }
	if err := json.Unmarshal([]byte(got.Body), &file); err != nil || file.Token == "" {
		t.Fatal(got.Status, got.Body)
	}
	link := func(path, token string) int { return s.Get(path + "?token=" + token).Status }
	refreshed := s.Request(http.MethodPost, "/api/collections/_superusers/auth-refresh", "", s.Admin())
	listed := s.Request(http.MethodGet, "/api/collections", "", s.Admin())
	for name, passed := range map[string]bool{
		"auth-refresh":    refreshed.Status == http.StatusOK,
		"collections":     listed.Status == http.StatusOK,
		"a backup":        link("/api/backups/none.zip", file.Token) != http.StatusUnauthorized,
		"a file":          link("/api/files/plugins/x/x.png", file.Token) == http.StatusNotFound,
		"a made-up token": link("/api/files/plugins/x/x.png", "x") == http.StatusUnauthorized,
	} {
		if !passed {
			t.Errorf("%s: not as it should be", name)
		}
	}
}

// What a stranger sends of a kind that PocketBase reads at length is not read: a token longer than its own,
// even if it is signed, a long query, and the parts of a file.
func TestStrangersAreNotReadAtLength(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.Superuser()
	admins, err := s.App.FindAllRecords(core.CollectionNameSuperusers)
	if err != nil || len(admins) == 0 {
		t.Fatal(err)
	}
	signed := func(kind, secret string, length int) string {
		token, err := security.NewJWT(map[string]any{
			"id": admins[0].Id, "collectionId": admins[0].Collection().Id, "type": kind,
			"refreshable": true, "x": strings.Repeat("x", length),
		}, admins[0].TokenKey()+secret, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	collection := admins[0].Collection()
	auth := func(length int) string {
		return "Authorization: " + signed(core.TokenTypeAuth, collection.AuthToken.Secret, length)
	}
	file := func(length int) string {
		return "/api/files/plugins/x/x.png?token=" +
			signed(core.TokenTypeFile, collection.FileToken.Secret, length)
	}
	padding := "&x=" + strings.Repeat("x", maxStrangersQuery)
	for _, test := range []struct {
		name, path, header, body string
		want                     int
	}{
		{name: "token", path: "/api/collections", header: auth(0), want: http.StatusOK},
		{name: "long token", path: "/api/collections", header: auth(maxToken), want: http.StatusUnauthorized},
		{name: "admin's query", path: "/api/collections?fields=x" + padding, header: auth(0),
			body: `"items":[{}`, want: http.StatusOK},
		{name: "link", path: file(0), want: http.StatusNotFound},
		{name: "long link", path: file(maxStrangersQuery), want: http.StatusUnauthorized},
		{name: "query", path: "/api/health?fields=code", body: `{"code":200}`, want: http.StatusOK},
		{name: "long query", path: "/api/health?fields=code" + padding, body: "healthy", want: http.StatusOK},
		{name: "file", path: "/_/", want: http.StatusOK},
		{name: "parts of a file", path: "/_/", header: "Range: bytes=0-1,3-4", want: http.StatusOK},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if test.header != "" {
				headers = append(headers, test.header)
			}
			got := s.in(t).Request(http.MethodGet, test.path, "", headers...)
			if got.Status != test.want || !strings.Contains(got.Body, test.body) {
				t.Errorf("%d %.200s", got.Status, got.Body)
			}
		})
	}
}

// listen opens a stream of PocketBase's realtime API, subscribed to everything of ours, and returns its
// lines. authorization is the header of an admin.
func (s *testServer) listen(authorization string) <-chan string {
	s.T.Helper()
	r, err := http.NewRequestWithContext(s.T.Context(), http.MethodGet, s.URL+"/api/realtime", nil)
	if err != nil {
		s.T.Fatal(err)
	}
	_, token, _ := strings.Cut(authorization, ": ")
	r.Header.Set("Authorization", token)
	response, err := s.Client.Do(r)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { response.Body.Close() })
	lines := make(chan string, 100)
	go func() {
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			if scanner.Text() != "" {
				lines <- scanner.Text()
			}
		}
		close(lines)
	}()
	var connected struct{ ClientID string }
	for connected.ClientID == "" {
		line, isOpen := <-lines
		if !isOpen {
			s.T.Fatal("the stream ended")
		}
		if data, found := strings.CutPrefix(line, "data:"); found {
			if err := json.Unmarshal([]byte(data), &connected); err != nil {
				s.T.Fatal(line, err)
			}
		}
	}
	subscriptions := `["sessions/*","plugins/*","pending_sessions/*","login_stats/*","sessions","plugins"]`
	got := s.Request(http.MethodPost, "/api/realtime",
		`{"clientId":"`+connected.ClientID+`","subscriptions":`+subscriptions+`}`,
		"Content-Type: application/json", authorization)
	if got.Status != http.StatusNoContent {
		s.T.Fatal(got.Status, got.Body)
	}
	return lines
}

// An admin still learns of changes as they happen.
func TestAdminsHear(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	admin := s.listen(s.Admin())
	s.add("one", nil)
	saved := s.UpdatePlugin(s.record("one"), map[string]any{"name": "changed"})
	if saved.Status != http.StatusOK {
		t.Fatal(saved.Body)
	}
	for heard := ""; !strings.Contains(heard, `"name":"changed"`); {
		select {
		case heard = <-admin:
		case <-time.After(20 * time.Second):
			t.Fatal("an admin does not hear of a change")
		}
	}
}

// Every answer has the headers that OWASP lists: no sniffing, framing, referrer or cache. Only the client,
// which is not secret, may be cached, and loaded by any page.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	root.add("one", nil)
	for _, prefix := range []string{"", "/one"} {
		for _, r := range root.server.routes {
			for _, method := range []string{r.method, "OPTIONS", "PUT"} {
				t.Run(method+" "+prefix+r.path, func(t *testing.T) {
					t.Parallel()
					isClient := method == http.MethodGet && strings.HasPrefix(r.path, "/client.")
					target := prefix + r.path + "?readKey=x&code=x&state=y&token=z"
					got := root.in(t).Request(method, target, "", "Origin: https://evil.example")
					expectSecurityHeaders(t, got.Header, isClient)
				})
			}
		}
	}
}

func expectSecurityHeaders(t *testing.T, header http.Header, isClient bool) {
	t.Helper()
	ofClient := map[string]string{"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
	for name, want := range map[string]string{
		"X-Content-Type-Options":      "nosniff",
		"X-Frame-Options":             "DENY",
		"Referrer-Policy":             "no-referrer",
		"Cache-Control":               "no-store",
		"Access-Control-Allow-Origin": "",
		"Server":                      "",
		"X-Powered-By":                "",
		"Set-Cookie":                  "",
		"Strict-Transport-Security":   "",
	} {
		if isClient {
			want = cmp.Or(ofClient[name], want)
		}
		if header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, header.Get(name), want)
		}
	}
	policy := header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none';", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy is %q", policy)
		}
	}
}

// If this server itself terminates TLS, browsers are told to insist on it, except for localhost.
func TestStrictTransportSecurity(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for host, want := range map[string]string{
		"backend.example":      "max-age=31536000",
		"backend.example:8443": "max-age=31536000",
		"localhost:8787":       "",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			recorder := httptest.NewRecorder()
			s.server.serve(recorder, httptest.NewRequest(http.MethodGet, "https://"+host+"/", nil))
			if got := recorder.Header().Get("Strict-Transport-Security"); got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
		})
	}
}

// PocketBase's own health check is served, too.
func TestHealth(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var health struct{ Message string }
	if err := json.Unmarshal([]byte(s.Get("/api/health").Body), &health); err != nil || health.Message == "" {
		t.Error("PocketBase's health is not served", err)
	}
}
