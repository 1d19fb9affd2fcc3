package hooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtry"
	"plugin-oauth/views"
)

// responseError is an error as clients see it, in OAuth's words (RFC 6749 section 5.2, RFC 8628 section 3.5).
// No other kind of error is shown to anybody; toResponse turns all others into one.
type responseError struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"` // a sentence that is safe to show

	meaning    oauth.Meaning  // of a provider's error
	person     views.Sentence // what the page says; nil: that something went wrong, and the description
	author     string         // what the page adds for the plugin's author
	page       errorPage
	internal   bool          // the service itself is at fault
	cause      error         // makes it appear in the log; it quotes no request, no response and no key
	retryAfter time.Duration // zero: the answer does not say when to try again, unless its route does
	logged     bool          // the log line of the login that it ended already has the cause
}

func (e *responseError) Error() string { return e.Code + ": " + e.Description }

// Unwrap returns the cause.
func (e *responseError) Unwrap() error { return e.cause }

// because returns a copy with a cause, which makes it appear in the log.
func (e responseError) because(cause error) *responseError {
	e.cause = cause
	return &e
}

// errorPage says which page a person sees for an error.
type errorPage int

const (
	pageOfCode          errorPage = iota // the code decides
	pageNothingToFinish                  // somebody opened the address of /redirect without a login
	pageRestarting                       // it loads itself again
	pageForAuthor                        // it has a part for the plugin's author, though nothing is logged
)

// format is how a route answers with an error.
type format int

const (
	formatJSON format = iota // for plugins
	formatPage               // for people
	formatText               // for deployed plugins that take any JSON from /refresh for tokens
)

var internalError = responseError{
	Status: http.StatusInternalServerError,
	Code:   "server_error",
	Description: "Internal error. Try again in a moment. The admin finds the cause in the dashboard, " +
		"under Logs.",
	person:   views.Words.Fault,
	author:   "The admin finds the cause in the dashboard, under Logs.",
	internal: true,
}

// The errors that more than one route answers with.
var (
	errNoPlugin = &responseError{
		Status:      http.StatusServiceUnavailable,
		Code:        "temporarily_unavailable",
		Description: HowToAddPlugin,
		person:      views.Words.NoPlugin,
		author:      HowToAddPlugin,
		page:        pageForAuthor,
	}
	errRestarting = &responseError{
		Status:      http.StatusServiceUnavailable,
		Code:        "temporarily_unavailable",
		Description: "The service is restarting. Try again in a moment.",
		person:      views.Words.Restarting,
		page:        pageRestarting,
	}
	errNoMajority = &responseError{
		Status: http.StatusServiceUnavailable,
		Code:   "temporarily_unavailable",
		Description: "The service cannot reach most of its machines at the moment, or they can store " +
			"nothing. Try again in some seconds.",
		page:       pageRestarting,
		retryAfter: retryBusy,
	}
	errFull = &responseError{
		Status:      http.StatusServiceUnavailable,
		Code:        "temporarily_unavailable",
		Description: "Too many sign-ins are under way. Try again in some minutes.",
	}
)

// invalidRequest is the error of a request that cannot be understood.
func invalidRequest(description string) *responseError {
	return &responseError{Status: http.StatusBadRequest, Code: "invalid_request", Description: description}
}

// toResponse turns any error into one that can be answered.
func (e *request) toResponse(err error) *responseError {
	if response, ok := errors.AsType[*responseError](err); ok {
		return response
	}
	if provider, ok := errors.AsType[*oauth.Error](err); ok {
		return e.providerError(provider)
	}
	if tenant, ok := errors.AsType[*oauth.TenantError](err); ok {
		response := invalidRequest(tenant.Error())
		response.person, response.author, response.page = views.Words.NotUsable, tenant.Error(), pageForAuthor
		return response
	}
	switch {
	case errors.Is(err, session.ErrFull):
		return errFull
	case errors.Is(err, etcdtry.ErrUnavailable):
		return errNoMajority
	}
	return internalError.because(err)
}

// providerError returns the response to a provider's error. It keeps the provider's status if that is an
// error's.
func (e *request) providerError(err *oauth.Error) *responseError {
	response := responseError{
		Status:      err.Status,
		Code:        err.Code,
		Description: err.Meaning.Describe(e.plugin.WhereElse),
		meaning:     err.Meaning,
		person:      views.SentenceOf(err.Meaning),
		author:      err.Meaning.ForAuthor(e.plugin.WhereElse),
		cause:       err.Cause,
	}
	switch err.Meaning {
	case oauth.TimedOut:
		response.Status = http.StatusGatewayTimeout
	case oauth.Unreachable, oauth.NotOAuth:
		response.Status = http.StatusBadGateway
	default:
		if err.Status == 0 { // it came with the browser
			response.Status = http.StatusBadRequest
		}
	}
	return &response
}

// unavailableError says why a plugin cannot be used.
func unavailableError(plugin *plugins.Plugin) *responseError {
	response := &responseError{
		Status:      http.StatusServiceUnavailable,
		Code:        "temporarily_unavailable",
		Description: plugin.Reason(),
		person:      views.Words.NotUsable,
		author:      plugin.Reason(),
		page:        pageForAuthor,
	}
	if plugin.State == plugins.SwitchedOff {
		response.Status, response.Code = http.StatusNotFound, "not_found"
		response.person = views.Words.SwitchedOff
	}
	return response
}

