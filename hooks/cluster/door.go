package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver/api/rafthttp"
)

const (
	// maxStrangers bounds the connections of those who have not shown yet that they know the secret.
	maxStrangers = 64
	// maxHandshake bounds what one of them may send for that, in bytes. A machine sends less than 3,000.
	maxHandshake = 16 << 10
	// handshakeTime bounds how long that may take. etcd gives 10 s.
	handshakeTime = 5 * time.Second
	// requestTime bounds how long a machine may take for a request, as etcd has it.
	requestTime = 5 * time.Minute
)

var errLongHandshake = errors.New("the handshake is too long")

// door lets in those who know the secret, for etcd. etcd's own listener would hold any number of handshakes
// that do not end.
//
// When too many have not ended theirs, the oldest is closed of those who come from the address that has the
// most; one from which a machine has come before counts as having none. So machines get in while others fill
// the door. It is safe for concurrent use.
type door struct {
	net.Listener

	tls  *tls.Config
	time time.Duration // that a handshake may take
	log  *slog.Logger

	machines chan net.Conn // who are let in
	closed   chan struct{}
	server   http.Server

	mu        sync.Mutex
	strangers []*stranger         // the oldest first
	known     map[string]struct{} // from where machines have come
	told      time.Time           // when the log was told of one who was not let in
}

// openDoor listens for the other machines. They wait until it serves.
func openDoor(address string, identity *identity, logger *slog.Logger) (*door, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &door{
		Listener: listener,
		tls:      identity.tlsConfig(),
		time:     handshakeTime,
		log:      logger,
		machines: make(chan net.Conn),
		closed:   make(chan struct{}),
		server:   http.Server{ReadTimeout: requestTime, ErrorLog: log.New(io.Discard, "", 0)},
		known:    map[string]struct{}{},
	}, nil
}

// close lets nobody in any more, and closes the connections of those who are in.
func (d *door) close() {
	d.Listener.Close()
	d.server.Close()
}

// serve lets machines in until the door is closed, and has etcd answer them.
func (d *door) serve(etcd http.Handler) {
	d.server.Handler = etcd
	go d.receive()
	_ = d.server.Serve(d) // until it is closed
}

// receive takes in those who come until the door is closed.
func (d *door) receive() {
	defer close(d.closed)
	for {
		conn, err := d.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(10 * time.Millisecond) // no more files may be open
		default:
			go d.letIn(d.add(conn))
		}
	}
}

// Accept returns the connection of the next machine.
func (d *door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.machines:
		return conn, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// stranger is a connection of one who may not know the secret.
type stranger struct {
	net.Conn

	host string
	left int // how many bytes may still be read
}

// Read reads no more than a handshake.
func (s *stranger) Read(into []byte) (n int, err error) {
	if s.left <= 0 {
		return 0, errLongHandshake
	}
	n, err = s.Conn.Read(into[:min(len(into), s.left)])
	s.left -= n
	return n, err
}

// add counts a connection among those of strangers, and closes another if there are too many.
func (d *door) add(conn net.Conn) *stranger {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	added := &stranger{Conn: conn, host: host, left: maxHandshake}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.strangers = append(d.strangers, added)
	if len(d.strangers) <= maxStrangers {
		return added
	}
	ofHost := map[string]int{}
	for _, one := range d.strangers {
		ofHost[one.host]++
	}
	for host := range d.known {
		ofHost[host] = 0
	}
	victim := 0
	for i, one := range d.strangers {
		if ofHost[one.host] > ofHost[d.strangers[victim].host] {
			victim = i
		}
	}
	d.strangers[victim].Close()
	d.strangers = slices.Delete(d.strangers, victim, victim+1)
	return added
}

// letIn lets a connection in if its other end knows the secret.
func (d *door) letIn(s *stranger) {
	conn := tls.Server(s, d.tls)
	ctx, cancel := context.WithTimeout(context.Background(), d.time)
	defer cancel()
	err := conn.HandshakeContext(ctx)
	d.mu.Lock()
	if i := slices.Index(d.strangers, s); i >= 0 {
		d.strangers = slices.Delete(d.strangers, i, i+1)
	}
	if err == nil {
		d.known[s.host] = struct{}{}
	}
	tell := err != nil && time.Since(d.told) > sampled
	if tell {
		d.told = time.Now()
	}
	d.mu.Unlock()
	if tell {
		d.log.Warn(refused, "address", s.host)
	}
	if err != nil {
		s.Close()
		return
	}
	s.left = math.MaxInt
	select {
	case d.machines <- machineConn{conn}:
	case <-d.closed:
		s.Close()
	}
}

// machineConn is the connection of a machine. It ends when nothing comes, or nothing is taken, for as long as
// etcd would wait.
type machineConn struct{ net.Conn }

func (c machineConn) Read(into []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(rafthttp.ConnReadTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(into)
}

func (c machineConn) Write(from []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(rafthttp.ConnWriteTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(from)
}
