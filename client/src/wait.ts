import { parseTokens, refusal } from "./answer.js"
import { AuthError, type Tokens } from "./client.js"
import type { MakeError } from "./errors.js"
import type { Keeper, Kept } from "./kept.js"
import type { Load, Save } from "./storage.js"
import { pause, requestTimeout } from "./timing.js"
import { revoke, type Post } from "./transport.js"

/** How long the backend is asked to hold a poll, in seconds. It holds one for 30 at most. */
const pollWait = 25

/** How far apart two polls start where the backend holds none, in milliseconds. */
const pollInterval = 1_500

/** For how many intervals a window leaves the polls to another: longer than a poll takes. */
const turn = 30

/** Waits until a sign-in that is kept has ended, and stores its tokens. */
export type Wait = (kept: Kept, signal: AbortSignal) => Promise<Tokens>

/** Makes the function that waits. */
export function createWait(
	authError: MakeError, post: Post, load: Load, save: Save, [keep, find, drop]: Keeper,
): Wait {
	/** Polls once. Returns how the sign-in has ended, or else whether the backend says that it has not. */
	async function poll(readKey: string, signal: AbortSignal): Promise<Tokens | AuthError | boolean> {
		const parameters = { readKey, wait: `${pollWait}`, ack: "1" }
		const [status, answer] = await post("/poll", parameters, pollWait * 1000 + requestTimeout, signal)
		const code = answer?.error
		if (code === "not_found") return authError("expired_token")
		if (!answer || status !== 200 && status !== 400) return code === "authorization_pending"
		return status === 200 && parseTokens(answer) || refusal(authError, status, answer, "server_error")
	}

	/** Another window has ended the sign-in, with tokens or by signing out: then nobody wants what came. */
	async function endedElsewhere(come: Partial<Tokens> = {}) {
		const stored = await load()
		if (stored) return stored.tokens
		await revoke(post, come)
		throw authError("aborted")
	}

	return async (kept, signal) => {
		// The device's clock may be set meanwhile. The backend's word counts, where it has one.
		const end = performance.now() + kept.end - Date.now()
		const { readKey } = kept
		let watched = 0
		for (;;) {
			const start = performance.now()
			const now = await find()
			signal.throwIfAborted()
			if (now === null) return endedElsewhere()
			if (now?.readKey === readKey && now.by !== kept.by) {
				// That window may be closed, or asleep, and then this one polls.
				if (!(++watched % turn)) await keep(kept)
			} else {
				const polled = await poll(readKey, signal)
				signal.throwIfAborted()
				if (typeof polled === "object") {
					await pause(100, signal) // until what another window wrote meanwhile can be read
					if (await find() === null) return endedElsewhere(polled as Tokens)
					if (polled instanceof AuthError) throw polled
					const tokens = await save(polled, () => !signal.aborted)
					await drop(readKey)
					// Only now may the backend forget them. It does that by itself as well, in a minute.
					void post("/poll", { readKey, ack: "done" })
					return tokens
				}
				if (!polled && start > end) throw authError("timeout")
			}
			await pause(start + pollInterval - performance.now(), signal)
		}
	}
}
