package hooks

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/views"
)

// mustConfirm returns what to ask the person before the login of a state is finished: a login that comes back
// from another network than it was started from may have been started by somebody else, who waits for its
// tokens (RFC 8628 section 5.4, cross-user session fixation). It returns nil if there is no need, and fails
// like sessions.Peek.
func (s *server) mustConfirm(e *request, state string) (*views.Question, error) {
	if s.config.ConfirmLogin == "never" {
		return nil, nil
	}
	question, err := s.question(e, state)
	if err != nil || (s.config.ConfirmLogin == "auto" && !question.Elsewhere) {
		return nil, err
	}
	return &question, nil
}

// question returns what the person must know about a login before answering.
func (s *server) question(e *request, state string) (views.Question, error) {
	pending, err := s.sessions.Peek(context.WithoutCancel(e.Request.Context()), e.owner(), state)
	if err != nil {
		return views.Question{}, err
	}
	return views.Question{
		Plugin:    e.pluginName(),
		ReturnApp: e.returnApp(),
		Provider:  providerName(&e.plugin.Client),
		Elsewhere: pending.Elsewhere(s.clientNetwork(e)),
		Started:   pending.Created,
		Ago:       max(0, s.config.timing.now().Sub(pending.Created)),
	}, nil
}

// providerName is what people call the provider: the title of its preset, or a host.
func providerName(client *oauth.Client) string {
	preset, known := oauth.FindPreset(client.Provider)
	if known && client.AuthorizeEndpoint == preset.AuthorizeEndpoint {
		return preset.Title
	}
	u, err := url.Parse(client.AuthorizeEndpoint)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// ask shows the question. The code is kept in the page's form and nowhere else, and nothing is used up yet.
func (s *server) ask(e *request, response authorizationResponse, question views.Question, status int) error {
	question.Fields = []views.Field{
		{Name: "state", Value: response.state}, {Name: "code", Value: response.code}, {Name: "iss",
			Value: response.iss},
	}
	return e.writePage(status, views.ShowQuestion(question), formHere)
}

// confirm handles POST /redirect: what the person chose on the confirmation page. A form without a choice is
// the provider's own answer (OAuth 2.0 Form Post Response Mode), about which the person may have to be asked
// first.
func (s *server) confirm(e *request) error {
	response := authorizationResponse{
		state:     e.bodyParam("state"),
		code:      e.bodyParam("code"),
		iss:       e.bodyParam("iss"),
		errorCode: e.bodyParam("error"),
	}
	choice := e.bodyParam("choice")
	if choice != "continue" && choice != "cancel" {
		return s.receive(e, response)
	}
	if response.state == "" || response.code == "" {
		return errNothingToFinish
	}
	if choice == "cancel" {
		response.errorCode = "access_denied"
	}
	err := s.finishLogin(e, response)
	if !errors.Is(err, errRestarting) {
		return err
	}
	// The page's address has no code, so reloading it would not help: show the question again. Nothing is
	// used up.
	question, err := s.question(e, response.state)
	if err != nil {
		return stateError(err)
	}
	question.Text = "The service is restarting. Please choose again in a moment."
	return s.ask(e, response, question, http.StatusServiceUnavailable)
}