// stateError says what is wrong with a state, or if it has been used what became of its login.
func (s *server) stateError(e *request, state string, err error) error {
	if errors.Is(err, session.ErrUsed) {
		err = s.revisit(e, state)
	}
	switch {
	case errors.Is(err, session.ErrExpired):
		return &responseError{
			Status:      http.StatusBadRequest,
			Code:        "expired_token",
			Description: "Too much time passed before it was finished. Nothing was shared.",
			person:      views.Words.TooMuchTime,
		}
	case errors.Is(err, session.ErrCancelled):
		response := invalidRequest("This sign-in was ended before it was finished. Nothing was shared.")
		response.person = views.Words.EndedBefore
		return response
	case errors.Is(err, session.ErrUnknown):
		response := invalidRequest("This sign-in is not known here. It may be too old, or the address is " +
			"not complete.")
		response.person = views.Words.UnknownSignIn
		return response
	default:
		return err
	}
}

// panicCause describes a panic without its value, which may quote a request.
func panicCause(recovered any) error {
	what := fmt.Sprintf("%T", recovered)
	if err, ok := recovered.(runtime.Error); ok {
		what = err.Error()
	}
	return fmt.Errorf("panic: %s\n%s", what, debug.Stack())
}

// writeError answers with an error and logs it, once, if it has a cause.
func (s *server) writeError(e *request, f format, err error) {
	response := e.toResponse(err)
	cause := logCause{message: "request failed", route: e.route, code: response.Code}
	if response.cause != nil && !response.logged && s.failedRequests.admit(cause) {
		level := slog.LevelWarn
		if e.route == "/refresh" && response.Code == "invalid_grant" {
			level = slog.LevelInfo // a grant ends one day, and the person signs in again
		}
		s.log.LogAttrs(context.Background(), level, "request failed",
			slog.String("route", e.loggedPath()),
			slog.String("plugin", plugins.DisplaySlug(e.slug())),
			slog.String("error", response.Code), slog.Int("status", response.Status),
			slog.String("cause", response.cause.Error()))
	}
	if response.retryAfter > 0 {
		e.setRetryAfter(response.retryAfter)
	}
	if f == formatText && e.accepts("application/json") {
		f = formatJSON
	}
	// A write fails only if the client has left.
	switch f {
	case formatPage:
		_ = e.writeErrorPage(response)
	case formatText:
		_ = e.writeText(response.Status, response.Error())
	default:
		_ = e.writeJSON(response.Status, response)
	}
}

// loggedPath is the path of a request for the log. Those of an API are not for it.
func (e *request) loggedPath() string {
	before, _, isFetch := strings.Cut(e.Request.URL.Path, fetchPath)
	if isFetch {
		before += fetchPath
	}
	return cutPath(before)
}

// cutPath bounds the path of a request for the log.
func cutPath(path string) string { return path[:min(len(path), maxLoggedPath)] }

func (e *request) accepts(contentType string) bool {
	return strings.Contains(e.Request.Header.Get("Accept"), contentType)
}

// writeErrorPage shows an error to a person, in the person's language. The page has a part for the plugin's
// author, with the code and in English, only if there is something that the author can fix.
func (e *request) writeErrorPage(err *responseError) error {
	if err.page == pageRestarting {
		return e.writeRestarting(err)
	}
	said := err.person
	if said == nil {
		said = views.Words.Fault
	}
	result := views.Result{Kind: views.Failed, Title: views.Words.Failed, Text: []views.Sentence{said}}
	switch {
	case err.Code == "access_denied":
		result.Kind, result.Title = views.Denied, views.Words.Cancelled
	case err.Code == "expired_token":
		result.Kind, result.Title = views.Expired, views.Words.TookTooLong
	case err.meaning == oauth.ConsentRequired:
		result.Kind, result.Title = views.Denied, views.Words.NotFinished
	case err.Code == "not_found":
		result.Kind, result.Title = views.Notice, views.Words.NothingHere
	case err.page == pageNothingToFinish:
		result.Kind, result.Title = views.Notice, views.Words.NothingToFinish
	}
	switch {
	case err.page == pageForAuthor || err.cause != nil && result.Kind == views.Failed:
		result.Code, result.Author = err.Code, err.author
	case err.person == nil:
		result.Code, result.Author = err.Code, err.Description
	}
	return e.writeResult(err.Status, result)
}

// writeRestarting shows a page that loads itself again. After a POST that would not help, since the page's
// address has no code.
func (e *request) writeRestarting(err *responseError) error {
	if e.Request.Method == http.MethodPost {
		text := []views.Sentence{views.Words.StartAgainThere}
		if err.person != nil {
			text = append([]views.Sentence{err.person}, text...)
		}
		return e.writeResult(err.Status, views.Result{
			Kind:  views.Notice,
			Title: views.Words.OneMoment,
			Text:  text,
		})
	}
	restarting, language := views.Restarting{Text: err.person, Plugin: e.pluginName()}, e.language()
	return e.renderPage(err.Status, language, views.ShowRestarting(language, restarting), noForm)
}
