import { consoleLink } from "./addresses.js"
import { copyable, h, show } from "./dom.js"
import { controlOf, describeBy, fieldOf, placeBelow, valueOf, write } from "./fields.js"

/** The fields that the preset leaves blank once another token endpoint is written in the form. */
const factsOfServer = ["tokenFormat", "tokenParams", "revokeEndpoint", "revokeKind", "issuer"]

/** The fields that every plugin needs, whatever its provider. */
const alwaysRequired = ["slug"]

/**
 * Shows what to do at the provider that the form names, what it fills in, and which fields are needed.
 * @param {HTMLElement} form
 * @param {Provider[]} providers The first stands for any that is not known.
 * @param {string} redirectUri It is blank if it is not known yet.
 */
export function showProvider(form, providers, redirectUri) {
	const name = valueOf(fieldOf(form, "provider")).trim().toLowerCase()
	const provider = providers.find(known => known.name === name)
	const [other] = providers
	const field = fieldOf(form, "provider")
	const place = field && placeBelow(field, "provider")
	if (!place || !other) return
	const shown = JSON.stringify([name, redirectUri])
	if (place.dataset.shown !== shown) {
		place.dataset.shown = shown
		place.replaceChildren()
		if (provider?.name) show(place, ...facts(provider, redirectUri, form))
	}
	markRequired(form, (provider ?? other).required)
	showFilled(form, provider?.name ? provider : null)
}

/**
 * @param {Provider} provider
 * @param {string} redirectUri
 * @param {HTMLElement} form
 */
function facts(provider, redirectUri, form) {
	const { title, console: address, hint, redirectName, refreshNote } = provider
	const enter = redirectName
		? `Enter this address at ${title}, and the name that it gets there, such as ${redirectName}, below `
			+ "as redirectName:"
		: `Make a client at ${title}, and enter this redirect URI there, exactly so:`
	return [
		h("p.po-title", null, h("strong", null, "At " + title)),
		address ? h("p", null, consoleLink(address)) : h("p", null, "Look for its developer console."),
		h("p", null, enter),
		redirectUri
			? copyable(redirectUri)
			: h("p.txt-hint", null, "It stands here once the slug is filled in."),
		h("p", null, "Then copy the client id and the client secret from there into the fields below."),
		hint && h("p.po-fix", null, hint),
		...scopes(provider, form),
		h("dl", null,
			h("dt", null, "Refresh tokens"), h("dd", null, refreshNote || "Not known for this provider."),
			h("dt", null, "PKCE"), h("dd", null, provider.fills["pkce"] === "off"
				? "Off: this provider does not take it."
				: "On."),
			h("dt", null, "Revoke"), h("dd", null, revocation(provider)),
			h("dt", null, "API"), h("dd", null, provider.api)),
		provider.cors !== "yes" && relayed(provider, form),
	]
}

/**
 * What to enter so that the plugin can call the API through /fetch.
 * @param {Provider} provider
 * @param {HTMLElement} form
 */
function relayed({ apiHosts }, form) {
	const field = fieldOf(form, "apiHosts")
	if (!(field instanceof HTMLTextAreaElement)) return false
	if (!apiHosts.length) {
		return h("p.txt-hint", null, "Then enter the hosts of your API below as apiHosts.")
	}
	return h("div.po-buttons", null,
		h("button.btn.sm.outline", {
			type: "button", "data-key": "api hosts",
			onclick: event => {
				write(field, "on")
				confirmOn(event.currentTarget, "Entered")
			},
		}, "Enter on as apiHosts"),
		h("span.txt-hint", null, "then the plugin may call these hosts through /fetch"))
}

/**
 * Says on a button for a moment that it was done.
 * @param {EventTarget | null} button
 * @param {string} done
 */
function confirmOn(button, done) {
	if (!(button instanceof HTMLElement)) return
	const says = button.dataset.says ??= button.textContent
	button.textContent = done
	setTimeout(() => button.textContent = says, 2000)
}

/** @param {Provider} provider */
function revocation({ revoke }) {
	if (!revoke) return "No way to end the access is known for this provider."
	const token = revoke === "any" ? "either token" : `the ${revoke} token`
	return `The plugin sends ${token} to /revoke, and the provider ends the access.`
}

