package hooks

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
	"plugin-oauth/views"
)

var errNothingToFinish = &responseError{
	Status:      http.StatusBadRequest,
	Code:        "invalid_request",
	Description: "If you have just signed in, all is done. If not, start the sign-in again in the plugin.",
	person:      views.Words.DoneOrStartAgain,
	page:        pageNothingToFinish,
}

// redirect handles GET /redirect, the provider's answer to a login: it uses up the state, exchanges the code
// and shows the person a page. The plugin learns the outcome from /poll. If the login was started elsewhere,
// the person is asked first.
func (s *server) redirect(e *request) error {
	if isPrefetch(e.Request.Header) {
		e.Response.Header().Add("Vary", "Sec-Purpose, Purpose, X-Moz, X-Purpose")
		return e.writeText(http.StatusServiceUnavailable, "Open this address to finish the sign-in.")
	}
	e.Request.URL.RawQuery = repairQuery(e.Request.URL.RawQuery)
	return s.receive(e, oauth.ReadAuthorizationResponse(func(name string) string {
		return queryParam(e.Request.URL.RawQuery, name)
	}))
}

// isPrefetch reports whether a browser fetches a page that nobody has opened yet. That must not use up the
// code. Chromium takes no page under an error, and asks again when somebody opens it.
func isPrefetch(header http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		purpose := header.Get(name)
		if prefetchPurpose.MatchString(purpose[:min(len(purpose), maxPurpose)]) {
			return true
		}
	}
	return false
}

// maxPurpose bounds what is read of such a header, in bytes. Browsers send less than 50.
const maxPurpose = 200

var prefetchPurpose = regexp.MustCompile(`(?i)\b(prefetch|prerender|preview)`)

// repairQuery repairs the query of a redirect. Some providers write ? before their parameters although the
// redirect URI has a query, and some escape the & between them as in HTML.
func repairQuery(query string) string {
	if strings.Count(query, "?") > maxParams {
		return query // nobody but a stranger sends that, and it would take long
	}
	return secondQuery.ReplaceAllString(strings.ReplaceAll(query, "&amp;", "&"), "&$1=")
}

// secondQuery is a question mark that begins the parameters a second time.
var secondQuery = regexp.MustCompile(`\?([A-Za-z][A-Za-z0-9_.-]*)=`)

// receive asks the person first if need be, and finishes the login otherwise.
func (s *server) receive(e *request, response oauth.AuthorizationResponse) error {
	switch {
	case response.State == "" && response.Refusal != nil:
		return e.withoutState(response.Refusal)
	case response.State == "":
		return errNothingToFinish
	}
	if response.Err() == nil {
		question, err := s.mustConfirm(e, response)
		if err != nil {
			return s.stateError(e, response.State, err)
		}
		if question != nil {
			return e.ask(http.StatusOK, *question)
		}
	}
	return s.finishLogin(e, response)
}

// withoutState is the answer to a refusal that names no login. The plugin cannot be told, so the log must say
// it even if the person said no.
func (e *request) withoutState(refusal *oauth.Error) error {
	response := e.providerError(refusal)
	response.cause = errors.New("the provider redirected with the error " + refusal.Code +
		", without a state")
	return response
}

// finishLogin ends the session of an authorization response, with tokens or without. If its state has been
// used already, the answer is what became of that login.
func (s *server) finishLogin(e *request, response oauth.AuthorizationResponse) error {
	if err := s.useState(e, response); err != nil {
		return s.stateError(e, response.State, err)
	}
	return s.writeSuccess(e) // however slowly it is read, it takes no place from other exchanges
}

// useState consumes the state of an authorization response, and ends its session.
func (s *server) useState(e *request, response oauth.AuthorizationResponse) error {
	// A code can be exchanged only once, so a shutdown waits for the exchanges under way and lets no new one
	// begin: the state is still unused when the page is loaded again.
	if !s.exchanging.TryRLock() {
		return errRestarting
	}
	defer s.exchanging.RUnlock()
	// A state that is made up, or has been used, takes no place: anybody may send any number of those.
	if _, err := s.peek(e, response.State); err != nil {
		return err
	}
	size := len(response.Code)
	for _, value := range e.redirectParams(&e.plugin.Client) {
		size += len(value)
	}
	leave, err := s.enter(s.exchangeGate, e, oauth.HostOf(e.plugin.TokenEndpoint), size)
	if err != nil {
		return errManySignIns
	}
	defer leave()
	// The code is as good as used, so nothing is cancelled when the browser leaves.
	ctx := context.WithoutCancel(e.Request.Context())
	pending, err := s.sessions.Consume(ctx, e.owner(), response.State)
	if err != nil {
		return err
	}
	tokens, err := s.exchange(ctx, e, pending, response)
	if err != nil {
		return s.failLogin(ctx, e, pending, err)
	}
	if err := s.checkRoom(tokens, pending, e.plugin); err != nil {
		return s.failLogin(ctx, e, pending, err)
	}
	err = s.sessions.Complete(ctx, pending, tokens)
	if err != nil { // nothing waits; that the login has ended may have been said before it was counted
		s.tokensEnded(pending.ID, session.StatusFailed)
	}
	switch {
	case errors.Is(err, session.ErrExpired) || errors.Is(err, session.ErrCancelled):
		return err
	case err != nil:
		return s.failLogin(ctx, e, pending, err)
	}
	return nil
}

// writeSuccess says that the person is signed in.
func (s *server) writeSuccess(e *request) error {
	return e.writeResult(http.StatusOK, views.Result{
		Kind:     views.Success,
		Title:    views.Words.SignedIn,
		Provider: providerName(&e.plugin.Client),
	})
}

