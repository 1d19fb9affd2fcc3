package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"plugin-oauth/internal/browser"
)

func testTwoWindowsRefresh(t *testing.T, p *plugin) {
	p.signIn()
	other := p.another()
	p.expireIn(-1000)
	before := p.provider.refreshes.Load()
	for range 3 { // several calls in each
		p.get()
		other.get()
	}
	p.ends(`{"status":200`)
	other.ends(`{"status":200`)
	if n := p.provider.refreshes.Load() - before; n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
	// Ours asks once for any number of windows. Where the backend does not, the client must; a new window
	// needs a second request to find that this one reads the query only.
	if p.isWorker() {
		if n := p.front.refreshes.Load(); n > 2 {
			t.Errorf("the backend was asked %d times", n)
		}
	}
}

func testProviderRotates(t *testing.T, p *plugin) {
	p.signIn()
	for range 2 {
		old := p.stored().Tokens
		p.expireIn(1000) // shortly before its end
		p.get()
		p.ends(`{"status":200`)
		now := p.stored().Tokens
		if now.RefreshToken == old.RefreshToken || now.AccessToken == old.AccessToken {
			t.Error("the tokens are the old ones")
		}
	}
}

func testProviderOmitsTheRefreshToken(t *testing.T, p *plugin) {
	p.provider.keeps.Store(true)
	p.signIn()
	for range 2 {
		old := p.stored().Tokens
		p.expireIn(-1000)
		p.get()
		p.ends(`{"status":200`)
		now := p.stored().Tokens
		if now.RefreshToken != old.RefreshToken || now.AccessToken == old.AccessToken {
			t.Error("the refresh token was not kept, or the access token was")
		}
	}
}

func testUnauthorizedThenRefreshed(t *testing.T, p *plugin) {
	p.signIn()
	p.revoked(p.stored().Tokens.AccessToken)
	before := p.provider.refreshes.Load()
	for range 3 {
		p.get()
	}
	p.ends(`{"status":200`)
	if n := p.provider.refreshes.Load() - before; n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
}

func testRevokedAtTheProvider(t *testing.T, p *plugin) {
	p.signIn()
	p.revoked(p.stored().Tokens.RefreshToken)
	p.get()
	p.ends("signed_out: You are signed out. Please sign in again.")
	p.status("signedOut")
	got := browser.Evaluate[string](t, p.tab, "auth.state.error.code + localStorage.length")
	if got != "signed_out0" {
		t.Errorf("it shows and stores %s", got)
	}
}

func testProviderHasTrouble(t *testing.T, p *plugin) {
	p.signIn()
	old := p.stored().Tokens
	p.provider.down.Store(true)
	p.expireIn(20_000) // it should be refreshed, but need not be yet
	p.get()
	p.ends(`{"status":200`)
	p.expireIn(-1000)
	p.get()
	p.ends("unavailable: ")
	p.status("signedIn")
	if p.stored().Tokens != old {
		t.Error("the tokens are not kept")
	}
	p.provider.down.Store(false)
	p.get()
	p.ends(`{"status":200`)
}

func testStorageCleared(t *testing.T, p *plugin) {
	p.signIn()
	other := p.another()
	other.status("signedIn")
	other.run("localStorage.clear()")
	p.tab.Until(t, "auth.state.status === 'signedOut'")
	other.get() // the window that cleared it gets no event
	other.ends("signed_out: ")
	other.status("signedOut")
	p.idle()
}

// holdRefresh makes the provider hold refreshes back until release is called.
func (p *plugin) holdRefresh() (release func()) {
	held := make(chan struct{})
	p.provider.held.Store(&held)
	return func() {
		p.provider.held.Store(nil)
		close(held)
	}
}

