package main

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// host is the page around a plugin. It does as much of what Framer does as the plugin needs: it answers its first message,
// gives it a theme, and makes it as large as it asks.
const host = `<!DOCTYPE html>
<meta name="color-scheme" content="light dark">
<body style="margin: 0; background: #888">
<iframe style="display: block; border: 0; margin: 20px; width: 260px; height: 0" src="%s"></iframe>
<script>
	const frame = document.querySelector("iframe")
	const dark = matchMedia("(prefers-color-scheme: dark)")
	const colors = {
		light: { "bg": "#fff", "bg-secondary": "#e8e8e8", "bg-tertiary": "#f3f3f3", "text": "#333", "text-secondary": "#666", "text-reversed": "#fff", "tint": "#09f", "tint-dark": "#0088ff" },
		dark: { "bg": "#111", "bg-secondary": "#333", "bg-tertiary": "#2b2b2b", "text": "#fff", "text-secondary": "#ccc", "text-reversed": "#fff", "tint": "#09f", "tint-dark": "#0088ff" },
	}
	function theme() {
		const mode = dark.matches ? "dark" : "light"
		return { mode, tokens: Object.fromEntries(Object.entries(colors[mode]).map(([name, value]) => ["--framer-color-" + name, value])) }
	}
	const tell = message => frame.contentWindow.postMessage(message, "*")
	function repaint() {
		tell({ type: "subscriptionMessage", topic: "theme", payload: theme() })
		return theme().mode
	}
	onmessage = ({ data }) => {
		if (data.type === "pluginReadySignal") tell({ type: "pluginReadyResponse", mode: "canvas", permissionMap: {}, environmentInfo: {}, theme: theme() })
		if (data.type !== "methodInvocation") return
		if (data.methodName === "showUI") {
			frame.style.width = data.args[0].width + "px"
			frame.style.height = data.args[0].height + "px"
		}
		tell({ type: "methodResponse", id: data.id })
	}
</script>`

// framerPlugin builds examples/framer-plugin and serves it with the demo's addresses, and the page around it at /host.
// Without npm the test is skipped, except where BROWSER_TEST=required.
func framerPlugin(t *testing.T, d *demo) (hostURL, pluginURL string) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("BROWSER_TEST") == "required" {
			t.Fatal("npm is not installed, and BROWSER_TEST=required")
		}
		t.Skip("npm is not installed: the Framer plugin is not tested")
	}
	for _, command := range []string{"npm ci --no-audit --no-fund", "npm run build"} {
		words := strings.Fields(command)
		npm := exec.CommandContext(t.Context(), words[0], words[1:]...)
		npm.Dir = "../framer-plugin"
		if output, err := npm.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, output)
		}
	}
	addresses := strings.NewReplacer("http://localhost:8787", d.relayURL, "http://localhost:8788", d.issuer)
	dist := os.DirFS("../framer-plugin/dist")
	mux := http.NewServeMux()
	// As in Framer, the plugin is of another site than the page around it.
	pluginURL = serve(t, mux) + "/"
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
	return hostURL, pluginURL
}

