package hooks

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"plugin-oauth/internal/fair"
)

// What connections take, in KB, as measured with the kinds of examples/siege that take the most.
const (
	// connectionsMemory bounds what all of them take together, with the logins that are under way. In the
	// 256 MB of fly.toml's machine that leaves room for the program itself, for what the garbage collector
	// has not collected yet, and for the requests to providers. It is enough for 3,500 connections, or 1,750
	// with TLS, or for heldPolls and 300 more; with maxPending logins for 2,400, or 3,300 held polls, and for
	// 1,400 if each login was started from an IPv6 site of its own.
	connectionsMemory = 126_000

	// loginMemory is what ten logins take that are under way, beyond the first few.
	loginMemory = 13
	fewLogins   = 1_000

	// networkMemory is what ten of the networks, sites and regions take from which logins were started,
	// beyond as many.
	networkMemory = 6

	// plainMemory is what a connection takes whose client reads its answers slowly. An idle one takes 20.
	plainMemory = 36

	// tlsMemory is what one with TLS takes. An idle one takes 40.
	tlsMemory = 72

	// pollSaves is what a held poll takes less, since it forgets its request.
	pollSaves = 13

	// usualRequest is what of a request's headers is counted with its connection.
	usualRequest = 2

	// pageMemory is what each byte of a page takes that is read slowly, with what rendering it has left.
	pageMemory = 2

	// usualReceived is what of the bytes that TLS has received is counted with its connection.
	usualReceived = 16

	// usualHandshake is the same before the first request. Browsers send 2 until then, beside the request.
	usualHandshake = 4

	// helloMemory is what each byte of a ClientHello takes until the handshake has ended: its lists are
	// read into slices, and a name of one letter takes two bytes there.
	helloMemory = 12

	// usualHead is usualReceived without TLS, of a request whose headers have not ended.
	usualHead = 4

	// headMemory is what each further byte takes then: a long line is copied as it grows.
	headMemory = 2

	// usualAnswer is how large an answer may be, in bytes, so that nothing of it is counted: what the
	// connection itself may hold.
	usualAnswer = 4 << 10

	// answerMemory is what each byte of a larger one takes: of tokens there are two copies, sealed and open,
	// and one with the plugin's own seal.
	answerMemory = 3

	// littleTime is less than a handshake and a request may take from far away.
	littleTime = 2 * time.Second

	// maxLeaving is how much those may take together that were closed for others, and whose goroutine has not
	// ended. In a flood more are accepted than end, and what they hold is still there: a request that is
	// being handled goes on to its end. One that may take long keeps its place, ends when it is closed, or is
	// bounded.
	maxLeaving = 6_000

	// maxCompared is how many connections are compared, once all of them have had their time, before one of
	// them is closed.
	maxCompared = 32

	// A network has a large part of all connections if one of largePart, or more, come from there.
	largePart = 16

	// maxHello bounds a ClientHello, in bytes, and all that a client says of the handshake in the clear: that
	// may be two (RFC 8446 section 4.1.4). One of 60 KB takes ten times as long to read as the rest of the
	// handshake.
	maxHello = 8 << 10
)

var errHelloTooLong = errors.New("the ClientHello is too long")

// connections bounds the open connections of all listeners together. Nobody is kept out at the bound: the new
// connection is accepted, and an old one closed for it. If more wait for a request, or for the rest of its
// headers, than have one that is being handled, the one that has waited the longest is closed; else the one
// whose request takes the longest, such as a slow reader's. So those who fill the service only take the
// places of each other, while a health check, an admin or a plugin, whose requests are short, are served.
// Of the few that have been there the longest it is the first of those from where the most come. And if so
// many come that not even those have all had their time, it is one from where the most come of all: whoever
// opens thousands a second leaves time to others who come from far away, or whose request takes long.
//
// Some keep their places: requests that wait for a provider or for their turn to try a password, whose number
// has a bound of its own; those of admins; and polls that are held, which are answered if one of the others
// needs their place. It is safe for concurrent use.
type connections struct {
	limit   int // in KB, as are the others
	maxKept int
	least   int        // what each counts at least; see leastMemory
	others  func() int // what else takes of the limit, such as the logins that are under way

	// pressure is what something else than these wants besides. It never gets the twelfth of the limit that
	// no connection may keep, so that nobody is kept out by it.
	pressure func() int

	mu       sync.Mutex
	open     int // what all of them take
	waiting  connectionQueue
	handling connectionQueue
	held     connectionQueue
	kept     int // what those take that keep their places: those in held, and those in no queue
	leaving  int // what those take that were closed for others, until their goroutine has ended
	left     *sync.Cond
	crowded  time.Time // when one was closed last that had not been given its time
}

