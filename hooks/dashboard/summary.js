import { underWay } from "./counts.js"
import { h } from "./dom.js"
import { duration, plural } from "./words.js"

/** @type {Record<Span, string>} */
const times = { hour: "the last hour", day: "the last 24 hours", week: "the last 7 days" }

/**
 * Says at a glance whether people can sign in, and where they cannot.
 * @param {SignIns["funnel"]} rows
 * @param {Counts} sum of the rows
 * @param {Span} span
 */
export function verdict(rows, sum, span) {
	/**
	 * @param {"info" | "success" | "warning" | "danger"} kind
	 * @param {string[]} words
	 */
	const say = (kind, ...words) => h(`p.alert.${kind}`, null, words.join(" "))
	const time = times[span]
	const ended = sum.started - underWay(sum)
	if (!sum.started) return say("info", `Nobody has started to sign in during ${time}.`)
	if (!ended) {
		return say("info", `${plural(sum.started, "sign-in")} under way, none has ended during ${time}.`)
	}
	const neverBack = Math.min(sum.expired, sum.started - sum.redirected)
	const failing = rows.filter(row => row.failed && !row.claimed).map(row => row.plugin)
	const worked = `${sum.claimed} of ${plural(ended, "sign-in")} worked during ${time}.`
	const below = "Below is what went wrong, and what usually fixes it."
	if (failing.length) {
		return say("danger", worked, rows.length > 1 ? `At ${failing.join(", ")} none did.` : "", below)
	}
	if (neverBack >= 3 && neverBack >= ended / 2) {
		return say("warning", worked, `${neverBack} people did not come back from the provider.`,
			"Does it show them an error page? It must know the redirect URI below, letter for letter.")
	}
	if (sum.failed >= ended / 5) return say("warning", worked, below)
	return say(sum.claimed ? "success" : "info", worked)
}

/**
 * The numbers that matter most.
 * @param {Counts} sum
 * @param {SignIns} answer
 */
export function tiles(sum, { toClaim: { count, median, p95 }, liveCount }) {
	const ended = sum.started - underWay(sum)
	const share = ended ? Math.round(100 * sum.claimed / ended) + " % of those that ended" : ""
	return [
		tile({ value: String(liveCount), label: "under way" }),
		tile({ value: String(sum.claimed), label: "signed in", note: share }),
		tile({
			value: count ? duration(median) : "–",
			label: "to sign in (median)",
			note: count ? `95 of 100 within ${duration(p95)}` : "",
		}),
		tile({
			value: String(sum.failed),
			label: "failed",
			note: `${sum.denied} cancelled, ${sum.expired} too late`,
		}),
	]
}

/** @param {{ value: string, label: string, note?: string }} words */
function tile({ value, label, note }) {
	return h("div.po-tile", null,
		h("strong", null, value), h("span", null, label), note && h("small.txt-hint", null, note))
}
