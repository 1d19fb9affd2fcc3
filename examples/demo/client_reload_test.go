package main

import (
	"net/http"
	"testing"

	"plugin-oauth/internal/browser"
)

// hostileScenarios are what pages, browsers, storages and clocks do to a sign-in.
func hostileScenarios() []scenario {
	return []scenario{
		{name: "reload while waiting", env: []string{"SESSION_TTL=2m"}, run: testReload},
		{name: "reload after the sign-in", run: testReloadAfterwards},
		{name: "reload with a slow storage", run: testReloadWithSlowStorage},
		{name: "timeout and reload", hurried: true, run: testTimeoutAndReload},
		{name: "two windows wait", hurried: true, run: testTwoWindowsWait},
		{name: "another window signs out", run: testSignedOutElsewhere},
		{name: "another window signs out, seen late", run: testSignedOutSeenLate},
		{name: "the window that polls is gone", hurried: true, run: testPollingWindowGone},
		{name: "signed out elsewhere as tokens arrive", run: testSignedOutAsTokensArrive},
		{name: "second sign-in with a slow storage", run: testSecondSignInWithSlowStorage},
		{
			name: "Back and reload after the choice", env: []string{"CONFIRM_LOGIN=always"},
			run: testBackAfterChoice,
		},
		{name: "window that is not handed back", run: testWindowNotHandedBack},
		{name: "open with noopener", run: testOpenWithNoopener},
		{name: "sandbox refuses windows", run: testSandboxRefuses},
		{name: "blank window is closed", run: testBlankWindowClosed},
		{name: "401 that the page may not read", run: testUnreadable401},
		{name: "aborted during a refresh", run: testAbortDuringRefresh},
		{name: "clock is set", hurried: true, run: testClockIsSet},
		{name: "storages that answer badly", run: testBadStorages},
	}
}

// The sign-in outlives its page. What is kept of it is gone afterwards.
func testReload(t *testing.T, p *plugin) {
	opened := p.click()
	url := browser.Evaluate[string](t, p.tab, "auth.state.url")
	left := browser.Evaluate[float64](t, p.tab,
		"JSON.parse(Object.values(localStorage)[0]).end - Date.now()")
	if left < 100_000 || left > 120_000 {
		t.Errorf("it waits for %.0f ms, which is not what the backend says", left)
	}
	p.tab.Reload(t)
	p.tab.Until(t, "window.auth")
	p.tab.Until(t, "auth.state.url === '"+url+"' && auth.state.status === 'waiting'")
	p.submit(opened)
	p.tab.Until(t, "auth.state.status === 'signedIn' && localStorage.length === 1")
	p.idle()
	p.get()
	p.ends(`{"status":200`)
}

// The person signs in while no page of the plugin is there.
func testReloadAfterwards(t *testing.T, p *plugin) {
	opened := p.click()
	p.tab.Navigate(t, p.provider.url+"/.well-known/openid-configuration")
	p.submit(opened)
	opened.WaitVisible(t, "main.success h1")
	p.tab.Navigate(t, p.address)
	p.tab.Until(t, "window.auth?.state.status === 'signedIn'")
	p.idle()
}

// A storage that returns promises, as in Figma.
func testReloadWithSlowStorage(t *testing.T, p *plugin) {
	p.run(`slowly = task => new Promise(resolve => begin(() => resolve(task()), 50)),
		options = { backend: query.get("backend"), storage: {
			getItem: key => slowly(() => sessionStorage.getItem(key)),
			setItem: (key, value) => slowly(() => sessionStorage.setItem(key, value)),
			removeItem: key => slowly(() => sessionStorage.removeItem(key)),
		} }, auth = createAuth(options), options = Object.assign({}, { made: options })`)
	opened := p.click()
	p.run("another = createAuth(options.made)")
	p.tab.Until(t, "another.state.status === 'waiting'")
	p.submit(opened)
	p.tab.Until(t, "another.state.status === 'signedIn' && auth.state.status === 'signedIn'")
	p.tab.Until(t, "sessionStorage.length === 1")
}

