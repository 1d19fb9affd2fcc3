package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"plugin-oauth/internal/browser"
	"plugin-oauth/internal/testkit"
)

// figmaHTML does as much of what Figma does as the plugin needs: it runs the code beside the document in a
// sandbox, shows the page in a frame without an origin, and keeps what is stored.
//
//go:embed figma_plugin_test.html
var figmaHTML string

// buildFigmaPlugin builds examples/figma-plugin, once for all tests.
var buildFigmaPlugin = sync.OnceValues(func() (output []byte, err error) {
	for _, arguments := range [][]string{{"ci", "--no-audit", "--no-fund"}, {"run", "build"}} {
		npm := exec.Command("npm", arguments...)
		npm.Dir = "../figma-plugin"
		if output, err = npm.CombinedOutput(); err != nil {
			return output, fmt.Errorf("npm %s: %w", arguments[0], err)
		}
	}
	return nil, nil
})

// figmaPlugin is examples/figma-plugin in a page that stands for Figma.
type figmaPlugin struct {
	t        *testing.T
	backend  *relay
	provider *provider
	host     *browser.Page // Figma
	ui       *browser.Page // the plugin's page, in its frame
}

// openFigmaPlugin runs the plugin. With sealed tokens its manifest lists the backend only.
func openFigmaPlugin(t *testing.T, engine browser.Engine, sealed bool) *figmaPlugin {
	t.Helper()
	f := &figmaPlugin{t: t, backend: newRelay(t)}
	f.provider = newProvider(t, f.backend.url+"/redirect")
	env := []string{"ALLOWED_ORIGINS=null", "RETURN_APP=Figma"}
	if sealed {
		env = append(env, "TOKENS=sealed", "API_HOSTS="+f.provider.url,
			"ENCRYPTION_KEY=0123456789abcdef0123456789abcdef")
	}
	f.backend.knows(f.provider, env...)
	f.backend.start()
	files := f.files(sealed)
	figma := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plugin" {
			w.Write(files)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte(figmaHTML))
	}))
	f.host = browser.Open(t, engine, figma)
	f.started()
	return f
}

// figmaManifest is what the page that stands for Figma heeds of a manifest.
type figmaManifest struct {
	Name          string `json:"name"`
	Main          string `json:"main"`
	UI            string `json:"ui"`
	NetworkAccess struct {
		AllowedDomains    []string `json:"allowedDomains"`
		DevAllowedDomains []string `json:"devAllowedDomains"`
	} `json:"networkAccess"`
}

