// The certified OpenID provider oidc-provider, as its makers ship it: its own pages to sign in and to
// consent, its own rules for refresh tokens, and everything in memory.
import { listen, origin, settings } from "./host.mjs"
import { Provider } from "oidc-provider"

const provider = new Provider(origin, {
	clients: settings.clients,
	scopes: ["openid", "offline_access", "files"],
	pkce: { required: () => settings.requiresPKCE },
	features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
})

listen(provider.callback())
