package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/browser"
	"plugin-oauth/internal/testkit"
)

// waitFor waits until a condition of the test itself holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// plugin is a window with the client in it, and what stands behind it.
type plugin struct {
	t       *testing.T
	tab     *browser.Page
	address string // the page's

	provider   *provider
	backend    *relay
	front      *front
	backendURL string // where the client talks to, which is the front's

	api *testkit.API // nil: the scenario has none
}

// open opens the plugin's page in a window of its own.
func (p *plugin) open(profile *browser.Profile) {
	p.t.Helper()
	p.tab = profile.Open(p.t, p.address)
	p.tab.Until(p.t, "window.auth")
}

// in is the same window in a subtest.
func (p *plugin) in(t *testing.T) *plugin {
	same := *p
	same.t = t
	return &same
}

// isWorker says whether the backend answers as framer/plugin-oauth does.
func (p *plugin) isWorker() bool { return p.front.worker }

// another opens a second window of the plugin.
func (p *plugin) another() *plugin {
	p.t.Helper()
	other := *p
	other.open(p.tab.Profile())
	return &other
}

// ends waits for the outcome of the last promise, and checks how it begins. Then no timer and no request may
// be left.
func (p *plugin) ends(want string) {
	p.t.Helper()
	p.tab.Until(p.t, "window.outcome !== ''")
	if got := browser.Evaluate[string](p.t, p.tab, "outcome"); !strings.HasPrefix(got, want) {
		p.t.Errorf("the outcome is %.200s, want %s", got, want)
	}
	p.idle()
}

// idle checks that no timer is left, and no request, once what is sent without waiting for it has been
// answered. The front learns of an aborted request a moment later.
func (p *plugin) idle() {
	p.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		open, timers := p.front.open.Load(), browser.Evaluate[int](p.t, p.tab, "timers.size")
		if open == 0 && timers == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Errorf("%d timers and %d requests are left", timers, open)
			return
		}
	}
}

// run evaluates a statement of the page.
func (p *plugin) run(statement string) {
	p.t.Helper()
	p.tab.Run(p.t, statement)
}

// get asks the provider who the person is.
func (p *plugin) get() {
	p.t.Helper()
	p.run("watch(get('" + p.provider.url + "/userinfo'))")
}

func (p *plugin) status(want string) {
	p.t.Helper()
	if got := browser.Evaluate[string](p.t, p.tab, "auth.state.status"); got != want {
		p.t.Errorf("the status is %s, want %s", got, want)
	}
}

// storedTokens is what the client keeps in localStorage.
type storedTokens struct {
	Tokens  tokens
	Expires float64 // in milliseconds since 1970
}

func (p *plugin) stored() (value storedTokens) {
	p.t.Helper()
	text := browser.Evaluate[string](p.t, p.tab, "Object.values(localStorage)[0] ?? '{}'")
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		p.t.Fatal(err)
	}
	return value
}

// storedValues counts what localStorage has.
func (p *plugin) storedValues() int {
	p.t.Helper()
	return browser.Evaluate[int](p.t, p.tab, "localStorage.length")
}

// expireIn makes the access token expire in some milliseconds, as far as the client knows.
func (p *plugin) expireIn(milliseconds int) {
	p.t.Helper()
	p.run(fmt.Sprintf(`[key, value] = Object.entries(localStorage)[0], localStorage.setItem(
		key, JSON.stringify({ ...JSON.parse(value), expires: Date.now() + %d }))`, milliseconds))
}

// revoked has the provider revoke a token.
func (p *plugin) revoked(token string) {
	p.t.Helper()
	address := p.backend.url + "/revoke?token=" + url.QueryEscape(token)
	if _, err := post(p.t.Context(), address, http.StatusOK); err != nil {
		p.t.Fatal(err)
	}
}

// checkRefresh checks with which status the backend answers when it is to refresh with a token.
func (p *plugin) checkRefresh(token string, status int) {
	p.t.Helper()
	address := p.backend.url + "/refresh?code=" + url.QueryEscape(token)
	if _, err := post(p.t.Context(), address, status); err != nil {
		p.t.Error(err)
	}
}

// click starts a sign-in and returns the window of the provider, which shows its form.
func (p *plugin) click() *browser.Page {
	p.t.Helper()
	p.press()
	opened := p.tab.Window(p.t, p.provider.url)
	opened.WaitVisible(p.t, "#username")
	return opened
}

// press starts a sign-in.
func (p *plugin) press() {
	p.t.Helper()
	p.tab.Click(p.t, "#signIn")
}

// submit fills in the provider's form, and sends it.
func (p *plugin) submit(opened *browser.Page) {
	p.t.Helper()
	opened.SetValue(p.t, "#username", p.provider.username)
	opened.SetValue(p.t, "#password", p.provider.password)
	opened.Click(p.t, "button")
}

// submitElsewhere signs in where the person has opened the provider's page by its address.
func (p *plugin) submitElsewhere(address string) *browser.Page {
	p.t.Helper()
	opened := p.tab.Profile().Open(p.t, address)
	p.submit(opened)
	return opened
}

func (p *plugin) signIn() {
	p.t.Helper()
	p.submit(p.click())
	p.ends(`{"`)
	p.status("signedIn")
}

// waitForRefresh waits until the provider has been asked for a refresh once more than before.
func (p *plugin) waitForRefresh(before int64) {
	p.t.Helper()
	waitFor(p.t, "a refresh at the provider", func() bool { return p.provider.refreshes.Load() > before })
}

// waitForPolls waits until so many polls have been sent in all.
func (p *plugin) waitForPolls(n int64) {
	p.t.Helper()
	waitFor(p.t, fmt.Sprintf("poll %d", n), func() bool { return p.front.polls.Load() >= n })
}
