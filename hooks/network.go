package hooks

import (
	"net/netip"
	"strings"
)

// clientNetwork is where a request comes from: an IPv4 address, or the /64 of an IPv6 address, which belongs
// to one household. Only the headers of TRUSTED_PROXY_HEADERS are believed, and only their last address,
// which the proxy has added. PocketBase's RealIP does the same, but reads its settings, which a save in the
// dashboard changes under a running request.
func (s *server) clientNetwork(e *request) netip.Prefix {
	client := e.Request.RemoteAddr
	for _, header := range s.config.TrustedProxyHeaders {
		if values := e.Request.Header.Values(header); len(values) > 0 {
			// Whatever comes before the last comma may be made up by the client.
			addresses := values[len(values)-1]
			client = addresses[strings.LastIndexByte(addresses, ',')+1:]
			break
		}
	}
	address, ok := parseClient(client)
	if !ok {
		address, _ = parseClient(e.Request.RemoteAddr)
	}
	if address.IsLoopback() {
		address = netip.IPv6Loopback() // 127.0.0.1 is the same machine
	}
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	network, _ := address.Prefix(bits)
	return network
}

// parseClient reads an address as proxies write it: alone, with a port, or in brackets.
func parseClient(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return address.Unmap().WithZone(""), err == nil
}
