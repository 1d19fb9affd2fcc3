/**
 * Makes an element: h("div.label.success", { title: "…" }, "text", child). Blank children are left out.
 * @template {string} Selector
 * @param {Selector} selector
 * @param {Attributes | null} [attributes]
 * @param {Children} children
 * @returns {ElementOf<Selector>}
 */
export function h(selector, attributes, ...children) {
	const [tag = "", ...classes] = selector.split(".")
	const element = document.createElement(tag)
	element.className = classes.join(" ")
	for (const [name, value] of Object.entries(attributes ?? {})) {
		if (typeof value === "function") {
			element.addEventListener(name.slice("on".length), value)
		} else if (value !== undefined && value !== false) {
			element.setAttribute(name, value === true ? "" : value)
		}
	}
	element.append(...present(children))
	return /** @type {ElementOf<Selector>} */ (element)
}

/**
 * Leaves out the children that are blank.
 * @param {Children} children
 */
function present(children) {
	return /** @type {(Node | string)[]} */ (children.flat().filter(Boolean))
}

/**
 * Replaces the content of an element, unless somebody has selected text in it. Tables stay where they were
 * scrolled to. The button that had the focus keeps it; if it is gone, the element gets it.
 * @param {HTMLElement} element
 * @param {Children} children
 */
export function show(element, ...children) {
	const selection = getSelection()
	if (selection && !selection.isCollapsed && element.contains(selection.anchorNode)) return
	const focused = document.activeElement
	const hadFocus = element.contains(focused)
	const scrolled = [...element.querySelectorAll(".po-scroll")].map(box => box.scrollLeft)
	element.replaceChildren(...present(children))
	element.querySelectorAll(".po-scroll").forEach((box, i) => box.scrollLeft = scrolled[i] ?? 0)
	if (hadFocus) {
		element.tabIndex = -1
		const key = focused instanceof HTMLElement && focused.dataset.key
		/** @type {HTMLElement | null} */
		const same = key ? element.querySelector(`[data-key="${CSS.escape(key)}"]`) : null
		const next = same ?? element
		next.focus({ preventScroll: true })
	}
}

/**
 * A text with a button that copies it.
 * @param {string} text
 * @param {"code" | "pre"} [tag]
 */
export function copyable(text, tag = "code") {
	const title = "Copy " + text.split("\n")[0]
	const button = h("button.btn.sm.outline", { type: "button", title, "aria-live": "polite" }, "Copy")
	button.addEventListener("click", async () => {
		try {
			await navigator.clipboard.writeText(text)
			button.textContent = "Copied"
		} catch {
			button.textContent = "Select it and copy by hand" // no permission, or not over https
		}
		setTimeout(() => button.textContent = "Copy", 2000)
	})
	const scrolls = tag === "pre" // with the arrow keys as well
	return h("div.po-copy", null, h(tag, { tabindex: scrolls && "0" }, text), button)
}

/**
 * A table. It leaves out the wide columns where there is little room. One that is still wider than its place
 * says that it scrolls, and scrolls with the keyboard.
 * @param {string} label
 * @param {string[]} heads
 * @param {HTMLElement[]} rows
 * @param {string[]} [wide]
 */
export function table(label, heads, rows, wide = []) {
	const cells = heads.map(head => h(wide.includes(head) ? "th.po-wide" : "th", { scope: "col" }, head))
	const box = h("div.po-scroll", { role: "group", "aria-label": label, "data-key": "table " + label },
		h("table", null, h("thead", null, h("tr", null, cells)), h("tbody", null, rows)))
	const hint = h("p.po-scrolls.txt-hint", { hidden: true }, "↔ Scroll sideways to see the whole table.")
	new ResizeObserver(() => {
		const scrolls = box.scrollWidth > box.clientWidth
		hint.hidden = !scrolls
		box.classList.toggle("po-cut", scrolls)
		if (scrolls) {
			box.tabIndex = 0
		} else {
			box.removeAttribute("tabindex")
		}
	}).observe(box)
	return h("div.po-table", null, box, hint)
}

/**
 * Where the dashboard shows the record of a session.
 * @param {string} id
 */
export function recordAddress(id) {
	return "#/collections?" + new URLSearchParams({ collection: "sessions", record: id })
}
