package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"plugin-oauth/internal/browser"
	"plugin-oauth/internal/testkit"
)

// host is the page around a plugin. It does as much of what Framer does as the plugins need: it answers their
// first message, gives them a theme, makes them as large as they ask, and has a collection.
const host = `<!DOCTYPE html>
<meta name="color-scheme" content="light dark">
<body style="margin: 0; background: #888">
<iframe style="display: block; border: 0; margin: 20px; width: 260px; height: 0" src="%s"></iframe>
<script>
	const frame = document.querySelector("iframe")
	const dark = matchMedia("(prefers-color-scheme: dark)")
	const colors = {
		light: {
			"bg": "#fff", "bg-secondary": "#e8e8e8", "bg-tertiary": "#f3f3f3", "text": "#333",
			"text-secondary": "#666", "text-reversed": "#fff", "tint": "#09f", "tint-dark": "#0088ff",
		},
		dark: {
			"bg": "#111", "bg-secondary": "#333", "bg-tertiary": "#2b2b2b", "text": "#fff",
			"text-secondary": "#ccc", "text-reversed": "#fff", "tint": "#09f", "tint-dark": "#0088ff",
		},
	}
	function theme() {
		const mode = dark.matches ? "dark" : "light"
		const named = Object.entries(colors[mode]).map(([name, value]) => ["--framer-color-" + name, value])
		return { mode, tokens: Object.fromEntries(named) }
	}
	const send = message => frame.contentWindow.postMessage(message, "*")
	function repaint() {
		send({ type: "subscriptionMessage", topic: "theme", payload: theme() })
		return theme().mode
	}
	// What Framer keeps, and the words that the plugin was closed with.
	const fields = [], items = new Map(), pluginData = new Map(), permissionMap = {}
	let mode = "canvas", closed = ""
	function restart(newMode) {
		mode = newMode
		closed = ""
		frame.src = frame.src
	}
	function allow() {
		for (const name in methods) permissionMap[name] = true
		send({ type: "permissionUpdate", permissionMap })
	}
	const methods = {
		showUI({ width, height }) {
			frame.style.width = width + "px"
			frame.style.height = height + "px"
		},
		closePlugin: words => closed = words,
		getActiveManagedCollection: () => ({ id: "c1", name: "Collection", managedBy: "thisPlugin" }),
		getManagedCollectionItemIds: () => [...items.keys()],
		setManagedCollectionFields: (id, wanted) => void fields.splice(0, Infinity, ...wanted),
		addManagedCollectionItems2: (id, added) => added.forEach(item => items.set(item.id, item)),
		removeManagedCollectionItems: (id, gone) => gone.forEach(id => items.delete(id)),
		setPluginDataForNode: (id, key, value) => void pluginData.set(key, value),
		getPluginDataForNode: (id, key) => pluginData.get(key) ?? null,
	}
	onmessage = ({ data }) => {
		if (data.type === "pluginReadySignal") {
			const type = "pluginReadyResponse"
			send({ type, mode, permissionMap, environmentInfo: {}, theme: theme() })
		}
		if (data.type !== "methodInvocation") return
		const result = methods[data.methodName]?.(...data.args)
		send({ type: "methodResponse", id: data.id, result })
	}
</script>`

// installFramerPackages installs what examples/framer-plugin needs, once for all tests.
var installFramerPackages = sync.OnceValues(func() (output []byte, err error) {
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	npm.Dir = "../framer-plugin"
	return npm.CombinedOutput()
})

// framerPackages returns the folder with the packages of examples/framer-plugin. Without npm the test is
// skipped, except where BROWSER_TEST=required.
func framerPackages(t *testing.T) (dir string) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		testkit.Missing(t, "BROWSER_TEST", "npm is not installed")
	}
	if output, err := installFramerPackages(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
	dir, err := filepath.Abs("../framer-plugin/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// serveFramerPlugin builds a plugin of the examples and serves it with the demo's addresses, and the page
// around it at /host.
func serveFramerPlugin(t *testing.T, d *demo, example string) (hostURL string) {
	t.Helper()
	dist := os.DirFS(filepath.Join(buildFramerPlugin(t, example), "dist"))
	addresses := strings.NewReplacer("http://localhost:8787", d.backendURL,
		"http://localhost:8788", d.issuer, "http://localhost:8789", d.notionURL)
	mux := http.NewServeMux()
	// As in Framer, the plugin is of another site than the page around it.
	pluginURL := serve(t, mux) + "/"
	hostURL = strings.Replace(pluginURL, "localhost", "127.0.0.1", 1) + "host"
	mux.HandleFunc("GET /host", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, host, pluginURL)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if path.Ext(r.URL.Path) != ".mjs" {
			http.FileServerFS(dist).ServeHTTP(w, r)
			return
		}
		script, err := fs.ReadFile(dist, r.URL.Path[1:])
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/javascript")
		addresses.WriteString(w, string(script))
	})
	return hostURL
}

