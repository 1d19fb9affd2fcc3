import { controlOf } from "./fields.js"
import { plural } from "./words.js"

/**
 * Brings the first field with an error into view, gives it the focus, and says how many there are.
 * @param {HTMLElement} form
 */
export function showMistakes(form) {
	/** @type {HTMLElement[]} */
	const wrong = [...form.querySelectorAll("[data-error]")]
		.filter(element => element instanceof HTMLElement)
	const [first] = wrong
	if (!first) return
	const control = controlOf(first)
	control.scrollIntoView({ block: "center" })
	control.focus({ preventScroll: true })
	const words = `${plural(wrong.length, "field")} must be changed before the plugin can be saved. `
		+ (wrong.length > 1 ? "The first is " : "It is ") + first.getAttribute("name") + "."
	app.toasts?.error?.(words, { key: "recordSave", duration: 6000 }) // in the place of PocketBase's
}
