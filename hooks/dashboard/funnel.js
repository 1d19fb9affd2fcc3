import { h, table } from "./dom.js"
import { pluginNames } from "./words.js"

/** @type {[name: keyof Counts, label: string][]} */
const columns = [
	["started", "Started"],
	["redirected", "Came back"],
	["finished", "Got tokens"],
	["claimed", "Signed in"],
	["denied", "Cancelled"],
	["failed", "Failed"],
	["expired", "Too late"],
]

/**
 * Shows how far people got, at each plugin. The bar below a number is its share of those who started.
 * @param {SignIns} answer
 * @param {Choice} chosen
 * @param {(plugin: string) => void} choosePlugin
 */
export function funnelTable({ funnel: rows, root }, chosen, choosePlugin) {
	const nameOf = pluginNames(root)
	const heads = ["Plugin", ...columns.map(([, label]) => label)]
	return [
		h("h2", null, "How far they came"),
		rows.length
			? table("How far they came", heads,
				rows.map(row => line(row, nameOf(row.plugin), { chosen, choosePlugin })))
			: h("p.txt-hint", null, "No sign-ins in this time."),
	]
}

/**
 * @param {SignIns["funnel"][number]} row
 * @param {string} label
 * @param {{ chosen: Choice, choosePlugin: (plugin: string) => void }} choice
 */
function line(row, label, { chosen, choosePlugin }) {
	const isChosen = row.plugin === chosen.plugin
	const name = h("button.po-link", {
		type: "button",
		"data-key": "row " + row.plugin,
		title: isChosen ? "Show all plugins" : "Show only " + label,
		"aria-pressed": String(isChosen),
		onclick: () => choosePlugin(isChosen ? "" : row.plugin),
	}, label)
	return h("tr", { class: isChosen ? "po-chosen" : "" },
		h("th", { scope: "row" }, name),
		columns.map(([column]) => {
			const share = row[column] > 0 && h(`i.po-share.po-outcome-${column}`)
			if (share) share.style.width = 100 * row[column] / row.started + "%"
			return h("td", null, String(row[column]), share)
		}))
}
