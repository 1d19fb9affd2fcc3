package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"plugin-oauth/internal/browser"
	"plugin-oauth/internal/testkit"
)

// media are what a page is checked in: the colours of light and dark, and those that readers force on all
// pages.
var media = []struct {
	name     string
	features []*emulation.MediaFeature
}{
	{name: "light", features: colours("light", "none")},
	{name: "dark", features: colours("dark", "none")},
	{name: "forced", features: colours("dark", "active")},
}

// violation is a rule of axe-core that an element breaks.
type violation struct {
	Rule     string
	Selector string // of the element, as axe-core has it
	HTML     string // of the element, abbreviated
	Help     string
}

// pocketBaseBreaks are the rules that PocketBase's own dashboard breaks, with the elements that do. An
// element is excused only on the pages of the dashboard, and only if it is PocketBase's: it neither is nor is
// in one of ours.
var pocketBaseBreaks = []struct {
	Rule     string `json:"rule"`
	Selector string `json:"selector"`
}{
	{Rule: "color-contrast", Selector: `a[href="#/collections"] > .txt`},
	{Rule: "color-contrast", Selector: `a[href="#/logs"] > .txt`},
	{Rule: "color-contrast", Selector: `a[href="#/settings"] > .txt`},
	{Rule: "color-contrast", Selector: `.superuser-name`},
	{Rule: "heading-order", Selector: `.modal-content > h6`},
}

// ourElements finds what the extension adds to PocketBase's pages.
const ourElements = `.po, .po-dialog, .po-input, .po-picker, .po-options, [href="#/sign-ins"]`

// checkAccessibility checks a page in Chromium with axe-core: all rules in light, and the contrast, which is
// all that depends on colours, in dark and forced colours as well. The selectors say which parts of the page;
// none means all of it.
func checkAccessibility(t *testing.T, tab *browser.Page, name string, selectors ...string) {
	t.Helper()
	if tab.Engine() != browser.Chromium {
		return
	}
	for i, medium := range media {
		var rules []string
		if i > 0 {
			rules = []string{"color-contrast"}
		}
		setMedia(t, tab, medium.features)
		for _, found := range violations(t, tab, rules, selectors...) {
			t.Errorf("%s, %s: %s: %s\n\t%s\n\t%s", name, medium.name,
				found.Rule, found.Help, found.Selector, found.HTML)
		}
	}
	setMedia(t, tab, nil)
}

// violations returns which rules parts of a page break, without what PocketBase is known to break. No rules
// means all of them.
func violations(t *testing.T, tab *browser.Page, rules []string, selectors ...string) []violation {
	t.Helper()
	// A tab in the background does not get to its next frame.
	call(t, tab, page.BringToFront, cdp.Empty{})
	loadAxe(t, tab)
	arguments, err := json.Marshal(map[string]any{
		"selectors": selectors, "rules": rules, "excused": pocketBaseBreaks, "ours": ourElements,
	})
	if err != nil {
		t.Fatal(err)
	}
	return browser.Evaluate[[]violation](t, tab, fmt.Sprintf("(%s)(%s)", runAxe, arguments))
}

// runAxe waits until the page has the colours that it was told to, without fading, and runs axe-core.
const runAxe = `async ({ selectors, rules, excused, ours }) => {
	const still = document.createElement("style")
	still.textContent = "* { transition: none !important; animation: none !important }"
	document.head.append(still)
	for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame)
	const { violations } = await axe.run(selectors ? { include: selectors.map(one => [one]) } : document,
		{ resultTypes: ["violations"], preload: false, ...rules && { runOnly: rules } })
	still.remove()
	const isExcused = (rule, element) => location.pathname.startsWith("/_/") && !element.closest(ours)
		&& excused.some(({ rule: known, selector }) => known === rule && element.matches(selector))
	return violations.flatMap(({ id, help, nodes }) => nodes
		.filter(({ target }) => !isExcused(id, document.querySelector(target[0])))
		.map(({ target, html, failureSummary }) => ({
			Rule: id, Selector: target.join(" "), HTML: html.slice(0, 300),
			Help: help + ". " + failureSummary,
		})))
}`

