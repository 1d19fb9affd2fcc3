package hooks

import (
	"crypto/tls"
	"errors"
	"strings"
)

// handshakes bounds the TLS handshakes that wait for a certificate. While one is being got from the
// certificate authority, which may take minutes, all handshakes for its domain wait, and what each takes
// stays in memory even when its connection has been closed.
//
// Only for the domains themselves a certificate is asked for. PocketBase would ask for one of www in front of
// each, too, which most domains do not have: the authority refuses that, and any stranger could have it asked
// again each minute.
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

// getCertificate is the GetCertificate of a [tls.Config].
func (h *handshakes) getCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	places, found := h.places[serverName(hello.ServerName)]
	if !found {
		return nil, errOtherDomain
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
		return h.get(hello)
	default:
		return nil, errCertificate
	}
}
