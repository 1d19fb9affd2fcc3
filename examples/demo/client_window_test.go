package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

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

// traffic follows the requests of a tab. It is safe for concurrent use.
type traffic struct {
	mu   sync.Mutex
	open map[network.RequestID]string // those that have no complete answer yet, with method and address
	sent map[string]int               // the number of requests to each path
}

// watch follows the requests of a new tab from its start.
func watch(t *testing.T, tab context.Context) *traffic {
	t.Helper()
	tr := &traffic{open: map[network.RequestID]string{}, sent: map[string]int{}}
	if err := chromedp.Listen(tab, tr.listen); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(tab, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return tr
}

func (tr *traffic) listen(event any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		tr.open[event.RequestID] = event.Request.Method + " " + event.Request.URL
		if address, err := url.Parse(event.Request.URL); err == nil {
			tr.sent[address.Path]++
		}
	case *network.EventLoadingFinished:
		delete(tr.open, event.RequestID)
	case *network.EventLoadingFailed:
		delete(tr.open, event.RequestID)
	}
}

// requests returns the requests that have no complete answer yet.
func (tr *traffic) requests() (open []string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, request := range tr.open {
		open = append(open, request)
	}
	return open
}

// polls returns how many polls have been sent.
func (tr *traffic) polls() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.sent["/poll"]
}

// plugin is a window with the client in it, and what stands behind it.
type plugin struct {
	t       *testing.T
	tab     context.Context
	traffic *traffic
	address string // the page's

	provider   *provider
	backend    *relay
	front      *front // nil: the client talks to the backend itself
	backendURL string // where the client talks to

	api *testkit.API // nil: the scenario has none
}

// open opens the plugin's page in a tab of its own.
func (p *plugin) open(ctx context.Context, options ...chromedp.ContextOption) {
	p.t.Helper()
	tab, closeTab := chromedp.NewContext(ctx, options...)
	p.t.Cleanup(closeTab)
	p.tab, p.traffic = tab, watch(p.t, tab)
	do(p.t, tab, chromedp.Navigate(p.address))
	until(p.t, tab, "window.auth")
}

// in is the same window in a subtest.
func (p *plugin) in(t *testing.T) *plugin {
	same := *p
	same.t = t
	return &same
}

// isWorker says whether the backend answers as framer/plugin-oauth does.
func (p *plugin) isWorker() bool { return p.front != nil && p.front.worker }

// another opens a second window of the plugin.
func (p *plugin) another() *plugin {
	p.t.Helper()
	other := *p
	other.open(p.tab)
	return &other
}

// ends waits for the outcome of the last promise, and checks how it begins. Then no timer and no request may
// be left.
func (p *plugin) ends(want string) {
	p.t.Helper()
	until(p.t, p.tab, "window.outcome !== ''")
	if got := evaluate[string](p.t, p.tab, "outcome"); !strings.HasPrefix(got, want) {
		p.t.Errorf("the outcome is %.200s, want %s", got, want)
	}
	p.idle()
}

// idle checks that no timer is left, and no request, once what is sent without waiting for it has been
// answered. The browser reports an aborted request a moment later.
func (p *plugin) idle() {
	p.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		open, timers := p.traffic.requests(), evaluate[int](p.t, p.tab, "timers.size")
		if len(open) == 0 && timers == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Errorf("%d timers are left, and requests: %s", timers, open)
			return
		}
	}
}

// run evaluates a statement of the page.
func (p *plugin) run(statement string) {
	p.t.Helper()
	evaluate[bool](p.t, p.tab, "("+statement+", true)")
}

// get asks the provider who the person is.
func (p *plugin) get() {
	p.t.Helper()
	p.run("watch(get('" + p.provider.url + "/userinfo'))")
}

func (p *plugin) status(want string) {
	p.t.Helper()
	if got := evaluate[string](p.t, p.tab, "auth.state.status"); got != want {
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
	text := evaluate[string](p.t, p.tab, "Object.values(localStorage)[0] ?? '{}'")
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		p.t.Fatal(err)
	}
	return value
}

// storedValues counts what localStorage has.
func (p *plugin) storedValues() int {
	p.t.Helper()
	return evaluate[int](p.t, p.tab, "localStorage.length")
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
func (p *plugin) click() context.Context {
	p.t.Helper()
	p.press()
	opened := window(p.t, p.tab, p.provider.url)
	do(p.t, opened, chromedp.WaitVisible(chromedp.CSS("#username")))
	return opened
}

// press starts a sign-in.
func (p *plugin) press() {
	p.t.Helper()
	do(p.t, p.tab, chromedp.Click(chromedp.CSS("#signIn")))
}

// submit fills in the provider's form, and sends it.
func (p *plugin) submit(opened context.Context) {
	p.t.Helper()
	do(p.t, opened,
		chromedp.SetValue(chromedp.CSS("#username"), p.provider.username),
		chromedp.SetValue(chromedp.CSS("#password"), p.provider.password))
	evaluate[bool](p.t, opened, "(setTimeout(() => document.querySelector('button').click()), true)")
}

// submitElsewhere signs in where the person has opened the provider's page by its address.
func (p *plugin) submitElsewhere(address string) context.Context {
	p.t.Helper()
	tab, closeTab := chromedp.NewContext(p.tab)
	p.t.Cleanup(closeTab)
	do(p.t, tab, chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("#username")))
	p.submit(tab)
	return tab
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
func (p *plugin) waitForPolls(n int) {
	p.t.Helper()
	waitFor(p.t, fmt.Sprintf("poll %d", n), func() bool { return p.traffic.polls() >= n })
}

// freeze stops the page as a laptop that is asleep does, or lets it go on.
func (p *plugin) freeze(state page.SetWebLifecycleStateState) {
	p.t.Helper()
	params := page.SetWebLifecycleStateParams{State: state}
	if _, err := chromedp.Call(p.tab, page.SetWebLifecycleState, params); err != nil {
		p.t.Fatal(err)
	}
}

// window attaches to the window that shows an address, once it does.
func window(t *testing.T, ctx context.Context, prefix string) context.Context {
	t.Helper()
	var id target.ID
	waitFor(t, "a window with "+prefix, func() bool {
		pages := pagesAt(t, ctx, prefix)
		i := slices.IndexFunc(pages, func(info *target.Info) bool { return !info.Attached })
		if i >= 0 {
			id = pages[i].TargetID
		}
		return i >= 0
	})
	opened, closeWindow := chromedp.NewContext(ctx, chromedp.WithTargetID(id))
	t.Cleanup(closeWindow)
	return opened
}

// noWindow checks that the browser context has no window with an address, in a moment.
func noWindow(t *testing.T, ctx context.Context, prefix string) {
	t.Helper()
	waitFor(t, "the end of the window with "+prefix, func() bool { return len(pagesAt(t, ctx, prefix)) == 0 })
}

// pagesAt returns the pages of the context's browser context whose address begins so.
func pagesAt(t *testing.T, ctx context.Context, prefix string) (pages []*target.Info) {
	t.Helper()
	targets, err := chromedp.Targets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	within := chromedp.FromContext(ctx).BrowserContextID
	for _, info := range targets {
		if info.Type == "page" && strings.HasPrefix(info.URL, prefix) &&
			(within == "" || info.BrowserContextID == within) {
			pages = append(pages, info)
		}
	}
	return pages
}
