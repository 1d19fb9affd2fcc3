package typo_test

import (
	"slices"
	"strings"
	"testing"

	"plugin-oauth/internal/typo"
)

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{
		{a: "", b: "", want: 0},
		{a: "", b: "abc", want: 3},
		{a: "google", b: "google", want: 0},
		{a: "gogle", b: "google", want: 1},
		{a: "googlee", b: "google", want: 1},
		{a: "goofle", b: "google", want: 1},
		{a: "googel", b: "google", want: 1},
		{a: "ogogel", b: "google", want: 2},
		{a: "kitten", b: "sitting", want: 3},
		{a: "ca", b: "abc", want: 3},
	} {
		if got := typo.Distance(test.a, test.b); got != test.want {
			t.Errorf("from %q to %q: %d, want %d", test.a, test.b, got, test.want)
		}
		if got := typo.Distance(test.b, test.a); got != test.want {
			t.Errorf("from %q to %q: %d, want %d", test.b, test.a, got, test.want)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"box", "discord", "figma", "google", "http", "https", "slack", "wix"}
	for word, want := range map[string]string{
		"gogle":                       "google",
		"disocrd":                     "discord",
		"slak":                        "slack",
		"htp":                         "http",
		"htpps":                       "https",
		"bix":                         "box wix",
		"discrod":                     "discord",
		"dicsrod":                     "discord",
		"acme":                        "",
		"":                            "",
		"x":                           "",
		"goo":                         "",
		strings.Repeat("google", 1e6): "",
	} {
		if got := strings.Join(typo.Nearest(word, known), " "); got != want {
			t.Errorf("%.20q is taken for %q, not %q", word, got, want)
		}
	}
	if !slices.Equal(known, []string{"box", "discord", "figma", "google", "http", "https", "slack", "wix"}) {
		t.Error("the known words were changed")
	}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"PLUGIN_ID": "pluginid", "plugin-id": "pluginid", "PluginId": "pluginid", "Zoho CRM": "zohocrm",
		"é_1": "é1", "": "",
	} {
		if got := typo.Compact(word); got != want {
			t.Errorf("%q becomes %q", word, got)
		}
	}
}
