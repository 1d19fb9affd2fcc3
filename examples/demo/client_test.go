package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// traffic has the requests of a tab that have no whole answer yet.
type traffic struct {
	mu   sync.Mutex
	open map[network.RequestID]string
}

func (tr *traffic) listen(event any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		tr.open[event.RequestID] = event.Request.Method + " " + event.Request.URL
	case *network.EventLoadingFinished:
		delete(tr.open, event.RequestID)
	case *network.EventLoadingFailed:
		delete(tr.open, event.RequestID)
	}
}

func (tr *traffic) requests() (open []string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, request := range tr.open {
		open = append(open, request)
	}
	return open
}

// plugin is a window with the client in it.
type plugin struct {
	t        *testing.T
	tab      context.Context
	traffic  *traffic
	provider *provider
	address  string
}

// watched follows the requests of a new tab from its start.
func watched(t *testing.T, tab context.Context) *traffic {
	t.Helper()
	tr := &traffic{open: map[network.RequestID]string{}}
	if err := chromedp.Listen(tab, tr.listen); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(tab, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return tr
}

// ends waits for the outcome of the last promise, and checks how it begins. Then no timer and no request may be left.
func (p *plugin) ends(want string) {
	p.t.Helper()
	until(p.t, p.tab, "window.outcome !== ''")
	if got := evaluate[string](p.t, p.tab, "outcome"); !strings.HasPrefix(got, want) {
		p.t.Errorf("the outcome is %.200s, want %s", got, want)
	}
	p.idle()
}

func (p *plugin) idle() {
	p.t.Helper()
	for range 2 { // a request that was aborted is reported a moment later; and nothing comes after that
		time.Sleep(100 * time.Millisecond)
		if n := evaluate[int](p.t, p.tab, "timers.size"); n != 0 {
			p.t.Errorf("%d timers are left", n)
		}
	}
	if open := p.traffic.requests(); len(open) > 0 {
		p.t.Errorf("requests are left: %s", open)
	}
}

// run evaluates a statement of the page.
func (p *plugin) run(statement string) {
	p.t.Helper()
	evaluate[bool](p.t, p.tab, "("+statement+", true)")
}

func (p *plugin) status(want string) {
	p.t.Helper()
	if got := evaluate[string](p.t, p.tab, "auth.state.status"); got != want {
		p.t.Errorf("the status is %s, want %s", got, want)
	}
}

// stored returns what is kept in localStorage.
func (p *plugin) stored() (kept struct {
	Tokens  tokens
	Expires float64
}) {
	p.t.Helper()
	value := evaluate[string](p.t, p.tab, "Object.values(localStorage)[0] ?? '{}'")
	if err := json.Unmarshal([]byte(value), &kept); err != nil {
		p.t.Fatal(err)
	}
	return kept
}

// ages makes the access token end in some milliseconds, as far as the client knows.
func (p *plugin) ages(milliseconds string) {
	p.t.Helper()
	p.run("[key, value] = Object.entries(localStorage)[0], localStorage.setItem(key, JSON.stringify({ ...JSON.parse(value), expires: Date.now() + " + milliseconds + " }))")
}

// window attaches to the window that shows an address, once it does.
func window(t *testing.T, ctx context.Context, prefix string) context.Context {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		targets, err := chromedp.Targets(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range targets {
			if info.Type == "page" && strings.HasPrefix(info.URL, prefix) && !info.Attached {
				opened, closeWindow := chromedp.NewContext(ctx, chromedp.WithTargetID(info.TargetID))
				t.Cleanup(closeWindow)
				return opened
			}
		}
	}
	t.Fatalf("no window shows %s", prefix)
	return nil
}

// noWindow checks that no window shows an address, in a moment.
func noWindow(t *testing.T, ctx context.Context, prefix string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		targets, err := chromedp.Targets(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(targets, func(info *target.Info) bool { return info.Type == "page" && strings.HasPrefix(info.URL, prefix) }) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("a window with %s is left open", prefix)
			return
		}
	}
}

// clicks starts a sign-in and returns the window of the provider, which shows its form.
func (p *plugin) clicks() context.Context {
	p.t.Helper()
	do(p.t, p.tab, chromedp.Click(chromedp.CSS("#signIn")))
	opened := window(p.t, p.tab, p.provider.url)
	do(p.t, opened, chromedp.WaitVisible(chromedp.CSS("#username")))
	return opened
}

