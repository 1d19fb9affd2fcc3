package hooks

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
)

var errAuthorizeLimit = &responseError{
	Status:      http.StatusTooManyRequests,
	Code:        "temporarily_unavailable",
	Description: "Too many sign-ins were started from this network. Try again in a minute.",
}

// storeBounds bounds the logins that are being stored, and those that are being cancelled. If the disk stands
// still, their connections are closed for others, but what they take stays in memory until it answers. Each
// of the two kinds leaves a quarter to the other.
var storeBounds = bounds{network: 256, provider: 384, inAll: 512}

// The kinds. They are to this gate what providers are to others.
const (
	kindStart  = "start"
	kindCancel = "cancel"
)

var errSlowDisk = &responseError{
	Status:      http.StatusServiceUnavailable,
	Code:        "temporarily_unavailable",
	Description: "The service is slow to store what it gets at the moment. Try again in some seconds.",
}

// enterStore lets a request of a kind store something until leave is called, unless too many do so.
func (s *server) enterStore(e *request, kind string) (leave func(), err error) {
	uncount, err := s.storeGate.enter(s.clientNetwork(e), kind)
	if err != nil {
		e.setRetryAfter(retryBusy)
		return nil, errSlowDisk
	}
	e.forgetBody()
	s.connections.markBounded(e.Request, true)
	return func() {
		s.connections.markBounded(e.Request, false)
		uncount()
	}, nil
}

// authorize handles POST /authorize: it starts a login and answers
//
//	{"url": "<authorization URL to open>", "readKey": "<secret for /poll>", "expires_in": 600}
//
// where expires_in is how long the login may take, in seconds (RFC 8628 section 3.2).
//
// If the provider has an address for each tenant, the request names the tenant: POST
// /authorize?shop=my-store. Parameters that the plugin's setting loginParams names are sent on.
func (s *server) authorize(e *request) error {
	network := s.clientNetwork(e)
	known, _ := s.knownNetwork(e)
	if wait := s.reserveLogin(e, network); wait > 0 {
		e.setRetryAfter(wait)
		return errAuthorizeLimit
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	params := e.loginParams(client)
	if err := client.CheckLoginParams(params); err != nil {
		return loginParamError(err)
	}
	started, err := s.storeLogin(e, session.StartRequest{
		Tenant:  client.Tenant,
		Origin:  originForAdmin(e.Request.Header.Get("Origin")),
		Network: known,
		Source:  sourceOf(network),
	})
	if err != nil {
		return err
	}
	s.metrics.loginStarted(e.plugin.Slug)
	authorizationURL := client.AuthorizationURL(oauth.AuthorizationRequest{
		State:    started.State,
		Verifier: started.Verifier,
		Params:   params,
	})
	return e.writeJSON(http.StatusOK, struct {
		URL       string `json:"url"`
		ReadKey   string `json:"readKey"`
		ExpiresIn int    `json:"expires_in"`
	}{
		URL:       authorizationURL,
		ReadKey:   started.ReadKey,
		ExpiresIn: int(s.config.SessionTTL.Seconds()),
	})
}

// reserveLogin counts a login that is to begin. It returns 0 if its network is within its limit, else the
// time until it may try again. A page that may not read the answer, in a browser of the network, leaves half
// of the limit: else it could keep everybody there from signing in.
func (s *server) reserveLogin(e *request, network netip.Prefix) time.Duration {
	origin, now := e.Request.Header.Get("Origin"), s.config.timing.now()
	if origin != "" && !e.plugin.Allows(origin) {
		return s.authorizeLimit.reserveHalf(network, now)
	}
	return s.authorizeLimit.reserve(network, now)
}

// storeLogin begins a login, unless too many are being stored.
func (s *server) storeLogin(e *request, login session.StartRequest) (session.Started, error) {
	leave, err := s.enterStore(e, kindStart)
	if err != nil {
		return session.Started{}, err
	}
	defer leave()
	return s.sessions.Start(context.WithoutCancel(e.Request.Context()), e.owner(), login)
}

// loginParams returns the parameters of the request that the client's LoginParams name. Those that are blank,
// and all others, are left out.
func (e *request) loginParams(client *oauth.Client) map[string]string {
	params := map[string]string{}
	for _, name := range client.LoginParams {
		if value := e.textParam(name); value != "" {
			params[name] = value
		}
	}
	return params
}

// textParam is param for a value that may have spaces in it, such as a scope. In a query and in a form they
// may come as plus signs, as browsers write them (URL standard, application/x-www-form-urlencoded).
func (e *request) textParam(name string) string {
	query := strings.ReplaceAll(e.Request.URL.RawQuery, "+", "%20")
	if value := queryParam(query, name); value != "" {
		return value
	}
	if mediaType, _ := e.mediaType(); mediaType != "application/x-www-form-urlencoded" || isObject(e.body) {
		return e.bodyParam(name)
	}
	return strings.Clone(queryParam(strings.ReplaceAll(string(e.body), "+", "%20"), name))
}

func loginParamError(err error) error {
	refused, ok := errors.AsType[*oauth.LoginParamError](err)
	if !ok {
		return err
	}
	return &responseError{Status: http.StatusBadRequest, Code: refused.Code, Description: refused.Description}
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
