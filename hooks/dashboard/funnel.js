import { h, table } from "./dom.js"

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
 * Shows how far people got, at each plugin. The bar in a cell is its share of those who started.
 * @param {SignIns["funnel"]} rows
 * @param {Choice} chosen
 * @param {(plugin: string) => void} choosePlugin
 */
export function funnelTable(rows, chosen, choosePlugin) {
	const heads = ["Plugin", ...columns.map(([, label]) => label)]
	return [
		h("h5", null, "How far they came"),
		rows.length
			? table(heads, rows.map(row => line(row, chosen, choosePlugin)))
			: h("p.txt-hint", null, "No sign-ins in this time."),
	]
}

/**
 * @param {SignIns["funnel"][number]} row
 * @param {Choice} chosen
 * @param {(plugin: string) => void} choosePlugin
 */
function line(row, chosen, choosePlugin) {
	const isChosen = row.plugin === chosen.plugin
	const name = h("button.po-link", {
		type: "button",
		"data-key": "row " + row.plugin,
		title: "Show only " + row.plugin,
		onclick: () => choosePlugin(isChosen ? "" : row.plugin),
	}, row.plugin)
	return h("tr", { class: isChosen ? "po-chosen" : "" },
		h("th", { scope: "row" }, name),
		columns.map(([column]) => {
			const cell = h(`td.po-share.po-share-${column}`, null, String(row[column]))
			cell.style.setProperty("--share", String(row.started ? row[column] / row.started : 0))
			return cell
		}))
}
