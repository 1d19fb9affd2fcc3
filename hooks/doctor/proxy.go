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

// UntrustedProxy returns the finding for requests that come with a proxy's header that is not trusted.
func UntrustedProxy(header string) Finding {
	return Finding{
		Level: LevelWarning,
		What:  "Requests come with the header " + header + ", which the service does not believe.",
		Why: "So nobody's address is known: all visitors share one rate limit, and each is asked whether " +
			"the login is their own.",
		Fix: "If a proxy of yours sets it on every request, name " + header + " in TRUSTED_PROXY_HEADERS.",
	}
}

// checkFly finds the proxy of Fly.io even if the service does not answer.
func (d *Doctor) checkFly() []Finding {
	isFly := func(trusted string) bool { return strings.EqualFold(trusted, flyClientIP) }
	if !d.options.OnFly || slices.ContainsFunc(d.options.TrustedProxyHeaders, isFly) {
		return nil
	}
	return []Finding{UntrustedProxy(flyClientIP)}
}