// buildFramerPlugin builds a copy of a plugin of the examples, and returns its folder. All of them have the
// packages of examples/framer-plugin: see TestFramerPackages.
func buildFramerPlugin(t *testing.T, example string) (dir string) {
	t.Helper()
	modules := framerPackages(t)
	dir = t.TempDir()
	entries, err := os.ReadDir(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == "node_modules" || name == "dist":
			continue
		case entry.IsDir():
			err = os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(example, name)))
		default:
			err = copyFile(filepath.Join(dir, name), filepath.Join(example, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	npm := exec.CommandContext(t.Context(), "npm", "run", "build")
	npm.Dir = dir
	if output, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm run build: %v\n%s", err, output)
	}
	return dir
}

// copyFile copies a small file.
func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

// The plugins of the examples are made with the same packages, so that an update misses none, and one
// installation does for all tests.
func TestFramerPackages(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"package.json", "package-lock.json"} {
		plugin, err := os.ReadFile("../framer-plugin/" + name)
		if err != nil {
			t.Fatal(err)
		}
		notion, err := os.ReadFile("../framer-notion/" + name)
		if err != nil {
			t.Fatal(err)
		}
		renamed := strings.ReplaceAll(string(notion), "framer-notion-example", "framer-plugin-example")
		if renamed != string(plugin) {
			t.Errorf("%s of framer-notion and of framer-plugin differ in more than their name", name)
		}
	}
}

// framed is a plugin of the examples in the page around it, in a browser.
type framed struct {
	t      *testing.T
	d      *demo
	name   string        // of its screenshots
	tab    *browser.Page // the page around it
	plugin *browser.Page // the frame
}

// openFramerPlugin opens a plugin of the examples, which is named by its folder.
func openFramerPlugin(t *testing.T, engine browser.Engine, example string) *framed {
	t.Helper()
	d := startDemo(t, "")
	hostURL := serveFramerPlugin(t, d, "../"+example)
	tab := browser.Open(t, engine, hostURL)
	return &framed{t: t, d: d, name: example, tab: tab, plugin: tab.Frame(t, "iframe")}
}

// place is a selector of a part of the plugin that says something.
type place string

// The places.
const (
	inStatus  place = "[role=status]"
	inAlert   place = "[role=alert]"
	inHeading place = "h1"
)

// says waits until the plugin says something.
func (f *framed) says(where place, words string) {
	f.t.Helper()
	f.plugin.Until(f.t, fmt.Sprintf("document.querySelector(%q)?.textContent === %q", where, words))
}

// press clicks the button or the link with these words.
func (f *framed) press(words string) {
	f.t.Helper()
	f.plugin.ClickElement(f.t, fmt.Sprintf(
		`[...document.querySelectorAll("button, a")].find(one => one.textContent === %q)`, words))
}

// opens presses what opens the provider's page, and returns the window.
func (f *framed) opens(words string) *browser.Page {
	f.t.Helper()
	f.press(words)
	opened := f.tab.Window(f.t, f.d.issuer)
	opened.WaitVisible(f.t, "#username")
	f.says(inStatus, "Finish the sign-in in your browser.")
	return opened
}

