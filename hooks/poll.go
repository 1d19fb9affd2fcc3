package hooks

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtry"
)

const (
	// maxWait bounds how long a poll may be held, in seconds.
	maxWait = 30

	// networkPolls bounds the polls that are held for one client network: a whole office, school or mobile
	// network behind one address may sign in at the same time.
	networkPolls = 1_000

	// heldPolls bounds them in all. Each takes 20 to 25 KB, nearly all of it net/http's: three buffers, and
	// two goroutines whose stacks have grown.
	heldPolls = 5_000
)

var (
	// errNoReadKey says that a poll has no read key.
	errNoReadKey = errors.New("readKey is missing")

	// errPluginGone says that the plugin left before its answer was written.
	errPluginGone = errors.New("the plugin is gone")
)

// poll handles POST /poll?readKey=…[&wait=SECONDS][&ack=1|done]: 404 while the login is under way, 400 if it
// ended without tokens (RFC 8628 section 3.5), and 200 with the provider's token response, once or until it
// is acknowledged. With wait it is held until the login ends, for 1 to 30 seconds. One that is one too many
// to hold is answered at once, as it would be without wait: nothing is lost, and no plugin has to know
// another answer. Its connection is closed, since an idle one takes nearly as much. One whose place a request
// to a provider needs is answered as well.
func (s *server) poll(e *request) error {
	readKey := strings.Clone(e.param("readKey")) // it would keep the whole query in memory
	ack := strings.Clone(e.param("ack"))
	if ack == ackDone && readKey != "" {
		return pollError(s.acknowledge(e, readKey))
	}
	var err error
	for range 2 {
		login, pending := s.sessions.FindPending(e.owner(), readKey)
		switch {
		case readKey == "":
			err = errNoReadKey
		// The wait is here, and not deeper in the call stack: thousands may wait, each on a stack of its own.
		case pending && !s.waitForEnd(e, login):
			err = session.ErrPending
		default:
			err = s.deliver(e, readKey, ack == ackLater)
		}
		if pending || !errors.Is(err, session.ErrPending) {
			break
		}
		// Another machine has begun the login just now. This one has heard of it by looking for its tokens.
	}
	s.metrics.poll(err)
	return pollError(err)
}

// The values of a poll's parameter ack. A plugin that sends ackLater gets the tokens again, until it says
// ackDone or a [session.AckWindow] has passed. So nothing is lost if the answer does not reach it, or if it
// is loaded anew before it has stored them. Without the parameter they are given once.
const (
	ackLater = "1"
	ackDone  = "done"
)

// acknowledge erases the tokens that the plugin has stored by now. It answers 204, also if they were erased
// before.
func (s *server) acknowledge(e *request, readKey string) error {
	ctx := context.WithoutCancel(e.Request.Context())
	claim, err := s.claim(ctx, e, readKey, true)
	if err == nil {
		err = claim.Ack(ctx)
	}
	if err == nil {
		s.tokensErased(claim.SessionID)
	}
	if err != nil && !errors.Is(err, session.ErrUnknown) {
		return err
	}
	e.Response.WriteHeader(http.StatusNoContent)
	return nil
}

// waitForEnd waits for the end of a login for as long as the request says, and reports whether the login
// ended. If the same login is polled again meanwhile, with or without a wait, the older poll gives way: its
// client may have left without a proxy telling, and would then take the tokens with it.
func (s *server) waitForEnd(e *request, login *session.Login) bool {
	seconds, err := strconv.ParseUint(cmp.Or(e.param("wait"), "0"), 10, 16)
	if err != nil || seconds == 0 {
		login.Displace()
		return false
	}
	held := s.hold(e, login)
	if held == nil {
		login.Displace()
		e.Response.Header().Set("Connection", "close")
		return false
	}
	defer held.leave()
	left := login.Expires().Sub(s.table.Now())
	timer := time.NewTimer(min(time.Duration(min(seconds, maxWait))*s.config.timing.pollSecond, left))
	defer timer.Stop()
	s.metrics.waiting.Inc()
	defer s.metrics.waiting.Dec()
	select {
	case <-login.Ended():
		return !held.isReplaced()
	case <-timer.C:
		return !s.table.Now().Before(login.Expires())
	case <-held.replaced:
		return false
	case <-held.displaced:
		e.Response.Header().Set("Connection", "close")
		return false
	case <-s.closing:
		return false
	case <-e.Request.Context().Done():
		return false
	}
}

