import { underWay } from "./counts.js"
import { h } from "./dom.js"
import { duration, plural, pluginNames } from "./words.js"

/** @type {Record<Span, string>} */
const times = { hour: "the last hour", day: "the last 24 hours", week: "the last 7 days" }

/**
 * Says at a glance whether people can sign in, and where they cannot. Whoever says no counts for neither.
 * @param {SignIns["funnel"]} rows
 * @param {Counts} sum of the rows
 * @param {{ span: Span, root: string }} shown
 */
export function verdict(rows, sum, { span, root }) {
	const time = times[span]
	const tried = decided(sum)
	if (!sum.started) return say("info", `Nobody has started to sign in during ${time}.`)
	const cancelled = sum.denied ? `${sum.denied} more ${sum.denied === 1 ? "was" : "were"} cancelled.` : ""
	if (!tried) {
		return say("info", `${plural(sum.started, "sign-in")} during ${time}: ${underWay(sum)} under way, `
			+ `${sum.denied} cancelled.`)
	}
	const neverBack = Math.min(sum.expired, sum.started - sum.redirected)
	const failing = rows.filter(row => row.failed && !row.claimed).map(row => pluginNames(root)(row.plugin))
	const worked = `${sum.claimed} of ${plural(tried, "sign-in")} worked during ${time}.`
	const below = "Below is what went wrong, and what usually fixes it."
	if (failing.length) {
		const where = rows.length > 1 ? `At ${failing.join(", ")} none did.` : ""
		return say("danger", worked, where, cancelled, below)
	}
	if (neverBack >= 3 && neverBack >= tried / 2) {
		return say("warning", worked, cancelled, `${neverBack} people did not come back from the provider.`,
			"Does it show them an error page? It must know the redirect URI below, letter for letter.")
	}
	if (sum.failed >= tried / 5) return say("warning", worked, cancelled, below)
	return say(sum.claimed ? "success" : "info", worked, cancelled)
}

/** Stands in the place of the verdict until the first sign-in. */
export const nobodyYet = () => say("info", "Nobody has signed in yet.")

/**
 * @param {"info" | "success" | "warning" | "danger"} kind
 * @param {string[]} words
 */
function say(kind, ...words) {
	return h(`p.alert.${kind}`, null, words.filter(Boolean).join(" "))
}

/**
 * How many sign-ins have worked or not. Those that a person or an admin has cancelled are not among them.
 * @param {Counts} sum
 */
function decided(sum) {
	return sum.started - underWay(sum) - sum.denied
}

/**
 * The numbers that matter most. The first is the sum of the next five.
 * @param {Counts} sum
 * @param {SignIns} answer
 */
export function tiles(sum, { toClaim: { count, median, p95 } }) {
	const tried = decided(sum)
	const share = tried ? Math.round(100 * sum.claimed / tried) + " % of those that were not cancelled" : ""
	return [
		tile({ value: String(sum.started), label: "started" }),
		tile({ value: String(sum.claimed), label: "signed in", note: share }),
		tile({ value: String(sum.failed), label: "failed" }),
		tile({ value: String(sum.denied), label: "cancelled" }),
		tile({ value: String(sum.expired), label: "too late" }),
		tile({ value: String(underWay(sum)), label: "under way" }),
		tile({
			value: count ? duration(median) : "–",
			label: "to sign in (median)",
			note: count ? `95 of 100 within ${duration(p95)}` : "",
		}),
	]
}

/** @param {{ value: string, label: string, note?: string }} words */
function tile({ value, label, note }) {
	return h("div.po-tile", null,
		h("strong", null, value), h("span", null, label), note && h("small.txt-hint", null, note))
}
