import { checkSignedIn, send } from "./api.js"
import { h, show } from "./dom.js"

/** A button that lets the doctor check the set-up, and the place for its findings. */
export function setUpCheck() {
	const label = "Check the set-up"
	const findings = h("div", { role: "status" })
	const button = h("button.btn.sm.outline", { type: "button" }, label)
	button.addEventListener("click", async () => {
		button.disabled = true
		button.textContent = "Checking…"
		show(findings, h("p.txt-hint", null, "The providers are asked. This takes up to a minute."))
		try {
			show(findings, ...findingList(await send("doctor")))
		} catch (error) {
			checkSignedIn(error)
			show(findings, h("p.txt-danger", null, "The check did not finish. Try again in a moment."))
		}
		button.disabled = false
		button.textContent = label
	})
	return { button, findings }
}

/** PocketBase's colours of each level. */
const colours = /** @type {const} */ ({ error: "danger", warning: "warning", hint: "info" })

/** @param {Finding[]} found */
function findingList(found) {
	const isWell = found.every(({ level }) => level === "hint")
	const well = isWell && h("p.alert.success", null, "Nothing wrong was found. Test sign-in proves it.")
	const items = found.map(({ level, plugin, what, why, fix }) => h("li", null,
		h("div.po-failure-head", null,
			h(`span.label.${colours[level]}`, null, level),
			plugin && h("strong", null, plugin)),
		h("p", null, what + " " + why),
		h("p.po-fix", null, h("b", null, "To fix it: "), fix)))
	return [well, items.length > 0 && h("ul.po-list", null, items)]
}
