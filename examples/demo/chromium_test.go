package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"plugin-oauth/internal/browser"
)

// call calls a method of Chromium's protocol.
func call[Params, Result any](
	t *testing.T, page *browser.Page, method cdp.Command[Params, Result], params Params,
) {
	t.Helper()
	browser.Do(t, page, func(ctx context.Context, tab *chromedp.Target) (Result, error) {
		return cdp.Call(ctx, tab, method, params)
	})
}

// freeze stops a page as a laptop that is asleep does, or lets it go on.
func freeze(t *testing.T, tab *browser.Page, state page.SetWebLifecycleStateState) {
	t.Helper()
	call(t, tab, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state})
}

// colours are those of light or dark, and those that readers force on all pages.
func colours(scheme, forced string) []*emulation.MediaFeature {
	return []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "forced-colors", Value: forced},
	}
}

// setMedia sets what a page is shown in.
func setMedia(t *testing.T, tab *browser.Page, features []*emulation.MediaFeature) {
	t.Helper()
	call(t, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
}

// resize makes a page as large as in a window of that size.
func resize(t *testing.T, tab *browser.Page, width, height int64) {
	t.Helper()
	browser.Do(t, tab, chromedp.EmulateViewport(width, height))
}

// look takes screenshots of a page in Chromium, and checks that it fits.
func look(t *testing.T, tab *browser.Page, name string) {
	t.Helper()
	if tab.Engine() != browser.Chromium {
		return
	}
	screenshots(t, tab, name, []int64{1280, 320}, func(width int64) (overflow int) {
		resize(t, tab, width, 640)
		return browser.Evaluate[int](t, tab, "document.documentElement.scrollWidth - innerWidth")
	})
	browser.Do(t, tab, chromedp.ResetViewport())
}

// screenshots pictures a page in light and dark, at each width. fit sets the width, and returns by how many
// pixels the page is too wide.
func screenshots(
	t *testing.T, tab *browser.Page, name string, widths []int64, fit func(width int64) (overflow int),
) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		setMedia(t, tab, colours(scheme, "none"))
		for _, width := range widths {
			if overflow := fit(width); overflow > 0 {
				t.Errorf("%s is %d pixels too wide at %d", name, overflow, width)
			}
			saveScreenshot(t, tab, fmt.Sprintf("%s-%s-%d", name, scheme, width))
		}
	}
	setMedia(t, tab, nil)
}

// saveScreenshot pictures a page for the output of the checks.
func saveScreenshot(t *testing.T, tab *browser.Page, name string) {
	t.Helper()
	dir := cmp.Or(os.Getenv("CI_OUTPUT"), t.TempDir())
	tab.Screenshot(t, filepath.Join(dir, "screenshots", name+".png"))
}

// newChromium opens a window of Chromium until the test ends.
func newChromium(t *testing.T) *browser.Page {
	t.Helper()
	return browser.Open(t, browser.Chromium, "about:blank")
}