// heldPoll is a poll that may wait.
type heldPoll struct {
	leave     func()          // must be called at its end
	replaced  <-chan struct{} // closed when the same login is polled again
	displaced chan struct{}   // closed when others need its place
}

// isReplaced reports whether the same login was polled again.
func (h *heldPoll) isReplaced() bool {
	select {
	case <-h.replaced:
		return true
	default:
		return false
	}
}

// hold lets a poll wait. It returns nil if that would be one too many.
func (s *server) hold(e *request, login *session.Login) (held *heldPoll) {
	done := make(chan struct{})
	// On a stack of its own. Otherwise what is needed here for a moment would double that of the poll, for as
	// long as it waits.
	go func() {
		defer close(done)
		leave, err := s.pollGate.enter(s.clientNetwork(e), "")
		if err != nil {
			return
		}
		e.forgetBody() // before its connection counts for less
		displaced := make(chan struct{})
		release := s.connections.hold(e.Request, pollSaves, func() { close(displaced) })
		if release == nil {
			leave()
			return
		}
		held = &heldPoll{replaced: login.Replace(), displaced: displaced, leave: func() {
			release()
			leave()
		}}
		e.forgetRequest()
	}()
	<-done
	return held
}

// forgetRequest gives up what the client sent, which may be tens of kilobytes, while the request waits. Only
// its path and its context remain.
func (e *request) forgetRequest() {
	e.Request.Header, e.Request.RequestURI, e.Request.Host = nil, "", ""
	e.Request.URL = &url.URL{Path: strings.Clone(e.Request.URL.Path)}
}

// claim is sessions.Claim. A plugin that acknowledges may ask again before the database has recorded what it
// was sent: on another connection, as proxies have many, nothing makes it wait for that. So this does, for a
// moment.
func (s *server) claim(
	ctx context.Context, e *request, readKey string, acknowledges bool,
) (*session.Claim, error) {
	for _, pause := range claimPauses {
		claim, err := s.sessions.Claim(ctx, e.owner(), readKey)
		if !acknowledges || !errors.Is(err, session.ErrTaken) {
			return claim, err
		}
		select {
		case <-time.After(pause):
		case <-e.Request.Context().Done():
			return nil, err
		}
	}
	return nil, session.ErrTaken
}

// claimPauses are how long claim waits after each try: not long at first, since the record takes some
// milliseconds, and not often, since each try is a query and anybody may keep tokens unread.
var claimPauses = []time.Duration{
	10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond,
	150 * time.Millisecond, 300 * time.Millisecond, 400 * time.Millisecond,
}

// deliver claims the tokens and writes them. They are kept if the plugin is to acknowledge them. If the
// plugin is gone by then, they wait for its next poll. It fails as sessions.Claim does, or with
// errPluginGone.
func (s *server) deliver(e *request, readKey string, keep bool) error {
	ctx := context.WithoutCancel(e.Request.Context()) // a shutdown cancels it with the plugin still there
	claim, err := s.claim(ctx, e, readKey, keep)
	if err != nil {
		return err
	}
	// Either the plugin has left, or the service is shutting down and the plugin is to poll again.
	if e.Request.Context().Err() != nil {
		return errors.Join(session.ErrPending, claim.Release(ctx))
	}
	tokens, err := e.plugin.SealTokens(claim.Tokens)
	if err != nil {
		return errors.Join(err, claim.Release(ctx))
	}
	if err := e.writeTokens(tokens); err != nil {
		return errors.Join(errPluginGone, claim.Release(ctx))
	}
	if !claim.Again { // else each poll would make good again what was refused or revoked meanwhile
		s.knownTokens.addGood(e, claim.Tokens)
	}
	record := claim.Ack
	if keep {
		record = claim.Keep
	}
	// The answer has been sent. A failure from here on can only be logged; the tokens go later, at the end of
	// the session at the latest.
	if err := record(ctx); err != nil {
		s.log.Error("it was not recorded that the plugin has its tokens", "session", claim.SessionID,
			"cause", err.Error())
	} else if !keep {
		s.tokensErased(claim.SessionID)
	}
	return nil
}

// pollError turns the result of a poll into its answer (RFC 8628 section 3.5).
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
		return errStillPending // if the other poll does not get the tokens, the next one does
	case errors.Is(err, etcdtry.ErrUnavailable):
		return errStillPending // the tokens wait until there is a majority again
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
