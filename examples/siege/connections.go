package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// kind is a way to keep a connection of the service busy.
type kind struct {
	name string

	// begin returns what connection i sends. It is called again when the connection has ended.
	begin func(i int) (string, error)

	// trickle is sent every two seconds after that. Blank: nothing.
	trickle string

	// sip is how many bytes of an answer are read every two seconds, once its status has been read. Zero: an
	// answered connection is closed.
	sip int

	// twice says that each also takes a connection from the service to the provider.
	twice bool

	// hurried says that a connection that has ended comes again at once.
	hurried bool

	// most is how many there are at most. Zero: as many as the flags say.
	most int

	// others is what others do meanwhile, each from a network. Nil: they sign in.
	others func(network string) error
}

// crowd holds many connections of one kind. Where one ends, another takes its place.
type crowd struct {
	kind    kind
	address string
	sources []net.IP

	connecting chan struct{} // has room for those that may connect at the same time
	open       atomic.Int64
	ends       tally // how connections ended: with which status, or closed
	answered   tally // with which status those were answered that stay
	holding    sync.WaitGroup
}

const (
	// connectTimeout bounds how long a connection may take to be open.
	connectTimeout = 10 * time.Second

	trickleInterval = 2 * time.Second

	// retryPause is how long one whose connection has ended waits before the next try at least, and half of
	// how long at most. Else thousands who are refused would be a flood, all in the same moment, and no crowd
	// that holds connections.
	retryPause = 10 * time.Second
)

func newCrowd(what kind, address string, sources []net.IP) *crowd {
	const connecting = 64
	return &crowd{
		kind:       what,
		address:    address,
		sources:    sources,
		connecting: make(chan struct{}, connecting),
	}
}

// gather opens so many connections, and holds them until the context ends; then [crowd.wait] waits until they
// are closed. It returns when each has been tried, and at the latest after two minutes. One that reads slowly
// has been tried when its answer has begun: until then its requests are a flood.
func (c *crowd) gather(ctx context.Context, connections int) {
	var tried sync.WaitGroup
	for i := range connections {
		tried.Add(1)
		c.holding.Go(func() { c.keep(ctx, i, sync.OnceFunc(tried.Done)) })
	}
	all := make(chan struct{})
	go func() {
		tried.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(2 * time.Minute):
	}
}

// wait waits until all connections are closed.
func (c *crowd) wait() { c.holding.Wait() }

// keep keeps connection i open until the context ends.
func (c *crowd) keep(ctx context.Context, i int, tried func()) {
	defer tried()
	for ctx.Err() == nil {
		conn, err := c.connect(ctx, i)
		if c.kind.sip == 0 {
			tried()
		}
		switch {
		case err == nil:
			c.await(ctx, conn, tried)
		case ctx.Err() == nil:
			c.ends.fail(err)
		}
		tried()
		if c.kind.hurried {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryPause + rand.N(retryPause)):
		}
	}
}

// connect opens connection i, and sends what it begins with.
func (c *crowd) connect(ctx context.Context, i int) (net.Conn, error) {
	select {
	case c.connecting <- struct{}{}:
		defer func() { <-c.connecting }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	first, err := c.kind.begin(i)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{
		Timeout:   connectTimeout,
		LocalAddr: &net.TCPAddr{IP: c.sources[i%len(c.sources)]},
	}
	if c.kind.sip > 0 {
		dialer.Control = smallWindow
	}
	conn, err := dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	// Else the port would stay taken for a minute after the connection.
	_ = conn.(*net.TCPConn).SetLinger(0)
	if c.kind.sip > 0 {
		// A reader this slow may also stop the service from reading what follows.
		go io.Copy(conn, struct{ io.Reader }{strings.NewReader(first)})
		return conn, nil
	}
	if _, err := conn.Write([]byte(first)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// await holds a connection until it is closed, the context ends, or it is answered. One that reads slowly
// goes on then, and calls answered.
func (c *crowd) await(ctx context.Context, conn net.Conn, answered func()) {
	c.open.Add(1)
	defer c.open.Add(-1)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	line := make([]byte, len("HTTP/1.1 200"))
	for read := 0; read < len(line); {
		if c.kind.trickle != "" {
			_ = conn.SetReadDeadline(time.Now().Add(trickleInterval))
		}
		n, err := conn.Read(line[read:])
		read += n
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			_, err = conn.Write([]byte(c.kind.trickle))
		}
		if err != nil {
			if ctx.Err() == nil {
				c.ends.add("closed")
			}
			return
		}
	}
	status := string(line[len("HTTP/1.1 "):])
	if c.kind.sip > 0 {
		c.answered.add(status)
		answered()
		c.sip(ctx, conn)
		return
	}
	c.ends.add(status)
}

// sip reads an answer slowly until the connection is closed, or the context ends.
func (c *crowd) sip(ctx context.Context, conn net.Conn) {
	_ = conn.SetReadDeadline(time.Time{})
	buffer := make([]byte, c.kind.sip)
	for {
		if _, err := conn.Read(buffer); err != nil {
			if ctx.Err() == nil {
				c.ends.add("closed")
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(trickleInterval):
		}
	}
}

// note says how many connections are open now, and how others ended.
func (c *crowd) note() string {
	note := fmt.Sprintf("%d open", c.open.Load())
	if answered := c.answered.String(); answered != "" {
		note += "; answered: " + answered
	}
	if ends := c.ends.String(); ends != "" {
		note += "; ended since: " + ends
	}
	return note
}
