package plugins

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// hostLabel has the characters that a plugin's label in a host may have. Browsers send it in lower case.
const hostLabel = "abcdefghijklmnopqrstuvwxyz0123456789-_"

// IsDomain reports whether a value has only characters that a domain may have. A blank one counts.
func IsDomain(value string) bool { return strings.Trim(strings.ToLower(value), hostLabel+".") == "" }

// Allows reports whether a page of this origin (RFC 6454 section 6.2) may read the plugin's answers.
// Scheme, host and port must match exactly. A nil plugin allows localhost.
func (p *Plugin) Allows(origin string) bool {
	switch {
	case origin == "" || len(origin) > maxOrigin:
		return false
	case isLocalhost(origin):
		return true
	case p == nil:
		return false
	}
	return p.isPublished(origin) || slices.Contains(p.AllowedOrigins, origin) ||
		slices.Contains(p.AllowedOrigins, "*")
}

// maxOrigin bounds an origin, in bytes: a host may have 253 (RFC 1035 section 2.3.4), and a scheme 63 here. A
// longer one is no browser's, and would be repeated in the answer.
const maxOrigin = 63 + len("://") + 253 + len(":65535")

// AllowsAnyPage reports whether any page in a browser may read the plugin's answers: by "*", or by "null",
// which any page gets for a sandboxed frame.
func (p *Plugin) AllowsAnyPage() bool {
	return slices.Contains(p.AllowedOrigins, "*") || slices.Contains(p.AllowedOrigins, "null")
}

// isLocalhost is true for http(s)://localhost on any port: a plugin under development.
func isLocalhost(origin string) bool {
	host, ok := strings.CutPrefix(origin, "https://")
	if !ok {
		host, ok = strings.CutPrefix(origin, "http://")
	}
	if !ok {
		return false
	}
	if host == "localhost" {
		return true
	}
	port, ok := strings.CutPrefix(host, "localhost:")
	return ok && port != "" && len(port) <= 5 && strings.Trim(port, "0123456789") == ""
}

// isPublished is true for https://<id>.<parent> and for one version of it, https://<id>-<version>.<parent>.
func (p *Plugin) isPublished(origin string) bool {
	if p.PluginID == "" {
		return false
	}
	host, ok := strings.CutPrefix(origin, "https://")
	if !ok {
		return false
	}
	label, ok := strings.CutSuffix(host, "."+p.ParentDomain)
	if !ok {
		return false
	}
	if label == p.PluginID {
		return true
	}
	version, ok := strings.CutPrefix(label, p.PluginID+"-")
	return ok && version != "" && strings.Trim(version, hostLabel) == ""
}

var (
	originScheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)

	// originHost is a host as browsers send it, in ASCII. Apps' own schemes have hosts such as obsidian.md,
	// localhost or the id of an extension.
	originHost = regexp.MustCompile(`^([A-Za-z0-9._~-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$`)

	errNotOrigin = errors.New("not the origin of a page")
)

// notOrigins are schemes of addresses whose pages have no origin of their own: browsers send null for them
// (HTML standard, origin of a URL).
var notOrigins = []string{"javascript", "data", "blob", "about", "mailto"}

// OriginOf returns the origin of an address as a browser sends it: no path, no default port, lower case. The
// scheme may be an app's own, such as app://obsidian.md or chrome-extension://ID, whose host stays as it
// stands.
func OriginOf(address string) (string, error) {
	if strings.EqualFold(address, fileOrigin) {
		return fileOrigin, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Hostname() == "" || slices.Contains(notOrigins, u.Scheme) ||
		len(u.Scheme) > 63 || !originScheme.MatchString(u.Scheme) || !originHost.MatchString(u.Host) {
		return "", errNotOrigin
	}
	host := u.Host
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		host = strings.ToLower(strings.TrimSuffix(host, ":"+u.Port()))
	default:
		host = strings.ToLower(host)
	}
	return u.Scheme + "://" + host, nil
}

// fileOrigin is what some apps send whose pages are files.
const fileOrigin = "file://"

// fixOfOrigin says what is wrong with an entry of the allowed origins, as in "is https://plugin.example", or
// returns "". It repeats an entry only if that is an origin.
func fixOfOrigin(allowed string) string {
	origin, err := OriginOf(allowed)
	withScheme, schemeErr := OriginOf("https://" + allowed)
	switch {
	case allowed == "*" || allowed == "null" || (err == nil && origin == allowed):
		return ""
	case err == nil:
		return "is " + origin
	case strings.EqualFold(allowed, "null"):
		return "is null"
	case strings.Contains(allowed, "*"):
		return "is none: a * stands for every site, and only alone"
	case schemeErr == nil && strings.Contains(withScheme, "."):
		return "is " + withScheme
	}
	return "is none"
}

// Origins lists the origins that the plugin allows, for people to read.
func (p *Plugin) Origins() []string {
	allowed := []string{"http(s)://localhost, on any port"}
	if p.PluginID != "" {
		allowed = append(allowed, "https://"+p.PluginID+"."+p.ParentDomain,
			"https://"+p.PluginID+"-VERSION."+p.ParentDomain)
	}
	return append(allowed, p.AllowedOrigins...)
}