func testSignedInDuringRefresh(t *testing.T, p *plugin) {
	p.signIn()
	p.expireIn(-1000)
	opened := p.click() // before the refresh, which ends by itself after ten seconds
	release := p.holdRefresh()
	before := p.provider.refreshes.Load()
	p.run("late = '', auth.accessToken().then(token => late = token, error => late = error.message)")
	p.waitForRefresh(before)
	old := p.stored().Tokens
	p.submit(opened)
	p.tab.Until(t, "outcome !== ''")
	now := p.stored().Tokens
	if now == old {
		t.Error("the tokens are the old ones")
	}
	release()
	p.tab.Until(t, "late !== ''")
	late := browser.Evaluate[string](t, p.tab, "late")
	if late != now.AccessToken || p.stored().Tokens != now {
		t.Error("the refresh has replaced the new tokens")
	}
	p.idle()
}

func testSignedOutDuringRefresh(t *testing.T, p *plugin) {
	p.signIn()
	p.expireIn(-1000)
	release := p.holdRefresh()
	before := p.provider.refreshes.Load()
	p.get()
	p.waitForRefresh(before)
	p.run("left = false, auth.signOut().then(() => left = true)")
	p.tab.Until(t, "auth.state.status === 'signedOut'")
	release()
	p.tab.Until(t, "left") // it revokes the tokens meanwhile
	p.ends("signed_out: ")
	if p.storedValues() != 0 {
		t.Error("the tokens are back")
	}
}

// store puts a value where the client keeps the tokens.
func (p *plugin) store(value string) {
	p.t.Helper()
	p.run("localStorage.setItem('plugin-oauth " + p.backendURL + "', " + strconv.Quote(value) + ")")
}

// refreshAnswer is what a refresh may be answered, and how the outcome begins.
type refreshAnswer struct {
	status     int
	body, want string
}

func testRefreshAnswers(t *testing.T, p *plugin) {
	p.signIn()
	kept := browser.Evaluate[string](t, p.tab, "Object.values(localStorage)[0]")
	const hasRefreshToken = "!!JSON.parse(Object.values(localStorage)[0]).tokens.refresh_token"
	for _, test := range []refreshAnswer{
		// The grant has ended. The backend has one word for that, under the status of the provider.
		{status: 400, body: `{"error":"invalid_grant"}`, want: "signed_out: "},
		{status: 401, body: `{"error":"invalid_grant","error_description":"Sign in."}`, want: "signed_out: "},
		{status: 403, body: `{"error":"invalid_grant","error_description":""}`, want: "signed_out: "},
		// It has not, or nobody knows.
		{status: 400, body: `{"error":"invalid_request"}`, want: "unavailable: "},
		{status: 400, body: `{"error":"server_error"}`, want: "unavailable: "},
		{status: 401, body: `{"error":"token_revoked"}`, want: "unavailable: "},
		{status: 403, body: `{"error":{"code":"invalid_grant"}}`, want: "unavailable: "},
		{status: 200, body: `{"error":"bad_refresh_token"}`, want: "unavailable: "},
		{
			status: 401,
			body:   `{"error":"invalid_client","error_description":"Check CLIENT_SECRET."}`,
			want:   "unavailable: Check CLIENT_SECRET.",
		},
		{status: 400, body: `{"error":"temporarily_unavailable"}`, want: "unavailable: The sign-in service"},
		{status: 400, body: `{"error":"internal_error"}`, want: "unavailable: "},
		{status: 400, body: `{"error":"unsupported_grant_type"}`, want: "unavailable: "},
		{status: 400, body: `<h1>Bad request</h1>`, want: "unavailable: "},
		{status: 429, body: `{"error":"invalid_grant_rate"}`, want: "unavailable: "},
		{status: 429, body: `{"error":"invalid_grant"}`, want: "unavailable: "},
		{status: 500, body: `{"error":"invalid_grant"}`, want: "unavailable: "},
		{status: 200, body: `<h1>Sign in to the hotel's network</h1>`, want: "unavailable: "},
		{status: 200, body: ``, want: "unavailable: "},
		{status: 200, body: `[]`, want: "unavailable: "},
		{status: 200, body: `null`, want: "unavailable: "},
		{status: 200, body: `{}`, want: "unavailable: "},
		{status: 200, body: `{"errcode":40029,"errmsg":"invalid code"}`, want: "unavailable: "},
		{status: 200, body: `{"token_type":"bearer"}`, want: "unavailable: "},
		{status: 200, body: `{"access_token":" "}`, want: "unavailable: "},
		// Tokens; the refresh token stays.
		{status: 200, body: `{"access_token":"new","error":{}}`, want: `"new"`},
		{status: 200, body: `{"id_token":"new"}`, want: `"new"`},
		{status: 200, body: `{"code":0,"data":{"access_token":"nested"}}`, want: `"nested"`},
		{
			status: 200,
			body:   `{"access_token":"new","refresh_token":null,"expires_in":"3600.5"}`,
			want:   `"new"`,
		},
		{
			status: 200,
			body:   `{"authed_user":{"access_token":"nested"},"access_token":null}`,
			want:   `"nested"`,
		},
	} {
		t.Run(fmt.Sprintf("%d %s", test.status, test.body), func(t *testing.T) {
			p := p.in(t)
			p.store(kept)
			p.expireIn(-1000)
			p.front.refreshAnswer.Store(&answer{status: test.status, body: test.body})
			p.run("watch(auth.accessToken())")
			p.ends(test.want)
			if gone := p.storedValues() == 0; gone != (test.want == "signed_out: ") {
				t.Errorf("the tokens are gone: %t", gone)
			} else if !gone && !browser.Evaluate[bool](t, p.tab, hasRefreshToken) {
				t.Error("the refresh token is gone")
			}
		})
	}
	addresses := browser.Evaluate[string](t, p.tab,
		"performance.getEntriesByType('resource').map(({ name }) => name).join()")
	if strings.Contains(addresses, "?") {
		t.Errorf("something stands in an address: %s", addresses)
	}
}

