package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// startDemo starts the demo until the test ends. confirmLogin is as in hooks.Config; blank: its default.
func startDemo(t *testing.T, confirmLogin string) *demo {
	t.Helper()
	return startWith(t, options{confirmLogin: confirmLogin})
}

func startWith(t *testing.T, wanted options) *demo {
	t.Helper()
	d, err := start(wanted)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	return d
}

// A whole login and a refresh with rotation against a real OpenID provider, over HTTP.
func TestSignIn(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	var out bytes.Buffer
	if err := signIn(t.Context(), &out, d); err != nil {
		t.Fatalf("%v after\n%s", err, &out)
	}
	for _, line := range []string{
		"PKCE S256", "404  pending", `"You are signed in"`, `"aud": [` + "\n    \"demo-plugin\"",
		"given once", "Test User", "2 databases", "a new refresh token",
		"the same for a second window", "signed out",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is missing in\n%s", line, &out)
		}
	}
	d.password = "wrong"
	if err := signIn(t.Context(), &out, d); err == nil {
		t.Error("a wrong password signs in")
	}
}

// chromium returns the path of Debian's Chromium. Without one the test is skipped, except where
// BROWSER_TEST=required.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("BROWSER_TEST") == "required" {
		t.Fatal("no Chromium is installed, and BROWSER_TEST=required")
	}
	t.Skip("no Chromium is installed: the browser test does not run")
	return ""
}

// browser starts a browser until the test ends, and returns its tab.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := chromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.DisableGPU,
		chromedp.Flag("disable-popup-blocking", false),
		chromedp.Flag("disable-component-update", true),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	return ctx
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func evaluate[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatal(expression, err)
	}
	return value
}

// look takes screenshots of the page in the tab, and checks that it fits.
func look(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	screenshots(t, ctx, name, []int64{1280, 320}, func(width int64) (overflow int) {
		do(t, ctx, chromedp.EmulateViewport(width, 640))
		return evaluate[int](t, ctx, "document.documentElement.scrollWidth - innerWidth")
	})
	do(t, ctx, chromedp.ResetViewport())
}

