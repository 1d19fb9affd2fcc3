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

/** What a storage answers. */
export type Value = string | null | undefined

/** Returns what the storage had when last read. Null: nothing usable. Undefined: it has not answered yet. */
export type Seen = () => Stored | null | undefined

/** Reads the storage. Rejects with "unavailable" if that fails. */
export type Load = () => Promise<Stored | null | undefined>

/**
 * Stores tokens. If they are not wanted any more (a slow storage leaves people time to cancel), it revokes
 * them, puts back those that were there before, and rejects with "signed_out".
 */
export type Save = (tokens: Tokens, wanted: () => boolean) => Promise<Tokens>

/** Removes the tokens from the storage, and shows an error if there is one. Never rejects. */
export type Forget = (error: AuthError | null) => Promise<void>

/** Resumes the sign-in that the storage keeps, if there is one. */
export type Resume = (kept: Value) => void

/** Reads the storage for the first time, resumes a sign-in, and watches for what other windows write. */
type Start = (kept: Place, resume: Resume) => void

/**
 * Returns localStorage. Undefined: there is none that can be used. A sandboxed iframe has none, in a damaged
 * profile it cannot be read, and on a server it may have no methods.
 */
function defaultStorage(): TokenStorage | undefined {
	try {
		localStorage.getItem("")
		return localStorage
	} catch {
		return undefined
	}
}

/** The place of one value in a storage. What cannot be written is kept in the memory of this window. */
export interface Place {
	/** Returns the value, as the storage does. May throw. */
	read(): Value | Promise<Value>
	/** Writes a value, or removes it if it is null. Never rejects. */
	write(value: string | null): Promise<void>
}

/** Makes the function that makes places in a storage, by their names. */
export function createPlaces(storage = defaultStorage()) {
	return (name: string): Place => {
		let memory: Value // undefined: the storage has it
		return {
			read: () => storage && memory === undefined ? storage.getItem(name) : memory,
			async write(value) {
				try {
					await (value ? storage!.setItem(name, value) : storage!.removeItem(name))
					memory = undefined
				} catch {
					memory = value
				}
			},
		}
	}
}

export const expired = ({ expires }: Stored) => expires > 0 && expires <= Date.now()

/** Parses what is stored. Null: nothing usable, such as an expired access token without a refresh token. */
function parseStored(value: Value): Stored | null {
	const stored = parseObject(value) as Stored | null
	return stored?.tokens?.access_token && (stored.tokens.refresh_token || !expired(stored)) ? stored : null
}

/** Makes what keeps the tokens in a place of the storage. */
export function createStore(
	authError: MakeError, { read, write }: Place, getState: () => AuthState, show: Show, post: Post,
): [load: Load, save: Save, forget: Forget, seen: Seen, start: Start] {
	let value: Value // as last seen

	const seen = () => value === undefined ? value : parseStored(value)

	/** Takes over the storage's present value, perhaps from another window, and shows what has changed. */
	function sync(now: Value) {
		const before = value
		value = now ?? null
		const stored = seen()
		// The same value may have expired since.
		if (value !== before || !stored !== !getState().tokens) show(stored && { error: null })
		return stored
	}

	async function load() {
		let now
		try {
			now = await read()
		} catch (cause) {
			throw authError("unavailable", "The stored sign-in cannot be read.", cause)
		}
		return sync(now)
	}

	async function save(tokens: Tokens, wanted: () => boolean) {
		const seconds = Number(tokens.expires_in)
		const stored: Stored = { tokens, expires: seconds > 0 ? Date.now() + seconds * 1000 : 0 }
		const now = JSON.stringify(stored)
		const before = value
		if (wanted()) await write(now)
		if (!wanted()) {
			value &&= before // unless the person has signed out
			await write(value ?? null)
			await revoke(post, tokens)
			throw authError("signed_out")
		}
		sync(now)
		return tokens
	}

	async function forget(error: AuthError | null) {
		value = null // or a save that ends meanwhile could put it back
		await write(null)
		value = null // again: it may have been read meanwhile
		show({ error })
	}

	function start(kept: Place, resume: Resume) {
		const begin = ([now, signIn]: Value[]) => {
			if (value === undefined) value = now ?? null // or something has been stored since
			resume(signIn)
			show()
		}
		// What cannot be read is as good as nothing.
		try {
			const answers = [read(), kept.read()]
			if (answers.some(answer => Object(answer) === answer)) {
				void Promise.all(answers).catch(() => []).then(begin)
			} else begin(answers as Value[])
		} catch {
			begin([])
		}
		globalThis.addEventListener?.("storage", () => load().catch(() => {}))
	}

	return [load, save, forget, seen, start]
}
