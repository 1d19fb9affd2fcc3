/** What the page asks of the code beside the document. All but "close" is answered. */
export type Request =
	| { type: "getItem", key: string }
	| { type: "setItem", key: string, value: string }
	| { type: "removeItem", key: string }
	| { type: "open", url: string }
	| { type: "addCard", person: Person }
	| { type: "close" }

/** A request, with a number that its answer has, too. */
export interface Question {
	id: number
	request: Request
}

/** The answer. It has an error if what was asked for failed. */
export interface Answer {
	id: number
	value?: unknown
	error?: string
}

/** What the provider says of the person, as far as the scope allows (OpenID Connect Core, section 5.1). */
export interface Person {
	name?: string
	email?: string
}
