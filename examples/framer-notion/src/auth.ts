import { createAuth } from "plugin-oauth"

// Change these two lines for your own backend, and for Notion itself: https://api.notion.com.
const backend = "http://localhost:8787"
export const notion = "http://localhost:8789"

export const auth = createAuth({ backend, relay: [new URL(notion).host] })
