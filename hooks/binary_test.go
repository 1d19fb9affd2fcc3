package hooks

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binaryDir holds the program, once a test has asked for it.
var binaryDir string

// buildBinary builds the program once, as a release does.
var buildBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaryDir, "plugin-oauth")
	command := exec.Command("go", "build", "-o", path, "plugin-oauth")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), err
	}
	return path, nil
})

func TestMain(m *testing.M) {
	var err error
	if binaryDir, err = os.MkdirTemp("", "plugin-oauth-test"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(binaryDir)
	os.Exit(code)
}

// output is what a process printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// process is the program itself in a working folder of its own, with a provider that knows it.
type process struct {
	*relayServer
	dir     string
	env     []string
	args    []string
	out     *output
	command *exec.Cmd
}

// newProcess prepares the program; start starts it, as often as wanted.
func newProcess(t *testing.T, args ...string) *process {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()

	p := &process{
		relayServer: &relayServer{t: t, url: "http://" + address, client: newClient(), provider: newProvider(t)},
		dir:         t.TempDir(),
		args:        append([]string{"serve", "--http", address, "--dir", "pb_data"}, args...),
		out:         &output{},
	}
	plugin := p.provider.client(p.url)
	p.provider.knows(plugin.complete(Config{}))
	p.env = []string{
		"PATH=" + os.Getenv("PATH"),
		"CLIENT_ID=" + plugin.ClientID, "CLIENT_SECRET=" + plugin.ClientSecret, "REDIRECT_URI=" + plugin.RedirectURI, "SCOPE=" + plugin.Scope,
		"AUTHORIZE_ENDPOINT=" + plugin.AuthorizeEndpoint, "TOKEN_ENDPOINT=" + plugin.TokenEndpoint, "PLUGIN_ID=" + plugin.PluginID,
	}
	return p
}

func (p *process) start() {
	p.t.Helper()
	path, err := buildBinary()
	if err != nil {
		p.t.Fatal(path, err)
	}
	p.command = exec.Command(path, p.args...)
	p.command.Dir, p.command.Env = p.dir, p.env
	p.command.Stdout, p.command.Stderr = p.out, p.out
	p.client.CloseIdleConnections() // to the one before
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { p.stop(syscall.SIGKILL) })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if connection, err := net.Dial("tcp", p.command.Args[3]); err == nil {
			connection.Close()
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the program does not answer:\n%s", p.out)
		}
	}
}

// stop ends the program and returns its exit code; -1 after kill -9.
func (p *process) stop(signal syscall.Signal) int {
	if p.command.ProcessState == nil {
		_ = p.command.Process.Signal(signal)
		_ = p.command.Wait()
	}
	return p.command.ProcessState.ExitCode()
}

// terminate ends the program as a deploy does.
func (p *process) terminate() int { return p.stop(syscall.SIGTERM) }

// signIn signs in as the admin of SUPERUSER_EMAIL.
func (p *process) signIn() {
	p.t.Helper()
	got := p.request(http.MethodPost, "/api/collections/_superusers/auth-with-password",
		`{"identity":"admin@plugin.example","password":"superuser-password"}`, "Content-Type: application/json")
	var session struct{ Token string }
	if err := json.Unmarshal([]byte(got.body), &session); err != nil || session.Token == "" {
		p.t.Fatalf("the admin is not let in: %d %s", got.status, got.body)
	}
	p.admin = "Authorization: " + session.Token
}

func (p *process) crash() {
	p.t.Helper()
	if code := p.stop(syscall.SIGKILL); code != -1 {
		p.t.Fatalf("the program had ended by itself with %d:\n%s", code, p.out)
	}
	p.start()
}

// kill -9 between each two steps of a login; the login finishes.
func TestCrashBetweenSteps(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.start()
	authorizationURL, readKey := p.authorize()
	p.crash()
	p.expect("before the login", p.poll(readKey), http.StatusNotFound, bodyPending)
	p.crash()
	callback := p.agree(authorizationURL)
	p.crash()
	p.expectPage("redirect", p.get(callback), http.StatusOK, "You are signed in")
	p.crash()
	p.expectPage("reload", p.get(callback), http.StatusBadRequest, "already finished")
	p.crash()
	p.expect("poll", p.poll(readKey), http.StatusOK, tokenResponse)
	p.crash()
	p.expect("poll again", p.poll(readKey), http.StatusNotFound, bodyUnknown)
	p.crash()
	p.expect("refresh", p.post("/refresh?code=RT-1"), http.StatusOK, tokenResponse)
}

