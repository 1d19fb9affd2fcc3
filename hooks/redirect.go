package hooks

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"plugin-oauth/views"
)

// authorizationResponse is what the provider sends back with the browser (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207).
type authorizationResponse struct {
	state, code, issuer string
	refusal             string // the error code
}

// redirect handles GET /redirect, the provider's answer to a login: it uses up the state, exchanges the code and shows the
// person a page. The plugin learns the outcome from /poll. If the login was started elsewhere, the person is asked first.
func (r *relay) redirect(e *request) error {
	query := e.Request.URL.RawQuery
	response := authorizationResponse{queryParam(query, "state"), queryParam(query, "code"), queryParam(query, "iss"), queryParam(query, "error")}
	return r.receive(e, response)
}

// receive asks the person, if that must be, or ends the login.
func (r *relay) receive(e *request, response authorizationResponse) error {
	if response.state == "" || (response.code == "" && response.refusal == "") {
		return errNoLogin
	}
	if response.refusal == "" {
		question, err := r.mustConfirm(e, response.state)
		if err != nil {
			return stateProblem(err)
		}
		if question != nil {
			return r.askToConfirm(e, question, response, http.StatusOK, "")
		}
	}
	return r.finishLogin(e, response)
}

// finishLogin ends the session of an authorization response, with tokens or without.
func (r *relay) finishLogin(e *request, response authorizationResponse) error {
	if len(response.state) > maxKeyLength {
		return stateProblem(errUnknown)
	}
	// A code can be exchanged only once, so a shutdown waits for the exchanges that have begun and lets no further one
	// begin: its state is still good when the page is loaded again.
	if !r.exchanging.TryRLock() {
		return errRestarting
	}
	defer r.exchanging.RUnlock()
	found, err := r.sessions.redirected(e.plugin, response.state)
	if err != nil {
		return stateProblem(err)
	}
	plugin, err := e.plugin.forTenant(found.tenant)
	if err != nil {
		return r.endSession(found, err)
	}
	// Most providers send no issuer. What keeps plugins apart in any case is that each has a redirect URI of its own.
	if response.issuer != "" && plugin.Issuer != "" && response.issuer != plugin.Issuer {
		return r.endSession(found, otherIssuer)
	}
	if response.refusal != "" {
		return r.endSession(found, refusedBy(response.refusal))
	}

	// The code is as good as used, so the browser's leaving cancels nothing.
	tokens, err := r.exchange(context.WithoutCancel(e.Request.Context()), plugin, response.code, codeVerifier(response.state, found.publicKey))
	if err != nil {
		return r.endSession(found, err)
	}
	err = r.sessions.complete(found, tokens)
	switch {
	case errors.Is(err, errExpired) || errors.Is(err, errEnded):
		return stateProblem(err)
	case err != nil:
		return r.endSession(found, err)
	}
	return e.writePage(http.StatusOK, views.Page{Tone: views.Success, Title: "You are signed in"})
}

// otherIssuer is the problem of an answer that names another issuer than the plugin's (RFC 9207 section 2.4).
var otherIssuer = problem{
	Status:      http.StatusBadRequest,
	Code:        "invalid_request",
	Description: "The answer comes from another provider than the one that was asked. Nothing was shared.",
}.because(errors.New("the iss parameter is not the plugin's issuer"))

// refusedBy is the problem of an authorization error response (RFC 6749 section 4.1.2.1).
func refusedBy(code string) *problem {
	if slices.Contains([]string{"user_denied", "user_cancelled_login", "user_cancelled_authorize"}, code) {
		code = "access_denied"
	}
	code = cmp.Or(safeCode(code), "server_error")
	p := problem{Status: http.StatusBadRequest, Code: code, Description: describe(code)}
	if code == "access_denied" {
		return &p
	}
	return p.because(errors.New("the provider redirected with this error"))
}

// endSession ends a login without tokens, and returns what the person is to see.
func (r *relay) endSession(found session, cause error) error {
	p, ok := errors.AsType[*problem](cause)
	if !ok {
		p = internalError.because(cause)
	}
	status := statusFailed
	if p.Code == "access_denied" {
		status = statusDenied
	}
	ended, err := r.sessions.fail(found.id, status, p)
	if err != nil {
		return err
	}
	page := *p
	page.logged = ended
	// The provider's status was an answer to us; the browser is told that the provider failed.
	if ok && status == statusFailed && p.Status != http.StatusGatewayTimeout {
		page.Status = http.StatusBadGateway
	}
	return &page
}

// stateProblem says what is wrong with a state.
func stateProblem(err error) error {
	p := &problem{Status: http.StatusBadRequest, Code: "invalid_request"}
	switch {
	case errors.Is(err, errExpired):
		p.Code, p.Description = "expired_token", "Too much time passed before it was finished. Nothing was shared."
	case errors.Is(err, errUsed):
		p.Description = "This sign-in was already finished. If the plugin is not signed in, start again there."
	case errors.Is(err, errEnded):
		p.Description = "This sign-in was ended before it was finished. Nothing was shared."
	case errors.Is(err, errUnknown):
		p.Description = "This sign-in is not known here. It may be too old, or the address is not complete."
	default:
		return err
	}
	return p
}
