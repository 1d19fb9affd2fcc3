package hooks

import "net/http"

// authorize handles POST /authorize: it starts a login and answers
//
//	{"url": "<authorization URL to open>", "readKey": "<secret for /poll>"}
func (r *relay) authorize(e *request) error {
	if e.plugin == nil {
		return errNoPlugin
	}
	state, readKey, verifier, err := r.sessions.start(e.plugin.Slug, originForAdmin(e.Request.Header.Get("Origin")))
	if err != nil {
		return err
	}
	return e.writeJSON(http.StatusOK, struct {
		URL     string `json:"url"`
		ReadKey string `json:"readKey"`
	}{e.plugin.authorizationURL(state, verifier), readKey})
}

// originForAdmin is the Origin header as the session keeps it: only what is an origin, and of bounded length.
func originForAdmin(origin string) string {
	if parsed, err := originOf(origin); origin == "null" || (err == nil && parsed == origin && len(origin) <= 255) {
		return origin
	}
	return ""
}
