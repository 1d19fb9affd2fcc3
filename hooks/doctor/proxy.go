package doctor

import (
	"net/http"
	"slices"
	"strings"
)

// proxyHeaders are the headers in which well-known proxies send the client's address.
var proxyHeaders = []string{
	flyClientIP, "CF-Connecting-IP", "True-Client-IP", "X-Real-IP", "X-Forwarded-For", "Forwarded",
}

// flyClientIP is what the proxy of Fly.io sets on every request.
const flyClientIP = "Fly-Client-IP"

// UntrustedProxyHeaders returns the names of the headers of a request in which well-known proxies send the
// client's address, unless it has one that is trusted. The names of trusted headers may be in any case.
func UntrustedProxyHeaders(header http.Header, trusted []string) (untrusted []string) {
	present := func(name string) bool { return len(header.Values(name)) > 0 }
	if slices.ContainsFunc(trusted, present) {
		return nil
	}
	for _, name := range proxyHeaders {
		if present(name) {
			untrusted = append(untrusted, name)
		}
	}
	return untrusted
}

// HasProxyHeader reports whether a request has a header that looks like one that a proxy adds, for its name
// says so. Browsers and plugins send none.
func HasProxyHeader(header http.Header) bool {
	for name := range header {
		if isProxyHeader(name) {
			return true
		}
	}
	return false
}

// proxyWords are what the names of proxies' headers are made of: what proxies do, and who sells them.
var proxyWords = []string{
	"via", "cdn", "forwarded", "fastly", "fly", "cf", "cloudfront", "cloudflare", "akamai", "azure", "fd",
	"amzn", "amz", "appengine", "appgw", "vercel", "netlify", "nf", "envoy", "arr", "varnish", "sucuri",
	"kong",
	"incap", "traefik", "original", "real", "connecting", "do", "heroku", "gfe", "cluster",
}

// isProxyHeader reports whether one of the words of a name is a proxy's, or the name is that of an address.
func isProxyHeader(name string) bool {
	name = strings.ToLower(name)
	if strings.Contains(name, "proxy") || strings.HasSuffix(name, "ip") || strings.HasSuffix(name, "addr") ||
		strings.HasSuffix(name, "address") {
		return true
	}
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '-' || r == '_' }) {
		if slices.Contains(proxyWords, word) {
			return true
		}
	}
	return false
}

