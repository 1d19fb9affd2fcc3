import { addresses } from "./addresses.js"
import { loadPlugins } from "./api.js"
import { setUpCheck } from "./check.js"
import { copyable, h, show } from "./dom.js"
import { testSignIn } from "./trial.js"

/**
 * What an author pastes into a plugin.
 * @param {PluginHelp} plugin
 */
function snippet({ backend, tenant }) {
	const needed = tenant && !tenant.default
	const parameters = needed ? `, parameters: { ${tenant.name}: "${tenant.example}" }` : ""
	return `import { createAuth } from "${backend}/client.js"

const auth = createAuth({ backend: "${backend}"${parameters} })

await auth.signIn()                       // in a click: opens the provider's page, waits, keeps the tokens
const response = await auth.fetch(url)    // fetch with the access token, which is refreshed in time
await auth.signOut()                      // has the provider end the tokens where it can, and forgets them`
}

/**
 * Fills a part of the page with what to paste where, for each plugin, and with the check of the set-up. The
 * refresh that it returns shows what has changed.
 * @param {HTMLElement} part
 */
export function pluginHelp(part) {
	const check = setUpCheck()
	const list = h("div")
	part.append(h("div.po-head", null, h("h5", null, "Plugins"), check.button), check.findings, list)
	let shown = ""
	async function refresh() {
		const plugins = (await loadPlugins().catch(() => null))?.plugins
		if (!plugins || JSON.stringify(plugins) === shown) return
		shown = JSON.stringify(plugins)
		const opened = [...list.querySelectorAll("details")].filter(({ open }) => open)
			.map(({ dataset }) => dataset.slug)
		const cards = plugins.map(plugin => card(plugin, opened.includes(plugin.slug)))
		show(list, cards.length ? cards : noPlugin())
	}
	return { refresh }
}

function noPlugin() {
	return h("p", null, "There is no plugin yet. ",
		h("a", { href: "#/collections?collection=plugins" }, "Add one"),
		" in the collection plugins, or set one up in the environment.")
}

/**
 * What authors need to know about one plugin.
 * @param {PluginHelp} plugin
 * @param {boolean} open
 */
function card(plugin, open) {
	const test = h("button.btn.sm", {
		type: "button", disabled: !!plugin.problem, onclick: () => testSignIn(plugin),
	}, "Test sign-in")
	return h("details.po-plugin", { "data-slug": plugin.slug, open },
		h("summary", null,
			h("strong", null, plugin.slug),
			plugin.slug === "/" && h("span.txt-hint", null, "from the environment"),
			h("span.txt-hint", null, [plugin.name, plugin.provider].filter(Boolean).join(", ")),
			plugin.problem
				&& h("span.label.warning", null, plugin.enabled ? "cannot be used" : "switched off")),
		plugin.problem && h("p.txt-danger", null, plugin.problem),
		addresses(plugin),
		h("h6", null, "In the plugin"),
		copyable(snippet(plugin), "pre"),
		h("div.po-buttons", null, test, plugin.id && changeLink(plugin)))
}

/**
 * Opens the form of a plugin's record, or the collection where PocketBase has no such form.
 * @param {PluginHelp} plugin
 */
function changeLink(plugin) {
	const link = h("a.btn.sm.outline", { href: "#/collections?collection=plugins" }, "Change it")
	const collection = app.store?.collections?.find(({ name }) => name === "plugins")
	if (app.modals?.openRecordUpsert && collection) {
		link.addEventListener("click", event => {
			event.preventDefault()
			app.modals?.openRecordUpsert?.(collection, plugin.id)
		})
	}
	return link
}
