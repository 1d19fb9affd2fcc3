package hooks

import "net/http"

// authorize handles POST /authorize: it starts a login and answers
//
//	{"url": "<authorization URL to open>", "readKey": "<secret for /poll>"}
//
// Where the provider has an address for each tenant, the request names it: POST /authorize?shop=my-store.
func (r *relay) authorize(e *request) error {
	plugin, err := e.pluginForTenant()
	if err != nil {
		return err
	}
	state, readKey, verifier, err := r.sessions.start(e.plugin, plugin.Tenant, originForAdmin(e.Request.Header.Get("Origin")))
	if err != nil {
		return err
	}
	return e.writeJSON(http.StatusOK, struct {
		URL     string `json:"url"`
		ReadKey string `json:"readKey"`
	}{plugin.authorizationURL(state, verifier), readKey})
}

// originForAdmin is the Origin header as the session keeps it: only what is an origin, and of bounded length.
func originForAdmin(origin string) string {
	if parsed, err := originOf(origin); origin == "null" || (err == nil && parsed == origin && len(origin) <= 255) {
		return origin
	}
	return ""
}
