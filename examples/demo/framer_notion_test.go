package main

import (
	"fmt"
	"slices"
	"testing"

	"plugin-oauth/internal/browser"
)

// A person imports a database with examples/framer-notion, and again after the collection was changed. It is
// what Notion has, both times, although Notion refuses a call. Then the person signs out.
func TestBrowserFramerNotion(t *testing.T) {
	t.Parallel()
	browser.Each(t, testBrowserFramerNotion)
}

func testBrowserFramerNotion(t *testing.T, engine browser.Engine) {
	f := openFramerPlugin(t, engine, "framer-notion")
	f.restart("configureManagedCollection")
	f.says(inStatus, "Sign in to import a database from Notion.")
	f.picture("1-signed-out")
	opened := f.opens("Sign in")
	f.picture("2-waiting")
	f.d.submitIn(t, opened)
	opened.WaitVisible(t, "main.success h1")
	f.offersDatabases()
	f.picture("3-choice")

	f.checkNotAllowed()
	f.checkFirstImport()
	f.checkSecondImport()
	f.checkGone()
	f.checkStraight()
	f.checkUnreachable()
	f.press("Sign out")
	f.says(inStatus, "Sign in to import a database from Notion.")
	if kept := browser.Evaluate[int](t, f.plugin, "localStorage.length"); kept != 0 {
		t.Errorf("after signing out, %d values are kept", kept)
	}
}

// restart opens the plugin in another of Framer's modes.
func (f *framed) restart(mode string) {
	f.t.Helper()
	browser.Evaluate[any](f.t, f.tab, fmt.Sprintf("(restart(%q), null)", mode))
}

func (f *framed) offersDatabases() {
	f.t.Helper()
	const titles = `[...document.querySelectorAll("option")].map(option => option.textContent).join()`
	f.plugin.Until(f.t, titles+` === "Recipes,Books"`)
}

// checkNotAllowed is an import by somebody who may not change the collection.
func (f *framed) checkNotAllowed() {
	f.t.Helper()
	f.press("Import")
	f.says(inAlert, "You may not change this collection. Ask an owner of the project.")
	f.picture("4-not-allowed")
	browser.Evaluate[any](f.t, f.tab, "(allow(), null)")
	f.press("Try again")
	f.offersDatabases()
}

// checkFirstImport is an import of three parts. The third is refused once, with Retry-After.
func (f *framed) checkFirstImport() {
	f.t.Helper()
	// The first call for pages waits for go, and each until something else is said than before the last one.
	browser.Evaluate[any](f.t, f.plugin, `(() => {
		const send = fetch, held = new Promise(resolve => window.go = resolve)
		let before
		window.fetch = async (url, ...more) => {
			if (`+"`${url}`"+`.endsWith("/query")) {
				await held
				while (said.at(-1) === before) await new Promise(resolve => setTimeout(resolve, 10))
				before = said.at(-1)
			}
			return send(url, ...more)
		}
		window.said = []
		new MutationObserver(() => said.push(document.querySelector("[role=status]")?.textContent))
			.observe(document, { subtree: true, childList: true, characterData: true })
	})()`)
	f.press("Import")
	f.says(inStatus, "“Recipes” is being read …")
	f.picture("5-reading")
	browser.Evaluate[any](f.t, f.plugin, "(go(), null)")
	f.closes("12 pages of “Recipes” imported.")
	said := browser.Evaluate[[]string](f.t, f.plugin, "said")
	wanted := []string{
		"One moment, please …",
		"“Recipes” is being read …", "“Recipes” is being read: 5 pages …",
		"Notion is busy. It goes on in 1 s …", "“Recipes” is being read: 10 pages …",
		"The collection gets 12 pages …",
	}
	if !slices.Equal(slices.Compact(said), wanted) {
		f.t.Errorf("it said %q", said)
	}
	f.checkRefused(1)
	f.checkCollection()
}

// checkSecondImport begins by itself. What is not in Notion goes, and what was changed is as in Notion.
func (f *framed) checkSecondImport() {
	f.t.Helper()
	browser.Evaluate[any](f.t, f.tab, `(() => {
		const [[id, soup]] = items
		items.set(id, { ...soup, slug: "changed" })
		items.set("gone", { ...soup, id: "gone" })
		fields.pop()
	})()`)
	f.restart("syncManagedCollection")
	f.closes("12 pages of “Recipes” imported.")
	f.checkRefused(2)
	f.checkCollection()
}

