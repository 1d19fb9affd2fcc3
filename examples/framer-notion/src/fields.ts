import type {
	FieldDataEntryInput, ManagedCollectionFieldInput, ManagedCollectionItemInput,
} from "framer-plugin"
import { textOf, type Database, type Option, type Page, type Property, type Value } from "./notion"

/** What a select is in Framer while nothing is selected: an enum always has one of its cases. */
const none = { id: "none", name: "None" }

/** The fields of a collection for the properties of a database. */
export function fieldsOf(database: Database): ManagedCollectionFieldInput[] {
	return Object.values(database.properties).map(fieldOf).filter(field => field !== null)
}

function fieldOf({ id, name, type, select }: Property): ManagedCollectionFieldInput | null {
	switch (type) {
		case "title":
		case "rich_text":
			return { id, name, type: "string" }
		case "number":
			return { id, name, type: "number" }
		case "checkbox":
			return { id, name, type: "boolean" }
		case "date":
			return { id, name, type: "date" }
		case "select":
			return { id, name, type: "enum", cases: [none, ...select?.options.map(caseOf) ?? []] }
		case "url":
			return { id, name, type: "link" }
		default:
			return null
	}
}

const caseOf = ({ id, name }: Option) => ({ id, name }) // without its colour

function entryOf(value: Value): FieldDataEntryInput | null {
	switch (value.type) {
		case "title":
			return { type: "string", value: textOf(value.title) }
		case "rich_text":
			return { type: "string", value: textOf(value.rich_text) }
		case "number":
			return { type: "number", value: value.number ?? 0 } // a number in Framer is never blank
		case "checkbox":
			return { type: "boolean", value: value.checkbox }
		case "date":
			return { type: "date", value: value.date?.start ?? null }
		case "select":
			return { type: "enum", value: value.select?.id ?? none.id }
		case "url":
			return { type: "link", value: value.url }
		default:
			return null
	}
}

/** The items of a collection for the pages of a database. */
export function itemsOf(pages: Page[]): ManagedCollectionItemInput[] {
	const taken = new Set<string>()
	return pages.map(page => {
		const values = Object.values(page.properties)
		const entries = values.map(value => [value.id, entryOf(value)] as const)
		const slug = slugOf(page, taken)
		taken.add(slug)
		return { id: page.id, slug, fieldData: Object.fromEntries(entries.filter(hasEntry)) }
	})
}

function hasEntry<T>(pair: readonly [string, T | null]): pair is readonly [string, T] {
	return pair[1] !== null
}

/** The title as it stands in an address. A page without one, or with that of another, has its ID in it. */
function slugOf(page: Page, taken: Set<string>) {
	const title = Object.values(page.properties).find(value => value.type === "title")
	const words = textOf(title?.title ?? []).toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
	const slug = words.join("-")
	return slug && !taken.has(slug) ? slug : [...words, page.id].join("-")
}