// The plugin's own timeout outlives the page as well.
func testTimeoutAndReload(t *testing.T, p *plugin) {
	const ended = "auth.state.status === 'signedOut' && localStorage.length === 0"
	begin := func(end string) (opened *browser.Page) {
		t.Helper()
		p.run("options = { timeout: 180_000 }")
		opened = p.click()
		p.run(`[key, value] = Object.entries(localStorage)[0], kept = JSON.parse(value),
			localStorage.setItem(key, JSON.stringify({ ...kept, end: ` + end + ` }))`)
		return opened
	}
	pending := &answer{status: http.StatusNotFound, body: `{"error":"authorization_pending"}`}
	p.front.pollAnswer.Store(pending)
	opened := begin("Date.now() + 20_000")
	left := browser.Evaluate[float64](t, p.tab, "kept.end - Date.now()")
	if left < 60_000 || left > 180_000 {
		t.Errorf("it waits for %.0f ms more", left)
	}
	p.tab.Reload(t)
	p.tab.Until(t, "window.auth?.state.status === 'waiting'")
	p.tab.Until(t, ended)
	if got := browser.Evaluate[string](t, p.tab, "auth.state.error?.code"); got != "timeout" {
		t.Errorf("it shows %s", got)
	}
	p.idle()
	opened.Close(t)

	// If it has passed when the page is there again, that is no news.
	opened = begin("1")
	p.tab.Reload(t)
	p.tab.Until(t, "window.auth?.state.status === 'waiting'")
	p.tab.Until(t, ended)
	if !browser.Evaluate[bool](t, p.tab, "auth.state.error === null") {
		t.Error("it shows an error")
	}
	opened.Close(t)

	// Somebody may have signed in in time.
	p.front.pollAnswer.Store(nil)
	opened = begin("1")
	p.tab.Navigate(t, p.provider.url+"/.well-known/openid-configuration")
	p.submit(opened)
	opened.WaitVisible(t, "main.success h1")
	p.tab.Navigate(t, p.address)
	p.tab.Until(t, "window.auth?.state.status === 'signedIn'")
	p.idle()
}

// One window polls and fetches the tokens, and both have them.
func testTwoWindowsWait(t *testing.T, p *plugin) {
	opened := p.click()
	other := p.another()
	other.tab.Until(t, "auth.state.status === 'waiting'")
	p.waitForPolls(2)
	// The first window's poll breaks off, and it leaves the next to the other.
	p.run(`asked = 0, send = fetch, fetch = (address, init) => {
		if (address.endsWith("/poll")) asked++
		return send(address, init)
	}`)
	p.front.offline.Store(true)
	p.waitForPolls(p.front.polls.Load() + 4)
	p.front.offline.Store(false)
	if n := browser.Evaluate[int](t, p.tab, "asked"); n != 0 {
		t.Errorf("the first window still polls: %d times", n)
	}
	p.submit(opened)
	p.ends(`{"`)
	other.tab.Until(t, "auth.state.status === 'signedIn'")
	if n := p.front.delivered.Load(); n != 1 {
		t.Errorf("the tokens were fetched %d times", n)
	}
}

// Signing out ends the sign-in in all windows, and at the backend, which tells the person.
func testSignedOutElsewhere(t *testing.T, p *plugin) {
	opened := p.click()
	other := p.another()
	other.tab.Until(t, "auth.state.status === 'waiting'")
	other.run("watch(auth.signOut())")
	other.ends(`"done"`)
	other.tab.Until(t, "auth.state.status === 'signedOut'")
	p.ends("aborted: ")
	if !browser.Evaluate[bool](t, p.tab, "auth.state.error === null && localStorage.length === 0") {
		t.Error("it shows an error, or keeps something")
	}
	p.submit(opened)
	opened.WaitVisible(t, "main.denied h1")
}

