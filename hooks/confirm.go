package hooks

import (
	"context"
	"errors"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtry"
	"plugin-oauth/views"
)

// mustConfirm returns what to ask the person before the login of a state is finished: a login that comes back
// from another network than it was started from may have been started by somebody else, who waits for its
// tokens (RFC 8628 section 5.4, cross-user session fixation). A network that is not known is not the same as
// any. If any page may call the plugin, one in the person's own browser may have started the login. And
// nobody is signed in without seeing it. It returns nil if there is no need to ask, and fails like
// sessions.Peek.
func (s *server) mustConfirm(e *request, response oauth.AuthorizationResponse) (*views.Question, error) {
	if s.config.ConfirmLogin == "never" {
		return nil, nil
	}
	pending, err := s.peek(e, response.State)
	if err != nil {
		return nil, err
	}
	network, _ := s.knownNetwork(e)
	sameNetwork := network != unknownNetwork && !pending.Elsewhere(network)
	if s.config.ConfirmLogin == "auto" && sameNetwork && !e.plugin.AllowsAnyPage() && e.isShown() {
		return nil, nil
	}
	question, err := s.question(e, pending, response)
	return &question, err
}

// isShown reports whether a browser shows a page of its own for a request, as far as it says so (Fetch
// Metadata). A page elsewhere could send the browser through the provider in a hidden frame.
func (e *request) isShown() bool {
	destination := e.Request.Header.Get("Sec-Fetch-Dest")
	return destination == "" || destination == "document"
}

// peek is sessions.Peek for the plugin of the request.
func (s *server) peek(e *request, state string) (session.Pending, error) {
	return s.sessions.Peek(context.WithoutCancel(e.Request.Context()), e.owner(), state)
}

// question returns what the person must know about a login before answering. It says that the login was
// started elsewhere only if both networks are known. The code, and what else the provider sent, is kept in
// the page's form and nowhere else, and nothing is used up yet.
func (s *server) question(
	e *request, pending session.Pending, response oauth.AuthorizationResponse,
) (views.Question, error) {
	client, err := e.plugin.ForTenant(pending.Tenant)
	if err != nil {
		return views.Question{}, err
	}
	fields := []views.Field{
		{Name: "state", Value: response.State},
		{Name: "code", Value: response.Code},
		{Name: "iss", Value: response.Issuer},
	}
	params := e.redirectParams(client)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		fields = append(fields, views.Field{Name: name, Value: params[name]})
	}
	size := 0
	for i, field := range fields {
		fields[i].Value = strings.Clone(field.Value) // it would keep the whole body in memory
		size += len(html.EscapeString(field.Value))
	}
	if size > maxFields {
		return views.Question{}, errFieldsTooLong
	}
	network, _ := s.knownNetwork(e)
	bothKnown := network != unknownNetwork && pending.Elsewhere(unknownNetwork)
	return views.Question{
		Plugin:    e.pluginName(),
		ReturnApp: e.returnApp(),
		Provider:  providerName(client),
		Elsewhere: bothKnown && pending.Elsewhere(network),
		Started:   pending.Created,
		Ago:       max(0, s.table.Now().Sub(pending.Created)),
		Fields:    fields,
	}, nil
}

// maxFields bounds what the page of the question keeps of the provider's answer, in bytes: 8 KB, which is
// more than codes have. What a connection does not take at once stays in memory as long as it is read slowly,
// and strangers can have the question shown.
const maxFields = 8 << 10

var errFieldsTooLong = &responseError{
	Status: http.StatusBadRequest,
	Code:   "invalid_request",
	Description: "What the provider sent with the browser has more than " + strconv.Itoa(maxFields) +
		" bytes, so it was not read.",
	person: views.Words.NotRead,
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

// errForeignChoice is the error of a choice that did not come from our own page. The state stays unused.
var errForeignChoice = &responseError{
	Status: http.StatusForbidden,
	Code:   "invalid_request",
	Description: "The answer did not come from the page that asks. Nothing was shared. If you started this " +
		"sign-in, start it again in the plugin.",
	person: views.Words.ForeignChoice,
}

// ask shows the question.
func (e *request) ask(status int, question views.Question) error {
	// Whoever opened the window could otherwise navigate it away and back at the right moment.
	e.Response.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	// The link may not choose which part of the page is shown first (URL Fragment Text Directives). The
	// page's style lets it mark none.
	e.Response.Header().Set("Document-Policy", "force-load-at-top")
	language := e.language()
	return e.renderPage(status, language, views.ShowQuestion(language, question), formHere)
}

// confirm handles POST /redirect: what the person chose on the confirmation page. A form without a choice is
// the provider's own answer (OAuth 2.0 Form Post Response Mode), about which the person may have to be asked
// first.
func (s *server) confirm(e *request) error {
	response := oauth.ReadAuthorizationResponse(func(name string) string { return e.bodyParam(name) })
	choice := e.bodyParam("choice")
	if choice != "continue" && choice != "cancel" {
		return s.askAgain(e, response, s.receive(e, response))
	}
	if response.State == "" || response.Code == "" {
		return errNothingToFinish
	}
	if !e.isFromOwnPage() {
		return s.foreignChoice(e, response.State)
	}
	if choice == "cancel" {
		response.Refusal = oauth.AuthorizationError("access_denied")
	}
	return s.askAgain(e, response, s.finishLogin(e, response))
}

// foreignChoice is the answer to a choice that did not come from our own page. Some browsers name no page
// when they send a form again, on a reload or on the way back: then it says what became of the login.
func (s *server) foreignChoice(e *request, state string) error {
	if _, err := s.peek(e, state); errors.Is(err, session.ErrUsed) {
		return s.stateError(e, state, err)
	}
	return errForeignChoice
}

// askAgain shows the question, once more or for the first time, if the service was too busy to take a code.
// The page's address has no code, so loading it again would not help. Nothing is used up. It returns any
// other error as it is.
func (s *server) askAgain(e *request, response oauth.AuthorizationResponse, err error) error {
	busy := errors.Is(err, errManySignIns)
	isOver := !busy && !errors.Is(err, errRestarting) && !errors.Is(err, etcdtry.ErrUnavailable)
	if response.Code == "" || isOver {
		return err
	}
	pending, err := s.peek(e, response.State)
	if err != nil {
		return s.stateError(e, response.State, err)
	}
	question, err := s.question(e, pending, response)
	if err != nil {
		return err
	}
	question.Again = views.Words.ChooseAfterRestart
	if busy {
		question.Again = views.Words.ChooseLater
	}
	return e.ask(http.StatusServiceUnavailable, question)
}

// isFromOwnPage reports whether a browser says that a page of this service sent the request, with
// Sec-Fetch-Site, or where it does not know that, with Origin. Behind a proxy the host of the request may be
// another than the one that browsers know, so the redirect URI counts, too.
func (e *request) isFromOwnPage() bool {
	protection := http.NewCrossOriginProtection()
	if origin, err := plugins.OriginOf(e.plugin.RedirectURI); err == nil {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return false
		}
	}
	return protection.Check(e.Request) == nil
}
