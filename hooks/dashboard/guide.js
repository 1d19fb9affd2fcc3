import { consoleLink } from "./addresses.js"
import { copyable, h } from "./dom.js"
import { addButton } from "./record.js"
import { testSignIn } from "./trial.js"

/**
 * The way to the first sign-in, in three steps.
 * @param {PluginHelp[]} plugins
 * @param {() => void} refresh
 */
export function guide(plugins, refresh) {
	const plugin = plugins.find(({ problem }) => !problem) ?? plugins[0]
	return [
		h("h2", null, "The first sign-in, in three steps"),
		h("ol.po-way", null,
			step("Add a plugin", plugin ? "done" : "now", plugin
				? h("p", null, h("strong", null, plugin.label), " is there.")
				: addStep(refresh)),
			step("Paste the redirect URI at the provider", plugin ? "now" : "later", plugin
				? atProvider(plugin)
				: h("p", null, "It stands here, with a button that copies it, once there is a plugin.")),
			step("Test the sign-in", plugin && !plugin.problem ? "now" : "later", testStep(plugin))),
	]
}

/**
 * @param {string} title
 * @param {"done" | "now" | "later"} state
 * @param {HTMLElement} content
 */
function step(title, state, content) {
	return h(`li.po-${state}`, null,
		h("h3", null, title, state === "done" && h("span.label.success", null, "done")), content)
}

/** @param {() => void} refresh */
function addStep(refresh) {
	return h("div", null,
		h("p", null, "You need the client id and the client secret that your provider's console shows. The ",
			"form says where that is, and what to enter there."),
		h("div.po-buttons", null, addButton(refresh, "add first")))
}

/** @param {PluginHelp} plugin */
function atProvider({ redirectUri, console: address }) {
	return h("div", null,
		h("p", null, "Enter it there exactly so, as the address that people are sent back to."),
		redirectUri ? copyable(redirectUri) : h("p.txt-danger", null, "Not known: set PUBLIC_URL."),
		address && h("p", null, consoleLink(address)))
}

/** @param {PluginHelp | undefined} plugin */
function testStep(plugin) {
	const test = h("button.btn.sm", {
		type: "button", "data-key": "test first", disabled: !plugin || !!plugin.problem,
		onclick: () => plugin && testSignIn(plugin),
	}, "Test sign-in")
	return h("div", null,
		h("p", null, "You go through it as a person will, and see how each step went. No token is shown."),
		plugin?.problem && h("p.txt-danger", null, plugin.problem),
		h("div.po-buttons", null, test))
}