// screenshots pictures a tab in light and dark, at each width. fit sets the width, and returns by how many
// pixels the page is too wide.
func screenshots(
	t *testing.T, ctx context.Context, name string, widths []int64, fit func(width int64) (overflow int),
) {
	t.Helper()
	dir := screenshotsDir(t)
	// A tab in the background is not painted, and a screenshot of it may never come.
	if _, err := chromedp.Call(ctx, page.BringToFront, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		emulateMedia(t, ctx, "prefers-color-scheme", scheme)
		for _, width := range widths {
			if overflow := fit(width); overflow > 0 {
				t.Errorf("%s is %d pixels too wide at %d", name, overflow, width)
			}
			picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, scheme, width))
			if err := os.WriteFile(file, picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// screenshotsDir returns the folder that screenshots land in.
func screenshotsDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CI_OUTPUT")
	if dir == "" {
		dir = t.TempDir()
	}
	dir = filepath.Join(dir, "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// emulateMedia makes a tab believe in one feature of media, such as prefers-color-scheme.
func emulateMedia(t *testing.T, ctx context.Context, feature, value string) {
	t.Helper()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: feature, Value: value}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A person signs in where the plugin uses the client: plugin page, provider's login form, the backend's page,
// tokens in the plugin, sign-out.
func TestBrowserSignIn(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	plugin := browser(t)
	do(t, plugin, chromedp.Navigate(d.pluginURL), chromedp.WaitVisible(chromedp.CSS("#signIn")))
	look(t, plugin, "plugin-1-signed-out")

	do(t, plugin, chromedp.Click(chromedp.CSS("#signIn")))
	opened := window(t, plugin, d.issuer)
	do(t, opened, chromedp.WaitVisible(chromedp.CSS("#username")))
	look(t, plugin, "plugin-2-waiting")
	d.lookAtTheLogin(t, opened)
	do(t, plugin, chromedp.Click(chromedp.CSS("#cancel")), chromedp.WaitVisible(chromedp.CSS("#signIn")))
	if status := text(t, plugin, "#status"); status != "Sign in to see who you are." {
		t.Errorf("after Cancel it says %s", status)
	}
	do(t, plugin, chromedp.Click(chromedp.CSS("#signIn")), chromedp.WaitVisible(chromedp.CSS("#again")))
	do(t, opened, chromedp.Navigate(evaluate[string](t, plugin, "document.querySelector('#again').href")))
	d.submitIn(t, opened)
	do(t, opened, chromedp.WaitVisible(chromedp.CSS("main.success h1")))
	d.checkPage(t, opened, said{
		heading: "You are signed in",
		words:   "You can close this window and return to Framer.",
	})
	look(t, opened, "page-success")

	do(t, plugin, chromedp.WaitVisible(chromedp.CSS("#signOut")))
	until(t, plugin, `document.querySelector("#status").textContent ===
		"You are signed in as Test User (test-user@zitadel.ch)."`)
	look(t, plugin, "plugin-3-signed-in")
	do(t, plugin, chromedp.Navigate(d.pluginURL)) // opened again, it still knows
	until(t, plugin, `document.querySelector("#status").textContent.includes("Test User")`)

	do(t, plugin, chromedp.Click(chromedp.CSS("#signOut")), chromedp.WaitVisible(chromedp.CSS("#signIn")))
	if status := text(t, plugin, "#status"); status != "Sign in to see who you are." {
		t.Errorf("signed out it says %s", status)
	}
}

// lookAtTheLogin checks the provider's login page: it says what to enter, and has entered it.
func (d *demo) lookAtTheLogin(t *testing.T, opened context.Context) {
	t.Helper()
	words := evaluate[string](t, opened, "document.querySelector('main').innerText")
	for _, word := range []string{d.username, d.password} {
		if !strings.Contains(words, word) {
			t.Errorf("%s does not stand on the login page:\n%s", word, words)
		}
	}
	filled := evaluate[string](t, opened, "[document.querySelector('#username').value, "+
		"document.querySelector('#password').value].join()")
	if filled != d.username+","+d.password {
		t.Errorf("the form has %s", filled)
	}
	look(t, opened, "provider-login")
	checkAccessibility(t, opened, "provider login")
	do(t, opened,
		chromedp.SetValue(chromedp.CSS("#password"), "wrong"),
		chromedp.Click(chromedp.CSS("button")),
		chromedp.WaitVisible(chromedp.CSS("#error")))
	look(t, opened, "provider-login-wrong")
	checkAccessibility(t, opened, "provider login")
}

// The same where the plugin has a timer, as plugins in the field do, with a refresh by hand.
func TestBrowserPlainSignIn(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	plugin := browser(t)
	do(t, plugin,
		chromedp.Navigate(d.pluginURL+"/plain"),
		chromedp.WaitVisible(chromedp.CSS("#signIn")),
		chromedp.Click(chromedp.CSS("#signIn")))
	opened := window(t, plugin, d.issuer)
	d.submitIn(t, opened)
	do(t, opened, chromedp.WaitVisible(chromedp.CSS("main.success h1")))

	do(t, plugin, chromedp.WaitVisible(chromedp.CSS("#signOut")))
	var response map[string]any
	stored := evaluate[string](t, plugin, `localStorage.getItem("tokens")`)
	if err := json.Unmarshal([]byte(stored), &response); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token", "token_type", "expires_in"} {
		if response[name] == nil {
			t.Errorf("%s is not in localStorage", name)
		}
	}
	do(t, plugin, chromedp.Click(chromedp.CSS("#refresh")))
	until(t, plugin, `document.getElementById("status").textContent === "The tokens are fresh."`)
	fresh := evaluate[string](t, plugin, `localStorage.getItem("tokens")`)
	if fresh == stored {
		t.Error("the refresh changed nothing")
	}
	if err := json.Unmarshal([]byte(fresh), &response); err != nil {
		t.Fatal(err)
	}

	do(t, plugin, chromedp.Click(chromedp.CSS("#signOut")), chromedp.WaitVisible(chromedp.CSS("#signIn")))
	until(t, plugin, `document.getElementById("status").textContent === "You are signed out."`)
	refresh := d.backendURL + "/refresh?code=" + url.QueryEscape(fmt.Sprint(response["refresh_token"]))
	if _, err := post(t.Context(), refresh, http.StatusBadRequest); err != nil {
		t.Errorf("after signing out the refresh token still works: %v", err)
	}
}

// A person is asked, cancels once, and continues the next time.
func TestBrowserConfirm(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "always")
	tab := browser(t)
	poll := d.signInUpToTheQuestion(t, tab)
	until(t, tab, buttonsShow)
	look(t, tab, "page-confirm")
	same := evaluate[bool](t, tab, `(([a, b]) => a.offsetWidth === b.offsetWidth &&
		getComputedStyle(a).background === getComputedStyle(b).background
	)([...document.querySelectorAll("button")])`)
	if !same {
		t.Error("one of the two choices stands out")
	}
	until(t, tab, buttonsShow) // the window may have got the focus
	tabOnce(t, tab, "button[value=cancel]")
	tabOnce(t, tab, "button[value=continue]")
	evaluate[bool](t, tab, "(document.querySelector('button[value=cancel]').focus(), true)")
	do(t, tab, chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS("main.denied h1")))
	d.checkPage(t, tab, said{heading: "Sign-in cancelled", words: "The plugin has no access."})
	body, err := post(t.Context(), poll, http.StatusBadRequest)
	if err != nil || !strings.Contains(string(body), "access_denied") {
		t.Errorf("after Cancel: %s, %v", body, err)
	}

	poll = d.signInUpToTheQuestion(t, tab)
	until(t, tab, buttonsShow)
	// A double click sends the form once.
	if sent := evaluate[int](t, tab, `(() => {
		let sent = 0
		document.querySelector("form").addEventListener("submit", event => {
			if (!event.defaultPrevented) sent++
		})
		document.querySelector("button[value=continue]").click()
		document.querySelector("button[value=continue]").click()
		return sent
	})()`); sent != 1 {
		t.Errorf("a double click sends the form %d times", sent)
	}
	do(t, tab, chromedp.WaitVisible(chromedp.CSS("main.success h1")))
	d.checkPage(t, tab, said{heading: "You are signed in", words: "You can close this window"})
	if _, err := post(t.Context(), poll, http.StatusOK); err != nil {
		t.Error(err)
	}
	// The page may come back as it was left, without being loaded.
	evaluate[bool](t, tab, "(setTimeout(() => history.back()), true)")
	until(t, tab, "document.querySelector('h1')?.textContent !== 'You are signed in'")
}

