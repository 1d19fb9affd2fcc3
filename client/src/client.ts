/** What the provider answered (RFC 6749 section 5.1), with all else that it sent. */
export interface Tokens {
	access_token: string
	/** The newest that the provider gave. Missing: it gives none. */
	refresh_token?: string
	/** The life of the access token, in seconds. Missing: unknown, or without end. */
	expires_in?: number
	token_type?: string
	scope?: string
	/** Who the person is (OpenID Connect Core section 2), if the scope has openid. */
	id_token?: string
	[name: string]: unknown
}

/** Where the tokens are kept: localStorage, or what has the same three methods, at once or with a promise. */
export interface TokenStorage {
	getItem(key: string): string | null | undefined | Promise<string | null | undefined>
	setItem(key: string, value: string): unknown
	removeItem(key: string): unknown
}

export interface AuthOptions {
	/** Where the plugin's backend answers, such as https://my-backend.fly.dev/google-sheets-plugin. */
	backend: string
	/** Sent with each request, for a provider with an address for each customer: `{ shop: "my-store" }`. */
	parameters?: Record<string, string>
	/** Default: localStorage, or the memory of this window where there is none. */
	storage?: TokenStorage
	/** What the tokens are called in the storage. Default: a name made of the backend. */
	storageKey?: string
	/** Opens the provider's page outside of the plugin. Default: window.open. */
	open?: (url: string) => unknown
}

export interface SignInOptions {
	/** Ends the waiting: signIn rejects with the code "aborted". */
	signal?: AbortSignal | undefined
	/** Is called when the provider's page has been opened. If the person has closed it, the address can be opened again. */
	onWaiting?: (waiting: { url: string }) => void
	/** How long to wait, in milliseconds. Default: 600,000, as long as the backend keeps a sign-in. */
	timeout?: number
}

/** What there is to show. Each change makes a new object. */
export interface AuthState {
	/** "loading" lasts until a storage that answers with a promise has answered. */
	readonly status: "loading" | "signedOut" | "waiting" | "signedIn"
	readonly tokens: Tokens | null
	/** While waiting: the provider's page, to be opened again. */
	readonly url: string | null
	/** Why the last sign-in gave no tokens, or why the person must sign in again. One that was aborted is no error. */
	readonly error: AuthError | null
}

/** What {@link createAuth} returns. Its methods need no `this`. */
export interface Auth {
	readonly state: AuthState
	/** Calls the listener after each change of the state. Returns a function that ends that. */
	readonly onChange: (listener: (state: AuthState) => void) => () => void
	/**
	 * Opens the provider's page and waits until the person has signed in there. Call it in a click, or the browser blocks the
	 * page. The page stays open at the end, and says that it can be closed. A second call ends the first. Rejects with an
	 * {@link AuthError}.
	 */
	readonly signIn: (options?: SignInOptions) => Promise<Tokens>
	/**
	 * The browser's fetch with the access token, which is refreshed shortly before it ends, and once if the answer is 401.
	 * Rejects with an {@link AuthError} if there is no usable token, else as fetch does.
	 */
	readonly fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>
	/** An access token that has not ended, refreshed if need be, for what does not go through fetch. Rejects with an {@link AuthError}. */
	readonly accessToken: () => Promise<string>
	/** Forgets the tokens, and has the provider end them where it can. Never rejects. */
	readonly signOut: () => Promise<void>
}

/**
 * - access_denied: the person said no.
 * - expired_token: the backend has ended the sign-in; it took too long.
 * - timeout, aborted: as the options of signIn say.
 * - popup_blocked: the browser let no window open.
 * - unavailable: there was no answer that a page of this origin may read, or it was a fault that may pass, such as a storage that
 *   cannot be read. Tokens are kept.
 * - signed_out: there are no tokens, or they are not accepted any more. The person must sign in.
 * - else the backend's or the provider's own code, such as invalid_scope.
 */
