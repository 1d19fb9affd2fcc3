package hooks

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"plugin-oauth/internal/testkit"
)

// secretKind says what a secret is.
type secretKind string

// watched is the program with all secrets that it was given.
type watched struct {
	*testkit.Process

	mu      sync.Mutex // the provider keeps secrets too
	secrets map[string]string

	failing atomic.Bool // the provider refuses everything
	sealed  bool        // TOKENS=sealed
	api     *testkit.API
	answers answers
}

// answers has all that the service answered.
type answers struct {
	http.RoundTripper

	mu   sync.Mutex
	text strings.Builder
}

// RoundTrip implements [http.RoundTripper].
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = response.Header.Write(&a.text)
	a.text.Write(body)
	return response, err
}

// keep remembers a secret to search for later, and returns it.
func (w *watched) keep(kind secretKind, secret string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if secret != "" {
		w.secrets[fmt.Sprintf("%s %d", kind, len(w.secrets))] = secret
	}
	return secret
}

// newLogin starts a login, and returns the provider's redirect after the person has agreed.
func (w *watched) newLogin() (callback, readKey string) {
	w.T.Helper()
	authorizationURL, readKey := w.Authorize()
	callback = w.Agree(authorizationURL)
	u, err := url.Parse(callback)
	if err != nil {
		w.T.Fatal(err)
	}
	w.keep("state", u.Query().Get("state"))
	w.keep("code", u.Query().Get("code"))
	w.keep("read key", readKey)
	return callback, readKey
}

// token answers each request with new tokens, or with an error that quotes the request.
func (w *watched) token(response http.ResponseWriter, r *http.Request) {
	w.keep("verifier", r.Form.Get("code_verifier"))
	if w.failing.Load() {
		response.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(response, `{"error":"invalid_grant","error_description":"`+r.Form.Encode()+`"}`)
		return
	}
	access, refresh := w.keep("access token", rand.Text()), w.keep("refresh token", rand.Text())
	_, _ = io.WriteString(response, `{"access_token":"`+access+`","refresh_token":"`+refresh+`"}`)
}

// raw answers with these bytes, in which FORM stands for what was sent.
func (w *watched) raw(response string) http.HandlerFunc {
	return func(writer http.ResponseWriter, r *http.Request) {
		w.keep("verifier", r.Form.Get("code_verifier"))
		connection, _, err := http.NewResponseController(writer).Hijack()
		if err != nil {
			w.T.Error(err)
			return
		}
		defer connection.Close()
		_, _ = io.WriteString(connection, strings.ReplaceAll(response, "FORM", r.Form.Encode()))
	}
}

// quoted is an answer in which FORM stands for what was sent.
type quoted struct {
	status int
	header string // its name; it has what was sent, in an address
	body   string
}

func (w *watched) quoting(answer quoted) http.HandlerFunc {
	return func(writer http.ResponseWriter, r *http.Request) {
		w.keep("verifier", r.Form.Get("code_verifier"))
		if answer.header != "" {
			writer.Header().Set(answer.header, "https://evil.example/?"+r.Form.Encode())
		}
		writer.WriteHeader(answer.status)
		_, _ = io.WriteString(writer, strings.ReplaceAll(answer.body, "FORM", r.Form.Encode()))
	}
}

// fromOneNetwork sends requests from a network that is known, unless they say another.
type fromOneNetwork struct{ http.RoundTripper }

func (f fromOneNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Fly-Client-IP") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Fly-Client-IP", "192.0.2.77")
	}
	return cmp.Or(f.RoundTripper, http.DefaultTransport).RoundTrip(r)
}

// No secret reaches the data folder or the output, in any spelling, even with --dev and for requests that go
// wrong. With sealed tokens none of the provider's is in any answer either.
func TestNoSecretIsWritten(t *testing.T) {
	t.Parallel()
	for _, tokens := range []string{"plain", "sealed"} {
		t.Run(tokens, func(t *testing.T) {
			t.Parallel()
			noSecretIsWritten(t, testkit.NewProcess(t), tokens)
		})
	}
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		machines := testkit.NewMachines(t, "a", "b", "c")
		machines.Start() // else each waits for the others
		machines[0].Terminate()
		noSecretIsWritten(t, machines[0], "plain")
	})
}

