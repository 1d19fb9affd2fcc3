import { addresses } from "./addresses.js"
import { loadPlugins, loadProviders } from "./api.js"
import { blockerWarning } from "./blockers.js"
import { h, show } from "./dom.js"
import { fieldOf, valueOf } from "./fields.js"
import { showMistakes } from "./mistakes.js"
import { providerPicker } from "./picker.js"
import { describeFields, showProvider } from "./provider.js"
import { secretField } from "./secret.js"
import { testSignIn } from "./trial.js"

/**
 * Helps with the record of a plugin: what to paste where stands above the fields, the provider is chosen from
 * a list, the secret is hidden, and what is wrong is shown. Whatever PocketBase has otherwise than expected
 * stays as PocketBase has it.
 * @param {HTMLElement} form
 */
export async function helpAtForm(form) {
	const [slug, known, providers] = await Promise.all([
		slugField(form), loadPlugins().catch(() => null), loadProviders().catch(() => null),
	])
	const fields = slug?.closest(".modal-content")
	if (!slug || !fields || !(fields instanceof HTMLElement)) return
	form.setAttribute("role", "dialog")
	form.setAttribute("aria-modal", "true")
	form.setAttribute("aria-label", "Plugin")
	const help = h("div.po.po-form")
	if (known) fields.prepend(help)

	function update() {
		showValues(form, providers)
		const slug = valueOf(fieldOf(form, "slug"))
		const own = valueOf(fieldOf(form, "redirectUri")).trim()
		const redirectUri = own || (known ? redirectUriOf(slug, known) : "")
		const shown = JSON.stringify([slug, redirectUri])
		if (known && help.dataset.shown !== shown) {
			help.dataset.shown = shown
			show(help, ...blockerWarning(slug), ...helpFor(slug, redirectUri, known))
		}
		if (providers) showProvider(form, providers, redirectUri)
		describeFields(form)
	}
	update()
	form.addEventListener("input", update)
	follow(form, update)
}

/**
 * Updates what is shown after PocketBase has changed the form, and shows the mistakes that it has found.
 * @param {HTMLElement} form
 * @param {() => void} update
 */
function follow(form, update) {
	/** @type {number | undefined} */
	let planned
	let isNew = false
	const observer = new MutationObserver(changes => {
		isNew ||= changes.some(({ addedNodes }) => [...addedNodes].some(node =>
			node instanceof HTMLElement && node.classList.contains("generated-error")))
		clearTimeout(planned)
		planned = setTimeout(() => {
			if (!form.isConnected) return observer.disconnect()
			update()
			if (isNew) showMistakes(form)
			isNew = false
			observer.takeRecords() // those of the update itself
		}, 30)
	})
	observer.observe(form, { childList: true, characterData: true, subtree: true })
}

/** What shows the present value of a field that an input of ours stands in for. */
const shows = /** @type {WeakMap<HTMLElement, () => void>} */ (new WeakMap())

/**
 * Puts the inputs of ours in their places, also after PocketBase has made the fields anew.
 * @param {HTMLElement} form
 * @param {Provider[] | null} providers
 */
function showValues(form, providers) {
	const provider = fieldOf(form, "provider")
	if (provider instanceof HTMLTextAreaElement && providers && !shows.has(provider)) {
		shows.set(provider, providerPicker(provider, providers))
	}
	const secret = fieldOf(form, "clientSecret")
	if (secret instanceof HTMLTextAreaElement && !shows.has(secret)) shows.set(secret, secretField(secret))
	for (const field of [provider, secret]) field && shows.get(field)?.()
}

/**
 * The help for what is in the fields of the slug and of the redirect URI.
 * @param {string} slug
 * @param {string} redirectUri
 * @param {Plugins} known
 */
function helpFor(slug, redirectUri, known) {
	const legend = h("p.txt-hint", null, "Fields with a star must be filled in.")
	const saved = known.plugins.find(plugin => plugin.slug === slug)
	if (saved) return [addresses(saved), testButton(saved), legend]
	if (redirectUri && isSlug(slug)) {
		return [addresses({ backend: known.base + "/" + slug, redirectUri }), legend]
	}
	const missing = known.base ? "Fill in the slug, of a-z, 0-9 and -" : "Set PUBLIC_URL in the environment"
	return [hint(missing), legend]
}

/**
 * The redirect URI of a plugin. It is blank if it is not known yet.
 * @param {string} slug
 * @param {Plugins} known
 */
function redirectUriOf(slug, known) {
	const saved = known.plugins.find(plugin => plugin.slug === slug)
	if (saved) return saved.redirectUri
	return known.base && isSlug(slug) ? `${known.base}/${slug}/redirect` : ""
}

/** @param {string} text */
function isSlug(text) {
	return /^[a-z0-9-]+$/.test(text)
}

/** @param {string} condition */
function hint(condition) {
	return h("p.txt-hint", null, condition + ": then the redirect URI for the provider stands here.")
}

/** @param {PluginHelp} plugin */
function testButton(plugin) {
	const button = h("button.btn.sm.outline", {
		type: "button", disabled: !!plugin.problem, onclick: () => testSignIn(plugin),
	}, "Test sign-in")
	return h("div.po-buttons", null, button, h("span.txt-hint", null, "with what was saved last"))
}

/**
 * Waits for the field: the form gets its values a moment after it has opened.
 * @param {HTMLElement} form
 * @returns {Promise<HTMLInputElement | null>}
 */
async function slugField(form) {
	for (let i = 0; i < 40; i++) {
		/** @type {HTMLInputElement | null} */
		const field = form.querySelector('[name="slug"]')
		if (field && (field.value || i > 5)) return field
		await new Promise(resume => setTimeout(resume, 50))
	}
	return null
}
