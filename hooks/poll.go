package hooks

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

var (
	pollPending = &problem{Status: http.StatusNotFound, Code: "authorization_pending"}
	pollUnknown = &problem{Status: http.StatusNotFound, Code: "not_found"}
	pollExpired = &problem{Status: http.StatusBadRequest, Code: "expired_token", Description: "The sign-in took too long. Please start again."}
	pollNoKey   = &problem{Status: http.StatusBadRequest, Code: "invalid_request", Description: "readKey is missing."}
)

// maxWait bounds how long a poll may be held.
const maxWait = 30 * time.Second

// poll handles POST /poll?readKey=…[&wait=SECONDS]: 404 while the login is under way, 400 if it ended without tokens
// (RFC 8628 section 3.5), and 200 with the provider's token response, once. With wait it is held until the login ends,
// for 1 to 30 seconds.
func (r *relay) poll(e *request) error {
	var err error
	switch readKey := e.param("readKey"); {
	case readKey == "":
		err = pollNoKey
	case len(readKey) > maxKeyLength:
		err = pollUnknown
	default:
		// It waits here, and not deeper: thousands may wait, each on a stack of its own.
		if login, pending := r.sessions.pending(e.plugin, readKey); pending && !r.ends(e, login) {
			err = pollPending
		} else {
			err = r.answerPoll(e, readKey)
		}
	}
	r.metrics.poll(err)
	if err == errGone {
		return nil
	}
	return err
}

// errGone: the plugin left before its answer was written.
var errGone = errors.New("the plugin is gone")

// answerPoll answers with what became of a login. It fails with errGone, or with what the plugin is to be told.
func (r *relay) answerPoll(e *request, readKey string) error {
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

// ends waits for the end of a login as long as the request says, and reports whether it came.
func (r *relay) ends(e *request, login *login) bool {
	wait := e.param("wait")
	if wait == "" {
		return false
	}
	seconds, err := strconv.ParseUint(wait, 10, 16)
	if err != nil || seconds == 0 {
		return false
	}
	expiry := time.Until(login.expires)
	timer := time.NewTimer(min(time.Duration(seconds)*time.Second, maxWait, expiry))
	defer timer.Stop()
	r.metrics.waiting.Inc()
	defer r.metrics.waiting.Dec()
	select {
	case <-login.ended:
		return true
	case <-timer.C:
		return !time.Now().Before(login.expires)
	case <-r.closing:
		return false
	case <-e.Request.Context().Done():
		return false
	}
}

// deliver claims the tokens and writes them. If the plugin is gone by then, they wait for its next poll.
func (r *relay) deliver(e *request, found session, readKey string) error {
	tokens, err := r.sessions.claim(found.id, readKey)
	if errors.Is(err, errTaken) {
		return pollPending // and if the other poll fails to get them, they are here
	}
	if errors.Is(err, errUnknown) {
		return pollUnknown
	}
	if err != nil {
		return err
	}
	// The plugin has left, or the service is shutting down; in that case it is still there to be told.
	if e.Request.Context().Err() != nil {
		r.sessions.release(found.id)
		return pollPending
	}
	if err := e.writeTokens(tokens); err != nil {
		r.sessions.release(found.id)
		return errGone
	}
	// The answer is out. What goes wrong now can only be logged, and the sweep erases the tokens in the end.
	if err := r.sessions.delivered(found.id); err != nil {
		r.log.Error("delivered tokens were not erased", "session", found.id, "cause", err.Error())
	}
	return nil
}
