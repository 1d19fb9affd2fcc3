package relay

import (
	"net/http"
	"net/http/httputil"
	"strings"
)

// notPassedOn are request headers that say where a request comes from: the browser's, and those of the
// proxies on the way. httputil leaves out those of one connection (RFC 9110 section 7.6.1), and Forwarded.
var notPassedOn = []string{
	"Origin", "Referer", "Cookie", "Via", "Upgrade", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip",
	"X-Request-Start", "Cdn-Loop",
}

// notPassedOnPrefixes are what the names of such headers begin with.
var notPassedOnPrefixes = []string{"Sec-", "X-Forwarded-", "Fly-", "Cf-"}

// notPassedBack are headers of answers that speak to the browser about the API's own site. They would be
// taken as words about this service.
var notPassedBack = []string{
	"Set-Cookie", "Set-Cookie2", "Clear-Site-Data", "Refresh", "Alt-Svc", "Content-Security-Policy",
	"Content-Security-Policy-Report-Only", "Cross-Origin-Embedder-Policy", "Cross-Origin-Opener-Policy",
	"Cross-Origin-Resource-Policy", "Expect-Ct", "Nel", "Origin-Agent-Cluster", "Permissions-Policy",
	"Public-Key-Pins", "Referrer-Policy", "Report-To", "Reporting-Endpoints", "Service-Worker-Allowed",
	"Strict-Transport-Security", "Timing-Allow-Origin", "X-Content-Type-Options", "X-Frame-Options",
	"X-Xss-Protection",
}

// rewrite makes the API's request out of the page's.
func (r *Relay) rewrite(p *httputil.ProxyRequest, call Call) {
	p.Out.URL, p.Out.Host = call.URL, ""
	header := p.Out.Header
	for name := range header {
		for _, prefix := range notPassedOnPrefixes {
			if strings.HasPrefix(name, prefix) {
				header.Del(name)
			}
		}
	}
	for _, names := range [][]string{notPassedOn, r.options.ProxyHeaders} {
		for _, name := range names {
			header.Del(name)
		}
	}
	header.Set("Authorization", call.Authorization)
}

// rewriteAnswer makes the page's answer out of the API's. own are the headers that this service sends with
// every answer; they win, but an API may say itself how long its answer may be kept.
func rewriteAnswer(response *http.Response, call Call, own http.Header) {
	header := response.Header
	for name := range header {
		if strings.HasPrefix(name, "Access-Control-") {
			header.Del(name)
		}
	}
	for _, name := range notPassedBack {
		header.Del(name)
	}
	for name, values := range own {
		switch {
		case name == "Vary":
			header[name] = append(header[name], values...)
		case name != "Cache-Control" || header.Get(name) == "":
			header[name] = values
		}
	}
	if response.StatusCode/100 == 3 {
		rewriteLocation(response, call)
	}
}

// rewriteLocation leads the page's browser back here when the API redirects it to itself.
func rewriteLocation(response *http.Response, call Call) {
	location := response.Header.Get("Location")
	if location == "" {
		return
	}
	target, err := call.URL.Parse(location)
	if err != nil {
		return
	}
	if here := call.Locate(target); here != "" {
		response.Header.Set("Location", here)
	}
}

// isWebSocket reports whether a request wants to become a WebSocket (RFC 6455 section 4.1).
func isWebSocket(header http.Header) bool {
	for _, value := range header.Values("Upgrade") {
		if strings.Contains(strings.ToLower(value), "websocket") {
			return true
		}
	}
	return false
}

// copyHeader puts headers back.
func copyHeader(to, from http.Header) {
	for name, values := range from {
		to[name] = values
	}
}
