package hooks

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/pocketbase/pocketbase/core"
)

// errMisdirected is for a request that is not meant for this service.
var errMisdirected = &responseError{
	Status: http.StatusMisdirectedRequest,
	Code:   "misdirected_request",
	Description: "This service listens on this machine only, and answers only to localhost and to the " +
		"names in PUBLIC_URL and REDIRECT_URI. If it is behind a proxy or a tunnel that keeps its public " +
		"name, " +
		"set PUBLIC_URL to the address that people use, then start again.",
}

// ownHostsOnly lets a listener on loopback answer only to names that lead there. The owner of any other name
// can make it lead to this machine. A page of theirs, in a browser on this machine, then has the same origin
// as the service and can read every answer (DNS rebinding). A listener on another address answers to every
// name, since whoever can reach it needs no such trick, but for a login from the person's network: see
// mayBeForeign.
func (s *server) ownHostsOnly(listener net.Addr, next http.Handler) http.Handler {
	address, ok := listener.(*net.TCPAddr)
	if !ok || !address.IP.IsLoopback() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.isOwnHost(hostname(r.Host)) {
			next.ServeHTTP(w, r)
			return
		}
		e := &request{Response: w, Request: r, plugin: s.config.Plugin}
		s.setHeaders(e, route{})
		_ = s.readBody(e) // it is misdirected, whatever it says
		s.writeError(e, formatText, errMisdirected)
	})
}

// listenerAddress is where the server listens, or nil if that is not known. PocketBase makes a listener of
// its own unless there is one.
func listenerAddress(e *core.ServeEvent) net.Addr {
	if e.Listener != nil {
		return e.Listener.Addr()
	}
	address, err := net.ResolveTCPAddr("tcp", e.Server.Addr)
	if err != nil {
		return nil
	}
	return address
}

// isOwnHost reports whether a name leads to this machine: one of loopback (RFC 6761 section 6.3), or one that
// is configured. A blank one passes, since it comes from no browser.
func (s *server) isOwnHost(host string) bool {
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if address, err := netip.ParseAddr(host); err == nil && address.Unmap().IsLoopback() {
		return true
	}
	addresses := []string{s.config.baseURL()}
	if s.config.Plugin != nil {
		addresses = append(addresses, s.config.Plugin.RedirectURI)
	}
	bySlug, _ := s.records.All() // on an error only their own names are missing
	for _, plugin := range bySlug {
		addresses = append(addresses, plugin.RedirectURI)
	}
	for _, address := range addresses {
		if u, err := url.Parse(address); err == nil && hostname(u.Host) == host {
			return true
		}
	}
	return false
}

// hostname is a host without its port, in the one spelling that is compared.
func hostname(host string) string {
	u := url.URL{Host: host}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}
