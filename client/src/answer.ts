import type { AuthError, Tokens } from "./client.js"
import { authError } from "./errors.js"

/** The JSON object that came as the answer, or null if the answer was not one. */
export type Answer = Record<string, unknown> | null

/** Parses a JSON object. Returns null for anything else. */
export function parseObject(json: string): Answer {
	try {
		const value = JSON.parse(json)
		return value?.constructor === Object ? value : null
	} catch {
		return null
	}
}

/**
 * Takes the tokens from an answer. Slack nests a person's tokens. Throws if there are none:
 * framer/plugin-oauth passes on errors that the provider sent with status 200.
 */
export function parseTokens(answer: Answer): Tokens {
	const tokens = { ...answer, ...(answer?.access_token ? null : answer?.authed_user as object) } as Tokens
	if (typeof tokens.access_token !== "string" || !tokens.access_token) {
		throw refusal(200, tokens, "server_error")
	}
	return tokens
}

/** Makes the error of an answer without tokens. Rate limits and server errors pass, so are "unavailable". */
export function refusal(status: number, answer: Answer, fallback = "unavailable"): AuthError {
	return authError(
		status < 500 && status !== 429 && typeof answer?.error === "string" ? answer.error : fallback,
		answer?.error_description,
	)
}