/**
 * How scopes are written, and some to take over.
 * @param {Provider} provider
 * @param {HTMLElement} form
 */
function scopes({ scopeSeparator, scopes: known, refreshScope, required }, form) {
	const between = { " ": "spaces", ",": "commas" }[scopeSeparator]
	const words = [
		between && `Scopes have ${between} between them.`,
		required.includes("scope") && "The provider refuses a sign-in without one.",
		refreshScope && `For a refresh token, ${refreshScope} is one of them.`,
		known.length > 0 && "Some to copy; the provider's documentation has them all:",
	].filter(Boolean)
	return [
		words.length > 0 && h("p", null, words.join(" ")),
		known.length > 0 && h("ul.po-scopes", null, known.map(({ scope, allows }) => h("li", null,
			h("code", null, scope), h("span.txt-hint", null, allows),
			h("button.btn.sm.outline", {
				type: "button", "data-key": "scope " + scope, "aria-label": `Add ${scope} to the field scope`,
				onclick: event => addScope(form, scope, scopeSeparator || " ", event.currentTarget),
			}, "Add")))),
	]
}

/**
 * Adds a scope to the field, unless it is there.
 * @param {HTMLElement} form
 * @param {string} scope
 * @param {string} separator
 * @param {EventTarget | null} button
 */
function addScope(form, scope, separator, button) {
	const field = fieldOf(form, "scope")
	if (!(field instanceof HTMLTextAreaElement)) return
	const written = field.value.split(separator).map(part => part.trim()).filter(Boolean)
	if (!written.includes(scope)) write(field, [...written, scope].join(separator))
	confirmOn(button, "Added")
}

/**
 * Marks the fields that must be filled in. A public client has no secret.
 * @param {HTMLElement} form
 * @param {string[]} required
 */
function markRequired(form, required) {
	const isPublic = valueOf(fieldOf(form, "tokenAuth")) === "none"
	for (const field of form.querySelectorAll("textarea[name]")) {
		if (!(field instanceof HTMLTextAreaElement) || field.name === "id") continue
		const needed = [...alwaysRequired, ...required].includes(field.name)
			&& !(isPublic && field.name === "clientSecret")
		field.required = needed
		controlOf(field).setAttribute("aria-required", String(needed))
	}
}

/**
 * Says below each blank field what the provider's preset fills in, and below apiHosts what it may.
 * @param {HTMLElement} form
 * @param {Provider | null} provider
 */
function showFilled(form, provider) {
	const server = valueOf(fieldOf(form, "tokenEndpoint")).trim()
	const isAnother = !!server && server !== provider?.fills["tokenEndpoint"]
	for (const element of form.querySelectorAll("textarea[name], output[name]")) {
		const field = /** @type {HTMLElement} */ (element)
		const name = field.getAttribute("name") ?? ""
		const isHosts = name === "apiHosts"
		const value = isHosts ? provider?.apiHosts.join(", ") : provider?.fills[name]
		const isBlank = ["", isHosts ? "on" : ""].includes(valueOf(field).trim())
		const isShown = !!value && isBlank && !(isAnother && factsOfServer.includes(name))
		const place = isShown || field.closest(".record-field-input")?.querySelector(".po-fill")
			? placeBelow(field, "fill")
			: null
		const before = isHosts ? "on stands for: " : `${provider?.title} fills in: `
		const text = isShown ? before + value : ""
		if (place && place.textContent !== text) {
			const words = h("span", null, before, h("code", null, value))
			place.replaceChildren(text && words)
			place.hidden = !text
		}
	}
}

/**
 * Ties the words around each field to it, and says which ones are wrong.
 * @param {HTMLElement} form
 */
export function describeFields(form) {
	for (const element of form.querySelectorAll("textarea[name], output[name], input[name]")) {
		const field = /** @type {HTMLElement} */ (element)
		const control = controlOf(field)
		const box = field.closest(".record-field-input")
		if (!control.id || !box) continue
		describeBy(control, [...box.querySelectorAll(".field-help, .po-fill:not([hidden])")])
		if (field.hasAttribute("data-error")) {
			control.setAttribute("aria-invalid", "true")
		} else {
			control.removeAttribute("aria-invalid")
		}
	}
}
