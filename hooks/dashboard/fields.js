import { h } from "./dom.js"

/**
 * The field of a form with this name: a textarea for a text, an output that holds a button for a choice.
 * @param {HTMLElement} form
 * @param {string} name
 * @returns {HTMLElement | null}
 */
export function fieldOf(form, name) {
	return form.querySelector(`[name="${CSS.escape(name)}"]`)
}

/**
 * What is in a field.
 * @param {HTMLElement | null} field
 */
export function valueOf(field) {
	if (field instanceof HTMLTextAreaElement || field instanceof HTMLInputElement) return field.value
	return field?.querySelector(".selected-item")?.textContent ?? ""
}

/**
 * Writes into a field as if a person had.
 * @param {HTMLTextAreaElement} field
 * @param {string} value
 */
export function write(field, value) {
	if (field.value === value) return
	field.value = value
	field.dispatchEvent(new Event("input", { bubbles: true }))
}

/**
 * What a person uses to fill in a field: an input of ours, where one stands in for PocketBase's.
 * @param {HTMLElement} field
 * @returns {HTMLElement}
 */
export function controlOf(field) {
	return field.closest(".record-field-input")?.querySelector(".po-input")
		?? field.querySelector("button")
		?? field
}

/**
 * Puts an input in the place of PocketBase's, which stays behind it, out of sight, with the value.
 * @param {HTMLTextAreaElement} field
 * @param {HTMLInputElement} input
 * @param {HTMLElement} [around] what the input is in
 */
export function replaceField(field, input, around = input) {
	const wrapper = field.closest(".autoexpand-wrapper") ?? field
	const label = field.closest(".field")?.querySelector("label")
	input.id = field.id + "_po"
	if (label) label.htmlFor = input.id
	wrapper.classList.add("po-replaced")
	wrapper.after(around)
}

/**
 * The place below a field for words of ours. It is made when it is needed first.
 * @param {HTMLElement} field
 * @param {string} name
 */
export function placeBelow(field, name) {
	const box = field.closest(".record-field-input")
	/** @type {HTMLElement | null | undefined} */
	const place = box?.querySelector(".po-" + name)
	if (place || !box) return place ?? null
	const made = h(`div.po.po-${name}`)
	box.append(made)
	return made
}

let described = 0

/**
 * Links words to the control that they describe, in the order in which they stand.
 * @param {HTMLElement} control
 * @param {Element[]} words
 */
export function describeBy(control, words) {
	const ids = words.map(element => element.id ||= `po_about${++described}`)
	if (ids.length) {
		control.setAttribute("aria-describedby", ids.join(" "))
	} else {
		control.removeAttribute("aria-describedby")
	}
}
