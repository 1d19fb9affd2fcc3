package hooks

import (
	"errors"
	"net/http"
)

var (
	pollPending = &problem{Status: http.StatusNotFound, Code: "authorization_pending"}
	pollUnknown = &problem{Status: http.StatusNotFound, Code: "not_found"}
	pollExpired = &problem{Status: http.StatusBadRequest, Code: "expired_token", Description: "The sign-in took too long. Please start again."}
	pollNoKey   = &problem{Status: http.StatusBadRequest, Code: "invalid_request", Description: "readKey is missing."}
)

// poll handles POST /poll?readKey=…: 404 while the login is under way, 400 if it ended without tokens
// (RFC 8628 section 3.5), and 200 with the provider's token response, once.
func (r *relay) poll(e *request) error {
	readKey := e.param("readKey")
	if readKey == "" {
		return pollNoKey
	}
	if len(readKey) > maxKeyLength {
		return pollUnknown
	}
	found, err := r.sessions.find(e.plugin, readKey)
	if errors.Is(err, errUnknown) {
		return pollUnknown
	}
	if err != nil {
		return err
	}
	switch found.status {
	case statusReady:
		return r.deliver(e, found, readKey)
	case statusPending:
		return pollPending
	case statusDenied, statusFailed:
		return &problem{Status: http.StatusBadRequest, Code: found.error, Description: found.errorDescription}
	case statusExpired:
		return pollExpired
	default:
		return pollUnknown
	}
}

// deliver claims the tokens and writes them. If the plugin is gone by then, they wait for its next poll.
func (r *relay) deliver(e *request, found session, readKey string) error {
	tokens, err := r.sessions.claim(found.id, readKey)
	if errors.Is(err, errUnknown) {
		return pollUnknown
	}
	if err != nil {
		return err
	}
	// The plugin has left, or the service is shutting down; in that case it is still there to be told.
	if e.Request.Context().Err() != nil {
		if err := r.sessions.restore(found.id); err != nil {
			return err
		}
		return pollPending
	}
	if err := e.writeTokens(tokens); err != nil {
		return r.sessions.restore(found.id)
	}
	// The answer is out. What goes wrong now can only be logged, and the sweep erases the tokens in the end.
	if err := r.sessions.erase(found.id); err != nil {
		r.app.Logger().Error("plugin-oauth: delivered tokens were not erased", "session", found.id, "cause", err.Error())
	}
	return nil
}
