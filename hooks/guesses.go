package hooks

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
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
// The next is always one of the best [rank] of a queue, so whoever guesses waits behind an admin who does
// not, however many they are. After a guess from a site or a region that has failed before, the next one
// waits a second, so that all of these together have one guess a second.
//
// There are two queues, and their orders take turns. Each protects from those whom the other does not stop:
// the first from those who have any number of networks in a few regions, and the second from those who have a
// few networks in every region, that of the admin included.
type guesses struct {
	limit *limiter
	rest  time.Duration // from one guess of a region that has failed before to the next try
	wait  time.Duration // how long a try waits for its turn, and whoever is refused once before the next
	now   func() time.Time

	mu       sync.Mutex
	busy     bool
	queues   [2]queue                   // of the tries that wait
	turn     int                        // whose order is next
	failures map[netip.Prefix]failures  // of sites and of regions
	admins   map[netip.Prefix]time.Time // the networks of admins who have signed in, and how long they count
}

// try is a try to sign in that waits for its turn.
type try struct {
	network netip.Prefix
	turn    chan bool // gets true when it is its turn, or false if it lost its place; never blocks
}

// rank says who goes first: a network from which an admin has signed in before, then one of those that have
// failed least. It is of one moment only, since networks go on failing while their tries wait.
type rank struct {
	admin        bool
	region, site int // failures
}

// queue has tries in the order of their arrival. By its order they go, and lose their places.
type queue struct {
	tries   []*try
	compare func(one, other rank) int // negative if the first goes first
}

func byRegion(one, other rank) int {
	return cmp.Or(adminsFirst(one, other), cmp.Compare(one.region, other.region),
		cmp.Compare(one.site, other.site))
}

func bySite(one, other rank) int {
	return cmp.Or(adminsFirst(one, other), cmp.Compare(one.site, other.site),
		cmp.Compare(one.region, other.region))
}

func adminsFirst(one, other rank) int {
	switch {
	case one.admin == other.admin:
		return 0
	case one.admin:
		return -1
	default:
		return 1
	}
}

// failures are the tries of a network lately. Each counts from its arrival until it has signed in: one that
// waits, so that others of its network go behind those who have one only, and one that is refused, so that
// whoever is refused all the time does not remain equal to somebody who comes only now.
type failures struct {
	count int
	until time.Time // they are forgotten then
}

const (
	// maxQueue is about how many hashes are computed in a quarter of the time that a try waits.
	maxQueue = 50

	// maxPause bounds how long anybody is told to wait. The first wait is doubled maxDoubled times until then.
	maxPause   = 5 * time.Minute
	maxDoubled = 5

	// maxSignIn bounds the body of a try, in bytes. PocketBase takes no password longer than 255 characters.
	maxSignIn = 8 << 10

	// signInMemory is what each byte of it takes while it is read, since PocketBase's buffer grows with it.
	signInMemory = 2

	// maxFailures bounds the sites and regions whose failures are remembered, each for rememberFailures.
	maxFailures      = 50_000
	rememberFailures = time.Hour

	// maxAdmins bounds the networks of admins that are remembered, each for rememberAdmin.
	maxAdmins     = 1000
	rememberAdmin = 30 * 24 * time.Hour
)

// guessLimit is for each network. People mistype a password now and then.
var guessLimit = RateLimit{Requests: 10, Window: time.Minute}

func newGuesses(now func() time.Time) *guesses {
	return &guesses{
		limit:    newLimiter(guessLimit),
		rest:     time.Second,
		wait:     10 * time.Second,
		now:      now,
		queues:   [2]queue{{compare: byRegion}, {compare: bySite}},
		failures: map[netip.Prefix]failures{},
		admins:   map[netip.Prefix]time.Time{},
	}
}

// regionOf returns what a whole provider may have: the /16 of an IPv4 address, or the /32 of an IPv6 network.
func regionOf(network netip.Prefix) netip.Prefix {
	bits := 16
	if network.Addr().Is6() {
		bits = 32
	}
	region, err := network.Addr().Prefix(bits)
	if err != nil {
		return network // the unknown one
	}
	return region
}

// letGuess lets a request of PocketBase's sign-in pass when it is its turn. A page elsewhere, in the browser
// of whoever visits it, may neither guess nor use up what the network has: browsers say where a page is from
// (Fetch Metadata).
func (s *server) letGuess(e *core.RequestEvent) error {
	switch e.Request.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return e.ForbiddenError("Sign in at /_/ here. Pages of other addresses may not.", nil)
	}
	network := s.clientNetwork(&request{Request: e.Request})
	if after := s.guesses.limit.reserve(network, s.guesses.now()); after > 0 {
		return tooManyGuesses(e, after)
	}
	// Now, since whoever has the turn must not make others wait for a body.
	if err := s.readSignIn(e); err != nil {
		return err
	}
	mine := &try{network: network, turn: make(chan bool, 1)}
	if !s.guesses.enqueue(mine) {
		return tooManyGuesses(e, s.guesses.pause(network))
	}
	release, _ := s.connections.keep(e.Request) // from here on, since the places in the queues are few
	defer release()
	if !s.guesses.await(e.Request.Context(), mine) {
		return tooManyGuesses(e, s.guesses.pause(network))
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
	s.limitBody(e.Response, e.Request)
	length := e.Request.ContentLength
	if length < 0 || length > maxSignIn {
		length = maxSignIn
	}
	countMore(e.Request, signInMemory*int(length)>>10)
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

// await waits until it is the turn of a try that has a place, and reports whether it came. If so, leave must
// be called.
func (g *guesses) await(ctx context.Context, mine *try) bool {
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
	if !g.remove(mine) {
		return <-mine.turn // it came meanwhile
	}
	return false
}

// enqueue gives a try its turn or a place, and reports whether there was one. Whoever has no place in the
// first queue may have one in the second. Who has none there either is refused, the new one or another.
func (g *guesses) enqueue(mine *try) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addFailure(mine.network)
	if !g.busy {
		g.busy = true
		mine.turn <- true
		return true
	}
	loser := mine
	for i := range g.queues {
		if loser = g.add(loser, &g.queues[i]); loser == nil {
			return true
		}
	}
	if loser == mine {
		return false
	}
	loser.turn <- false
	return true
}

