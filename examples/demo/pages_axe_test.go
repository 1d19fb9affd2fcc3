package main

import (
	"strings"
	"testing"
)

// What axe-core checks is right on every page that a person may see. Of the languages, one that is written
// from right to left and one without spaces stand for all.
func TestBrowserPagesAccessible(t *testing.T) {
	t.Parallel()
	tab := newChromium(t)
	address := serve(t, gallery())
	resize(t, tab, 320, 640)
	check := func(t *testing.T, path string) {
		t.Helper()
		tab.Navigate(t, address+path)
		if strings.Contains(path, "question") {
			tab.Until(t, buttonsShow)
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
