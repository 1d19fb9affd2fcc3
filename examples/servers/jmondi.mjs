// An authorization server on @jmondi/oauth2-server, with its defaults. It answers in the words of
// league/oauth2-server, which Laravel Passport and many others run. The person agrees at once.
import { listen, settings } from "./host.mjs"
import { AuthorizationServer, DateInterval, OAuthException, OAuthRequest } from "@jmondi/oauth2-server"
import { handleVanillaError } from "@jmondi/oauth2-server/vanilla"
import { randomUUID } from "node:crypto"

const scopes = [{ name: "files" }, { name: "profile" }]
const codes = new Map()
const tokens = new Map() // by access token and by refresh token
const revoked = new Set()

const clients = {
	getByIdentifier: async id => (id === settings.client.id ? settings.client : undefined),
	isClientValid: async (_grant, client, secret) => secret === client.secret,
}
const scopeList = {
	getAllByIdentifiers: async names => scopes.filter(scope => names.includes(scope.name)),
	finalize: async found => found,
}
const tokenList = {
	issueToken: async (client, scopes, user) => ({ accessToken: randomUUID(), client, scopes, user }),
	issueRefreshToken: async (token, client) => {
		token.refreshToken = randomUUID()
		token.refreshTokenExpiresAt = new DateInterval("30d").getEndDate()
		await tokenList.persist(token)
		return token
	},
	persist: async token => {
		tokens.set(token.accessToken, token)
		if (token.refreshToken) tokens.set(token.refreshToken, token)
	},
	revoke: async token => void revoked.add(token.accessToken),
	isRefreshTokenRevoked: async token => revoked.has(token.accessToken),
	getByRefreshToken: async id => tokens.get(id) ?? Promise.reject(new Error("no such token")),
	getByAccessToken: async id => tokens.get(id) ?? Promise.reject(new Error("no such token")),
	revokeDescendantsOf: async code => {
		for (const token of tokens.values()) {
			if (token.originatingAuthCodeId === code) revoked.add(token.accessToken)
		}
	},
}
const codeList = {
	getByIdentifier: async id => codes.get(id),
	issueAuthCode: (client, user, scopes) => ({ code: randomUUID(), client, user, scopes }),
	persist: async code => void codes.set(code.code, code),
	isRevoked: async id => revoked.has(id),
	revoke: async id => void revoked.add(id),
}
const person = { id: "person" }
const users = { getUserByCredentials: async () => person }

const server = new AuthorizationServer(clients, tokenList, scopeList, randomUUID())
server.enableGrantTypes({
	grant: "authorization_code",
	userRepository: users,
	authCodeRepository: codeList,
})

async function authorize(request) {
	const authorization = await server.validateAuthorizationRequest(request)
	authorization.user = person
	authorization.isAuthorizationApproved = true
	return server.completeAuthorizationRequest(authorization)
}

async function answer(request) {
	const url = new URL(request.url, "http://localhost")
	let text = ""
	for await (const chunk of request) text += chunk
	const oauthRequest = new OAuthRequest({
		headers: request.headers,
		query: Object.fromEntries(url.searchParams),
		body: Object.fromEntries(new URLSearchParams(text)),
	})
	switch (`${request.method} ${url.pathname}`) {
		case "GET /authorize":
			return authorize(oauthRequest)
		case "POST /token":
			return server.respondToAccessTokenRequest(oauthRequest)
		case "POST /token/revoke":
			return server.revoke(oauthRequest)
		default:
			throw OAuthException.badRequest("no such endpoint")
	}
}

listen(async (request, response) => {
	const { status, headers, body } = await answer(request).catch(handleVanillaError)
	response.writeHead(status, { "content-type": "application/json", ...headers })
	response.end(JSON.stringify(body))
})