// exchange redeems the code of an authorization response, and returns the provider's token response. It fails
// if the response is an error, or comes from another issuer.
func (s *server) exchange(
	ctx context.Context, e *request, pending session.Pending, response oauth.AuthorizationResponse,
) ([]byte, error) {
	client, err := e.plugin.ForTenant(pending.Tenant)
	if err != nil {
		return nil, err
	}
	// Most providers send no issuer. What keeps plugins apart in any case is that each has a redirect URI of
	// its own.
	if err := client.CheckIssuer(response.Issuer); err != nil {
		return nil, err
	}
	if err := response.Err(); err != nil {
		return nil, err
	}
	params := e.redirectParams(client)
	grant := oauth.CodeGrant{Code: response.Code, Verifier: pending.Verifier(), RedirectParams: params}
	e.forgetBody()
	tokens, err := s.endpoint(e.plugin).Exchange(ctx, client, grant)
	s.watchTokenRequest(e.plugin, sentCredential{value: response.Code}, err)
	if err != nil {
		return nil, err
	}
	return client.WithRedirectParams(tokens, params), nil
}

// redirectParams returns the parameters of the redirect that the client needs once the code is exchanged.
func (e *request) redirectParams(client *oauth.Client) map[string]string {
	params := map[string]string{}
	for _, name := range client.RedirectParamNames() {
		params[name] = e.textParam(name)
	}
	return params
}

// failLogin ends a login without tokens, and returns what the person is to see.
func (s *server) failLogin(
	ctx context.Context, e *request, pending session.Pending, cause error,
) error {
	response := *e.toResponse(cause)
	failure := session.Failure{Status: session.StatusFailed, Code: response.Code,
		Description: response.Description}
	if response.Code == "access_denied" {
		failure.Status = session.StatusDenied
	}
	if response.cause != nil {
		failure.Cause = response.cause.Error()
	}
	ended, err := s.sessions.Fail(ctx, pending.ID, failure)
	if err != nil {
		return err
	}
	response.logged = ended
	// The provider's status was meant for us; the browser is told that the provider failed.
	timedOut := response.Status == http.StatusGatewayTimeout
	if failure.Status == session.StatusFailed && !response.internal && !timedOut {
		response.Status = http.StatusBadGateway
	}
	return &response
}

// revisit says what became of the login of a state that has been used: people reload pages, and some
// providers redirect twice. It waits for a code that is being exchanged.
func (s *server) revisit(e *request, state string) error {
	row, err := s.sessions.Outcome(e.Request.Context(), e.owner(), state)
	if errors.Is(err, session.ErrPending) {
		row, err = s.awaitOutcome(e, state)
	}
	if err != nil {
		return err
	}
	switch row.Status {
	case session.StatusReady, session.StatusClaimed:
		return s.writeSuccess(e)
	case session.StatusDenied:
		return &responseError{
			Status:      http.StatusBadRequest,
			Code:        row.Code,
			Description: row.Description,
			person:      views.SentenceOf(oauth.MeaningOf(row.Code)),
		}
	default:
		return failedBefore(e.plugin, row.Code)
	}
}

// awaitOutcome waits for a code that is being exchanged. There are few of those, so not many may wait: each
// takes more than a held poll does, and all of them go on at the same moment.
func (s *server) awaitOutcome(e *request, state string) (session.Row, error) {
	leave, err := s.revisitGate.enter(s.clientNetwork(e), "")
	if err != nil {
		return session.Row{}, errUnderWay
	}
	defer leave()
	ctx, cancel := context.WithTimeout(e.Request.Context(), s.config.timing.provider+time.Second)
	defer cancel()
	release := s.connections.hold(e.Request, 0, cancel)
	if release == nil {
		return session.Row{}, errUnderWay
	}
	defer release()
	go func() {
		defer cancel()
		select {
		case <-s.closing:
		case <-ctx.Done():
		}
	}()
	row, err := s.sessions.Revisit(ctx, e.owner(), state)
	if errors.Is(err, session.ErrPending) {
		err = errUnderWay
	}
	return row, err
}

// failedBefore is the answer about a login that has failed. Only its code is known, so the
// words are those of any failure, unless somebody must act at the provider first.
func failedBefore(plugin *plugins.Plugin, code string) *responseError {
	meaning := oauth.MeaningOf(code)
	response := &responseError{
		Status: http.StatusBadGateway,
		Code:   code,
		Description: "This sign-in did not work. It is not your fault. Start it again in the plugin; if it " +
			"stays, tell the plugin's author.",
		meaning: meaning,
		person:  views.Words.FailedBefore,
		page:    pageForAuthor,
		author:  meaning.ForAuthor(plugin.WhereElse),
	}
	if meaning == oauth.ConsentRequired {
		response.person, response.page = views.SentenceOf(meaning), pageOfCode
	}
	return response
}

// exchangeBounds bounds the exchanges of codes under way. Strangers can start logins and bring them back with
// codes that they made up, all at once; each has two connections, and lasts up to ten seconds if the provider
// hangs. What is one too many loads its page again, with the state unused.
var exchangeBounds = bounds{network: 32, provider: 192, inAll: 256}

// errManySignIns is the answer to an exchange that is one too many.
var errManySignIns = &responseError{
	Status:      http.StatusServiceUnavailable,
	Code:        "temporarily_unavailable",
	Description: "Many people are signing in at the moment.",
	person:      views.Words.ManySignIns,
	page:        pageRestarting,
}

// errUnderWay is the answer to whom cannot wait for an exchange. The page loads itself again.
var errUnderWay = &responseError{
	Status:      http.StatusServiceUnavailable,
	Code:        "temporarily_unavailable",
	Description: "Your sign-in is being finished.",
	person:      views.Words.BeingFinished,
	page:        pageRestarting,
}
