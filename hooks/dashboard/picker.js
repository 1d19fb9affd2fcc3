import { replaceField, write } from "./fields.js"
import { h } from "./dom.js"

/**
 * Lets the author of a plugin search for the provider, by its name or title. It is an editable combobox with
 * a list (ARIA Authoring Practices). A name that is not in the list stays as it was typed: whoever saves it
 * is told which ones are near.
 * @param {HTMLTextAreaElement} field
 * @param {Provider[]} providers
 */
export function providerPicker(field, providers) {
	const list = h("ul.po-options", { role: "listbox", id: field.id + "_list", "aria-label": "Providers" })
	const input = h("input.po-input", {
		type: "text", role: "combobox", autocomplete: "off", spellcheck: "false",
		placeholder: "Search by name …",
		"aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id,
	})
	list.hidden = true
	replaceField(field, input, h("div.po-picker", null, input, list))

	/** @type {Provider[]} */
	let found = []
	let active = -1

	/** @param {number} index */
	function activate(index) {
		active = index
		const options = [...list.children]
		options.forEach((option, i) => option.setAttribute("aria-selected", String(i === index)))
		const option = options[index]
		if (option) {
			input.setAttribute("aria-activedescendant", option.id)
			option.scrollIntoView({ block: "nearest" })
		} else {
			input.removeAttribute("aria-activedescendant")
		}
	}

	/** @param {string} search */
	function open(search) {
		found = search ? matching(providers, search) : [...providers.filter(({ name }) => name), ...others]
		list.replaceChildren(...found.map((provider, i) => option(provider, `${list.id}${i}`, choose)))
		list.hidden = false
		input.setAttribute("aria-expanded", "true")
		activate(search
			? found[0]?.name ? 0 : -1
			: found.findIndex(({ name }) => name && name === field.value))
	}

	function close() {
		list.hidden = true
		input.setAttribute("aria-expanded", "false")
		activate(-1)
	}

	/** @param {Provider} provider */
	function choose(provider) {
		input.value = provider.name ? provider.title : ""
		write(field, provider.name)
		close()
	}

	const others = providers.filter(({ name }) => !name)
	const showValue = () => {
		if (document.activeElement === input) return
		input.value = named(providers, field.value)?.title ?? field.value
	}

	input.addEventListener("input", () => {
		write(field, named(providers, input.value)?.name ?? input.value.trim())
		open(input.value)
	})
	input.addEventListener("click", () => list.hidden && open(""))
	input.addEventListener("blur", () => {
		close()
		showValue()
	})
	input.addEventListener("keydown", event => {
		const steps = /** @type {Partial<Record<string, number>>} */ ({ ArrowDown: 1, ArrowUp: -1 })
		const step = steps[event.key]
		if (step) {
			if (list.hidden) open("")
			const next = active < 0 && step < 0 ? found.length - 1 : active + step
			activate((next + found.length) % found.length)
		} else if (event.key === "Enter" && !list.hidden) {
			const chosen = found[active]
			if (chosen) choose(chosen)
		} else if (event.key === "Escape" && !list.hidden) {
			close()
		} else {
			return
		}
		event.preventDefault()
		event.stopPropagation()
	})
	list.addEventListener("mousedown", event => event.preventDefault()) // the input keeps the focus
	return showValue
}

/**
 * The provider whose name or title this is.
 * @param {Provider[]} providers
 * @param {string} text
 */
function named(providers, text) {
	const wanted = text.trim().toLowerCase()
	if (!wanted) return undefined
	return providers.find(({ name, title }) => [name, title.toLowerCase()].includes(wanted))
}

/**
 * The providers that a search finds, those that begin with it first, and then any other.
 * @param {Provider[]} providers
 * @param {string} search
 */
function matching(providers, search) {
	const wanted = search.trim().toLowerCase()
	/** @param {Provider} provider */
	const rank = ({ name, title }) => {
		if (!name) return 3
		const texts = [name, title.toLowerCase()]
		if (texts.some(text => text.startsWith(wanted))) return 0
		if (texts.some(text => text.split(/[^\p{L}\p{N}]+/u).some(word => word.startsWith(wanted)))) return 1
		return texts.some(text => text.includes(wanted)) ? 2 : 4
	}
	return providers.filter(provider => rank(provider) < 4).toSorted((a, b) => rank(a) - rank(b))
}

/**
 * @param {Provider} provider
 * @param {string} id
 * @param {(provider: Provider) => void} choose
 */
function option(provider, id, choose) {
	const { name, title } = provider
	return h("li", { role: "option", id, "aria-selected": "false", onclick: () => choose(provider) },
		h("span", null, name ? title : "Another provider"),
		h("small", null, name || "fill in its endpoints below"))
}
