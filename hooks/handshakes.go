package hooks

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"

	"golang.org/x/crypto/acme"
)

// handshakes bounds the TLS handshakes that wait for a certificate. While one is being got from the
// certificate authority, which may take minutes, all handshakes for its domain wait, and what each takes
// stays in memory even when its connection has been closed.
//
// Only for the domains themselves a certificate is asked for. PocketBase would ask for one of www in front of
// each, too, which most domains do not have: the authority refuses that, and any stranger could have it asked
// again each minute. And only certificates with an ECDSA key are asked for, which all browsers know: for a
// client that says it does not, autocert would ask for another one, and while it is being got, those who wait
// for it would take all places from those whose certificate is there.
type handshakes struct {
	get    func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	places map[string]chan struct{} // by domain
}

// maxHandshakes is how many may wait for a domain. Once there is a certificate, none does.
const maxHandshakes = 128

var (
	errOtherDomain = errors.New("there is no certificate for this server name")
	errCertificate = errors.New("too many wait for the certificate")
)

// newHandshakes returns a bound for domains, whose certificates get gets.
func newHandshakes(
	domains []string, get func(*tls.ClientHelloInfo) (*tls.Certificate, error),
) *handshakes {
	h := &handshakes{get: get, places: map[string]chan struct{}{}}
	for _, domain := range domains {
		h.places[serverName(domain)] = make(chan struct{}, maxHandshakes)
	}
	return h
}

// serverName is a domain in the one spelling that is compared.
func serverName(domain string) string { return strings.ToLower(strings.TrimSuffix(domain, ".")) }

// getCertificate is the GetCertificate of a [tls.Config]. The certificate authority's own handshake, by which
// it sees that the domain is ours (RFC 8737), waits for nothing and needs no place.
func (h *handshakes) getCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	places, found := h.places[serverName(hello.ServerName)]
	switch {
	case !found:
		return nil, errOtherDomain
	case slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}):
		return h.get(hello)
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return nil, errCertificate
	}
	// It does not end when its connection is closed for others.
	if counted, ok := hello.Conn.(*connection); ok {
		counted.setBounded(true)
		defer counted.setBounded(false)
	}
	return h.get(withECDSA(hello))
}

// withECDSA returns what a client has said, as if it knew certificates with an ECDSA key. If it does not, the
// handshake fails.
func withECDSA(hello *tls.ClientHelloInfo) *tls.ClientHelloInfo {
	changed := *hello
	changed.SignatureSchemes, changed.SupportedCurves = nil, nil // it has named none
	changed.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	return &changed
}
