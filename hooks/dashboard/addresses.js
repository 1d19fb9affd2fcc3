import { copyable, h } from "./dom.js"

/**
 * What to enter at the provider, and what in the plugin.
 * @param {Addresses} plugin
 */
export function addresses({ backend, redirectUri, console: consoleURL, origins }) {
	return h("div", null,
		h("h3", null, "Redirect URI, to enter at the provider exactly so"),
		redirectUri ? copyable(redirectUri) : h("p.txt-danger", null, "Not known: set PUBLIC_URL."),
		consoleURL && h("p", null, consoleLink(consoleURL)),
		h("h3", null, "Backend, for the plugin"),
		copyable(backend),
		origins && h("h3", null, "Origins that may call"),
		origins && h("ul.po-origins", null, origins.map(origin => h("li", null, h("code", null, origin)))))
}

/** @param {string} href */
export function consoleLink(href) {
	return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, "Open the provider's console")
}