// files returns what Figma loads of the plugin, in JSON.
func (f *figmaPlugin) files(sealed bool) []byte {
	f.t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		testkit.Missing(f.t, "BROWSER_TEST", "npm is not installed")
	}
	if output, err := buildFigmaPlugin(); err != nil {
		f.t.Fatalf("%v\n%s", err, output)
	}
	addresses := strings.NewReplacer(
		"http://localhost:8787", f.backend.url, "http://localhost:8788", f.provider.url)
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join("../figma-plugin", name))
		if err != nil {
			f.t.Fatal(err)
		}
		return addresses.Replace(string(content))
	}
	var manifest figmaManifest
	if err := json.Unmarshal([]byte(read("manifest.json")), &manifest); err != nil {
		f.t.Fatal(err)
	}
	if sealed {
		manifest.NetworkAccess.DevAllowedDomains = []string{f.backend.url}
	}
	files, err := json.Marshal(map[string]any{
		"manifest": manifest, "code": read(manifest.Main), "html": read(manifest.UI),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return files
}

// started finds the page of a plugin that has just been started.
func (f *figmaPlugin) started() {
	f.t.Helper()
	f.host.Until(f.t, "document.querySelector('iframe')")
	f.ui = f.host.Frame(f.t, "iframe")
}

// says waits until a part of the plugin, which its id names, says something.
func (f *figmaPlugin) says(id, words string) {
	f.t.Helper()
	f.ui.Until(f.t, fmt.Sprintf("document.getElementById(%q).textContent === %q", id, words))
}

// opens presses Sign in, and returns the address that opens in the browser.
func (f *figmaPlugin) opens() string {
	f.t.Helper()
	before := browser.Evaluate[int](f.t, f.host, "opened.length")
	f.ui.Click(f.t, "#button")
	f.host.Until(f.t, fmt.Sprintf("opened.length === %d", before+1))
	f.says("status", "Finish the sign-in in your browser.")
	return browser.Evaluate[string](f.t, f.host, "opened.at(-1)")
}

// signInAt signs in at an address that the plugin has opened in the browser.
func (f *figmaPlugin) signInAt(address string) {
	f.t.Helper()
	tab := f.host.Profile().Open(f.t, address)
	tab.Click(f.t, "button") // the form is filled in
	waitForButtons(f.t, tab)
	tab.Click(f.t, "button[value=continue]")
	tab.WaitVisible(f.t, "main.success h1")
	if said := tab.Text(f.t, "main"); !strings.Contains(said, "return to Figma") {
		f.t.Errorf("the page says %s", said)
	}
	tab.Close(f.t)
}

// picture takes screenshots in both of Figma's themes. What is shown must fit, also where it has to be
// narrow. In Chromium, axe-core must find nothing in it.
func (f *figmaPlugin) picture(name string) {
	f.t.Helper()
	for _, theme := range []string{"light", "dark"} {
		f.host.Run(f.t, fmt.Sprintf("setTheme(%q)", theme))
		f.ui.Until(f.t, fmt.Sprintf("document.documentElement.className === 'figma-%s'", theme))
		const painted = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
		for _, page := range []*browser.Page{f.ui, f.host} { // each is painted by a process of its own
			page.Run(f.t, painted)
		}
		engine := strings.ToLower(string(f.host.Engine()))
		saveScreenshot(f.t, f.host, fmt.Sprintf("figma-plugin-%s-%s-%s", name, theme, engine))
		if f.host.Engine() != browser.Chromium {
			continue
		}
		loadAxe(f.t, f.ui)
		axe := fmt.Sprintf("(%s)({ excused: [] })", runAxe)
		for _, found := range browser.Evaluate[[]violation](f.t, f.ui, axe) {
			f.t.Errorf("%s, %s: %s: %s\n\t%s", name, theme, found.Rule, found.Help, found.HTML)
		}
	}
	for _, width := range []int{280, 200} {
		f.host.Run(f.t, fmt.Sprintf("frame.style.width = '%dpx'", width))
		f.ui.Until(f.t, fmt.Sprintf("innerWidth === %d", width))
		over := browser.Evaluate[[]int](f.t, f.ui, `(({ scrollWidth, scrollHeight }) =>
			[scrollWidth - innerWidth, scrollHeight - innerHeight])(document.documentElement)`)
		if over[0] > 0 || (width == 280 && over[1] > 0) {
			f.t.Errorf("%s at %d is too large by %d and %d", name, width, over[0], over[1])
		}
	}
	f.host.Run(f.t, "frame.style.width = '280px'")
}

// A person meets every state of examples/figma-plugin: cancelled in the plugin and at the provider, signed in
// through the page opened again, a profile that cannot be loaded at first, a card on the page and one that
// cannot be added, closed and opened again, also while it waits, signed out, and a backend that is down.
func TestFigmaPlugin(t *testing.T) {
	t.Parallel()
	browser.Each(t, func(t *testing.T, engine browser.Engine) {
		f := openFigmaPlugin(t, engine, false)
		f.says("status", "Sign in to put your name on the page.")
		f.checkFrame()
		f.picture("1-signed-out")
		f.checkCancel()
		f.checkDenied()
		f.checkSignIn()
		f.checkCard()
		f.reopen()
		f.says("name", "Test User") // it still knows
		f.checkSignOut()
		f.checkResumed()
		f.backend.stop()
		f.ui.Click(t, "#button")
		f.says("alert", "The sign-in service cannot be reached. Please try again.")
		f.picture("8-unreachable")
		if errors := browser.Evaluate[[]string](t, f.host, "errors"); len(errors) > 0 {
			t.Errorf("beside the document: %q", errors)
		}
	})
}

// checkFrame checks that the page has no more than Figma gives it.
func (f *figmaPlugin) checkFrame() {
	f.t.Helper()
	unlisted := strings.Replace(f.provider.url, "localhost", "127.0.0.1", 1) + "/userinfo"
	got := browser.Evaluate[[]string](f.t, f.ui, fmt.Sprintf(`fetch(%q, { mode: "no-cors" })
		.then(() => "reached", () => "refused").then(unlisted => {
			try {
				return [origin, unlisted, typeof localStorage]
			} catch {
				return [origin, unlisted, "no storage"]
			}
		})`, unlisted))
	if want := []string{"null", "refused", "no storage"}; !slices.Equal(got, want) {
		f.t.Errorf("the page has %q, want %q", got, want)
	}
}

// checkCancel is a sign-in that ends in the plugin. The focus stays at the button, which the keyboard
// presses.
func (f *figmaPlugin) checkCancel() {
	f.t.Helper()
	f.opens()
	f.picture("2-waiting")
	f.ui.Until(f.t, "document.activeElement.textContent === 'Cancel'")
	f.ui.Press(f.t, browser.Enter)
	f.says("status", "Sign in to put your name on the page.")
	f.says("alert", "")
	f.ui.Until(f.t, "document.activeElement.textContent === 'Sign in'")
}

// checkDenied is a sign-in that the person cancels at the provider.
func (f *figmaPlugin) checkDenied() {
	f.t.Helper()
	authorization, err := url.Parse(f.opens())
	if err != nil {
		f.t.Fatal(err)
	}
	denied := url.Values{"error": {"access_denied"}, "state": {authorization.Query().Get("state")}}
	f.host.Profile().Open(f.t, f.backend.url+"/redirect?"+denied.Encode()).Close(f.t)
	f.says("alert", "The sign-in was cancelled, or access was not allowed. The plugin has no access.")
	f.says("status", "")
	f.picture("3-denied")
}

// checkSignIn is a sign-in in the page opened again. The profile loads at the second attempt.
func (f *figmaPlugin) checkSignIn() {
	f.t.Helper()
	// The profile waits for go, or for fail.
	f.ui.Run(f.t, `send = fetch, fetch = async (request, ...more) => {
		if (request.url?.endsWith("/userinfo")) {
			await new Promise((resolve, reject) => Object.assign(window, { go: resolve, fail: reject }))
		}
		return send(request, ...more)
	}`)
	address := f.opens()
	f.ui.Click(f.t, "#again")
	f.host.Until(f.t, "opened.at(-1) === opened.at(-2)")
	f.signInAt(address)
	f.says("status", "Your profile is loading …")
	f.picture("4-profile-loading")
	f.ui.Run(f.t, "fail(new TypeError('Failed to fetch'))")
	f.says("alert", "Your profile cannot be loaded.")
	f.picture("5-profile-failed")
	f.ui.Click(f.t, "#retry")
	f.says("status", "Your profile is loading …")
	f.ui.Run(f.t, "go()")
	f.says("name", "Test User")
	f.says("email", "test-user@zitadel.ch")
}

// checkCard adds a card to the page, and tries it where nobody may.
func (f *figmaPlugin) checkCard() {
	f.t.Helper()
	f.ui.Click(f.t, "#add")
	f.says("status", "Your card is on the page.")
	f.picture("6-signed-in")
	words := browser.Evaluate[[]string](f.t, f.host, `currentPage.children.flatMap(card =>
		currentPage.selection.includes(card) ? card.children.map(({ words }) => words) : ["not selected"])`)
	if want := []string{"Test User", "test-user@zitadel.ch"}; !slices.Equal(words, want) {
		f.t.Errorf("the page of the document has %q, want %q", words, want)
	}
	f.host.Run(f.t, "currentPage.readOnly = true")
	f.ui.Click(f.t, "#add")
	f.says("alert", "The card cannot be added to this page.")
	f.says("status", "")
	f.picture("7-read-only")
}

// reopen closes the plugin by the keyboard, and starts it again.
func (f *figmaPlugin) reopen() {
	f.t.Helper()
	// The page is gone before the key comes up, so it cannot be pressed from outside.
	f.ui.Run(f.t, "setTimeout(() => dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' })))")
	f.host.Until(f.t, "figma === null && !document.querySelector('iframe')")
	f.host.Run(f.t, "run()")
	f.started()
}

// checkResumed closes the plugin while it waits. Opened again, it waits on.
func (f *figmaPlugin) checkResumed() {
	f.t.Helper()
	address := f.opens()
	f.reopen()
	f.says("status", "Finish the sign-in in your browser.")
	f.signInAt(address)
	f.says("name", "Test User")
	f.ui.Click(f.t, "#button")
	f.says("status", "Sign in to put your name on the page.")
}

// checkSignOut signs out. The tokens are gone here, and at the provider.
func (f *figmaPlugin) checkSignOut() {
	f.t.Helper()
	stored := browser.Evaluate[string](f.t, f.host, "[...storage.values()].join()")
	var kept storedTokens
	if err := json.Unmarshal([]byte(stored), &kept); err != nil || kept.Tokens.RefreshToken == "" {
		f.t.Fatalf("%d bytes are stored (%v)", len(stored), err)
	}
	f.ui.Click(f.t, "#button")
	f.says("status", "Sign in to put your name on the page.")
	f.host.Until(f.t, "storage.size === 0")
	// Both tokens are revoked while the plugin says so already.
	f.ui.Until(f.t, `performance.getEntriesByType("resource")
		.filter(({ name }) => name.endsWith("/revoke")).length === 2`)
	refresh := f.backend.url + "/refresh?code=" + url.QueryEscape(kept.Tokens.RefreshToken)
	if _, err := post(f.t.Context(), refresh, http.StatusBadRequest); err != nil {
		f.t.Errorf("after signing out the refresh token still works: %v", err)
	}
}

// With sealed tokens the plugin works as it is, and needs to reach nothing but the backend.
func TestFigmaPluginSealed(t *testing.T) {
	t.Parallel()
	browser.Each(t, func(t *testing.T, engine browser.Engine) {
		f := openFigmaPlugin(t, engine, true)
		f.signInAt(f.opens())
		f.says("name", "Test User")
		var kept storedTokens
		stored := browser.Evaluate[string](t, f.host, "[...storage.values()].join()")
		if err := json.Unmarshal([]byte(stored), &kept); err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{kept.Tokens.AccessToken, kept.Tokens.RefreshToken} {
			if !strings.HasPrefix(token, "sealed.") {
				t.Error("a token is stored that is not sealed")
			}
		}
	})
}

// The demo lets pages without an origin call if it is told that the plugin is in Figma, and else not.
func TestDemoForFigma(t *testing.T) {
	t.Parallel()
	for _, figma := range []bool{true, false} {
		d := startWith(t, options{figma: figma})
		authorize := d.backendURL + "/authorize"
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, authorize, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", "null")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if allowed := response.Header.Get("Access-Control-Allow-Origin") == "null"; allowed != figma {
			t.Errorf("with figma %v, null is allowed: %v", figma, allowed)
		}
	}
}