func noSecretIsWritten(t *testing.T, p *testkit.Process, tokens string) {
	p.Args = append(p.Args, "--dev")
	w := &watched{
		Process: p, sealed: tokens == "sealed",
		secrets: map[string]string{
			"client secret":        testkit.ClientSecret,
			"superuser's password": testkit.SuperuserPassword,
			"encryption key":       testEncryptionKey,
			"cluster's secret":     testkit.ClusterSecret,
		},
	}
	w.api = testkit.NewAPI(t, w.answerOfAPI)
	gone := testkit.NewAPI(t, nil)
	gone.Close()
	w.Env = append(w.Env, testkit.SuperuserEnv()...)
	w.Env = append(w.Env, "ENCRYPTION_KEY="+testEncryptionKey, "TRUSTED_PROXY_HEADERS=Fly-Client-IP",
		"TOKENS="+tokens, "API_HOSTS="+w.api.Host+",127.0.0.1,"+gone.Host)
	w.Start()
	w.answers.RoundTripper = w.Client.Transport
	w.Client.Transport = fromOneNetwork{RoundTripper: &w.answers}
	w.Provider.Answers(w.token)
	w.signInEachWay()
	w.callEachWay(gone)
	w.failEachWay(t)
	refreshToken := w.refuse()
	w.useTheDashboard()
	w.comeFromElsewhere()
	w.backUp()
	w.sendEverywhere(refreshToken)
	w.search()
	if code := w.Terminate(); code != 0 {
		t.Errorf("the program ended with %d", code)
	}
	w.search()

	w.Env = append(w.Env, "SESSION_TTL=100ms")
	w.Start()
	expired, readKey := w.newLogin()
	w.ExpectError("expired", w.Post("/poll?wait=30&readKey="+readKey), http.StatusBadRequest, "expired_token")
	w.ExpectPage("expired", w.Get(expired), http.StatusBadRequest, "took too long")
	w.Terminate()
	w.search()
	if !strings.Contains(w.Out.String(), "invalid_grant") {
		t.Errorf("the failure is not in the log, so this test saw none:\n%s", w.Out)
	}
}

// signInEachWay leaves sessions that are pending, ready, claimed and denied.
func (w *watched) signInEachWay() {
	w.T.Helper()
	w.newLogin() // pending
	ready, _ := w.newLogin()
	w.ExpectPage("ready", w.Get(ready), http.StatusOK, "You are signed in")
	claimed, readKey := w.newLogin()
	w.ExpectPage("claimed", w.Get(claimed), http.StatusOK, "You are signed in")
	if got := w.Poll(readKey); got.Status != http.StatusOK {
		w.T.Fatalf("poll: %d %s", got.Status, got.Body)
	}
	w.ExpectPage("replay", w.Get(claimed), http.StatusOK, "You are signed in")
	denied, _ := w.newLogin()
	w.ExpectPage("denied", w.Get(denied+"&error=access_denied"), http.StatusBadRequest, "cancelled")

	// An answer that is longer than it says: net/http would print the rest.
	body := `{"access_token":"` + w.keep("access token", rand.Text()) + `"}`
	length := strconv.Itoa(len(body))
	w.Provider.Answers(w.raw("HTTP/1.1 200 OK\r\nContent-Length: " + length + "\r\n\r\n" + body + "FORM"))
	longer, _ := w.newLogin()
	w.ExpectPage("longer", w.Get(longer), http.StatusOK, "You are signed in")
	w.Provider.Answers(w.token)
}

// failEachWay makes the provider fail in each way, and quote what it was sent wherever it can.
func (w *watched) failEachWay(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"500 in HTML": w.quoting(quoted{status: http.StatusInternalServerError, body: "<html>FORM</html>"}),
		"HTML":        w.quoting(quoted{status: http.StatusOK, body: "<html>FORM</html>"}),
		"redirect":    w.quoting(quoted{status: http.StatusFound, header: "Location", body: "FORM"}),
		"429": w.quoting(quoted{
			status: http.StatusTooManyRequests, header: "Retry-After", body: "FORM",
		}),
		"odd error": w.quoting(quoted{status: http.StatusBadRequest, body: `{"error":"FORM"}`}),
		"ok false":  w.quoting(quoted{status: http.StatusOK, body: `{"ok":false,"error":"FORM"}`}),
		"cut off":   w.quoting(quoted{status: http.StatusOK, body: `{"access_token":"FORM`}),
		"8 MB": w.quoting(quoted{
			status: http.StatusOK, body: `{"access_token":"` + strings.Repeat("FORM", 80_000) + `"}`,
		}),
		"not HTTP":      w.raw("FORM"),
		"broken header": w.raw("HTTP/1.1 200 OK\r\nFORM\r\n\r\n"),
		"reset":         func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			refreshToken := w.newRefreshToken()
			w.Provider.Answers(handler)
			defer func() { w.Provider.Answers(w.token) }()
			callback, readKey := w.newLogin()
			if got := w.Get(callback); got.Status < 500 {
				t.Errorf("redirect: %d", got.Status)
			}
			if got := w.Poll(readKey); got.Status != http.StatusBadRequest {
				t.Errorf("poll: %d %s", got.Status, got.Body)
			}
			w.Post("/refresh?code=" + refreshToken)
		})
	}
}