// picture takes screenshots, and checks that the plugin fits into the size that it asks for.
func (f *framed) picture(name string) {
	f.t.Helper()
	if f.tab.Engine() != browser.Chromium {
		return
	}
	screenshots(f.t, f.tab, f.name+"-"+name, []int64{300}, func(width int64) (overflow int) {
		resize(f.t, f.tab, width, 240)
		theme := browser.Evaluate[string](f.t, f.tab, "repaint()")
		f.plugin.Until(f.t, fmt.Sprintf("document.body.dataset.framerTheme === %q", theme))
		overflow = browser.Evaluate[int](f.t, f.plugin, "document.documentElement.scrollHeight - innerHeight")
		if overflow > 0 {
			f.t.Errorf("%s is %d pixels too high", name, overflow)
		}
		return browser.Evaluate[int](f.t, f.plugin, "document.documentElement.scrollWidth - innerWidth")
	})
	browser.Do(f.t, f.tab, chromedp.ResetViewport())
}

// A person meets every state of examples/framer-plugin: cancelled at the provider and in the plugin, too
// late, signed in through the page opened again, a profile that cannot be loaded at first, signed out.
func TestBrowserFramerPlugin(t *testing.T) {
	t.Parallel()
	browser.Each(t, testBrowserFramerPlugin)
}

func testBrowserFramerPlugin(t *testing.T, engine browser.Engine) {
	f := openFramerPlugin(t, engine, "framer-plugin")
	f.says(inStatus, "Sign in to see your profile.")
	f.picture("1-signed-out")
	f.checkDenied()
	f.checkTooLate()

	f.opens("Sign in")
	f.press("Cancel")
	f.says(inStatus, "Sign in to see your profile.")
	const focused = "document.activeElement.textContent"
	if focus := browser.Evaluate[string](t, f.plugin, focused); focus != "Sign in" {
		t.Errorf("after Cancel the focus is at %q", focus)
	}

	f.checkSignedIn()
	f.press("Sign out")
	f.says(inStatus, "Sign in to see your profile.")
	if kept := browser.Evaluate[int](t, f.plugin, "localStorage.length"); kept != 0 {
		t.Errorf("after signing out, %d values are kept", kept)
	}
}

// checkDenied is a sign-in that the person cancels at the provider.
func (f *framed) checkDenied() {
	f.t.Helper()
	opened := f.opens("Sign in")
	f.picture("2-waiting")
	address := browser.Evaluate[string](f.t, f.plugin, "document.querySelector('a').href")
	authorization, err := url.Parse(address)
	if err != nil {
		f.t.Fatal(err)
	}
	denied := url.Values{"error": {"access_denied"}, "state": {authorization.Query().Get("state")}}
	opened.Navigate(f.t, f.d.backendURL+"/redirect?"+denied.Encode())
	f.says(inAlert, "The sign-in was cancelled, or access was not allowed. The plugin has no access.")
	f.picture("3-denied")
}

// checkTooLate is a sign-in that has taken so long that the backend forgets it.
func (f *framed) checkTooLate() {
	f.t.Helper()
	f.opens("Sign in")
	sessions, err := f.d.app.FindAllRecords("sessions")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, session := range sessions {
		if err := f.d.app.Delete(session); err != nil {
			f.t.Fatal(err)
		}
	}
	f.says(inAlert, "The sign-in took too long. Please start again.")
	f.picture("4-too-late")
}

// checkSignedIn is a sign-in in the page opened again. The profile loads at the second attempt.
func (f *framed) checkSignedIn() {
	f.t.Helper()
	// The profile waits for go, or for fail.
	browser.Evaluate[any](f.t, f.plugin, `(() => {
		const send = fetch
		window.fetch = async (request, ...more) => {
			if (request.url?.endsWith("/userinfo")) {
				await new Promise((resolve, reject) => Object.assign(window, { go: resolve, fail: reject }))
			}
			return send(request, ...more)
		}
	})()`)
	f.opens("Sign in").Close(f.t)
	opened := f.opens("Open the page again")
	f.d.submitIn(f.t, opened)
	opened.WaitVisible(f.t, "main.success h1")
	f.says(inStatus, "Your profile is loading …")
	f.picture("5-profile-loading")
	browser.Evaluate[any](f.t, f.plugin, "fail(new TypeError('Failed to fetch'))")
	f.says(inAlert, "Your profile cannot be loaded.")
	f.picture("6-profile-failed")
	f.press("Try again")
	f.says(inStatus, "Your profile is loading …")
	browser.Evaluate[any](f.t, f.plugin, "go()")
	f.says(inHeading, "Test User")
	f.picture("7-signed-in")
}
