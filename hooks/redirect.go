package hooks

import (
	"context"
	"errors"
	"net/http"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/session"
	"plugin-oauth/views"
)

// authorizationResponse is what the provider sends back with the browser (RFC 6749 sections 4.1.2 and
// 4.1.2.1, RFC 9207).
type authorizationResponse struct {
	state, code, iss string
	errorCode        string // the parameter error
}

var errNothingToFinish = &responseError{
	Status:      http.StatusBadRequest,
	Code:        "invalid_request",
	Description: "If you have just signed in, all is done. If not, start the sign-in again in the plugin.",
	page:        pageNothingToFinish,
}

// redirect handles GET /redirect, the provider's answer to a login: it uses up the state, exchanges the code
// and shows the person a page. The plugin learns the outcome from /poll. If the login was started elsewhere,
// the person is asked first.
func (s *server) redirect(e *request) error {
	query := e.Request.URL.RawQuery
	return s.receive(e, authorizationResponse{
		state:     queryParam(query, "state"),
		code:      queryParam(query, "code"),
		iss:       queryParam(query, "iss"),
		errorCode: queryParam(query, "error"),
	})
}

// receive asks the person first if need be, and finishes the login otherwise.
func (s *server) receive(e *request, response authorizationResponse) error {
	if response.state == "" || (response.code == "" && response.errorCode == "") {
		return errNothingToFinish
	}
	if response.errorCode == "" {
		question, err := s.mustConfirm(e, response.state)
		if err != nil {
			return stateError(err)
		}
		if question != nil {
			return s.ask(e, response, *question, http.StatusOK)
		}
	}
	return s.finishLogin(e, response)
}

// finishLogin ends the session of an authorization response, with tokens or without.
func (s *server) finishLogin(e *request, response authorizationResponse) error {
	// A code can be exchanged only once, so a shutdown waits for the exchanges under way and lets no new one
	// begin: the state is still unused when the page is loaded again.
	if !s.exchanging.TryRLock() {
		return errRestarting
	}
	defer s.exchanging.RUnlock()
	// The code is as good as used, so nothing is cancelled when the browser leaves.
	ctx := context.WithoutCancel(e.Request.Context())
	pending, err := s.sessions.Consume(ctx, e.owner(), response.state)
	if err != nil {
		return stateError(err)
	}
	tokens, err := s.exchange(ctx, e, pending, response)
	if err != nil {
		return s.failLogin(ctx, pending, err)
	}
	err = s.sessions.Complete(ctx, pending, tokens)
	switch {
	case errors.Is(err, session.ErrExpired) || errors.Is(err, session.ErrCancelled):
		return stateError(err)
	case err != nil:
		return s.failLogin(ctx, pending, err)
	}
	return e.writeResult(http.StatusOK, views.Result{Kind: views.Success, Title: "You are signed in"})
}

// exchange redeems the code of an authorization response, and returns the provider's token response. It fails
// if the response is an error, or comes from another issuer.
func (s *server) exchange(
	ctx context.Context, e *request, pending session.Pending, response authorizationResponse,
) ([]byte, error) {
	client, err := e.plugin.ForTenant(pending.Tenant)
	if err != nil {
		return nil, err
	}
	// Most providers send no issuer. What keeps plugins apart in any case is that each has a redirect URI of
	// its own.
	if err := client.CheckIssuer(response.iss); err != nil {
		return nil, err
	}
	if response.errorCode != "" {
		return nil, oauth.AuthorizationError(response.errorCode)
	}
	grant := oauth.CodeGrant{Code: response.code, Verifier: pending.Verifier()}
	return s.endpoint(e.plugin).Exchange(ctx, client, grant)
}

// failLogin ends a login without tokens, and returns what the person is to see.
func (s *server) failLogin(ctx context.Context, pending session.Pending, cause error) error {
	response := *toResponse(cause)
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