// SIGTERM while a code is exchanged: the exchange is finished and stored, since its code cannot be used twice.
func TestShutdownFinishesTheExchange(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.start()
	asked := make(chan struct{})
	p.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		time.Sleep(1500 * time.Millisecond) // longer than PocketBase waits by itself
		io.WriteString(w, tokenResponse)
	})
	authorizationURL, readKey := p.authorize()
	callback := p.agree(authorizationURL)
	late, _ := p.authorize()
	lateCallback := p.agree(late)
	page := make(chan answer, 1)
	go func() { page <- p.get(callback) }()
	<-asked
	stopped := make(chan int, 1)
	go func() { stopped <- p.stop(syscall.SIGTERM) }()
	time.Sleep(300 * time.Millisecond)
	restarting := p.get(lateCallback)
	p.expectPage("a login that comes now", restarting, http.StatusServiceUnavailable, `http-equiv="refresh"`)
	if strings.Contains(restarting.body, "replaceState") || !strings.Contains(restarting.body, "This page loads again by itself.") {
		t.Error("the page does not say that it loads again, or takes out of its address what it needs then")
	}
	p.expect("a refresh that comes now", p.post("/refresh?code=x"), http.StatusServiceUnavailable,
		"temporarily_unavailable: The service is restarting. Try again in a moment.\n")
	p.expectPage("the login in flight", <-page, http.StatusOK, "You are signed in")
	if code := <-stopped; code != 0 {
		t.Errorf("the program ended with %d:\n%s", code, p.out)
	}
	p.start()
	p.expect("poll", p.poll(readKey), http.StatusOK, tokenResponse)
	p.provider.answers(nil)
	p.expectPage("the page, reloaded", p.get(lateCallback), http.StatusOK, "You are signed in")
}

