package relay

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"plugin-oauth/internal/tries"
)

const (
	connectTimeout = 10 * time.Second

	// streamBuffer is how much of an answer HTTP/2 may send ahead of its reader, in bytes.
	streamBuffer = 128 << 10

	// connectionBuffer is the same for all answers on one connection, which all pages share. It is large
	// enough that those who do not read theirs stop nobody else.
	connectionBuffer = 32 << 20

	// maxAnswerHeaders bounds the headers of an answer, in bytes.
	maxAnswerHeaders = 64 << 10

	// maxConnections is how many connections to APIs may be open before those that no call needs are closed.
	maxConnections = 256
)

// newTransport returns a transport that connects with a function; see [dial]. It uses no proxy of the
// environment, which would resolve names itself.
func newTransport(headTimeout time.Duration, dial tries.DialFunc) *http.Transport {
	transport := &http.Transport{
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // what the page has not asked for it does not get
		TLSHandshakeTimeout:    connectTimeout,
		ResponseHeaderTimeout:  headTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: maxAnswerHeaders,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream:     streamBuffer,
			MaxReceiveBufferPerConnection: connectionBuffer,
			SendPingTimeout:               30 * time.Second,
		},
	}
	bounded := &connections{dial: dial, closeIdle: transport.CloseIdleConnections}
	transport.DialContext = tries.Dial(bounded.connect)
	return transport
}

// connections counts the connections to APIs that are open or being made. A call takes one at most, but each
// may leave one behind: net/http's bound on those that are idle does not close any of HTTP/2, and where a
// call has ended that waited for one, it is still made. Strangers can call any number of hosts if those of an
// API have the name of a customer.
type connections struct {
	dial      tries.DialFunc
	closeIdle func() // closes the connections that no call needs, and makes no more of them
	open      atomic.Int64
}

// connect makes a connection. If there are too many, those that no call needs are closed first.
func (c *connections) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if c.open.Add(1) > maxConnections {
		c.closeIdle()
	}
	conn, err := c.dial(ctx, network, address)
	if err != nil {
		c.open.Add(-1)
		return nil, err
	}
	return &connection{Conn: conn, closed: sync.OnceFunc(func() { c.open.Add(-1) })}, nil
}

// connection is one that is counted until it is closed.
type connection struct {
	net.Conn

	closed func()
}

// Close closes the connection.
func (c *connection) Close() error {
	c.closed()
	return c.Conn.Close()
}

// dial connects to a public address, or to this machine where it is called localhost. What counts is what a
// name has been resolved to, so that it cannot change after the check.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: connectTimeout, Control: publicOnly}
	if host, _, err := net.SplitHostPort(address); err == nil && host == "localhost" {
		dialer.Control = loopbackOnly
	}
	return dialer.DialContext(ctx, network, address)
}

// ErrPrivateAddress says that a host has an address of a private or a special network.
var ErrPrivateAddress = errors.New("the host has an address that is not on the Internet")

// publicAddresses lets addresses of the Internet pass: none that IANA's registries of special purposes list.
var publicAddresses = ssrf.New(ssrf.WithAnyPort())

// IsPublic reports whether an address is on the Internet, so that it may be called.
func IsPublic(address netip.Addr) bool {
	network := "tcp6"
	if address = address.Unmap(); address.Is4() {
		network = "tcp4"
	}
	return publicOnly(network, netip.AddrPortFrom(address, 443).String(), nil) == nil
}

func publicOnly(network, address string, _ syscall.RawConn) error {
	if publicAddresses.Safe(network, address, nil) != nil {
		return ErrPrivateAddress
	}
	return nil
}

func loopbackOnly(_, address string, _ syscall.RawConn) error {
	if dialed, err := netip.ParseAddrPort(address); err != nil || !dialed.Addr().IsLoopback() {
		return ErrPrivateAddress
	}
	return nil
}