// tabOnce presses the tabulator key, and checks that it leads to an element, which shows that.
func tabOnce(t *testing.T, tab context.Context, selector string) {
	t.Helper()
	do(t, tab, chromedp.KeyEvent(kb.Tab))
	until(t, tab, `document.activeElement === document.querySelector("`+selector+`")`)
	outline := evaluate[string](t, tab, "getComputedStyle(document.activeElement).outlineWidth")
	if outline != "3px" {
		t.Errorf("at %s the outline is %s", selector, outline)
	}
}

// buttonsShow is true once the buttons of the question take a click.
const buttonsShow = `getComputedStyle(document.querySelector("button")).visibility === "visible" &&
	performance.now() - since >= 1000`

// A click that comes at once was meant for what was there before: the buttons of the question are not there
// yet, neither for the mouse nor for the keyboard, and no form is sent. So it is again when the window gets
// the focus, and without a script as well when it is shown.
func TestBrowserConfirmWaits(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "always")
	tab := browser(t)
	d.signInUpToTheQuestion(t, tab)
	until(t, tab, buttonsShow)
	const tryAll = `(() => {
		const form = document.querySelector("form"), button = form.querySelector("button[value=continue]")
		const { left, top, width, height } = button.getBoundingClientRect()
		const hit = document.elementFromPoint(left + width / 2, top + height / 2) === button
		button.blur()
		button.focus()
		let sent = false
		const listen = event => {
			sent = !event.defaultPrevented
			event.preventDefault()
		}
		form.addEventListener("submit", listen)
		form.requestSubmit(button)
		form.removeEventListener("submit", listen)
		delete form.dataset.sent
		return [hit, document.activeElement === button, sent].join()
	})()`
	if got := evaluate[string](t, tab, tryAll); got != "true,true,true" {
		t.Errorf("after a second: mouse, keyboard, form are %s", got)
	}
	for _, event := range []string{
		`window, new Event("focus")`, `window, new Event("pageshow")`,
		`document, new Event("visibilitychange")`,
	} {
		target, made, _ := strings.Cut(event, ", ")
		got := evaluate[string](t, tab, "("+target+".dispatchEvent("+made+"), "+tryAll+")")
		if got != "false,false,false" {
			t.Errorf("after %s: mouse, keyboard, form are %s", event, got)
		}
		until(t, tab, buttonsShow)
		if got := evaluate[string](t, tab, tryAll); got != "true,true,true" {
			t.Errorf("a second after %s: mouse, keyboard, form are %s", event, got)
		}
	}
	// The style alone is what a browser without scripts has.
	got := evaluate[string](t, tab, `(() => {
		const form = document.querySelector("form"), copy = form.cloneNode(true)
		form.replaceWith(copy)
		const style = getComputedStyle(copy.querySelector("button"))
		return [style.animationName, style.animationDuration, style.visibility].join()
	})()`)
	if got != "wait,1s,hidden" {
		t.Errorf("without a script the buttons are %s", got)
	}
}