// kill -9 during an exchange: the plugin learns at the next start that it must begin again.
func TestCrashDuringTheExchange(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.start()
	asked := make(chan struct{})
	p.provider.answers(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	authorizationURL, readKey := p.authorize()
	callback := p.agree(authorizationURL)
	go func() {
		if response, err := http.Get(callback); err == nil {
			response.Body.Close()
		}
	}()
	<-asked
	p.crash()
	p.expectError("poll", p.poll(readKey), http.StatusBadRequest, "server_error")
}

// No secret reaches the data folder or the output, in any spelling, even with --dev and for requests that go wrong.
func TestNoSecretIsWritten(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "--dev")
	p.env = append(p.env, "SUPERUSER_EMAIL=admin@plugin.example", "SUPERUSER_PASSWORD=superuser-password", "ENCRYPTION_KEY="+testEncryptionKey, "TRUSTED_PROXY_HEADERS=Fly-Client-IP")
	p.start()

	secrets := map[string]string{"client secret": testClientSecret, "superuser's password": "superuser-password", "encryption key": testEncryptionKey}
	var mu sync.Mutex // the provider keeps secrets too
	keep := func(what, secret string) string {
		mu.Lock()
		defer mu.Unlock()
		if secret == "" {
			return secret
		}
		secrets[fmt.Sprintf("%s %d", what, len(secrets))] = secret
		return secret
	}
	newLogin := func() (callback, readKey string) {
		authorizationURL, readKey := p.authorize()
		callback = p.agree(authorizationURL)
		u, err := url.Parse(callback)
		if err != nil {
			t.Fatal(err)
		}
		keep("state", u.Query().Get("state"))
		keep("code", u.Query().Get("code"))
		keep("read key", readKey)
		return callback, readKey
	}
	// Every token endpoint answer from here on carries tokens of its own, and errors quote what they were sent.
	fail := false
	p.provider.answers(func(w http.ResponseWriter, r *http.Request) {
		if verifier := r.Form.Get("code_verifier"); verifier != "" {
			keep("verifier", verifier)
		}
		if fail {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":"invalid_grant","error_description":"`+r.Form.Encode()+`"}`)
			return
		}
		io.WriteString(w, `{"access_token":"`+keep("access token", newKey())+`","refresh_token":"`+keep("refresh token", newKey())+`"}`)
	})

	raw := func(response string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			keep("verifier", r.Form.Get("code_verifier"))
			connection, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer connection.Close()
			io.WriteString(connection, strings.ReplaceAll(response, "FORM", r.Form.Encode()))
		}
	}

	newLogin() // pending
	ready, _ := newLogin()
	p.expectPage("ready", p.get(ready), http.StatusOK, "You are signed in")
	claimed, readKey := newLogin()
	p.expectPage("claimed", p.get(claimed), http.StatusOK, "You are signed in")
	if got := p.poll(readKey); got.status != http.StatusOK {
		t.Fatalf("poll: %d %s", got.status, got.body)
	}
	p.expectPage("replay", p.get(claimed), http.StatusBadRequest, "already finished")
	denied, _ := newLogin()
	p.expectPage("denied", p.get(denied+"&error=access_denied"), http.StatusBadRequest, "cancelled")
	// An answer that is longer than it says: net/http would print the rest.
	tokens := p.provider.answer
	body := `{"access_token":"` + keep("access token", newKey()) + `"}`
	p.provider.answers(raw("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body + "FORM"))
	longer, _ := newLogin()
	p.expectPage("longer", p.get(longer), http.StatusOK, "You are signed in")
	p.provider.answers(tokens)
	// Providers that fail, and quote what they were sent wherever they can.
	quoting := func(status int, header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			keep("verifier", r.Form.Get("code_verifier"))
			if header != "" {
				w.Header().Set(header, "https://evil.example/?"+r.Form.Encode())
			}
			w.WriteHeader(status)
			io.WriteString(w, strings.ReplaceAll(body, "FORM", r.Form.Encode()))
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"500 in HTML":   quoting(http.StatusInternalServerError, "", "<html>FORM</html>"),
		"HTML":          quoting(http.StatusOK, "", "<html>FORM</html>"),
		"redirect":      quoting(http.StatusFound, "Location", "FORM"),
		"429":           quoting(http.StatusTooManyRequests, "Retry-After", "FORM"),
		"odd error":     quoting(http.StatusBadRequest, "", `{"error":"FORM"}`),
		"ok false":      quoting(http.StatusOK, "", `{"ok":false,"error":"FORM"}`),
		"cut off":       quoting(http.StatusOK, "", `{"access_token":"FORM`),
		"8 MB":          quoting(http.StatusOK, "", `{"access_token":"`+strings.Repeat("FORM", 80_000)+`"}`),
		"not HTTP":      raw("FORM"),
		"broken header": raw("HTTP/1.1 200 OK\r\nFORM\r\n\r\n"),
		"reset":         func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		p.provider.answers(handler)
		callback, readKey := newLogin()
		if got := p.get(callback); got.status < 500 {
			t.Errorf("%s: %d", name, got.status)
		}
		if got := p.poll(readKey); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		p.post("/refresh?code=" + keep("refresh token", newKey()))
	}
	p.provider.answers(tokens)
	fail = true
	failed, readKey := newLogin()
	p.expectPage("failed", p.get(failed), http.StatusBadGateway, "Sign-in failed")
	p.expectError("failed", p.poll(readKey), http.StatusBadRequest, "invalid_grant")
	refreshToken := keep("refresh token", "1//"+newKey()+"+/=")
	if got := p.post("/refresh?code=" + refreshToken); got.status != http.StatusBadRequest {
		t.Errorf("refresh: %d", got.status)
	}
	fail = false
	if got := p.post("/refresh?code=" + refreshToken); got.status != http.StatusOK {
		t.Errorf("refresh: %d", got.status)
	}

	// A plugin of the dashboard has the same client secret. It is saved well, badly and once more, and its token is revoked.
	p.signIn()
	added := p.add("added", func(fields map[string]any) {
		fields["revokeEndpoint"] = strings.TrimSuffix(fields["tokenEndpoint"].(string), "/token") + "/revoke"
	})
	page, _ := added.login()
	added.expectPage("login", page, http.StatusOK, "You are signed in")
	added.expect("revoke", added.post("/revoke?token="+keep("revoked token", newKey())), http.StatusOK, "{}")
	added.provider.answers(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_request","error_description":"`+r.URL.String()+`"}`)
	})
	added.expectError("revoke", added.post("/revoke?token="+keep("revoked token", newKey())), http.StatusBadRequest, "invalid_request")
	if got := p.save(http.MethodPost, "", map[string]any{"slug": "Added", "clientSecret": testClientSecret}); got.status != http.StatusBadRequest {
		t.Errorf("a plugin that is not valid: %d", got.status)
	}
	if got := p.save(http.MethodPost, "", map[string]any{"slug": "added", "clientId": "x", "clientSecret": testClientSecret, "provider": "github"}); got.status != http.StatusBadRequest {
		t.Errorf("a second one of the name: %d", got.status)
	}

	// A login from another network: the code waits in the page's form.
	callback, _ := newLogin()
	question := p.request(http.MethodGet, callback, "", "Fly-Client-IP: 198.51.100.7")
	p.expectPage("question", question, http.StatusOK, "Did you start this sign-in?")
	p.expectPage("cancel", p.choose(question, "cancel", "Fly-Client-IP: 198.51.100.7"), http.StatusBadRequest, "Sign-in cancelled")
	callback, _ = newLogin()
	question = p.request(http.MethodGet, callback, "", "Fly-Client-IP: 198.51.100.7")
	p.expectPage("continue", p.choose(question, "continue", "Fly-Client-IP: 198.51.100.7"), http.StatusOK, "You are signed in")
	// PocketBase's own backup, with a login of each kind in it.
	newLogin()
	if got := p.request(http.MethodPost, "/api/backups", `{"name":"backup.zip"}`, p.admin, "Content-Type: application/json"); got.status != http.StatusNoContent {
		t.Errorf("backup: %d %s", got.status, got.body)
	}
	if backup, err := zip.OpenReader(filepath.Join(p.dir, "pb_data", "backups", "backup.zip")); err != nil {
		t.Error(err)
	} else {
		for _, file := range backup.File {
			// Unpacked, so that the search below reads it.
			content, err := file.Open()
			if err != nil {
				t.Error(err)
				continue
			}
			unpacked, err := os.Create(filepath.Join(p.dir, "backup-"+filepath.Base(file.Name)))
			if err == nil {
				_, err = io.Copy(unpacked, content)
				unpacked.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}
		backup.Close()
	}

	callback, readKey = newLogin()
	_, query, _ := strings.Cut(callback, "?")
	query += "&readKey=" + readKey + "&token=" + refreshToken
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		for _, path := range []string{"/", "/authorize", "/poll", "/refresh", "/revoke", "/added/poll", "/added/", "/redirectXYZ", "/favicon.ico", "/api/nothing", "/api/health", "/_/nothing", "/_/",
			"/api/collections/sessions/records", "/api/collections/nothing/records", "/api/files/a/b/c"} {
			p.request(method, path+"?"+query, `{"readKey":"`+readKey+`"}`, "Content-Type: application/json", "Referer: "+callback, "Authorization: Bearer "+refreshToken)
		}
	}
	p.request("POST", "/redirect?"+query, "")
	time.Sleep(4 * time.Second) // PocketBase writes its log each three
	p.searchFor(secrets)
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("the program ended with %d", code)
	}
	p.searchFor(secrets)
	p.env = append(p.env, "SESSION_TTL=1s")
	p.start()
	expired, readKey := newLogin()
	time.Sleep(1100 * time.Millisecond)
	p.expectPage("expired", p.get(expired), http.StatusBadRequest, "took too long")
	p.expectError("expired", p.poll(readKey), http.StatusBadRequest, "expired_token")
	p.stop(syscall.SIGTERM)
	p.searchFor(secrets)
	if !strings.Contains(p.out.String(), "invalid_grant") {
		t.Errorf("the failure is not in the log, so this test saw none:\n%s", p.out)
	}
}