func testRefreshAnswersInText(t *testing.T, p *plugin) {
	p.signIn()
	kept := browser.Evaluate[string](t, p.tab, "Object.values(localStorage)[0]")
	for _, test := range []refreshAnswer{
		{status: 503, body: "Service Unavailable", want: "unavailable: "},
		{status: 400, body: "<h1>Bad Request</h1>", want: "unavailable: "}, // of a proxy
		{status: 200, body: `{"error":"temporarily_unavailable"}`, want: "unavailable: "},
		{status: 400, body: "Bad Request", want: "signed_out: "},
		{status: 401, body: "Unauthorized", want: "signed_out: "},
		{status: 200, body: `{"error":"bad_refresh_token"}`, want: "signed_out: "}, // as GitHub has it
	} {
		t.Run(fmt.Sprintf("%d %s", test.status, test.body), func(t *testing.T) {
			p := p.in(t)
			p.store(kept)
			p.expireIn(-1000)
			p.front.refreshAnswer.Store(&answer{status: test.status, body: test.body})
			p.run("watch(auth.accessToken())")
			p.ends(test.want)
		})
	}
}

func testWithoutLocks(t *testing.T, p *plugin) {
	p.signIn()
	p.run("Object.defineProperty(navigator, 'locks', { value: undefined })")
	p.expireIn(-1000)
	for range 3 {
		p.get()
	}
	p.ends(`{"status":200`)
	if n := p.front.refreshes.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
	// Another window has used the refresh token up, and is a moment later to write what it got.
	p.expireIn(-1000)
	p.front.refreshAnswer.Store(&answer{status: 400, body: "Bad Request"})
	p.run(`begin(() => localStorage.setItem(key, JSON.stringify({
		tokens: { access_token: "of the other window", refresh_token: "RT" }, expires: 0 })), 700)`)
	p.run("watch(auth.accessToken())")
	p.ends(`"of the other window"`)
	p.status("signedIn")
}

func testEachCustomer(t *testing.T, p *plugin) {
	p.signIn()
	p.run(fmt.Sprintf(`other = createAuth({ backend: '%[1]s/', parameters: { shop: 'b' } }).state.status,
		same = createAuth({ backend: '%[1]s/' }).state.status`, p.backendURL))
	if got := browser.Evaluate[string](t, p.tab, "other + same"); got != "signedOutsignedIn" {
		t.Errorf("the other customer and the same are %s", got)
	}
}

