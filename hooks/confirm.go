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
	found, err := r.sessions.begun(e.plugin, state)
	if err != nil {
		return nil, err
	}
	// A session from before the column has no network.
	elsewhere := found.network != nil && !hmac.Equal(found.network, networkMAC(state, r.clientNetwork(e)))
	if r.config.ConfirmLogin == "auto" && !elsewhere {
		return nil, nil
	}
	return &views.Confirmation{Elsewhere: elsewhere, Started: found.created, Ago: time.Since(found.created)}, nil
}

// askToConfirm shows the confirmation page. The code waits in its form and nowhere else, and nothing is used up yet.
func (r *relay) askToConfirm(e *request, question *views.Confirmation, response authorizationResponse) error {
	if u, err := url.Parse(e.plugin.AuthorizeEndpoint); err == nil {
		question.Provider = u.Hostname()
	}
	if row, known := findPreset(e.plugin.Provider); known {
		question.Provider = row.Title
	}
	question.Fields = []views.Field{{Name: "state", Value: response.state}, {Name: "code", Value: response.code}, {Name: "iss", Value: response.issuer}}
	return e.writePage(http.StatusOK, views.Page{Tone: views.Question, Title: "Did you start this sign-in?", Confirm: question})
}

// confirm handles POST /redirect: what the person chose on the confirmation page. Whatever is not "continue" cancels.
func (r *relay) confirm(e *request) error {
	response := authorizationResponse{state: e.bodyParam("state"), code: e.bodyParam("code"), issuer: e.bodyParam("iss")}
	if response.state == "" || response.code == "" {
		return errNoLogin
	}
	if e.bodyParam("choice") != "continue" {
		response.refusal = "access_denied"
	}
	return r.finishLogin(e, response)
}
