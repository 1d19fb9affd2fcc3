import { createAuth } from "plugin-oauth"
import { ask } from "./ask"

// Change these two lines for your own backend and provider, and the hosts in manifest.json with them.
const backend = "http://localhost:8787"
export const userinfo = "http://localhost:8788/userinfo"

/** Opens a page in the person's browser. */
export const openInBrowser = (url: string) => ask({ type: "open", url })

export const auth = createAuth({
	backend,
	open: openInBrowser,
	// The page has no localStorage here: its frame has no origin.
	storage: {
		getItem: async key => await ask({ type: "getItem", key }) as string | undefined,
		setItem: (key, value) => ask({ type: "setItem", key, value }),
		removeItem: key => ask({ type: "removeItem", key }),
	},
})
