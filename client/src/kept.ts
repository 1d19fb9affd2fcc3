import { parseObject, type Answer } from "./answer.js"
import type { Place } from "./storage.js"

/**
 * A sign-in that is under way, as the storage keeps it: so a page that is loaded anew goes on waiting, and
 * one window polls for all.
 */
export interface Kept {
	readKey: string
	/** The address of the provider's page. */
	url: string
	/** When the waiting ends if the backend does not say more, in milliseconds of Date.now(). */
	end: number
	/** What the plugin's option says: then it ends in any case. */
	timeout?: number | undefined
	/** The window that polls. The latest that has written itself here does. */
	by: number
}

/** Returns an object if a sign-in can be kept in it, and else null. */
export function toKept(object: Answer): Kept | null {
	return typeof object?.readKey === "string" && /^https?:/.test(object.url as string)
		? object as unknown as Kept : null
}

/** Keeps a sign-in, in place of another. Never rejects. */
type Keep = (kept: Kept) => Promise<void>

/**
 * Returns the sign-in that is kept, perhaps by another window. Undefined: the storage cannot be read. Never
 * rejects.
 */
type Find = () => Promise<Kept | null | undefined>

/** Drops a sign-in, if it is the one that is kept. Never rejects. */
type Drop = (readKey: string) => Promise<void>

/** Keeps the sign-in under way in the storage. */
export type Keeper = [keep: Keep, find: Find, drop: Drop]

/** Makes what keeps a sign-in in a place of the storage. */
export function createKeeper({ read, write }: Place): Keeper {
	async function find() {
		try {
			return toKept(parseObject(await read()))
		} catch {
			return undefined
		}
	}

	async function drop(readKey: string) {
		if ((await find())?.readKey === readKey) await write(null)
	}

	return [kept => write(JSON.stringify(kept)), find, drop]
}
