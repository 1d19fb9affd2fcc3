// An authorization server on @node-oauth/oauth2-server, the continuation of the oauth2-server that many small
// providers run. Its tokens have no lifetime, and a refresh brings no new refresh token. The person agrees at
// once, or says no if the settings say so.
import { listen, settings } from "./host.mjs"
import OAuth2Server from "@node-oauth/oauth2-server"

const { Request, Response } = OAuth2Server
const codes = new Map()
const tokens = new Map() // by refresh token
const person = { id: "person" }

const model = {
	getClient: async (id, secret) => {
		const { client } = settings
		return id === client.id && (secret === null || secret === client.secret) && client
	},
	validateScope: async (_user, _client, scope) => scope.every(name => name === "files") && scope,
	saveAuthorizationCode: async (code, client, user) => {
		codes.set(code.authorizationCode, { ...code, client, user })
		return codes.get(code.authorizationCode)
	},
	getAuthorizationCode: async code => codes.get(code),
	revokeAuthorizationCode: async code => codes.delete(code.authorizationCode),
	saveToken: async ({ accessToken, refreshToken, scope }, client, user) => {
		const token = { accessToken, refreshToken, scope, client, user }
		if (refreshToken) tokens.set(refreshToken, token)
		return token
	},
	getRefreshToken: async token => {
		if (token === "while-the-database-is-down") throw new Error("connect ECONNREFUSED")
		return tokens.get(token)
	},
	revokeToken: async token => tokens.delete(token.refreshToken),
	getAccessToken: async () => undefined,
}
const server = new OAuth2Server({ model })

async function answer(request) {
	const { pathname, searchParams } = new URL(request.url, "http://localhost")
	let text = ""
	for await (const chunk of request) text += chunk
	const asked = new Request({
		method: request.method,
		headers: request.headers,
		query: Object.fromEntries(searchParams),
		body: Object.fromEntries(new URLSearchParams(text)),
	})
	const response = new Response()
	try {
		if (pathname === "/authorize") {
			asked.query.allowed = settings.allowed
			await server.authorize(asked, response, { authenticateHandler: { handle: () => person } })
		} else {
			await server.token(asked, response, { alwaysIssueNewRefreshToken: false })
		}
	} catch (error) {
		// As the makers' own wrappers do, what is not in the response by now is the error's.
		if (response.status === 200) response.status = error.code
		response.body = { error: error.name, error_description: error.message }
	}
	return response
}

listen(async (request, response) => {
	const { status, headers, body } = await answer(request)
	response.writeHead(status, { "content-type": "application/json", ...headers })
	response.end(JSON.stringify(body))
})
