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

// show replaces what an element holds. The button that had the focus has it again, if it is still there.
export function show(element, ...children) {
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined
    element.replaceChildren(...children.flat().filter(Boolean))
    if (focused) {
        element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus()
    }
}

// copyable is a text with a button that copies it.
export function copyable(text, tag = "code") {
    const button = h("button.btn.sm.outline", { type: "button", "aria-label": "Copy " + text.split("\n")[0] }, "Copy")
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
