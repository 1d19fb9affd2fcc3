package hooks

import (
	"errors"
	"net/http"
	"strings"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/views"
)

// problem is an error with an answer. It is the only kind of error whose words reach anybody.
type problem struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`                       // in OAuth's words: RFC 6749 section 5.2, RFC 8628 section 3.5
	Description string `json:"error_description,omitempty"` // a sentence that is safe to show
	cause       error  // for the log; it must not quote a request, a response or a key
}

func (p *problem) Error() string { return p.Code + ": " + p.Description }

// because returns a copy with a cause, which makes it appear in the log.
func (p problem) because(cause error) *problem {
	p.cause = cause
	return &p
}

var internalError = problem{
	Status:      http.StatusInternalServerError,
	Code:        "server_error",
	Description: "Internal error. Try again in a moment; the log of plugin-oauth says what happened.",
}

// A face is the format in which a route reports a problem.
type face int

const (
	faceJSON face = iota // for plugins
	facePage             // for people
	faceText             // for deployed plugins that take any JSON from /refresh for tokens
)

// report answers with a problem and logs it, once, if it has a cause.
func (r *relay) report(e *core.RequestEvent, f face, err error) error {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = internalError.because(err)
	}
	if p.cause != nil {
		r.app.Logger().Warn("plugin-oauth: "+p.Code, "route", e.Request.URL.Path, "status", p.Status, "cause", p.cause.Error())
	}
	accept := e.Request.Header.Get("Accept")
	if f == faceText && strings.Contains(accept, "application/json") {
		f = faceJSON
	}
	switch f {
	case facePage:
		return r.page(e, p.Status, problemPage(p))
	case faceText:
		return writeText(e, p.Status, p.Error())
	default:
		return writeJSON(e, p.Status, p)
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
		page.Title = "Nothing here"
	case p.cause != nil:
		page.Code = p.Code
	}
	return page
}