// A person meets every state of examples/framer-plugin: cancelled at the provider and in the plugin, too late, signed in through
// the page opened again, a profile that cannot be loaded at first, signed out.
func TestBrowserFramerPlugin(t *testing.T) {
	d := startDemo(t, "")
	hostURL, pluginURL := framerPlugin(t, d)
	tab := browser(t)
	do(t, tab, chromedp.Navigate(hostURL))
	targets, err := chromedp.Targets(tab)
	if err != nil {
		t.Fatal(err)
	}
	framed := slices.IndexFunc(targets, func(info *target.Info) bool { return info.URL == pluginURL })
	if framed < 0 {
		t.Fatal("the plugin is not in the page")
	}
	plugin, leave := chromedp.NewContext(tab, chromedp.WithTargetID(targets[framed].TargetID))
	defer leave()

	says := func(selector, words string) {
		t.Helper()
		until(t, plugin, fmt.Sprintf("document.querySelector(%q)?.textContent === %q", selector, words))
	}
	press := func(words string) {
		t.Helper()
		do(t, plugin, chromedp.Click(chromedp.Search(fmt.Sprintf("//*[self::button or self::a][text()=%q]", words))))
	}
	// opens presses what opens the provider's page, and returns the window.
	opens := func(words string) context.Context {
		t.Helper()
		press(words)
		opened := window(t, tab, d.issuer)
		do(t, opened, chromedp.WaitVisible(chromedp.CSS("#username")))
		says("[role=status]", "Finish the sign-in in your browser.")
		return opened
	}
	picture := func(name string) {
		t.Helper()
		screenshots(t, tab, "framer-"+name, []int64{300}, func(width int64) (overflow int) {
			do(t, tab, chromedp.EmulateViewport(width, 240))
			until(t, plugin, fmt.Sprintf("document.body.dataset.framerTheme === %q", evaluate[string](t, tab, "repaint()")))
			if overflow := evaluate[int](t, plugin, "document.documentElement.scrollHeight - innerHeight"); overflow > 0 {
				t.Errorf("%s is %d pixels too high", name, overflow)
			}
			return evaluate[int](t, plugin, "document.documentElement.scrollWidth - innerWidth")
		})
		do(t, tab, chromedp.ResetViewport())
	}

	says("[role=status]", "Sign in to see your profile.")
	picture("1-signed-out")

	opened := opens("Sign in")
	picture("2-waiting")
	authorization, err := url.Parse(evaluate[string](t, plugin, "document.querySelector('a').href"))
	if err != nil {
		t.Fatal(err)
	}
	denied := d.relayURL + "/redirect?error=access_denied&state=" + url.QueryEscape(authorization.Query().Get("state"))
	do(t, opened, chromedp.Navigate(denied))
	says("[role=alert]", "The sign-in was cancelled, or access was not allowed. The plugin has no access.")
	picture("3-denied")

	// The backend forgets a sign-in that has taken too long.
	opens("Sign in")
	sessions, err := d.app.FindAllRecords("sessions")
	if err != nil {
		t.Fatal(err)
	}
	for _, session := range sessions {
		if err := d.app.Delete(session); err != nil {
			t.Fatal(err)
		}
	}
	says("[role=alert]", "The sign-in took too long. Please start again.")
	picture("4-too-late")

	opens("Sign in")
	press("Cancel")
	says("[role=status]", "Sign in to see your profile.")
	if focus := evaluate[string](t, plugin, "document.activeElement.textContent"); focus != "Sign in" {
		t.Errorf("after Cancel the focus is at %q", focus)
	}

	// The profile waits for go, or for fail.
	evaluate[any](t, plugin, `(() => {
		const send = fetch
		window.fetch = async (request, ...more) => {
			if (request.url?.endsWith("/userinfo")) await new Promise((resolve, reject) => Object.assign(window, { go: resolve, fail: reject }))
			return send(request, ...more)
		}
	})()`)
	if _, err := chromedp.Call(opens("Sign in"), page.Close, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	do(t, opens("Open the page again"),
		chromedp.SendKeys(chromedp.CSS("#username"), d.username),
		chromedp.SendKeys(chromedp.CSS("#password"), d.password),
		chromedp.Click(chromedp.CSS("button")),
		chromedp.WaitVisible(chromedp.CSS("main.success h1")))
	says("[role=status]", "Your profile is loading …")
	picture("5-profile-loading")
	evaluate[any](t, plugin, "fail(new TypeError('Failed to fetch'))")
	says("[role=alert]", "Your profile cannot be loaded.")
	picture("6-profile-failed")
	press("Try again")
	says("[role=status]", "Your profile is loading …")
	evaluate[any](t, plugin, "go()")
	says("h1", "Test User")
	picture("7-signed-in")

	press("Sign out")
	says("[role=status]", "Sign in to see your profile.")
	if kept := evaluate[int](t, plugin, "localStorage.length"); kept != 0 {
		t.Errorf("after signing out, %d values are kept", kept)
	}
}
