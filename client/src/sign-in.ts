import { parseObject, refusal } from "./answer.js"
import { AuthError, type Auth, type AuthOptions, type SignInOptions } from "./client.js"
import type { MakeError } from "./errors.js"
import { toKept, type Keeper, type Kept } from "./kept.js"
import type { Show } from "./state.js"
import type { Resume, Value } from "./storage.js"
import { linkedSignal, pause, requestTimeout } from "./timing.js"
import type { Post } from "./transport.js"
import type { Wait } from "./wait.js"

/** Ends the sign-in under way, also one that another window waits for. Never rejects. */
type Cancel = () => Promise<void>

/**
 * Opens the window for the provider's page before its address is known, as browsers allow it only in the
 * click itself. Null: it may have been blocked, or else the page around the plugin keeps it apart from the
 * windows that it opens (Cross-Origin-Opener-Policy).
 */
function openBlank(authError: MakeError, opening: string | undefined): Window | null {
	const inClick = navigator.userActivation?.isActive
	const page = open("about:blank")
	if (!page && inClick === false) throw authError("popup_blocked")
	try {
		page!.document.body.textContent = opening || "One moment, please …"
	} catch {
		// In some sandboxes the window has to stay blank.
	}
	return page
}

/** Shows the provider's page in the window that was opened for it. */
function navigate(authError: MakeError, page: Window, url: string) {
	if (page.closed) throw authError("access_denied")
	// In this order: WebKit lets nobody navigate a window without an opener. The page has not begun to load.
	page.location.href = url
	page.opener = null // or the provider's page could navigate the plugin
}

/** Makes signIn, and the functions that end and resume a sign-in. */
export function createSignIn(
	authError: MakeError, options: AuthOptions, post: Post, show: Show, [keep, find, drop]: Keeper,
	wait: Wait,
): [signIn: Auth["signIn"], cancel: Cancel, resume: Resume] {
	let leaving: Promise<void> | undefined // a slow storage may still be dropping the sign-in before
	const by = Math.random() // this window
	// In a desktop app window.open starts the system browser, and returns nothing.
	const inPage = () => !options.open && !navigator.userAgent.includes("Electron")
	let abortCurrent: (() => void) | undefined // undefined: no sign-in is under way

	/** Tells the backend that nobody waits for a sign-in any more. */
	function leave({ readKey }: Kept) {
		void post("/cancel", { readKey })
		return leaving = drop(readKey)
	}

	/** Has the backend begin a sign-in. */
	async function authorize(
		parameters: SignInOptions["parameters"], timeout: number | undefined, signal: AbortSignal,
	) {
		const [status, answer] = await post("/authorize", parameters, requestTimeout, signal)
		const lasts = Number(answer?.expires_in) || 600 // framer/plugin-oauth does not say it
		const kept = toKept({ ...answer, timeout, end: Date.now() + (timeout ?? lasts * 1000), by })
		if (!kept) throw refusal(authError, status, answer)
		return kept
	}

	/** Runs a sign-in from its beginning, or goes on with one that was found in the storage. */
	async function run(
		{ signal: outer, onWaiting, timeout, parameters }: SignInOptions = {}, found?: Kept,
	) {
		const [signal, abort] = linkedSignal(outer)
		abortCurrent?.()
		abortCurrent = abort
		let page: Window | null = null
		let error: AuthError | null = null
		const timer = timeout !== undefined && setTimeout(() => {
			error = authError("timeout")
			abort()
		}, timeout)
		let kept = found && { ...found, by } // as long as the backend keeps something for it
		try {
			signal.throwIfAborted()
			if (kept) {
				show(null, kept.url)
				await keep(kept)
				await pause(100, signal) // until what another window wrote at the same time can be read
			} else {
				if (inPage()) page = openBlank(authError, options.messages?.opening)
				show({ error }, "")
				kept = await authorize(parameters, timeout, signal)
				await leaving
				await keep(kept)
				signal.throwIfAborted()
				const { url } = kept
				if (page) navigate(authError, page, url)
				else if (!inPage()) (options.open ?? open)(url)
				page = null // from here on it is the person's to close
				show(null, url)
				onWaiting?.({ url })
			}
			const tokens = await wait(kept, signal)
			kept = undefined
			return tokens
		} catch (cause) {
			error ??= signal.aborted ? authError("aborted")
				: cause instanceof AuthError ? cause
				: authError("popup_blocked", null, cause) // as sandboxes refuse
			throw error
		} finally {
			clearTimeout(timer as number)
			abort()
			page?.close()
			if (kept) await leave(kept)
			if (abortCurrent === abort) {
				abortCurrent = undefined
				show({ error: (error as AuthError | null)?.code === "aborted" ? null : error }, null)
			}
		}
	}

	async function cancel() {
		if (abortCurrent) return abortCurrent()
		const kept = await find()
		if (kept) await leave(kept)
	}

	function resume(value: Value) {
		const found = toKept(parseObject(value))
		if (!found) return
		const { timeout } = found
		const left = found.end - Date.now()
		// The backend is asked in any case: the person may have signed in in time.
		run({ timeout: timeout && Math.max(left, requestTimeout) }, found)
			// That one has failed which was over before is no news.
			.catch(() => left < 0 && show({ error: null }))
	}

	return [run, cancel, resume]
}
