package relay

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
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
)

// newTransport returns a transport that dials public addresses, and this machine where it is called
// localhost. It uses no proxy of the environment, which would resolve names itself.
func newTransport(headTimeout time.Duration) *http.Transport {
	return &http.Transport{
		DialContext:            dial,
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
}

// dial connects to an address. What counts is what a name has been resolved to, so that it cannot change
// after the check.
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