// signInUpToTheQuestion goes through the provider's login form, and returns the address to poll.
func (d *demo) signInUpToTheQuestion(t *testing.T, tab context.Context) (poll string) {
	t.Helper()
	started := d.startLogin(t)
	do(t, tab, chromedp.Navigate(started.URL))
	d.submitIn(t, tab)
	do(t, tab, chromedp.WaitVisible(chromedp.CSS("main.question h1")))
	d.checkPage(t, tab, said{
		heading: "Did you start this sign-in?",
		words:   "whoever started it gets into your localhost account through Demo plugin.",
	})
	return d.backendURL + "/poll?readKey=" + url.QueryEscape(started.ReadKey)
}

// startedLogin is the answer of /authorize.
type startedLogin struct{ URL, ReadKey string }

func (d *demo) startLogin(t *testing.T) (started startedLogin) {
	t.Helper()
	body, err := post(t.Context(), d.backendURL+"/authorize", http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &started); err != nil {
		t.Fatal(err)
	}
	return started
}

// submitIn fills in the provider's login form in a tab, and sends it.
func (d *demo) submitIn(t *testing.T, tab context.Context) {
	t.Helper()
	do(t, tab,
		chromedp.WaitVisible(chromedp.CSS("#username")),
		chromedp.SetValue(chromedp.CSS("#username"), d.username),
		chromedp.SetValue(chromedp.CSS("#password"), d.password),
		chromedp.Click(chromedp.CSS("button")))
}

// said is what a page tells a person.
type said struct{ heading, words string }

