package hooks

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
)

// waitingTokens bounds what large token responses take that wait for their plugins. A provider may answer
// with a megabyte, and whoever runs it has any number of logins: they would fill the disk, and the memory
// once they are asked for. Usual ones are not counted, and their logins go on whatever comes. What one plugin
// has is never more than the room that is left, so there is some for the others. It is safe for concurrent
// use.
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
	// maxWaitingTokens bounds what they take together, in bytes: 64 MB. Beside it there are those that are
	// not counted.
	maxWaitingTokens = 64 << 20

	// usualTokens is how large a response may be that is not counted, in bytes: 16 KB.
	usualTokens = 16 << 10
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

var errNoRoomForTokens = errors.New("the token response has more than 16 KB, and there is no room for it " +
	"beside those that wait to be fetched; fewer scopes or claims make it smaller")

func newWaitingTokens(limit int) *waitingTokens {
	return &waitingTokens{limit: limit, byID: map[string]waitingResponse{}, bySlug: map[string]int{}}
}

// hasRoomFor reports whether the tokens of a login may be stored. In a cluster they always may: a machine
// does not hear when others have given them away, and etcd has a bound of its own.
func (s *server) hasRoomFor(tokens []byte, pending session.Pending, plugin *plugins.Plugin) bool {
	response := waitingResponse{slug: plugin.Slug, size: len(tokens), until: pending.Expires}
	return s.membership != nil || s.waitingTokens.add(pending.ID, response, s.config.timing.now())
}

// add counts a response that is about to be stored, and reports whether there is room for it.
func (w *waitingTokens) add(id string, response waitingResponse, now time.Time) bool {
	if response.size <= usualTokens {
		return true
	}
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
