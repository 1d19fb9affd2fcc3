import { createAuth } from "plugin-oauth"

// Change these two lines for your own backend and provider.
export const auth = createAuth({ backend: "http://localhost:8787" })
export const userinfo = "http://localhost:8788/userinfo"
