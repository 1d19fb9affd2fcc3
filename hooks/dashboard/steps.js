import { h } from "./dom.js"
import { duration } from "./words.js"

/**
 * Adds a step to a list. It is shown as running until good or bad is called.
 * @param {HTMLElement} list
 * @param {string} words
 */
export function addStep(list, words) {
	const began = performance.now()
	const result = h("span", null, "…")
	const line = h("li.po-running", null, h("b", null, words), result)
	list.append(line)
	/** @param {"good" | "bad"} kind */
	const finish = kind => (/** @type {string} */ text) => {
		line.className = "po-" + kind
		result.textContent = `${text} (${duration((performance.now() - began) / 1000)})`
	}
	return {
		/** @param {string} text */
		note: text => {
			result.textContent = text
		},
		good: finish("good"),
		bad: finish("bad"),
	}
}
