package relay

import (
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
)

// headerNames are names of headers, and what the names of others begin with.
type headerNames struct{ names, prefixes []string }

// notPassedOn are request headers that say where a request comes from: the browser's, and those of the
// proxies on the way. httputil leaves out those of one connection (RFC 9110 section 7.6.1), and Forwarded.
var notPassedOn = headerNames{
	names: []string{
		"Origin", "Referer", "Cookie", "Via", "Upgrade", "Connection", "X-Real-Ip", "X-Client-Ip",
		"True-Client-Ip", "X-Request-Start", "Cdn-Loop",
	},
	prefixes: []string{"Sec-", "X-Forwarded-", "Fly-", "Cf-"},
}

// notPassedBack are headers of answers that are not for the page. Those that speak to its browser about the
// API's own site would be taken as words about this service. Those that speak to a proxy about its upstream
// would be obeyed by the one in front of this service: it would send another file, or send the request with
// its token elsewhere, or keep an answer for everybody.
var notPassedBack = headerNames{
	names: []string{
		"Accept-Ch", "Activate-Storage-Access", "Alt-Svc", "Clear-Site-Data", "Content-Security-Policy",
		"Content-Security-Policy-Report-Only", "Critical-Ch", "Dictionary-Id", "Document-Isolation-Policy",
		"Document-Policy", "Document-Policy-Report-Only", "Expect-Ct", "Feature-Policy",
		"Integrity-Policy", "Integrity-Policy-Report-Only", "Nel", "No-Vary-Search",
		"Observe-Browsing-Topics", "Origin-Agent-Cluster", "Origin-Trial", "Permissions-Policy",
		"Permissions-Policy-Report-Only", "Public-Key-Pins", "Public-Key-Pins-Report-Only",
		"Referrer-Policy", "Refresh", "Report-To", "Reporting-Endpoints", "Require-Document-Policy",
		"Service-Worker-Allowed", "Set-Cookie", "Set-Cookie2", "Set-Login", "Speculation-Rules",
		"Strict-Transport-Security", "Supports-Loading-Mode", "Timing-Allow-Origin", "Use-As-Dictionary",
		"X-Content-Type-Options", "X-Dns-Prefetch-Control", "X-Frame-Options", "X-Xss-Protection",

		"Cache-Tag", "Cdn-Cache-Control", "Edge-Control", "X-Accel-Charset", "X-Accel-Expires",
		"X-Accel-Limit-Rate", "X-Accel-Redirect", "X-Lighttpd-Send-File", "X-Litespeed-Cache-Control",
		"X-Litespeed-Location", "X-Reproxy-Url", "X-Sendfile", "X-Sendfile2",
	},
	prefixes: []string{
		"Access-Control-", "Attribution-Reporting-", "Cross-Origin-", "Sec-", "Secure-Session-",

		"Cloudflare-", "Fly-", "Netlify-", "Surrogate-", "Vercel-", "X-Envoy-",
	},
}

// deleteFrom deletes the headers with these names.
func (n headerNames) deleteFrom(header http.Header) {
	for name := range header {
		for _, prefix := range n.prefixes {
			if strings.HasPrefix(name, prefix) {
				delete(header, name)
			}
		}
	}
	for _, name := range n.names {
		delete(header, name)
	}
}

// rewrite makes the API's request out of the page's.
func (r *Relay) rewrite(p *httputil.ProxyRequest, call Call) {
	p.Out.URL, p.Out.Host, p.Out.Trailer = call.URL, "", nil
	header := p.Out.Header
	notPassedOn.deleteFrom(header)
	for _, name := range r.options.ProxyHeaders {
		header.Del(name)
	}
	header.Set("Authorization", call.Authorization)
}

// rewriteAnswer makes the page's answer out of the API's. own are the headers that this service sends with
// every answer; they win.
func rewriteAnswer(response *http.Response, call Call, own http.Header) {
	header := response.Header
	kept := header["Cache-Control"]
	notPassedBack.deleteFrom(header)
	for name, values := range own {
		if name == "Vary" {
			values = append(append(header[name], "Authorization"), values...)
		}
		header[name] = values
	}
	if len(kept) > 0 {
		header["Cache-Control"] = privateOnly(kept)
	}
	if response.StatusCode/100 == 3 {
		rewriteLocation(response, call)
	}
}

// privateOnly returns what an API says about how long its answer may be kept, for the page's browser alone
// (RFC 9111 section 5.2.2). A cache in front of this service would give the answer to those who may not call.
func privateOnly(cacheControl []string) []string {
	directives := []string{"private"}
	for _, directive := range strings.Split(strings.Join(cacheControl, ","), ",") {
		directive = strings.TrimSpace(directive)
		name, _, _ := strings.Cut(strings.ToLower(directive), "=")
		isForOthers := slices.Contains([]string{"public", "private", "s-maxage"}, strings.TrimSpace(name))
		if directive != "" && !isForOthers {
			directives = append(directives, directive)
		}
	}
	return []string{strings.Join(directives, ", ")}
}

// rewriteLocation leads the page's browser back here when the API redirects it to itself. What cannot be read
// is left out: a browser might read it as an address of this service.
func rewriteLocation(response *http.Response, call Call) {
	location := response.Header.Get("Location")
	if location == "" {
		return
	}
	response.Header["Location"] = []string{location}
	target, err := call.URL.Parse(plainDots(location))
	// Browsers take https:/x, which has no host, for a path here (URL standard, section 4.4).
	isWeb := err == nil && (target.Scheme == "https" || target.Scheme == "http")
	if err != nil || isWeb && target.Host == "" {
		response.Header.Del("Location")
		return
	}
	target.Host = strings.ToLower(target.Host)
	if port, isUsual := map[string]string{"https": ":443", "http": ":80"}[target.Scheme]; isUsual {
		target.Host = strings.TrimSuffix(target.Host, port)
	}
	if here := call.Locate(target); here != "" {
		response.Header.Set("Location", here)
	}
}

// plainDots decodes the dots in a path. Browsers take %2e%2e for .. (URL standard, section 4.1), and with it
// a path could lead out of the API's own.
func plainDots(location string) string {
	end := strings.IndexAny(location, "?#")
	if end < 0 {
		end = len(location)
	}
	return encodedDots.Replace(location[:end]) + location[end:]
}

var encodedDots = strings.NewReplacer("%2e", ".", "%2E", ".")

// isWebSocket reports whether a request wants to become a WebSocket (RFC 6455 section 4.1).
func isWebSocket(header http.Header) bool {
	for _, value := range header.Values("Upgrade") {
		if strings.Contains(strings.ToLower(value), "websocket") {
			return true
		}
	}
	return false
}
