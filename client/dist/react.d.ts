import type { Auth, AuthState } from "./client.js";
/**
 * The state of an {@link Auth}, in a React component that is rendered again when it changes.
 *
 *     const { status, error } = useAuth(auth)
 */
export declare function useAuth(auth: Auth): AuthState;
