package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeFile is axe-core, which npm ci in examples/servers installs.
const axeFile = "../servers/node_modules/axe-core/axe.min.js"

// axe returns the source of axe-core. Without it the test is skipped, except where BROWSER_TEST=required.
func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(axeFile)
	switch {
	case err == nil:
		return string(source)
	case os.Getenv("BROWSER_TEST") == "required":
		t.Fatalf("%v; run npm ci in examples/servers", err)
	}
	t.Skip("axe-core is not installed: run npm ci in examples/servers")
	return ""
}

// expectAccessible fails if axe-core finds anything in the page of a tab, best practices included. Its contrast
// is checked in dark and in forced colours as well; the other rules are not about colours.
func expectAccessible(t *testing.T, tab context.Context, source string) {
	t.Helper()
	evaluate[bool](t, tab, source+"; true")
	for _, media := range []string{
		"prefers-color-scheme: light", "prefers-color-scheme: dark", "forced-colors: active",
	} {
		feature, value, _ := strings.Cut(media, ": ")
		emulateMedia(t, tab, feature, value)
		options := `{ resultTypes: ["violations"] }`
		if value != "light" {
			options = `{ resultTypes: ["violations"], runOnly: ["color-contrast"] }`
		}
		evaluate[bool](t, tab, `(found = null, axe.run(`+options+`).then(
			({ violations }) => found = violations.flatMap(({ id, nodes }) =>
				nodes.map(({ html, failureSummary }) => id + ": " + html + " " + failureSummary)),
			error => found = [String(error)]), true)`)
		until(t, tab, "found !== null")
		for _, violation := range evaluate[[]string](t, tab, "found") {
			t.Errorf("with %s: %s", media, violation)
		}
	}
	emulateMedia(t, tab, "forced-colors", "none") // a page that is loaded with them keeps its background
}

// What axe-core checks is right on every page that a person may see. Of the languages, one that is written
// from right to left and one without spaces stand for all.
func TestBrowserPagesAccessible(t *testing.T) {
	t.Parallel()
	source := axe(t)
	tab := browser(t)
	address := serve(t, gallery())
	do(t, tab, chromedp.EmulateViewport(320, 640))
	check := func(t *testing.T, path string) {
		t.Helper()
		do(t, tab, chromedp.Navigate(address+path))
		if strings.Contains(path, "question") {
			until(t, tab, buttonsShow)
		}
		expectAccessible(t, tab, source)
	}
	for _, page := range pagesOf() {
		t.Run(page.name, func(t *testing.T) { check(t, "/en/"+page.name) })
	}
	for _, path := range []string{"/ar/question", "/ar/failed", "/ja/question"} {
		t.Run(path, func(t *testing.T) { check(t, path) })
	}
}
