import type { AuthError, Tokens } from "./client.js"
import type { MakeError } from "./errors.js"

/** The JSON object that came as the answer, or null if the answer was not one. */
export type Answer = Record<string, unknown> | null

/** Parses a JSON object. Returns null for anything else. */
export function parseObject(json: string | null | undefined): Answer {
	let value
	try {
		value = JSON.parse(json!)
	} catch {
		// It is none.
	}
	return Object(value) === value ? value : null
}

/**
 * Returns the object in an answer, at any depth, in which the named token stands: Slack's authed_user, or the
 * data of TikTok's advertising API. It has the members of those around it, too, such as the refresh token
 * beside an object with the access token. Undefined: the answer has none that is a string and not blank.
 */
function holder(value: unknown, name: "access_token" | "id_token"): Tokens | undefined {
	const object = Object(value) as Tokens
	if (typeof object[name] === "string" && object[name].trim()) return object
	for (const member of Object.values(object)) {
		const found = typeof member === "object" && holder(member, name)
		if (found) return { ...object, ...found }
	}
	return undefined
}

/**
 * Takes the tokens from an answer, or undefined if there are none: framer/plugin-oauth passes on errors that
 * the provider sent with status 200. The backend looks at the same places. Where there is only an ID token,
 * that is what APIs are sent.
 */
export function parseTokens(answer: Answer): Tokens | undefined {
	const identity = holder(answer, "id_token")
	return holder(answer, "access_token")
		?? (identity && { ...identity, access_token: identity.id_token! })
}

/** Returns the code of an answer without tokens. Rate limits and server errors pass, so are "unavailable". */
export function codeOf(status: number, answer: Answer, fallback = "unavailable"): string {
	return status < 500 && status !== 429 && typeof answer?.error === "string" ? answer.error : fallback
}

/** Makes the error of an answer without tokens. */
export function refusal(
	authError: MakeError, status: number, answer: Answer, fallback?: string,
): AuthError {
	return authError(codeOf(status, answer, fallback), answer?.error_description)
}
