/**
 * Formats a number of seconds with about two digits.
 * @param {number} seconds
 */
export function duration(seconds) {
	if (seconds < 10) return Math.max(0, seconds).toFixed(1) + " s"
	if (seconds < 120) return Math.round(seconds) + " s"
	if (seconds < 7200) return Math.round(seconds / 60) + " min"
	if (seconds < 172800) return Math.round(seconds / 3600) + " h"
	return Math.round(seconds / 86400) + " days"
}

/**
 * Counts things: 1 sign-in, 2 sign-ins.
 * @param {number} count
 * @param {string} thing
 */
export function plural(count, thing) {
	return count + " " + thing + (count === 1 ? "" : "s")
}

/**
 * Returns what to call a plugin: its slug, or for the one at the root, which has none, its name.
 * @param {string} root
 * @returns {(plugin: string) => string}
 */
export function pluginNames(root) {
	return plugin => plugin === "/" ? root : plugin
}