// searchFor looks for secrets in the working folder and in the output, in the spellings that a program may give them.
func (p *process) searchFor(secrets map[string]string) {
	p.t.Helper()
	if len(secrets) < 20 {
		p.t.Errorf("only %d secrets were seen", len(secrets))
	}
	spellings := map[string]string{}
	for what, secret := range secrets {
		for how, spelling := range map[string]string{
			"raw": secret, "URL-encoded": url.QueryEscape(secret), "path-encoded": url.PathEscape(secret),
			"hex": hex.EncodeToString([]byte(secret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		} {
			spellings[what+", "+how] = spelling
		}
		// In Base64 a string has three spellings, by where it begins. The edges depend on the neighbours.
		for shift := range 3 {
			for how, encoding := range map[string]*base64.Encoding{"Base64": base64.RawStdEncoding, "Base64url": base64.RawURLEncoding} {
				encoded := encoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + secret))
				spellings[what+", "+how+string(rune('0'+shift))] = encoded[(shift*8+5)/6 : len(encoded)-1]
			}
		}
	}
	search := func(where string, content []byte) {
		for what, spelling := range spellings {
			if bytes.Contains(content, []byte(spelling)) {
				p.t.Errorf("%s holds the %s", where, what)
			}
		}
	}
	search("the output", []byte(p.out.String()))
	files := 0
	err := filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files++
		search(filepath.Base(path), content)
		return err
	})
	if err != nil || files < 2 {
		p.t.Errorf("%d files were searched: %v", files, err)
	}
}