// The same where the backend's answer comes first: WebKit lets a window read what another one has written
// only some time later.
func testSignedOutSeenLate(t *testing.T, p *plugin) {
	p.run(`stale = null, send = fetch, fetch = async (address, init) => {
		const before = { ...localStorage }
		const response = await send(address, init)
		if (address.endsWith("/poll")) stale = before
		setTimeout(() => stale = null, 50)
		return response
	}, Storage.prototype.getItem = new Proxy(Storage.prototype.getItem, {
		apply: (read, storage, [key]) => stale ? stale[key] ?? null : read.call(storage, key),
	})`)
	testSignedOutElsewhere(t, p)
}

// Another window signs out while an answer with tokens is on its way. Nobody has these tokens, so they end.
func testSignedOutAsTokensArrive(t *testing.T, p *plugin) {
	p.run(`came = null, send = fetch, fetch = async (address, init) => {
		const response = await send(address, init)
		if (address.endsWith("/poll") && response.status === 200 && !came) {
			came = await response.clone().json()
			localStorage.clear()
		}
		return response
	}`)
	p.submit(p.click())
	p.ends("aborted: ")
	p.status("signedOut")
	p.checkRefresh(browser.Evaluate[string](t, p.tab, "came.refresh_token"), http.StatusBadRequest)
}

// The sign-in before is still leaving the storage when the next is kept there.
func testSecondSignInWithSlowStorage(_ *testing.T, p *plugin) {
	p.useSlowStorage()
	p.click()
	p.submit(p.click())
	p.ends(`{"`)
}

// After the choice, Back and reload never say that the sign-in failed. A page whose address is without the
// code may say no more than that all is done if one has signed in, and Back may lead to the provider.
func testBackAfterChoice(t *testing.T, p *plugin) {
	opened := p.click()
	p.submit(opened)
	agree(t, opened)
	opened.WaitVisible(t, "main.success h1")
	p.ends(`{"`)
	for _, way := range []struct {
		name   string
		travel func(testing.TB)
	}{
		{name: "reload", travel: opened.Reload},
		{name: "Back", travel: opened.Back},
	} {
		opened.Run(t, "document.querySelector('main').id = 'before'")
		way.travel(t)
		opened.Until(t, "document.querySelector('#before') === null && document.querySelector('h1') !== null")
		if browser.Evaluate[bool](t, opened, "document.querySelector('main.question') !== null") {
			agree(t, opened) // some browsers keep the page as it was
			opened.Until(t, "document.querySelector('main.success, main.failed') !== null")
		}
		if got := opened.Text(t, "h1"); got == "Sign-in failed" {
			t.Errorf("after %s it says %s", way.name, got)
		}
	}
}

// A window takes over the polls of another that is gone.
func testPollingWindowGone(t *testing.T, p *plugin) {
	opened := p.click()
	other := p.another()
	other.tab.Until(t, "auth.state.status === 'waiting'")
	p.waitForPolls(2)
	other.tab.Close(t)
	p.submit(opened)
	opened.WaitVisible(t, "main.success h1")
	p.ends(`{"`)
}

// Under Cross-Origin-Opener-Policy a window opens that the plugin is not given.
func testWindowNotHandedBack(t *testing.T, p *plugin) {
	p.run("open = () => null")
	p.press()
	p.tab.Until(t, "auth.state.status === 'waiting'")
	p.submitElsewhere(browser.Evaluate[string](t, p.tab, "auth.state.url"))
	p.ends(`{"`)
}

// With noopener, open returns null whether a window opens or, as in Safari, none does. The address is there
// as a link in any case.
func testOpenWithNoopener(t *testing.T, p *plugin) {
	p.run(`opened = 0, auth = createAuth({
		backend: query.get("backend"),
		open: url => opened = window.open(url, "_blank", "noopener"),
	})`)
	p.press()
	p.tab.Until(t, "auth.state.status === 'waiting' && opened === null")
	p.submitElsewhere(browser.Evaluate[string](t, p.tab, "auth.state.url"))
	p.ends(`{"`)
	p.status("signedIn")
}

