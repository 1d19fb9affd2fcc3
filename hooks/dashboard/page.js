import { checkSignedIn, send } from "./api.js"
import { chart } from "./chart.js"
import { choiceControls, readChoice } from "./controls.js"
import { total } from "./counts.js"
import { h, show } from "./dom.js"
import { secondFactor } from "./factor.js"
import { failureList } from "./failures.js"
import { funnelTable } from "./funnel.js"
import { guide } from "./guide.js"
import { liveList } from "./live.js"
import { machineList, machineTrouble } from "./machines.js"
import { pluginHelp } from "./plugins.js"
import { nobodyYet, tiles, verdict } from "./summary.js"
import { pluginNames } from "./words.js"

const refreshEvery = 5000 // milliseconds, while the page is visible

/**
 * The page. It refreshes every few seconds until it is left. Its address keeps what was chosen.
 * @param {Query} query
 */
export function signInsPage(query) {
	const chosen = readChoice(query)
	const parts = emptyParts()
	const help = pluginHelp(parts.plugins)
	secondFactor(parts.admins)
	const fresh = h("span.po-fresh", { role: "status" })
	const controls = choiceControls(choose)
	const page = h("div.page", null, h("div.page-content.full-height.po", null,
		h("header.page-header", null,
			h("h1", null, "Sign-ins"),
			h("div.po-controls", null, controls.elements, fresh)),
		Object.values(parts)))

	let asked = 0
	async function refresh() {
		const asking = ++asked
		try {
			/** @type {SignIns} */
			const answer = await send("sign-ins?" + new URLSearchParams(chosen))
			if (asking !== asked) return // another choice was made meanwhile
			const slugs = answer.funnel.map(row => row.plugin)
			controls.showPlugins(slugs, chosen.plugin, pluginNames(answer.root))
			fill(parts, answer, { chosen, choose, refresh })
			controls.show(answer.ever)
			showState("Live", false)
			const plugins = await help.refresh()
			if (plugins) showGuide(parts.guide, answer.succeeded ? null : plugins, refresh)
		} catch (error) {
			if (asking !== asked) return
			checkSignedIn(error)
			showState("The service does not answer. Trying again…", true)
		}
	}

	/**
	 * @param {string} text
	 * @param {boolean} stale
	 */
	function showState(text, stale) {
		if (fresh.textContent !== text) fresh.textContent = text
		page.classList.toggle("po-stale", stale)
	}

	/** @param {Partial<Choice>} choice */
	function choose(choice) {
		Object.assign(chosen, choice)
		controls.showChoice(chosen)
		refresh()
	}

	choose({})
	// The next refresh waits for the answer, however slow that is.
	async function repeat() {
		if (!document.hidden) await refresh()
		if (page.isConnected) setTimeout(repeat, refreshEvery)
	}
	setTimeout(repeat, refreshEvery)
	return page
}

/** The parts of the page, from top to bottom. */
function emptyParts() {
	/**
	 * @param {string} name
	 * @param {string} label
	 */
	const part = (name, label) => h(`section.po-part.po-${name}`, { "aria-label": label })
	return {
		verdict: h("div.po-verdict", { role: "status" }),
		trouble: h("div.po-verdict", { role: "status" }),
		guide: part("guide", "The first sign-in"),
		tiles: h("div.po-tiles"),
		chart: part("chart", "Sign-ins per hour"),
		live: part("live", "Under way"),
		funnel: part("funnel", "How far they came"),
		failures: part("failures", "What failed"),
		machines: part("machines", "Machines"),
		plugins: part("plugins", "Plugins"),
		admins: part("admins", "Admins"),
	}
}

/**
 * Shows an answer in all parts except the plugins, which load their own.
 * @param {ReturnType<typeof emptyParts>} parts
 * @param {SignIns} answer
 * @param {{ chosen: Choice, choose: (choice: Partial<Choice>) => void, refresh: () => void }} actions
 */
function fill(parts, answer, { chosen, choose, refresh }) {
	const rows = answer.funnel.filter(row => !chosen.plugin || row.plugin === chosen.plugin)
	const sum = total(rows)
	const words = answer.ever ? verdict(rows, sum, { span: chosen.span, root: answer.root }) : nobodyYet()
	announce(parts.verdict, words)
	const { machines } = answer
	announce(parts.trouble, ...machineTrouble(machines ?? []))
	parts.machines.hidden = !machines
	show(parts.machines, machines && machineList(machines))
	for (const name of figures) parts[name].hidden = !answer.ever
	show(parts.tiles, tiles(sum, answer))
	show(parts.chart, chart(answer.hours))
	show(parts.live, liveList(answer, refresh))
	show(parts.funnel, funnelTable(answer, chosen, plugin => choose({ plugin })))
	show(parts.failures, failureList(answer, chosen.span, sum.failed))
}

/**
 * Shows words that screen readers read out, unless they are there already.
 * @param {HTMLElement} part
 * @param {(HTMLElement | false)[]} words
 */
function announce(part, ...words) {
	const said = words.map(word => word && word.textContent).filter(Boolean).join("")
	if (part.textContent !== said) show(part, words)
}

/** The parts that would be empty before the first sign-in. */
const figures = /** @type {const} */ (["tiles", "chart", "live", "funnel", "failures"])

/**
 * Shows the way to the first sign-in, or hides it if the plugins are null.
 * @param {HTMLElement} part
 * @param {PluginHelp[] | null} plugins
 * @param {() => void} refresh
 */
function showGuide(part, plugins, refresh) {
	const shown = JSON.stringify(plugins)
	if (part.dataset.shown === shown) return
	part.dataset.shown = shown
	part.hidden = !plugins
	show(part, plugins && guide(plugins, refresh))
}
