// h makes an element: h("div.label.success", { title: "…" }, "text", child). Blank children are left out.
export function h(selector, attributes, ...children) {
    const [tag, ...classes] = selector.split(".")
    const element = document.createElement(tag)
    element.className = classes.join(" ")
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (name.startsWith("on")) {
            element.addEventListener(name.slice(2), value)
        } else if (value !== undefined && value !== false) {
            element.setAttribute(name, value === true ? "" : value)
        }
    }
    element.append(...children.flat().filter(child => child || child === 0))
    return element
}

// show replaces what an element holds, unless somebody is selecting text in it. Tables stay where they were scrolled to, and the
// button that had the focus has it again; if it is gone, the part has it.
export function show(element, ...children) {
    const selection = getSelection()
    if (!selection.isCollapsed && element.contains(selection.anchorNode)) return
    const hadFocus = element.contains(document.activeElement) && document.activeElement
    const scrolled = [...element.querySelectorAll(".po-scroll")].map(box => box.scrollLeft)
    element.replaceChildren(...children.flat().filter(Boolean))
    element.querySelectorAll(".po-scroll").forEach((box, i) => box.scrollLeft = scrolled[i] ?? 0)
    if (hadFocus) {
        element.tabIndex = -1
        const same = hadFocus.dataset.key && element.querySelector(`[data-key="${CSS.escape(hadFocus.dataset.key)}"]`)
        const next = same || element
        next.focus({ preventScroll: true })
    }
}

// copyable is a text with a button that copies it.
export function copyable(text, tag = "code") {
    const button = h("button.btn.sm.outline", { type: "button", title: "Copy " + text.split("\n")[0], "aria-live": "polite" }, "Copy")
    button.addEventListener("click", async () => {
        try {
            await navigator.clipboard.writeText(text)
            button.textContent = "Copied"
        } catch {
            button.textContent = "Select it and copy by hand" // no permission, or not over https
        }
        setTimeout(() => button.textContent = "Copy", 2000)
    })
    return h("div.po-copy", null, h(tag, null, text), button)
}

// duration says so many seconds in words of two figures or so.
export function duration(seconds) {
    if (seconds < 10) return Math.max(0, seconds).toFixed(1) + " s"
    if (seconds < 120) return Math.round(seconds) + " s"
    if (seconds < 7200) return Math.round(seconds / 60) + " min"
    if (seconds < 172800) return Math.round(seconds / 3600) + " h"
    return Math.round(seconds / 86400) + " days"
}

// plural counts things: 1 sign-in, 2 sign-ins.
export function plural(count, thing) {
    return count + " " + thing + (count == 1 ? "" : "s")
}
