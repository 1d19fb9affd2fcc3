package main

import (
	"fmt"
	"strings"
	"testing"

	"plugin-oauth/internal/browser"
)

// The form of a plugin says what to enter at the provider while it is filled in, and afterwards.
func TestDashboardForm(t *testing.T) {
	t.Parallel()
	browser.Each(t, testDashboardForm)
}

func testDashboardForm(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "")
	tab := browser.Open(t, engine, "about:blank")
	d.signInAsAdmin(t, tab)
	d.newRecord(t, tab)
	if shown := tab.Text(t, ".po-form"); !strings.Contains(shown, "Fill in the slug") {
		t.Errorf("before: %s", shown)
	}
	const isEnabled = "document.querySelector('.record-upsert-modal [name=enabled]').checked"
	if !browser.Evaluate[bool](t, tab, isEnabled) {
		t.Error("a new plugin is switched off")
	}
	// A content blocker would stop the first of these.
	for _, slug := range []string{"google-analytics", "sheets"} {
		fillIn(t, tab, map[string]string{"slug": slug})
		tab.Until(t, fmt.Sprintf(`document.querySelector(".po-form").innerText.includes(%q) &&
			!!document.querySelector(".po-form .po-warning") === %t`,
			d.backendURL+"/"+slug+"/redirect", slug != "sheets"))
	}
	lookAt(t, tab, "plugin-form")
	fillIn(t, tab, map[string]string{"slug": "sheets", "provider": "notion"})
	tab.Until(t, "document.querySelector('.po-provider')?.innerText.includes('Browsers may not call it')")
	fillIn(t, tab, map[string]string{
		"provider": "google", "clientId": "id", "clientSecret": "secret", "scope": "openid",
		"pluginId": "abc123",
	})
	pressButton(t, tab, button{in: ".record-upsert-modal .modal-footer", says: "Create"})
	tab.Until(t, "document.querySelector('.record-upsert-modal') == null")
	openRecord(t, tab, "sheets")
	tab.Until(t, `document.querySelector(".po-form")?.innerText
		.includes("abc123-VERSION.plugins.framercdn.com")`)
	lookAt(t, tab, "plugin-form-saved")
}

// What is typed as the client secret never lies in the browser's storage, however the form is left. The rest
// of an unsaved plugin does, as PocketBase has it, and comes back without the secret.
func TestDashboardStoresNoSecret(t *testing.T) {
	t.Parallel()
	browser.Each(t, testDashboardStoresNoSecret)
}