// checkGone is an import of a database that the person has taken away from the plugin.
func (f *framed) checkGone() {
	f.t.Helper()
	browser.Evaluate[any](f.t, f.tab, `(pluginData.set("databaseId", "gone"), null)`)
	f.restart("syncManagedCollection")
	f.says(inAlert, "The plugin may not see this database. In Notion, add the plugin to its connections.")
	f.picture("6-gone")
	f.press("Try again")
	f.offersDatabases()
}

// checkUnreachable is an import without a network.
func (f *framed) checkUnreachable() {
	f.t.Helper()
	browser.Evaluate[any](f.t, f.plugin, `(() => {
		const send = fetch
		window.fetch = async () => {
			window.fetch = send
			throw new TypeError("Failed to fetch")
		}
	})()`)
	f.press("Import")
	f.says(inAlert, "Notion cannot be reached. Check your connection, and try again.")
}

// checkStraight calls Notion without the backend: the browser does not let the plugin read the answer.
func (f *framed) checkStraight() {
	f.t.Helper()
	browser.Evaluate[any](f.t, f.plugin, fmt.Sprintf(`(window.straight = "", fetch(%q).then(
		response => straight = response.status + "", error => straight = error.name), null)`, f.d.notionURL))
	f.plugin.Until(f.t, "straight")
	if got := browser.Evaluate[string](f.t, f.plugin, "straight"); got != "TypeError" {
		f.t.Errorf("called straight, Notion's stand-in answers the plugin: %s", got)
	}
}

// closes waits until the plugin is closed with these words.
func (f *framed) closes(words string) {
	f.t.Helper()
	f.tab.Until(f.t, fmt.Sprintf("closed === %q", words))
}

// checkRefused checks how many calls Notion has refused: one more each time, if the plugin waits as it is
// told.
func (f *framed) checkRefused(want int) {
	f.t.Helper()
	f.d.notion.mu.Lock()
	defer f.d.notion.mu.Unlock()
	if got := f.d.notion.refused; got != want {
		f.t.Errorf("Notion has refused %d calls, want %d", got, want)
	}
}

// The collection, as the pages of notion_pages.go make it.
const (
	wantFields = `[{"id":"cOuR","name":"Course","type":"enum","cases":[{"id":"none","name":"None"},` +
		`{"id":"c1","name":"Main course"},{"id":"c2","name":"Dessert"}]},` +
		`{"id":"mAdE","name":"Last made","type":"date"},{"id":"mInU","name":"Minutes","type":"number"},` +
		`{"id":"title","name":"Name","type":"string"},{"id":"nOtE","name":"Notes","type":"string"},` +
		`{"id":"%3Fsrc","name":"Source","type":"link"},{"id":"vEgE","name":"Vegetarian","type":"boolean"}]`
	wantSoup = `{"cOuR":{"type":"enum","value":"c1"},"mAdE":{"type":"date","value":"2026-03-14"},` +
		`"mInU":{"type":"number","value":40},"title":{"type":"string","value":"Tomato soup"},` +
		`"nOtE":{"type":"string","value":"Better on the second day."},` +
		`"%3Fsrc":{"type":"link","value":"https://recipes.example/tomato-soup"},` +
		`"vEgE":{"type":"boolean","value":true}}`
	wantBlank = `{"cOuR":{"type":"enum","value":"none"},"mAdE":{"type":"date","value":null},` +
		`"mInU":{"type":"number","value":0},"title":{"type":"string","value":""},` +
		`"nOtE":{"type":"string","value":""},"%3Fsrc":{"type":"link","value":null},` +
		`"vEgE":{"type":"boolean","value":false}}`
	wantSlugs = "tomato-soup crème-brûlée paella tomato-soup-9b1f3a52-0c7e-4d18-b6aa-000000000004 " +
		"9b1f3a52-0c7e-4d18-b6aa-000000000005 apple-pie ratatouille goulash pancakes dal panna-cotta " +
		"risotto"
)

func (f *framed) checkCollection() {
	f.t.Helper()
	for _, part := range []struct{ name, expression, want string }{
		{name: "fields", expression: "JSON.stringify(fields)", want: wantFields},
		{name: "slugs", expression: "[...items.values()].map(item => item.slug).join(' ')", want: wantSlugs},
		{name: "soup", expression: "JSON.stringify([...items.values()][0].fieldData)", want: wantSoup},
		{name: "blank page", expression: "JSON.stringify([...items.values()][4].fieldData)", want: wantBlank},
		{name: "database", expression: "pluginData.get('databaseId')", want: recipesID},
	} {
		if got := browser.Evaluate[string](f.t, f.tab, part.expression); got != part.want {
			f.t.Errorf("the %s: %s\nwant %s", part.name, got, part.want)
		}
	}
}
