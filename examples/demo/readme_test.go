package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"plugin-oauth/internal/browser"
)

// docBlock returns the JavaScript of a page that begins so, for a backend. The page is named from the root of
// the repository.
func docBlock(t *testing.T, path, begin, backendURL string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```jsx?\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	for _, match := range blocks {
		if strings.HasPrefix(match[1], begin) {
			return strings.NewReplacer(
				"http://localhost:8787", backendURL,
				"https://my-backend.fly.dev/google-sheets-plugin", backendURL,
				"https://YOUR-APP.fly.dev", backendURL,
			).Replace(match[1])
		}
	}
	t.Fatalf("%s has no block that begins with %s", path, begin)
	return ""
}

// runnable makes of a block what a function may have: it cannot have the statement import.
func runnable(block, backendURL string) string {
	statement := regexp.MustCompile(`import (.*) from (.*)`)
	block = strings.Replace(block, `from "plugin-oauth"`, `from "`+backendURL+`/client.js"`, 1)
	return statement.ReplaceAllString(block, "const $1 = await import($2)")
}

// Without the client, too, only a dead grant signs the person out: in the page's lines and in plain.js.
func TestREADMERefresh(t *testing.T) {
	t.Parallel()
	browser.Each(t, testREADMERefresh)
}

func testREADMERefresh(t *testing.T, engine browser.Engine) {
	var answered atomic.Pointer[answer]
	backend := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.WriteHeader(answered.Load().status)
		io.WriteString(w, answered.Load().body)
	}))
	lines := "const backend = '" + backend + "';" + docBlock(t, "docs/client.md", "const old", backend)
	encoded, err := json.Marshal(lines)
	if err != nil {
		t.Fatal(err)
	}
	tab := browser.Open(t, engine, serve(t, (&demo{backendURL: backend}).pluginPages())+"/plain")
	// These are the ways to refresh: each ends once it has dealt with the answer.
	browser.Evaluate[bool](t, tab, `(ways = {
		lines: (async () => {}).constructor(`+string(encoded)+`),
		plain: () => document.querySelector("#refresh").onclick(),
	}, refresh = way => {
		const old = { access_token: "old", refresh_token: "RT", id_token: ".e30." }
		localStorage.setItem("tokens", JSON.stringify(old))
		kept = ""
		ways[way]().catch(() => {}).then(() => {
			const { access_token, refresh_token } = JSON.parse(localStorage.getItem("tokens")) ?? {}
			kept = access_token + " " + refresh_token
		})
	}, true)`)
	const old, signedOut = "old RT", "undefined undefined"
	for _, test := range []struct {
		answer
		want string
	}{
		{answer: answer{status: 200, body: `{"access_token":"new"}`}, want: "new RT"},
		{answer: answer{status: 200, body: `{"access_token":"new","refresh_token":"2"}`}, want: "new 2"},
		{answer: answer{status: 200, body: `{}`}, want: old},
		{answer: answer{status: 200, body: `{"errcode":40029,"errmsg":"invalid code"}`}, want: old},
		{answer: answer{status: 200, body: `<h1>Sign in to the hotel's network</h1>`}, want: old},
		{answer: answer{status: 400, body: "invalid_grant: Sign in again.\n"}, want: signedOut},
		{answer: answer{status: 401, body: "invalid_grant: Sign in again.\n"}, want: signedOut},
		{answer: answer{status: 403, body: "invalid_grant: Sign in again.\n"}, want: signedOut},
		{answer: answer{status: 400, body: "invalid_request: The code is missing.\n"}, want: old},
		{answer: answer{status: 401, body: "invalid_client: Check CLIENT_SECRET.\n"}, want: old},
		{answer: answer{status: 429, body: "invalid_grant: Try again.\n"}, want: old},
		{answer: answer{status: 503, body: "temporarily_unavailable: Try again.\n"}, want: old},
		{answer: answer{status: 403, body: "<h1>invalid_grant</h1>"}, want: old},
	} {
		answered.Store(&test.answer)
		for _, way := range []string{"lines", "plain"} {
			t.Run(fmt.Sprintf("%s %d %s", way, test.status, test.body), func(t *testing.T) {
				browser.Evaluate[bool](t, tab, "(refresh('"+way+"'), true)")
				tab.Until(t, "kept !== ''")
				if got := browser.Evaluate[string](t, tab, "kept"); got != test.want {
					t.Errorf("then the tokens are %s, want %s", got, test.want)
				}
			})
		}
	}
}

// What the pages tell authors to write works as it stands, with the client and without.
func TestREADME(t *testing.T) {
	t.Parallel()
	browser.Each(t, testREADME)
}

