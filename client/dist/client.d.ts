/** What the provider answered (RFC 6749 section 5.1), with all else that it sent. */
export interface Tokens {
    access_token: string;
    /** The newest that the provider gave. Missing: it gives none. */
    refresh_token?: string;
    /** The life of the access token, in seconds. Missing: unknown, or without end. */
    expires_in?: number;
    token_type?: string;
    scope?: string;
    /** Who the person is (OpenID Connect Core section 2), if the scope has openid. */
    id_token?: string;
    [name: string]: unknown;
}
/** Where the tokens are kept: localStorage, or what has the same three methods, at once or with a promise. */
export interface TokenStorage {
    getItem(key: string): string | null | undefined | Promise<string | null | undefined>;
    setItem(key: string, value: string): unknown;
    removeItem(key: string): unknown;
}
export interface AuthOptions {
    /** Where the plugin's backend answers, such as https://my-backend.fly.dev/google-sheets-plugin. */
    backend: string;
    /** Sent with each request, for a provider with an address for each customer: `{ shop: "my-store" }`. */
    parameters?: Record<string, string>;
    /** Default: localStorage, or the memory of this window where there is none. */
    storage?: TokenStorage;
    /** What the tokens are called in the storage. Default: a name made of the backend. */
    storageKey?: string;
    /** Opens the provider's page outside of the plugin. Default: window.open. */
    open?: (url: string) => unknown;
}
export interface SignInOptions {
    /** Ends the waiting: signIn rejects with the code "aborted". */
    signal?: AbortSignal | undefined;
    /** Is called when the provider's page has been opened. If the person has closed it, the address can be opened again. */
    onWaiting?: (waiting: {
        url: string;
    }) => void;
    /** How long to wait, in milliseconds. Default: 600,000, as long as the backend keeps a sign-in. */
    timeout?: number;
}
/** What there is to show. Each change makes a new object. */
export interface AuthState {
    /** "loading" lasts until a storage that answers with a promise has answered. */
    readonly status: "loading" | "signedOut" | "waiting" | "signedIn";
    readonly tokens: Tokens | null;
    /** While waiting: the provider's page, to be opened again. */
    readonly url: string | null;
    /** Why the last sign-in gave no tokens, or why the person must sign in again. One that was aborted is no error. */
    readonly error: AuthError | null;
}
/** What {@link createAuth} returns. Its methods need no `this`. */
export interface Auth {
    readonly state: AuthState;
    /** Calls the listener after each change of the state. Returns a function that ends that. */
    readonly onChange: (listener: (state: AuthState) => void) => () => void;
    /**
     * Opens the provider's page and waits until the person has signed in there. Call it in a click, or the browser blocks the
     * page. The page stays open at the end, and says that it can be closed. A second call ends the first. Rejects with an
     * {@link AuthError}.
     */
    readonly signIn: (options?: SignInOptions) => Promise<Tokens>;
    /**
     * The browser's fetch with the access token, which is refreshed shortly before it ends, and once if the answer is 401.
     * Rejects with an {@link AuthError} if there is no usable token, else as fetch does.
     */
    readonly fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;
    /** An access token that has not ended, refreshed if need be, for what does not go through fetch. Rejects with an {@link AuthError}. */
    readonly accessToken: () => Promise<string>;
    /** Forgets the tokens, and has the provider end them where it can. Never rejects. */
    readonly signOut: () => Promise<void>;
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
export type AuthErrorCode = "access_denied" | "expired_token" | "timeout" | "aborted" | "popup_blocked" | "unavailable" | "signed_out" | (string & {});
/** Why something did not work, in a message that can be shown to people. `cause` has the fault below it, if there was one. */
export declare class AuthError extends Error {
    readonly code: AuthErrorCode;
    name: string;
    constructor(code: AuthErrorCode, message: string, options?: {
        cause?: unknown;
    });
}
/**
 * Signs people in to a design-tool plugin with OAuth, through plugin-oauth or framer/plugin-oauth. Create one for each backend.
 *
 *     const auth = createAuth({ backend: "https://my-backend.fly.dev/google-sheets-plugin" })
 *     await auth.signIn() // in a click
 *     const response = await auth.fetch("https://sheets.googleapis.com/v4/spreadsheets/…")
 *     await auth.signOut()
 */
export declare function createAuth(options: AuthOptions): Auth;
