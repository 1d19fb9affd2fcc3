package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/chromedp/chromedp/remote"
)

// chromiumFlags are for a browser that nobody looks at, and that asks nothing of the network by itself.
var chromiumFlags = []string{
	"--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
	"--no-first-run", "--no-default-browser-check", "--password-store=basic", "--force-color-profile=srgb",
	"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-breakpad",
	"--disable-default-apps", "--disable-extensions",
	"--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
	"--disable-renderer-backgrounding", "--ignore-certificate-errors",
	"--disable-ipc-flooding-protection", "--remote-debugging-port=0",
}

var chromiumListens = regexp.MustCompile(`DevTools listening on (ws://\S+)`)

// startChromium returns the context of a new browser.
func startChromium(ctx context.Context, o options) (context.Context, func(), error) {
	folder, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return nil, nil, err
	}
	flags := append([]string{"--user-data-dir=" + folder}, chromiumFlags...)
	if os.Geteuid() == 0 {
		flags = append(flags, "--no-sandbox")
	}
	if o.blockThirdParties {
		if err := blockInChromium(folder); err != nil {
			return nil, nil, err
		}
		flags = append(flags, "--disable-features=ThirdPartyStoragePartitioning")
	}
	p, err := startProcess(folder, nil, o.programs[0], flags...)
	if err != nil {
		return nil, nil, err
	}
	address, err := p.prints(ctx, chromiumListens)
	if err != nil {
		return nil, nil, err
	}
	browser, _ := remote.NewAllocator(context.Background(), address, remote.NoModifyURL)
	browser, cancel := chromedp.NewContext(browser)
	defer context.AfterFunc(ctx, cancel)()
	if err := chromedp.Do(browser); err != nil {
		p.stop()
		return nil, nil, fmt.Errorf("%w\n%s", err, &p.printed)
	}
	return browser, p.stop, nil
}

// blockInChromium sets, before the start, that other sites get no cookies and, without partitions of it, no
// storage.
func blockInChromium(folder string) error {
	const preferences = `{"profile":{"cookie_controls_mode":1,"block_third_party_cookies":true}}`
	profile := filepath.Join(folder, "Default")
	if err := os.Mkdir(profile, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(profile, "Preferences"), []byte(preferences), 0o600)
}

// chromium is a browser context of Chromium.
type chromium struct {
	browser context.Context // of chromedp
	id      cdp.BrowserContextID

	mu      sync.Mutex
	targets map[target.ID]context.Context // the windows and frames that have been attached to
}

func newChromiumProfile(ctx context.Context, o options) (driver, error) {
	browser, err := share(fmt.Sprint(Chromium, o), func() (context.Context, func(), error) {
		return startChromium(ctx, o)
	})
	if err != nil {
		return nil, err
	}
	made, err := cdp.Call(ctx, chromedp.FromContext(browser).Browser, target.CreateBrowserContext,
		target.CreateBrowserContextParams{})
	if err != nil {
		return nil, err
	}
	return &chromium{
		browser: browser, id: made.BrowserContextID, targets: map[target.ID]context.Context{},
	}, nil
}

func (c *chromium) open(ctx context.Context) (id string, err error) {
	made, err := cdp.Call(ctx, c.executor(), target.CreateTarget, target.CreateTargetParams{
		URL: "about:blank", BrowserContextID: c.id, NewWindow: new(true),
	})
	return string(made.TargetID), err
}

// executor calls what is of the whole browser.
func (c *chromium) executor() *chromedp.Browser { return chromedp.FromContext(c.browser).Browser }

func (c *chromium) windows(ctx context.Context) (windows []window, err error) {
	known, err := cdp.Call(ctx, c.executor(), target.GetTargets, target.GetTargetsParams{})
	if err != nil {
		return nil, err
	}
	for _, info := range known.TargetInfos {
		if info.Type == "page" && info.BrowserContextID == c.id {
			windows = append(windows, window{id: string(info.TargetID), address: info.URL})
		}
	}
	return windows, nil
}

// attach returns the context of a window or a frame, which lasts as long as that. It waits as long as another
// context does, and no longer than a minute.
func (c *chromium) attach(ctx context.Context, id target.ID) (context.Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if attached, ok := c.targets[id]; ok {
		return attached, nil
	}
	attached, cancel := chromedp.NewContext(c.browser, chromedp.WithTargetID(id))
	ctx, stop := context.WithTimeout(ctx, longest)
	defer stop()
	defer context.AfterFunc(ctx, cancel)()
	if err := chromedp.Do(attached); err != nil {
		return nil, err
	}
	c.targets[id] = attached
	return attached, nil
}

