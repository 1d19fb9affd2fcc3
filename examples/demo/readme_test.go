package main

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// readmeBlocks returns the JavaScript that the README tells authors to write, for a backend.
func readmeBlocks(t *testing.T, backendURL string) []string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## In the plugin\n")
	section, _, found := strings.Cut(section, "\n## ")
	var blocks []string
	for _, match := range regexp.MustCompile("(?s)```js\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, strings.ReplaceAll(match[1], "http://localhost:8787", backendURL))
	}
	if !found || len(blocks) != 4 {
		t.Fatalf("the section has %d blocks", len(blocks))
	}
	return blocks
}

// What the README tells authors to write works as it stands, with the client and without.
func TestREADME(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	blocks := readmeBlocks(t, d.backendURL)
	withClient, without, refresh, revoke := blocks[0], blocks[1], blocks[2], blocks[3]
	// A function cannot have the statement.
	statement := regexp.MustCompile(`import (.*) from (.*)`)
	withClient = statement.ReplaceAllString(withClient, "const $1 = await import($2)")
	page := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!DOCTYPE html><link rel="icon" href="data:,"><button>Sign in</button>`))
	}))
	for _, test := range []struct{ name, code, result, want string }{
		{
			name:   "client",
			code:   "const url = '" + d.issuer + "/userinfo';" + withClient,
			result: "response.status + ' ' + localStorage.length",
			want:   "200 0",
		},
		{
			name: "without",
			code: without + "; const before = localStorage.getItem('tokens');" + refresh +
				"const now = localStorage.getItem('tokens');" +
				strings.Replace(revoke, "await fetch", "const ended = await fetch", 1),
			result: "[response.status, ended.status, before !== now, " +
				"'access_token' in JSON.parse(now)].join()",
			want: "200,200,true,true",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			tab := browser(t)
			do(t, tab, chromedp.Navigate(page))
			code, err := json.Marshal(test.code + "; return " + test.result)
			if err != nil {
				t.Fatal(err)
			}
			evaluate[bool](t, tab, `(window.result = "", document.querySelector("button").onclick = () =>
				(async () => {}).constructor(`+string(code)+`)()
					.then(value => window.result = value, error => window.result = String(error)), true)`)
			do(t, tab, chromedp.Click(chromedp.CSS("button")))
			d.submitIn(t, window(t, tab, d.issuer))
			until(t, tab, "window.result")
			if got := evaluate[string](t, tab, "window.result"); got != test.want {
				t.Errorf("it gives %s, want %s", got, test.want)
			}
		})
	}
}
