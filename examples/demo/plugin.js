// A plugin with the client of plugin-oauth.
import { createAuth } from "{{.Backend}}/client.js"

const auth = createAuth({ backend: "{{.Backend}}" })
const element = id => document.getElementById(id)
let shown

element("signIn").onclick = () => auth.signIn().catch(() => {}) // what went wrong is shown below
element("cancel").onclick = () => auth.signOut() // it also ends a sign-in that goes on after a reload
element("signOut").onclick = () => auth.signOut()

function say(text, bad = false) {
	element("status").textContent = text
	element("status").className = bad ? "bad" : ""
}

function show({ status, error, url }) {
	element("signIn").hidden = status !== "signedOut"
	element("cancel").hidden = status !== "waiting"
	element("again").hidden = !url
	element("again").href = url ?? ""
	element("signOut").hidden = status !== "signedIn"
	if (status === "waiting") say("Finish the sign-in in the other window …")
	else if (status === "loading") say("One moment, please …")
	else if (status === "signedIn") shown === "signedIn" || greet()
	else if (error) say(error.message, true)
	else say("Sign in to see who you are.")
	shown = status
}

async function greet() {
	try {
		const response = await auth.fetch("{{.Issuer}}/userinfo")
		if (!response.ok) throw new Error("The provider does not say who you are.")
		const { name, email } = await response.json()
		if (auth.state.status === "signedIn") say(`You are signed in as ${name} (${email}).`)
	} catch (error) {
		say(error.message, true)
	}
}

auth.onChange(show)
show(auth.state)
