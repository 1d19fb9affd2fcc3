import { addresses } from "./addresses.js"
import { loadPlugins } from "./api.js"
import { setUpCheck } from "./check.js"
import { copyable, h, show } from "./dom.js"
import { addButton, recordLink } from "./record.js"
import { testSignIn } from "./trial.js"

/**
 * What an author pastes into a plugin.
 * @param {PluginHelp} plugin
 */
function snippet({ backend, tenant, apiHosts }) {
	const needed = tenant && !tenant.default
	const parameters = needed ? `, parameters: { ${tenant.name}: "${tenant.example}" }` : ""
	const relay = apiHosts.length ? `, relay: ${JSON.stringify(apiHosts)}` : ""
	return `import { createAuth } from "${backend}/client.js"

const auth = createAuth({ backend: "${backend}"${parameters}${relay} })

await auth.signIn()                       // in a click: opens the provider's page, waits, keeps the tokens
const response = await auth.fetch(url)    // fetch with the access token, which is refreshed in time
await auth.signOut()                      // has the provider end the tokens where it can, and forgets them`
}

/**
 * Fills a part of the page with what to paste where, for each plugin, and with the check of the set-up. The
 * refresh that it returns shows what has changed, and returns the plugins, or null if they are not known.
 * @param {HTMLElement} part
 */
export function pluginHelp(part) {
	const check = setUpCheck()
	const list = h("div")
	const missing = h("p.alert.warning", { hidden: true })
	const buttons = h("div.po-buttons", null, addButton(() => refresh(), "add"), check.button)
	part.append(h("div.po-head", null, h("h2", null, "Plugins"), buttons), missing, check.findings, list)
	let shown = ""
	async function refresh() {
		const answer = await loadPlugins().catch(() => null)
		const plugins = answer?.plugins ?? null
		missing.hidden = !answer?.missing
		missing.textContent = answer?.missing ?? ""
		if (!plugins || JSON.stringify(plugins) === shown) return plugins
		shown = JSON.stringify(plugins)
		const opened = [...list.querySelectorAll("details")].filter(({ open }) => open)
			.map(({ dataset }) => dataset.slug)
		const cards = plugins.map(plugin => card(plugin, opened.includes(plugin.slug), refresh))
		show(list, cards.length ? cards : h("p", null, "There is no plugin yet."))
		return plugins
	}
	return { refresh }
}

/**
 * What authors need to know about one plugin.
 * @param {PluginHelp} plugin
 * @param {boolean} open
 * @param {() => void} refresh
 */
function card(plugin, open, refresh) {
	const test = h("button.btn.sm", {
		type: "button", disabled: !!plugin.problem, onclick: () => testSignIn(plugin),
	}, "Test sign-in")
	return h("details.po-plugin", { "data-slug": plugin.slug, open },
		h("summary", null,
			h("strong", null, plugin.label),
			h("span.txt-hint", null, described(plugin)),
			plugin.problem
				&& h("span.label.warning", null, plugin.enabled ? "cannot be used" : "switched off")),
		plugin.problem && h("p.txt-danger", null, plugin.problem),
		addresses(plugin),
		h("h3", null, "In the plugin"),
		copyable(snippet(plugin), "pre"),
		h("div.po-buttons", null, test, plugin.id && recordLink("a.btn.sm.outline", "Change it", {
			id: plugin.id, key: "change " + plugin.slug, refresh,
		})))
}

/** @param {PluginHelp} plugin */
function described({ slug, label, name, provider }) {
	const words = [name, provider, slug === "/" && "from the environment, at the root"]
	return words.filter(word => word && word !== label).join(", ")
}
