package hooks

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
)

// waitingTokens bounds what token responses take that wait for their plugins. A provider may answer with a
// megabyte, and whoever runs it has any number of logins: they would fill the disk, and the memory once they
// are asked for. Large ones have a bound of their own, so that logins with usual ones go on whatever comes.
// What one plugin has is never more than the room that is left, so there is some for the others. It is safe
// for concurrent use.
type waitingTokens struct {
	limit int // in bytes, as are the others

	mu     sync.Mutex
	byID   map[string]waitingResponse // of the logins, by the id of their session
	total  int
	bySlug map[string]int
}

// waitingResponse is a token response that is stored.
type waitingResponse struct {
	slug  string
	size  int
	until time.Time // then nobody is given it any more, and the next sweep erases it
}

const (
	// maxLargeTokens bounds what large ones take together, in bytes: 64 MB.
	maxLargeTokens = 64 << 20

	// usualTokens is how large one may be that is not large, in bytes: 16 KB.
	usualTokens = 16 << 10

	// maxUsualTokens bounds what the others take together, in bytes: 256 MB, of which one plugin may have
	// half. So 32,000 of its logins may wait, as many as may be under way.
	maxUsualTokens = 256 << 20

	// leastTokens is what one counts at least, in bytes. It bounds how many are remembered here.
	leastTokens = 4 << 10
)

// errManyLargeTokens is the error of a login whose tokens there is no room for.
var errManyLargeTokens = responseError{
	Status: http.StatusServiceUnavailable,
	Code:   "temporarily_unavailable",
	Description: "The provider's tokens are unusually large, and many wait to be fetched. Try again in " +
		"some minutes.",
	author: "The provider's answers have more than 16 KB, and many wait to be fetched. Poll until a " +
		"sign-in ends, and ask for fewer scopes or claims.",
}

// errManyTokens is the same if they are not large.
var errManyTokens = responseError{
	Status:      http.StatusServiceUnavailable,
	Code:        "temporarily_unavailable",
	Description: "The tokens of many sign-ins wait to be fetched. Try again in some minutes.",
	author:      "The tokens of many sign-ins wait to be fetched. Poll until a sign-in ends.",
}

var (
	errNoRoomForLarge = errors.New("the token response has more than 16 KB, and there is no room for it " +
		"beside those that wait to be fetched; fewer scopes or claims make it smaller")
	errNoRoomForUsual = errors.New("there is no room for the token response beside those that wait to be " +
		"fetched")
)

func newWaitingTokens(limit int) *waitingTokens {
	return &waitingTokens{limit: limit, byID: map[string]waitingResponse{}, bySlug: map[string]int{}}
}

// checkRoom counts the tokens of a login that are about to be stored, and fails if there is no room for them.
// In a cluster there always is: a machine does not hear when others have given them away, and etcd has a
// bound of its own.
func (s *server) checkRoom(tokens []byte, pending session.Pending, plugin *plugins.Plugin) error {
	if s.membership != nil {
		return nil
	}
	response := waitingResponse{
		slug: plugin.Slug, size: max(len(tokens), leastTokens), until: pending.Expires,
	}
	now := s.config.timing.now()
	switch {
	case len(tokens) > usualTokens && !s.largeTokens.add(pending.ID, response, now):
		return errManyLargeTokens.because(errNoRoomForLarge)
	case len(tokens) <= usualTokens && !s.usualTokens.add(pending.ID, response, now):
		return errManyTokens.because(errNoRoomForUsual)
	}
	return nil
}

// tokensEnded says how a login has ended whose tokens may have been counted.
func (s *server) tokensEnded(id string, status session.Status) {
	now := s.config.timing.now()
	s.largeTokens.ended(id, status, now)
	s.usualTokens.ended(id, status, now)
}

// tokensErased says that the tokens of a login are stored no longer.
func (s *server) tokensErased(id string) {
	s.largeTokens.erased(id)
	s.usualTokens.erased(id)
}

// add counts a response that is about to be stored, and reports whether there is room for it.
func (w *waitingTokens) add(id string, response waitingResponse, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.fits(response) {
		for id, waiting := range w.byID {
			if !now.Before(waiting.until) {
				w.forget(id)
			}
		}
	}
	if !w.fits(response) {
		return false
	}
	w.byID[id] = response
	w.total += response.size
	w.bySlug[response.slug] += response.size
	return true
}

// fits reports whether there is room for a response. The caller holds the lock.
func (w *waitingTokens) fits(response waitingResponse) bool {
	others := w.total - w.bySlug[response.slug]
	return w.bySlug[response.slug]+response.size <= (w.limit-others)/2
}

// forget counts a response no longer. The caller holds the lock.
func (w *waitingTokens) forget(id string) {
	gone, found := w.byID[id]
	if !found {
		return
	}
	delete(w.byID, id)
	w.total -= gone.size
	if w.bySlug[gone.slug] -= gone.size; w.bySlug[gone.slug] == 0 {
		delete(w.bySlug, gone.slug)
	}
}

// ended says how a login has ended. The tokens of one that was claimed may stay for a moment: see
// [session.AckWindow].
func (w *waitingTokens) ended(id string, status session.Status, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting, found := w.byID[id]
	switch {
	case !found:
	case status == session.StatusClaimed:
		waiting.until = now.Add(session.AckWindow)
		w.byID[id] = waiting
	default:
		w.forget(id)
	}
}

// erased counts a response no longer, if it was counted.
func (w *waitingTokens) erased(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(id)
}
