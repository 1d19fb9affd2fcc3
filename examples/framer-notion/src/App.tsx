import "./App.css"
import { framer } from "framer-plugin"
import { useAuth } from "plugin-oauth/react"
import { useEffect, useRef, useState } from "react"
import { auth } from "./auth"
import { importDatabase, importedDatabase } from "./import"
import { listDatabases, titleOf, type Database, type Task } from "./notion"

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
						: <p role="status">Sign in to import a database from Notion.</p>}
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
					<Importer />
					<button key="button" onClick={auth.signOut}>Sign out</button>
				</main>
			)
	}
}

/** What the importer shows. */
type View =
	| { name: "busy"; words: string }
	| { name: "failed"; words: string }
	| { name: "choice"; databases: Database[]; imported: string | null }

function Importer() {
	const [view, show] = useState<View>({ name: "busy", words: "One moment, please …" })
	const running = useRef<AbortController | null>(null)

	/** Starts something that may take long, in place of what runs. */
	function run(start: (task: Task) => Promise<View | string>) {
		running.current?.abort()
		const { signal } = running.current = new AbortController()
		const say = (words: string) => signal.aborted || show({ name: "busy", words })
		say("One moment, please …")
		start({ signal, say }).then(
			done => {
				if (typeof done === "string") framer.closePlugin(done, { variant: "success" })
				if (!signal.aborted) show(done)
			},
			error => signal.aborted || show({ name: "failed", words: error.message }),
		)
	}

	useEffect(() => {
		run(framer.mode === "syncManagedCollection" ? sync : choose)
		return () => running.current?.abort()
	}, [])

	switch (view.name) {
		case "busy":
			return <p role="status">{view.words}</p>
		case "failed":
			return (
				<>
					<p role="alert">{view.words}</p>
					<button className="framer-button-primary" onClick={() => run(choose)}>Try again</button>
				</>
			)
		case "choice":
			return view.databases.length > 0
				? <Choice {...view} onChosen={id => run(task => importDatabase(task, id))} />
				: <p role="status">Notion shows no database. Sign in again, and choose one there.</p>
	}
}

async function choose(task: Task): Promise<View> {
	const imported = await importedDatabase()
	return { name: "choice", databases: await listDatabases(task), imported }
}

/** Imports the database of the last time again. If there was none, one is chosen. */
async function sync(task: Task): Promise<View | string> {
	const imported = await importedDatabase()
	return imported ? importDatabase(task, imported) : choose(task)
}

interface ChoiceProps {
	databases: Database[]
	imported: string | null
	onChosen: (id: string) => void
}

function Choice({ databases, imported, onChosen }: ChoiceProps) {
	const known = databases.find(database => database.id === imported) ?? databases[0]!
	const [id, setID] = useState(known.id)
	return (
		<>
			<label>
				Database
				<select value={id} onChange={event => setID(event.target.value)}>
					{databases.map(database => (
						<option key={database.id} value={database.id}>{titleOf(database)}</option>
					))}
				</select>
			</label>
			<button className="framer-button-primary" onClick={() => onChosen(id)}>Import</button>
		</>
	)
}