func testSandboxRefuses(t *testing.T, p *plugin) {
	for _, name := range []string{"InvalidAccessError", "SecurityError"} {
		p.run("open = () => { throw new DOMException('no', '" + name + "') }")
		p.press()
		p.ends("popup_blocked: The browser blocked the sign-in window.")
	}
	p.run(`auth = createAuth({ backend: query.get("backend"), open: () => window.open() })`)
	p.press()
	p.ends("popup_blocked: ")
}

// A window that was closed before it had its address is not waited for in silence.
func testBlankWindowClosed(t *testing.T, p *plugin) {
	p.run("openWindow = open, open = url => { const page = openWindow(url); page.close(); return page }")
	p.press()
	p.ends("access_denied: The sign-in was cancelled.")
	if got := browser.Evaluate[string](t, p.tab, "auth.state.error.code"); got != "access_denied" {
		t.Errorf("it shows %s", got)
	}
}

// An API whose 401 has no CORS headers, and tokens whose lifetime nobody knows.
func testUnreadable401(t *testing.T, p *plugin) {
	p.signIn()
	forget := `[key, value] = Object.entries(localStorage)[0], localStorage.setItem(
		key, JSON.stringify({ ...JSON.parse(value), expires: 0 }))`
	p.run(forget)
	p.run(`ended = "Bearer " + auth.state.tokens.access_token, send = fetch,
		fetch = (request, init) => request.headers?.get("Authorization") === ended
			? Promise.reject(new TypeError("Failed to fetch")) : send(request, init)`)
	before := p.front.refreshes.Load()
	p.get()
	p.ends(`{"status":200`)
	if n := p.front.refreshes.Load() - before; n != 1 {
		t.Errorf("it was refreshed %d times", n)
	}
	// Whatever the method is: nobody can tell such a 401 from a call that never arrived.
	p.run(forget)
	p.run(`ended = "Bearer " + auth.state.tokens.access_token, fetch = async (request, init) => {
		const token = request.headers?.get("Authorization")
		if (!token) return send(request, init)
		if (token === ended) throw new TypeError("Failed to fetch")
		return new Response(request.method + " " + await request.text())
	}, watch(auth.fetch("https://api.example", { method: "POST", body: "once" })
		.then(response => response.text()))`)
	p.ends(`"POST once"`)
	// An API that cannot be reached at all is not the token's fault.
	p.run(forget)
	p.run(`fetch = (request, init) => request.headers?.has("Authorization")
		? Promise.reject(new TypeError("Failed to fetch")) : send(request, init)`)
	for range 3 {
		p.get()
		p.ends("not typed: TypeError")
		p.run(forget)
	}
	if n := p.front.refreshes.Load() - before; n != 3 {
		t.Errorf("it was refreshed %d times", n)
	}
}

// Whoever aborts a call does not wait for a refresh, which goes on for others.
func testAbortDuringRefresh(t *testing.T, p *plugin) {
	p.signIn()
	p.run("send = fetch")
	for _, test := range []struct {
		name string
		meet func() // what makes the call refresh
		stop string
	}{
		{name: "before the call", meet: func() { p.expireIn(-1000) }, stop: "stop.abort()"},
		{
			name: "after a 401", stop: "stop.abort()",
			meet: func() { p.revoked(p.stored().Tokens.AccessToken) },
		},
		{
			name: "between a 401 and the refresh", stop: "fetch = send",
			meet: func() {
				p.run(`fetch = (request, init) => !request.headers?.has("Authorization") ? send(request, init)
					: new Response(new ReadableStream({ cancel: () => stop.abort() }), { status: 401 })`)
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := p.in(t)
			before := p.provider.refreshes.Load()
			release := p.holdRefresh()
			test.meet()
			p.run("stop = new AbortController(), watch(auth.fetch('" + p.provider.url +
				"/userinfo', { signal: stop.signal }))")
			p.waitForRefresh(before)
			p.run(test.stop)
			p.tab.Until(t, "outcome !== ''")
			release()
			p.ends("not typed: AbortError")
			p.get()
			p.ends(`{"status":200`)
			if n := p.provider.refreshes.Load() - before; n != 1 {
				t.Errorf("it was refreshed %d times", n)
			}
		})
	}
}

