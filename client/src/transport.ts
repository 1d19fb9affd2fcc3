import { parseObject, type Answer } from "./answer.js"
import type { Tokens } from "./client.js"
import { requestTimeout, withTimeout } from "./timing.js"

/**
 * What the backend answers. inQuery: it reads parameters in the query only, as framer/plugin-oauth does. If
 * no answer came, the status is 0.
 */
export type PostResult = [status: number, answer: Answer, inQuery: boolean]

/**
 * Posts to a route of the backend, and reads its answer. The timeout is in milliseconds, by default
 * requestTimeout. Never rejects. While the backend is busy, as its Retry-After says, a refresh is not sent,
 * and gets the same answer again.
 */
export type Post = (
	route: string, parameters: Record<string, string> | undefined, timeout?: number, signal?: AbortSignal,
) => Promise<PostResult>

/** There was no answer. */
const none: PostResult = [0, null, false]

/** How long a Retry-After is heeded at most, in milliseconds. */
const longestRest = 300_000

/** Returns what a Retry-After says (RFC 9110 section 10.2.3), in milliseconds. Not above zero: nothing. */
function restOf({ status, headers }: Response): number {
	const after = headers.get("Retry-After")! // null gives NaN
	if (status !== 429 && status !== 503) return 0
	return Math.min(Number(after) * 1000 || Date.parse(after) - Date.now(), longestRest)
}

/** Makes the function that posts to a backend, with the parameters that go into each request. */
export function createTransport(backend: string, always: Record<string, string> | undefined): Post {
	let busy: [result: PostResult, until: number] | undefined // until is of performance.now()
	let inQuery = false // until the backend says that it misses a parameter of the body

	return async (route, parameters, timeout = requestTimeout, outer?) => {
		// Each call of auth.fetch may want a refresh, and would make it worse.
		if (route === "/refresh" && busy && performance.now() < busy[1]) return busy[0]
		const body = new URLSearchParams({ ...always, ...parameters })
		try {
			return await withTimeout(timeout, outer, async signal => {
				for (;;) {
					const sent = inQuery
					const response = await fetch(backend + route + (sent ? "?" + body : ""), {
						method: "POST",
						headers: { Accept: "application/json" },
						body: sent ? null : body,
						signal,
						keepalive: !outer, // for nobody waits for it: the page may be gone right after
					})
					const text = await response.text()
					const result: PostResult = [response.status, parseObject(text), sent]
					const rest = restOf(response)
					if (rest > 0 && route === "/refresh") busy = [result, performance.now() + rest]
					if (/^\s*</.test(text)) return none // a hotel's sign-in page
					if (sent || response.status !== 400 || !/^missing/i.test(text)) return result
					inQuery = true
				}
			})
		} catch {
			return none
		}
	}
}

/**
 * Revokes tokens (RFC 7009). Some providers know how to revoke only one type (unsupported_token_type, section
 * 2.2.1), and the page may be gone before an answer comes, so both are sent at once. Never rejects.
 */
export async function revoke(post: Post, { access_token, refresh_token, id_token }: Partial<Tokens>) {
	const types = { refresh_token, access_token: access_token !== id_token && access_token }
	await Promise.all(Object.entries(types).map(([token_type_hint, token]) =>
		token && post("/revoke", { token, token_type_hint })))
}
