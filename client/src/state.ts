import type { Auth, AuthError, AuthState } from "./client.js"
import type { Seen } from "./storage.js"

/**
 * Changes the state, takes the tokens that are stored now, and calls the listeners. url is that of the
 * provider's page: blank if it is not known yet, null if no sign-in is under way, and by default as before.
 */
export type Show = (change?: { error: AuthError | null } | null, url?: string | null) => void

/** Makes the functions that hold the state and call the listeners. */
export function createState(seen: Seen): [getState: () => AuthState, show: Show, onChange: Auth["onChange"]] {
	const listeners = new Set<(state: AuthState) => void>()
	let state: AuthState = { status: "loading", tokens: null, url: null, error: null }
	let url: string | null = null

	function show(change?: { error: AuthError | null } | null, now = url) {
		const stored = seen()
		url = now
		state = {
			...state,
			...change,
			url: url || null,
			tokens: stored?.tokens ?? null,
			status: url ? "waiting"
				: url === "" || stored === undefined ? "loading"
				: stored ? "signedIn" : "signedOut",
		} as AuthState
		for (const listener of [...listeners]) {
			try {
				listener(state)
			} catch (error) {
				reportError(error) // a listener that throws must not end a sign-in
			}
		}
	}

	function onChange(listener: (state: AuthState) => void) {
		listeners.add(listener)
		return () => void listeners.delete(listener)
	}

	return [() => state, show, onChange]
}