// A token is sent over https and to localhost, or else only to the origins that the author names.
func testTokensGoWhereTheyBelong(t *testing.T, p *plugin) {
	p.signIn()
	p.run(`sent = [], listed = createAuth({ backend: query.get("backend"), origins: [
			"https://api.example", "http://10.0.0.1:8080",
		] }),
		fetch = async request => {
			sent.push(request.url + " " + request.headers.get("Authorization").slice(0, 7))
			return new Response()
		},
		to = (from, url) => watch(from.fetch(url).then(() => sent.splice(0).join()))`)
	const refused = "wrong_address: The sign-in may not be used at this address."
	for _, test := range []struct{ from, url, want string }{
		{from: "auth", url: "https://api.example/a?b"},
		{from: "auth", url: "http://localhost/a"},
		{from: "auth", url: "http://localhost:1/a"},
		{from: "auth", url: "/a"}, // the page is on localhost
		{from: "auth", url: "http://api.example/a", want: refused},
		{from: "auth", url: "http://localhost.example/a", want: refused},
		{from: "auth", url: "http://api.example/https://localhost/", want: refused},
		{from: "auth", url: "data:,a", want: refused},
		{from: "listed", url: "https://api.example/a?b"},
		{from: "listed", url: "http://10.0.0.1:8080/a"},
		{from: "listed", url: "https://api.example:444/a", want: refused},
		{from: "listed", url: "https://api.example.org/a", want: refused},
		{from: "listed", url: "http://api.example/a", want: refused},
		{from: "listed", url: "http://localhost:1/a", want: refused},
	} {
		t.Run(test.from+" "+test.url, func(t *testing.T) {
			p := p.in(t)
			p.run("to(" + test.from + ", " + strconv.Quote(test.url) + ")")
			if test.want == "" {
				p.ends(`"http`)
				got := browser.Evaluate[string](t, p.tab, "outcome")
				if !strings.HasSuffix(got, test.url+` Bearer "`) {
					t.Errorf("sent is %s", got)
				}
				return
			}
			p.ends(test.want)
			if browser.Evaluate[int](t, p.tab, "sent.length") != 0 {
				t.Error("the request is sent")
			}
		})
	}
}

// A code that is a property of every object has no message of its own.
func testCodesThatObjectsHave(t *testing.T, p *plugin) {
	for _, code := range []string{"constructor", "__proto__", "toString"} {
		p.run(`fetch = async () => new Response('{"error":"` + code + `"}', { status: 400 }),
			watch(createAuth({ backend: query.get("backend"), open() {} }).signIn())`)
		p.ends(code + ": The sign-in failed. Please try again.")
	}
}

// useSlowStorage makes slow, whose storage takes a while for each answer, and waits for hold before it
// writes.
func (p *plugin) useSlowStorage() {
	p.t.Helper()
	p.run(`values = new Map(), hold = null, storing = 0,
		slowly = task => new Promise(resolve => begin(() => resolve(task()), 300)),
		slow = createAuth({ backend: query.get('backend'), storage: {
			getItem: key => slowly(() => values.get(key)),
			setItem: async (key, value) => {
				storing++
				await hold
				await slowly(() => values.set(key, value))
			},
			removeItem: key => slowly(() => values.delete(key)),
		} }),
		first = slow.state.status,
		document.querySelector('#signIn').onclick = () => watch(slow.signIn())`)
	if got := browser.Evaluate[string](p.t, p.tab, "first"); got != "loading" {
		p.t.Errorf("at first it is %s", got)
	}
	p.tab.Until(p.t, "slow.state.status === 'signedOut'")
}

func testSlowStorage(t *testing.T, p *plugin) {
	p.useSlowStorage()
	// A listener that throws is not the sign-in's fault.
	p.run(`listened = [], thrown = 0, addEventListener('error', () => thrown++),
		slow.onChange(() => { throw new Error('of the listener') }),
		slow.onChange(() => listened.push('not any more'))(),
		slow.onChange(state => listened.push(state.status))`)
	p.submit(p.click())
	p.ends(`{"`)
	if got := browser.Evaluate[string](t, p.tab, "listened.at(-1) + (thrown > 0)"); got != "signedIntrue" {
		t.Errorf("the listeners got %s", got)
	}
	if browser.Evaluate[bool](t, p.tab, "listened.includes('not any more')") {
		t.Error("a listener is called after it was removed")
	}
}