// pause returns how long whoever is refused should wait before the next try: twice as long each time. A
// person who tried again at once would soon have failed as often as those who guess all the time, and one who
// always waited as long would have failed more often than hundreds who take turns.
func (g *guesses) pause(network netip.Prefix) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := max(0, g.rankOf(network).site-1)
	return min(g.wait<<min(before, maxDoubled), maxPause)
}

// rankOf returns the rank of a network. The caller holds the lock, as for all below.
func (g *guesses) rankOf(network netip.Prefix) rank {
	return rank{
		admin:  g.now().Before(g.admins[network]),
		region: g.failuresOf(regionOf(network)).count,
		site:   g.failuresOf(siteOf(network)).count,
	}
}

// failuresOf returns what a site or a region has not been forgotten yet.
func (g *guesses) failuresOf(prefix netip.Prefix) failures {
	if known := g.failures[prefix]; g.now().Before(known.until) {
		return known
	}
	return failures{}
}

// add puts a try at the end of a queue. If all places are taken, it returns one of the lowest rank, which has
// lost its own: another, or the new one. Which of several is chance, so that each has one, however many come.
func (g *guesses) add(mine *try, q *queue) (loser *try) {
	if len(q.tries) >= maxQueue {
		lowest, equals, at := g.rankOf(mine.network), 1, -1
		for i, waiting := range q.tries {
			rank := g.rankOf(waiting.network)
			switch order := q.compare(rank, lowest); {
			case order > 0:
				lowest, equals, at = rank, 1, i
			case order == 0:
				if equals++; rand.IntN(equals) == 0 {
					at = i
				}
			}
		}
		if at < 0 {
			return mine
		}
		loser = q.remove(at)
	}
	q.tries = append(q.tries, mine)
	return loser
}

// remove takes a try out.
func (q *queue) remove(i int) *try {
	removed := q.tries[i]
	q.tries = slices.Delete(q.tries, i, i+1)
	return removed
}

// addFailure counts a try as failed.
func (g *guesses) addFailure(network netip.Prefix) {
	for _, prefix := range []netip.Prefix{siteOf(network), regionOf(network)} {
		if _, found := g.failures[prefix]; !found && len(g.failures) >= maxFailures {
			for some := range g.failures {
				delete(g.failures, some)
				break
			}
		}
		count := g.failuresOf(prefix).count + 1
		g.failures[prefix] = failures{count: count, until: g.now().Add(rememberFailures)}
	}
}

// forget forgets the failures of a network's site, but not the tries that wait: they may still fail.
func (g *guesses) forget(network netip.Prefix) {
	waiting := 0
	for _, queue := range g.queues {
		for _, try := range queue.tries {
			if siteOf(try.network) == siteOf(network) {
				waiting++
			}
		}
	}
	over := max(0, g.failuresOf(siteOf(network)).count-waiting)
	for _, prefix := range []netip.Prefix{siteOf(network), regionOf(network)} {
		known := g.failuresOf(prefix)
		if known.count -= over; known.count > 0 {
			g.failures[prefix] = known
		} else {
			delete(g.failures, prefix)
		}
	}
}

// addAdmin remembers a network from which an admin has signed in, and forgets its failures.
func (g *guesses) addAdmin(network netip.Prefix) {
	g.forget(network)
	delete(g.admins, network)
	for len(g.admins) >= maxAdmins {
		delete(g.admins, firstToGo(g.admins))
	}
	g.admins[network] = g.now().Add(rememberAdmin)
}

// firstToGo returns the network that is remembered for the shortest time.
func firstToGo(admins map[netip.Prefix]time.Time) (first netip.Prefix) {
	var earliest time.Time
	for network, until := range admins {
		if earliest.IsZero() || until.Before(earliest) {
			first, earliest = network, until
		}
	}
	return first
}

// leave ends a try, and lets the next one begin.
func (g *guesses) leave(network netip.Prefix, proved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if proved {
		g.addAdmin(network)
		g.grant()
		return
	}
	if rank := g.rankOf(network); rank.site > 1 || rank.region > 1 { // another has failed, or waits
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

// grant is next with the lock held. The orders of the queues take turns, and each is of all that wait:
// whoever has a place in one queue has none in the other. Of equal ones those of its own queue go first.
func (g *guesses) grant() {
	var next *try
	var best rank
	for i := range g.queues {
		for _, waiting := range g.queues[(g.turn+i)%len(g.queues)].tries {
			if rank := g.rankOf(waiting.network); next == nil || g.queues[g.turn].compare(rank, best) < 0 {
				next, best = waiting, rank
			}
		}
	}
	g.turn = 1 - g.turn
	g.busy = next != nil
	if g.busy {
		g.remove(next)
		next.turn <- true
	}
}

// remove takes a try out of its queue, and reports whether it was in one.
func (g *guesses) remove(mine *try) bool {
	for i := range g.queues {
		if at := slices.Index(g.queues[i].tries, mine); at >= 0 {
			g.queues[i].remove(at)
			return true
		}
	}
	return false
}
