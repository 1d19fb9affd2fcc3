import { parseTokens } from "./answer.js"
import { createErrors } from "./errors.js"
import { createKeeper } from "./kept.js"
import { createTokenSource } from "./refresh.js"
import { createSignIn } from "./sign-in.js"
import { createState } from "./state.js"
import { createPlaces, createStore, expired } from "./storage.js"
import { orAborted } from "./timing.js"
import { createTransport, revoke } from "./transport.js"
import { createWait } from "./wait.js"

/**
 * The provider's answer (RFC 6749 section 5.1), with everything else that it sent. Tokens that it nests are
 * found, and stand here with what is beside them.
 */
export interface Tokens {
	/** What APIs are sent. Where the provider gives no access token, it is the ID token. */
	access_token: string
	/** The latest that the provider gave. Missing: it gives none. */
	refresh_token?: string
	/** How long the access token lives, in seconds. Missing: unknown, or forever. */
	expires_in?: number
	token_type?: string
	scope?: string
	/** Who the person is (OpenID Connect Core section 2), if the scope includes openid. */
	id_token?: string
	[name: string]: unknown
}

/** Where the tokens are stored: localStorage, or anything with the same three methods, even with promises. */
export interface TokenStorage {
	getItem(key: string): string | null | undefined | Promise<string | null | undefined>
	setItem(key: string, value: string): unknown
	removeItem(key: string): unknown
}

export interface AuthOptions {
	/** Where the plugin's backend answers, such as https://my-backend.fly.dev/google-sheets-plugin. */
	backend: string
	/** Sent with each request, for providers with an address for each customer: `{ shop: "my-store" }`. */
	parameters?: Record<string, string>
	/** Default: localStorage, or this window's memory where there is none. */
	storage?: TokenStorage
	/** The key of the tokens in the storage. Default: a name made from the backend's address. */
	storageKey?: string
	/**
	 * Hosts of APIs that do not let browsers call: auth.fetch calls them through the backend, whose setting
	 * API_HOSTS lists them, too: `["api.notion.com"]`. With sealed tokens (TOKENS) all calls go that way.
	 */
	relay?: string[]
	/** The origins that auth.fetch sends the token to. Default: all with https, and localhost. */
	origins?: string[]
	/**
	 * Opens the provider's page outside the plugin. Default: window.open. It is called when the backend has
	 * answered, so in a web page browsers may block what it opens.
	 */
	open?: (url: string) => unknown
	/** What people read, in their language: `{ access_denied: "Abgebrochen." }`. Default: English. */
	messages?: Messages
}

/**
 * Messages by the code of the {@link AuthError}. "other" is for the codes that are not listed at
 * {@link AuthErrorCode} and have none here. "opening" is what the window says until the provider's page has
 * loaded.
 */
export type Messages = { readonly [code in AuthErrorCode | "other" | "opening"]?: string }

export interface SignInOptions {
	/** Stops the waiting: signIn rejects with the code "aborted". */
	signal?: AbortSignal | undefined
	/** Called when the provider's page has an address. Show it as a link: it may be blocked or closed. */
	onWaiting?: (waiting: { url: string }) => void
	/** How long to wait, in milliseconds. Default: until the backend says that the sign-in is over. */
	timeout?: number
	/**
	 * Sent to the provider's page, if the backend's setting LOGIN_PARAMS names them:
	 * `{ prompt: "select_account" }` for somebody who wants to change accounts. Others are ignored.
	 */
	parameters?: Record<string, string>
}

/** What there is to show. Each change makes a new object. */
export type AuthState = {
	/** Why the last sign-in failed, or why the person must sign in again. Aborting one is not an error. */
	readonly error: AuthError | null
} & (
	/** Until a storage that returns promises has answered, and until the provider's page has an address. */
	| { readonly status: "loading", readonly tokens: Tokens | null, readonly url: null }
	| { readonly status: "signedOut", readonly tokens: null, readonly url: null }
	/** url is the provider's page, to open it again. Somebody who was signed in before still has tokens. */
	| { readonly status: "waiting", readonly tokens: Tokens | null, readonly url: string }
	| { readonly status: "signedIn", readonly tokens: Tokens, readonly url: null }
)

/** What {@link createAuth} returns. Its methods need no `this`. */
export interface Auth {
	readonly state: AuthState
	/** Calls the listener after each change of the state, until the returned function is called. */
	readonly onChange: (listener: (state: AuthState) => void) => () => void
	/**
	 * Opens the provider's page and waits until the person has signed in there. Call it in a click, or the
	 * browser blocks the page. At the end the page stays open, and says that it can be closed. A second call
	 * aborts the first. Rejects with an {@link AuthError}.
	 */
	readonly signIn: (options?: SignInOptions) => Promise<Tokens>
	/**
	 * The browser's fetch with the access token, which is refreshed shortly before it expires, and once if
	 * the answer is 401, or if none can be read and nobody knows when the token expires. Then the call is
	 * made again, whatever its method. Rejects with an {@link AuthError} if there is no usable token, or if
	 * it may not be sent there, and otherwise as fetch does.
	 */
	readonly fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>
	/**
	 * Returns an access token that has not expired, refreshed if need be, for what does not go through fetch.
	 * Rejects with an {@link AuthError}.
	 */
	readonly accessToken: () => Promise<string>
	/**
	 * Forgets the tokens, and has the provider revoke them where it can. Ends a sign-in under way as well.
	 * Never rejects.
	 */
	readonly signOut: () => Promise<void>
}