func testDashboardStoresNoSecret(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "")
	tab := browser.Open(t, engine, "about:blank")
	d.signInAsAdmin(t, tab)
	const (
		secret = "a-secret-that-is-typed"
		stored = "JSON.stringify([localStorage, sessionStorage])"
		drafts = "Object.keys(localStorage).filter(key => key.startsWith('draft_')).length"
		input  = ".record-upsert-modal .po-input[type=password]"
	)
	typeSecret := func() {
		t.Helper()
		tab.Until(t, fmt.Sprintf("document.querySelector(%q)", input))
		tab.Type(t, input, secret)
		tab.Until(t, drafts+" > 0")
	}
	checkStored := func(when string) {
		t.Helper()
		if shown := browser.Evaluate[string](t, tab, stored); strings.Contains(shown, secret) {
			t.Errorf("%s the storage has %s", when, shown)
		}
	}
	d.newRecord(t, tab)
	typeSecret()
	checkStored("while it is typed")
	nothingToRestore := func() {
		t.Helper()
		tab.Until(t, `!document.querySelector(".record-upsert-modal").innerText.includes("Restore draft")`)
	}
	tab.Reload(t)
	d.newRecord(t, tab)
	nothingToRestore()
	fillIn(t, tab, map[string]string{"slug": "sheets"})
	tab.Until(t, stored+".includes('sheets')")
	checkStored("with other fields")
	tab.Reload(t)
	checkStored("after the page was left")

	d.newRecord(t, tab)
	pressButton(t, tab, button{in: ".record-upsert-modal", says: "Restore draft"})
	tab.Until(t, "document.querySelector('.record-upsert-modal [name=slug]').value === 'sheets'")
	expect(t, tab, map[string]string{
		"the secret is not restored": fmt.Sprintf("document.querySelector(%q).value === ''", input),
	})
	typeSecret()
	fillIn(t, tab, map[string]string{"provider": "notion", "clientId": "id"})
	pressButton(t, tab, button{in: ".record-upsert-modal .modal-footer", says: "Create"})
	tab.Until(t, "document.querySelector('.record-upsert-modal') == null")
	checkStored("after it was saved")

	// Of a plugin that has one already, a secret that is not saved leaves nothing to restore.
	openRecord(t, tab, "sheets")
	typeSecret()
	checkStored("while it is replaced")
	tab.Reload(t)
	openRecord(t, tab, "sheets")
	nothingToRestore()
	// One that an earlier version has left is cleaned.
	tab.Run(t, fmt.Sprintf(`localStorage.setItem.call(localStorage, "draft_x", '{"a":1}'),
		Object.assign(localStorage, { draft_y: '{"clientSecret":"%s","b":2}' })`, secret))
	if shown := browser.Evaluate[string](t, tab, stored); !strings.Contains(shown, secret) {
		t.Fatalf("the storage has %s", shown)
	}
	tab.Reload(t)
	tab.Until(t, "!"+stored+".includes('"+secret+"')")
	const want = `{"a":1}{"clientSecret":"","b":2}`
	if left := browser.Evaluate[string](t, tab, "localStorage.draft_x + localStorage.draft_y"); left != want {
		t.Errorf("left is %s", left)
	}
}

// openRecord opens the form of a plugin in the list of plugins.
func openRecord(t *testing.T, tab *browser.Page, slug string) {
	t.Helper()
	row := fmt.Sprintf(`[...document.querySelectorAll("tbody tr")]
		.find(row => row.innerText.includes(%q))`, slug)
	tab.Until(t, row)
	browser.Evaluate[any](t, tab, row+".click()")
	tab.Until(t, "document.querySelector('.record-upsert-modal .po-form') != null")
}

// The form says whether browsers may call the provider's API, and lets the plugin call it through /fetch.
func TestDashboardFormOffersFetch(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	tab := newChromium(t)
	d.signInAsAdmin(t, tab)
	d.newRecord(t, tab)
	tab.Until(t, "document.querySelector('.po-picker') != null")
	const stands = `document.querySelector(".record-field-input:has([name=apiHosts]) .po-fill")`
	help := func() string { t.Helper(); return tab.Text(t, ".po-provider") }
	for provider, want := range map[string]string{
		"microsoft": "Browsers may call it.", "linear": "is not known",
		"salesforce": "another host for each customer",
	} {
		fillIn(t, tab, map[string]string{"provider": provider})
		tab.Until(t, fmt.Sprintf("document.querySelector('.po-provider').innerText.includes(%q)", want))
		offered := strings.Contains(help(), "Enter on as apiHosts")
		if offered != (provider == "linear") {
			t.Errorf("for %s the form says\n%s", provider, help())
		}
	}
	fillIn(t, tab, map[string]string{"slug": "importer", "provider": "notion", "clientId": "id"})
	tab.Until(t, stands+"?.innerText === 'on stands for: api.notion.com'")
	if shown := help(); !strings.Contains(shown, "Browsers may not call it") {
		t.Errorf("the form says\n%s", shown)
	}
	lookAt(t, tab, "plugin-form-api")
	checkAccessibility(t, tab, "form with an API", ".record-upsert-modal")
	tab.Click(t, "[data-key='api hosts']")
	tab.Until(t, "document.querySelector('[name=apiHosts]').value === 'on'")
	fillIn(t, tab, map[string]string{"clientSecret": "secret"})
	pressButton(t, tab, button{in: ".record-upsert-modal .modal-footer", says: "Create"})
	tab.Until(t, "document.querySelector('.record-upsert-modal') == null")
	const order = `[...document.querySelectorAll(".record-upsert-modal [name]")]
		.map(field => field.getAttribute("name")).join().includes("redirectParams,apiHosts,tokens,")`
	openRecord(t, tab, "importer")
	tab.Until(t, order)
	browser.Evaluate[any](t, tab, "location.hash = '#/sign-ins'")
	tab.Until(t, `[...document.querySelectorAll(".po-plugin[data-slug=importer] pre")]
		.some(code => code.textContent.includes('relay: ["api.notion.com"] })'))`)
}

