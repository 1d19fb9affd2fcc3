import { framer } from "framer-plugin"
import { fieldsOf, itemsOf } from "./fields"
import { pages, readDatabase, readPages, titleOf, type Task } from "./notion"

/** Where the collection keeps which database it has. */
const key = "databaseId"

/** The ID of the database that the collection was imported from, if it was. */
export async function importedDatabase(): Promise<string | null> {
	const collection = await framer.getActiveManagedCollection()
	return collection.getPluginData(key)
}

/**
 * Makes the collection what the database is, and returns what was done, in words. All is read before anything
 * is changed.
 */
export async function importDatabase(task: Task, id: string): Promise<string> {
	const allowed = framer.isAllowedTo(
		"ManagedCollection.setFields", "ManagedCollection.addItems", "ManagedCollection.removeItems",
		"ManagedCollection.setPluginData",
	)
	if (!allowed) throw new Error("You may not change this collection. Ask an owner of the project.")
	const database = await readDatabase(task, id)
	const items = itemsOf(await readPages(task, database))
	task.signal.throwIfAborted()

	task.say(`The collection gets ${pages(items.length)} …`)
	const collection = await framer.getActiveManagedCollection()
	const kept = new Set(items.map(item => item.id))
	const gone = (await collection.getItemIds()).filter(item => !kept.has(item))
	await collection.setFields(fieldsOf(database))
	await collection.removeItems(gone) // first, since a new item may have the slug of an old one
	await collection.addItems(items)
	await collection.setPluginData(key, id)
	return `${pages(items.length)} of “${titleOf(database)}” imported.`
}
