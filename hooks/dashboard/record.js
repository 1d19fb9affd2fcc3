import { h } from "./dom.js"

const listAddress = "#/collections?collection=plugins"

/**
 * A button that opens the form for a new plugin.
 * @param {() => void} refresh is called when one was saved
 * @param {string} key
 */
export function addButton(refresh, key) {
	return recordLink("a.btn.sm", "Add a plugin", { key, refresh })
}

/**
 * A link to the form of a plugin's record, or to the collection where PocketBase has no such form.
 * @param {"a.btn.sm" | "a.btn.sm.outline"} selector
 * @param {string} label
 * @param {{ id?: string, key: string, refresh: () => void }} record A blank id stands for a new one.
 */
export function recordLink(selector, label, { id, key, refresh }) {
	const link = h(selector, { href: listAddress, "data-key": key }, label)
	link.addEventListener("click", event => {
		const collection = app.store?.collections?.find(({ name }) => name === "plugins")
		if (!app.modals?.openRecordUpsert || !collection) return
		event.preventDefault()
		app.modals.openRecordUpsert(collection, id, { onsave: refresh })
	})
	return link
}
