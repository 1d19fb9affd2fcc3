import type { Auth, AuthState } from "./client.js"
import type { Seen } from "./storage.js"

/**
 * Changes the state, takes the tokens that are stored now, and calls the listeners. waiting: whether a
 * sign-in is under way; by default as before.
 */
export type Show = (change: Partial<AuthState>, waiting?: boolean) => void

/** Makes the functions that hold the state and call the listeners. */
export function createState(seen: Seen): [getState: () => AuthState, show: Show, onChange: Auth["onChange"]] {
	const listeners = new Set<(state: AuthState) => void>()
	let state: AuthState = { status: "loading", tokens: null, url: null, error: null }

	function show(change: Partial<AuthState>, waiting = state.status === "waiting") {
		const stored = seen()
		state = {
			...state,
			...change,
			tokens: stored?.tokens ?? null,
			status: waiting ? "waiting"
				: stored ? "signedIn"
				: stored === undefined ? "loading" : "signedOut",
		}
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