// loadAxe loads axe-core into a page that does not have it yet.
func loadAxe(t *testing.T, tab *browser.Page) {
	t.Helper()
	if browser.Evaluate[bool](t, tab, "!!window.axe") {
		return
	}
	source, err := os.ReadFile(filepath.Join("..", "servers", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		testkit.Missing(t, "BROWSER_TEST", "axe-core is not installed (npm ci in examples/servers)")
	}
	browser.Do(t, tab, chromedp.Evaluate[chromedp.Void](string(source)))
}

// What is excused of PocketBase is not excused of ours, nor of any other page.
func TestAccessibilityHidesNothing(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	tab := newChromium(t)
	d.signInAsAdmin(t, tab)
	rules := map[string]string{
		"button-name": `<button type="button"></button>`,
		"label":       `<input type="text">`,
		"image-alt":   `<img src="data:,">`,
	}
	for rule, html := range rules {
		browser.Evaluate[any](t, tab, fmt.Sprintf(
			`void document.querySelector(".po-verdict").insertAdjacentHTML("beforeend", %q)`, html))
		found := fmt.Sprint(violations(t, tab, nil, ".po-verdict"))
		if !strings.Contains(found, rule) {
			t.Errorf("%s is not found in %s", rule, found)
		}
	}
	for _, excused := range pocketBaseBreaks {
		if strings.Contains(excused.Selector, "po-") || strings.Contains(excused.Selector, "*") {
			t.Errorf("%s: %s could be one of ours", excused.Rule, excused.Selector)
		}
	}
}

// The page and its dialogs pass axe-core.
func TestDashboardAccessibility(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	d.store(t, everyState()...)
	tab := newChromium(t)
	d.signInAsAdmin(t, tab)
	tab.Until(t, "document.querySelectorAll('.po-plugin').length > 0")
	tab.Click(t, ".po-plugin summary")
	pressButton(t, tab, button{in: ".po-plugins", says: "Check the set-up"})
	tab.Until(t, "document.querySelector('.po-plugins .alert.success, .po-plugins .po-list') != null")
	checkAccessibility(t, tab, "sign-ins")
	lookForced(t, tab, "sign-ins")

	tab.Click(t, ".po-live tbody tr:first-child button")
	tab.Until(t, `document.querySelector(".modal[data-modal-state=open]") != null`)
	checkAccessibility(t, tab, "the question before a sign-in is ended", ".modal")
	pressButton(t, tab, button{in: ".modal", says: "Keep it"})

	pressButton(t, tab, button{in: ".po-plugin", says: "Test sign-in"})
	tab.Until(t, "document.querySelectorAll('.po-steps li').length == 2")
	checkAccessibility(t, tab, "test sign-in", ".po-dialog")
	lookForced(t, tab, "test-sign-in")
}

// The form passes axe-core, also with mistakes in it and the list of providers open.
func TestDashboardFormAccessibility(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	tab := newChromium(t)
	d.signInAsAdmin(t, tab)
	d.newRecord(t, tab)
	fillIn(t, tab, map[string]string{"slug": "sheets", "provider": "google"})
	tab.Until(t, "document.querySelectorAll('.po-scopes li').length > 5")
	checkAccessibility(t, tab, "form", ".record-upsert-modal")
	lookForced(t, tab, "plugin-form")
	pressButton(t, tab, button{in: ".record-upsert-modal .modal-footer", says: "Create"})
	tab.Until(t, "document.querySelector('.toast.error')?.innerText.includes('fields')")
	tab.Run(t, "document.querySelector('.po-picker .po-input').focus()")
	tab.Press(t, browser.ArrowDown)
	tab.Until(t, "document.querySelector('.po-options:not([hidden]) [aria-selected=true]') != null")
	checkAccessibility(t, tab, "form with mistakes and an open list", ".record-upsert-modal")
	lookForced(t, tab, "plugin-form-mistakes")
	lookAt(t, tab, "plugin-form-mistakes")
}

// lookForced takes screenshots of the dashboard in forced colours.
func lookForced(t *testing.T, tab *browser.Page, name string) {
	t.Helper()
	setMedia(t, tab, colours("dark", "active"))
	for _, width := range []int64{1280, 390} {
		resize(t, tab, width, 1800)
		saveScreenshot(t, tab, fmt.Sprintf("%s-forced-%d", name, width))
	}
	resize(t, tab, 1440, 900)
	setMedia(t, tab, nil)
}

// Tab comes to all that can be used on the page, and shows where it is; a failure's session opens its record.
func TestDashboardByKeyboard(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	d.store(t, everyState()...)
	tab := newChromium(t)
	d.signInAsAdmin(t, tab)
	tab.Until(t, "document.querySelectorAll('.po-plugin').length > 0")
	tab.Click(t, ".po-plugin summary")
	// The page is drawn anew now and then, so what was come to is known by its words.
	browser.Evaluate[any](t, tab, `void (window.words = element =>
		element.dataset.key || element.getAttribute("aria-label") || element.title || element.innerText)`)
	wanted := browser.Evaluate[[]string](t, tab, `[...document.querySelectorAll(
			".po a[href], .po button:not([disabled]), .po select, .po summary, .po [tabindex='0']")]
		.filter(element => element.checkVisibility() && element.offsetHeight).map(words)`)
	came := map[string]bool{}
	for range 5 * len(wanted) { // it begins behind what was clicked, and the dashboard has links of its own
		tab.Press(t, browser.Tab)
		at := browser.Evaluate[struct {
			Words, Outline string
			Ours           bool
		}](t, tab, `(element => ({
			words: words(element), ours: !!element.closest(".po"),
			outline: getComputedStyle(element).outlineStyle,
		}))(document.activeElement)`)
		if at.Ours && at.Outline == "none" {
			t.Errorf("at %s the focus is not shown", at.Words)
		}
		came[at.Words] = true
		if !slices.ContainsFunc(wanted, func(words string) bool { return !came[words] }) {
			break
		}
	}
	for _, words := range wanted {
		if !came[words] {
			t.Errorf("the focus does not come to %s", words)
		}
	}
	tabTo(t, tab, ".po-failures a")
	id := strings.TrimPrefix(browser.Evaluate[string](t, tab, "document.activeElement.innerText"), "session ")
	tab.Press(t, browser.Enter)
	tab.Until(t, fmt.Sprintf("document.querySelector('.record-upsert-modal [name=id]')?.value === %q", id))
}

// tabTo presses Tab until what a selector finds has the focus.
func tabTo(t *testing.T, tab *browser.Page, selector string) {
	t.Helper()
	for range 80 {
		if browser.Evaluate[bool](t, tab, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
		tab.Press(t, browser.Tab)
	}
	t.Fatalf("the focus does not come to %s", selector)
}

// expect evaluates conditions of the page, each with a name for its failure.
func expect(t *testing.T, tab *browser.Page, conditions map[string]string) {
	t.Helper()
	for name, condition := range conditions {
		if !browser.Evaluate[bool](t, tab, "!!("+condition+")") {
			t.Errorf("%s: %s", name, condition)
		}
	}
}