// connectionQueue has connections in the order in which they came to it, and by where they come from. There a
// large one counts as several, so that nobody has more than others by having larger ones.
type connectionQueue struct {
	list.List // of *connection; the first has been there the longest

	crowds fair.Crowds[*connection]
}

// newConnections returns a bound in KB for connections and others together. The others and the connections
// that keep their places may take eleven twelfths of it.
func newConnections(limit int, others, pressure func() int) *connections {
	c := &connections{
		limit:    limit,
		maxKept:  limit - limit/12,
		others:   others,
		pressure: pressure,
	}
	c.left = sync.NewCond(&c.mu)
	return c
}

// spareFiles is how many files may be open beside the connections: those to providers and to APIs, and the
// databases.
const spareFiles = 1_200

// leastMemory is what each connection must count at least, in KB, so that the system has a file for each of
// those that fit into a limit. Some let a process have no more than 4,096. Zero files are endless.
func leastMemory(limit int, files uint64) int {
	if files == 0 || files > uint64(limit) {
		return 0
	}
	return limit / max(1, int(files-min(spareFiles, files/2)))
}

// connection is a connection that is counted until it is closed.
type connection struct {
	net.Conn

	counted *connections
	from    fair.Source      // be it that of a proxy
	memory  int              // what it takes in general, in KB
	weight  int              // what it takes now; zero once it is closed
	leaving int              // its part in what those take that leave
	request int              // what its request takes besides, which is much if the headers are long
	line    int              // the part of that which stays until the next request, or the end
	unread  int              // bytes received since a request, or with TLS a piece of its body, was read
	handled bool             // whether a request is being handled
	greeted bool             // whether TLS has read its ClientHello
	records records          // of TLS
	asked   bool             // whether a request has come on it
	bounded bool             // whether its request, or its handshake, may take long, and is one of few
	queue   *connectionQueue // nil if it keeps its place whatever comes
	since   time.Time        // when it came to that
	element *list.Element    // in that
	place   *fair.Place[*connection]

	displaced func() // called when a poll that is held has to give up its place; it must not block
}

// listen returns a listener whose connections are counted. Each takes so many KB.
func (c *connections) listen(listener net.Listener, memory int) net.Listener {
	return &countedListener{Listener: listener, counted: c, memory: memory}
}

type countedListener struct {
	net.Listener

	counted *connections
	memory  int
}

// Accept returns the next connection. To make room for it, it closes others.
func (l *countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	from := sourceOf(remoteNetwork(conn))
	added := &connection{Conn: conn, counted: l.counted, from: from, memory: l.memory}
	closeAll(l.counted.add(added))
	return added, nil
}

// remoteNetwork returns the network of what connects.
func remoteNetwork(conn net.Conn) netip.Prefix {
	address, ok := parseClient(conn.RemoteAddr().String())
	if !ok {
		return unknownNetwork // a Unix socket has no addresses
	}
	return prefixOf(address)
}

// add counts a connection, once most of those that were closed for others have ended. The caller must close
// the victims.
func (c *connections) add(added *connection) (victims []*connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.leaving > maxLeaving {
		c.left.Wait()
	}
	added.put(&c.waiting, added.size())
	return c.makeRoom(0)
}

// makeRoom lets those polls go that have been held the longest, until so many KB can be kept besides. Then it
// counts connections no longer until the others keep to the limit. It returns those that the caller must
// close. The caller holds the lock.
func (c *connections) makeRoom(keeping int) (victims []*connection) {
	others := c.others()
	for c.kept+keeping+others+c.pressure() > c.maxKept && c.held.Len() > 0 {
		c.held.Front().Value.(*connection).giveUp()
	}
	for c.open+others+c.yielded(others) > c.limit {
		longer := &c.waiting
		if c.handling.Len() > c.waiting.Len() {
			longer = &c.handling
		}
		victim := c.victimOf(longer)
		if victim == nil {
			return victims
		}
		c.noteHaste(victim)
		if !victim.bounded {
			victim.leaving = victim.weight
			c.leaving += victim.leaving
		}
		victim.put(nil, 0)
		victims = append(victims, victim)
	}
	return victims
}

