import { replaceField, write } from "./fields.js"
import { h } from "./dom.js"

/**
 * Hides what is typed or pasted into the field of the client secret. A key file loses its line breaks there,
 * which the service does not need.
 * @param {HTMLTextAreaElement} field
 */
export function secretField(field) {
	const input = h("input.po-input", { type: "password", autocomplete: "new-password", spellcheck: "false" })
	replaceField(field, input)
	field.autocomplete = "off" // or the browser would store it, to restore the page after a crash
	input.addEventListener("input", () => write(field, input.value))
	return () => {
		if (input.value !== field.value) input.value = field.value
	}
}
