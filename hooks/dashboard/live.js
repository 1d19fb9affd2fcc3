import { send } from "./api.js"
import { h, recordAddress, table } from "./dom.js"
import { duration, pluginNames } from "./words.js"

/** @type {Record<Stage, string>} */
const stages = {
	started: "At the provider",
	redirected: "Tokens are fetched",
	finished: "Waits for the plugin",
}

/**
 * The sign-ins that are under way, each with a button that ends it.
 * @param {SignIns} answer
 * @param {() => void} refresh
 */
export function liveList({ live, liveCount, root }, refresh) {
	const nameOf = pluginNames(root)
	const rows = live.map(session => row(session, nameOf(session.plugin), refresh))
	return [
		h("h2", null, "Under way"),
		rows.length
			? table("Under way", ["Plugin", "Stage", "Origin", "Since", "Left", "Action"], rows,
				["Origin", "Since"])
			: h("p.txt-hint", null, "Nobody is signing in just now."),
		liveCount > rows.length
			&& h("p.txt-hint", null, `These are the newest ${rows.length} of ${liveCount}.`),
	]
}

/**
 * @param {LiveSignIn} session
 * @param {string} label of the plugin
 * @param {() => void} refresh
 */
function row(session, label, refresh) {
	const button = h("button.btn.sm.outline", {
		type: "button",
		"data-key": session.id,
		"aria-label": `End the sign-in of ${duration(session.age)} ago at ${label}`,
		onclick: () => askToEnd(session, label, refresh),
	}, "End")
	return h("tr", null,
		h("th", { scope: "row" }, h("a.po-link", {
			href: recordAddress(session.id), title: "Session " + session.id,
			"data-key": "record " + session.id,
		}, label)),
		h("td", null, h("span.label", null, stages[session.stage])),
		h("td.po-wide.txt-hint", null, session.origin || "–"),
		h("td.po-wide", null, duration(session.age)),
		h("td", null, duration(session.left)),
		h("td.po-action", null, button))
}

/**
 * Ends a sign-in if the admin confirms it.
 * @param {LiveSignIn} session
 * @param {string} label of the plugin
 * @param {() => void} refresh
 */
function askToEnd(session, label, refresh) {
	const end = async () => {
		await send(`sign-ins/${session.id}/end`, "POST").catch(error => {
			if (error?.status !== 404) app.checkApiError?.(error) // 404: it has ended meanwhile
		})
		refresh()
	}
	const question = `End this sign-in at ${label}? The person must start again.`
	if (app.modals?.confirm) {
		app.modals.confirm(question, end, null, { yesButton: "End it", noButton: "Keep it" })
	} else if (confirm(question)) {
		end()
	}
}
