import { h } from "./dom.js"

/** @type {Record<Span, string>} */
const spans = { hour: "Hour", day: "Day", week: "Week" }

/**
 * Reads the choice from the parameters of the page's address.
 * @param {Query} query
 * @returns {Choice}
 */
export function readChoice(query) {
	const span = query.span?.[0] ?? ""
	const plugin = query.plugin?.[0] ?? ""
	return { span: Object.hasOwn(spans, span) ? /** @type {Span} */ (span) : "day", plugin }
}

/**
 * Puts a choice into the page's address, so that it is kept when the page is loaded again.
 * @param {Choice} chosen
 */
function writeChoice(chosen) {
	const query = chosen.span === "day" && !chosen.plugin ? "" : "?" + new URLSearchParams(chosen)
	history.replaceState(null, "", "#/sign-ins" + query)
}

/**
 * The buttons for the time and the list of the plugins.
 * @param {(choice: Partial<Choice>) => void} choose
 */
export function choiceControls(choose) {
	const buttons = Object.entries(spans).map(([span, label]) => h("button.btn.sm", {
		type: "button", "data-span": span, onclick: () => choose({ span: /** @type {Span} */ (span) }),
	}, label))
	const select = h("select", { "aria-label": "Plugin" })
	select.addEventListener("change", () => choose({ plugin: select.value }))

	/** @param {Choice} chosen */
	function showChoice(chosen) {
		for (const button of buttons) {
			const pressed = button.dataset.span === chosen.span
			button.classList.toggle("outline", !pressed)
			button.setAttribute("aria-pressed", String(pressed))
		}
		writeChoice(chosen)
	}

	/**
	 * @param {string[]} plugins
	 * @param {string} chosen
	 * @param {(plugin: string) => string} nameOf
	 */
	const showPlugins = (plugins, chosen, nameOf) => fillSelect(select, { plugins, chosen, nameOf })

	const group = h("div.po-spans", { role: "group", "aria-label": "Time" }, buttons)
	const elements = h("div.po-choice", null, group, select)

	/** @param {boolean} shown */
	const show = shown => {
		elements.hidden = !shown
	}
	return { elements, show, showChoice, showPlugins }
}

/**
 * Shows the plugins to choose from. The list is hidden while there is no choice.
 * @param {HTMLSelectElement} select
 * @param {{ plugins: string[], chosen: string, nameOf: (plugin: string) => string }} choice
 */
function fillSelect(select, { plugins, chosen, nameOf }) {
	const options = ["", ...new Set([...plugins, chosen].filter(Boolean))]
	select.hidden = options.length < 3 && !chosen
	if (options.join() === [...select.options].map(option => option.value).join()) {
		select.value = chosen
		return
	}
	select.replaceChildren(...options.map(plugin =>
		h("option", { value: plugin, selected: plugin === chosen }, plugin ? nameOf(plugin) : "All plugins")))
}
