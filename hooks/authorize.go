package hooks

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

var errTooManyStarts = &problem{
	Status:      http.StatusTooManyRequests,
	Code:        "temporarily_unavailable",
	Description: "Too many sign-ins were started from this network. Try again in a minute.",
}

// authorize handles POST /authorize: it starts a login and answers
//
//	{"url": "<authorization URL to open>", "readKey": "<secret for /poll>"}
//
// Where the provider has an address for each tenant, the request names it: POST /authorize?shop=my-store.
func (r *relay) authorize(e *request) error {
	network := r.clientNetwork(e)
	if wait := r.starts.wait(network, time.Now()); wait > 0 {
		e.Response.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return errTooManyStarts
	}
	plugin, err := e.pluginForTenant()
	if err != nil {
		return err
	}
	state, readKey, verifier, err := r.sessions.start(e.plugin, plugin.Tenant, originForAdmin(e.Request.Header.Get("Origin")), network)
	if err != nil {
		return err
	}
	r.metrics.begun(e.plugin)
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
