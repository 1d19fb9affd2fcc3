// AuthError stands in client.ts, so that client.d.ts alone declares all that is public.
import { AuthError } from "./client.js"

const tooLong = "The sign-in took too long. Please start again."
const cancelled = "The sign-in was cancelled."
const messages: Record<string, string | null> = {
	__proto__: null, // so that "constructor" has no message
	access_denied: cancelled,
	aborted: cancelled,
	expired_token: tooLong,
	timeout: tooLong,
	popup_blocked: "The browser blocked the sign-in window. Please allow pop-ups, and try again.",
	unavailable: "The sign-in service cannot be reached. Please try again in a moment.",
	wrong_address: "The sign-in may not be used at this address.",
	signed_out: "You are signed out. Please sign in again.",
}

/** Makes an AuthError. Without a message from the backend or the provider, it gets the one for its code. */
export function authError(code: string, message?: unknown, cause?: unknown): AuthError {
	return new AuthError(
		code,
		(typeof message === "string" && message) || messages[code] || "The sign-in failed. Please try again.",
		{ cause },
	)
}
