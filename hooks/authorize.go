package hooks

import (
	"context"
	"net/http"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
)

var errAuthorizeLimit = &responseError{
	Status:      http.StatusTooManyRequests,
	Code:        "temporarily_unavailable",
	Description: "Too many sign-ins were started from this network. Try again in a minute.",
}

// authorize handles POST /authorize: it starts a login and answers
//
//	{"url": "<authorization URL to open>", "readKey": "<secret for /poll>"}
//
// If the provider has an address for each tenant, the request names the tenant: POST
// /authorize?shop=my-store.
func (s *server) authorize(e *request) error {
	network := s.clientNetwork(e)
	known, _ := s.knownNetwork(e)
	if wait := s.authorizeLimit.reserve(network, s.config.timing.now()); wait > 0 {
		e.setRetryAfter(wait)
		return errAuthorizeLimit
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	started, err := s.sessions.Start(context.WithoutCancel(e.Request.Context()), e.owner(),
		session.StartRequest{
			Tenant:  client.Tenant,
			Origin:  originForAdmin(e.Request.Header.Get("Origin")),
			Network: known,
			Source:  network,
			Site:    siteOf(network),
		})
	if err != nil {
		return err
	}
	s.metrics.loginStarted(e.plugin.Slug)
	authorizationURL := client.AuthorizationURL(oauth.AuthorizationRequest{
		State:    started.State,
		Verifier: started.Verifier,
	})
	return e.writeJSON(http.StatusOK, struct {
		URL     string `json:"url"`
		ReadKey string `json:"readKey"`
	}{URL: authorizationURL, ReadKey: started.ReadKey})
}

// maxOrigin bounds the origins that are stored, in bytes. Those that plugins have are half as long.
const maxOrigin = 100

// originForAdmin returns the Origin header as the session keeps it for the admin: blank unless it is an
// origin of at most maxOrigin bytes.
func originForAdmin(origin string) string {
	parsed, err := plugins.OriginOf(origin)
	if origin == "null" || (err == nil && parsed == origin && len(origin) <= maxOrigin) {
		return origin
	}
	return ""
}