// The clock is set forward while the backend says that the sign-in is under way.
func testClockIsSet(t *testing.T, p *plugin) {
	opened := p.click()
	p.run("now = Date.now.bind(Date), Date.now = () => now() + 3_600_000")
	p.front.offline.Store(true)
	p.waitForPolls(p.front.polls.Load() + 2)
	p.front.offline.Store(false)
	p.waitForPolls(p.front.polls.Load() + 1)
	p.status("waiting")
	p.submit(opened)
	p.ends(`{"`)
	// With a page that is loaded anew, too: what is kept is over by its clock.
	p.run("Date.now = now, watch(auth.signOut())")
	p.ends(`"done"`)
	opened.Close(t)
	opened = p.click()
	p.run(`[key, value] = Object.entries(localStorage)[0], localStorage.setItem(
		key, JSON.stringify({ ...JSON.parse(value), end: 1 }))`)
	p.tab.Reload(t)
	p.tab.Until(t, "window.auth?.state.status === 'waiting'")
	p.submit(opened)
	p.tab.Until(t, "auth.state.status === 'signedIn'")
	// What the backend says counts, also when the time that it named has passed.
	p.run(`polls = 0, fetch = async address => {
		if (address.endsWith("/authorize")) {
			return new Response('{"url":"https://provider.example","readKey":"RK","expires_in":1}')
		}
		return ++polls > 5 ? new Response('{"access_token":"a"}')
			: new Response('{"error":"authorization_pending"}', { status: 404 })
	}, watch(createAuth({ backend: query.get("backend"), open() {} }).signIn())`)
	p.ends(`{"access_token":"a"`)
}

// Whatever a storage answers when it is first read, there is an auth.
func testBadStorages(t *testing.T, p *plugin) {
	for name, getItem := range map[string]string{
		"throws":     "() => { throw new Error('damaged') }",
		"rejects":    "async () => { throw new Error('damaged') }",
		"a number":   "() => 7",
		"an object":  "() => ({})",
		"a promise":  "async () => ({})",
		"no JSON":    "() => '{'",
		"other JSON": `() => '{"tokens":{"access_token":null},"readKey":7,"url":"javascript:0"}'`,
		"nothing":    "undefined",
	} {
		t.Run(name, func(t *testing.T) {
			p := p.in(t)
			p.run("bad = createAuth({ backend: query.get('backend'), storage: { getItem: " + getItem +
				", setItem() {}, removeItem() {} } })")
			p.tab.Until(t, "bad.state.status === 'signedOut'")
		})
	}
	for name, without := range map[string]string{
		"without methods":   "{ value: {} }",
		"of a broken disk":  "{ value: { getItem() { throw new Error('damaged') } } }",
		"that is forbidden": "{ get() { throw new Error('no') } }",
	} {
		t.Run("localStorage "+name, func(t *testing.T) {
			p := p.in(t)
			p.run("Object.defineProperty(window, 'localStorage', { configurable: true, ..." + without + " })")
			p.run("auth = createAuth({ backend: query.get('backend') }), watch(auth.accessToken())")
			p.ends("signed_out: ")
			p.status("signedOut")
		})
	}
	p.signIn() // in memory
	if !browser.Evaluate[bool](t, p.tab, "auth.state.tokens !== null") {
		t.Error("it has no tokens")
	}
}
