package main

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"

	"plugin-oauth/internal/browser"
)

// pollInterval is how far the client's polls are apart where none is held.
const pollInterval = 1500 * time.Millisecond

func testSignInFetchSignOut(t *testing.T, p *plugin) {
	p.status("signedOut")
	opened := p.click()
	if !browser.Evaluate[bool](t, opened, "opener === null") {
		t.Error("the provider's page reaches the plugin")
	}
	p.submit(opened)
	p.ends(`{"`)
	p.status("signedIn")
	opened.WaitVisible(t, "main.success h1")
	kept := p.stored()
	if kept.Tokens.AccessToken == "" || kept.Tokens.RefreshToken == "" || kept.Tokens.IDToken == "" ||
		time.Until(time.UnixMilli(int64(kept.Expires))) < 4*time.Minute {
		t.Errorf("stored is %+v", kept)
	}
	p.get()
	p.ends(`{"status":200`)
	if got := browser.Evaluate[string](t, p.tab, "JSON.parse(outcome).name"); got != "Test User" {
		t.Errorf("the provider knows %q", got)
	}
	p.run("watch(auth.signOut())")
	p.ends(`"done"`)
	p.status("signedOut")
	if p.storedValues() != 0 {
		t.Error("the tokens are still stored")
	}
	got := browser.Evaluate[string](t, p.tab, "states.join()")
	if got != "loading,waiting,signedIn,signedOut" {
		t.Errorf("the states were %s", got)
	}
	want := http.StatusBadRequest
	if p.isWorker() {
		want = http.StatusOK // it cannot revoke
	}
	p.checkRefresh(kept.Tokens.RefreshToken, want)
	p.get()
	p.ends("signed_out: You are signed out.")
}

func testClosedWindow(t *testing.T, p *plugin) {
	opened := p.click()
	opened.Close(t)
	p.tab.NoWindow(t, p.provider.url)
	p.status("waiting")
	p.submitElsewhere(browser.Evaluate[string](t, p.tab, "auth.state.url"))
	p.ends(`{"`)
}

func testTimeout(t *testing.T, p *plugin) {
	p.run("options = { timeout: 2500 }")
	began := time.Now()
	p.press()
	p.ends("timeout: The sign-in took too long.")
	if took := time.Since(began); took < 2500*time.Millisecond {
		t.Errorf("it took %s", took)
	}
	p.status("signedOut")
}

func testAbort(t *testing.T, p *plugin) {
	p.run(`stop = new AbortController(),
		options = { signal: stop.signal, onWaiting: ({ url }) => waitingFor = url }`)
	p.click()
	if got := browser.Evaluate[string](t, p.tab, "waitingFor"); !strings.HasPrefix(got, p.provider.url) {
		t.Errorf("onWaiting got %s", got)
	}
	p.run("stop.abort()")
	p.ends("aborted: The sign-in was cancelled.")
	if !browser.Evaluate[bool](t, p.tab, "auth.state.error === null") {
		t.Error("it shows an error")
	}
	// Aborted before it begins, it opens nothing.
	p.press()
	p.ends("aborted: ")
	p.tab.NoWindow(t, "about:blank")
}

func testBackendRestarts(_ *testing.T, p *plugin) {
	opened := p.click()
	p.waitForPolls(1)
	p.backend.stop()
	p.waitForPolls(p.front.polls.Load() + 2)
	p.status("waiting")
	p.backend.start()
	p.submit(opened)
	p.ends(`{"`)
}

func testAsleep(t *testing.T, p *plugin) {
	opened := p.click()
	freeze(t, p.tab, page.SetWebLifecycleStateStateFrozen)
	p.submit(opened)
	opened.WaitVisible(t, "main.success h1")
	freeze(t, p.tab, page.SetWebLifecycleStateStateActive)
	p.ends(`{"`)
}

func testDenied(t *testing.T, p *plugin) {
	opened := p.click()
	authorization, err := url.Parse(browser.Evaluate[string](t, p.tab, "auth.state.url"))
	if err != nil {
		t.Fatal(err)
	}
	redirect := p.backend.url + "/redirect?error=access_denied&state=" + authorization.Query().Get("state")
	opened.Run(t, "location.href = '"+redirect+"'")
	p.ends("access_denied: The sign-in was cancelled")
	if got := browser.Evaluate[string](t, p.tab, "auth.state.error.code"); got != "access_denied" {
		t.Errorf("it shows %s", got)
	}
	p.signIn() // and tries again
	if !browser.Evaluate[bool](t, p.tab, "auth.state.error === null") {
		t.Error("it still shows the error")
	}
}