// NamesVisitor reports whether proxies send a visitor's address in a header of this name, for the name says
// so.
func NamesVisitor(name string) bool {
	name = strings.ToLower(name)
	for _, end := range []string{"ip", "ipv6", "addr", "address", "forwarded-for", "forwarded"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// Unknown says why the network of a request is not known. It is blank if it is known.
type Unknown string

// The reasons.
const (
	// UnknownMissing is that no header of TRUSTED_PROXY_HEADERS came with the request.
	UnknownMissing Unknown = "missing"
	// UnknownUnreadable is that the header, or what connects, has no address of a network.
	UnknownUnreadable Unknown = "unreadable"
	// UnknownUntrusted is that a proxy's header came, and none is trusted.
	UnknownUntrusted Unknown = "untrusted"
	// UnknownPrivate is that the request came from this machine or a private network, without a proxy's
	// header, though the service's address is public.
	UnknownPrivate Unknown = "private"
	// UnknownName is that the request came by plain HTTP to a public name that is not configured.
	UnknownName Unknown = "name"
	// UnknownPlain is that the request came by plain HTTP, without a proxy's header, though the service's
	// address has https.
	UnknownPlain Unknown = "plain"
	// UnknownSeveral is that the request's headers name more than one address.
	UnknownSeveral Unknown = "several"
)

// Text says it in a sentence. It is blank if the network is known, or for a reason of another version.
func (u Unknown) Text() string {
	switch u {
	case UnknownMissing:
		return "A request came without any of the headers in TRUSTED_PROXY_HEADERS."
	case UnknownUnreadable:
		return "A request came without the address of a network that can be told from others."
	case UnknownUntrusted:
		return "A request came by a proxy, and none of its headers is trusted."
	case UnknownPrivate:
		return "A request came from this machine or a private network, without a proxy's header, though " +
			"the address of the service is public."
	case UnknownName:
		return "A request came by plain http to a name that is in neither PUBLIC_URL nor REDIRECT_URI."
	case UnknownPlain:
		return "A request came by plain http, without a proxy's header, though the address of the service " +
			"has https."
	case UnknownSeveral:
		return "A request came with headers that name more than one address, so the one in " +
			"TRUSTED_PROXY_HEADERS may be that of another proxy."
	}
	return ""
}

// whyUnknown is what happens where nobody's network is known.
const whyUnknown = "If visitors come that way, too, nobody's network is known: they share one rate limit, " +
	"and each is asked whether the login is their own."

// howToSend says how proxies send a visitor's address. Each overwrites the header, or adds to its end.
const howToSend = "nginx: proxy_set_header X-Real-IP $remote_addr; and TRUSTED_PROXY_HEADERS=X-Real-IP. " +
	"HAProxy: option forwardfor. Caddy (reverse_proxy) and Apache (ProxyPass) send it by themselves. With " +
	"these three: TRUSTED_PROXY_HEADERS=X-Forwarded-For."

// UnknownNetwork returns the finding for requests whose network is not known.
func UnknownNetwork(why Unknown) Finding {
	switch why {
	case UnknownSeveral:
		return Finding{
			Level: LevelWarning,
			What:  why.Text(),
			Why: "Those who come by the same proxies would look like one network, so each is asked whether " +
				"the login is their own.",
			Fix: "Let only the proxy that visitors reach send their address, in one header, and name that " +
				"in TRUSTED_PROXY_HEADERS. If others send one, too, name theirs behind it, and let nobody " +
				"come but by the first.",
		}
	case UnknownName:
		return Finding{
			Level: LevelWarning,
			What:  why.Text(),
			Why: "Whoever owns the name may have led a person's browser here, so each who comes that way " +
				"is asked whether the login is their own.",
			Fix: "If the name is the service's own, set PUBLIC_URL to the address that plugins use. If " +
				"something in front ends TLS, let it send the visitor's address in a header, and name that " +
				"header in TRUSTED_PROXY_HEADERS.",
		}
	}
	return Finding{
		Level: LevelWarning,
		What:  why.Text(),
		Why:   whyUnknown,
		Fix: "Have your proxy send the visitor's address in a header that it overwrites or adds to, and " +
			"name that in TRUSTED_PROXY_HEADERS. " + howToSend,
	}
}

// UntrustedProxy returns the finding for requests that come with a proxy's header that is not trusted.
func UntrustedProxy(header string) Finding {
	return Finding{
		Level: LevelWarning,
		What:  "Requests come with the header " + header + ", which the service does not believe.",
		Why:   whyUnknown,
		Fix: "If a proxy of yours overwrites it or adds to it on every request, name " + header +
			" in TRUSTED_PROXY_HEADERS.",
	}
}

// checkListener finds that all visitors come from this machine, as they do behind a proxy, and that no header
// says whose the requests are. The doctor's own request may have found it, and then knows more.
func (d *Doctor) checkListener(found []Finding) []Finding {
	known := slices.ContainsFunc(found, func(f Finding) bool { return f.Why == whyUnknown })
	if !d.options.HidesVisitors || len(d.options.TrustedProxyHeaders) > 0 || known {
		return nil
	}
	f := UnknownNetwork(UnknownPrivate)
	f.What = "The service listens on this machine only, its address is public, and no header of a proxy is " +
		"trusted."
	return []Finding{f}
}

// checkFly finds the proxy of Fly.io even if the service does not answer.
func (d *Doctor) checkFly() []Finding {
	isFly := func(trusted string) bool { return strings.EqualFold(trusted, flyClientIP) }
	if !d.options.OnFly || slices.ContainsFunc(d.options.TrustedProxyHeaders, isFly) {
		return nil
	}
	return []Finding{UntrustedProxy(flyClientIP)}
}
