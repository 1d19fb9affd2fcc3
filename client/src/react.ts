import { useSyncExternalStore } from "react"
import type { Auth, AuthState } from "./client.js"

/**
 * The state of an {@link Auth}, in a React component that is rendered again when it changes.
 *
 *     const { status, error } = useAuth(auth)
 */
export function useAuth(auth: Auth): AuthState {
	return useSyncExternalStore(auth.onChange, () => auth.state, () => onServer)
}

/** What is rendered on a server, and at first in the browser: both must be the same. */
const onServer: AuthState = { status: "loading", tokens: null, url: null, error: null }