export type AuthErrorCode =
	| "access_denied" | "expired_token" | "timeout" | "aborted" | "popup_blocked" | "unavailable" | "signed_out"
	| (string & {})

/** Why something did not work, in a message that can be shown to people. `cause` has the fault below it, if there was one. */
export class AuthError extends Error {
	override name = "AuthError"
	constructor(readonly code: AuthErrorCode, message: string, options?: { cause?: unknown }) {
		super(message, options)
	}
}

/** As it stands in the storage, in JSON. */
interface Kept {
	tokens: Tokens
	/** When the access token ends, in milliseconds of Date.now(); 0: unknown. */
	expires: number
}

/** A JSON object that was answered; null: the answer was none. */
type Answer = Record<string, unknown> | null

/** How long the backend may hold a poll, in seconds (it does so for 30 at most). */
const wait = 25
/** How long any other request may take; a poll may take longer than it is held. In milliseconds. */
const patience = 15_000
/** How far the starts of two polls are apart where none is held, in milliseconds. */
const interval = 1_500

const tooLong = "The sign-in took too long. Please start again."
const cancelled = "The sign-in was cancelled."
const messages: Record<string, string> = {
	access_denied: cancelled,
	aborted: cancelled,
	expired_token: tooLong,
	timeout: tooLong,
	popup_blocked: "The browser blocked the sign-in window. Please allow pop-ups, and try again.",
	unavailable: "The sign-in service cannot be reached. Please try again in a moment.",
	signed_out: "You are signed out. Please sign in again.",
}

function failure(code: string, message?: unknown, cause?: unknown): AuthError {
	return new AuthError(code, (typeof message === "string" && message) || messages[code] || "The sign-in failed. Please try again.", { cause })
}

function object(json: string): Answer {
	try {
		const value = JSON.parse(json)
		return value?.constructor === Object ? value : null
	} catch {
		return null
	}
}

/** The tokens of an answer. Slack nests those of a person. Rejects an error under 200, which framer/plugin-oauth passes on. */
function tokensOf(answer: Answer): Tokens {
	const tokens = { ...answer, ...(answer?.access_token ? null : answer?.authed_user as object) } as Tokens
	if (typeof tokens.access_token !== "string" || !tokens.access_token) {
		throw failure(typeof tokens.error === "string" ? tokens.error : "server_error", tokens.error_description)
	}
	return tokens
}

/** Runs a task whose signal is aborted after some milliseconds, or with the outer signal. Nothing of it is left behind. */
async function within<T>(milliseconds: number, outer: AbortSignal | undefined, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
	const inner = new AbortController()
	const stop = () => inner.abort()
	const timer = setTimeout(stop, milliseconds)
	outer?.addEventListener("abort", stop)
	if (outer?.aborted) stop()
	try {
		return await task(inner.signal)
	} finally {
		clearTimeout(timer)
		outer?.removeEventListener("abort", stop)
	}
}

const pause = (milliseconds: number, outer?: AbortSignal) => within(milliseconds, outer, signal =>
	new Promise<void>(resolve => signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve())))

/** The memory of this window, where there is no localStorage, or none that can be written: a sandboxed iframe has none. */
function memory(): TokenStorage {
	const values = new Map<string, string>()
	return { getItem: key => values.get(key) ?? null, setItem: (key, value) => values.set(key, value), removeItem: key => values.delete(key) }
}

function defaultStorage(): TokenStorage {
	try {
		return localStorage ?? memory()
	} catch {
		return memory()
	}
}

const ended = ({ expires }: Kept) => expires > 0 && expires <= Date.now()

/** What is kept in a value of the storage. One that is worth nothing is none: it has ended, and nothing brings the next. */
function keptIn(value: string | null | undefined): Kept | null {
	const kept = object(value ?? "") as Kept | null
	return kept?.tokens?.access_token && (kept.tokens.refresh_token || !ended(kept)) ? kept : null
}

