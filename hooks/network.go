package hooks

import (
	"iter"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"plugin-oauth/hooks/doctor"
)

// unknownNetwork is where requests come from whose client is not known. For the question of confirm.go it is
// never the same as another, itself included.
var unknownNetwork netip.Prefix

// knownNetwork is where a request certainly comes from: an IPv4 address, or the /64 of an IPv6 address, which
// belongs to one household. Only the headers of TRUSTED_PROXY_HEADERS are believed: the first of them that
// the request has. What cannot be known is the unknown network, and why says why not: what connects is then a
// proxy, or the address is that of one, and all its visitors would look like one. For limits, use
// [server.clientNetwork].
func (s *server) knownNetwork(e *request) (network netip.Prefix, why doctor.Unknown) {
	header, trusted := e.Request.Header, s.config.TrustedProxyHeaders
	if len(trusted) > 0 {
		present := func(name string) bool { return len(header.Values(name)) > 0 }
		i := slices.IndexFunc(trusted, present)
		if i < 0 {
			return unknownNetwork, doctor.UnknownMissing
		}
		address, _ := addressInHeader(header, trusted[i])
		network := networkOf(address)
		switch {
		case s.isHidden(e, address):
			return unknownNetwork, doctor.UnknownUnreadable
		case network != unknownNetwork && s.namesAnother(header, trusted[i], network):
			return unknownNetwork, doctor.UnknownSeveral
		}
		return network, unlessKnown(network, doctor.UnknownUnreadable)
	}
	if doctor.HasProxyHeader(header) {
		return unknownNetwork, doctor.UnknownUntrusted
	}
	if e.Request.TLS == nil && s.mayBeForeign(hostname(e.Request.Host)) {
		return unknownNetwork, doctor.UnknownName
	}
	address, _ := parseClient(e.Request.RemoteAddr)
	switch {
	case s.isHidden(e, address):
		return unknownNetwork, doctor.UnknownPrivate
	case e.Request.TLS == nil && s.hasHTTPS(e):
		return unknownNetwork, doctor.UnknownPlain
	}
	return networkOf(address), unlessKnown(networkOf(address), doctor.UnknownUnreadable)
}

// mayBeForeign reports whether a host may be somebody else's name that leads here. A page of theirs in a
// person's browser then has the same origin as the service (DNS rebinding): it can start a login from the
// person's network, and read the answer. With TLS no browser takes such a name for ours. A proxy whose header
// is trusted must answer to https only.
func (s *server) mayBeForeign(host string) bool {
	_, err := netip.ParseAddr(host)
	return err != nil && reachOf(host) == everywhere && !s.isOwnHost(host)
}

// unlessKnown returns why, unless the network is known.
func unlessKnown(network netip.Prefix, why doctor.Unknown) doctor.Unknown {
	if network != unknownNetwork {
		return ""
	}
	return why
}

// clientNetwork is the network whose limits a request counts for. Where a trusted header gives none, it is
// that of what connects, even if that is a proxy: whoever sends junk shares a limit with others whose address
// is not known, not with those whose address is, and gets no new one for each spelling.
func (s *server) clientNetwork(e *request) netip.Prefix {
	for _, name := range s.config.TrustedProxyHeaders {
		address, _ := addressInHeader(e.Request.Header, name)
		if network := networkOf(address); network != unknownNetwork {
			return network
		}
	}
	address, _ := parseClient(e.Request.RemoteAddr)
	if !address.IsValid() {
		return unknownNetwork
	}
	return prefixOf(address)
}

// isHidden reports whether a request has come through something that hides its client, such as a proxy of
// TCP, the NAT of a container, or one more proxy: visitors of a public address do not come from this machine
// or a private network. The address is what connects, or what a trusted header has.
func (s *server) isHidden(e *request, address netip.Addr) bool {
	if !address.IsLoopback() && !isPrivate(address) {
		return false
	}
	return slices.ContainsFunc(s.ownAddresses(e), func(own *url.URL) bool {
		reach := reachOf(hostname(own.Host))
		return reach == everywhere || (address.IsLoopback() && reach == thisSite)
	})
}

// hasHTTPS reports whether the world reaches the service by https. A request without TLS has then come
// through something that ended it, such as a balancer of TCP, whose own address may well be a public one.
func (s *server) hasHTTPS(e *request) bool {
	return slices.ContainsFunc(s.ownAddresses(e), func(own *url.URL) bool {
		return own.Scheme == "https" && reachOf(hostname(own.Host)) != thisMachine
	})
}

// ownAddresses are where the world reaches the service, and the plugin of a request, as far as that is known.
func (s *server) ownAddresses(e *request) (own []*url.URL) {
	addresses := []string{s.config.baseURL()}
	if e.plugin != nil {
		addresses = append(addresses, e.plugin.RedirectURI)
	}
	for _, address := range addresses {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			own = append(own, u)
		}
	}
	return own
}

