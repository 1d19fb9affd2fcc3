import { total, underWay } from "./counts.js"
import { h } from "./dom.js"
import { plural } from "./words.js"

/**
 * How a sign-in can end, in the order of the stack, and what that is called.
 * @type {[outcome: Outcome | "open", label: string][]}
 */
const outcomes = [
	["claimed", "Signed in"],
	["open", "Under way"],
	["denied", "Cancelled"],
	["expired", "Too late"],
	["failed", "Failed"],
]

/**
 * Stacks the sign-ins of each hour by how they ended.
 * @param {Hour[]} hours
 */
export function chart(hours) {
	const highest = Math.max(1, ...hours.map(hour => hour.started))
	const byDay = hours.length > 24
	return [
		h("h2", null, "Sign-ins per hour"),
		h("div.po-plot", { role: "img", "aria-label": description(hours, highest) },
			h("div.po-scale", null, h("span", null, String(highest)), h("span", null, "0")),
			h("div.po-bars", null, hours.map(hour => bar(hour, highest))),
			byDay
				? h("div.po-hours.po-days", null, dayLabels(hours))
				: h("div.po-hours", null, hourLabels(hours))),
		h("div.po-legend", null, outcomes.map(([outcome, label]) =>
			h("span", null, h(`i.po-outcome-${outcome}`), label))),
	]
}

/**
 * Describes the chart to somebody who cannot see it.
 * @param {Hour[]} hours
 * @param {number} highest
 */
function description(hours, highest) {
	const sum = total(hours)
	return `${plural(sum.started, "sign-in")} in ${hours.length} hours, ${highest} at most in one of them: `
		+ `${sum.claimed} signed in, ${underWay(sum)} under way, ${sum.denied} cancelled, `
		+ `${sum.expired} too late, ${sum.failed} failed`
}

/**
 * The stack of one hour.
 * @param {Hour} hour
 * @param {number} highest
 */
function bar(hour, highest) {
	const counts = { ...hour, open: underWay(hour) }
	const stacked = outcomes.filter(([outcome]) => counts[outcome])
	const time = new Date(hour.hour)
	const when = time.toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit" })
	const words = stacked.map(([outcome, label]) => `${label}: ${counts[outcome]}`)
	return h("div.po-bar", { title: [when, ...words].join("\n") }, stacked.map(([outcome]) => {
		const segment = h(`i.po-outcome-${outcome}`)
		segment.style.height = 100 * counts[outcome] / highest + "%"
		return segment
	}))
}

/**
 * A label below every sixth hour.
 * @param {Hour[]} hours
 */
function hourLabels(hours) {
	return hours.map(({ hour }, i) => {
		const text = new Date(hour).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
		return h("span", null, i % 6 === 3 && h("b", null, text))
	})
}

/**
 * A label below the first hour of each day.
 * @param {Hour[]} hours
 */
function dayLabels(hours) {
	return hours.map(({ hour }) => {
		const time = new Date(hour)
		const text = time.toLocaleDateString([], { weekday: "short", day: "numeric" })
		return h("span", null, time.getHours() === 0 && h("b", null, text))
	})
}
