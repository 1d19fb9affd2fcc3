package hooks

import (
	"net/url"
	"strings"
	"testing"
)

func testPlugin() *Plugin {
	plugin := Plugin{PluginID: "ABC123", AllowedOrigins: []string{"https://plugin.example", "http://127.0.0.1:3000"}}.complete(Config{})
	return &plugin
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	plugin := testPlugin()
	for origin, want := range map[string]bool{
		"https://abc123.plugins.framercdn.com":       true,
		"https://abc123-v1.plugins.framercdn.com":    true,
		"https://abc123-xyz-2.plugins.framercdn.com": true,
		"http://localhost":                           true,
		"https://localhost":                          true,
		"https://localhost:5173":                     true,
		"http://localhost:65535":                     true,
		"https://plugin.example":                     true,
		"http://127.0.0.1:3000":                      true,
		"":                                           false,
		"null":                                       false,
		"*":                                          false,
		"http://abc123.plugins.framercdn.com":        false,
		"https://abc123.plugins.framercdn.com:8443":        false,
		"https://abc123.plugins.framercdn.com/":            false,
		"https://abc123evil.plugins.framercdn.com":         false,
		"https://abc123-.plugins.framercdn.com":            false,
		"https://abc123-a.b.plugins.framercdn.com":         false,
		"https://xabc123.plugins.framercdn.com":            false,
		"https://plugins.framercdn.com":                    false,
		"https://abc123.plugins.framercdn.com.evil.test":   false,
		"https://abc123.plugins.framercdn.com@evil.test":   false,
		"https://abc123-@evil.test/.plugins.framercdn.com": false,
		"https://evil.test#.plugins.framercdn.com":         false,
		"https://localhost.evil.test":                      false,
		"https://localhost:80.evil.test":                   false,
		"https://localhost:":                               false,
		"https://localhost:123456":                         false,
		"https://localhost@evil.test":                      false,
		"https://evil.test:localhost":                      false,
		"ftp://localhost":                                  false,
		"localhost":                                        false,
		"https://plugin.example:443":                       false,
		"https://plugin.example.evil.test":                 false,
		"http://plugin.example":                            false,
		"http://127.0.0.1:30000":                           false,
	} {
		if got := plugin.allows(origin); got != want {
			t.Errorf("%s: allowed is %t", origin, got)
		}
	}
}

func TestOriginExtras(t *testing.T) {
	t.Parallel()
	blank := &Plugin{ParentDomain: defaultParentDomain}
	for _, origin := range []string{"https://.plugins.framercdn.com", "https://-x.plugins.framercdn.com", "https://abc123.plugins.framercdn.com"} {
		if blank.allows(origin) {
			t.Errorf("a blank plugin id allows %s", origin)
		}
	}
	var none *Plugin
	if !none.allows("http://localhost:5173") || none.allows("https://abc123.plugins.framercdn.com") || none.allows("null") {
		t.Error("without a plugin, not exactly localhost is allowed")
	}
	if !(&Plugin{AllowedOrigins: []string{"null"}}).allows("null") {
		t.Error("null is not allowed though it is listed")
	}
	if all := (&Plugin{AllowedOrigins: []string{"*"}}); !all.allows("https://anything.test") || all.allows("") {
		t.Error("* does not allow every origin, or allows none")
	}
}

// What is allowed parses to exactly an allowed host.
func FuzzOrigin(f *testing.F) {
	for _, seed := range []string{"https://abc123.plugins.framercdn.com", "https://abc123-v1.plugins.framercdn.com", "http://localhost:80", "https://abc123-@evil.test/.plugins.framercdn.com", "https://localhost:80@evil.test"} {
		f.Add(seed)
	}
	plugin := testPlugin()
	f.Fuzz(func(t *testing.T, origin string) {
		if !plugin.allows(origin) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme+"://"+u.Host != origin {
			t.Fatalf("%q is allowed, but is no origin: %v", origin, err)
		}
		label, published := strings.CutSuffix(u.Host, ".plugins.framercdn.com")
		switch {
		case u.Hostname() == "localhost":
		case published && u.Scheme == "https" && (label == "abc123" || strings.HasPrefix(label, "abc123-")) && !strings.Contains(label, "."):
		case origin == "https://plugin.example" || origin == "http://127.0.0.1:3000":
		default:
			t.Fatalf("%q is allowed", origin)
		}
	})
}
