import { h } from "./dom.js"
import { addStep } from "./steps.js"

/**
 * A test sign-in.
 * @typedef {object} Trial
 * @property {PluginHelp} plugin
 * @property {string} tenant Blank if none is named.
 * @property {HTMLElement} steps
 * @property {HTMLElement} buttons
 * @property {AbortSignal} signal Aborted when the dialog is closed.
 */

const noAnswer = "The service does not answer."

/**
 * Goes through a whole sign-in as a plugin would, in a window of its own, and shows how each step went. The
 * tokens are neither shown nor kept, only what they are called.
 * @param {PluginHelp} plugin
 */
export function testSignIn(plugin) {
	const tenant = plugin.tenant ? askForTenant(plugin.tenant) : ""
	if (tenant === null) return
	const closed = new AbortController()
	const steps = h("ol.po-steps", { "aria-live": "polite" })
	const close = h("button.btn.sm.outline", { type: "button" }, "Close")
	const buttons = h("div.po-buttons", null, close)
	const dialog = h("dialog.po.po-dialog", { "aria-label": "Test sign-in" },
		h("h2", null, "Test sign-in: " + plugin.label), steps, buttons)
	close.addEventListener("click", () => dialog.close())
	dialog.addEventListener("close", () => {
		closed.abort()
		dialog.remove()
	})
	document.body.append(dialog)
	dialog.showModal()
	// Now, during the click: later, a browser would take it for a pop-up.
	const opened = window.open("about:blank", "_blank")
	run({ plugin, tenant, steps, buttons, signal: closed.signal }, opened)
}

/**
 * Asks which customer's address to use, if a provider has one for each. Blank means the preset's default, and
 * null that the admin does not want to go on.
 * @param {Tenant} tenant
 */
function askForTenant(tenant) {
	return prompt(`The ${tenant.name} to sign in to, such as ${tenant.example}`, tenant.default ?? "")
}

/**
 * @param {Trial} trial
 * @param {Window | null} opened
 */
async function run(trial, opened) {
	const login = await start(trial)
	if (!login) {
		opened?.close()
		return
	}
	const tokens = await signIn(trial, opened, login)
	if (!tokens) return
	addStep(trial.steps, "Tokens").good(describe(tokens))
	offerRevocation(trial, await refresh(trial, tokens))
}

/**
 * Sends a request to one of the plugin's routes. The parameters are in the body, since an address may be
 * logged on its way. A status of 0 means that there was no answer, and an answer of null that it was not
 * JSON.
 * @param {Trial} trial
 * @param {string} route
 * @param {Record<string, string>} [parameters]
 * @returns {Promise<{ status: number, answer: any }>}
 */
async function call({ plugin, tenant, signal }, route, parameters = {}) {
	const named = tenant && plugin.tenant ? { [plugin.tenant.name]: tenant, ...parameters } : parameters
	// Relative to /_/, since a proxy may serve the service below a path.
	const response = await fetch((plugin.slug === "/" ? ".." : "../" + plugin.slug) + route, {
		method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(named), signal,
	}).catch(() => null)
	return { status: response?.status ?? 0, answer: await response?.json().catch(() => null) ?? null }
}

/**
 * Starts the sign-in. Returns null if that fails.
 * @param {Trial} trial
 * @returns {Promise<{ url: string, readKey: string } | null>}
 */
async function start(trial) {
	const step = addStep(trial.steps, "Start the sign-in")
	const { status, answer } = await call(trial, "/authorize")
	if (status !== 200) {
		step.bad(answer?.error_description ?? noAnswer)
		return null
	}
	step.good("The service made an address for the provider, and a read key.")
	return answer
}

/**
 * Opens the provider's page and waits for the tokens. Returns null if there are none, or if the dialog is
 * closed.
 * @param {Trial} trial
 * @param {Window | null} opened
 * @param {{ url: string, readKey: string }} login
 */
async function signIn(trial, opened, { url, readKey }) {
	const step = addStep(trial.steps, "Sign in at the provider")
	if (opened) {
		opened.opener = null
		opened.location.href = url
		step.note("Sign in in the window that has just opened. This page waits until then.")
	} else {
		const target = { href: url, target: "_blank", rel: "noopener noreferrer" }
		trial.buttons.prepend(h("a.btn.sm", target, "Open the provider"))
		step.note("The browser did not let a window open. Use the button below. This page waits.")
	}
	const { status, answer } = await poll(trial, readKey)
	if (trial.signal.aborted) return null
	if (status !== 200) {
		const ended = answer?.error === "not_found"
		step.bad(ended ? "The sign-in was ended." : `${answer?.error}: ${answer?.error_description}`)
		return null
	}
	step.good("The browser came back, and the code was exchanged.")
	return answer
}

/**
 * Polls until the sign-in has ended, or the dialog is closed. Retries after faults, since the service may be
 * restarting.
 * @param {Trial} trial
 * @param {string} readKey
 */
async function poll(trial, readKey) {
	for (;;) {
		const { status, answer } = await call(trial, "/poll", { readKey, wait: "25" })
		const faulty = !status || status >= 500
		const pending = faulty || answer?.error === "authorization_pending"
		if (trial.signal.aborted || !pending) return { status, answer }
		if (faulty) await new Promise(resume => setTimeout(resume, 2000))
	}
}

/**
 * Describes a token response, without the values that are secret.
 * @param {object} tokens
 */
function describe(tokens) {
	const words = Object.entries(tokens).map(([name, value]) => {
		const harmless = ["expires_in", "token_type"].includes(name)
		const simple = ["number", "string"].includes(typeof value)
		return harmless && simple ? `${name} ${value}` : name
	})
	return "The plugin would get: " + words.join(", ") + "."
}

/**
 * Refreshes the tokens, and returns those that are valid afterwards.
 * @param {Trial} trial
 * @param {any} tokens
 */
async function refresh(trial, tokens) {
	const step = addStep(trial.steps, "Refresh")
	const old = tokens.refresh_token
	if (!old) {
		step.bad("There is no refresh token: people must sign in again when the access token ends. "
			+ "That may be as you want it.")
		return tokens
	}
	const { status, answer } = await call(trial, "/refresh", { refresh_token: old })
	if (status !== 200) {
		step.bad(answer?.error_description ?? noAnswer)
		return tokens
	}
	step.good(answer.refresh_token && answer.refresh_token !== old
		? "A new access token came, and a new refresh token in place of the old."
		: "A new access token came. The refresh token stays as it is.")
	return { ...tokens, ...answer }
}

/**
 * Lets the admin choose whether to end the access: at some providers that also ends the plugin's access to
 * this account.
 * @param {Trial} trial
 * @param {any} tokens
 */
function offerRevocation(trial, tokens) {
	const { revoke } = trial.plugin
	if (!revoke) return
	const token = revoke === "access" ? tokens.access_token : tokens.refresh_token ?? tokens.access_token
	const button = h("button.btn.sm.outline", { type: "button" }, "End this access at the provider")
	button.addEventListener("click", async () => {
		button.remove()
		const step = addStep(trial.steps, "Revoke")
		const { status, answer } = await call(trial, "/revoke", { token })
		if (status === 200) {
			step.good("The provider has ended it.")
		} else {
			step.bad(answer?.error_description ?? noAnswer)
		}
	})
	trial.buttons.prepend(button)
}
