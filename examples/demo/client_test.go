package main

import (
	"slices"
	"sync"
	"testing"

	"plugin-oauth/internal/browser"
	"plugin-oauth/internal/testkit"
)

// scenario is what one person meets, in a browser, with a backend and a provider of its own.
type scenario struct {
	name    string
	worker  bool           // the backend answers as framer/plugin-oauth does
	hurried bool           // the client's timers end three times earlier
	env     []string       // more of the backend's environment
	host    *hostPage      // the page around the plugin; nil: it has a window of its own
	withAPI bool           // there is an API that browsers may not call
	only    browser.Engine // blank: all
	run     func(t *testing.T, p *plugin)
}

// hurry is how much earlier timers end in a hurried scenario.
const hurry = 3

// running has a place for each scenario that runs. They wait most of the time, so there may be more of them
// than there are cores.
var running = make(chan struct{}, 4)

// The client in real browsers, with the program and a real provider; and much of it once more, in Chromium,
// with a backend that answers as framer/plugin-oauth does: that changes answers, and no engine. A scenario
// runs alone with -run 'TestClient/WebKit/^denied$', and with its backend with -run
// 'TestClient/Firefox/plugin-oauth/abort'.
func TestClient(t *testing.T) {
	t.Parallel()
	scenarios := slices.Concat(clientScenarios(), hostScenarios(), hostileScenarios())
	for _, s := range scenariosOfAnyBackend() {
		name := s.name
		s.name, s.worker = "plugin-oauth/"+name, false
		scenarios = append(scenarios, s)
		s.name, s.worker, s.only = "as the Worker/"+name, true, browser.Chromium
		scenarios = append(scenarios, s)
	}
	browser.Each(t, func(t *testing.T, engine browser.Engine) { runScenarios(t, engine, scenarios) })
}

// runScenarios runs scenarios in an engine. t.Parallel would let no more of them run than there are cores.
func runScenarios(t *testing.T, engine browser.Engine, scenarios []scenario) {
	t.Helper()
	var all sync.WaitGroup
	for _, s := range scenarios {
		if s.only != "" && s.only != engine {
			continue
		}
		running <- struct{}{}
		all.Go(func() {
			defer func() { <-running }()
			t.Run(s.name, func(t *testing.T) { s.run(t, s.open(t, engine)) })
		})
	}
	all.Wait()
}

// open starts all that a scenario needs, and opens the plugin's window.
func (s scenario) open(t *testing.T, engine browser.Engine) *plugin {
	t.Helper()
	var options []browser.Option
	if s.host != nil && s.host.withoutStorage {
		options = append(options, browser.BlockThirdParties)
	}
	profile := browser.NewProfile(t, engine, options...)
	backend := newRelay(t)
	provider := newProvider(t, backend.url+"/redirect")
	p := &plugin{t: t, backend: backend, provider: provider, front: newFront(backend, s.worker)}
	env := s.env
	if s.withAPI {
		p.api = testkit.NewAPI(t, nil)
		env = append([]string{"API_HOSTS=" + p.api.Host}, env...)
	}
	backend.knows(p.provider, env...)
	backend.start()
	p.backendURL = serve(t, p.front)
	p.address = serve(t, clientPages()) + "/?backend=" + p.backendURL
	if s.hurried {
		p.address += "&hurry=" + string('0'+rune(hurry))
	}
	if s.host != nil {
		p.tab = profile.Open(t, s.host.around(t, p.address)).Frame(t, "iframe")
		p.tab.Until(t, "window.auth")
	} else {
		p.open(profile)
	}
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
		{name: "asleep", only: browser.Chromium, run: testAsleep},
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
		{name: "slow backend, pop-ups blocked", run: testSlowBackend},
		{name: "what a refresh is answered", hurried: true, run: testRefreshAnswers},
		{
			name:   "what a refresh is answered in text",
			worker: true, hurried: true, run: testRefreshAnswersInText,
		},
		{name: "busy", hurried: true, run: testBusy},
		{name: "tokens at any depth", run: testTokensAtAnyDepth},
		{name: "parameters of a sign-in", run: testParametersOfASignIn},
		{name: "both tokens are revoked", run: testBothTokensAreRevoked},
		{name: "offline", hurried: true, run: testOffline},
		{name: "offline, as the Worker", worker: true, hurried: true, run: testOffline},
		{name: "poll without an answer", hurried: true, run: testPollWithoutAnAnswer},
		{name: "polls are held", hurried: true, run: testPollsAreHeld},
		{
			name:   "polls are spaced where none is held",
			worker: true, hurried: true, run: testPollsAreSpaced,
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
		{name: "without locks", worker: true, run: testWithoutLocks},
		{name: "each customer has tokens of their own", run: testEachCustomer},
		{name: "tokens go where they belong", run: testTokensGoWhereTheyBelong},
		{name: "codes that objects have", run: testCodesThatObjectsHave},
		{name: "messages", run: testMessages},
		{name: "slow storage", run: testSlowStorage},
		{name: "signed out while storing", run: testSignedOutWhileStoring},
		{name: "aborted while storing", run: testAbortedWhileStoring},
		{name: "storage that fails", run: testStorageThatFails},
		{name: "storage cannot be written", run: testStorageCannotBeWritten},
		{name: "second sign-in ends the first", run: testSecondSignIn},
		{name: "desktop app", run: testDesktopApp},
	}
}
