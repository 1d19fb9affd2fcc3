import { h, recordAddress } from "./dom.js"
import { duration, plural, pluginNames } from "./words.js"

const listed = 50 // the most kinds that an answer has
/** How long each span is, in seconds. The last hour is always known. */
const spanSeconds = { hour: 0, day: 86400, week: 604800 }

/**
 * Each kind of failure with how many there were, and the newest of them.
 * @param {SignIns} answer
 * @param {Span} span
 * @param {number} failed how many failed in all
 */
export function failureList({ failures, retention, root }, span, failed) {
	const nameOf = pluginNames(root)
	const others = failed - failures.reduce((sum, { count }) => sum + count, 0)
	return [
		h("h2", null, "What failed"),
		failures.length
			? h("ul.po-list", null, failures.map(failure => kind(failure, nameOf(failure.plugin))))
			: h("p.txt-hint", null, "Nothing."),
		others > 0 && h("p.txt-hint", null, otherFailures(others, failures.length)),
		retention < spanSeconds[span]
			&& h("p.txt-hint", null,
				`Failures and times are known for ${duration(retention)} only (SESSION_RETENTION).`),
	]
}

/**
 * @param {number} others
 * @param {number} kinds
 */
function otherFailures(others, kinds) {
	return plural(others, "more failure") + (kinds < listed
		? " counted: what is known of them has been deleted."
		: ` counted: these are the ${listed} kinds that came last.`)
}

/**
 * @param {FailureKind} failure
 * @param {string} label of the plugin
 */
function kind({ error, count, description, cause, fix, ago, id }, label) {
	return h("li", null,
		h("div.po-failure-head", null,
			h("span.label.danger", null, error), h("strong", null, label),
			h("span.txt-hint", null, `${count > 1 ? count + " times, the last " : ""}${duration(ago)} ago, `,
				h("a", { href: recordAddress(id), "data-key": "record " + id }, "session " + id))),
		cause && h("p", null, h("b", null, "The cause: "), cause),
		h("p", null, h("b", null, "The person read: "), description),
		h("p.po-fix", null, h("b", null, "What usually helps: "), fix))
}
