package plugins

import (
	"strings"
	"testing"
)

// The button on the last page leads to a page with https or to an app, and to nothing that a browser or the
// operating system handles itself.
func TestIsReturnURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://framer.com/projects", "HTTPS://framer.com", "https://framer.com:8443/a?b=c#d", "framer://",
		"framer://open/project", "obsidian://open?vault=V", "figma://file/abc", "com.example.app://back",
		"vscode://x", "web+framer://x", "https://[2001:db8::1]/",
	} {
		if !IsReturnURL(good) {
			t.Errorf("%s is refused", good)
		}
	}
	for _, bad := range []string{
		"", "framer", "framer.com", "//framer.com", "/projects", "framer:", "framer:open", "f://x",
		"1a://x", "http://framer.com", "http://localhost", "https:", "https://", "https:///x",
		"https:framer.com", "https://user@framer.com", "https://framer.com\\@evil.example",
		"https://framer.com/ x", "https://fr\tamer.com", "javascript:alert(1)", "javascript://%0aalert(1)",
		"JavaScript://x/%0aalert(1)", "java\nscript://x", "java\tscript:alert(1)", "\x01javascript://x",
		"vbscript://x", "data:text/html,x", "data://text/html,x", "blob:https://framer.com/x", "blob://x",
		"file:///etc/passwd", "FILE://x", "filesystem://x", "ftp://x", "ws://x", "about:blank",
		"about://blank", "view-source://x", "chrome://settings", "intent://x#Intent;end",
		"chrome-extension://abc/x", "moz-extension://abc", "safari-web-extension://abc", "ms-msdt://x",
		"ms-settings://x", "search-ms://x", "search-ms:query", "mailto:a@b.example", "tel:1", "mailto://x",
		"framer://x\"onclick=", "framer://<b>", "https://framer.com/" + strings.Repeat("x", 2048),
	} {
		if IsReturnURL(bad) {
			t.Errorf("%q is accepted", bad)
		}
	}
}
