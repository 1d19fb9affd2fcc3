package hooks

import (
	"errors"
	"net"
	"slices"
	"sync"
)

// loopbacks are the addresses of this machine that localhost stands for (RFC 6761 section 6.3). A browser
// takes whichever of them answers.
var loopbacks = []string{"127.0.0.1", "::1"}

// listen returns the listener of an address. If its host is localhost, or a loopback address while both is
// set, it listens on both of them: on one alone, a browser on this machine could come to another program on
// the other. One that the machine does not have is left out.
func listen(address string, both bool) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	isBoth := host == "localhost" || both && slices.Contains(loopbacks, host)
	if err != nil || !isBoth {
		return net.Listen("tcp", address)
	}
	const tries = 10 // for a port that is free on both, if any may be taken
	for range tries {
		var listener net.Listener
		if listener, err = listenOn(loopbacks, port); err == nil || port != "0" {
			return listener, err
		}
	}
	return nil, err
}

// listenOn listens at a port of all those addresses that the machine has.
func listenOn(hosts []string, port string) (net.Listener, error) {
	var listeners []net.Listener
	var missing error
	for _, host := range hosts {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
		switch {
		case err == nil:
			listeners = append(listeners, listener)
			_, port, _ = net.SplitHostPort(listener.Addr().String()) // it may have been 0
		case hasAddress(host):
			for _, listener := range listeners {
				err = errors.Join(err, listener.Close())
			}
			return nil, err
		default:
			missing = err
		}
	}
	if len(listeners) == 0 {
		return nil, missing
	}
	return join(listeners), nil
}

// hasAddress reports whether the machine has an address.
func hasAddress(host string) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	return err == nil && listener.Close() == nil
}

// takenLoopback returns the other loopback address with the port of a listener that is on one of them, if
// another program listens there. Otherwise it returns "".
func takenLoopback(listener net.Listener) string {
	own, ok := listener.Addr().(*net.TCPAddr)
	if _, isOnBoth := listener.(*joinedListener); isOnBoth || !ok {
		return ""
	}
	for i, host := range loopbacks {
		if own.IP.String() != host {
			continue
		}
		_, port, _ := net.SplitHostPort(own.String())
		other := loopbacks[1-i]
		probe, err := net.Listen("tcp", net.JoinHostPort(other, port))
		if err == nil {
			_ = probe.Close() // nobody has connected
		} else if hasAddress(other) {
			return net.JoinHostPort(other, port)
		}
	}
	return ""
}

// joinedListener is several listeners as one. Its address is the first one's.
type joinedListener struct {
	net.Listener

	accepted    chan acceptance
	closed      chan struct{}
	stop, close func() error
}

// acceptance is what a listener's Accept returned.
type acceptance struct {
	conn net.Conn
	err  error
}

// join returns listeners as one. There is at least one.
func join(listeners []net.Listener) net.Listener {
	if len(listeners) == 1 {
		return listeners[0]
	}
	return joinAll(listeners)
}

// joinAll returns listeners as one that can be stopped. There is at least one.
func joinAll(listeners []net.Listener) *joinedListener {
	j := &joinedListener{
		Listener: listeners[0],
		accepted: make(chan acceptance),
		closed:   make(chan struct{}),
	}
	j.stop = sync.OnceValue(func() (err error) {
		for _, listener := range listeners {
			err = errors.Join(err, listener.Close())
		}
		return err
	})
	j.close = sync.OnceValue(func() error {
		close(j.closed)
		return j.stop()
	})
	for _, listener := range listeners {
		go j.acceptFrom(listener)
	}
	return j
}

// acceptFrom hands on what a listener accepts, until all are closed.
func (j *joinedListener) acceptFrom(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case j.accepted <- acceptance{conn: conn, err: err}:
		case <-j.closed:
			if err == nil {
				conn.Close()
			}
			return
		}
	}
}

// Accept returns the next connection of any of the listeners.
func (j *joinedListener) Accept() (net.Conn, error) {
	select {
	case next := <-j.accepted:
		return next.conn, next.err
	case <-j.closed:
		return nil, net.ErrClosed
	}
}

// Stop accepts no further connection. Unlike Close, it loses none that was accepted, and Accept goes on to
// wait.
func (j *joinedListener) Stop() error { return j.stop() }

// Close closes all of the listeners.
func (j *joinedListener) Close() error { return j.close() }
