package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/relay"
)

// fetchPath is what the addresses of [server.fetch] begin with, at the root or behind a slug.
const fetchPath = "/fetch/"

// fetchBounds bounds the calls of APIs under way. An office behind one address has dozens; an answer that is
// streamed may go on for hours. Each takes 100 KB beside the connection of its page: that to the API, and
// buffers.
var fetchBounds = bounds{network: 48, provider: 96, inAll: 128}

// unknownCalls is how many times as many calls as REFRESH_RATE_LIMIT allows refreshes may come with tokens of
// which nobody here knows whether they are good, from one network in the same time. Not every API refuses a
// made-up token with a status of its own: Slack's answers 200. Tokens that never end are unknown after a
// restart, so this has room for an office whose plugins call all day: 50 times a second.
const unknownCalls = 25

// refusedCalls is how many times as many calls as REFRESH_RATE_LIMIT allows refreshes an API may refuse for
// their token, from one network in the same time. A stranger can make up tokens; an API that gets too many of
// them may refuse this service altogether. A plugin whose token has ended may send a dozen calls before it
// has another.
const refusedCalls = 5

// apiHandshakes is how many times as many TLS handshakes with APIs as REFRESH_RATE_LIMIT allows refreshes the
// calls of one network may cause in the same time. Calls share connections, so a thousand a minute are many.
// But whoever has signed in may make any number of calls: each to another host if those of an API have the
// name of a customer, or each ended at once, which ends its connection.
const apiHandshakes = 10

// The errors of /fetch. A page can read them, and each says what its author can do.
var (
	errFetchOrigin = &responseError{
		Status: http.StatusForbidden,
		Code:   "invalid_request",
		Description: "Calls come from the plugin's own page only, and this origin is none of those that " +
			"the plugin allows.",
	}
	errFetchUnauthorized = &responseError{
		Status:      http.StatusUnauthorized,
		Code:        "invalid_token",
		Description: "The header Authorization is missing. Send the access token in it.",
	}
	errFetchNotSealed = &responseError{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Description: "The access token in the header Authorization is not one that this plugin got from " +
			"here, or it is too old. Refresh it, or sign in again.",
	}
	errFetchAddress = invalidRequest("The address must be " + fetchPath + " with the host of the API and " +
		"its path behind it, such as " + fetchPath + "api.notion.com/v1/search.")
	errFetchHost = &responseError{
		Status: http.StatusForbidden,
		Code:   "invalid_request",
		Description: "This host is not one that the plugin may call. The plugin's admin lists them in " +
			"API_HOSTS, or in the field apiHosts.",
	}
	errFetchMethod = &responseError{
		Status:      http.StatusMethodNotAllowed,
		Code:        "invalid_request",
		Description: "CONNECT, TRACE and TRACK are not passed on.",
	}
	errFetchRefused = &responseError{
		Status: http.StatusTooManyRequests,
		Code:   "temporarily_unavailable",
		Description: "Too many calls from this network had a token that the API refused, or that this " +
			"service does not know. Refresh the token, or sign in again, and try again in a moment.",
	}
	errFetchHandshakes = &responseError{
		Status: http.StatusTooManyRequests,
		Code:   "temporarily_unavailable",
		Description: "The calls from this network need too many connections to APIs: they end early, or go " +
			"to many hosts. Try again in a moment.",
	}
	errFetchUpgrade = invalidRequest("WebSockets are not passed on. Use requests, or server-sent events.")
	errFetchBody    = &responseError{
		Status:      http.StatusRequestEntityTooLarge,
		Code:        "invalid_request",
		Description: fmt.Sprintf("The request's body has more than %d MB.", relay.MaxBody>>20),
	}
	errFetchTimeout = responseError{
		Status:      http.StatusGatewayTimeout,
		Code:        "temporarily_unavailable",
		Description: "The API did not answer in time. Try again in a moment.",
	}
	errFetchUnreachable = responseError{
		Status:      http.StatusBadGateway,
		Code:        "temporarily_unavailable",
		Description: "The API cannot be reached. Try again in a moment.",
	}
	errFetchPrivate = responseError{
		Status: http.StatusBadGateway,
		Code:   "invalid_request",
		Description: "The host leads to an address of a private network, which is not called. Only " +
			"localhost may, by name.",
	}
)

// fetch handles any method of /fetch/{host}/{path}?{query}: it calls https://{host}/{path}?{query} for a page
// that its browser does not let call it, and streams the answer. The host is one of the plugin's API hosts.
// Whoever calls has an Authorization of their own for it: no secret of the service is used.
func (s *server) fetch(e *request) error {
	call, err := s.newCall(e)
	if err != nil {
		return err
	}
	token, err := s.countCall(e, &call)
	if err != nil {
		return err
	}
	leave, err := s.enterCall(e, &call, token)
	if err != nil {
		return err
	}
	defer leave()
	return e.fetchError(s.relay.Serve(e.Response, e.Request, call))
}

