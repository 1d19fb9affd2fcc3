import { auth, notion } from "./auth"

// What is used of Notion's API: https://developers.notion.com/reference

export interface Database {
	id: string
	title: Text[]
	/** By their names. */
	properties: Record<string, Property>
}

export interface Property {
	id: string
	name: string
	type: string
	/** Of the type select. */
	select?: { options: Option[] }
}

export interface Page {
	id: string
	properties: Record<string, Value>
}

/** The value of a property. There are more types; those that are not listed here are not imported. */
export type Value = { id: string } & (
	| { type: "title"; title: Text[] }
	| { type: "rich_text"; rich_text: Text[] }
	| { type: "number"; number: number | null }
	| { type: "checkbox"; checkbox: boolean }
	| { type: "date"; date: { start: string } | null }
	| { type: "select"; select: Option | null }
	| { type: "url"; url: string | null }
)

export interface Text {
	plain_text: string
}

export interface Option {
	id: string
	name: string
}

/** What may take long can be stopped, and says how far it is. */
export interface Task {
	signal: AbortSignal
	say: (words: string) => void
}

/** The databases that the person has let the plugin see. */
export function listDatabases(task: Task): Promise<Database[]> {
	const query = { filter: { property: "object", value: "database" } }
	return readAll(task, "/v1/search", query, () => "Your databases are loading …")
}

export function readDatabase(task: Task, id: string): Promise<Database> {
	return call(task, `/v1/databases/${id}`)
}

/** All pages of a database, the oldest first: so of two with the same title, each keeps its slug. */
export function readPages(task: Task, database: Database): Promise<Page[]> {
	const query = { sorts: [{ timestamp: "created_time", direction: "ascending" }] }
	const words = (n: number) => `“${titleOf(database)}” is being read${n > 0 ? `: ${pages(n)}` : ""} …`
	return readAll(task, `/v1/databases/${database.id}/query`, query, words)
}

export const textOf = (texts: Text[]) => texts.map(text => text.plain_text).join("")
export const titleOf = (database: Database) => textOf(database.title) || "Untitled"
export const pages = (n: number) => n === 1 ? "1 page" : `${n} pages`

interface List<T> {
	results: T[]
	next_cursor: string | null
}

/** Reads a list to its end. Notion gives 100 entries at once, or fewer. */
async function readAll<T>(task: Task, path: string, query: object, words: (n: number) => string) {
	const all: T[] = []
	let cursor: string | null = null
	do {
		task.say(words(all.length))
		const page: object = cursor ? { ...query, start_cursor: cursor } : query
		const list: List<T> = await call(task, path, page)
		all.push(...list.results)
		cursor = list.next_cursor
	} while (cursor)
	return all
}

/** Calls Notion: with a body by POST, and otherwise by GET. */
async function call<T>(task: Task, path: string, body?: object): Promise<T> {
	for (let attempt = 1; ; attempt++) {
		const response = await auth.fetch(notion + path, {
			method: body ? "POST" : "GET",
			headers: { "Notion-Version": "2022-06-28", "Content-Type": "application/json" },
			body: body ? JSON.stringify(body) : null,
			signal: task.signal,
		}).catch(unreachable)
		if (response.ok) return response.json().catch(unreachable)
		// Notion lets a plugin call three times a second. Beyond that it answers 429.
		const seconds = Number(response.headers.get("Retry-After") ?? NaN)
		if (!(seconds <= 60) || attempt === 5) throw new Error(await reason(response))
		task.say(`Notion is busy. It goes on in ${seconds} s …`)
		await wait(seconds, task.signal)
	}
}

/** The client's errors have words for people already. The browser's have not. */
function unreachable(error: Error): never {
	if (error.name === "AuthError") throw error
	throw new Error("Notion cannot be reached. Check your connection, and try again.", { cause: error })
}

function wait(seconds: number, signal: AbortSignal) {
	return new Promise<void>((resolve, reject) => {
		const timer = setTimeout(resolve, seconds * 1000)
		signal.addEventListener("abort", () => {
			clearTimeout(timer)
			reject(signal.reason)
		}, { once: true })
	})
}

/** Says for a person why a call failed. */
async function reason(response: Response): Promise<string> {
	const answer = await response.json().catch(() => null)
	if (response.status === 401) return "Notion has ended the sign-in. Sign out, and sign in again."
	if (answer?.error_description) return answer.error_description // the backend's, not Notion's
	switch (response.status) {
		case 403:
		case 404:
			return "The plugin may not see this database. In Notion, add the plugin to its connections."
		case 429:
			return "Notion is too busy. Try again in some minutes."
		default:
			return response.status >= 500
				? "Notion has a problem. Try again in some minutes."
				: `Notion does not accept this: ${answer?.message ?? response.status}`
	}
}
