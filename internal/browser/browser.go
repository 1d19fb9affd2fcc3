// Package browser drives real browsers for tests, each of its own engine: Chromium, Firefox, and WebKit,
// which is Safari's.
//
//	browser.Each(t, func(t *testing.T, engine browser.Engine) {
//		page := browser.Open(t, engine, address)
//		page.Click(t, "#signIn")
//		opened := page.Window(t, provider)
//		page.Until(t, "auth.state.status === 'signedIn'")
//		name := browser.Evaluate[string](t, page, "auth.fetch(url).then(response => response.text())")
//	})
//
// A browser is started when it is first needed, and shared by the tests of a package; each test has a
// [Profile] of its own. The package's TestMain must call [Quit] at the end.
package browser

import (
	"context"
	"os/exec"
	"sync"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// Engine is what a browser is made of.
type Engine string

// The engines, by the names that their subtests have.
const (
	Chromium Engine = "Chromium" // of Chrome, Edge and of desktop apps that are made with Electron
	Firefox  Engine = "Firefox"
	WebKit   Engine = "WebKit" // of Safari
)

// engines are all engines, with how each makes a profile, and the programs that it needs: the first of each
// list that is installed.
var engines = []struct {
	Engine

	programs   [][]string
	newProfile func(context.Context, options) (driver, error)
}{
	{Chromium, [][]string{{"chromium", "chromium-browser", "google-chrome"}}, newChromiumProfile},
	{Firefox, [][]string{{"firefox-esr", "firefox"}}, newFirefoxProfile},
	{WebKit, [][]string{{"WebKitWebDriver"}, {"Xvfb"}}, newWebKitProfile},
}

// Each runs a test in each engine, as parallel subtests with the engines' names.
func Each(t *testing.T, test func(t *testing.T, engine Engine)) {
	t.Helper()
	for _, known := range engines {
		t.Run(string(known.Engine), func(t *testing.T) {
			t.Parallel()
			test(t, known.Engine)
		})
	}
}

// options are how the browser of a profile is set up.
type options struct {
	blockThirdParties bool
	programs          []string // their paths
}

// An Option sets up the browser of a profile.
type Option func(*options)

// BlockThirdParties makes the browser keep cookies and storage from iframes of other sites, as people can set
// it.
func BlockThirdParties(o *options) { o.blockThirdParties = true }

// driver drives the windows of one profile. It is safe for concurrent use.
type driver interface {
	// open opens a window, and returns its id.
	open(context.Context) (id string, err error)

	// windows returns the windows that are open.
	windows(context.Context) ([]window, error)

	// navigate loads an address, and returns once the page has loaded.
	navigate(ctx context.Context, id, address string) error

	// travel goes so many steps in the window's history; none: it loads the page again.
	travel(ctx context.Context, id string, steps int) error

	// evaluate evaluates an expression, awaits its value, and returns that in JSON.
	evaluate(ctx context.Context, at place, expression string) ([]byte, error)

	// click clicks the middle of the element that an expression gives, which shows there.
	click(ctx context.Context, at place, element string) error

	// press presses keys one after the other.
	press(ctx context.Context, at place, keys string) error

	// screenshot pictures a window as a PNG.
	screenshot(ctx context.Context, id string) ([]byte, error)

	close(ctx context.Context, id string) error

	// quit closes all windows, and forgets the profile.
	quit()
}

// window is a window that is open.
type window struct{ id, address string }

// place is the page in a window, or in an iframe of it.
type place struct {
	window string

	// frames are expressions for the iframes, from the outermost on, each of the page around it.
	frames []string
}

// Profile is a person's browser, with cookies and storage of its own. It is safe for concurrent use.
type Profile struct {
	engine Engine
	driver driver

	mu    sync.Mutex
	taken map[string]bool // the ids of the windows that a Page has been made for
}

// NewProfile starts the engine if need be, and makes a profile until the test ends. Where the engine is not
// installed the test is skipped, or fails if BROWSER_TEST=required.
func NewProfile(t testing.TB, engine Engine, set ...Option) *Profile {
	t.Helper()
	for _, known := range engines {
		if known.Engine != engine {
			continue
		}
		var o options
		for _, option := range set {
			option(&o)
		}
		for _, names := range known.programs {
			o.programs = append(o.programs, findProgram(t, names))
		}
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		driver, err := known.newProfile(ctx, o)
		if err != nil {
			t.Fatalf("%s: %v", engine, err)
		}
		t.Cleanup(driver.quit)
		return &Profile{engine: engine, driver: driver, taken: map[string]bool{}}
	}
	t.Fatalf("there is no engine %s", engine)
	return nil
}

// findProgram returns the path of the first program that is installed.
func findProgram(t testing.TB, names []string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	testkit.Missing(t, "BROWSER_TEST", names[0]+" is not installed")
	return ""
}

// Open makes a profile, and opens an address in a window of it, until the test ends.
func Open(t testing.TB, engine Engine, address string, set ...Option) *Page {
	t.Helper()
	return NewProfile(t, engine, set...).Open(t, address)
}

// Open opens an address in a new window, and returns once the page has loaded.
func (p *Profile) Open(t testing.TB, address string) *Page {
	t.Helper()
	ctx, cancel := limit()
	defer cancel()
	id, err := p.driver.open(ctx)
	if err != nil {
		t.Fatalf("no window opens: %v", err)
	}
	page := p.page(id)
	page.Navigate(t, address)
	return page
}

func (p *Profile) page(id string) *Page {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[id] = true
	return &Page{profile: p, at: place{window: id}}
}

// Engine is the profile's engine.
func (p *Profile) Engine() Engine { return p.engine }

// longest is how long one thing may take in a browser, and how long a condition is waited for.
const longest = time.Minute

// startLimit is how long a browser may take to start, also where much else runs.
const startLimit = 3 * time.Minute

func limit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), longest)
}

// shared are the browsers that tests share: how each is started, once, and what stops those that have been.
var shared struct {
	mu     sync.Mutex
	starts map[string]func() (any, error)
	stops  []func()
}

// share returns the browser of a name, which is started if there is none yet, and stopped by [Quit].
func share[T any](name string, start func() (browser T, stop func(), err error)) (T, error) {
	shared.mu.Lock()
	once := shared.starts[name]
	if once == nil {
		once = sync.OnceValues(func() (any, error) {
			browser, stop, err := start()
			if err == nil {
				shared.mu.Lock()
				defer shared.mu.Unlock()
				shared.stops = append(shared.stops, stop)
			}
			return browser, err
		})
		if shared.starts == nil {
			shared.starts = map[string]func() (any, error){}
		}
		shared.starts[name] = once
	}
	shared.mu.Unlock()
	browser, err := once()
	return browser.(T), err
}

// Quit stops the browsers that tests have shared. No test may run any more.
func Quit() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	for _, stop := range shared.stops {
		stop()
	}
	shared.stops = nil
}