// countCall counts a call, and returns what is known of its token. It fails with errFetchRefused if it is not
// known to be good, and too many such have come from the same network, or with errFetchHandshakes.
func (s *server) countCall(e *request, call *relay.Call) (standing, error) {
	_, token, hasScheme := strings.Cut(call.Authorization, " ")
	if !hasScheme { // some APIs take the token alone
		token = call.Authorization
	}
	network, key := s.clientNetwork(e), newTokenKey(e, strings.TrimSpace(token))
	now := s.config.timing.now()
	if wait := s.handshakeLimit.peek(network, now); wait > 0 {
		e.setRetryAfter(wait)
		return 0, errFetchHandshakes
	}
	call.OnHandshake = func() { s.handshakeLimit.spend(network, s.config.timing.now()) }
	isKnown := s.knownTokens.isGood(key)
	if !isKnown {
		wait := s.refusedCallLimit.peek(network, now)
		if wait == 0 {
			wait = s.unknownCallLimit.reserve(network, now)
		}
		if wait > 0 {
			e.setRetryAfter(wait)
			return 0, errFetchRefused
		}
	}
	call.OnHead = func(status int, took time.Duration) {
		s.metrics.apiCall(e.slug(), status, took)
		switch {
		case status == http.StatusUnauthorized: // it has ended
			s.knownTokens.good.remove(key)
			s.knownTokens.accepted.remove(key)
		case e.isAccepted(status) && !isKnown:
			s.knownTokens.accepted.put(key, struct{}{})
		}
		if isRefusedToken(status) && !isKnown {
			s.refusedCallLimit.spend(network, s.config.timing.now())
		}
	}
	return s.standingOf(e, key), nil
}

// standingOf returns what is known of the token of a call.
func (s *server) standingOf(e *request, token tokenKey) standing {
	switch {
	case s.isOurs(e, token):
		return tokenFromHere
	case s.knownTokens.isAccepted(token):
		return acceptedToken
	default:
		return unknownToken
	}
}

// enterCall gives a call a place, and keeps its connection, until leave is called. It fails like
// [apiCalls.enter]. If another call needs the place, the request's context ends.
func (s *server) enterCall(e *request, call *relay.Call, token standing) (leave func(), err error) {
	ctx, cancel := context.WithCancelCause(e.Request.Context())
	entering := &apiCall{
		network:  s.clientNetwork(e),
		provider: oauth.HostOf(e.plugin.TokenEndpoint),
		token:    token,
		displace: func() { cancel(relay.ErrDisplaced) },
	}
	uncount, err := s.apiCalls.enter(entering)
	if err != nil {
		cancel(nil)
		e.setRetryAfter(retryBusy)
		return nil, err
	}
	onHead := call.OnHead
	call.OnHead = func(status int, took time.Duration) {
		if e.isAccepted(status) {
			s.apiCalls.accept(entering)
		}
		onHead(status, took)
	}
	release, _ := s.connections.keep(e.Request) // else it ends when its connection is closed
	e.Request = e.Request.WithContext(ctx)
	return func() {
		release()
		uncount()
		cancel(nil)
	}, nil
}

// isAccepted reports whether a status says that an API has accepted a call. Many say so to any OPTIONS.
func (e *request) isAccepted(status int) bool {
	return status/100 == http.StatusOK/100 && e.Request.Method != http.MethodOptions
}

// isRefusedToken reports whether a status may say that an API does not accept a token: APIs differ.
func isRefusedToken(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden ||
		status == http.StatusBadRequest
}

// refuseBody writes an error to a request whose body may not have come yet. What still comes is read for a
// moment, and thrown away: WebKit reads no answer before it has sent all, and Firefox none if the connection
// is closed before. The connection is of no use after it.
func (s *server) refuseBody(e *request, writeError func()) {
	if e.Request.ContentLength == 0 {
		writeError()
		return
	}
	e.Response.Header().Set("Connection", "close")
	writeError()
	control := http.NewResponseController(e.Response)
	_ = control.Flush()
	_ = control.SetReadDeadline(time.Now().Add(s.config.timing.body))
	_, _ = io.CopyN(io.Discard, e.Request.Body, 2*relay.MaxBody)
	_ = control.SetReadDeadline(time.Now()) // net/http would wait for the rest
}

