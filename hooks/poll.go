package hooks

import (
	"errors"
	"net/http"

	"github.com/pocketbase/pocketbase/core"
)

var (
	pollPending = &problem{Status: http.StatusNotFound, Code: "authorization_pending"}
	pollUnknown = &problem{Status: http.StatusNotFound, Code: "not_found"}
	pollExpired = &problem{Status: http.StatusBadRequest, Code: "expired_token", Description: "The sign-in took too long. Please start again."}
	pollNoKey   = &problem{Status: http.StatusBadRequest, Code: "invalid_request", Description: "readKey is missing."}
)

// poll handles POST /poll?readKey=…: 404 while the login is under way, 400 if it ended without tokens
// (RFC 8628 section 3.5), and 200 with the provider's token response, once.
func (r *relay) poll(e *core.RequestEvent) error {
	readKey := param(e, "readKey")
	if readKey == "" {
		return pollNoKey
	}
	if len(readKey) > maxKeyLength {
		return pollUnknown
	}
	plugin, err := r.plugin()
	if err != nil {
		return err
	}
	found, err := r.sessions.find(plugin.Slug, readKey)
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
func (r *relay) deliver(e *core.RequestEvent, found session, readKey string) error {
	tokens, err := r.sessions.claim(found.id, readKey)
	if errors.Is(err, errUnknown) {
		return pollUnknown
	}
	if err != nil {
		return err
	}
	if err := e.Request.Context().Err(); err != nil {
		return r.sessions.restore(found.id)
	}
	if err := writeTokens(e, tokens); err != nil {
		return r.sessions.restore(found.id)
	}
	return r.sessions.deliver(found.id)
}
