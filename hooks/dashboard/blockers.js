import { h } from "./dom.js"

/**
 * What filter lists of content blockers look for in addresses, as words of a slug: advertisements, counting
 * and following people, and the services that are known for it.
 */
const words = new RegExp("^(" + [
	"ads?", "adv", "advert.*", "adsense", "adwords", "banners?", "popups?", "sponsor.*",
	"beacons?", "collect(or)?", "conversions?", "counter", "fingerprint.*", "impressions?", "metrics?",
	"pixels?", "stats?", "statistics", "track(er|ers|s)?",
	"gtag", "gtm", "hotjar", "matomo", "mixpanel", "piwik", "segment",
].join("|") + ")$")

/** What they also find inside of a word. */
const parts = /analytics|tracking|telemetry|doubleclick|adserv|tagmanager/

/**
 * Warns of a slug whose addresses content blockers may stop, or returns nothing.
 * @param {string} slug
 */
export function blockerWarning(slug) {
	const word = slug.split("-").find(word => words.test(word) || parts.test(word))
	if (!word) return []
	const warning = `Content blockers may stop every request to an address with “${word}” in it, and people `
		+ "who use one could not sign in. Choose another slug."
	return [h("p.po-warning", { role: "status" }, warning)]
}
