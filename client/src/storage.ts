import { parseObject } from "./answer.js"
import type { AuthError, AuthState, Tokens, TokenStorage } from "./client.js"
import type { MakeError } from "./errors.js"
import type { Show } from "./state.js"
import { revoke, type Post } from "./transport.js"

/** What the storage has, in JSON. */
export interface Stored {
	tokens: Tokens
	/** When the access token expires, in milliseconds of Date.now(). Zero: unknown. */
	expires: number
}

type Value = string | null | undefined

/** Returns what the storage had when last read. Null: nothing usable. Undefined: it has not answered yet. */
export type Seen = () => Stored | null | undefined

/** Reads the storage. Rejects with "unavailable" if that fails. */
export type Load = () => Promise<Stored | null | undefined>

/**
 * Stores tokens. If they are not wanted any more (a slow storage leaves people time to sign out), it revokes
 * them and rejects with "signed_out".
 */
export type Save = (tokens: Tokens, wanted: () => boolean) => Promise<Tokens>

/** Removes the tokens from the storage, and shows an error if there is one. Never rejects. */
export type Forget = (error: AuthError | null) => Promise<void>

/** Reads the storage for the first time, and watches for what other windows write. */
type Start = () => void

/** Makes a storage for one value in the memory of this window. */
function memoryStorage(value?: Value): TokenStorage {
	return {
		getItem: () => value,
		setItem: (_, now) => value = now,
		removeItem: () => value = null,
	}
}

/** Returns localStorage, or memory where the page has none that it may use: a sandboxed iframe has none. */
export function defaultStorage(): TokenStorage {
	try {
		if (localStorage) return localStorage
	} catch {
		// Reading the name alone throws there.
	}
	return memoryStorage()
}

export const expired = ({ expires }: Stored) => expires > 0 && expires <= Date.now()

/** Parses what is stored. Null: nothing usable, such as an expired access token without a refresh token. */
function parseStored(value: string): Stored | null {
	const stored = parseObject(value) as Stored | null
	return stored?.tokens?.access_token && (stored.tokens.refresh_token || !expired(stored)) ? stored : null
}

/** Makes what keeps the tokens: in the primary storage, or in memory if that cannot be written to. */
export function createStore(
	authError: MakeError, key: string, primary: TokenStorage, getState: () => AuthState, show: Show,
	post: Post,
): [load: Load, save: Save, forget: Forget, seen: Seen, start: Start] {
	let storage = primary
	let value: Value // as last seen

	const seen = () => value === undefined ? value : parseStored(value ?? "")

	/** Takes over the storage's present value, perhaps from another window, and shows what has changed. */
	function sync(now: Value) {
		const before = value
		value = now ?? null
		const stored = seen()
		// The same value may have expired since.
		if (value !== before || !stored !== !getState().tokens) show(stored ? { error: null } : {})
		return stored
	}

	async function load() {
		let now
		try {
			now = await storage.getItem(key)
		} catch (cause) {
			throw authError("unavailable", "The stored sign-in cannot be read.", cause)
		}
		return sync(now)
	}

	async function save(tokens: Tokens, wanted: () => boolean) {
		const seconds = Number(tokens.expires_in)
		const stored: Stored = { tokens, expires: seconds > 0 ? Date.now() + seconds * 1000 : 0 }
		const now = JSON.stringify(stored)
		if (wanted()) {
			try {
				await storage.setItem(key, now)
			} catch {
				// It is full or blocked. The old refresh token may be used up: the new one must not be lost.
				storage = memoryStorage(now)
			}
		}
		if (!wanted()) {
			await forget(null)
			await revoke(post, tokens)
			throw authError("signed_out")
		}
		sync(now)
		return tokens
	}

	async function forget(error: AuthError | null) {
		try {
			await primary.removeItem(key)
			await storage.removeItem(key) // the memory, if the primary could not be written
		} catch {
			storage = memoryStorage() // what could not be removed is not read again
		}
		value = null
		show({ error })
	}

	function start() {
		const first = storage.getItem(key)
		if (first && typeof first !== "string") {
			first.then(null, () => null).then(now => value === undefined && sync(now))
		} else {
			sync(first)
		}
		globalThis.addEventListener?.("storage", event => {
			if ((event.key ?? key) === key) load().catch(() => {}) // no key: the whole storage was cleared
		})
	}

	return [load, save, forget, seen, start]
}
