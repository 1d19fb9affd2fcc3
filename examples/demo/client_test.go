package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"plugin-oauth/internal/testkit"
)

// scenario is what one person meets, in a browser context, with a backend and a provider of its own.
type scenario struct {
	name    string
	behind  behind
	hurried bool     // the client's timers end three times earlier
	env     []string // more of the backend's environment
	withAPI bool     // there is an API that browsers may not call
	run     func(t *testing.T, p *plugin)
}

// behind is what the client talks to.
type behind int

const (
	atBackend behind = iota // the backend itself
	atFront                 // the backend, with a front before it
	atWorker                // the backend, which answers as framer/plugin-oauth does
)

// hurry is how much earlier timers end in a hurried scenario.
const hurry = 3

// atOnce is how many scenarios run at the same time. They wait most of the time, so they may be more than
// there are cores.
const atOnce = 4

// The client in a real browser, with the program and a real provider; and much of it once more with a backend
// that answers as framer/plugin-oauth does. A scenario runs alone with -run 'TestClient/^denied$', and with
// its backend with -run 'TestClient/plugin-oauth/abort'.
func TestClient(t *testing.T) {
	t.Parallel()
	browser := browser(t)
	do(t, browser) // starts it: scenarios open their own browser contexts
	scenarios := clientScenarios()
	for _, s := range scenariosOfAnyBackend() {
		name := s.name
		s.name, s.behind = "plugin-oauth/"+name, atBackend
		scenarios = append(scenarios, s)
		s.name, s.behind = "as the Worker/"+name, atWorker
		scenarios = append(scenarios, s)
	}
	// t.Parallel would let no more of them run than there are cores.
	var running sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, s := range scenarios {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			t.Run(s.name, func(t *testing.T) { s.run(t, s.open(t, browser)) })
		})
	}
	running.Wait()
}

// open starts all that a scenario needs, and opens the plugin's window.
func (s scenario) open(t *testing.T, browser context.Context) *plugin {
	t.Helper()
	backend := newRelay(t)
	provider := newProvider(t, backend.url+"/redirect")
	p := &plugin{t: t, backend: backend, backendURL: backend.url, provider: provider}
	env := s.env
	if s.withAPI {
		p.api = testkit.NewAPI(t, nil)
		env = append([]string{"API_HOSTS=" + p.api.Host}, env...)
	}
	backend.knows(p.provider, env...)
	backend.start()
	if s.behind != atBackend {
		p.front = newFront(backend, s.behind == atWorker)
		p.backendURL = serve(t, p.front)
	}
	p.address = serve(t, clientPages()) + "/?backend=" + p.backendURL
	if s.hurried {
		p.address += "&hurry=" + string('0'+rune(hurry))
	}
	ctx, cancel := context.WithTimeout(browser, 2*time.Minute)
	t.Cleanup(cancel)
	p.open(ctx, chromedp.WithNewBrowserContext())
	return p
}

// scenariosOfAnyBackend run with both.
func scenariosOfAnyBackend() []scenario {
	return []scenario{
		{name: "sign in, fetch, sign out", run: testSignInFetchSignOut},
		{name: "closed window", run: testClosedWindow},
		{name: "timeout", run: testTimeout},
		{name: "abort", run: testAbort},
		{name: "backend restarts", hurried: true, run: testBackendRestarts},
		{name: "asleep", run: testAsleep},
		{name: "two windows refresh", run: testTwoWindowsRefresh},
		{name: "provider rotates", run: testProviderRotates},
		{name: "provider omits the refresh token", run: testProviderOmitsTheRefreshToken},
		{name: "401, refresh, success", run: testUnauthorizedThenRefreshed},
		{name: "revoked at the provider", run: testRevokedAtTheProvider},
		{name: "provider has trouble", run: testProviderHasTrouble},
		{name: "storage cleared from outside", run: testStorageCleared},
		{name: "signed in during a refresh", run: testSignedInDuringRefresh},
		{name: "signed out during a refresh", run: testSignedOutDuringRefresh},
	}
}

// clientScenarios need one backend, or differ with it. Those that take longest come first.
func clientScenarios() []scenario {
	return []scenario{
		{name: "slow backend, pop-ups blocked", behind: atFront, run: testSlowBackend},
		{name: "what a refresh is answered", behind: atFront, hurried: true, run: testRefreshAnswers},
		{
			name:   "what a refresh is answered in text",
			behind: atWorker, hurried: true, run: testRefreshAnswersInText,
		},
		{name: "busy", behind: atFront, hurried: true, run: testBusy},
		{name: "tokens at any depth", run: testTokensAtAnyDepth},
		{name: "parameters of a sign-in", run: testParametersOfASignIn},
		{name: "both tokens are revoked", run: testBothTokensAreRevoked},
		{name: "offline", behind: atFront, hurried: true, run: testOffline},
		{name: "offline, as the Worker", behind: atWorker, hurried: true, run: testOffline},
		{name: "poll without an answer", behind: atFront, hurried: true, run: testPollWithoutAnAnswer},
		{name: "polls are held", behind: atFront, hurried: true, run: testPollsAreHeld},
		{
			name:   "polls are spaced where none is held",
			behind: atWorker, hurried: true, run: testPollsAreSpaced,
		},
		{name: "API without CORS", withAPI: true, run: testRelay},
		{
			name: "sealed tokens", withAPI: true, run: testSealedTokens,
			env: []string{"TOKENS=sealed", "ENCRYPTION_KEY=0123456789abcdef0123456789abcdef"},
		},
		{name: "denied", run: testDenied},
		{name: "expired", env: []string{"SESSION_TTL=2s"}, run: testExpired},
		{name: "backend does not answer", run: testBackendDoesNotAnswer},
		{name: "backend without a plugin", run: testBackendWithoutAPlugin},
		{name: "without locks", behind: atWorker, run: testWithoutLocks},
		{name: "each customer has tokens of their own", run: testEachCustomer},
		{name: "tokens go where they belong", run: testTokensGoWhereTheyBelong},
		{name: "codes that objects have", run: testCodesThatObjectsHave},
		{name: "messages", run: testMessages},
		{name: "slow storage", run: testSlowStorage},
		{name: "signed out while storing", run: testSignedOutWhileStoring},
		{name: "storage that fails", run: testStorageThatFails},
		{name: "storage cannot be written", run: testStorageCannotBeWritten},
		{name: "second sign-in ends the first", behind: atFront, run: testSecondSignIn},
		{name: "desktop app", run: testDesktopApp},
	}
}
