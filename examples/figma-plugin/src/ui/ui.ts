// This half is the page. It has the network, and neither figma nor a storage.
import type { Person } from "../messages"
import { ask } from "./ask"
import { auth, openInBrowser, userinfo } from "./auth"

type Profile = Person | "loading" | "failed"

let profile: Profile | null = null // null: nobody is signed in
let loading: AbortController | undefined
let card: "added" | "failed" | null = null

const element = (id: string) => document.getElementById(id)!
const again = element("again") as HTMLAnchorElement
const button = element("button") as HTMLButtonElement

/** The button for each state. It is the same element, so that the focus stays. */
const buttons = {
	loading: null,
	signedOut: { words: "Sign in", press: () => auth.signIn().catch(() => {}) }, // the state has the error
	waiting: { words: "Cancel", press: auth.signOut },
	signedIn: { words: "Sign out", press: auth.signOut },
}

function statusText() {
	switch (auth.state.status) {
		case "loading":
			return "One moment, please …"
		case "signedOut":
			return auth.state.error ? "" : "Sign in to put your name on the page."
		case "waiting":
			return "Finish the sign-in in your browser."
		case "signedIn":
			if (profile === "loading") return "Your profile is loading …"
			return card === "added" ? "Your card is on the page." : ""
	}
}

function alertText() {
	if (profile === "failed") return "Your profile cannot be loaded."
	return card === "failed" ? "The card cannot be added to this page." : auth.state.error?.message ?? ""
}

function show() {
	const person = typeof profile === "object" ? profile : null
	element("initial").hidden = element("add").hidden = !person
	const name = person ? person.name || person.email || "You are signed in" : "Name card"
	element("initial").textContent = name.charAt(0)
	element("name").textContent = name
	element("email").textContent = person?.name && person.email || ""
	say("status", statusText())
	say("alert", alertText())

	const { url } = auth.state
	again.hidden = !url
	again.href = url ?? ""
	element("retry").hidden = profile !== "failed"
	const now = buttons[auth.state.status]
	if (!now) return // it stays as it is, with the focus
	button.hidden = false
	button.textContent = now.words
	button.className = now === buttons.signedOut ? "main" : ""
}

/** Screen readers read out what changes, so what stays is not set again. */
function say(id: string, words: string) {
	if (element(id).textContent !== words) element(id).textContent = words
}

async function load() {
	loading = new AbortController()
	const { signal } = loading
	profile = "loading"
	show()
	let loaded: Profile
	try {
		const response = await auth.fetch(userinfo, { signal })
		if (!response.ok) throw new Error(`The provider answers ${response.status}.`)
		loaded = await response.json()
	} catch {
		loaded = "failed"
	}
	if (signal.aborted) return
	profile = loaded
	show()
}

async function addCard() {
	if (!profile || typeof profile === "string") return
	card = null
	show()
	card = await ask({ type: "addCard", person: profile }).then(() => "added", () => "failed")
	show()
}

function follow() {
	if (auth.state.status !== "signedIn") {
		loading?.abort()
		profile = card = null
	} else if (!profile) {
		void load()
	}
	show()
}

button.onclick = () => buttons[auth.state.status]?.press()
element("add").onclick = addCard
element("retry").onclick = load
again.onclick = event => {
	event.preventDefault()
	void openInBrowser(again.href)
}
onkeydown = ({ key }) => {
	if (key === "Escape") void ask({ type: "close" })
}
auth.onChange(follow)
follow()
