import { codeOf, parseTokens, refusal } from "./answer.js"
import type { Tokens } from "./client.js"
import type { MakeError } from "./errors.js"
import { expired, type Forget, type Load, type Save } from "./storage.js"
import { pause, requestTimeout, withTimeout } from "./timing.js"
import type { Post, PostResult } from "./transport.js"

/** Returns tokens whose access token has not expired. */
type Current = () => Promise<Tokens>

/**
 * Replaces an access token, unless another window has done so. Calls at the same time get the same tokens.
 */
type Refresh = (stale: string) => Promise<Tokens>

/** Discards the result of a refresh under way, because the person signs out. */
type Discard = () => void

/** Runs a task in one window at a time, where there are Web Locks that the page may use. */
async function withLock<T>(name: string, task: () => Promise<T>): Promise<T> {
	let result: Promise<T> | undefined
	await withTimeout(3 * requestTimeout, undefined, signal =>
		navigator.locks.request(name, { signal }, () => result = task())).catch(() => {})
	return result ?? task()
}

/**
 * Reports whether the person must sign in again. The backend says invalid_grant for that, whatever the
 * provider's words are. All other errors pass, or are about the backend's configuration (invalid_client).
 * framer/plugin-oauth passes on what comes with status 200, and of the rest the status.
 */
function refused([status, answer, inQuery]: PostResult): boolean {
	const code = codeOf(status, answer)
	return code === "invalid_grant" || inQuery && (answer
		? /grant$|token|code$|expired|revoked/.test(code)
		: status === 400 || status === 401)
}

/** Makes the functions that return usable tokens. */
export function createTokenSource(
	authError: MakeError, key: string, post: Post, load: Load, save: Save, forget: Forget,
): [current: Current, refresh: Refresh, discard: Discard] {
	let refreshing: Promise<Tokens> | null = null
	let signOuts = 0

	function refresh(stale: string) {
		const before = signOuts
		return refreshing ??= withLock(key, async () => {
			await pause(100) // until what another window wrote under the lock can be read
			const old = (await load())?.tokens
			if (old && old.access_token !== stale) return old
			if (!old?.refresh_token) throw authError("signed_out")
			const result = await post("/refresh", { code: old.refresh_token })
			const [status, answer] = result
			const dead = refused(result)
			if (dead) await pause(1_000) // without locks, another window may just have used the token up
			const now = await load().then(stored => stored?.tokens, () => old) // or new tokens would be lost
			if (now && now.access_token !== stale) return now
			if (dead) {
				const error = authError("signed_out")
				await forget(error)
				throw error
			}
			const given = status === 200 && parseTokens(answer)
			if (!given) throw refusal(authError, 500, answer) // the old tokens are better than none
			const fresh = { ...old, ...given }
			// A provider whose refresh token stays valid sends none (RFC 6749 section 6).
			fresh.refresh_token ||= old.refresh_token
			return save(fresh, () => !!now && before === signOuts)
		}).finally(() => refreshing = null)
	}

	async function current() {
		const stored = await load()
		if (!stored) throw authError("signed_out")
		const { tokens, expires } = stored
		const early = Math.min(60_000, Number(tokens.expires_in) * 100) // a minute, or a tenth of its life
		if (!expires || !tokens.refresh_token || expires - early > Date.now()) return tokens
		return refresh(tokens.access_token).catch(error => {
			if (error.code !== "signed_out" && !expired(stored)) return tokens
			throw error
		})
	}

	return [current, refresh, () => signOuts++]
}
