import { parseObject, type Answer } from "./answer.js"
import type { Tokens } from "./client.js"
import { authError } from "./errors.js"
import { requestTimeout, withTimeout } from "./timing.js"

/** inQuery: the backend reads parameters in the query only, as framer/plugin-oauth does. */
export type PostResult = [status: number, answer: Answer, inQuery: boolean]

/**
 * Posts to a route of the backend, and reads its answer. The timeout is in milliseconds, by default
 * requestTimeout. Rejects with "unavailable" if no answer comes in time.
 */
export type Post = (
	route: string, parameters: Record<string, string>, timeout?: number, signal?: AbortSignal,
) => Promise<PostResult>

/** Makes the function that posts to a backend, with the parameters that go into each request. */
export function createTransport(backend: string, always: Record<string, string> | undefined): Post {
	let inQuery = false // until the backend says that it misses a parameter of the body

	return async (route, parameters, timeout = requestTimeout, outer?) => {
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
						keepalive: route === "/revoke", // the page may be gone right after a sign-out
					})
					const text = await response.text()
					if (/^\s*</.test(text)) throw Error("not the backend") // a hotel's sign-in page
					if (sent || response.status !== 400 || !/^missing/i.test(text)) {
						return [response.status, parseObject(text), sent]
					}
					inQuery = true
				}
			})
		} catch (cause) {
			throw authError("unavailable", null, cause)
		}
	}
}

/** Revokes tokens. Some providers want the refresh token for it, some the access token. Never rejects. */
export async function revoke(post: Post, { access_token, refresh_token }: Tokens) {
	await Promise.allSettled([refresh_token, access_token].map(token => token && post("/revoke", { token })))
}
