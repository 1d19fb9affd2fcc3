package plugins

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func published() *Plugin {
	plugin := Plugin{
		PluginID:       "ABC123",
		AllowedOrigins: []string{"https://plugin.example", "http://127.0.0.1:3000"},
	}.Complete(Defaults{})
	return &plugin
}

// originTests says which origins a published plugin allows.
var originTests = map[string]bool{
	"https://abc123.plugins.framercdn.com":       true,
	"https://abc123-v1.plugins.framercdn.com":    true,
	"https://abc123-xyz-2.plugins.framercdn.com": true,
	"http://localhost":                           true,
	"https://localhost":                          true,
	"https://localhost:5173":                     true,
	"http://localhost:65535":                     true,
	"https://plugin.example":                     true,
	"http://127.0.0.1:3000":                      true,

	"":                                    false,
	"null":                                false,
	"*":                                   false,
	"http://abc123.plugins.framercdn.com": false,
	"https://abc123.plugins.framercdn.com:8443":        false,
	"https://abc123.plugins.framercdn.com/":            false,
	"https://ABC123.plugins.framercdn.com":             false,
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
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	plugin := published()
	for origin, want := range originTests {
		t.Run(origin, func(t *testing.T) {
			t.Parallel()
			if got := plugin.Allows(origin); got != want {
				t.Errorf("allowed is %t", got)
			}
		})
	}
}

func TestOriginExtras(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		plugin            *Plugin
		allowed, disallow []string
	}{
		"a blank plugin id": {
			plugin:  &Plugin{ParentDomain: defaultParentDomain},
			allowed: []string{"http://localhost:5173"},
			disallow: []string{
				"https://.plugins.framercdn.com", "https://-x.plugins.framercdn.com",
				"https://abc123.plugins.framercdn.com",
			},
		},
		"no plugin": {
			allowed:  []string{"http://localhost:5173"},
			disallow: []string{"https://abc123.plugins.framercdn.com", "null", ""},
		},
		"apps are listed": {
			plugin:  &Plugin{AllowedOrigins: []string{"app://obsidian.md", "tauri://localhost"}},
			allowed: []string{"app://obsidian.md", "tauri://localhost"},
			disallow: []string{
				"app://obsidian.md/", "app://obsidian.md:1", "APP://obsidian.md", "tauri://localhost:1420",
				"app://localhost", "https://obsidian.md", "app://", "null",
			},
		},
		"null is listed": {
			plugin:   &Plugin{AllowedOrigins: []string{"null"}},
			allowed:  []string{"null"},
			disallow: []string{""},
		},
		"all are listed": {
			plugin:   &Plugin{AllowedOrigins: []string{"*"}},
			allowed:  []string{"https://anything.test", "null"},
			disallow: []string{""},
		},
		"another parent": {
			plugin:   &Plugin{PluginID: "abc", ParentDomain: "plugins.example"},
			allowed:  []string{"https://abc.plugins.example", "https://abc-2.plugins.example"},
			disallow: []string{"https://abc.plugins.framercdn.com"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, origin := range test.allowed {
				if !test.plugin.Allows(origin) {
					t.Errorf("%q is not allowed", origin)
				}
			}
			for _, origin := range test.disallow {
				if test.plugin.Allows(origin) {
					t.Errorf("%q is allowed", origin)
				}
			}
		})
	}
}

// What is allowed parses to exactly an allowed host.
func FuzzOrigin(f *testing.F) {
	for origin := range originTests {
		f.Add(origin)
	}
	f.Add("https://localhost:80@evil.test")
	plugin := published()
	f.Fuzz(func(t *testing.T, origin string) {
		if !plugin.Allows(origin) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme+"://"+u.Host != origin {
			t.Fatalf("%q is allowed, but is no origin: %v", origin, err)
		}
		label, isPublished := strings.CutSuffix(u.Host, ".plugins.framercdn.com")
		isOwn := label == "abc123" || strings.HasPrefix(label, "abc123-")
		switch {
		case u.Hostname() == "localhost":
		case isPublished && u.Scheme == "https" && isOwn && !strings.Contains(label, "."):
		case origin == "https://plugin.example" || origin == "http://127.0.0.1:3000":
		default:
			t.Fatalf("%q is allowed", origin)
		}
	})
}

func TestOriginOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://Plugin.Example/path?a=b#c": "https://plugin.example",
		"https://plugin.example:443":        "https://plugin.example",
		"http://plugin.example:80/":         "http://plugin.example",
		"http://plugin.example:443":         "http://plugin.example:443",
		"https://[::1]:8443":                "https://[::1]:8443",
		"app://obsidian.md":                 "app://obsidian.md",
		"App://obsidian.md/index.html":      "app://obsidian.md",
		"tauri://localhost":                 "tauri://localhost",
		"capacitor://localhost:8080":        "capacitor://localhost:8080",
		"vscode-webview://0a1B":             "vscode-webview://0a1B",
		"chrome-extension://abcdefgh/x":     "chrome-extension://abcdefgh",
		"file://":                           "file://",
		"figma":                             "",
		"https://*.plugin.example":          "",
		"app://":                            "",
		"app:obsidian.md":                   "",
		"app://a b":                         "",
		"javascript://a.example/%0aalert":   "",
		"data://a.example":                  "",
		"1app://a":                          "",
		strings.Repeat("a", 63) + "://a":    strings.Repeat("a", 63) + "://a",
		strings.Repeat("a", 64) + "://a":    "",
		"https://plugin.example,a":          "",
		"":                                  "",
		"https://":                          "",
		"https://user@plugin.example":       "",
		"ftp://plugin.example":              "ftp://plugin.example",
		"https://plugin.example\n":          "",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			got, err := OriginOf(address)
			if got != want || (err == nil) != (want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// What people read is what Allows allows.
func TestOriginsForPeople(t *testing.T) {
	t.Parallel()
	const want = "[http(s)://localhost, on any port https://abc123.plugins.framercdn.com " +
		"https://abc123-VERSION.plugins.framercdn.com https://plugin.example http://127.0.0.1:3000]"
	if got := fmt.Sprint(published().Origins()); got != want {
		t.Errorf("got %s", got)
	}
	blank := Plugin{}.Complete(Defaults{})
	if got := fmt.Sprint(blank.Origins()); got != "[http(s)://localhost, on any port]" {
		t.Errorf("without an id: %s", got)
	}
}

func TestIsDomain(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"": true, "plugins.framercdn.com": true, "Plugins.Example": true, "a_b-c.d1": true,
		"https://a.example": false, "a.example/": false, "a b": false, "a:80": false, "ä.example": false,
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			if got := IsDomain(value); got != want {
				t.Errorf("got %t", got)
			}
		})
	}
}
