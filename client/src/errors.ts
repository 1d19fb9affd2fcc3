// AuthError stands in client.ts, so that client.d.ts alone declares all that is public.
import { AuthError, type Messages } from "./client.js"

const tooLong = "The sign-in took too long. Please start again."
const cancelled = "The sign-in was cancelled."
const messages: Record<string, string | null> = {
	__proto__: null, // so that "constructor" has no message
	access_denied: cancelled,
	aborted: cancelled,
	expired_token: tooLong,
	timeout: tooLong,
	popup_blocked: "The browser blocked the sign-in window. Please allow pop-ups.",
	unavailable: "The sign-in service cannot be reached. Please try again.",
	wrong_address: "The sign-in may not be used at this address.",
	signed_out: "You are signed out. Please sign in again.",
}

/**
 * Makes an AuthError. Its message is the plugin's own for the code, or else the one that came from the
 * backend or the provider, or else ours.
 */
export type MakeError = (code: string, message?: any, cause?: unknown) => AuthError

/** Makes the function that makes errors, with the plugin's own messages. */
export function createErrors(own: Messages | undefined): MakeError {
	const given: Record<string, string | null | undefined> = { __proto__: null, ...own }
	return (code, message, cause) => new AuthError(
		code,
		given[code] || (!messages[code] && given.other)
			|| message || messages[code]
			|| "The sign-in failed. Please try again.",
		{ cause },
	)
}