// victimOf returns which connection of a queue is closed first, or nil if there is none. Of the few that have
// been there the longest it is the first of those from where the most come. If not all of them have had
// enough time, so many are coming that it is one of all of those: the few that have had enough are then what
// such a flood has left alone, such as somebody's upload. The caller holds the lock.
func (c *connections) victimOf(of *connectionQueue) (victim *connection) {
	now, most, element := time.Now(), 0, of.Front()
	for range min(maxCompared, of.Len()) {
		one := element.Value.(*connection)
		if now.Sub(one.since) < littleTime {
			return c.moreCrowded(of).fromCrowd()
		}
		if weight := c.weigh(one.from); weight > most {
			victim, most = one, weight
		}
		element = element.Next()
	}
	return victim
}

// weigh returns how much weighs what may be closed and comes from a source, be it in one queue or the other:
// otherwise a flood of both kinds would weigh less in each than an office of one. The caller holds the lock.
func (c *connections) weigh(from fair.Source) int {
	waitingOfSite, waitingOfRegion := c.waiting.crowds.Count(from)
	ofSite, ofRegion := c.handling.crowds.Count(from)
	return fair.Weigh(waitingOfSite+ofSite, waitingOfRegion+ofRegion)
}

// moreCrowded returns the longer queue, unless those weigh more from where the most come in the other one. The
// caller holds the lock.
func (c *connections) moreCrowded(longer *connectionQueue) *connectionQueue {
	other := &c.waiting
	if longer == other {
		other = &c.handling
	}
	first := other.crowds.First()
	if first != nil && c.weigh(first.Value.from) > c.weigh(longer.crowds.First().Value.from) {
		return other
	}
	return longer
}

// fromCrowd returns the connection that is closed first of those from where the most come. Of a network that
// has a large part of all it is the oldest: others may share it, such as all who come through a proxy, and so
// each has some time. Of one that has a small part, as the networks of a flood from hundreds have, it is the
// newest, unless the oldest has had its time: an office with a few more than its share keeps what it has then,
// and would lose each just before its answer otherwise. So do the customers of one provider with one each. But
// idle ones keep nobody out.
func (q *connectionQueue) fromCrowd() *connection {
	oldest := q.crowds.First().Value
	newest, count := q.crowds.Last()
	if count < q.Len()/largePart && !oldest.hasHadTime() {
		return newest.Value
	}
	return oldest
}

// hasHadTime reports whether the connection is idle, or has been where it is for long enough.
func (c *connection) hasHadTime() bool {
	isIdle := c.queue == &c.counted.waiting && c.asked
	return isIdle || time.Since(c.since) >= littleTime
}

// yielded is what the pressure gets, with what the others take. What keeps its place is not closed, so the
// pressure must not have others closed for it: whoever came would be closed at once, and nobody were served.
// The caller holds the lock.
func (c *connections) yielded(others int) int {
	return max(0, min(c.pressure(), c.maxKept-c.kept-others))
}

// noteHaste lets the poll go that has been held the longest if a connection is about to be closed that has
// had little time, unless polls and others that are kept take no more than half. So held polls and a crowd
// that comes and goes do not keep out those whose handshake, or whose request, takes a moment. The caller
// holds the lock.
func (c *connections) noteHaste(victim *connection) {
	if victim.hasHadTime() {
		return
	}
	c.crowded = time.Now()
	if c.kept > c.limit/2 && c.held.Len() > 0 {
		c.held.Front().Value.(*connection).giveUp()
	}
}

// mostKept is what those may take that keep their places, with another poll among them. For a minute after a
// connection was closed that had had little time, it is half.
func (c *connections) mostKept() int {
	if time.Since(c.crowded) < time.Minute {
		return c.limit / 2
	}
	return c.maxKept
}

// giveWay closes as many connections as there is no room for.
func (c *connections) giveWay() {
	c.mu.Lock()
	victims := c.makeRoom(0)
	c.mu.Unlock()
	closeAll(victims)
}

func closeAll(victims []*connection) {
	for _, victim := range victims {
		victim.Conn.Close()
	}
}

