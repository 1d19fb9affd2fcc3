package hooks

import (
	"errors"
	"net/http"
	"strings"

	"plugin-oauth/views"
)

// problem is an error with an answer. It is the only kind of error whose words reach anybody.
type problem struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`                       // in OAuth's words: RFC 6749 section 5.2, RFC 8628 section 3.5
	Description string `json:"error_description,omitempty"` // a sentence that is safe to show
	cause       error  // for the log; it must not quote a request, a response or a key
	logged      bool   // the line of the login that it ended has the cause
}

func (p *problem) Error() string { return p.Code + ": " + p.Description }

// Unwrap returns the cause, which [errors.Is] and [errors.AsType] then find.
func (p *problem) Unwrap() error { return p.cause }

// because returns a copy with a cause, which makes it appear in the log.
func (p problem) because(cause error) *problem {
	p.cause = cause
	return &p
}

var internalError = problem{
	Status:      http.StatusInternalServerError,
	Code:        "server_error",
	Description: "Internal error. Try again in a moment. The admin finds the cause in the dashboard, under Logs.",
}

// The problems that more than one place knows.
var (
	errNoPlugin = &problem{
		Status:      http.StatusServiceUnavailable,
		Code:        "temporarily_unavailable",
		Description: HowToAddPlugin,
	}
	errRestarting = &problem{
		Status:      http.StatusServiceUnavailable,
		Code:        "temporarily_unavailable",
		Description: "The service is restarting. Try again in a moment.",
	}
	errNoLogin = &problem{
		Status:      http.StatusBadRequest,
		Code:        "invalid_request",
		Description: "If you have just signed in, all is done. If not, start the sign-in again in the plugin.",
	}
)

// A face is the format in which a route reports a problem.
type face int

const (
	faceJSON face = iota // for plugins
	facePage             // for people
	faceText             // for deployed plugins that take any JSON from /refresh for tokens
)

// report answers with a problem and logs it, once, if it has a cause.
func (r *relay) report(e *request, f face, err error) {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = internalError.because(err)
	}
	if p.cause != nil && !p.logged {
		slug := ""
		if e.plugin != nil {
			slug = e.plugin.Slug
		}
		r.log.Warn("request failed", "route", e.Request.URL.Path, "plugin", plainSlug(slug), "error", p.Code, "status", p.Status, "cause", p.cause.Error())
	}
	accept := e.Request.Header.Get("Accept")
	if f == faceText && strings.Contains(accept, "application/json") {
		f = faceJSON
	}
	// Whoever has left gets no answer.
	switch f {
	case facePage:
		_ = e.writePage(p.Status, problemPage(p))
	case faceText:
		_ = e.writeText(p.Status, p.Error())
	default:
		_ = e.writeJSON(p.Status, p)
	}
}

// problemPage says the same to a person. The code is for the plugin's author, who can mend only what has a cause.
func problemPage(p *problem) views.Page {
	page := views.Page{Tone: views.Failed, Title: "Sign-in failed", Text: p.Description}
	switch {
	case p.Code == "access_denied":
		page.Tone, page.Title = views.Denied, "Sign-in cancelled"
	case p.Code == "expired_token":
		page.Tone, page.Title = views.Expired, "This sign-in took too long"
	case p.Code == "not_found":
		page.Tone, page.Title = views.Denied, "Nothing here"
	case p == errNoLogin:
		page.Tone, page.Title = views.Denied, "Nothing to finish here"
	case p == errRestarting:
		page.Tone, page.Title, page.Reload = views.Expired, "One moment, please", true
	case p.cause != nil:
		page.Code = p.Code
	}
	return page
}