// newRefreshToken returns a refresh token that the plugin may send.
func (w *watched) newRefreshToken() string {
	w.T.Helper()
	if !w.sealed {
		return w.keep("refresh token", "1//"+rand.Text()+"+/=")
	}
	_, refreshToken := w.newTokens()
	return refreshToken
}

// newTokens signs in, and returns the tokens that the plugin got.
func (w *watched) newTokens() (access, refresh string) {
	w.T.Helper()
	callback, readKey := w.newLogin()
	w.ExpectPage("login", w.Get(callback), http.StatusOK, "You are signed in")
	access, refresh = tokensIn(w.T.(*testing.T), w.Poll(readKey))
	if w.sealed {
		w.keep("sealed token", access)
		w.keep("sealed token", refresh)
	}
	return access, refresh
}

// answerOfAPI is an answer with secrets in it, of the kind that the path ends in.
func (w *watched) answerOfAPI(response http.ResponseWriter, r *http.Request) (handled bool) {
	secret := w.keep("answer of the API", rand.Text())
	raw, isRaw := map[string]string{
		"not HTTP":        "SECRET",
		"broken header":   "HTTP/1.1 200 OK\r\nSECRET\r\n\r\n",
		"broken length":   "HTTP/1.1 200 OK\r\nContent-Length: SECRET\r\n\r\n",
		"broken encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: SECRET\r\n\r\n",
		"broken chunks":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n",
		"longer":          "HTTP/1.1 200 SECRET\r\nContent-Length: 2\r\n\r\n{}SECRET",
		"101":             "HTTP/1.1 101 SECRET\r\nUpgrade: SECRET\r\n\r\nSECRET",
		"099":             "HTTP/1.1 099 SECRET\r\nContent-Length: 0\r\n\r\n",
		"":                "",
	}[path.Base(r.URL.Path)]
	if isRaw {
		connection, _, err := http.NewResponseController(response).Hijack()
		if err == nil {
			_, _ = io.WriteString(connection, strings.ReplaceAll(raw, "SECRET", secret))
			connection.Close()
		}
		return true
	}
	response.Header().Set("X-Request-Id", secret)
	response.Header().Set("Location", "https://evil.example/"+secret)
	if status, err := strconv.Atoi(path.Base(r.URL.Path)); err == nil {
		response.WriteHeader(status)
	}
	_, _ = io.WriteString(response, secret)
	return true
}

// callEachWay calls the API with secrets in all that a page can send.
func (w *watched) callEachWay(gone *testkit.API) {
	w.T.Helper()
	token := w.keep("token of the page", rand.Text())
	if w.sealed {
		token, _ = w.newTokens()
	}
	origin, page := "Origin: http://localhost:5173", "Authorization: Bearer "+token
	call := func(method, before, ends string, headers ...string) testkit.Answer {
		target := before + "/" + w.keep("path", rand.Text()) + "/" + ends
		target += "?q=" + w.keep("query", rand.Text())
		body := `{"body":"` + w.keep("body", rand.Text()) + `"}`
		headers = append(headers, "X-Custom: "+w.keep("header", rand.Text()), "Accept: text/html")
		return w.Request(method, target, body, headers...)
	}
	for ends, want := range map[string]int{
		"200": 200, "201": 201, "307": 307, "401": 401, "429": 429, "500": 500, "longer": 200,
		"not%20HTTP": 502, "broken%20header": 502, "broken%20length": 502, "broken%20encoding": 502,
		"101": 502, "099": 502,
	} {
		if got := call(http.MethodPost, fetchPathOf(w.api, ""), ends, origin, page); got.Status != want {
			w.T.Errorf("%s: %d %s", ends, got.Status, got.Body)
		}
	}
	for name, refused := range map[string]testkit.Answer{
		"no origin":      call(http.MethodPost, fetchPathOf(w.api, ""), "200", page),
		"no token":       call(http.MethodPost, fetchPathOf(w.api, ""), "200", origin),
		"another host":   call(http.MethodPost, "/fetch/api.example", "200", origin, page),
		"another plugin": call(http.MethodPost, "/nobody"+fetchPathOf(w.api, ""), "200", origin, page),
		"private":        call(http.MethodPost, "/fetch/127.0.0.1", "200", origin, page),
		"gone":           call(http.MethodPost, fetchPathOf(gone, ""), "200", origin, page),
		"TRACE":          call(http.MethodTrace, fetchPathOf(w.api, ""), "200", origin, page),
	} {
		if refused.Status < 400 {
			w.T.Errorf("%s: %d %s", name, refused.Status, refused.Body)
		}
	}
}

