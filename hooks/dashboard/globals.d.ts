// What PocketBase's dashboard gives its extensions, and what the routes below /api/plugin-oauth answer, for
// the type check: the browser does not get this file. Durations are in seconds. A plugin is named by its
// slug, or "/" for the one at the root.

/** PocketBase's dashboard. The API for extensions is experimental: main.js checks what must be there. */
declare var app: {
	pb: {
		/** Rejects with an error that has the status of the answer, 0 if there was none. */
		send(path: string, options: { method?: string, requestKey: null }): Promise<any>
	}
	routes: {
		superuserOnly(path: string, handler: (route?: { query?: Query }) => Promise<Node>): void
		fallbackPath: string
	}
	store: {
		title: string
		headerLinks: { href: string, icon: string, label: string }[]
		collections?: PocketBaseCollection[]
	}
	modals?: {
		confirm?(question: string, yes: () => unknown, no: null, buttons: ConfirmButtons): void
		openRecordUpsert?: OpenRecord
	}
	checkApiError?(error: unknown): void
}

type ConfirmButtons = { yesButton: string, noButton: string }

/** The parameters of an address. */
type Query = Partial<Record<string, string[]>>

type PocketBaseCollection = { name: string }

/** The record is an object or an id. If it is missing, the form is for a new one. */
type OpenRecord = (
	collection?: PocketBaseCollection, record?: string | { id?: string } | null,
	settings?: { onafteropen?: (form: HTMLElement) => void } | null, ...more: unknown[]
) => unknown

/** The element of a selector such as "div.label.success". */
type ElementOf<Selector extends string> =
	Selector extends Tag ? HTMLElementTagNameMap[Selector]
	: Selector extends `${infer First extends Tag}.${string}` ? HTMLElementTagNameMap[First]
	: HTMLElement
type Tag = keyof HTMLElementTagNameMap

/**
 * An attribute that is false or undefined is left out, and one that is true has no value. A function
 * listens to the event that its name has after "on".
 */
type Attributes = Record<string, string | boolean | undefined | ((event: Event) => unknown)>

type Child = Node | string | false | null | undefined
type Children = (Child | Child[])[]

/** Which sign-ins the page shows. A blank plugin stands for all of them. */
type Choice = { span: Span, plugin: string }
type Span = "hour" | "day" | "week"

/** GET sign-ins */
type SignIns = {
	/** How long sign-ins are kept one by one. */
	retention: number
	/** The newest of the sign-ins under way, and how many there are in all. */
	live: LiveSignIn[]
	liveCount: number
	/** For each plugin. */
	funnel: (Counts & { plugin: string })[]
	/** Oldest first. The hour is its start (RFC 3339). */
	hours: Hour[]
	/** How long people took. */
	toClaim: { count: number, median: number, p95: number }
	/** The newest first. */
	failures: Failure[]
}

type Stage = "started" | "redirected" | "finished"
type Outcome = "claimed" | "denied" | "failed" | "expired"
/** How many sign-ins got how far, and how they ended. */
type Counts = Record<Stage | Outcome, number>
type Hour = Counts & { hour: string }
type LiveSignIn = { id: string, plugin: string, stage: Stage, origin: string, age: number, left: number }
type Failure = {
	id: string
	plugin: string
	error: string
	/** What the person and the plugin were told. */
	description: string
	cause: string
	fix: string
	ago: number
}

/** GET plugins: where the world reaches the service, and what authors need to know about each plugin. */
type Plugins = { base: string, plugins: PluginHelp[] }

/** What a plugin's author pastes where. */
type Addresses = { backend: string, redirectUri: string, console?: string, origins?: string[] | null }
type PluginHelp = Addresses & {
	/** The id of its record. It is blank if the plugin is not from the dashboard. */
	id: string
	slug: string
	name: string
	provider: string
	enabled: boolean
	/** Why the plugin cannot be used. It is blank if it can. */
	problem: string
	/** The token that can be revoked. It is blank if none can. */
	revoke: "access" | "refresh" | "any" | ""
	/** What the plugin must name with each request. */
	tenant: Tenant | null
}
/** If the default is blank, the plugin must send it. */
type Tenant = { name: string, example: string, default: string }

/** GET doctor answers with a list of these. The plugin is blank if the finding is not about one. */
type Finding = { level: "error" | "warning", plugin: string, what: string, why: string, fix: string }