/**
 * Signs people in to a design-tool plugin with OAuth, through plugin-oauth or framer/plugin-oauth. Create one for each backend.
 *
 *     const auth = createAuth({ backend: "https://my-backend.fly.dev/google-sheets-plugin" })
 *     await auth.signIn() // in a click
 *     const response = await auth.fetch("https://sheets.googleapis.com/v4/spreadsheets/…")
 *     await auth.signOut()
 */
export function createAuth(options: AuthOptions): Auth {
	const { origin, pathname } = new URL(options.backend)
	const backend = origin + pathname.replace(/\/+$/, "")
	const customer = new URLSearchParams(options.parameters).toString()
	const key = options.storageKey ?? `plugin-oauth ${backend}${customer && "?" + customer}`
	const listeners = new Set<(state: AuthState) => void>()
	const given = options.storage ?? defaultStorage()
	let storage = given
	let value: string | null | undefined // as last seen in the storage; undefined: it has not answered yet
	let attempt: AbortController | null = null // the sign-in under way
	let refreshing: Promise<Tokens> | null = null
	let signOuts = 0
	let inQuery = false // framer/plugin-oauth reads parameters there only
	let state: AuthState = { status: "loading", tokens: null, url: null, error: null }

	/** Shows what has changed. */
	function show(change: Partial<AuthState> = {}) {
		const tokens = keptIn(value)?.tokens ?? null
		const status = attempt ? "waiting" : tokens ? "signedIn" : value === undefined ? "loading" : "signedOut"
		state = { ...state, ...change, tokens, status }
		for (const listener of [...listeners]) {
			try {
				listener(state)
			} catch (error) {
				reportError(error) // it is the listener's, and must not end a sign-in
			}
		}
	}

	/** Takes what the storage has now, which another window may have changed. */
	function seen(now: string | null | undefined): Kept | null {
		now ??= null
		const kept = keptIn(now)
		const changed = now !== value || !kept !== !state.tokens // or the token has ended since
		value = now
		if (changed) show(kept ? { error: null } : {})
		return kept
	}

	async function load(): Promise<Kept | null> {
		let now
		try {
			now = await storage.getItem(key)
		} catch (cause) {
			throw failure("unavailable", "The stored sign-in cannot be read.", cause)
		}
		return seen(now)
	}

	/** Keeps tokens, unless the person has signed out meanwhile, which a slow storage may leave time for. */
	async function save(tokens: Tokens, wanted: () => boolean): Promise<Tokens> {
		const seconds = Number(tokens.expires_in)
		const now = JSON.stringify({ tokens, expires: seconds > 0 ? Date.now() + seconds * 1000 : 0 } satisfies Kept)
		if (wanted()) {
			try {
				await storage.setItem(key, now)
			} catch {
				// It is full, or shut. The old refresh token may be used up, so this one must not be lost.
				storage = memory()
				await storage.setItem(key, now)
			}
		}
		if (!wanted()) {
			await forget(null)
			await revoke(tokens)
			throw failure("signed_out")
		}
		seen(now)
		return tokens
	}

	async function forget(error: AuthError | null) {
		try {
			await given.removeItem(key)
			await storage.removeItem(key) // the memory, if the other could not be written
		} catch {
			storage = memory() // what is still there is not seen any more
		}
		value = null
		show({ error })
	}

	/** Posts to the backend and reads its answer. Rejects with "unavailable" if there is none in time. */
	async function post(route: string, parameters: Record<string, string>, limit = patience, outer?: AbortSignal, keepalive = false) {
		const body = new URLSearchParams({ ...options.parameters, ...parameters })
		try {
			return await within(limit, outer, async signal => {
				for (;;) {
					const sent = inQuery
					const response = await fetch(backend + route + (sent ? "?" + body : ""), {
						method: "POST", headers: { Accept: "application/json" }, body: sent ? null : body, signal, keepalive,
					})
					const text = await response.text()
					if (/^\s*</.test(text)) throw new Error("a page of something between here and the backend")
					const answer = object(text)
					if (sent || !(response.status === 400 && /^missing/i.test(text))) return { status: response.status, answer }
					inQuery = true
				}
			})
		} catch (cause) {
			throw failure("unavailable", null, cause)
		}
	}

	/** What an answer without tokens says. */
	const refusal = (status: number, answer: Answer) => failure(
		status < 500 && status !== 429 && typeof answer?.error === "string" ? answer.error : "unavailable", answer?.error_description)

	async function signIn({ signal, onWaiting, timeout = 600_000 }: SignInOptions = {}): Promise<Tokens> {
		const end = Date.now() + timeout
		const stop = new AbortController()
		const abort = () => stop.abort()
		attempt?.abort()
		attempt = stop
		signal?.addEventListener("abort", abort)
		let page: Window | null = null
		let error: AuthError | null = null
		try {
			if (signal?.aborted) throw failure("aborted")
			// In a desktop app, window.open starts the system browser and returns nothing. In a browser it is allowed in the click
			// only, so the window is there before its address is.
			if (!options.open && !navigator.userAgent.includes("Electron")) {
				if (!(page = open("about:blank"))) throw failure("popup_blocked")
				try {
					page.document.body.textContent = "One moment, please …"
				} catch {
					// In some sandboxes the window is blank.
				}
			}
			show({ url: null, error })
			const { status, answer } = await post("/authorize", {}, Math.min(patience, timeout), stop.signal)
			const { url, readKey } = answer ?? {}
			if (status !== 200 || typeof url !== "string" || !/^https?:/.test(url) || typeof readKey !== "string") throw refusal(status, answer)
			if (page) {
				page.opener = null // or the provider's page could send the plugin elsewhere
				page.location.href = url
				page = null // and it is not ours to close any more
			} else {
				(options.open ?? open)(url)
			}
			show({ url })
			onWaiting?.({ url })
			return await save(await poll(readKey, end, stop.signal), () => !stop.signal.aborted)
		} catch (cause) {
			error = cause instanceof AuthError ? cause : failure("unavailable", null, cause)
			if (stop.signal.aborted) error = failure("aborted")
			else if (error.code === "unavailable" && Date.now() >= end) error = failure("timeout")
			throw error
		} finally {
			signal?.removeEventListener("abort", abort)
			page?.close()
			if (attempt === stop) {
				attempt = null
				show({ url: null, error: error?.code === "aborted" ? null : error })
			}
		}
	}

	/** Polls until the sign-in has ended. Faults pass: the backend may restart, and the laptop may sleep. */
	async function poll(readKey: string, end: number, signal: AbortSignal): Promise<Tokens> {
		for (;;) {
			const began = Date.now()
			const left = end - began
			if (left <= 0) throw failure("timeout")
			const seconds = Math.min(wait, Math.ceil(left / 1000))
			const { status, answer } = await post("/poll", { readKey, wait: `${seconds}` }, Math.min(seconds * 1000 + patience, left), signal)
				.catch(() => ({ status: 0, answer: null }))
			if (signal.aborted) throw failure("aborted")
			if (status === 200 && answer) return tokensOf(answer)
			if (answer?.error === "not_found") throw failure("expired_token")
			if (status === 400 && answer) throw refusal(status, answer)
			await pause(Math.min(interval, began + interval - Date.now(), end - Date.now()), signal)
		}
	}

	/** Runs a task in one window at a time, where there are Web Locks that may be used. */
	async function locked<T>(task: () => Promise<T>): Promise<T> {
		let begun = false
		try {
			return await within(3 * patience, undefined, signal => navigator.locks.request(key, { signal }, () => {
				begun = true
				return task()
			}))
		} catch (error) {
			if (begun) throw error
			return task()
		}
	}

	/** Replaces an access token, unless another window has done so. All who ask meanwhile get the same. */
	function refresh(stale: string): Promise<Tokens> {
		const before = signOuts
		return refreshing ??= locked(async () => {
			await pause(100) // what another window has written just before it gave the lock back is here a moment later
			const old = (await load())?.tokens
			if (old && old.access_token !== stale) return old
			if (!old?.refresh_token) throw failure("signed_out")
			const { status, answer } = await post("/refresh", { code: old.refresh_token })
			// Only these are about the person's grant. All else passes: trouble, and the set-up of the backend (invalid_client).
			// framer/plugin-oauth answers with the provider's status and a text.
			const refused = answer ? status < 429 && /grant$|token|code$|expired|revoked/.test(`${answer.error ?? ""}`) : inQuery && (status === 400 || status === 401)
			if (refused) await pause(1_000) // where there are no locks, another window may just have used the refresh token up
			const now = (await load().catch(() => ({ tokens: old })))?.tokens // what the provider gave must not be lost
			if (now && now.access_token !== stale) return now
			if (refused) {
				const error = failure("signed_out")
				await forget(error)
				throw error
			}
			if (status !== 200 || !answer || answer.error) throw failure("unavailable", answer?.error_description)
			const fresh = tokensOf(answer)
			// A provider that keeps the refresh token sends none (RFC 6749 section 6).
			return save({ ...old, ...fresh, refresh_token: fresh.refresh_token || old.refresh_token }, () => !!now && before === signOuts)
		}).finally(() => refreshing = null)
	}

	/** Tokens whose access token has not ended. */
	async function current(): Promise<Tokens> {
		const kept = await load()
		if (!kept) throw failure("signed_out")
		const { tokens, expires } = kept
		const early = Math.min(60_000, Number(tokens.expires_in) * 100) // a minute, or a tenth of its life
		if (!expires || !tokens.refresh_token || expires - early > Date.now()) return tokens
		return refresh(tokens.access_token).catch(error => {
			if (error.code !== "signed_out" && !ended(kept)) return tokens
			throw error
		})
	}

	async function fetchWithToken(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
		const request = new Request(input, init)
		const send = ({ access_token }: Tokens) => {
			const copy = request.clone()
			copy.headers.set("Authorization", "Bearer " + access_token)
			return fetch(copy)
		}
		const tokens = await current()
		const response = await send(tokens)
		if (response.status !== 401 || !tokens.refresh_token) return response
		await response.body?.cancel()
		return send(await refresh(tokens.access_token))
	}

	/** Has the provider end tokens. Some want the refresh token for it, some the access token. */
	async function revoke({ access_token, refresh_token }: Tokens) {
		const end = (token?: string) => token && post("/revoke", { token }, patience, undefined, true)
		await Promise.allSettled([end(refresh_token), end(access_token)])
	}

	async function signOut() {
		signOuts++
		attempt?.abort()
		const kept = await load().catch(() => keptIn(value))
		await forget(null)
		if (!kept) return
		const { tokens } = kept
		// An access token that has ended cannot stand for the grant any more.
		const fresh = ended(kept) ? await post("/refresh", { code: tokens.refresh_token! }).catch(() => null) : null
		await revoke({ ...tokens, ...fresh?.answer })
	}

	function onChange(listener: (state: AuthState) => void) {
		listeners.add(listener)
		return () => void listeners.delete(listener)
	}

	const first = storage.getItem(key)
	if (first && typeof first !== "string") {
		first.then(now => now, () => null).then(now => value === undefined && seen(now))
	} else {
		seen(first)
	}
	globalThis.addEventListener?.("storage", event => {
		if (event.key === key || event.key === null) load().catch(() => {})
	})

	return {
		get state() {
			return state
		},
		onChange, signIn, signOut,
		fetch: fetchWithToken,
		accessToken: async () => (await current()).access_token,
	}
}