// refuse makes the provider refuse a code and a refresh token, and then accept the refresh token, which it
// returns.
func (w *watched) refuse() (refreshToken string) {
	w.T.Helper()
	refreshToken = w.newRefreshToken()
	w.failing.Store(true)
	failed, readKey := w.newLogin()
	w.ExpectPage("failed", w.Get(failed), http.StatusBadGateway, "Sign-in failed")
	w.ExpectError("failed", w.Poll(readKey), http.StatusBadRequest, "invalid_grant")
	if got := w.Post("/refresh?code=" + refreshToken); got.Status != http.StatusBadRequest {
		w.T.Errorf("refresh: %d", got.Status)
	}
	w.failing.Store(false)
	if got := w.Post("/refresh?code=" + refreshToken); got.Status != http.StatusOK {
		w.T.Errorf("refresh: %d", got.Status)
	}
	return refreshToken
}

// useTheDashboard adds plugins with the same client secret: one that is valid, one that is not, and one whose
// slug is taken. It revokes tokens of the first.
func (w *watched) useTheDashboard() {
	w.T.Helper()
	added := addPlugin(w.Backend, "added", func(fields map[string]any) {
		fields["revokeEndpoint"] = strings.TrimSuffix(fields["tokenEndpoint"].(string), "/token") + "/revoke"
	})
	page, _ := added.Login()
	added.ExpectPage("login", page, http.StatusOK, "You are signed in")
	revoke := "/revoke?token=" + w.keep("revoked token", rand.Text())
	added.Expect("revoke", added.Post(revoke), http.StatusOK, "{}")
	added.Provider.Answers(func(writer http.ResponseWriter, r *http.Request) {
		writer.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(writer, `{"error":"invalid_request","error_description":"`+r.URL.String()+`"}`)
	})
	revoke = "/revoke?token=" + w.keep("revoked token", rand.Text())
	added.ExpectError("revoke", added.Post(revoke), http.StatusBadRequest, "invalid_request")
	for name, fields := range map[string]map[string]any{
		"a plugin that is not valid": {"slug": "Added", "clientSecret": testkit.ClientSecret},
		"a second one of the name": {
			"slug": "added", "clientId": "x", "clientSecret": testkit.ClientSecret, "provider": "github",
		},
	} {
		if got := w.CreatePlugin(fields); got.Status != http.StatusBadRequest {
			w.T.Errorf("%s: %d", name, got.Status)
		}
	}
}

// comeFromElsewhere finishes logins from another network, whose code is kept in the page's form.
func (w *watched) comeFromElsewhere() {
	w.T.Helper()
	browser := &testServer{Server: &testkit.Server{Backend: w.Backend}}
	for _, test := range []struct {
		choice string
		status int
		words  string
	}{
		{choice: "cancel", status: http.StatusBadRequest, words: "Sign-in cancelled"},
		{choice: "continue", status: http.StatusOK, words: "You are signed in"},
	} {
		callback, _ := w.newLogin()
		page := w.Request(http.MethodGet, callback, "", fromElsewhere)
		w.ExpectPage("question", page, http.StatusOK, questionTitle)
		answer := browser.confirm(confirmation{page: page, choice: test.choice, address: fromElsewhere})
		w.ExpectPage(test.choice, answer, test.status, test.words)
	}
}

// backUp makes a backup with PocketBase, with a login of each kind in it, and unpacks it so that it is
// searched.
func (w *watched) backUp() {
	w.T.Helper()
	w.newLogin()
	got := w.Request(http.MethodPost, "/api/backups", `{"name":"backup.zip"}`, w.Admin(), asJSON)
	if got.Status != http.StatusNoContent {
		w.T.Fatalf("backup: %d %s", got.Status, got.Body)
	}
	backup, err := zip.OpenReader(filepath.Join(w.Dir, "pb_data", "backups", "backup.zip"))
	if err != nil {
		w.T.Fatal(err)
	}
	defer backup.Close()
	for _, file := range backup.File {
		content, err := file.Open()
		if err != nil {
			w.T.Fatal(err)
		}
		unpacked, err := io.ReadAll(content)
		if err != nil {
			w.T.Fatal(err)
		}
		to := filepath.Join(w.Dir, "backup-"+filepath.Base(file.Name))
		if err := os.WriteFile(to, unpacked, 0o600); err != nil {
			w.T.Fatal(err)
		}
	}
}

