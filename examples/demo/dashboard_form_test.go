package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The form of a plugin says what to enter at the provider while it is filled in, and afterwards.
func TestDashboardForm(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	tab := browser(t)
	d.signInAsAdmin(t, tab)
	d.newRecord(t, tab)
	if shown := text(t, tab, ".po-form"); !strings.Contains(shown, "Fill in the slug") {
		t.Errorf("before: %s", shown)
	}
	if !evaluate[bool](t, tab, "document.querySelector('.record-upsert-modal [name=enabled]').checked") {
		t.Error("a new plugin is switched off")
	}
	fillIn(t, tab, map[string]string{"slug": "sheets"})
	until(t, tab, fmt.Sprintf("document.querySelector('.po-form').innerText.includes(%q)",
		d.backendURL+"/sheets/redirect"))
	lookAt(t, tab, "plugin-form")
	fillIn(t, tab, map[string]string{
		"provider": "google", "clientId": "id", "clientSecret": "secret", "scope": "openid",
		"pluginId": "abc123",
	})
	pressButton(t, tab, button{in: ".record-upsert-modal .modal-footer", says: "Create"})
	until(t, tab, "document.querySelector('.record-upsert-modal') == null")
	openRecord(t, tab, "sheets")
	until(t, tab, `document.querySelector(".po-form")?.innerText
		.includes("abc123-VERSION.plugins.framercdn.com")`)
	lookAt(t, tab, "plugin-form-saved")
}

// What is typed as the client secret never lies in the browser's storage, however the form is left. The rest
// of an unsaved plugin does, as PocketBase has it, and comes back without the secret.
func TestDashboardStoresNoSecret(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	tab := browser(t)
	d.signInAsAdmin(t, tab)
	const (
		secret = "a-secret-that-is-typed"
		stored = "JSON.stringify([localStorage, sessionStorage])"
		drafts = "Object.keys(localStorage).filter(key => key.startsWith('draft_')).length"
		input  = ".record-upsert-modal .po-input[type=password]"
	)
	typeSecret := func() {
		t.Helper()
		until(t, tab, fmt.Sprintf("document.querySelector(%q)", input))
		do(t, tab, chromedp.SendKeys(chromedp.CSS(input), secret))
		until(t, tab, drafts+" > 0")
	}
	checkStored := func(when string) {
		t.Helper()
		if shown := evaluate[string](t, tab, stored); strings.Contains(shown, secret) {
			t.Errorf("%s the storage has %s", when, shown)
		}
	}
	d.newRecord(t, tab)
	typeSecret()
	checkStored("while it is typed")
	nothingToRestore := func() {
		t.Helper()
		until(t, tab, `!document.querySelector(".record-upsert-modal").innerText.includes("Restore draft")`)
	}
	do(t, tab, chromedp.Reload())
	d.newRecord(t, tab)
	nothingToRestore()
	fillIn(t, tab, map[string]string{"slug": "sheets"})
	until(t, tab, stored+".includes('sheets')")
	checkStored("with other fields")
	do(t, tab, chromedp.Reload())
	checkStored("after the page was left")

	d.newRecord(t, tab)
	pressButton(t, tab, button{in: ".record-upsert-modal", says: "Restore draft"})
	until(t, tab, "document.querySelector('.record-upsert-modal [name=slug]').value === 'sheets'")
	expect(t, tab, map[string]string{
		"the secret is not restored": fmt.Sprintf("document.querySelector(%q).value === ''", input),
	})
	typeSecret()
	fillIn(t, tab, map[string]string{"provider": "notion", "clientId": "id"})
	pressButton(t, tab, button{in: ".record-upsert-modal .modal-footer", says: "Create"})
	until(t, tab, "document.querySelector('.record-upsert-modal') == null")
	checkStored("after it was saved")

	// Of a plugin that has one already, a secret that is not saved leaves nothing to restore.
	openRecord(t, tab, "sheets")
	typeSecret()
	checkStored("while it is replaced")
	do(t, tab, chromedp.Reload())
	openRecord(t, tab, "sheets")
	nothingToRestore()
	// One that an earlier version has left is cleaned.
	evaluate[any](t, tab, fmt.Sprintf(`localStorage.setItem.call(localStorage, "draft_x", '{"a":1}')
		Object.assign(localStorage, { draft_y: '{"clientSecret":"%s","b":2}' })`, secret))
	if shown := evaluate[string](t, tab, stored); !strings.Contains(shown, secret) {
		t.Fatalf("the storage has %s", shown)
	}
	do(t, tab, chromedp.Reload())
	until(t, tab, "!"+stored+".includes('"+secret+"')")
	const want = `{"a":1}{"clientSecret":"","b":2}`
	if left := evaluate[string](t, tab, "localStorage.draft_x + localStorage.draft_y"); left != want {
		t.Errorf("left is %s", left)
	}
}