// put puts a connection at the end of a queue, with a new weight. Without a queue it keeps its place. The
// caller holds the lock.
func (c *connection) put(to *connectionQueue, weight int) {
	if c.isKept() {
		c.counted.kept -= c.weight
	}
	if c.queue != nil {
		c.queue.Remove(c.element)
		c.queue.crowds.Remove(c.place)
	}
	c.counted.open += weight - c.weight
	c.queue, c.element, c.place, c.weight = to, nil, nil, weight
	if to != nil {
		c.element, c.since = to.PushBack(c), time.Now()
		c.place = to.crowds.Add(c, c.from)
		to.crowds.Resize(c.place, c.share())
	}
	if c.isKept() {
		c.counted.kept += weight
	}
}

// share is how many times the memory of a usual connection this one takes, rounded up. The caller holds the
// lock.
func (c *connection) share() int {
	usual := max(c.memory, c.counted.least)
	return max(1, (c.weight+usual-1)/usual)
}

// isKept reports whether the connection keeps its place.
func (c *connection) isKept() bool { return c.queue == nil || c.queue == &c.counted.held }

// Close closes the connection. It is counted no longer.
func (c *connection) Close() error {
	c.counted.mu.Lock()
	c.put(nil, 0)
	c.leave()
	c.counted.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite tells the client that the answer has ended. Without TLS net/http calls it, and then waits for
// half a second, so that a client that has not sent all of its request can read the answer. While there is
// little room, it must not wait: until the end of a connection that was closed for others no other may be
// accepted.
func (c *connection) CloseWrite() error {
	if c.counted.isFull() {
		panic(http.ErrAbortHandler) // net/http closes the connection then
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// isFull reports whether there is no room but that which no connection may keep.
func (c *connections) isFull() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	others := c.others()
	return c.open+others+c.yielded(others) > c.maxKept
}

// Read reads from the client. What it has read counts with the connection until the headers of a request have
// ended, since net/http keeps them. TLS keeps up to 64 KB of what it takes for one message of a handshake,
// which may come at any time, and what it reads in the first one, so there it counts until a piece of the
// body has been read, too.
func (c *connection) Read(into []byte) (n int, err error) {
	n, err = c.Conn.Read(into)
	victims, tooLong := c.receive(n)
	closeAll(victims)
	if c.speaksTLS() && c.records.read(into[:n]) > maxHello {
		tooLong = true
	}
	if tooLong {
		return 0, errHelloTooLong
	}
	return n, err
}

// records follows the records of TLS (RFC 8446 section 5.1) as their bytes come.
type records struct {
	header    [5]byte // as far as it has come
	come      int     // how much of that has
	rest      int     // of the record's content
	handshake int     // how much content of a handshake has come in the clear, or is announced
}

// read takes in bytes, and returns how long the handshake in the clear has become. What is encrypted has
// another type, but for one message that ends a handshake of TLS 1.2.
func (r *records) read(received []byte) (handshake int) {
	const typeOfHandshake = 22
	for len(received) > 0 {
		if r.rest > 0 {
			skipped := min(r.rest, len(received))
			r.rest -= skipped
			received = received[skipped:]
			continue
		}
		copied := copy(r.header[r.come:], received)
		r.come += copied
		received = received[copied:]
		if r.come == len(r.header) {
			r.come, r.rest = 0, int(r.header[3])<<8|int(r.header[4])
			if r.header[0] == typeOfHandshake {
				r.handshake += r.rest
			}
		}
	}
	return r.handshake
}

// speaksTLS reports whether TLS is spoken on the connection.
func (c *connection) speaksTLS() bool { return c.memory == tlsMemory }

// receive counts bytes that were received, and reports whether they are too many for a ClientHello. The
// caller must close the victims.
func (c *connection) receive(bytes int) (victims []*connection, tooLong bool) {
	c.counted.mu.Lock()
	defer c.counted.mu.Unlock()
	if c.handled && !c.speaksTLS() {
		return nil, false // it is the body, which has bounds of its own
	}
	before := c.weight
	c.setUnread(c.unread + bytes)
	tooLong = c.speaksTLS() && !c.greeted && c.unread > maxHello
	if c.weight <= before {
		return nil, tooLong
	}
	if c.queue == &c.counted.held { // it is no poll as others are
		c.giveUp()
	}
	return c.counted.makeRoom(0), tooLong
}

// setUnread counts the connection with other unread bytes, unless it is closed. The caller holds the lock.
func (c *connection) setUnread(bytes int) {
	before := c.size()
	c.unread = bytes
	c.grow(c.size() - before)
}

// grow counts the connection with so many KB more, unless it is closed. The caller holds the lock.
func (c *connection) grow(grown int) {
	if c.weight == 0 {
		return
	}
	c.weight += grown
	c.counted.open += grown
	if c.queue != nil {
		c.queue.crowds.Resize(c.place, c.share())
	}
	if c.isKept() {
		c.counted.kept += grown
	}
}

// greet is the GetConfigForClient of a [tls.Config] whose connections are counted. It changes nothing.
func (c *connections) greet(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if counted, ok := hello.Conn.(*connection); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		counted.greeted = true
	}
	return nil, nil
}

// size is what the connection takes, unless it is a held poll. The caller holds the lock.
func (c *connection) size() int {
	unread, received := c.unread>>10, 0
	switch {
	case !c.speaksTLS():
		const longest = maxHeaders>>10 + 4 // the rest is the end of a body that nobody reads
		received = headMemory * max(0, min(unread, longest)-usualHead)
	case c.asked:
		received = max(0, unread-usualReceived)
	default:
		received = helloMemory * max(0, unread-usualHandshake)
	}
	return max(c.counted.least, c.memory+c.request+received)
}

// giveUp has a poll that is held answered. The caller holds the lock.
func (c *connection) giveUp() {
	c.put(&c.counted.handling, c.size())
	c.displaced()
}

// bodyOf is the body of a request. What has been read of it does not count with the connection.
type bodyOf struct {
	io.ReadCloser

	connection *connection
}

// Read reads from the body.
func (b bodyOf) Read(into []byte) (n int, err error) {
	n, err = b.ReadCloser.Read(into)
	b.connection.counted.mu.Lock()
	defer b.connection.counted.mu.Unlock()
	b.connection.setUnread(0)
	return n, err
}

// connectionKey is the key of a request's *connection in its context.
type connectionKey struct{}

// connContext is the ConnContext of a server whose listener is counted.
func (c *connections) connContext(ctx context.Context, conn net.Conn) context.Context {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if counted, ok := conn.(*connection); ok {
		return context.WithValue(ctx, connectionKey{}, counted)
	}
	return ctx
}

// begin says that a request has arrived with its headers, and returns the same with a body that is counted.
// The caller calls end after its answer.
func (c *connections) begin(r *http.Request) (counting *http.Request, end func()) {
	counted, ok := r.Context().Value(connectionKey{}).(*connection)
	if !ok {
		return r, func() {} // its listener is not counted
	}
	r.Trailer = nil // nobody reads the names in it, which are no headers any more and may be as long
	line := len(r.RequestURI) + len(r.Method)
	size := line + len(r.Host)
	for name, values := range r.Header {
		size += len(name)
		for _, value := range values {
			size += len(value)
		}
	}
	c.mu.Lock()
	counted.line, counted.request = max(0, line>>10-usualRequest), max(0, size>>10-usualRequest)
	counted.unread, counted.handled = 0, true
	victims := counted.moveTo(&c.handling)
	c.mu.Unlock()
	closeAll(victims)
	if counted.speaksTLS() && r.Body != http.NoBody {
		body := bodyOf{ReadCloser: r.Body, connection: counted}
		r = r.WithContext(r.Context()) // net/http looks at the type of the body of its own
		r.Body = body
	}
	return r, func() {
		c.mu.Lock()
		counted.forget()
		victims := counted.moveTo(&c.waiting)
		isClosed := counted.weight == 0
		c.mu.Unlock()
		closeAll(victims)
		if isClosed {
			panic(http.ErrAbortHandler) // else net/http may wait for half a second: see CloseWrite
		}
	}
}

// countMore counts so many KB more with the connection of a request, until its handler has ended. It counts
// less if they are negative.
func countMore(r *http.Request, memory int) {
	counted, ok := r.Context().Value(connectionKey{}).(*connection)
	if !ok {
		return // its listener is not counted
	}
	counted.counted.mu.Lock()
	counted.request += memory
	counted.grow(memory)
	victims := counted.counted.makeRoom(0)
	counted.counted.mu.Unlock()
	closeAll(victims)
}

// markBounded says whether a request may take long though its connection is closed. There must be a bound on
// how many may do so.
func (c *connections) markBounded(r *http.Request, bounded bool) {
	if counted, ok := r.Context().Value(connectionKey{}).(*connection); ok {
		counted.setBounded(bounded)
	}
}

// setBounded is markBounded for what is under way on a connection. It may have been closed already, and then
// nobody waits for its end any more.
func (c *connection) setBounded(bounded bool) {
	c.counted.mu.Lock()
	defer c.counted.mu.Unlock()
	if c.bounded = bounded; bounded {
		c.leave()
	}
}

// leave says that nobody waits for the end of the connection, if anybody did. The caller holds the lock.
func (c *connection) leave() {
	c.counted.leaving -= c.leaving
	c.leaving = 0
	c.counted.left.Broadcast()
}

// forget says that the request is not needed any more. net/http keeps its method, and with it the line of
// which that is a part. The caller holds the lock.
func (c *connection) forget() { c.request, c.handled = c.line, false }

// isQuiet reports whether no request is being answered, nor expected on a new connection. Those that keep
// their places do not count, held polls aside.
func (c *connections) isQuiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for element := c.waiting.Front(); element != nil; element = element.Next() {
		if !element.Value.(*connection).asked {
			return false
		}
	}
	return c.handling.Len()+c.held.Len() == 0
}

