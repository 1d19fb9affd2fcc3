package plugins

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxReturnURL bounds an address to return to, in bytes.
const maxReturnURL = 2048

// appScheme is a scheme that an app may register (RFC 3986 section 3.1). A scheme of one letter is the drive
// of a path on Windows.
var appScheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]+$`)

// notAppSchemes are schemes that browsers or the operating system handle themselves. A link to one of them on
// a page of ours could run a script, show a page as if it were ours, open a file or a program, or leave
// encryption.
var notAppSchemes = []string{
	"about", "android-app", "blob", "chrome", "cid", "content", "data", "devtools", "edge", "feed", "file",
	"filesystem", "ftp", "ftps", "hcp", "http", "intent", "its", "jar", "javascript", "ldap", "livescript",
	"mailto", "mhtml", "microsoft-edge", "mk", "mocha", "opera", "res", "resource", "sftp", "shell", "sms",
	"smb", "ssh", "tel", "telnet", "urn", "vbs", "vbscript", "view-source", "webcal", "ws", "wss",
}

// notAppFamilies are the beginnings and ends of more of them: the parts of Windows and Office, and the pages
// of a browser's extensions.
var notAppFamilies = regexp.MustCompile(`^(ms|search|moz|safari|x-apple)[.-]|[.-](extension|ms|script)$`)

// IsReturnURL reports whether an address may be the link of the button to return: https with a host, or the
// address of an app by its own scheme, such as framer:// and obsidian://open?vault=V.
func IsReturnURL(address string) bool {
	u, err := url.Parse(address)
	switch {
	case err != nil || len(address) > maxReturnURL || u.User != nil ||
		strings.ContainsAny(address, " \\<>\"`"):
		return false
	case u.Scheme == "https":
		return u.Hostname() != ""
	}
	// Browsers take what follows a scheme of their own as they like, so // alone makes nothing safe.
	return appScheme.MatchString(u.Scheme) && strings.HasPrefix(address[len(u.Scheme):], "://") &&
		!slices.Contains(notAppSchemes, u.Scheme) && !notAppFamilies.MatchString(u.Scheme)
}