func testSignedOutWhileStoring(t *testing.T, p *plugin) {
	p.useSlowStorage()
	p.submit(p.click())
	p.ends(`{"`)
	p.run(`[key, value] = [...values][0],
		values.set(key, JSON.stringify({ ...JSON.parse(value), expires: 1 })),
		storing = 0, hold = new Promise(resolve => release = resolve)`)
	p.run("watch(slow.accessToken())")
	p.tab.Until(t, "storing === 1")
	p.run("left = false, slow.signOut().then(() => left = true), release()")
	p.tab.Until(t, "left && timers.size === 0") // it also waits in between, without a timer
	p.ends("signed_out: ")
	p.tab.Until(t, "values.size === 0 && slow.state.status === 'signedOut'")
	p.idle()
}

// An abort while a slow storage takes the tokens leaves those that were there before, and signing out leaves
// none. Nobody has the new ones, so they end.
func testAbortedWhileStoring(t *testing.T, p *plugin) {
	p.useSlowStorage()
	p.run(`send = fetch, fetch = async (address, init) => {
		const response = await send(address, init)
		if (address.endsWith?.("/poll") && response.status === 200) came = await response.clone().json()
		return response
	}, document.querySelector("#signIn").onclick = () => {
		stop = new AbortController()
		watch(slow.signIn({ signal: stop.signal }))
	}`)
	endWhileStoring := func(with string) {
		t.Helper()
		opened := p.click()
		p.run("storing = 0, hold = new Promise(resolve => release = resolve)")
		p.submit(opened)
		p.tab.Until(t, "storing === 1")
		p.run(with + ", release(), hold = null")
		p.ends("aborted: ")
		p.checkRefresh(browser.Evaluate[string](t, p.tab, "came.refresh_token"), http.StatusBadRequest)
	}
	endWhileStoring("stop.abort()")
	p.tab.Until(t, "values.size === 0 && slow.state.status === 'signedOut'")

	p.submit(p.click())
	p.ends(`{"`)
	p.run("before = JSON.stringify([...values])")
	endWhileStoring("stop.abort()")
	const isAsBefore = "before === JSON.stringify([...values]) && slow.state.status === 'signedIn'"
	if !browser.Evaluate[bool](t, p.tab, isAsBefore) {
		t.Error("the tokens that were there are gone")
	}
	p.run("watch(slow.fetch('" + p.provider.url + "/userinfo').then(({ status }) => status))")
	p.ends("200")

	endWhileStoring("left = false, slow.signOut().then(() => left = true)")
	p.tab.Until(t, "left && values.size === 0 && slow.state.status === 'signedOut'")
	p.idle()
}

func testStorageThatFails(t *testing.T, p *plugin) {
	p.signIn()
	// It fails just when the provider has given a new refresh token.
	before := p.stored().Tokens.RefreshToken
	p.expireIn(-1000)
	p.run(`reads = 0, { getItem } = Storage.prototype, Storage.prototype.getItem = function (key) {
		if (++reads === 3) throw new Error('shut')
		return getItem.call(this, key)
	}`)
	p.run("watch(auth.accessToken())")
	p.ends(`"`)
	if browser.Evaluate[int](t, p.tab, "reads") != 3 || p.stored().Tokens.RefreshToken == before {
		t.Error("the new refresh token is lost")
	}
	p.run(`Storage.prototype.getItem = Storage.prototype.removeItem = () => { throw new Error('shut') },
		watch(auth.accessToken())`)
	p.ends("unavailable: The stored sign-in cannot be read.")
	p.run("watch(auth.signOut())")
	p.ends(`"done"`)
	p.status("signedOut")
	p.checkRefresh(p.stored().Tokens.RefreshToken, http.StatusBadRequest)
}

func testStorageCannotBeWritten(_ *testing.T, p *plugin) {
	p.run("localStorage.setItem = null, Storage.prototype.setItem = () => { throw new Error('full') }")
	p.signIn()
	p.get()
	p.ends(`{"status":200`)
}