// sendEverywhere sends secrets in each way to each address, and waits until PocketBase has written its log.
func (w *watched) sendEverywhere(refreshToken string) {
	w.T.Helper()
	callback, readKey := w.newLogin()
	_, query, _ := strings.Cut(callback, "?")
	query += "&readKey=" + readKey + "&token=" + refreshToken
	for _, method := range strings.Fields("GET HEAD POST PUT PATCH DELETE OPTIONS") {
		for _, path := range strings.Fields(`/ /authorize /poll /refresh /revoke /added/poll /added/
			/fetch /fetch/api.example/x /added/fetch/api.example/
			/redirectXYZ /favicon.ico /api/nothing /api/health /_/nothing /_/
			/api/collections/sessions/records /api/collections/nothing/records /api/files/a/b/c`) {
			w.Request(method, path+"?"+query, `{"readKey":"`+readKey+`"}`, asJSON,
				"Referer: "+callback, "Authorization: Bearer "+refreshToken)
			if strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/_/") {
				w.Request(method, path+"?"+query, `{"readKey":"`+readKey+`"}`, asJSON,
					"Referer: "+callback, w.Admin()) // only an admin's are in PocketBase's log
			}
		}
	}
	w.Request(http.MethodPost, "/redirect?"+query, "")
	w.Request(http.MethodGet, "/api/last?"+query, "", w.Admin())
	eventually(w.T, "PocketBase has written its log", func() bool {
		got := w.Request(http.MethodGet, "/api/logs?sort=-created&filter=data.url~'/api/last'", "", w.Admin())
		return strings.Contains(got.Body, `"/api/last"`)
	})
}

// spellings returns the forms in which a program may write the secrets, by what and how.
func (w *watched) spellings() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.secrets) < 20 {
		w.T.Errorf("only %d secrets were seen", len(w.secrets))
	}
	spellings := map[string]string{}
	for what, secret := range w.secrets {
		inHex := hex.EncodeToString([]byte(secret))
		for how, spelling := range map[string]string{
			"raw": secret, "URL-encoded": url.QueryEscape(secret), "path-encoded": url.PathEscape(secret),
			"hex": inHex, "HEX": strings.ToUpper(inHex),
		} {
			spellings[what+", "+how] = spelling
		}
		// In Base64 a string has three spellings, by where it begins. The edges depend on the neighbours.
		for shift := range 3 {
			for how, encoding := range map[string]*base64.Encoding{
				"Base64": base64.RawStdEncoding, "Base64url": base64.RawURLEncoding,
			} {
				encoded := encoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + secret))
				spellings[what+", "+how+strconv.Itoa(shift)] = encoded[(shift*8+5)/6 : len(encoded)-1]
			}
		}
	}
	return spellings
}

// search looks for the secrets in the working folder and in the output.
func (w *watched) search() {
	w.T.Helper()
	spellings := w.spellings()
	searchIn := func(content []byte, where string) {
		for what, spelling := range spellings {
			if bytes.Contains(content, []byte(spelling)) {
				w.T.Errorf("%s holds the %s", where, what)
			}
		}
	}
	searchIn([]byte(w.Out.String()), "the output")
	w.searchAnswers(spellings)
	files := 0
	err := filepath.WalkDir(w.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files++
		content = bytes.TrimRight(content, "\x00") // etcd's files have room for more
		searchIn(content, filepath.Base(path))
		return err
	})
	if err != nil || files < 2 {
		w.T.Errorf("%d files were searched: %v", files, err)
	}
}

// searchAnswers looks for the provider's tokens in what a plugin with sealed tokens was answered.
func (w *watched) searchAnswers(spellings map[string]string) {
	w.T.Helper()
	if !w.sealed {
		return
	}
	w.answers.mu.Lock()
	defer w.answers.mu.Unlock()
	text := w.answers.text.String()
	if !strings.Contains(text, "sealed.") {
		w.T.Error("no sealed token was answered")
	}
	for what, spelling := range spellings {
		isToken := strings.HasPrefix(what, "access token") || strings.HasPrefix(what, "refresh token")
		if isToken && strings.Contains(text, spelling) {
			w.T.Errorf("an answer has the %s", what)
		}
	}
}
