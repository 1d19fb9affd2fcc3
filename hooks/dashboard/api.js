/**
 * Sends a request to a route below /api/plugin-oauth/. Rejects with an error that has the status of the
 * answer, 0 if there was none.
 * @param {string} path
 * @param {string} [method]
 * @returns {Promise<any>}
 */
export function send(path, method = "GET") {
	return app.pb.send("/api/plugin-oauth/" + path, { method, requestKey: null })
}

/**
 * Loads what authors need to know about each plugin.
 * @returns {Promise<Plugins>}
 */
export const loadPlugins = () => send("plugins")

/**
 * Lets PocketBase ask the admin to sign in again, if that is why a request failed.
 * @param {any} error
 */
export function checkSignedIn(error) {
	if (error?.status === 401) app.checkApiError?.(error)
}

/**
 * Loads what is known about providers.
 * @returns {Promise<Provider[]>}
 */
export const loadProviders = () => send("providers")