// newRecord opens the form for a new plugin.
func (d *demo) newRecord(t *testing.T, tab *browser.Page) {
	t.Helper()
	tab.Navigate(t, d.backendURL+"/_/#/collections?collection=plugins")
	tab.WaitVisible(t, ".page-header-primary-btns button, .page-header button")
	tab.Until(t, `[...document.querySelectorAll("button")]
		.some(button => button.innerText.trim() == "New record")`)
	pressButton(t, tab, button{says: "New record"})
	tab.Until(t, "document.querySelector('.po-form') != null")
}

// fillIn sets fields of the form of a record, by name.
func fillIn(t *testing.T, tab *browser.Page, fields map[string]string) {
	t.Helper()
	for name, value := range fields {
		browser.Evaluate[any](t, tab, fmt.Sprintf(`(() => {
			const field = document.querySelector(".record-upsert-modal [name=%s]")
			field.value = %q
			field.dispatchEvent(new Event("input", { bubbles: true }))
			field.dispatchEvent(new Event("change", { bubbles: true }))
		})()`, name, value))
	}
}

// With the keyboard alone, an admin finds the provider, adds a scope, meets what is missing, and saves.
func TestDashboardFormByKeyboard(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	tab := newChromium(t)
	d.signInAsAdmin(t, tab)
	d.newRecord(t, tab)
	tab.Until(t, "document.querySelector('.po-picker') != null")
	const picker, listed = ".po-picker .po-input", "document.querySelector('.po-options:not([hidden]) li')"
	press := func(keys string) { t.Helper(); tab.Press(t, keys) }

	tabTo(t, tab, "[name=slug]")
	press("sheets")
	tabTo(t, tab, picker)
	for _, search := range []string{"acuity s", "acuity-s"} { // by its title, and by its name
		press(search)
		tab.Until(t, listed+"?.innerText.includes('Acuity Scheduling')")
		press(browser.Escape)
		tab.Until(t, listed+" == null && document.querySelector('.record-upsert-modal') != null")
		for range search {
			press(browser.Backspace)
		}
	}
	press("goog")
	tab.Until(t, listed+"?.innerText.includes('Google')")
	expect(t, tab, map[string]string{
		"it is expanded": `document.activeElement.matches("[role=combobox][aria-expanded=true]")`,
		"one is active": `document.getElementById(document.activeElement.getAttribute(
			"aria-activedescendant")).matches("[role=listbox] > [role=option][aria-selected=true]")`,
		"the list is its own": `document.activeElement.getAttribute("aria-controls") ===
			document.querySelector("[role=listbox]").id`,
	})
	press(browser.ArrowDown)
	press(browser.ArrowUp)
	press(browser.Enter)
	tab.Until(t, "document.querySelectorAll('.po-scopes li').length > 5")
	d.checkProviderFacts(t, tab)

	tabTo(t, tab, "[data-key='scope openid']")
	press(browser.Enter)
	tab.Until(t, "document.querySelector('[name=scope]').value === 'openid'")

	tabTo(t, tab, ".record-upsert-modal .modal-footer .btns > .btn")
	press(browser.Enter)
	tab.Until(t, "document.activeElement.matches('[name=clientId]')")
	tab.Until(t, "document.querySelector('.toast.error')?.innerText.includes('2 fields must be changed')")
	expect(t, tab, map[string]string{
		"it is in view": `(({ top, bottom }) => top > 0 && bottom < innerHeight - 60)(
			document.activeElement.getBoundingClientRect())`,
		"it is said to be wrong": `document.activeElement.getAttribute("aria-invalid") === "true"`,
		"and why": `document.activeElement.getAttribute("aria-describedby").split(" ")
			.some(id => document.getElementById(id).innerText.includes("ust be set"))`,
	})
	press("id")
	tabTo(t, tab, ".po-input[type=password]")
	press("a secret")
	tabTo(t, tab, ".record-upsert-modal .modal-footer .btns > .btn")
	press(browser.Enter)
	tab.Until(t, "document.querySelector('.record-upsert-modal') == null")
	plugin, err := d.app.FindFirstRecordByData("plugins", "slug", "sheets")
	if err != nil || plugin.GetString("provider") != "google" || plugin.GetString("scope") != "openid" {
		t.Errorf("saved is %v, %v", plugin, err)
	}
}

