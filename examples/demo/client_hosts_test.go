package main

import (
	"fmt"
	"html"
	"net/http"
	"strings"
	"testing"

	"plugin-oauth/internal/browser"
)

// hostPage is the page around a plugin, which is of another site.
type hostPage struct {
	sandbox string // the iframe's attribute; blank: none

	// withoutStorage: the browser keeps cookies and storage from other sites.
	withoutStorage bool
}

// What design tools allow plugins that they put in a sandbox.
const (
	popUps     = "allow-scripts allow-popups allow-popups-to-escape-sandbox"
	withOrigin = popUps + " allow-same-origin"
)

// hostScenarios are a plugin's life in the pages that design tools show it in.
func hostScenarios() []scenario {
	return []scenario{
		{name: "in an iframe", host: &hostPage{}, run: testInHost},
		{name: "in an iframe without storage", host: &hostPage{withoutStorage: true}, run: testInHost},
		{name: "in a sandbox", host: &hostPage{sandbox: withOrigin}, run: testInHost},
		{
			name: "in a sandbox without storage", run: testInHost,
			host: &hostPage{sandbox: withOrigin, withoutStorage: true},
		},
		{
			name: "in a sandbox without an origin", run: testWithoutOrigin,
			host: &hostPage{sandbox: popUps}, env: []string{"ALLOWED_ORIGINS=null"},
		},
	}
}

// around serves the page around a plugin, and returns its address.
func (h *hostPage) around(t *testing.T, plugin string) (address string) {
	t.Helper()
	sandbox := ""
	if h.sandbox != "" {
		sandbox = fmt.Sprintf("sandbox=%q", h.sandbox)
	}
	page := fmt.Sprintf(`<!DOCTYPE html><link rel="icon" href="data:,"><iframe %s src="%s"></iframe>`,
		sandbox, html.EscapeString(plugin))
	return strings.Replace(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(page))
	})), "localhost", "127.0.0.1", 1)
}

func testInHost(t *testing.T, p *plugin) { checkInHost(t, p, func(*browser.Page) {}) }

// Where the origin is null, which every sandbox may send, the person is asked.
func testWithoutOrigin(t *testing.T, p *plugin) {
	checkInHost(t, p, func(opened *browser.Page) { agree(t, opened) })
}

// agree chooses Continue on the page that asks.
func agree(t *testing.T, opened *browser.Page) {
	t.Helper()
	waitForButtons(t, opened)
	opened.Run(t, `setTimeout(() => document.querySelector("button[value=continue]").click())`)
}

// checkInHost signs in, uses the token, signs out, and signs in again. The provider's page has been sent when
// confirm is called.
func checkInHost(t *testing.T, p *plugin, confirm func(opened *browser.Page)) {
	t.Helper()
	for range 2 {
		opened := p.click()
		if !browser.Evaluate[bool](t, opened, "opener === null") {
			t.Error("the provider's page reaches the plugin")
		}
		p.submit(opened)
		confirm(opened)
		p.ends(`{"`)
		p.status("signedIn")
		opened.WaitVisible(t, "main.success h1")
		opened.Close(t)
		p.get()
		p.ends(`{"status":200`)
		p.run("watch(auth.signOut())")
		p.ends(`"done"`)
		p.status("signedOut")
	}
}

// Where the browser keeps storage from iframes of other sites, it does so in these tests too. Chromium and
// Firefox have none there; WebKit gives each site around a plugin a storage of its own.
func TestThirdPartiesAreBlocked(t *testing.T) {
	t.Parallel()
	browser.Each(t, func(t *testing.T, engine browser.Engine) {
		plugin := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<h1>plugin</h1>")
		}))
		tab := browser.Open(t, engine, (&hostPage{}).around(t, plugin), browser.BlockThirdParties)
		got := browser.Evaluate[string](t, tab.Frame(t, "iframe"),
			"(() => { try { return typeof localStorage } catch (error) { return error.name } })()")
		want := "SecurityError"
		if engine == browser.WebKit {
			want = "object"
		}
		if got != want {
			t.Errorf("localStorage is %s", got)
		}
	})
}
