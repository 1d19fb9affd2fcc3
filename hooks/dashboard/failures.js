import { h } from "./dom.js"
import { duration } from "./words.js"

const listed = 50 // the most failures that an answer has
/** How long each span is, in seconds. The last hour is always known. */
const spanSeconds = { hour: 0, day: 86400, week: 604800 }

/**
 * The newest failure of each kind, and how many there are of it.
 * @param {SignIns} answer
 * @param {Span} span
 */
export function failureList({ failures, retention }, span) {
	const kinds = [...Map.groupBy(failures, failure => failure.plugin + " " + failure.error).values()]
	return [
		h("h5", null, "Latest failures"),
		kinds.length ? h("ul.po-list", null, kinds.map(kind)) : h("p.txt-hint", null, "None."),
		failures.length >= listed
			&& h("p.txt-hint", null, `These are the kinds of the newest ${listed} failures.`),
		retention < spanSeconds[span]
			&& h("p.txt-hint", null,
				`Failures and times are known for ${duration(retention)} only (SESSION_RETENTION).`),
	]
}

/**
 * @param {Failure[]} failures of one kind, the newest first
 */
function kind(failures) {
	const [newest] = failures
	if (!newest) return null
	const { plugin, error, description, cause, fix, ago, id } = newest
	const count = failures.length > 1 ? failures.length + " times, the last " : ""
	return h("li", null,
		h("div.po-failure-head", null,
			h("span.label.danger", null, error), h("strong", null, plugin),
			h("span.txt-hint", null, `${count}${duration(ago)} ago, session ${id}`)),
		cause && h("p", null, h("b", null, "The cause: "), cause),
		h("p", null, h("b", null, "The person read: "), description),
		h("p.po-fix", null, h("b", null, "What usually helps: "), fix))
}
