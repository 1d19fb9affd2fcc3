import { h, table } from "./dom.js"
import { duration } from "./words.js"

// A machine says every 10 seconds that it is there.
const unseenAfter = 30 // seconds
// Who claims tokens goes by the clock for 3 seconds.
const clockTolerance = 1 // seconds
const littleSpace = 100 * 2 ** 20 // bytes

/** @param {Machine} machine */
const isUnseen = ({ seen }) => seen === null || seen > unseenAfter
/** @param {Machine} machine */
const isOutOfStep = ({ ahead }) => ahead !== null && Math.abs(ahead) > clockTolerance
/** @param {Machine[]} machines */
const hasLeader = machines => machines.some(machine => machine.leads)
/** @param {Machine} machine */
const isFull = ({ free }) => free !== null && free < littleSpace

/**
 * Says what is wrong with the machines, for the top of the page.
 * @param {Machine[]} machines
 */
export function machineTrouble(machines) {
	const unseen = machines.filter(isUnseen)
	const isAlone = machines.length > 0 && !hasLeader(machines)
	return [
		isAlone && alert("danger",
			"No machine leads, since most of them cannot be reached from this one. Until they can, nobody",
			"can sign in here, and nothing can be saved or ended."),
		!isAlone && unseen.length > 0 && alert("warning",
			`${listed(unseen.map(machine => machine.name))} ${unseen.length === 1 ? "has" : "have"} not been`,
			"seen lately. The service goes on as long as most of the machines are there. Start what has",
			"ended, and look at the network between the machines."),
		...machines.filter(isOutOfStep).map(machine => alert("warning",
			`The clock of ${machine.name} is ${clockWords(machine)} this machine's.`,
			"Set the clocks by NTP on all machines: each goes by its own when a sign-in expires.")),
		...machines.filter(isFull).map(({ name, free }) => alert("warning",
			`The disk of ${name} has only ${bytes(free ?? 0)} left. When it is full, the machine fails.`)),
	]
}

/**
 * The machines, with what each says of itself.
 * @param {Machine[]} machines
 */
export function machineList(machines) {
	const versions = new Set(machines.map(machine => machine.version).filter(Boolean))
	return [
		h("h2", null, "Machines"),
		table("Machines", ["Machine", "State", "Last seen", "Disk free", "Clock", "Version"],
			machines.map(machine => row(machine, hasLeader(machines))), ["Clock", "Version"]),
		versions.size > 1 && h("p.txt-hint.po-below", null,
			"The machines have different versions. That is fine during an upgrade; finish it soon."),
	]
}

/**
 * @param {Machine} machine
 * @param {boolean} isLed whether any machine leads
 */
function row(machine, isLed) {
	const { name, version, isThis, free } = machine
	return h("tr", null,
		h("th", { scope: "row" }, name, isThis && h("small.txt-hint", null, " (this one)")),
		h("td", null, state(machine, isLed)),
		h("td", null, seenWords(machine)),
		h("td", null, marked(isFull(machine), free === null ? "–" : bytes(free))),
		h("td.po-wide", null, marked(isOutOfStep(machine), clock(machine))),
		h("td.po-wide.txt-hint", null, version || "–"))
}

/**
 * @param {Machine} machine
 * @param {boolean} isLed
 */
function state(machine, isLed) {
	if (isUnseen(machine)) return h("span.label.danger", null, "Not seen")
	if (!isLed) return h("span.label.warning", null, "Waits")
	return machine.leads ? h("span.label.success", null, "Leads") : h("span.label", null, "Follows")
}

/** @param {Machine} machine */
function seenWords({ seen, isThis }) {
	if (isThis) return "now"
	return seen === null ? "never" : duration(seen) + " ago"
}

/** @param {Machine} machine */
function clock(machine) {
	if (machine.isThis) return "–"
	if (machine.ahead === null) return "not known yet"
	return isOutOfStep(machine) ? clockWords(machine).replace(/ of$/, "") : "in step"
}

/** @param {Machine} machine */
function clockWords({ ahead }) {
	const seconds = ahead ?? 0
	return duration(Math.abs(seconds)) + (seconds > 0 ? " ahead of" : " behind")
}

/**
 * @param {boolean} isBad
 * @param {string} words
 */
function marked(isBad, words) {
	return isBad ? h("span.label.warning", null, words) : words
}

/**
 * @param {"warning" | "danger"} kind
 * @param {string[]} words
 */
function alert(kind, ...words) {
	return h(`p.alert.${kind}`, null, words.join(" "))
}

/**
 * Formats a number of bytes with about two digits.
 * @param {number} count
 */
function bytes(count) {
	const megabytes = count / 2 ** 20
	if (megabytes < 1024) return Math.floor(megabytes) + " MB"
	const gigabytes = megabytes / 1024
	return (gigabytes < 10 ? gigabytes.toFixed(1) : Math.round(gigabytes)) + " GB"
}

/**
 * a; a and b; a, b and c
 * @param {string[]} names
 */
function listed(names) {
	return names.join(", ").replace(/, ([^,]*)$/, " and $1")
}
