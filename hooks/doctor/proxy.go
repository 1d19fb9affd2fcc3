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

// UntrustedProxyHeader returns the name of a header in which well-known proxies send the client's address, if
// a request has one, and none that is trusted. Otherwise it returns "". The names of trusted headers may be
// in any case.
func UntrustedProxyHeader(header http.Header, trusted []string) string {
	present := func(name string) bool { return len(header.Values(name)) > 0 }
	if slices.ContainsFunc(trusted, present) {
		return ""
	}
	if i := slices.IndexFunc(proxyHeaders, present); i >= 0 {
		return proxyHeaders[i]
	}
	return ""
}

// UntrustedProxy returns the finding for requests that come with a proxy's header that is not trusted.
func UntrustedProxy(header string) Finding {
	return Finding{
		Level: LevelWarning,
		What:  "Requests come with the header " + header + ", which the service does not believe.",
		Why: "Behind a proxy all visitors count as one, for the rate limit and for the question whether a " +
			"login is their own.",
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
