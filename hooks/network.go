package hooks

import (
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"plugin-oauth/hooks/doctor"
)

// unknownNetwork is where requests come from whose client is not known. For limits it is one network. For the
// question of confirm.go it is never the same as another, itself included.
var unknownNetwork netip.Prefix

// addresslessProxyHeaders say that a proxy stands in front, but not for whom it asks.
var addresslessProxyHeaders = []string{"Via", "X-Forwarded-Proto", "X-Forwarded-Host"}

// clientNetwork is where a request comes from: an IPv4 address, or the /64 of an IPv6 address, which belongs
// to one household. Only the headers of TRUSTED_PROXY_HEADERS are believed: the first of them that the
// request has. If it cannot be read, or a proxy sends others only, the network is the unknown one: what
// connects is then the proxy, and all its visitors would look like one. PocketBase's RealIP reads its
// settings, which a save in the dashboard changes under a running request.
func (s *server) clientNetwork(e *request) netip.Prefix {
	header, trusted := e.Request.Header, s.config.TrustedProxyHeaders
	present := func(name string) bool { return len(header.Values(name)) > 0 }
	if i := slices.IndexFunc(trusted, present); i >= 0 {
		address, _ := addressInHeader(header, trusted[i])
		return networkOf(address)
	}
	if len(doctor.UntrustedProxyHeaders(header, trusted)) > 0 ||
		slices.ContainsFunc(addresslessProxyHeaders, present) {
		return unknownNetwork
	}
	address, _ := parseClient(e.Request.RemoteAddr)
	return networkOf(address)
}

// headerToTrust returns the name of a header that an admin should trust, if a proxy of theirs sets it: one
// that is not believed and whose last address may be a visitor's. One that is private is more likely that of
// another proxy, and with it everybody would count as one network. It returns "" if there is none.
func (s *server) headerToTrust(header http.Header) string {
	for _, name := range doctor.UntrustedProxyHeaders(header, s.config.TrustedProxyHeaders) {
		address, ok := addressInHeader(header, name)
		if ok && address.IsGlobalUnicast() && !address.IsPrivate() && networkOf(address) != unknownNetwork {
			return name
		}
	}
	return ""
}

// addressInHeader returns the last address of a header, which the proxy has added. Whatever comes before it
// may be made up by the client.
func addressInHeader(header http.Header, name string) (netip.Addr, bool) {
	values := header.Values(name)
	if len(values) == 0 {
		return netip.Addr{}, false
	}
	last := values[len(values)-1]
	if strings.EqualFold(name, "Forwarded") {
		return parseForwarded(last)
	}
	return parseClient(last[strings.LastIndexByte(last, ',')+1:])
}

// parseClient reads an address as proxies write it: alone, with a port, or in brackets.
func parseClient(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return embeddedIPv4(withPort.Addr()), true
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return embeddedIPv4(address), err == nil
}

// parseForwarded returns the address in the last element of a Forwarded header (RFC 7239 section 4).
func parseForwarded(value string) (netip.Addr, bool) {
	// A comma inside of a quoted string separates nothing. The last element is the proxy's, whose quotes
	// come in pairs; if the client's do not, it ends inside of a string and cannot be read.
	quoted, last := false, 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && c == ',':
			last = i + 1
		}
	}
	// The pairs are like the parameters of a media type: tokens or quoted strings, each name once.
	_, pairs, err := mime.ParseMediaType("x;" + value[last:])
	if err != nil {
		return netip.Addr{}, false
	}
	return parseNode(pairs["for"])
}

// parseNode reads a node (RFC 7239 section 6): an IPv4 address, or an IPv6 address in brackets, each perhaps
// with a port. The others say that the address is unknown or hidden.
func parseNode(node string) (netip.Addr, bool) {
	host, port, hasPort := strings.Cut(node, ":")
	bracketed, isIPv6 := strings.CutPrefix(node, "[")
	if isIPv6 {
		host, port, isIPv6 = strings.Cut(bracketed, "]")
		port, hasPort = strings.CutPrefix(port, ":")
		if !isIPv6 || (!hasPort && port != "") {
			return netip.Addr{}, false
		}
	}
	address, err := netip.ParseAddr(host)
	if err != nil || address.Is6() != isIPv6 || address.Zone() != "" || (hasPort && port == "") {
		return netip.Addr{}, false
	}
	return embeddedIPv4(address), true
}

// What IPv6 addresses are made of where they stand for IPv4 addresses.
var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052 section 2.1
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	lowNAT64   = netip.MustParsePrefix("64:ff9b:1::/96") // the part of it whose form is certain
	teredo     = netip.MustParsePrefix("2001::/32")      // RFC 4380: the relay is anybody's
	compatible = netip.MustParsePrefix("::/96")          // RFC 4291 section 2.5.5.1, and ::1
)

// embeddedIPv4 returns the IPv4 address that an IPv6 address stands for, where it stands for one: mapped, or
// translated by NAT64. Any other address is returned without its zone.
func embeddedIPv4(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	if address.Is6() && (nat64.Contains(address) || lowNAT64.Contains(address)) {
		bytes := address.As16()
		return netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return address
}

// networkOf returns the network of an address. It is unknown if the address says nothing about whose it is.
func networkOf(address netip.Addr) netip.Prefix {
	switch {
	case address.IsLoopback():
		address = netip.IPv6Loopback() // 127.0.0.1 is the same machine
	case !address.IsValid() || address.IsUnspecified() || address.IsMulticast(),
		teredo.Contains(address), localNAT64.Contains(address), compatible.Contains(address):
		return unknownNetwork
	}
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	network, _ := address.Prefix(bits)
	return network
}