// checkPage checks what holds for every page of the backend in a browser.
func (d *demo) checkPage(t *testing.T, ctx context.Context, want said) {
	t.Helper()
	if got := evaluate[string](t, ctx, "document.querySelector('h1').textContent"); got != want.heading {
		t.Errorf("the heading is %q, want %q", got, want.heading)
	}
	if shown := evaluate[string](t, ctx, "document.body.innerText"); !strings.Contains(shown, want.words) {
		t.Errorf("%s: the page does not say %q:\n%s", want.heading, want.words, shown)
	}
	address, err := url.Parse(evaluate[string](t, ctx, "location.href"))
	if err != nil || address.RawQuery != "" || !strings.HasPrefix(address.String(), d.backendURL) {
		t.Errorf("%s: the address bar shows %s", want.heading, address)
	}
	// The policy lets the page's own style in, and nothing is loaded from anywhere.
	radius := evaluate[string](t, ctx, "getComputedStyle(document.querySelector('main')).borderRadius")
	if radius != "16px" {
		t.Errorf("%s: the style is not in force", want.heading)
	}
	if n := evaluate[int](t, ctx, "performance.getEntriesByType('resource').length"); n != 0 {
		t.Errorf("%s: the page loads %d resources", want.heading, n)
	}
}

// otherPages are the pages besides the usual ones. NEW stands for the state of a new login, EXPIRED for that
// of one that has taken too long.
var otherPages = []struct {
	name, path string
	said       said
}{
	{
		name: "page-denied", path: "/redirect?error=access_denied&state=NEW",
		said: said{heading: "Sign-in cancelled", words: "The plugin has no access."},
	},
	{
		name: "page-failed", path: "/redirect?code=made-up&state=NEW",
		said: said{heading: "Sign-in failed", words: "does not accept this sign-in"},
	},
	{
		name: "page-misconfigured", path: "/redirect?error=redirect_uri_mismatch&state=NEW",
		said: said{heading: "Sign-in failed", words: "redirect_uri_mismatch"},
	},
	{
		name: "page-no-code", path: "/redirect?state=NEW",
		said: said{heading: "Sign-in failed", words: "without an answer"},
	},
	{
		name: "page-approval", path: "/redirect?setup_action=request&state=NEW",
		said: said{heading: "Not finished yet", words: "owner of the account"},
	},
	{
		name: "page-without-state", path: "/redirect?error=access_denied",
		said: said{heading: "Sign-in cancelled", words: "close it and open it again"},
	},
	{
		name: "page-expired", path: "/redirect?code=made-up&state=EXPIRED",
		said: said{heading: "This sign-in took too long", words: "start the sign-in again"},
	},
	{
		name: "page-unknown", path: "/redirect?code=made-up&state=made-up",
		said: said{heading: "Sign-in failed", words: "not known here"},
	},
	{
		name: "page-slashes", path: "//redirect?code=made-up&state=made-up",
		said: said{heading: "Sign-in failed", words: "not known here"},
	},
	{
		name: "page-incomplete", path: "/redirect",
		said: said{heading: "Nothing to finish here", words: "If you have just signed in, all is done."},
	},
	{
		name: "page-nothing", path: "/nothing?code=made-up",
		said: said{heading: "Nothing here", words: "There is no such address."},
	},
}

// Every other page that a person may see.
func TestBrowserPages(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	tab := browser(t)
	newState := func() string {
		authorization, err := url.Parse(d.startLogin(t).URL)
		if err != nil {
			t.Fatal(err)
		}
		return authorization.Query().Get("state")
	}
	expired := newState()
	if _, err := d.app.DB().NewQuery("UPDATE sessions SET expires = created").Execute(); err != nil {
		t.Fatal(err)
	}
	for _, shown := range otherPages {
		t.Run(shown.name, func(t *testing.T) {
			path := strings.NewReplacer("NEW", newState(), "EXPIRED", expired).Replace(shown.path)
			do(t, tab, chromedp.Navigate(d.backendURL+path), chromedp.WaitVisible(chromedp.CSS("h1")))
			d.checkPage(t, tab, shown.said)
			look(t, tab, shown.name)
		})
	}
}