// openRecord opens the form of a plugin in the list of plugins.
func openRecord(t *testing.T, tab context.Context, slug string) {
	t.Helper()
	row := fmt.Sprintf(`[...document.querySelectorAll("tbody tr")]
		.find(row => row.innerText.includes(%q))`, slug)
	until(t, tab, row)
	evaluate[any](t, tab, row+".click()")
	until(t, tab, "document.querySelector('.record-upsert-modal .po-form') != null")
}

// The form says whether browsers may call the provider's API, and lets the plugin call it through /fetch.
func TestDashboardFormOffersFetch(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	tab := browser(t)
	d.signInAsAdmin(t, tab)
	d.newRecord(t, tab)
	until(t, tab, "document.querySelector('.po-picker') != null")
	const stands = `document.querySelector(".record-field-input:has([name=apiHosts]) .po-fill")`
	help := func() string { t.Helper(); return text(t, tab, ".po-provider") }
	for provider, want := range map[string]string{
		"microsoft": "Browsers may call it.", "linear": "is not known",
		"salesforce": "another host for each customer",
	} {
		fillIn(t, tab, map[string]string{"provider": provider})
		until(t, tab, fmt.Sprintf("document.querySelector('.po-provider').innerText.includes(%q)", want))
		offered := strings.Contains(help(), "Enter on as apiHosts")
		if offered != (provider == "linear") {
			t.Errorf("for %s the form says\n%s", provider, help())
		}
	}
	fillIn(t, tab, map[string]string{"slug": "importer", "provider": "notion", "clientId": "id"})
	until(t, tab, stands+"?.innerText === 'on stands for: api.notion.com'")
	if shown := help(); !strings.Contains(shown, "Browsers may not call it") {
		t.Errorf("the form says\n%s", shown)
	}
	lookAt(t, tab, "plugin-form-api")
	checkAccessibility(t, tab, "form with an API", ".record-upsert-modal")
	click(t, tab, "[data-key='api hosts']")
	until(t, tab, "document.querySelector('[name=apiHosts]').value === 'on'")
	fillIn(t, tab, map[string]string{"clientSecret": "secret"})
	pressButton(t, tab, button{in: ".record-upsert-modal .modal-footer", says: "Create"})
	until(t, tab, "document.querySelector('.record-upsert-modal') == null")
	const order = `[...document.querySelectorAll(".record-upsert-modal [name]")]
		.map(field => field.getAttribute("name")).join().includes("redirectParams,apiHosts,tokens,")`
	openRecord(t, tab, "importer")
	until(t, tab, order)
	evaluate[any](t, tab, "location.hash = '#/sign-ins'")
	until(t, tab, `[...document.querySelectorAll(".po-plugin[data-slug=importer] pre")]
		.some(code => code.textContent.includes('relay: ["api.notion.com"] })'))`)
}

// newRecord opens the form for a new plugin.
func (d *demo) newRecord(t *testing.T, tab context.Context) {
	t.Helper()
	do(t, tab,
		chromedp.Navigate(d.backendURL+"/_/#/collections?collection=plugins"),
		chromedp.WaitVisible(chromedp.CSS(".page-header-primary-btns button, .page-header button")))
	until(t, tab, `[...document.querySelectorAll("button")]
		.some(button => button.innerText.trim() == "New record")`)
	pressButton(t, tab, button{says: "New record"})
	until(t, tab, "document.querySelector('.po-form') != null")
}