// checkProviderFacts checks what the form says once Google is chosen.
func (d *demo) checkProviderFacts(t *testing.T, tab *browser.Page) {
	t.Helper()
	shown := tab.Text(t, ".po-provider")
	for _, want := range []string{
		d.backendURL + "/sheets/redirect", "spaces between", "refuses a sign-in without one",
		"Refresh tokens", "six months", "PKCE", "On.", "Revoke", "either token",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing in:\n%s", want, shown)
		}
	}
	fill := "document.querySelector('.record-field-input:has([name=%s]) .po-fill:not([hidden])')" +
		"?.innerText.includes('%s')"
	expect(t, tab, map[string]string{
		"console": `document.querySelector(".po-provider a").href
			.includes("console.cloud.google.com")`,
		"token endpoint": fmt.Sprintf(fill, "tokenEndpoint", "https://oauth2.googleapis.com/token"),
		"a choice":       fmt.Sprintf(fill, "tokenAuth", "body"),
		"required": `[...document.querySelectorAll(".record-upsert-modal [required]")]
			.map(({ name }) => name).join() === "slug,clientId,clientSecret,scope"`,
		"the secret is hidden": `document.querySelector(
			".record-field-input:has([name=clientSecret]) .po-input").type === "password"`,
	})
}

// With no plugin, the page leads to the first sign-in instead of showing empty tables.
func TestDashboardFirstRun(t *testing.T) {
	t.Parallel()
	browser.Each(t, testDashboardFirstRun)
}

func testDashboardFirstRun(t *testing.T, engine browser.Engine) {
	d := startWith(t, options{withoutPlugin: true})
	tab := browser.Open(t, engine, "about:blank")
	d.signInAsAdmin(t, tab)
	tab.Until(t, "document.querySelectorAll('.po-way > li').length == 3")
	expect(t, tab, map[string]string{
		"no empty tables": `[".po-tiles", ".po-chart", ".po-live", ".po-funnel", ".po-failures"]
			.every(part => !document.querySelector(part).checkVisibility())`,
		"the first step is next": "document.querySelector('.po-way > li').matches('.po-now')",
	})
	checkAccessibility(t, tab, "first run")
	lookAt(t, tab, "first-run")
	tab.Click(t, "[data-key='add first']")
	tab.Until(t, "document.querySelector('.po-picker') != null")
	fillIn(t, tab, map[string]string{
		"slug": "sheets", "provider": "google", "clientId": "id", "clientSecret": "secret", "scope": "openid",
	})
	pressButton(t, tab, button{in: ".record-upsert-modal .modal-footer", says: "Create"})
	tab.Until(t, "document.querySelector('.record-upsert-modal') == null")
	tab.Until(t, "document.querySelector('.po-way > li').matches('.po-done')")
	if shown := tab.Text(t, ".po-way"); !strings.Contains(shown, d.backendURL+"/sheets/redirect") {
		t.Errorf("the second step is %s", shown)
	}
	expect(t, tab, map[string]string{
		"a plugin can be added":    "document.querySelector('[data-key=add]').checkVisibility()",
		"the sign-in can be tried": "!document.querySelector('[data-key=\"test first\"]').disabled",
	})
}