// namesAnother reports whether the headers of a request name another address than the one that is trusted.
// Then there is one more proxy in front, and the trusted address is that proxy's, or the visitor has made the
// other one up. What stands before the last address of the trusted header says so, and so does a header that
// is not trusted.
func (s *server) namesAnother(header http.Header, trusted string, network netip.Prefix) bool {
	if hasSeveral(header, trusted) {
		return true
	}
	for name, values := range header {
		isTrusted := func(trusted string) bool { return strings.EqualFold(trusted, name) }
		if !doctor.NamesVisitor(name) || slices.ContainsFunc(s.config.TrustedProxyHeaders, isTrusted) {
			continue
		}
		if beginsElsewhere(name, values, network) {
			return true
		}
	}
	return false
}

// maxHops bounds the addresses of a header that say nothing. A few proxies are on the way.
const maxHops = 20

// beginsElsewhere reports whether a header, in which visitors come first, begins with an address of another
// network, or has only hidden ones. That of a hop between proxies behind says nothing, nor does one of the
// visitor's own proxies that is private or hidden: then the next one counts.
func beginsElsewhere(name string, values []string, network netip.Prefix) bool {
	hops, hidden := 0, 0
	for _, value := range values {
		for element := range elementsOf(name, value) {
			address, ok := parseElement(name, element)
			isHop := address.IsLoopback() || (isPrivate(address) && !isPrivate(network.Addr()))
			if ok && !isHop {
				return networkOf(address) != network
			}
			if !ok && strings.TrimSpace(element) != "" {
				hidden++
			}
			if hops++; hops > maxHops {
				return true
			}
		}
	}
	return hidden > 0 && hidden == hops
}

// hasSeveral reports whether a header has more than one address.
func hasSeveral(header http.Header, name string) bool {
	elements := 0
	for _, value := range header.Values(name) {
		for range elementsOf(name, value) {
			if elements++; elements > 1 {
				return true
			}
		}
	}
	return false
}

// elementsOf returns what a value of a header of this name has between its commas.
func elementsOf(name, value string) iter.Seq[string] {
	if strings.EqualFold(name, "Forwarded") {
		return splitUnquoted(value, ',')
	}
	return strings.SplitSeq(value, ",")
}

// reach says from where a host can be reached.
type reach int

const (
	thisMachine reach = iota
	thisSite          // a private network
	everywhere
)

// reachOf returns the reach of a host. Names that are private wherever they are used: RFC 6761 section 6.3,
// RFC 6762, RFC 8375, ICANN's .internal, and those without a dot.
func reachOf(host string) reach {
	address, err := netip.ParseAddr(host)
	address = embeddedIPv4(address)
	switch {
	case host == "localhost" || strings.HasSuffix(host, ".localhost"), err == nil && address.IsLoopback():
		return thisMachine
	case err == nil && !isPrivate(address):
		return everywhere
	case err == nil || !strings.Contains(host, "."):
		return thisSite
	}
	for _, private := range []string{".local", ".home.arpa", ".internal"} {
		if strings.HasSuffix(host, private) {
			return thisSite
		}
	}
	return everywhere
}

// inside are networks that are not the Internet, beside those of RFC 1918: between providers and their
// customers (RFC 6598), in devices that translate addresses (RFC 6890), and for measurements (RFC 2544),
// which some programs take for their containers.
var inside = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
}

