package main

import (
	"fmt"
	"testing"
)

// The form warns of slugs that content blockers stop, and of no others.
func TestDashboardWarnsOfBlockedSlugs(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	tab := newChromium(t)
	d.signInAsAdmin(t, tab)
	d.newRecord(t, tab)
	for _, test := range []struct {
		slug   string
		warned bool
	}{
		{slug: "google-analytics", warned: true}, {slug: "sheets"}, {slug: "ads", warned: true},
		{slug: "downloads"}, {slug: "meta-pixel", warned: true}, {slug: "uploads-2"},
		{slug: "myanalytics", warned: true}, {slug: "pixelmator"}, {slug: "metrics-1", warned: true},
		{slug: "soundtrack"}, {slug: "time-tracking", warned: true}, {slug: "statements"},
	} {
		fillIn(t, tab, map[string]string{"slug": test.slug})
		tab.Until(t, fmt.Sprintf(`document.querySelector(".po-form").innerText.includes("/%s/redirect") &&
			!!document.querySelector(".po-form .po-warning") === %t`, test.slug, test.warned))
		if test.slug == "google-analytics" {
			lookAt(t, tab, "plugin-form-blocked")
		}
	}
}