func testExpired(_ *testing.T, p *plugin) {
	p.press()
	p.ends("expired_token: The sign-in took too long.")
}

func testBackendDoesNotAnswer(t *testing.T, p *plugin) {
	p.backend.stop()
	p.press()
	p.ends("unavailable: The sign-in service cannot be reached.")
	p.tab.NoWindow(t, "about:blank")
}

func testBackendWithoutAPlugin(_ *testing.T, p *plugin) {
	p.backend.stop()
	p.backend.env = []string{"PATH="}
	p.backend.start()
	p.press()
	p.ends("unavailable: No plugin is configured")
}

func testOffline(_ *testing.T, p *plugin) {
	opened := p.click()
	p.front.offline.Store(true)
	p.submit(opened)
	p.waitForPolls(p.front.polls.Load() + 6) // as many as in 9 seconds
	p.status("waiting")
	p.front.offline.Store(false)
	p.ends(`{"`)
}

func testPollWithoutAnAnswer(_ *testing.T, p *plugin) {
	p.front.deaf.Store(1)
	p.submit(p.click())
	p.ends(`{"`)
}

func testPollsAreHeld(t *testing.T, p *plugin) {
	opened := p.click()
	p.waitForPolls(1)
	time.Sleep(5 * pollInterval / hurry) // in which others would come if this one were not held
	if n := p.front.polls.Load(); n != 1 {
		t.Errorf("it polled %d times", n)
	}
	p.submit(opened)
	p.ends(`{"`)
}

func testPollsAreSpaced(t *testing.T, p *plugin) {
	p.run(`polls = [], send = fetch, fetch = (address, init) => {
		// The first poll has no query: it finds what the backend reads.
		if (address.includes("/poll?")) polls.push(Date.now())
		return send(address, init)
	}`)
	opened := p.click()
	p.tab.Until(t, "polls.length > 4")
	const least = pollInterval/hurry - 10*time.Millisecond
	// The first with a query is sent once the one without has failed, and the next counts from that.
	polls := browser.Evaluate[[]int64](t, p.tab, "polls.slice(1)")
	for i, sent := range polls[1:] {
		if apart := time.Duration(sent-polls[i]) * time.Millisecond; apart < least {
			t.Errorf("polls %d and %d are %s apart", i, i+1, apart)
		}
	}
	p.submit(opened)
	p.ends(`{"`)
}

func testSlowBackend(_ *testing.T, p *plugin) {
	p.front.slow.Store(int64(6 * time.Second)) // a click allows a window for five
	p.submit(p.click())
	p.ends(`{"`)
	p.run("watch(auth.signIn())") // not in a click
	p.ends("popup_blocked: The browser blocked the sign-in window.")
	p.status("signedIn")
}

func testSecondSignIn(t *testing.T, p *plugin) {
	arrived, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	var authorizations atomic.Int64
	holdsTheFirst := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/authorize" && authorizations.Add(1) == 1 {
			close(arrived)
			<-release
		}
		p.front.ServeHTTP(w, r)
	}))
	p.run("auth = createAuth({ backend: '" + holdsTheFirst + "' })")
	p.run("options = { onWaiting: () => { throw new Error('the first goes on') } }")
	p.press()
	select {
	case <-arrived:
	case <-time.After(20 * time.Second):
		t.Fatal("the first sign-in does not ask the backend")
	}
	p.run("options = {}, attempt.catch(error => first = error.code)")
	opened := p.click()
	p.tab.Until(t, "window.first === 'aborted'")
	p.tab.NoWindow(t, "about:blank")
	p.status("waiting")
	p.submit(opened)
	p.ends(`{"`)
}

func testDesktopApp(t *testing.T, p *plugin) {
	p.run("Object.defineProperty(navigator, 'userAgent', { value: 'Chrome/140.0.0.0 Electron/38.0.0' })")
	// As Electron does when it starts the system browser.
	p.run("started = [], open = url => { started.push(url); return null }")
	p.press()
	p.tab.Until(t, "started.length > 0")
	started := browser.Evaluate[[]string](t, p.tab, "started")
	if len(started) != 1 || !strings.HasPrefix(started[0], p.provider.url) {
		t.Fatalf("it opened %s", started)
	}
	p.submitElsewhere(started[0])
	p.ends(`{"`)
}