/**
 * - access_denied: the person said no, or closed the window before it had the provider's address.
 * - expired_token: the sign-in took too long for the backend.
 * - timeout, aborted: as the options of signIn say.
 * - popup_blocked: the browser or a sandbox blocked the window.
 * - unavailable: there was no answer that a page of this origin may read, or the fault may pass, such as a
 *   storage that cannot be read. The tokens are kept.
 * - signed_out: there are no tokens, or they are not accepted any more. The person must sign in.
 * - wrong_address: auth.fetch does not send the token there.
 * - anything else is the backend's or the provider's own code, such as invalid_scope.
 */
export type AuthErrorCode =
	| "access_denied" | "expired_token" | "timeout" | "aborted" | "popup_blocked" | "unavailable"
	| "signed_out" | "wrong_address" | (string & {})

/**
 * Why something failed, with a message that can be shown to people. `cause` is the error underneath, if any.
 */
export class AuthError extends Error {
	override name = "AuthError"
	constructor(readonly code: AuthErrorCode, message: string, options?: { cause?: unknown }) {
		super(message, options)
	}
}

/**
 * Signs people in to a design-tool plugin with OAuth, through plugin-oauth or framer/plugin-oauth. Create one
 * for each backend.
 *
 *     const auth = createAuth({ backend: "https://my-backend.fly.dev/google-sheets-plugin" })
 *     await auth.signIn() // in a click
 *     const response = await auth.fetch("https://sheets.googleapis.com/v4/spreadsheets/…")
 *     await auth.signOut()
 */
export function createAuth(options: AuthOptions): Auth {
	const { origin, pathname } = new URL(options.backend)
	const backend = origin + pathname.replace(/\/+$/, "")
	const query = `${new URLSearchParams(options.parameters)}`
	const key = options.storageKey ?? `plugin-oauth ${backend}${query && "?" + query}`
	const authError = createErrors(options.messages)
	const post = createTransport(backend, options.parameters)
	const [getState, show, onChange] = createState(() => seen())
	const place = createPlaces(options.storage)
	const kept = place(key + " sign-in")
	const [load, save, forget, seen, start] = createStore(authError, place(key), getState, show, post)
	const keeper = createKeeper(kept)
	const wait = createWait(authError, post, load, save, keeper)
	const [signIn, cancel, resume] = createSignIn(authError, options, post, show, keeper, wait)
	const [current, refresh, discard] = createTokenSource(authError, key, post, load, save, forget)
	let futile: string | undefined // the access token of a refresh after which a call failed as before
	start(kept, resume)

	async function throughBackend(request: Request, path: string) {
		const { method, headers, signal, redirect, cache } = request
		const body = await request.blob() // not every browser can send a stream
		return fetch(`${backend}/fetch/${path}`, {
			method, headers, signal, redirect, cache, body: body.size ? body : null,
		})
	}

	async function fetchWithToken(input: RequestInfo | URL, init?: RequestInit) {
		const request = new Request(input, init)
		const { origin, host, pathname, search } = new URL(request.url)
		if (!(options.origins?.includes(origin) ?? /^https:|^http:\/\/localhost(:|$)/.test(origin))) {
			throw authError("wrong_address")
		}
		const send = async ({ access_token }: Tokens) => {
			const copy = request.clone()
			copy.headers.set("Authorization", "Bearer " + access_token)
			const response = await (access_token.startsWith("sealed.") || options.relay?.includes(host)
				? throughBackend(copy, host + pathname + search) : fetch(copy))
			futile = undefined
			return response
		}
		const { signal } = request
		const tokens = await orAborted(current(), signal)
		const { access_token: stale, refresh_token } = tokens
		const response = await send(tokens).catch(error => {
			// It may be a 401 that the page may not read. A refresh that was futile has shown that it is not.
			if (signal.aborted || !refresh_token || seen()?.expires || futile === stale) throw error
		})
		if (response && (response.status !== 401 || !refresh_token)) return response
		await response?.body?.cancel()
		const fresh = await orAborted(refresh(stale), signal)
		if (!response) futile = fresh.access_token
		return send(fresh)
	}

	async function signOut() {
		discard()
		await cancel()
		const stored = await load().catch(seen)
		await forget(null)
		if (!stored) return
		const { tokens } = stored
		// A grant cannot be revoked by an access token that has expired.
		const fresh = expired(stored) ? (await post("/refresh", { code: tokens.refresh_token! }))[1] : null
		await revoke(post, { ...tokens, ...parseTokens(fresh) })
	}

	return {
		get state() {
			return getState()
		},
		onChange,
		signIn,
		signOut,
		fetch: fetchWithToken,
		accessToken: async () => (await current()).access_token,
	}
}
