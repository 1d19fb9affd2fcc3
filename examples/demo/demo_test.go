package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plugin-oauth/internal/browser"
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

// A person signs in where the plugin uses the client: plugin page, provider's login form, the backend's page,
// tokens in the plugin, sign-out.
func TestBrowserSignIn(t *testing.T) {
	t.Parallel()
	browser.Each(t, func(t *testing.T, engine browser.Engine) {
		d := startDemo(t, "")
		plugin := browser.Open(t, engine, d.pluginURL)
		plugin.WaitVisible(t, "#signIn")
		look(t, plugin, "plugin-1-signed-out")

		plugin.Click(t, "#signIn")
		opened := plugin.Window(t, d.issuer)
		opened.WaitVisible(t, "#username")
		look(t, plugin, "plugin-2-waiting")
		d.checkTheLogin(t, opened)
		plugin.Click(t, "#cancel")
		plugin.WaitVisible(t, "#signIn")
		if status := plugin.Text(t, "#status"); status != "Sign in to see who you are." {
			t.Errorf("after Cancel it says %s", status)
		}
		plugin.Click(t, "#signIn")
		plugin.WaitVisible(t, "#again")
		opened.Navigate(t, browser.Evaluate[string](t, plugin, "document.querySelector('#again').href"))
		d.submitIn(t, opened)
		opened.WaitVisible(t, "main.success h1")
		d.checkPage(t, opened, said{
			heading: "You are signed in",
			words:   "You can close this window and return to Framer.",
		})
		look(t, opened, "page-success")

		d.checkSignedIn(t, plugin)
	})
}

// checkSignedIn checks that a plugin knows who is signed in, also when it is opened again, until it signs
// out.
func (d *demo) checkSignedIn(t *testing.T, plugin *browser.Page) {
	t.Helper()
	const signedIn = "You are signed in as Test User (test-user@zitadel.ch)."
	plugin.WaitVisible(t, "#signOut")
	plugin.Until(t, `document.querySelector("#status").textContent === "`+signedIn+`"`)
	look(t, plugin, "plugin-3-signed-in")
	plugin.Navigate(t, d.pluginURL)
	plugin.Until(t, `document.querySelector("#status").textContent === "`+signedIn+`"`)

	plugin.Click(t, "#signOut")
	plugin.WaitVisible(t, "#signIn")
	if status := plugin.Text(t, "#status"); status != "Sign in to see who you are." {
		t.Errorf("signed out it says %s", status)
	}
}

// checkTheLogin checks the provider's login page: it says what to enter, and has entered it.
func (d *demo) checkTheLogin(t *testing.T, opened *browser.Page) {
	t.Helper()
	words := opened.Text(t, "main")
	for _, word := range []string{d.username, d.password} {
		if !strings.Contains(words, word) {
			t.Errorf("%s does not stand on the login page:\n%s", word, words)
		}
	}
	filled := browser.Evaluate[string](t, opened, "[document.querySelector('#username').value, "+
		"document.querySelector('#password').value].join()")
	if filled != d.username+","+d.password {
		t.Errorf("the form has %s", filled)
	}
	look(t, opened, "provider-login")
	checkAccessibility(t, opened, "provider login")
	opened.SetValue(t, "#password", "wrong")
	opened.Click(t, "button")
	opened.WaitVisible(t, "#error")
	look(t, opened, "provider-login-wrong")
	checkAccessibility(t, opened, "provider login")
}

// The same where the plugin has a timer, as plugins in the field do, with a refresh by hand.
func TestBrowserPlainSignIn(t *testing.T) {
	t.Parallel()
	browser.Each(t, testBrowserPlainSignIn)
}

func testBrowserPlainSignIn(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "")
	plugin := browser.Open(t, engine, d.pluginURL+"/plain")
	plugin.WaitVisible(t, "#signIn")
	plugin.Click(t, "#signIn")
	opened := plugin.Window(t, d.issuer)
	d.submitIn(t, opened)
	opened.WaitVisible(t, "main.success h1")

	plugin.WaitVisible(t, "#signOut")
	var response map[string]any
	stored := browser.Evaluate[string](t, plugin, `localStorage.getItem("tokens")`)
	if err := json.Unmarshal([]byte(stored), &response); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token", "token_type", "expires_in"} {
		if response[name] == nil {
			t.Errorf("%s is not in localStorage", name)
		}
	}
	plugin.Click(t, "#refresh")
	plugin.Until(t, `document.getElementById("status").textContent === "The tokens are fresh."`)
	fresh := browser.Evaluate[string](t, plugin, `localStorage.getItem("tokens")`)
	if fresh == stored {
		t.Error("the refresh changed nothing")
	}
	if err := json.Unmarshal([]byte(fresh), &response); err != nil {
		t.Fatal(err)
	}

	plugin.Click(t, "#signOut")
	plugin.WaitVisible(t, "#signIn")
	plugin.Until(t, `document.getElementById("status").textContent === "You are signed out."`)
	refresh := d.backendURL + "/refresh?code=" + url.QueryEscape(fmt.Sprint(response["refresh_token"]))
	if _, err := post(t.Context(), refresh, http.StatusBadRequest); err != nil {
		t.Errorf("after signing out the refresh token still works: %v", err)
	}
}

