import { parseTokens, refusal } from "./answer.js"
import { AuthError, type Auth, type AuthOptions, type SignInOptions, type Tokens } from "./client.js"
import type { MakeError } from "./errors.js"
import type { Show } from "./state.js"
import type { Save } from "./storage.js"
import { linkedSignal, pause, requestTimeout } from "./timing.js"
import type { Post } from "./transport.js"

/** How long the backend is asked to hold a poll, in seconds. It holds one for 30 at most. */
const pollWait = 25

/** How far apart two polls start where the backend holds none, in milliseconds. */
const pollInterval = 1_500

/**
 * Opens the window for the provider's page before its address is known, as browsers allow it only in the
 * click itself. In a desktop app it opens none: there, window.open starts the system browser and returns
 * nothing.
 */
function openBlank(authError: MakeError, { open: custom, messages }: AuthOptions): Window | null {
	if (custom || navigator.userAgent.includes("Electron")) return null
	const page = open("about:blank")
	if (!page) throw authError("popup_blocked")
	try {
		page.document.body.textContent = messages?.opening || "One moment, please …"
	} catch {
		// In some sandboxes the window has to stay blank.
	}
	return page
}

/** Polls until the sign-in has ended, in spite of failures: the backend may restart, the laptop may sleep. */
async function poll(
	authError: MakeError, post: Post, readKey: string, end: number, signal: AbortSignal,
): Promise<Tokens> {
	for (;;) {
		const start = Date.now()
		const left = end - start
		if (left <= 0) throw authError("timeout")
		const seconds = Math.min(pollWait, Math.ceil(left / 1000))
		const timeout = Math.min(seconds * 1000 + requestTimeout, left)
		const request = post("/poll", { readKey, wait: `${seconds}`, ack: "1" }, timeout, signal)
		const [status, answer] = await request.catch(() => [])
		signal.throwIfAborted()
		if (status === 200 && answer) {
			const tokens = parseTokens(answer)
			if (tokens) return tokens
			throw refusal(authError, status, answer, "server_error")
		}
		if (answer?.error === "not_found") throw authError("expired_token")
		if (status === 400 && answer) throw refusal(authError, status, answer)
		await pause(Math.min(pollInterval, start + pollInterval - Date.now(), end - Date.now()), signal)
	}
}

/** Makes signIn, and the function that aborts the sign-in under way. */
export function createSignIn(
	authError: MakeError, options: AuthOptions, post: Post, save: Save, show: Show,
): [signIn: Auth["signIn"], abort: () => void] {
	let abortCurrent: (() => void) | undefined // undefined: no sign-in is under way

	async function signIn(
		{ signal: outer, onWaiting, timeout = 600_000, parameters = {} }: SignInOptions = {},
	) {
		const end = Date.now() + timeout
		const [signal, abort, unlink] = linkedSignal(outer)
		abortCurrent?.()
		abortCurrent = abort
		let page: Window | null = null
		let error: AuthError | null = null
		let waitingFor: string | undefined // the read key, as long as the backend keeps something for it
		try {
			signal.throwIfAborted()
			page = openBlank(authError, options)
			show({ url: null, error }, true)
			const [status, answer] = await post(
				"/authorize", parameters, Math.min(requestTimeout, timeout), signal,
			)
			const { url, readKey } = answer ?? {}
			if (
				status !== 200 || typeof readKey !== "string"
				|| typeof url !== "string" || !/^https?:/.test(url)
			) {
				throw refusal(authError, status, answer)
			}
			waitingFor = readKey
			if (page) {
				page.opener = null // or the provider's page could navigate the plugin
				page.location.href = url
				page = null // from here on it is the person's to close
			} else {
				(options.open ?? open)(url)
			}
			show({ url })
			onWaiting?.({ url })
			const polled = await poll(authError, post, readKey, end, signal)
			const tokens = await save(polled, () => !signal.aborted)
			waitingFor = undefined
			// Only now may the backend forget them. It does that by itself as well, in a minute.
			void post("/poll", { readKey, ack: "done" }).catch(() => {})
			return tokens
		} catch (cause) {
			if (signal.aborted) throw authError("aborted")
			error = cause instanceof AuthError ? cause : authError("unavailable", null, cause)
			if (error.code === "unavailable" && Date.now() >= end) error = authError("timeout")
			throw error
		} finally {
			unlink()
			if (waitingFor) void post("/cancel", { readKey: waitingFor }).catch(() => {})
			page?.close()
			if (abortCurrent === abort) {
				abortCurrent = undefined
				show({ url: null, error }, false)
			}
		}
	}

	return [signIn, () => abortCurrent?.()]
}
