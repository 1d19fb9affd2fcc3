package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// What axe-core checks is right on every page that a person may see. Of the languages, one that is written
// from right to left and one without spaces stand for all.
func TestBrowserPagesAccessible(t *testing.T) {
	t.Parallel()
	tab := browser(t)
	address := serve(t, gallery())
	do(t, tab, chromedp.EmulateViewport(320, 640))
	check := func(t *testing.T, path string) {
		t.Helper()
		do(t, tab, chromedp.Navigate(address+path))
		if strings.Contains(path, "question") {
			until(t, tab, buttonsShow)
		}
		checkAccessibility(t, tab, path)
	}
	for _, page := range pagesOf() {
		t.Run(page.name, func(t *testing.T) { check(t, "/en/"+page.name) })
	}
	for _, path := range []string{"/ar/question", "/ar/failed", "/ja/question"} {
		t.Run(path, func(t *testing.T) { check(t, path) })
	}
}
