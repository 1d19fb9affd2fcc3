import { useSyncExternalStore } from "react"
import type { Auth, AuthState } from "./client.js"

/**
 * The state of an {@link Auth}, in a React component that is rendered again when it changes.
 *
 *     const { status, error } = useAuth(auth)
 */
export function useAuth(auth: Auth): AuthState {
	const state = () => auth.state
	return useSyncExternalStore(auth.onChange, state, state)
}