// A first start prints no token, no SQL, and says how to make an admin.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "--dev")
	p.start()
	time.Sleep(time.Second) // PocketBase's installer prints from the background
	printed := p.out.String()
	if !strings.Contains(printed, "superuser upsert EMAIL PASSWORD") || !strings.Contains(printed, "Backend    http://localhost:") {
		t.Errorf("printed:\n%s", printed)
	}
	for _, never := range []string{"eyJ", "INSERT", "pbinstall", testClientSecret} {
		if strings.Contains(printed, never) {
			t.Errorf("%s is printed:\n%s", never, printed)
		}
	}
	p.stop(syscall.SIGTERM)
	p.env = append(p.env, "SUPERUSER_EMAIL=admin@plugin.example", "SUPERUSER_PASSWORD=superuser-password")
	p.out = &output{}
	p.start()
	if p.get("/"); strings.Contains(p.out.String(), "superuser upsert") {
		t.Errorf("printed:\n%s", p.out)
	}
}

// A bad value stops the start with one line, and --help works all the same.
func TestStartErrors(t *testing.T) {
	t.Parallel()
	run := func(variable string, args ...string) (string, int) {
		p := newProcess(t)
		p.env = append(p.env, variable)
		return p.run(args...)
	}
	for variable, want := range map[string]string{
		"TOKEN_ENDPOINT=provider.example/token": "plugin-oauth: TOKEN_ENDPOINT must be an absolute URL that starts with https:// or http://\n",
		"SESSION_TTL=soon":                      "plugin-oauth: SESSION_TTL \"soon\" is not a duration; write it like 90s, 10m or 168h\n",
		"CLIENT_SECRET=":                        "plugin-oauth: CLIENT_SECRET must be set; the provider's developer console shows it\n",
	} {
		if out, code := run(variable, "serve", "--http", "127.0.0.1:0"); out != want || code != 1 {
			t.Errorf("%s: exit %d\n%s", variable, code, out)
		}
		if out, code := run(variable, "--help"); code != 0 || !strings.Contains(out, "serve") {
			t.Errorf("%s, --help: exit %d\n%s", variable, code, out)
		}
	}
}

