package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math"
	"net"
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
	// copied is how much is copied at a time for one who knows it: a record of TLS.
	copied = 16 << 10
)

var errLongHandshake = errors.New("the handshake is too long")

// door lets in those who know the secret, and hands their connections on to etcd. etcd would hold any number
// of handshakes that do not end, and it takes no listener of ours.
//
// When too many have not ended theirs, the oldest is closed of those who come from the address that has the
// most; one from which a machine has come before counts as having none. So machines get in while others fill
// the door. It is safe for concurrent use.
type door struct {
	listener net.Listener
	tls      *tls.Config   // of both ends
	etcd     string        // where etcd listens, on this machine only
	time     time.Duration // that a handshake may take
	log      *slog.Logger

	mu        sync.Mutex
	strangers []*stranger         // the oldest first
	known     map[string]struct{} // from where machines have come
	told      time.Time           // when the log was told of one who was not let in
}

// openDoor listens for the other machines. They wait until it serves.
func openDoor(address string, identity *identity, log *slog.Logger) (*door, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &door{
		listener: listener,
		tls:      identity.tlsConfig(),
		time:     handshakeTime,
		log:      log,
		known:    map[string]struct{}{},
	}, nil
}

// close lets nobody in any more. Those who are in stay until etcd closes their connections.
func (d *door) close() { d.listener.Close() }

// serve lets machines in until the door is closed.
func (d *door) serve(etcd string) {
	d.etcd = etcd
	for {
		conn, err := d.listener.Accept()
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

// letIn hands a connection on to etcd if its other end knows the secret.
func (d *door) letIn(s *stranger) {
	defer s.Close()
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
		return
	}
	s.left = math.MaxInt
	inner, err := tls.DialWithDialer(&net.Dialer{Timeout: d.time}, "tcp", d.etcd, d.tls)
	if err != nil {
		return // etcd has ended
	}
	defer inner.Close()
	go func() {
		defer conn.Close()
		defer inner.Close()
		handOn(conn, inner)
	}()
	handOn(inner, conn)
}

// handOn copies until one end is closed, or does not take anything for as long as etcd would wait.
func handOn(to, from net.Conn) {
	buffer := make([]byte, copied)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			_ = to.SetWriteDeadline(time.Now().Add(rafthttp.ConnWriteTimeout))
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
