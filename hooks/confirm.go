package hooks

import (
	"crypto/hmac"
	"net/http"
	"net/url"
	"time"

	"plugin-oauth/views"
)

// mustConfirm returns what to ask the person before the login of a state is finished: a login that comes back from another
// network than it was started from may have been started by somebody else, who waits for its tokens
// (RFC 8628 section 5.4, cross-user session fixation). It returns nil if there is no need, and fails like sessions.begun.
func (r *relay) mustConfirm(e *request, state string) (*views.Confirmation, error) {
	if r.config.ConfirmLogin == "never" {
		return nil, nil
	}
	question, err := r.question(e, state)
	if err != nil || (r.config.ConfirmLogin == "auto" && !question.Elsewhere) {
		return nil, err
	}
	return question, nil
}

// question is what a person must know of the login that waits for an answer.
func (r *relay) question(e *request, state string) (*views.Confirmation, error) {
	found, err := r.sessions.begun(e.plugin, state)
	if err != nil {
		return nil, err
	}
	return &views.Confirmation{
		// A session from before the column has no network.
		Elsewhere: found.network != nil && !hmac.Equal(found.network, networkMAC(state, r.clientNetwork(e))),
		Started:   found.created,
		Ago:       max(0, time.Since(found.created)),
	}, nil
}

// askToConfirm shows the confirmation page. The code waits in its form and nowhere else, and nothing is used up yet.
func (r *relay) askToConfirm(e *request, question *views.Confirmation, response authorizationResponse, status int, text string) error {
	if u, err := url.Parse(e.plugin.AuthorizeEndpoint); err == nil {
		question.Provider = u.Hostname()
	}
	if row, known := findPreset(e.plugin.Provider); known && e.plugin.AuthorizeEndpoint == row.AuthorizeEndpoint {
		question.Provider = row.Title
	}
	question.Fields = []views.Field{{Name: "state", Value: response.state}, {Name: "code", Value: response.code}, {Name: "iss", Value: response.issuer}}
	return e.writePage(status, views.Page{Tone: views.Question, Title: "Did you start this sign-in?", Text: text, Confirm: question})
}

// confirm handles POST /redirect: what the person chose on the confirmation page. Without a choice it is the provider that
// posts its answer (OAuth 2.0 Form Post Response Mode), and the person may have to be asked first.
func (r *relay) confirm(e *request) error {
	response := authorizationResponse{e.bodyParam("state"), e.bodyParam("code"), e.bodyParam("iss"), e.bodyParam("error")}
	choice := e.bodyParam("choice")
	if choice != "continue" && choice != "cancel" {
		return r.receive(e, response)
	}
	if response.state == "" || response.code == "" {
		return errNoLogin
	}
	if choice == "cancel" {
		response.refusal = "access_denied"
	}
	err := r.finishLogin(e, response)
	if err != errRestarting {
		return err
	}
	// The page's address has no code to load it again with, so here it is again. Nothing is used up.
	question, err := r.question(e, response.state)
	if err != nil {
		return stateProblem(err)
	}
	return r.askToConfirm(e, question, response, http.StatusServiceUnavailable, "The service is restarting. Please choose again in a moment.")
}