// newCall checks a request, and returns the call that it asks for.
func (s *server) newCall(e *request) (relay.Call, error) {
	if !e.plugin.Allows(e.Request.Header.Get("Origin")) {
		return relay.Call{}, errFetchOrigin
	}
	target, err := e.fetchTarget()
	if err != nil {
		return relay.Call{}, err
	}
	authorization, err := e.authorization()
	if err != nil {
		return relay.Call{}, err
	}
	plugin := e.plugin
	return relay.Call{
		URL:           target,
		Authorization: authorization,
		Locate:        func(u *url.URL) string { return s.fetchAddress(plugin, u) },
		Allowed:       func() bool { return s.stillAllows(plugin, target) },
	}, nil
}

// fetchTarget returns the address that a request wants to call. Its path and query stay as they came, so it
// is cut out of the request's own line.
func (e *request) fetchTarget() (*url.URL, error) {
	u, err := url.ParseRequestURI(e.Request.RequestURI)
	if err != nil {
		return nil, errFetchAddress
	}
	rest := u.RawPath
	if rest == "" {
		rest = u.EscapedPath()
	}
	if e.plugin.Slug != "" {
		rest = strings.TrimPrefix(rest, "/"+e.plugin.Slug)
	}
	rest, ok := strings.CutPrefix(rest, fetchPath)
	if !ok {
		return nil, errFetchAddress
	}
	host, path, _ := strings.Cut(rest, "/")
	if host == "" {
		return nil, errFetchAddress
	}
	origin, found := e.plugin.APIOrigin(host)
	if !found {
		return nil, errFetchHost
	}
	scheme, _, _ := strings.Cut(origin, "://")
	target := &url.URL{Scheme: scheme, Host: host, RawPath: escapeRest("/" + path), RawQuery: u.RawQuery}
	if target.Path, err = url.PathUnescape(target.RawPath); err != nil {
		return nil, errFetchAddress
	}
	target.ForceQuery = u.ForceQuery
	return target, nil
}

// escapeRest escapes what a path should have had escaped, such as a |, which browsers leave alone. net/url
// would escape the whole path anew, and then a / that was escaped is one that is not.
func escapeRest(path string) string {
	var b strings.Builder
	for i := range len(path) {
		switch c := path[i]; {
		case c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}#?", c) >= 0:
			const digits = "0123456789ABCDEF"
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// authorization returns the header for the API. A sealed token in it is opened.
func (e *request) authorization() (string, error) {
	sent := strings.TrimSpace(e.Request.Header.Get("Authorization"))
	if sent == "" {
		return "", errFetchUnauthorized
	}
	if e.plugin.Tokens != plugins.TokensSealed {
		return sent, nil
	}
	scheme, sealed, _ := strings.Cut(sent, " ")
	token, err := e.plugin.OpenToken(oauth.AccessToken, strings.TrimSpace(sealed))
	if err != nil {
		return "", errFetchNotSealed
	}
	return scheme + " " + token, nil
}

// fetchAddress returns the address at which a page calls an address of the API, or "" if it may not.
func (s *server) fetchAddress(plugin *plugins.Plugin, u *url.URL) string {
	origin, found := plugin.APIOrigin(u.Host)
	if !found || origin != u.Scheme+"://"+u.Host || u.User != nil {
		return ""
	}
	here := s.config.basePath()
	if plugin.Slug != "" {
		here += "/" + plugin.Slug
	}
	target := *u
	target.Scheme, target.Host = "", ""
	return here + fetchPath + u.Host + "/" + strings.TrimPrefix(target.String(), "/")
}

// stillAllows reports whether a plugin may still call a host: its admin may have switched it off, or taken
// the host away, while the API answers.
func (s *server) stillAllows(plugin *plugins.Plugin, target *url.URL) bool {
	if plugin.RecordID == "" {
		return true // the environment does not change
	}
	now, err := s.records.Find(plugin.Slug)
	if err != nil || now == nil || now.RecordID != plugin.RecordID || now.State != plugins.Available {
		return false
	}
	_, found := now.APIOrigin(target.Host)
	return found
}

// fetchError turns the result of a call into its answer. The cause goes to the log; it quotes no address but
// the API's host.
func (e *request) fetchError(err error) error {
	switch {
	case err == nil || errors.Is(err, relay.ErrGone):
		return nil
	case errors.Is(err, relay.ErrMethod):
		return errFetchMethod
	case errors.Is(err, relay.ErrNotAllowed):
		return errFetchHost
	case errors.Is(err, relay.ErrUpgrade):
		return errFetchUpgrade
	case errors.Is(err, relay.ErrBodyTooLarge):
		return errFetchBody
	case errors.Is(err, relay.ErrBodyIncomplete):
		return errBodyTooSlow
	case errors.Is(err, relay.ErrDisplaced):
		e.setRetryAfter(retryBusy)
		return errBusy
	case errors.Is(err, relay.ErrTimeout):
		return errFetchTimeout.because(err)
	case errors.Is(err, relay.ErrPrivateAddress):
		return errFetchPrivate.because(err)
	default:
		return errFetchUnreachable.because(err)
	}
}