func testREADME(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "")
	block := func(path, begin string) string {
		return runnable(docBlock(t, path, begin, d.backendURL), d.backendURL)
	}
	page := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!DOCTYPE html><link rel="icon" href="data:,"><button>Sign in</button>`))
	}))
	url := "const url = '" + d.issuer + "/userinfo';"
	client := "const backend = '" + d.backendURL + "';" +
		"const { createAuth, AuthError } = await import(backend + '/client.js');"
	for _, test := range []struct{ name, code, result, want string }{
		{
			name:   "client",
			code:   url + block("README.md", "import { createAuth } from \"http"),
			result: "response.status + ' ' + localStorage.length",
			want:   "200 0",
		},
		{
			name:   "package",
			code:   url + block("client/README.md", "import { createAuth }"),
			result: "response.status + ' ' + localStorage.length",
			want:   "200 0",
		},
		{
			name: "waiting",
			code: client + "const auth = createAuth({ backend });" +
				"const link = {}, status = {}, button = {}, cancel = {};" +
				block("client/README.md", "let attempt") +
				"await button.onclick(); cancel.onclick();",
			result: "[auth.state.status, new URL(link.href).origin, status.textContent].join()",
			want:   "signedIn," + d.issuer + ",",
		},
		{
			name: "without",
			code: block("docs/client.md", "const backend") +
				"; const before = localStorage.getItem('tokens');" +
				block("docs/client.md", "const old") + "const now = localStorage.getItem('tokens');" +
				"const ended = " + block("docs/client.md", "await fetch"),
			result: "[response.status, ended.status, before !== now, " +
				"'access_token' in JSON.parse(now)].join()",
			want: "200,200,true,true",
		},
		{
			name:   "deployed",
			code:   client + block("docs/deploying.md", "const auth") + "await auth.signIn();",
			result: "auth.state.status",
			want:   "signedIn",
		},
		{
			name: "shop",
			code: client + strings.Replace(block("docs/many-plugins.md", "const auth"), "await fetch",
				"const starting = fetch", 1) + "await auth.signIn(); const started = await starting;",
			result: "[auth.state.status, started.status].join()",
			want:   "signedIn,200",
		},
		{
			name: "messages",
			code: client + block("client/README.md", "const auth = createAuth({\n") +
				"await auth.signIn(); await auth.signOut();",
			result: "(await auth.fetch('https://api.example').catch(error => error.message))",
			want:   "Bitte wieder anmelden.",
		},
		{
			name: "API calls", // the demo does not list this host
			code: client + strings.Replace(block("docs/api-calls.md", "const auth"), "const response",
				"await auth.signIn();\nconst response", 1),
			result: "response.status + ' ' + new URL(response.url).pathname",
			want:   "403 /fetch/api.notion.com/v1/search",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			tab := browser.Open(t, engine, page)
			// A plugin has the client before anybody clicks.
			tab.Run(t, "import('"+d.backendURL+"/client.js')")
			code, err := json.Marshal(test.code + "; return " + test.result)
			if err != nil {
				t.Fatal(err)
			}
			browser.Evaluate[bool](t, tab, `(window.result = "",
				document.querySelector("button").onclick = () =>
					(async () => {}).constructor(`+string(code)+`)()
						.then(value => window.result = value, error => window.result = String(error)), true)`)
			tab.Click(t, "button")
			d.submitIn(t, tab.Window(t, d.issuer))
			tab.Until(t, "window.result")
			if got := browser.Evaluate[string](t, tab, "window.result"); got != test.want {
				t.Errorf("it gives %s, want %s", got, test.want)
			}
		})
	}
}

// The README's lines for React sign in and out, built by Vite as a plugin's are.
func TestREADMEReact(t *testing.T) {
	t.Parallel()
	browser.Each(t, testREADMEReact)
}

func testREADMEReact(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "")
	modules := framerPackages(t)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"App.jsx": docBlock(t, "README.md", "import { createAuth } from \"plugin-oauth\"", d.backendURL),
		"main.jsx": `import { createRoot } from "react-dom/client"
			import { App } from "./App"
			createRoot(document.querySelector("main")).render(<App />)`,
		"index.html":     `<!DOCTYPE html><main></main><script type="module" src="/main.jsx"></script>`,
		"tsconfig.json":  `{ "compilerOptions": { "jsx": "react-jsx" } }`,
		"vite.config.js": `export default { resolve: { dedupe: ["react"] } }`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), filepath.Join(modules, ".bin/vite"), "build")
	build.Dir = dir
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	tab := browser.Open(t, engine, serve(t, http.FileServer(http.Dir(filepath.Join(dir, "dist")))))
	shows := func(words string) {
		tab.Until(t, `document.querySelector("button")?.textContent === "`+words+`"`)
	}
	shows("Sign in")
	tab.Click(t, "button")
	d.submitIn(t, tab.Window(t, d.issuer))
	shows("Sign out")
	tab.Click(t, "button")
	shows("Sign in")
}