// A person is asked, cancels once, and continues the next time.
func TestBrowserConfirm(t *testing.T) {
	t.Parallel()
	browser.Each(t, testBrowserConfirm)
}

func testBrowserConfirm(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "always")
	tab := browser.Open(t, engine, "about:blank")
	poll := d.signInUpToTheQuestion(t, tab)
	waitForButtons(t, tab)
	look(t, tab, "page-confirm")
	same := browser.Evaluate[bool](t, tab, `(([a, b]) => a.offsetWidth === b.offsetWidth &&
		getComputedStyle(a).background === getComputedStyle(b).background
	)([...document.querySelectorAll("button")])`)
	if !same {
		t.Error("one of the two choices stands out")
	}
	tabOnce(t, tab, "button[value=cancel]")
	tabOnce(t, tab, "button[value=continue]")
	browser.Evaluate[bool](t, tab, "(document.querySelector('button[value=cancel]').focus(), true)")
	tab.Press(t, browser.Enter)
	tab.WaitVisible(t, "main.denied h1")
	d.checkPage(t, tab, said{heading: "Sign-in cancelled", words: "The plugin has no access."})
	body, err := post(t.Context(), poll, http.StatusBadRequest)
	if err != nil || !strings.Contains(string(body), "access_denied") {
		t.Errorf("after Cancel: %s, %v", body, err)
	}

	poll = d.signInUpToTheQuestion(t, tab)
	waitForButtons(t, tab)
	// A double click sends the form once.
	if sent := browser.Evaluate[int](t, tab, `(() => {
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
	tab.WaitVisible(t, "main.success h1")
	d.checkPage(t, tab, said{heading: "You are signed in", words: "You can close this window"})
	if _, err := post(t.Context(), poll, http.StatusOK); err != nil {
		t.Error(err)
	}
	// The page may come back as it was left, without being loaded.
	browser.Evaluate[bool](t, tab, "(setTimeout(() => history.back()), true)")
	tab.Until(t, "document.querySelector('h1')?.textContent !== 'You are signed in'")
}

// tabOnce presses the tabulator key, and checks that it leads to an element, which shows that.
func tabOnce(t *testing.T, tab *browser.Page, selector string) {
	t.Helper()
	tab.Press(t, browser.Tab)
	tab.Until(t, `document.activeElement === document.querySelector("`+selector+`")`)
	outline := browser.Evaluate[string](t, tab, "getComputedStyle(document.activeElement).outlineWidth")
	if outline != "3px" {
		t.Errorf("at %s the outline is %s", selector, outline)
	}
}

// buttonsShow is true once the buttons of the question take a click.
const buttonsShow = `document.readyState === "complete" && performance.now() - since >= 1000 &&
	getComputedStyle(document.querySelector("button")).visibility === "visible"`

// waitForButtons waits until the buttons of the question take a click, and go on doing so: from then on the
// windows of other tests, which take the focus and give it back, do not make them wait again.
func waitForButtons(t *testing.T, tab *browser.Page) {
	t.Helper()
	tab.WaitVisible(t, "main.question h1")
	tab.Run(t, `["focus", "visibilitychange"].forEach(type => addEventListener(
		type, event => event.isTrusted && event.stopImmediatePropagation(), { capture: true }))`)
	tab.Until(t, buttonsShow)
}

// A click that comes at once was meant for what was there before: the buttons of the question are not there
// yet, neither for the mouse nor for the keyboard, and no form is sent. So it is again when the window gets
// the focus, or while somebody goes on clicking, and without a script as well when it is shown.
func TestBrowserConfirmWaits(t *testing.T) {
	t.Parallel()
	browser.Each(t, testBrowserConfirmWaits)
}

func testBrowserConfirmWaits(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "always")
	tab := browser.Open(t, engine, "about:blank")
	d.signInUpToTheQuestion(t, tab)
	waitForButtons(t, tab)
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
	if got := browser.Evaluate[string](t, tab, tryAll); got != "true,true,true" {
		t.Errorf("after a second: mouse, keyboard, form are %s", got)
	}
	for _, event := range []string{
		`window, new Event("focus")`, `window, new Event("pageshow")`,
		`document, new Event("visibilitychange")`,
	} {
		target, made, _ := strings.Cut(event, ", ")
		got := browser.Evaluate[string](t, tab, "("+target+".dispatchEvent("+made+"), "+tryAll+")")
		if got != "false,false,false" {
			t.Errorf("after %s: mouse, keyboard, form are %s", event, got)
		}
		tab.Until(t, buttonsShow)
		if got := browser.Evaluate[string](t, tab, tryAll); got != "true,true,true" {
			t.Errorf("a second after %s: mouse, keyboard, form are %s", event, got)
		}
	}
	// Whoever goes on clicking or typing, half a second later for example, must wait for as long again.
	for _, event := range []string{"pointerdown", "keydown"} {
		restarts := browser.Evaluate[string](t, tab, `(() => {
			const begins = time => {
				since = time
				document.body.dispatchEvent(new Event("`+event+`", { bubbles: true }))
				return since !== time
			}
			return [begins(performance.now() - 500), begins(performance.now() - 1000)].join()
		})()`)
		if restarts != "true,false" {
			t.Errorf("%s: while they wait, and once they show, they wait again: %s", event, restarts)
		}
		tab.Until(t, buttonsShow)
	}
	// The style alone is what a browser without scripts has.
	got := browser.Evaluate[string](t, tab, `(() => {
		const form = document.querySelector("form"), copy = form.cloneNode(true)
		form.replaceWith(copy)
		const style = getComputedStyle(copy.querySelector("button"))
		return [style.animationName, style.animationDuration, style.visibility].join()
	})()`)
	if got != "wait,1s,hidden" {
		t.Errorf("without a script the buttons are %s", got)
	}
}

// A link with a text to scroll to does not lead past what the question says, also in a small window, and
// marks nothing. The redirects on the way keep it.
func TestBrowserQuestionBeginsAtItsTop(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "always")
	authorizationURL, err := url.Parse(d.startLogin(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	back := d.backendURL + "/redirect?code=c&state=" + authorizationURL.Query().Get("state")
	provider := serve(t, http.RedirectHandler(back, http.StatusFound))
	tab := newChromium(t)
	resize(t, tab, 420, 220)
	var pictures []image.Image
	for _, fragment := range []string{"", "#:~:text=reload%20this%20page."} {
		tab.Navigate(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `<!doctype html><a href="%s%s">Sign in</a>`, provider, fragment)
		})))
		tab.Click(t, "a")
		waitForButtons(t, tab)
		if top := browser.Evaluate[float64](t, tab, "scrollY"); top != 0 {
			t.Errorf("the page is scrolled by %g", top)
		}
		tab.Run(t, "scrollTo(0, document.body.scrollHeight)")
		file := filepath.Join(t.TempDir(), "question.png")
		tab.Screenshot(t, file)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, picture)
	}
	if contrast(pictures[0], pictures[1]) > 0x1000 {
		t.Error("the page shows that a link names one of its words")
	}
}

// contrast returns how much a color of one picture differs at most from that of another in the same place, of
// 0xffff. What is painted again may differ by a few hundred at a round corner.
func contrast(one, other image.Image) (most int) {
	bounds := one.Bounds().Union(other.Bounds())
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			red, green, blue, _ := one.At(x, y).RGBA()
			otherRed, otherGreen, otherBlue, _ := other.At(x, y).RGBA()
			for _, change := range []int{
				int(red) - int(otherRed), int(green) - int(otherGreen), int(blue) - int(otherBlue),
			} {
				most = max(most, change, -change)
			}
		}
	}
	return most
}

// signInUpToTheQuestion goes through the provider's login form, and returns the address to poll.
func (d *demo) signInUpToTheQuestion(t *testing.T, tab *browser.Page) (poll string) {
	t.Helper()
	started := d.startLogin(t)
	tab.Navigate(t, started.URL)
	d.submitIn(t, tab)
	tab.WaitVisible(t, "main.question h1")
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
func (d *demo) submitIn(t *testing.T, tab *browser.Page) {
	t.Helper()
	tab.WaitVisible(t, "#username")
	tab.SetValue(t, "#username", d.username)
	tab.SetValue(t, "#password", d.password)
	tab.Click(t, "button")
}

// said is what a page tells a person.
type said struct{ heading, words string }

// checkPage checks what holds for every page of the backend in a browser.
func (d *demo) checkPage(t *testing.T, ctx *browser.Page, want said) {
	t.Helper()
	const heading = "document.querySelector('h1').textContent"
	if got := browser.Evaluate[string](t, ctx, heading); got != want.heading {
		t.Errorf("the heading is %q, want %q", got, want.heading)
	}
	if shown := ctx.Text(t, "body"); !strings.Contains(shown, want.words) {
		t.Errorf("%s: the page does not say %q:\n%s", want.heading, want.words, shown)
	}
	address, err := url.Parse(browser.Evaluate[string](t, ctx, "location.href"))
	if err != nil || address.RawQuery != "" || !strings.HasPrefix(address.String(), d.backendURL) {
		t.Errorf("%s: the address bar shows %s", want.heading, address)
	}
	// The policy lets the page's own style in, and nothing is loaded from anywhere.
	const corners = "getComputedStyle(document.querySelector('main')).borderRadius"
	radius := browser.Evaluate[string](t, ctx, corners)
	if radius != "16px" {
		t.Errorf("%s: the style is not in force", want.heading)
	}
	if n := browser.Evaluate[int](t, ctx, "performance.getEntriesByType('resource').length"); n != 0 {
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
	browser.Each(t, testBrowserPages)
}

func testBrowserPages(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "")
	tab := browser.Open(t, engine, "about:blank")
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
			tab.Navigate(t, d.backendURL+path)
			tab.WaitVisible(t, "h1")
			d.checkPage(t, tab, shown.said)
			look(t, tab, shown.name)
		})
	}
}