// at returns the context of a place, which ends with another context.
func (c *chromium) at(ctx context.Context, at place) (limited context.Context, cancel func(), err error) {
	id := target.ID(at.window)
	for i := 0; ; i++ {
		attached, err := c.attach(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		limited, cancel := context.WithCancel(attached)
		stop := context.AfterFunc(ctx, cancel)
		end := func() { stop(); cancel() }
		if i == len(at.frames) {
			return limited, end, nil
		}
		id, err = frameID(limited, at.frames[i])
		end()
		if err != nil {
			return nil, nil, err
		}
	}
}

// frameID returns the id of an iframe, which is also that of its target, as it is of another site or in a
// sandbox.
func frameID(ctx context.Context, frame string) (target.ID, error) {
	element, err := chromedp.Run(ctx, chromedp.Evaluate[*runtime.RemoteObject](frame))
	if err != nil {
		return "", err
	}
	described, err := chromedp.Call(ctx, dom.DescribeNode, dom.DescribeNodeParams{ObjectID: element.ObjectID})
	if err != nil {
		return "", err
	}
	return target.ID(described.Node.FrameID), nil
}

// chromiumOf returns what drives a page. In another engine than Chromium the test fails.
func chromiumOf(t testing.TB, p *Page) *chromium {
	t.Helper()
	c, ok := p.profile.driver.(*chromium)
	if !ok {
		t.Fatalf("%s is not %s", p.Engine(), Chromium)
	}
	return c
}

// Do runs an action in a page, for what only Chromium can do, and returns what that gives.
func Do[T any](t testing.TB, p *Page, action chromedp.Action[T]) (result T) {
	t.Helper()
	c := chromiumOf(t, p)
	p.do(t, "an action of chromedp", func(ctx context.Context) (err error) {
		result, err = runIn(ctx, c, p.at, action)
		return err
	})
	return result
}

// Listen hands the events of a page in Chromium to a function until the test ends.
func Listen(t testing.TB, p *Page, heard func(event any)) {
	t.Helper()
	ctx, cancel, err := chromiumOf(t, p).at(t.Context(), p.at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	if err := chromedp.Listen(ctx, heard); err != nil {
		t.Fatal(err)
	}
}

// runIn runs an action in a place, for as long as a context lasts.
func runIn[T any](
	ctx context.Context, c *chromium, at place, action chromedp.Action[T],
) (result T, err error) {
	limited, cancel, err := c.at(ctx, at)
	if err != nil {
		return result, err
	}
	defer cancel()
	return chromedp.Run(limited, action)
}

func (c *chromium) run(ctx context.Context, at place, action chromedp.Action[chromedp.Void]) error {
	_, err := runIn(ctx, c, at, action)
	return err
}

func (c *chromium) navigate(ctx context.Context, id, address string) error {
	return c.run(ctx, place{window: id}, chromedp.Navigate(address))
}

func (c *chromium) travel(ctx context.Context, id string, steps int) error {
	if steps == 0 {
		return c.run(ctx, place{window: id}, chromedp.Reload())
	}
	_, err := c.evaluate(ctx, place{window: id}, fmt.Sprintf("void history.go(%d)", steps))
	return err
}

func (c *chromium) evaluate(
	ctx context.Context, at place, expression string,
) ([]byte, error) {
	text, err := runIn(ctx, c, at,
		chromedp.Evaluate[string](inJSON(expression), chromedp.EvalAwaitPromise))
	return []byte(text), err
}

// click moves the pointer there before it presses. The browser tells the frames apart by what was painted
// last, which may be older than the page: a press would go to the iframe that was there.
func (c *chromium) click(ctx context.Context, at place, element string) error {
	if err := c.show(ctx, at.window); err != nil {
		return err
	}
	var x, y float64
	var err error
	isUnder := askUntil(ctx, func() bool {
		var under []byte
		if x, y, err = middle(ctx, c, at, element); err == nil {
			err = c.run(ctx, at, chromedp.Steps(
				chromedp.MouseEvent(chromedp.MouseMoved, 0, 0),
				chromedp.MouseEvent(chromedp.MouseMoved, x, y)))
		}
		if err == nil {
			under, err = c.evaluate(ctx, at, "("+element+`).matches(":hover")`)
		}
		return err == nil && string(under) == "true"
	})
	if !isUnder {
		return errors.Join(fmt.Errorf("the pointer does not come to %s", element), err)
	}
	return c.run(ctx, at, chromedp.MouseClickXY(x, y))
}

// chromiumKeys has chromedp's runes for those of WebDriver.
var chromiumKeys = strings.NewReplacer(Backspace, kb.Backspace, Tab, kb.Tab, Enter, kb.Enter,
	Escape, kb.Escape, ArrowUp, kb.ArrowUp, ArrowDown, kb.ArrowDown)

func (c *chromium) press(ctx context.Context, at place, keys string) error {
	return c.run(ctx, at, chromedp.KeyEvent(chromiumKeys.Replace(keys)))
}

func (c *chromium) screenshot(ctx context.Context, id string) ([]byte, error) {
	if err := c.show(ctx, id); err != nil {
		return nil, err
	}
	return runIn(ctx, c, place{window: id}, chromedp.CaptureScreenshot())
}

// show brings a window to the front. One in the background is not painted: a screenshot of it may never come,
// and it hears of the pointer only seconds later.
func (c *chromium) show(ctx context.Context, id string) error {
	return c.run(ctx, place{window: id}, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.BringToFront, cdp.Empty{})
		return err
	}))
}

func (c *chromium) close(ctx context.Context, id string) error {
	_, err := cdp.Call(ctx, c.executor(), target.CloseTarget, target.CloseTargetParams{
		TargetID: target.ID(id),
	})
	return err
}

func (c *chromium) quit() {
	ctx, cancel := limit()
	defer cancel()
	// The browser may have ended.
	_, _ = cdp.Call(ctx, c.executor(), target.DisposeBrowserContext, target.DisposeBrowserContextParams{
		BrowserContextID: c.id,
	})
}