// fillIn sets fields of the form of a record, by name.
func fillIn(t *testing.T, tab context.Context, fields map[string]string) {
	t.Helper()
	for name, value := range fields {
		evaluate[any](t, tab, fmt.Sprintf(`(() => {
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
	tab := browser(t)
	d.signInAsAdmin(t, tab)
	d.newRecord(t, tab)
	until(t, tab, "document.querySelector('.po-picker') != null")
	const picker, listed = ".po-picker .po-input", "document.querySelector('.po-options:not([hidden]) li')"
	press := func(keys string) { t.Helper(); do(t, tab, chromedp.KeyEvent(keys)) }

	tabTo(t, tab, "[name=slug]")
	press("sheets")
	tabTo(t, tab, picker)
	for _, search := range []string{"acuity s", "acuity-s"} { // by its title, and by its name
		press(search)
		until(t, tab, listed+"?.innerText.includes('Acuity Scheduling')")
		press(kb.Escape)
		until(t, tab, listed+" == null && document.querySelector('.record-upsert-modal') != null")
		for range search {
			press(kb.Backspace)
		}
	}
	press("goog")
	until(t, tab, listed+"?.innerText.includes('Google')")
	expect(t, tab, map[string]string{
		"it is expanded": `document.activeElement.matches("[role=combobox][aria-expanded=true]")`,
		"one is active": `document.getElementById(document.activeElement.getAttribute(
			"aria-activedescendant")).matches("[role=listbox] > [role=option][aria-selected=true]")`,
		"the list is its own": `document.activeElement.getAttribute("aria-controls") ===
			document.querySelector("[role=listbox]").id`,
	})
	press(kb.ArrowDown)
	press(kb.ArrowUp)
	press(kb.Enter)
	until(t, tab, "document.querySelectorAll('.po-scopes li').length > 5")
	d.checkProviderFacts(t, tab)

	tabTo(t, tab, "[data-key='scope openid']")
	press(kb.Enter)
	until(t, tab, "document.querySelector('[name=scope]').value === 'openid'")

	tabTo(t, tab, ".record-upsert-modal .modal-footer .btns > .btn")
	press(kb.Enter)
	until(t, tab, "document.activeElement.matches('[name=clientId]')")
	until(t, tab, "document.querySelector('.toast.error')?.innerText.includes('2 fields must be changed')")
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
	press(kb.Enter)
	until(t, tab, "document.querySelector('.record-upsert-modal') == null")
	plugin, err := d.app.FindFirstRecordByData("plugins", "slug", "sheets")
	if err != nil || plugin.GetString("provider") != "google" || plugin.GetString("scope") != "openid" {
		t.Errorf("saved is %v, %v", plugin, err)
	}
}

// checkProviderFacts checks what the form says once Google is chosen.
func (d *demo) checkProviderFacts(t *testing.T, tab context.Context) {
	t.Helper()
	shown := text(t, tab, ".po-provider")
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
	d := startWith(t, options{withoutPlugin: true})
	tab := browser(t)
	d.signInAsAdmin(t, tab)
	until(t, tab, "document.querySelectorAll('.po-way > li').length == 3")
	expect(t, tab, map[string]string{
		"no empty tables": `[".po-tiles", ".po-chart", ".po-live", ".po-funnel", ".po-failures"]
			.every(part => !document.querySelector(part).checkVisibility())`,
		"the first step is next": "document.querySelector('.po-way > li').matches('.po-now')",
	})
	checkAccessibility(t, tab, "first run")
	lookAt(t, tab, "first-run")
	click(t, tab, "[data-key='add first']")
	until(t, tab, "document.querySelector('.po-picker') != null")
	fillIn(t, tab, map[string]string{
		"slug": "sheets", "provider": "google", "clientId": "id", "clientSecret": "secret", "scope": "openid",
	})
	pressButton(t, tab, button{in: ".record-upsert-modal .modal-footer", says: "Create"})
	until(t, tab, "document.querySelector('.record-upsert-modal') == null")
	until(t, tab, "document.querySelector('.po-way > li').matches('.po-done')")
	if shown := text(t, tab, ".po-way"); !strings.Contains(shown, d.backendURL+"/sheets/redirect") {
		t.Errorf("the second step is %s", shown)
	}
	expect(t, tab, map[string]string{
		"a plugin can be added":    "document.querySelector('[data-key=add]').checkVisibility()",
		"the sign-in can be tried": "!document.querySelector('[data-key=\"test first\"]').disabled",
	})
}