// isPrivate reports whether an address is one of a network that is not the Internet.
func isPrivate(address netip.Addr) bool {
	return address.IsPrivate() || address.IsLinkLocalUnicast() ||
		slices.ContainsFunc(inside, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}

// headerToTrust returns the name of a header that an admin should trust, if a proxy of theirs sets it: one
// that is not believed and whose only address may be a visitor's. One that is private is more likely that of
// another proxy, as is the last of several, and with it everybody would count as one network. It returns ""
// if there is none.
func (s *server) headerToTrust(header http.Header) string {
	for _, name := range doctor.UntrustedProxyHeaders(header, s.config.TrustedProxyHeaders) {
		address, ok := addressInHeader(header, name)
		isPublic := address.IsGlobalUnicast() && !isPrivate(address) && networkOf(address) != unknownNetwork
		if ok && isPublic && !hasSeveral(header, name) {
			return name
		}
	}
	return ""
}

// believedProbe returns the name of the trusted header that has the doctor's made-up address, which should
// not have come so far. It returns "" if there is none.
func (s *server) believedProbe(header http.Header) string {
	for _, name := range s.config.TrustedProxyHeaders {
		if address, ok := addressInHeader(header, name); ok && address == doctor.ProbeAddress {
			return name
		}
	}
	return ""
}

// hidesVisitors reports whether a service that listens at an address has visitors that all come through
// something else on this machine.
func (c Config) hidesVisitors(listener net.Addr) bool {
	tcp, isTCP := listener.(*net.TCPAddr)
	u, err := url.Parse(c.baseURL())
	isLocal := listener != nil && (!isTCP || tcp.IP.IsLoopback())
	return isLocal && err == nil && u.Host != "" && reachOf(hostname(u.Host)) == everywhere
}

// addressInHeader returns the last address of a header, which the proxy has added. Whatever comes before it
// may be made up by the client.
func addressInHeader(header http.Header, name string) (netip.Addr, bool) {
	values := header.Values(name)
	if len(values) == 0 {
		return netip.Addr{}, false
	}
	last := values[len(values)-1]
	if !strings.EqualFold(name, "Forwarded") {
		last = last[strings.LastIndexByte(last, ',')+1:]
	}
	return parseElement(name, last)
}

// parseElement reads one address as a header of this name has it.
func parseElement(name, element string) (netip.Addr, bool) {
	if strings.EqualFold(name, "Forwarded") {
		return parseForwarded(element)
	}
	return parseClient(element)
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
	var element string
	for element = range splitUnquoted(value, ',') {
	}
	if len(element) > maxElement {
		return netip.Addr{}, false
	}
	var node string
	seen := map[string]bool{}
	for pair := range splitUnquoted(element, ';') {
		if pair = strings.Trim(pair, " \t"); pair == "" {
			continue
		}
		name, value, _ := strings.Cut(strings.ToLower(pair), "=")
		value, ok := tokenOrString(value)
		// Whatever reads for*= as a parameter of a media type (RFC 8187) takes another address from it.
		if !ok || !isToken(name) || strings.Contains(name, "*") || seen[name] {
			return netip.Addr{}, false
		}
		seen[name] = true
		if name == "for" {
			node = value
		}
	}
	return parseNode(node)
}

// maxElement bounds an element of a Forwarded header, in bytes. A proxy adds an address or two, a host and a
// scheme.
const maxElement = 1000

// splitUnquoted splits a text at a separator outside of quoted strings (RFC 9110 section 5.6.4).
func splitUnquoted(text string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		quoted, begin := false, 0
		for i := 0; i < len(text); i++ {
			switch c := text[i]; {
			case c == '"':
				quoted = !quoted
			case quoted && c == '\\':
				i++
			case !quoted && c == separator:
				if !yield(text[begin:i]) {
					return
				}
				begin = i + 1
			}
		}
		yield(text[begin:])
	}
}

// tokenOrString reads a token or a quoted string.
func tokenOrString(text string) (value string, ok bool) {
	quoted, isQuoted := strings.CutPrefix(text, `"`)
	if !isQuoted {
		return text, isToken(text)
	}
	var unquoted strings.Builder // a client may make the text as long as headers may be
	for i := 0; i < len(quoted); i++ {
		switch quoted[i] {
		case '"':
			return unquoted.String(), i == len(quoted)-1
		case '\\':
			if i++; i == len(quoted) {
				return "", false
			}
		}
		unquoted.WriteByte(quoted[i])
	}
	return "", false
}

// isToken reports whether a text is a token (RFC 9110 section 5.6.2).
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		isAlphanumeric := (r >= '0' && r <= '9') || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
		return !isAlphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
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

// What IPv6 addresses are made of where they stand for IPv4 addresses, or for none.
var (
	nat64    = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052 section 2.1
	lowNAT64 = netip.MustParsePrefix("64:ff9b:1::/96") // the part of RFC 8215's whose form is certain
	teredo   = netip.MustParsePrefix("2001::/32")      // RFC 4380: the relay is anybody's
)

// networks are the addresses that belong to somebody. Others stand for none, such as those of one link, or
// for one that is not certain (RFC 8215, and RFC 4291 section 2.5.5.1).
var networks = []netip.Prefix{
	netip.MustParsePrefix("2000::/3"), // RFC 4291 section 2.4
	netip.MustParsePrefix("fc00::/7"), // RFC 4193
	netip.MustParsePrefix("0.0.0.0/0"),
}

// noNetworks are those IPv4 addresses that belong to nobody (RFC 6890).
var noNetworks = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
}

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
	contain := func(prefix netip.Prefix) bool { return prefix.Contains(address) }
	belongs := slices.ContainsFunc(networks, contain) && !slices.ContainsFunc(noNetworks, contain)
	if address.IsLoopback() || (belongs && !teredo.Contains(address)) {
		return prefixOf(address)
	}
	return unknownNetwork
}

// prefixOf returns what is told apart of the addresses: an IPv4 address, or the /64 of an IPv6 address. That
// of this machine is the same in both.
func prefixOf(address netip.Addr) netip.Prefix {
	if address.IsLoopback() {
		address = netip.IPv6Loopback()
	}
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}
