package hooks

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
)

// guesses bounds how often anybody may try to sign in as an admin, and what that costs. Each try makes
// PocketBase compute a bcrypt hash, which keeps a core busy for some 50 ms.
//
// Each network has a limit. Of all tries one runs at a time, so that the other cores are free for plugins.
// The next is always one from the network that has failed least, so whoever guesses waits behind an admin who
// does not, however many they are. After a guess from a network that has failed before, the next one waits a
// second, so that all such networks together have one guess a second.
type guesses struct {
	limit *limiter
	rest  time.Duration // from one guess of a network that has failed before to the next try
	wait  time.Duration // how long a try waits for its turn
	now   func() time.Time

	mu       sync.Mutex
	busy     bool
	waiting  []*try // in the order of their arrival
	failures map[netip.Prefix]failures
}

// try is a try to sign in that waits for its turn.
type try struct {
	failures int
	turn     chan bool // gets true when it is its turn, or false if it lost its place; never blocks
}

// failures are the tries of a network that failed lately.
type failures struct {
	count int
	until time.Time // they are forgotten then
}

const (
	// maxWaitingTries is about how many hashes are computed in half the time that a try waits.
	maxWaitingTries = 100

	// maxSignIn bounds the body of a try, in bytes. PocketBase takes no password longer than 255 characters.
	maxSignIn = 8 << 10

	rememberFailures = time.Hour
)

// guessLimit is for each network. People mistype a password now and then.
var guessLimit = RateLimit{Requests: 10, Window: time.Minute}

func newGuesses(now func() time.Time) *guesses {
	return &guesses{
		limit:    newLimiter(guessLimit),
		rest:     time.Second,
		wait:     10 * time.Second,
		now:      now,
		failures: map[netip.Prefix]failures{},
	}
}

// letGuess lets a request of PocketBase's sign-in pass when it is its turn.
func (s *server) letGuess(e *core.RequestEvent) error {
	network := s.clientNetwork(&request{Request: e.Request})
	if after := s.guesses.limit.reserve(network, s.guesses.now()); after > 0 {
		return tooManyGuesses(e, after)
	}
	// Now, since whoever has the turn must not make others wait for a body.
	if err := s.readSignIn(e); err != nil {
		return err
	}
	if !s.guesses.enter(e.Request.Context(), network) {
		return tooManyGuesses(e, time.Second)
	}
	// A request for a one-time password proves nothing. A password that needs a second factor is right.
	proved := false
	defer func() { s.guesses.leave(network, proved) }()
	err := e.Next()
	proved = (err == nil && e.Request.Pattern != patternRequestOTP) || errors.Is(err, apis.ErrMFA)
	return err
}

func tooManyGuesses(e *core.RequestEvent, after time.Duration) error {
	seconds := strconv.Itoa(max(1, int(math.Ceil(after.Seconds()))))
	e.Response.Header().Set("Retry-After", seconds)
	return e.TooManyRequestsError("Too many attempts to sign in. Try again in "+seconds+" s.", nil)
}

// readSignIn reads the body, which PocketBase then reads again from memory.
func (s *server) readSignIn(e *core.RequestEvent) error {
	s.limitBody(e)
	read, err := io.Copy(io.Discard, io.LimitReader(e.Request.Body, maxSignIn))
	switch {
	case err != nil:
		return e.BadRequestError("The request did not arrive in time.", nil)
	case read == maxSignIn:
		return e.Error(http.StatusRequestEntityTooLarge, "The request is too large.", nil)
	}
	// Otherwise the request would be cancelled when it passes, even after the body has come.
	_ = http.NewResponseController(e.Response).SetReadDeadline(time.Time{})
	return nil
}

// enter waits until a network may try, and reports whether it may. If so, leave must be called.
func (g *guesses) enter(ctx context.Context, network netip.Prefix) bool {
	mine := &try{turn: make(chan bool, 1)}
	if !g.queue(mine, network) {
		return false
	}
	timeout := time.NewTimer(g.wait)
	defer timeout.Stop()
	select {
	case granted := <-mine.turn:
		return granted
	case <-ctx.Done():
	case <-timeout.C:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, waiting := range g.waiting {
		if waiting == mine {
			g.remove(i)
			return false
		}
	}
	return <-mine.turn // it came meanwhile
}

// queue gives a try its turn or a place, and reports whether there was one. A network that has failed more
// often gives up its place.
func (g *guesses) queue(mine *try, network netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if known := g.failures[siteOf(network)]; g.now().Before(known.until) {
		mine.failures = known.count
	}
	if !g.busy {
		g.busy = true
		mine.turn <- true
		return true
	}
	if len(g.waiting) >= maxWaitingTries {
		worst := 0
		for i, waiting := range g.waiting {
			if waiting.failures >= g.waiting[worst].failures {
				worst = i
			}
		}
		if g.waiting[worst].failures <= mine.failures {
			return false
		}
		g.remove(worst).turn <- false
	}
	g.waiting = append(g.waiting, mine)
	return true
}

// leave ends a try, and lets the next one begin.
func (g *guesses) leave(network netip.Prefix, proved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key, now := siteOf(network), g.now()
	known := g.failures[key]
	if !now.Before(known.until) {
		known = failures{}
	}
	if proved {
		delete(g.failures, key)
		g.grant()
		return
	}
	if len(g.failures) >= maxNetworks {
		clear(g.failures)
	}
	g.failures[key] = failures{count: known.count + 1, until: now.Add(rememberFailures)}
	if known.count > 0 {
		time.AfterFunc(g.rest, g.next)
		return
	}
	g.grant()
}

// next lets the next try begin.
func (g *guesses) next() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.grant()
}

// grant is next with the lock held.
func (g *guesses) grant() {
	best := -1
	for i, waiting := range g.waiting {
		if best < 0 || waiting.failures < g.waiting[best].failures {
			best = i
		}
	}
	g.busy = best >= 0
	if g.busy {
		g.remove(best).turn <- true
	}
}

// remove takes a try out of those that wait.
func (g *guesses) remove(i int) *try {
	removed := g.waiting[i]
	g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
	return removed
}
