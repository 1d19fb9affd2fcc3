// The Sign-ins page of plugin-oauth in PocketBase's dashboard. PocketBase calls its extension API
// experimental, so whatever needs a missing part of it is left out: the collections work without the page.
// PocketBase wraps this file in a function, which cannot hold import declarations: the other files are
// imported when needed.
const app = /** @type {Partial<typeof globalThis.app> | undefined} */ (window.app)
// Relative to /_/, since a proxy may serve the service below a path.
const folder = new URL("extensions/sign-ins/", location.href)
/** @param {string} file */
const address = file => new URL(file, folder).href

if (app?.pb?.send && app.routes?.superuserOnly && app.store?.headerLinks?.unshift) {
	const { store } = app
	const style = document.createElement("link")
	style.rel = "stylesheet"
	style.href = address("style.css")
	document.head.append(style)

	app.routes.superuserOnly("#/sign-ins", async route => {
		store.title = "Sign-ins"
		/** @type {typeof import("./page.js")} */
		const { signInsPage } = await import(address("page.js"))
		return signInsPage(route?.query ?? {})
	})
	app.routes.fallbackPath = "#/sign-ins"
	store.headerLinks.unshift({ href: "#/sign-ins", icon: "ri-login-circle-line", label: "Sign-ins" })
}

// PocketBase keeps the draft of a record in the browser until it is saved or discarded. The client secret of
// a plugin must not lie there in the clear.
const { setItem } = Storage.prototype
const secretDots = "••••••••" // what a record has in its place; saving it changes nothing
/** @param {string} draft */
const withoutSecret = draft => {
	try {
		const record = JSON.parse(draft)
		if (record?.clientSecret) record.clientSecret = record.id ? secretDots : ""
		return JSON.stringify(record)
	} catch {
		return "" // PocketBase takes it for none
	}
}
Storage.prototype.setItem = function (key, value) {
	setItem.call(this, key, String(key).startsWith("draft_") ? withoutSecret(String(value)) : value)
}
for (const [key, value] of Object.entries(localStorage)) {
	if (key.startsWith("draft_")) localStorage.setItem(key, value) // one from an earlier version
}

// The form of a plugin's record gets the addresses to paste, and a new plugin is enabled.
const modals = app?.modals
const openRecord = modals?.openRecordUpsert
if (modals && openRecord) {
	modals.openRecordUpsert = (collection, record, settings, ...more) => {
		if (collection?.name !== "plugins") {
			return openRecord(collection, record, settings, ...more)
		}
		if (typeof record !== "string" && !record?.id) {
			record = /** @type {{}} */ ({ enabled: true, clientSecret: "", ...record })
		}
		/** @param {HTMLElement} form */
		const onafteropen = form => {
			settings?.onafteropen?.(form)
			/** @type {Promise<typeof import("./form.js")>} */
			const loaded = import(address("form.js"))
			loaded.then(module => module.helpAtForm(form))
		}
		return openRecord(collection, record, { ...settings, onafteropen }, ...more)
	}
}
