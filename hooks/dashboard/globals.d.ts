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
	toasts?: {
		/** A toast takes the place of one with the same key. The duration is in milliseconds. */
		error?(text: string, options: { key: string, duration: number }): void
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
	settings?: { onafteropen?: (form: HTMLElement) => void, onsave?: () => void } | null, ...more: unknown[]
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
	/** What the plugin at the root is called. */
	root: string
	/** Whether anybody has started to sign in within the last year. */
	ever: boolean
	/** Whether the plugin of any has got its tokens within the last year. */
	succeeded: boolean
	/** The newest of the sign-ins under way, and how many there are in all. */
	live: LiveSignIn[]
	liveCount: number
	/** For each plugin. */
	funnel: (Counts & { plugin: string })[]
	/** Oldest first. The hour is its start (RFC 3339). */
	hours: Hour[]
	/** How long people took. */
	toClaim: { count: number, median: number, p95: number }
	/** The kind with the newest first. */
	failures: FailureKind[]
	/** The machines of a cluster. Without one it is missing. */
	machines?: Machine[]
}

/** A machine of a cluster, as the one that answers knows it. */
type Machine = {
	name: string
	/** It is blank if the machine was never heard. */
	version: string
	leads: boolean
	/** Whether it is the one that answers. */
	isThis: boolean
	/** How long ago it was heard last. */
	seen: number | null
	/** How many bytes its disk has left. */
	free: number | null
	/** By how much its clock is ahead. */
	ahead: number | null
}

type Stage = "started" | "redirected" | "finished"
type Outcome = "claimed" | "denied" | "failed" | "expired"
/** How many sign-ins got how far, and how they ended. */
type Counts = Record<Stage | Outcome, number>
type Hour = Counts & { hour: string }
type LiveSignIn = { id: string, plugin: string, stage: Stage, origin: string, age: number, left: number }
/** What has no number of its own is that of the newest failure of the kind. */
type FailureKind = {
	id: string
	plugin: string
	error: string
	count: number
	/** What the person and the plugin were told. */
	description: string
	cause: string
	fix: string
	ago: number
}

/**
 * GET plugins: where the world reaches the service, what must be set before a plugin can be added, and what
 * authors need to know about each plugin.
 */
type Plugins = { base: string, missing?: string, plugins: PluginHelp[] }

/** What a plugin's author pastes where. */
type Addresses = { backend: string, redirectUri: string, console?: string, origins?: string[] | null }
type PluginHelp = Addresses & {
	/** The id of its record. It is blank if the plugin is not from the dashboard. */
	id: string
	slug: string
	/** What the page calls it. */
	label: string
	name: string
	provider: string
	enabled: boolean
	/** Why the plugin cannot be used. It is blank if it can. */
	problem: string
	/** The token that can be revoked. It is blank if none can. */
	revoke: "access" | "refresh" | "any" | ""
	/** The hosts that it may call through /fetch. */
	apiHosts: string[]
	/** What the plugin must name with each request. */
	tenant: Tenant | null
}
/** If the default is blank, the plugin must send it. */
type Tenant = { name: string, example: string, default: string }

/** GET providers answers with a list of these. The first has no name: it stands for any other provider. */
type Provider = {
	name: string
	title: string
	console: string
	/** What usually goes wrong. */
	hint: string
	/** A space or a comma. It is blank if that is not known. */
	scopeSeparator: string
	scopes: { scope: string, allows: string }[]
	/** The scope without which no refresh token comes. It is blank if there is none. */
	refreshScope: string
	refreshNote: string
	revoke: "access" | "refresh" | "any" | ""
	/** An example of what the provider wants in place of the redirect URI. */
	redirectName: string
	/** Where its API is, and whether browsers may call it. */
	api: string
	/** Whether they may. It is blank if that is not known. */
	cors: "yes" | "no" | ""
	/** The hosts that "on" stands for in the field apiHosts. */
	apiHosts: string[]
	/** The fields that must be filled in. */
	required: string[]
	/** What is in a field that is left blank. */
	fills: Partial<Record<string, string>>
}

type Level = "error" | "warning" | "hint"

/** GET doctor answers with a list of these. The plugin is blank if the finding is not about one. */
type Finding = { level: Level, plugin: string, what: string, why: string, fix: string }