// submit fills in the provider's form.
func (p *plugin) submit(opened context.Context) {
	p.t.Helper()
	do(p.t, opened, chromedp.SendKeys(chromedp.CSS("#username"), p.provider.username), chromedp.SendKeys(chromedp.CSS("#password"), p.provider.password))
	evaluate[bool](p.t, opened, "(setTimeout(() => document.querySelector('button').click()), true)")
}

func (p *plugin) signsIn() {
	p.t.Helper()
	p.submit(p.clicks())
	p.ends(`{"`)
	p.status("signedIn")
}

// asks waits until the provider has been asked for a refresh once more than before.
func (p *plugin) asks(before int64) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); p.provider.refreshes.Load() == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatal("the provider is not asked for a refresh")
		}
	}
}

// another opens a second window of the plugin.
func (p *plugin) another() *plugin {
	p.t.Helper()
	return opensWindow(p.t, p.tab, p.provider, p.address)
}

func opensWindow(t *testing.T, ctx context.Context, provider *provider, address string) *plugin {
	t.Helper()
	tab, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	p := &plugin{t: t, tab: tab, traffic: watched(t, tab), provider: provider, address: address}
	do(t, tab, chromedp.Navigate(address))
	until(t, p.tab, "!!window.auth")
	return p
}

// The client in a real browser, with the program and a real provider; and once more with a backend that answers as
// framer/plugin-oauth does.
func TestClient(t *testing.T) {
	backend := newRelay(t)
	provider := newProvider(t, backend.url+"/redirect")
	backend.knows(provider)
	backend.start()
	pages := serve(t, clientPages())
	direct, worker := newFront(backend, false), newFront(backend, true)
	directURL, workerURL := serve(t, direct), serve(t, worker)
	browser := browser(t)

	// opens starts with a new window and nothing stored.
	opens := func(t *testing.T, query string) *plugin {
		t.Helper()
		provider.keeps.Store(false)
		provider.down.Store(false)
		provider.held.Store(nil)
		ctx, cancel := context.WithTimeout(browser, time.Minute)
		t.Cleanup(cancel)
		p := opensWindow(t, ctx, provider, pages+"/?"+query)
		p.run("localStorage.clear()")
		do(t, p.tab, chromedp.Reload())
		until(t, p.tab, "!!window.auth")
		return p
	}
	get := "watch(get('" + provider.url + "/userinfo'))"

	for name, backendURL := range map[string]string{"plugin-oauth": backend.url, "as the Worker": workerURL} {
		isWorker := backendURL == workerURL
		for _, scenario := range []struct {
			name string
			run  func(t *testing.T, p *plugin)
		}{
			{"sign in, fetch, sign out", func(t *testing.T, p *plugin) {
				p.status("signedOut")
				opened := p.clicks()
				if !evaluate[bool](t, opened, "opener === null") {
					t.Error("the provider's page reaches the plugin")
				}
				p.submit(opened)
				p.ends(`{"`)
				p.status("signedIn")
				do(t, opened, chromedp.WaitVisible(chromedp.CSS("main.success h1")))
				kept := p.stored()
				if kept.Tokens.AccessToken == "" || kept.Tokens.RefreshToken == "" || kept.Tokens.IDToken == "" || time.Until(time.UnixMilli(int64(kept.Expires))) < 4*time.Minute {
					t.Errorf("kept are %+v", kept)
				}
				p.run(get)
				p.ends(`{"status":200`)
				if got := evaluate[string](t, p.tab, "JSON.parse(outcome).name"); got != "Test User" {
					t.Errorf("the provider knows %q", got)
				}
				p.run("watch(auth.signOut())")
				p.ends(`"done"`)
				p.status("signedOut")
				if got := evaluate[int](t, p.tab, "localStorage.length"); got != 0 {
					t.Error("the tokens are still kept")
				}
				if got := evaluate[string](t, p.tab, "states.join()"); got != "waiting,signedIn,signedOut" {
					t.Errorf("the states were %s", got)
				}
				want := http.StatusBadRequest
				if isWorker {
					want = http.StatusOK // it cannot revoke
				}
				if _, err := post(t.Context(), backend.url+"/refresh?code="+url.QueryEscape(kept.Tokens.RefreshToken), want); err != nil {
					t.Error(err)
				}
				p.run(get)
				p.ends("signed_out: You are signed out.")
			}},
			{"closed window", func(t *testing.T, p *plugin) {
				opened := p.clicks()
				if _, err := chromedp.Call(opened, page.Close, cdp.Empty{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				p.status("waiting")
				again, closeWindow := chromedp.NewContext(p.tab)
				defer closeWindow()
				do(t, again, chromedp.Navigate(evaluate[string](t, p.tab, "auth.state.url")), chromedp.WaitVisible(chromedp.CSS("#username")))
				p.submit(again)
				p.ends(`{"`)
			}},
			{"timeout", func(t *testing.T, p *plugin) {
				p.run("options = { timeout: 2500 }")
				began := time.Now()
				p.clicks()
				p.ends("timeout: The sign-in took too long.")
				if took := time.Since(began); took < 2500*time.Millisecond || took > 6*time.Second {
					t.Errorf("it took %s", took)
				}
				p.status("signedOut")
			}},
			{"abort", func(t *testing.T, p *plugin) {
				p.run("stop = new AbortController(), options = { signal: stop.signal, onWaiting: ({ url }) => waitingFor = url }")
				p.clicks()
				if got := evaluate[string](t, p.tab, "waitingFor"); !strings.HasPrefix(got, provider.url) {
					t.Errorf("onWaiting got %s", got)
				}
				p.run("stop.abort()")
				p.ends("aborted: The sign-in was cancelled.")
				// Stopped before it began, it opens nothing.
				do(t, p.tab, chromedp.Click(chromedp.CSS("#signIn")))
				p.ends("aborted: ")
				noWindow(t, p.tab, "about:blank")
			}},
			{"backend restarts", func(t *testing.T, p *plugin) {
				opened := p.clicks()
				time.Sleep(time.Second)
				backend.stop()
				time.Sleep(3 * time.Second)
				p.status("waiting")
				backend.start()
				p.submit(opened)
				p.ends(`{"`)
			}},
			{"asleep", func(t *testing.T, p *plugin) {
				opened := p.clicks()
				freeze := func(state page.SetWebLifecycleStateState) {
					if _, err := chromedp.Call(p.tab, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state}); err != nil {
						t.Fatal(err)
					}
				}
				freeze(page.SetWebLifecycleStateStateFrozen)
				p.submit(opened)
				time.Sleep(4 * time.Second)
				freeze(page.SetWebLifecycleStateStateActive)
				p.ends(`{"`)
			}},
			{"two windows refresh", func(t *testing.T, p *plugin) {
				p.signsIn()
				other := p.another()
				p.ages("-1000")
				before, requests := provider.refreshes.Load(), worker.refreshes.Load()
				for range 3 { // several calls in each
					p.run(get)
					other.run(get)
				}
				p.ends(`{"status":200`)
				other.ends(`{"status":200`)
				if n := provider.refreshes.Load() - before; n != 1 {
					t.Errorf("the provider was asked %d times", n)
				}
				// Ours asks once for any number of windows. Where the backend does not, the client must; a new window needs a
				// second request to find that this one reads the query only.
				if n := worker.refreshes.Load() - requests; isWorker && n > 2 {
					t.Errorf("the backend was asked %d times", n)
				}
			}},
			{"provider rotates", func(t *testing.T, p *plugin) {
				p.signsIn()
				for range 2 {
					old := p.stored().Tokens
					p.ages("1000") // shortly before its end
					p.run(get)
					p.ends(`{"status":200`)
					if now := p.stored().Tokens; now.RefreshToken == old.RefreshToken || now.AccessToken == old.AccessToken {
						t.Error("the tokens are the old ones")
					}
				}
			}},
			{"provider omits the refresh token", func(t *testing.T, p *plugin) {
				provider.keeps.Store(true)
				p.signsIn()
				for range 2 {
					old := p.stored().Tokens
					p.ages("-1000")
					p.run(get)
					p.ends(`{"status":200`)
					if now := p.stored().Tokens; now.RefreshToken != old.RefreshToken || now.AccessToken == old.AccessToken {
						t.Error("the refresh token was not kept, or the access token was")
					}
				}
			}},
			{"401, refresh, success", func(t *testing.T, p *plugin) {
				p.signsIn()
				old := p.stored().Tokens
				if _, err := post(t.Context(), backend.url+"/revoke?token="+url.QueryEscape(old.AccessToken), http.StatusOK); err != nil {
					t.Fatal(err)
				}
				before := provider.refreshes.Load()
				for range 3 {
					p.run(get)
				}
				p.ends(`{"status":200`)
				if n := provider.refreshes.Load() - before; n != 1 {
					t.Errorf("the provider was asked %d times", n)
				}
			}},
			{"revoked at the provider", func(t *testing.T, p *plugin) {
				p.signsIn()
				if _, err := post(t.Context(), backend.url+"/revoke?token="+url.QueryEscape(p.stored().Tokens.RefreshToken), http.StatusOK); err != nil {
					t.Fatal(err)
				}
				p.run(get)
				p.ends("signed_out: You are signed out. Please sign in again.")
				p.status("signedOut")
				if got := evaluate[string](t, p.tab, "auth.state.error.code + localStorage.length"); got != "signed_out0" {
					t.Errorf("it shows and keeps %s", got)
				}
			}},
			{"provider has trouble", func(t *testing.T, p *plugin) {
				p.signsIn()
				old := p.stored().Tokens
				provider.down.Store(true)
				p.ages("20000") // it should be refreshed, but need not be yet
				p.run(get)
				p.ends(`{"status":200`)
				p.ages("-1000")
				p.run(get)
				p.ends("unavailable: ")
				p.status("signedIn")
				if p.stored().Tokens != old {
					t.Error("the tokens are not kept")
				}
				provider.down.Store(false)
				p.run(get)
				p.ends(`{"status":200`)
			}},
			{"storage cleared from outside", func(t *testing.T, p *plugin) {
				p.signsIn()
				other := p.another()
				other.status("signedIn")
				other.run("localStorage.clear()")
				until(t, p.tab, "auth.state.status === 'signedOut'")
				other.run(get) // where no event tells
				other.ends("signed_out: ")
				other.status("signedOut")
				p.idle()
			}},
			{"signed in during a refresh", func(t *testing.T, p *plugin) {
				p.signsIn()
				p.ages("-1000")
				held := make(chan struct{})
				provider.held.Store(&held)
				before := provider.refreshes.Load()
				p.run("late = '', auth.accessToken().then(token => late = token)")
				p.asks(before)
				old := p.stored().Tokens
				p.submit(p.clicks())
				until(t, p.tab, "outcome !== ''")
				now := p.stored().Tokens
				if now == old {
					t.Error("the tokens are the old ones")
				}
				provider.held.Store(nil)
				close(held)
				until(t, p.tab, "late !== ''")
				if late := evaluate[string](t, p.tab, "late"); late != now.AccessToken || p.stored().Tokens != now {
					t.Error("the refresh has replaced the new tokens")
				}
				p.idle()
			}},
			{"signed out during a refresh", func(t *testing.T, p *plugin) {
				p.signsIn()
				p.ages("-1000")
				held := make(chan struct{})
				provider.held.Store(&held)
				before := provider.refreshes.Load()
				p.run(get)
				p.asks(before)
				p.run("auth.signOut()")
				until(t, p.tab, "auth.state.status === 'signedOut'")
				provider.held.Store(nil)
				close(held)
				p.ends("signed_out: ")
				if n := evaluate[int](t, p.tab, "localStorage.length"); n != 0 {
					t.Error("the tokens are back")
				}
			}},
		} {
			t.Run(name+"/"+scenario.name, func(t *testing.T) {
				scenario.run(t, opens(t, "backend="+backendURL))
			})
		}
	}

	t.Run("denied", func(t *testing.T) {
		p := opens(t, "backend="+backend.url)
		opened := p.clicks()
		authorization, err := url.Parse(evaluate[string](t, p.tab, "auth.state.url"))
		if err != nil {
			t.Fatal(err)
		}
		evaluate[bool](t, opened, "(location.href = '"+backend.url+"/redirect?error=access_denied&state="+authorization.Query().Get("state")+"', true)")
		p.ends("access_denied: The sign-in was cancelled")
		if got := evaluate[string](t, p.tab, "auth.state.error.code"); got != "access_denied" {
			t.Errorf("it shows %s", got)
		}
		p.signsIn() // and tries again
		if got := evaluate[bool](t, p.tab, "auth.state.error === null"); !got {
			t.Error("it still shows the error")
		}
	})

	t.Run("expired", func(t *testing.T) {
		short := newRelay(t)
		short.knows(provider, "SESSION_TTL=2s")
		short.start()
		p := opens(t, "backend="+short.url)
		do(t, p.tab, chromedp.Click(chromedp.CSS("#signIn")))
		p.ends("expired_token: The sign-in took too long.")
	})

	t.Run("backend does not answer", func(t *testing.T) {
		nobody := newRelay(t)
		p := opens(t, "backend="+nobody.url)
		do(t, p.tab, chromedp.Click(chromedp.CSS("#signIn")))
		p.ends("unavailable: The sign-in service cannot be reached.")
		noWindow(t, p.tab, "about:blank")
	})

	t.Run("backend without a plugin", func(t *testing.T) {
		empty := newRelay(t)
		empty.env = []string{"PATH="}
		empty.start()
		p := opens(t, "backend="+empty.url)
		do(t, p.tab, chromedp.Click(chromedp.CSS("#signIn")))
		p.ends("unavailable: No plugin is configured")
	})

	for _, front := range []struct {
		*front
		url string
	}{{direct, directURL}, {worker, workerURL}} {
		t.Run("offline for 10 s", func(t *testing.T) {
			p := opens(t, "backend="+front.url)
			opened := p.clicks()
			front.offline.Store(true)
			p.submit(opened)
			time.Sleep(10 * time.Second)
			p.status("waiting")
			front.offline.Store(false)
			p.ends(`{"`)
		})
	}

	t.Run("what a refresh is answered", func(t *testing.T) {
		p := opens(t, "backend="+directURL)
		p.signsIn()
		defer direct.refreshAnswer.Store(nil)
		kept := evaluate[string](t, p.tab, "Object.values(localStorage)[0]")
		for _, test := range []struct {
			answer
			want string
		}{
			// The grant has ended.
			{answer{400, `{"error":"invalid_grant"}`}, "signed_out: "},
			{answer{403, `{"error":"invalid_grant","error_description":""}`}, "signed_out: "},
			{answer{200, `{"error":"bad_refresh_token"}`}, "signed_out: "},
			{answer{401, `{"error":"token_revoked"}`}, "signed_out: "},
			// It has not, or nobody knows.
			{answer{401, `{"error":"invalid_client","error_description":"Check CLIENT_SECRET."}`}, "unavailable: Check CLIENT_SECRET."},
			{answer{400, `{"error":"temporarily_unavailable"}`}, "unavailable: The sign-in service"},
			{answer{400, `{"error":"internal_error"}`}, "unavailable: "},
			{answer{400, `{"error":"unsupported_grant_type"}`}, "unavailable: "},
			{answer{400, `<h1>Bad request</h1>`}, "unavailable: "},
			{answer{429, `{"error":"invalid_grant_rate"}`}, "unavailable: "},
			{answer{500, `{"error":"invalid_grant"}`}, "unavailable: "},
			{answer{200, `<h1>Sign in to the hotel's network</h1>`}, "unavailable: "},
			{answer{200, ``}, "unavailable: "},
			{answer{200, `[]`}, "unavailable: "},
			{answer{200, `null`}, "unavailable: "},
			{answer{200, `{"token_type":"bearer"}`}, "server_error: "},
			// Tokens; the refresh token stays.
			{answer{200, `{"access_token":"new","refresh_token":null,"expires_in":"3600.5"}`}, `"new"`},
			{answer{200, `{"authed_user":{"access_token":"nested"},"access_token":null}`}, `"nested"`},
		} {
			p.run("localStorage.setItem(Object.keys(localStorage)[0] ?? 'plugin-oauth " + directURL + "', " + strconv.Quote(kept) + ")")
			p.ages("-1000")
			direct.refreshAnswer.Store(&test.answer)
			p.run("watch(auth.accessToken())")
			p.ends(test.want)
			if gone := evaluate[int](t, p.tab, "localStorage.length") == 0; gone != (test.want == "signed_out: ") {
				t.Errorf("%d %s: the tokens are gone: %t", test.status, test.body, gone)
			} else if !gone && !evaluate[bool](t, p.tab, "!!JSON.parse(Object.values(localStorage)[0]).tokens.refresh_token") {
				t.Errorf("%d %s: the refresh token is gone", test.status, test.body)
			}
		}
		if strings.Contains(evaluate[string](t, p.tab, "performance.getEntriesByType('resource').map(({ name }) => name).join()"), "?") {
			t.Error("something stands in an address")
		}
	})

	t.Run("what a refresh is answered in text", func(t *testing.T) {
		p := opens(t, "backend="+workerURL)
		p.signsIn()
		defer worker.refreshAnswer.Store(nil)
		for _, test := range []struct {
			answer
			want string
		}{
			{answer{503, "Service Unavailable"}, "unavailable: "},
			{answer{400, "<h1>Bad Request</h1>"}, "unavailable: "}, // of a proxy
			{answer{400, "Bad Request"}, "signed_out: "},
		} {
			p.ages("-1000")
			worker.refreshAnswer.Store(&test.answer)
			p.run("watch(auth.accessToken())")
			p.ends(test.want)
		}
	})

	t.Run("without locks", func(t *testing.T) {
		p := opens(t, "backend="+workerURL)
		p.signsIn()
		p.run("Object.defineProperty(navigator, 'locks', { value: undefined })")
		p.ages("-1000")
		before := worker.refreshes.Load()
		for range 3 {
			p.run(get)
		}
		p.ends(`{"status":200`)
		if n := worker.refreshes.Load() - before; n != 1 {
			t.Errorf("the backend was asked %d times", n)
		}
		// Another window has used the refresh token up, and is a moment later to write what it got.
		p.ages("-1000")
		defer worker.refreshAnswer.Store(nil)
		worker.refreshAnswer.Store(&answer{400, "Bad Request"})
		p.run(`begin(() => localStorage.setItem(key, JSON.stringify({ tokens: { access_token: "of the other window", refresh_token: "RT" }, expires: 0 })), 700)`)
		p.run("watch(auth.accessToken())")
		p.ends(`"of the other window"`)
		p.status("signedIn")
	})

	t.Run("each customer has tokens of their own", func(t *testing.T) {
		p := opens(t, "backend="+backend.url)
		p.signsIn()
		p.run("other = createAuth({ backend: '" + backend.url + "/', parameters: { shop: 'b' } }).state.status, same = createAuth({ backend: '" + backend.url + "/' }).state.status")
		if got := evaluate[string](t, p.tab, "other + same"); got != "signedOutsignedIn" {
			t.Errorf("the other customer and the same are %s", got)
		}
	})

	t.Run("slow storage", func(t *testing.T) {
		p := opens(t, "backend="+backend.url)
		p.run(`values = new Map(), slowly = task => new Promise(resolve => begin(() => resolve(task()), 300)), listened = [], thrown = 0, addEventListener('error', () => thrown++),
			slow = createAuth({ backend: query.get('backend'), storage: {
				getItem: key => slowly(() => values.get(key)), setItem: (key, value) => slowly(() => values.set(key, value)), removeItem: key => slowly(() => values.delete(key)) } })`)
		if got := evaluate[string](t, p.tab, "slow.state.status"); got != "loading" {
			t.Errorf("at first it is %s", got)
		}
		until(t, p.tab, "slow.state.status === 'signedOut'")
		// A listener that throws is not the sign-in's fault.
		p.run("slow.onChange(() => { throw new Error('of the listener') }), slow.onChange(() => listened.push('not any more'))(), slow.onChange(state => listened.push(state.status)), document.querySelector('#signIn').onclick = () => watch(slow.signIn())")
		p.submit(p.clicks())
		p.ends(`{"`)
		if got := evaluate[string](t, p.tab, "listened.at(-1) + (thrown > 0)"); got != "signedIntrue" {
			t.Errorf("the listeners got %s", got)
		}
		// Signed out while the new tokens are being stored.
		p.run("[key, value] = [...values][0], values.set(key, JSON.stringify({ ...JSON.parse(value), expires: 1 }))")
		before := provider.refreshes.Load()
		p.run("watch(slow.accessToken())")
		p.asks(before)
		time.Sleep(350 * time.Millisecond)
		p.run("slow.signOut()")
		p.ends("signed_out: ")
		until(t, p.tab, "values.size === 0 && slow.state.status === 'signedOut'")
		p.idle()
	})

	t.Run("storage that fails", func(t *testing.T) {
		p := opens(t, "backend="+backend.url)
		p.signsIn()
		// It fails just when the provider has given a new refresh token.
		before := p.stored().Tokens.RefreshToken
		p.ages("-1000")
		p.run("reads = 0, { getItem } = Storage.prototype, Storage.prototype.getItem = function (key) { if (++reads === 3) throw new Error('shut'); return getItem.call(this, key) }")
		p.run("watch(auth.accessToken())")
		p.ends(`"`)
		if evaluate[int](t, p.tab, "reads") != 3 || p.stored().Tokens.RefreshToken == before {
			t.Error("the new refresh token is lost")
		}
		p.run("Storage.prototype.getItem = Storage.prototype.removeItem = () => { throw new Error('shut') }, watch(auth.accessToken())")
		p.ends("unavailable: The stored sign-in cannot be read.")
		p.run("watch(auth.signOut())")
		p.ends(`"done"`)
		p.status("signedOut")
		if _, err := post(t.Context(), backend.url+"/refresh?code="+url.QueryEscape(p.stored().Tokens.RefreshToken), http.StatusBadRequest); err != nil {
			t.Errorf("the provider has not ended them: %v", err)
		}
	})

	t.Run("poll without an answer", func(t *testing.T) {
		p := opens(t, "hurry=10&backend="+directURL)
		direct.deaf.Store(1)
		p.submit(p.clicks())
		p.ends(`{"`)
	})

	t.Run("polls are held", func(t *testing.T) {
		p := opens(t, "backend="+directURL)
		before := direct.polls.Load()
		opened := p.clicks()
		time.Sleep(5 * time.Second)
		if n := direct.polls.Load() - before; n != 1 {
			t.Errorf("in 5 s it polled %d times", n)
		}
		p.submit(opened)
		p.ends(`{"`)
	})

	t.Run("polls are spaced where none is held", func(t *testing.T) {
		p := opens(t, "backend="+workerURL)
		opened := p.clicks()
		before := worker.polls.Load()
		time.Sleep(6 * time.Second)
		if n := worker.polls.Load() - before; n < 3 || n > 5 {
			t.Errorf("in 6 s it polled %d times", n)
		}
		p.submit(opened)
		p.ends(`{"`)
	})

	t.Run("slow backend, pop-ups blocked", func(t *testing.T) {
		p := opens(t, "backend="+directURL)
		direct.slow.Store(int64(6 * time.Second)) // a click allows a window for five
		defer direct.slow.Store(0)
		p.submit(p.clicks())
		p.ends(`{"`)
		p.run("watch(auth.signIn())") // not in a click
		p.ends("popup_blocked: The browser blocked the sign-in window.")
		p.status("signedIn")
	})

	t.Run("second sign-in ends the first", func(t *testing.T) {
		p := opens(t, "backend="+directURL)
		p.run("options = { onWaiting: () => { throw new Error('the first goes on') } }")
		direct.slow.Store(int64(time.Second))
		do(t, p.tab, chromedp.Click(chromedp.CSS("#signIn")))
		until(t, p.tab, "states.length > 0")
		direct.slow.Store(0)
		p.run("options = {}, attempt.catch(error => first = error.code)")
		opened := p.clicks()
		until(t, p.tab, "window.first === 'aborted'")
		noWindow(t, p.tab, "about:blank")
		p.status("waiting")
		p.submit(opened)
		p.ends(`{"`)
	})

	t.Run("storage cannot be written", func(t *testing.T) {
		p := opens(t, "backend="+backend.url)
		p.run("localStorage.setItem = null, Storage.prototype.setItem = () => { throw new Error('full') }")
		p.signsIn()
		p.run(get)
		p.ends(`{"status":200`)
	})

	t.Run("desktop app", func(t *testing.T) {
		p := opens(t, "backend="+backend.url)
		_, err := chromedp.Call(p.tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Mozilla/5.0 Chrome/140.0.0.0 Electron/38.0.0"})
		if err != nil {
			t.Fatal(err)
		}
		p.run("started = [], open = url => { started.push(url); return null }") // as Electron does that starts the system browser
		do(t, p.tab, chromedp.Click(chromedp.CSS("#signIn")))
		until(t, p.tab, "started.length > 0")
		if got := evaluate[[]string](t, p.tab, "started"); len(got) != 1 || !strings.HasPrefix(got[0], provider.url) {
			t.Errorf("it opened %s", got)
		}
		systemBrowser, closeWindow := chromedp.NewContext(p.tab)
		defer closeWindow()
		do(t, systemBrowser, chromedp.Navigate(evaluate[string](t, p.tab, "started[0]")), chromedp.WaitVisible(chromedp.CSS("#username")))
		p.submit(systemBrowser)
		p.ends(`{"`)
	})
}

// figmaHost stands for Figma around a plugin: it runs the one half, shows the other in an iframe without an origin, and
// passes messages between them.
const figmaHost = `<!DOCTYPE html>
<link rel="icon" href="data:,">
<body style="margin: 0">
<script>
	const iframe = document.createElement("iframe")
	const storage = new Map(), opened = []
	const figma = {
		showUI(html) {
			iframe.sandbox = "allow-scripts"
			iframe.srcdoc = html
			document.body.append(iframe)
		},
		openExternal: url => opened.push(url),
		ui: { postMessage: message => iframe.contentWindow.postMessage({ pluginMessage: message }, "*") },
		clientStorage: {
			getAsync: async key => storage.get(key),
			setAsync: async (key, value) => void storage.set(key, value),
			deleteAsync: async key => void storage.delete(key),
		},
	}
	let messages = 0
	addEventListener("message", ({ data, source }) => {
		messages++
		if (source === iframe.contentWindow) figma.ui.onmessage(data.pluginMessage)
	})
	fetch("/figma.json").then(response => response.json()).then(({ code, html }) => {
		new Function("figma", "__html__", code)(figma, html)
	})
</script>`

// The page about Figma is followed to the letter, where there is no origin, no localStorage and no window to open.
func TestClientInFigma(t *testing.T) {
	backend := newRelay(t)
	provider := newProvider(t, backend.url+"/redirect")
	backend.knows(provider, "ALLOWED_ORIGINS=null", "CONFIRM_LOGIN=always", "RETURN_APP=Figma")
	backend.start()
	guide, err := os.ReadFile("../figma.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		_, block, _ := strings.Cut(string(guide), "```"+language+"\n")
		block, _, found := strings.Cut(block, "```")
		if !found {
			t.Fatalf("the page has no %s", language)
		}
		return strings.ReplaceAll(block, "https://my-backend.fly.dev", backend.url)
	}
	halves, err := json.Marshal(map[string]string{"code": block("js"), "html": block("html")})
	if err != nil {
		t.Fatal(err)
	}
	figma := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/figma.json" {
			w.Write(halves)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(figmaHost))
	}))
	tab := browser(t)
	p := &plugin{t: t, tab: tab, provider: provider}
	do(t, tab, chromedp.Navigate(figma))
	until(t, p.tab, "messages === 1") // it has read what is stored
	// click presses a button until something happens: the first clicks may come before the iframe is painted. The page of
	// another origin cannot be asked where its buttons are: they stand in one row.
	click := func(x float64, happens string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
			do(t, tab, chromedp.MouseClickXY(x, 60))
			for range 50 {
				if evaluate[bool](t, tab, happens) {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
		t.Fatalf("%s did not come", happens)
	}
	click(40, "opened.length > 0")
	systemBrowser, closeWindow := chromedp.NewContext(tab)
	defer closeWindow()
	do(t, systemBrowser, chromedp.Navigate(evaluate[string](t, tab, "opened.at(-1)")), chromedp.WaitVisible(chromedp.CSS("#username")))
	p.submit(systemBrowser)
	do(t, systemBrowser, chromedp.WaitVisible(chromedp.CSS("button[value=continue]")), chromedp.Click(chromedp.CSS("button[value=continue]")), chromedp.WaitVisible(chromedp.CSS("main.success h1")))
	if said := text(t, systemBrowser, "main"); !strings.Contains(said, "return to Figma") {
		t.Errorf("the page says %s", said)
	}
	until(t, p.tab, "[...storage.values()].join().includes('refresh_token')")
	click(110, "storage.size === 0")
}