// drain waits until it is quiet, for some time at most. The listener must have been stopped.
func (c *connections) drain(longest time.Duration) {
	const interval = 5 * time.Millisecond
	for deadline := time.Now().Add(longest); !c.isQuiet() && time.Now().Before(deadline); {
		time.Sleep(interval)
	}
}

// move puts the connection at the end of a queue, unless it is closed. The caller must close the victims: a
// held poll saves nothing any more.
func (c *connection) move(to *connectionQueue) (victims []*connection) {
	c.counted.mu.Lock()
	defer c.counted.mu.Unlock()
	return c.moveTo(to)
}

// moveTo does the same for a caller who holds the lock.
func (c *connection) moveTo(to *connectionQueue) (victims []*connection) {
	if c.weight == 0 {
		return nil
	}
	c.asked = c.asked || to == &c.counted.handling
	c.put(to, c.size())
	return c.counted.makeRoom(0)
}

// hold lets a poll that saves some KB keep its connection until release is called, which is nil if there is
// no room. The caller must answer it when displaced is called.
func (c *connections) hold(r *http.Request, saves int, displaced func()) (release func()) {
	counted, ok := r.Context().Value(connectionKey{}).(*connection)
	if !ok {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	request := counted.request
	if saves > 0 {
		request = counted.line
	}
	weight := max(c.least, counted.memory+request-saves)
	if counted.queue == nil || c.kept+weight+c.others()+c.pressure() > c.mostKept() {
		return nil // it is closed, or there is no room
	}
	counted.request = request
	counted.displaced = displaced
	counted.put(&c.held, weight)
	return func() { closeAll(counted.move(&c.handling)) }
}

// keep lets a request keep its connection until release is called, or until its end, whatever comes. There
// must be a bound on how many may do so. Polls that are held make room for it. It reports whether there was
// room: without it, or if the connection has been closed for others, nothing is kept. A request that goes on
// for long all the same would keep everybody out: see maxLeaving.
func (c *connections) keep(r *http.Request) (release func(), kept bool) {
	counted, ok := r.Context().Value(connectionKey{}).(*connection)
	if !ok {
		return func() {}, true // its listener is not counted
	}
	moved, kept := counted.keep()
	if !moved {
		return func() {}, kept
	}
	return func() { closeAll(counted.move(&c.handling)) }, true
}

// keep reports whether the connection keeps its place from now on, and whether it did not before.
func (c *connection) keep() (moved, kept bool) {
	counted := c.counted
	counted.mu.Lock()
	if c.queue == nil {
		defer counted.mu.Unlock()
		return false, c.weight > 0 // else it is closed
	}
	weight := c.size()
	victims := counted.makeRoom(weight)
	// It may be one of the victims.
	if kept = c.queue != nil && counted.kept+weight+counted.others() <= counted.maxKept; kept {
		c.put(nil, weight)
	}
	counted.mu.Unlock()
	closeAll(victims)
	return kept, kept
}

// smallCopies answers with a file in pieces of 4 KB. A slow reader would otherwise hold net/http's buffer of
// 32 KB.
type smallCopies struct{ http.ResponseWriter }

// ReadFrom implements [io.ReaderFrom].
func (w smallCopies) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w.ResponseWriter}, struct{ io.Reader }{r}, make([]byte, 4<<10))
}

// Unwrap is for [http.ResponseController].
func (w smallCopies) Unwrap() http.ResponseWriter { return w.ResponseWriter }