// With the files of mkcert in the working folder, the program speaks HTTPS by itself.
func TestCertificatesOfMkcert(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		"localhost.pem":     {Type: "CERTIFICATE", Bytes: certificate},
		"localhost-key.pem": {Type: "PRIVATE KEY", Bytes: keyBytes},
	} {
		if err := os.WriteFile(filepath.Join(p.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.start()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	base := "https://localhost:" + p.url[strings.LastIndex(p.url, ":")+1:]
	response, err := client.Get(base)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "plugin-oauth is up and running.\n" || response.ProtoMajor != 2 {
		t.Errorf("%s %q %v", response.Proto, body, err)
	}
	if !strings.Contains(p.out.String(), "Backend    "+base) {
		t.Errorf("printed:\n%s", p.out)
	}
}

// run runs another command of the program in the same folder, and returns what it printed and its exit code.
func (p *process) run(args ...string) (string, int) {
	p.t.Helper()
	path, err := buildBinary()
	if err != nil {
		p.t.Fatal(path, err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	command.Dir, command.Env = p.dir, p.env
	out, _ := command.CombinedOutput()
	return string(out), command.ProcessState.ExitCode()
}

// A start with another key, or none, names the plugins that cannot be used; the others work. rekey mends it.
func TestEncryptionKey(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	environment := append(p.env, "SUPERUSER_EMAIL=admin@plugin.example", "SUPERUSER_PASSWORD=superuser-password")
	const otherKey = "another-key-with-32-characters!!"
	restart := func(variables ...string) {
		t.Helper()
		if p.command != nil {
			p.stop(syscall.SIGTERM)
		}
		p.env, p.out = append(slices.Clone(environment), variables...), &output{}
		p.start()
		if strings.Contains(p.out.String(), testClientSecret) {
			t.Errorf("printed:\n%s", p.out)
		}
	}
	// works reports whether people can sign in.
	works := func(s *relayServer) bool {
		t.Helper()
		got := s.post("/authorize")
		if got.status != http.StatusOK {
			s.expectError("authorize", got, http.StatusServiceUnavailable, "temporarily_unavailable")
			if !strings.Contains(got.body, "ENCRYPTION_KEY") {
				t.Errorf("it does not say what to do: %s", got.body)
			}
			return false
		}
		page, _ := s.login()
		s.expectPage("login", page, http.StatusOK, "You are signed in")
		return true
	}
	restart("ENCRYPTION_KEY=" + testEncryptionKey)
	p.signIn()
	one, two := p.add("one", nil), p.add("two", func(fields map[string]any) { fields["enabled"] = true })
	if !works(one) || !works(two) || strings.Contains(p.out.String(), "cannot be read") {
		t.Errorf("with its key it does not work:\n%s", p.out)
	}

	for variable, why := range map[string]string{"ENCRYPTION_KEY=" + otherKey: "is not the one that they were saved under", "ENCRYPTION_KEY=": "is not set"} {
		restart(variable)
		if works(one) || works(two) || !works(p.relayServer) {
			t.Errorf("%s: the wrong ones work", variable)
		}
		want := `level=ERROR msg="ENCRYPTION_KEY ` + why + `, so the client secrets of these plugins cannot be read: one, two"`
		if printed := p.out.String(); strings.Count(printed, want) != 1 {
			t.Errorf("%s: printed\n%s", variable, printed)
		}
	}

	// Entered again under the other key, one of them works.
	restart("ENCRYPTION_KEY=" + otherKey)
	var list struct{ Items []struct{ ID, Slug string } }
	got := p.request(http.MethodGet, "/api/collections/plugins/records?sort=slug", "", p.admin)
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Items) != 2 {
		t.Fatal(got.body)
	}
	if got := p.save(http.MethodPatch, list.Items[0].ID, map[string]any{"clientSecret": testClientSecret}); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if !works(one) || works(two) {
		t.Error("the secret that was entered again is not used")
	}

	p.stop(syscall.SIGTERM)
	for _, test := range []struct{ old, new, want string }{
		{"", testEncryptionKey, "plugin-oauth: ENCRYPTION_KEY must be the key"},
		{otherKey, "", "plugin-oauth: NEW_ENCRYPTION_KEY must be set to another key with 32 characters; make one with: openssl rand -base64 24\n"},
		{otherKey, otherKey, "plugin-oauth: NEW_ENCRYPTION_KEY must be set to another key"},
		{otherKey, otherKey + "x", "plugin-oauth: NEW_ENCRYPTION_KEY must be set to another key"},
		{otherKey, "yet another with 32 characters!!", "plugin-oauth: ENCRYPTION_KEY does not open the client secrets of two; enter them again in the dashboard, or delete these plugins. Nothing was changed\n"},
	} {
		p.env = append(slices.Clone(environment), "ENCRYPTION_KEY="+test.old, "NEW_ENCRYPTION_KEY="+test.new)
		if out, code := p.run("rekey"); code != 1 || !strings.HasPrefix(out, test.want) {
			t.Errorf("rekey from %q to %q: exit %d\n%s", test.old, test.new, code, out)
		}
	}
	// two is under the new key already.
	p.env = append(slices.Clone(environment), "ENCRYPTION_KEY="+otherKey, "NEW_ENCRYPTION_KEY="+testEncryptionKey)
	if out, code := p.run("rekey"); code != 0 || !strings.HasPrefix(out, "2 client secrets are sealed under NEW_ENCRYPTION_KEY.") {
		t.Errorf("rekey: exit %d\n%s", code, out)
	}
	restart("ENCRYPTION_KEY=" + testEncryptionKey)
	if !works(one) || !works(two) {
		t.Errorf("after rekey:\n%s", p.out)
	}
}

// The list of providers needs no data folder, and makes none.
func TestProvidersCommand(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	out, code := p.run("providers")
	if code != 0 || strings.Count(out, "\n") != len(presets)+4 {
		t.Errorf("exit %d\n%s", code, out)
	}
	for _, row := range presets {
		if !strings.Contains(out, "\n"+row.Name+" ") || !strings.Contains(out, row.Hint) {
			t.Errorf("%s is not listed", row.Name)
		}
		shown, code := p.run("providers", strings.ToUpper(row.Name))
		for _, fact := range []string{row.Title, "PROVIDER=" + row.Name + "\n", row.AuthorizeEndpoint, row.TokenEndpoint, row.RefreshEndpoint, row.RevokeEndpoint,
			row.AuthorizeParams, row.TokenParams, row.RefreshScope, row.Console, row.Hint, row.Issuer, "/SLUG/redirect"} {
			if code != 0 || !strings.Contains(shown, fact) {
				t.Errorf("%s: exit %d, %q is not shown\n%s", row.Name, code, fact, shown)
			}
		}
	}
	if out, code := p.run("providers", "google-sheets"); code != 1 || out != "plugin-oauth: \"google-sheets\" is unknown; did you mean google?\n" {
		t.Errorf("exit %d\n%s", code, out)
	}
	if out, code := p.run("providers", "acme"); code != 1 || !strings.Contains(out, "plugin-oauth providers lists") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if entries, err := os.ReadDir(p.dir); err != nil || len(entries) != 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// The log as JSON, the metrics with the program's version, and what the start says of them.
func TestLogFormatAndMetrics(t *testing.T) {
	t.Parallel()
	metricsAddress := freeAddress(t)
	p := newProcess(t, "--log-format", "json")
	p.env = append(p.env, "METRICS_ADDR="+metricsAddress)
	p.start()
	authorizationURL, _ := p.authorize()
	p.get("/redirect?error=invalid_scope&state=" + authorizationURL.Query().Get("state"))
	samples := scrape(t, metricsAddress)
	found := false
	for key := range samples {
		found = found || strings.HasPrefix(key, "plugin_oauth_build_info{goversion=go") && !strings.HasSuffix(key, "version=}")
	}
	if !found || samples["plugin_oauth_logins_ended_total{outcome=failed,plugin=/}"] != 1 {
		t.Errorf("the metrics are %v", samples)
	}
	p.terminate()
	printed := p.out.String()
	if !strings.Contains(printed, "  Metrics    http://localhost:"+metricsAddress[strings.LastIndex(metricsAddress, ":")+1:]+"/metrics\n") {
		t.Errorf("the start says\n%s", printed)
	}
	ended := 0
	for line := range strings.Lines(printed) {
		var attributes map[string]any
		if json.Unmarshal([]byte(line), &attributes) == nil && attributes["msg"] == "login ended" && attributes["error"] == "invalid_scope" && attributes["level"] == "WARN" {
			ended++
		}
	}
	if ended != 1 {
		t.Errorf("%d lines of one login in\n%s", ended, printed)
	}
	if out, code := p.run("serve", "--log-format", "xml"); code != 1 || !strings.Contains(out, "--log-format must be text or json") {
		t.Errorf("ended with %d: %s", code, out)
	}
}
