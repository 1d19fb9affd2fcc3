import "./App.css"
import { useAuth } from "plugin-oauth/react"
import { useEffect, useState } from "react"
import { auth, userinfo } from "./auth"

export function App() {
	const { status, url, error } = useAuth(auth)

	// The browser lets a window open in the click only, so nothing is awaited before signIn.
	const signIn = () => auth.signIn().catch(() => {}) // the state has the error

	// The key keeps the button, and with it the focus, from one state to the next.
	switch (status) {
		case "loading":
			return (
				<main>
					<p role="status">One moment, please …</p>
				</main>
			)
		case "signedOut":
			return (
				<main>
					{error
						? <p key="error" role="alert">{error.message}</p>
						: <p role="status">Sign in to see your profile.</p>}
					<button key="button" className="framer-button-primary" onClick={signIn}>Sign in</button>
				</main>
			)
		case "waiting":
			return (
				<main>
					<p role="status">Finish the sign-in in your browser.</p>
					<a href={url} target="_blank" rel="noopener">Open the page again</a>
					<button key="button" onClick={auth.signOut}>Cancel</button>
				</main>
			)
		case "signedIn":
			return (
				<main>
					<Profile />
					<button key="button" onClick={auth.signOut}>Sign out</button>
				</main>
			)
	}
}

/** What the provider says of the person, as far as the scope allows (OpenID Connect Core, section 5.1). */
interface Person {
	name?: string
	email?: string
	picture?: string
}

function Profile() {
	const [person, setPerson] = useState<Person | "loading" | "failed">("loading")

	useEffect(() => {
		if (person !== "loading") return
		const left = new AbortController()
		load(left.signal).then(setPerson, () => left.signal.aborted || setPerson("failed"))
		return () => left.abort()
	}, [person])

	if (person === "loading") return <p role="status">Your profile is loading …</p>
	if (person === "failed") {
		return (
			<>
				<p role="alert">Your profile cannot be loaded.</p>
				<button onClick={() => setPerson("loading")}>Try again</button>
			</>
		)
	}
	return (
		<section>
			{person.picture && <img src={person.picture} alt="" referrerPolicy="no-referrer" />}
			<h1>{person.name ?? "You are signed in"}</h1>
			<p>{person.email}</p>
		</section>
	)
}

async function load(signal: AbortSignal): Promise<Person> {
	const response = await auth.fetch(userinfo, { signal })
	if (!response.ok) throw new Error(`The provider answers ${response.status}.`)
	return response.json()
}
