import { addresses } from "./addresses.js"
import { loadPlugins } from "./api.js"
import { h, show } from "./dom.js"
import { testSignIn } from "./trial.js"

/**
 * Puts a plugin's addresses above the fields of its record. Those of a new plugin follow its slug.
 * @param {HTMLElement} form
 */
export async function helpAtForm(form) {
	const [slug, known] = await Promise.all([slugField(form), loadPlugins().catch(() => null)])
	const fields = slug?.closest(".modal-content")
	if (!slug || !fields || !known) return
	const help = h("div.po.po-form")
	const update = () => show(help, ...helpFor(slug.value, known))
	update()
	slug.addEventListener("input", update)
	fields.prepend(help)
}

/**
 * The help for what is in the field of the slug.
 * @param {string} slug
 * @param {Plugins} known
 */
function helpFor(slug, known) {
	const saved = known.plugins.find(plugin => plugin.slug === slug)
	if (saved) return [addresses(saved), testButton(saved)]
	if (!known.base) return [hint("Set PUBLIC_URL in the environment")]
	if (!/^[a-z0-9-]+$/.test(slug)) return [hint("Fill in the slug, of a-z, 0-9 and -")]
	const backend = known.base + "/" + slug
	return [addresses({ backend, redirectUri: backend + "/redirect" })]
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
