package plugins

import (
	"errors"
	"net/url"
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
	case origin == "":
		return false
	case isLocalhost(origin):
		return true
	case p == nil:
		return false
	}
	return p.isPublished(origin) || slices.Contains(p.AllowedOrigins, origin) ||
		slices.Contains(p.AllowedOrigins, "*")
}

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

// OriginOf returns the origin of an http(s) URL as a browser sends it: no path, no default port, lower case.
func OriginOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return "", errors.New("not the origin of a page")
	}
	host := strings.ToLower(u.Host)
	if (u.Scheme == "https" && u.Port() == "443") || (u.Scheme == "http" && u.Port() == "80") {
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return u.Scheme + "://" + host, nil
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
