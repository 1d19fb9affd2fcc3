package hooks

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"plugin-oauth/hooks/session"
)

// maxWait bounds how long a poll may be held, in seconds.
const maxWait = 30

var (
	// errNoReadKey: the poll has no read key.
	errNoReadKey = errors.New("readKey is missing")

	// errPluginGone: the plugin left before its answer was written.
	errPluginGone = errors.New("the plugin is gone")
)

// poll handles POST /poll?readKey=…[&wait=SECONDS]: 404 while the login is under way, 400 if it ended without
// tokens (RFC 8628 section 3.5), and 200 with the provider's token response, once. With wait it is held until
// the login ends, for 1 to 30 seconds.
func (s *server) poll(e *request) error {
	var err error
	if readKey := e.param("readKey"); readKey == "" {
		err = errNoReadKey
	} else if login, pending := s.sessions.FindPending(e.owner(), readKey); pending && !s.waitForEnd(e,
		login) {
		// It waits here, and not deeper: thousands may wait, each on a stack of its own.
		err = session.ErrPending
	} else {
		err = s.deliver(e, readKey)
	}
	s.metrics.poll(err)
	return pollError(err)
}

// waitForEnd waits for the end of a login as long as the request says, and reports whether it came.
func (s *server) waitForEnd(e *request, login *session.Login) bool {
	wait := e.param("wait")
	if wait == "" {
		return false
	}
	seconds, err := strconv.ParseUint(wait, 10, 16)
	if err != nil || seconds == 0 {
		return false
	}
	left := login.Expires().Sub(s.config.timing.now())
	timer := time.NewTimer(min(time.Duration(min(seconds, maxWait))*s.config.timing.pollSecond, left))
	defer timer.Stop()
	s.metrics.waiting.Inc()
	defer s.metrics.waiting.Dec()
	select {
	case <-login.Ended():
		return true
	case <-timer.C:
		return !s.config.timing.now().Before(login.Expires())
	case <-s.closing:
		return false
	case <-e.Request.Context().Done():
		return false
	}
}

// deliver claims the tokens and writes them. If the plugin is gone by then, they wait for its next poll. It
// fails as sessions.Claim does, or with errPluginGone.
func (s *server) deliver(e *request, readKey string) error {
	ctx := context.WithoutCancel(e.Request.Context()) // a shutdown cancels it while the plugin is still there
	claim, err := s.sessions.Claim(ctx, e.owner(), readKey)
	if err != nil {
		return err
	}
	// The plugin has left, or the service is shutting down; in that case it is still there to be told.
	if e.Request.Context().Err() != nil {
		return errors.Join(session.ErrPending, claim.Release(ctx))
	}
	if err := e.writeTokens(claim.Tokens); err != nil {
		return errors.Join(errPluginGone, claim.Release(ctx))
	}
	// The answer is out. What goes wrong now can only be logged, and the sweep erases the tokens in the end.
	if err := claim.Ack(ctx); err != nil {
		s.log.Error("delivered tokens were not erased", "session", claim.SessionID, "cause", err.Error())
	}
	return nil
}

// pollError says what a poll is answered (RFC 8628 section 3.5).
func pollError(err error) error {
	if failure, ok := errors.AsType[*session.Failure](err); ok {
		response := invalidRequest(failure.Description)
		response.Code = failure.Code
		return response
	}
	switch {
	case err == nil || errors.Is(err, errPluginGone):
		return nil
	case errors.Is(err, session.ErrPending) || errors.Is(err, session.ErrTaken):
		return errStillPending // and if the other poll fails to get the tokens, they are here
	case errors.Is(err, session.ErrUnknown):
		return errUnknownReadKey
	case errors.Is(err, session.ErrExpired):
		response := invalidRequest("The sign-in took too long. Please start again.")
		response.Code = "expired_token"
		return response
	case errors.Is(err, errNoReadKey):
		return invalidRequest("readKey is missing.")
	default:
		return err
	}
}

var (
	errStillPending   = &responseError{Status: http.StatusNotFound, Code: "authorization_pending"}
	errUnknownReadKey = &responseError{Status: http.StatusNotFound, Code: "not_found"}
)
