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

// What the README tells authors to write works as it stands, with the client and without.
func TestREADME(t *testing.T) {
	d := startDemo(t, "")
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## In the plugin\n")
	section, _, found := strings.Cut(section, "\n## ")
	var blocks []string
	for _, match := range regexp.MustCompile("(?s)```js\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, strings.ReplaceAll(match[1], "http://localhost:8787", d.relayURL))
	}
	if !found || len(blocks) != 4 {
		t.Fatalf("the section has %d blocks", len(blocks))
	}
	withClient, without, refresh, revoke := blocks[0], blocks[1], blocks[2], blocks[3]
	// A function cannot have the statement.
	withClient = regexp.MustCompile(`import (.*) from (.*)`).ReplaceAllString(withClient, "const $1 = await import($2)")
	page := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!DOCTYPE html><link rel="icon" href="data:,"><button>Sign in</button>`))
	}))
	for _, test := range []struct{ name, code, result string }{
		{"client", "const url = '" + d.issuer + "/userinfo';" + withClient, "response.status + ' ' + localStorage.length"},
		{"without", without + "; const before = localStorage.getItem('tokens');" + refresh +
			"const now = localStorage.getItem('tokens');" + strings.Replace(revoke, "await fetch", "const ended = await fetch", 1),
			"[response.status, ended.status, before !== now, 'access_token' in JSON.parse(now)].join()"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tab := browser(t)
			do(t, tab, chromedp.Navigate(page))
			code, err := json.Marshal(test.code + "; return " + test.result)
			if err != nil {
				t.Fatal(err)
			}
			evaluate[bool](t, tab, `(window.result = "", document.querySelector("button").onclick = () =>
				(async () => {}).constructor(`+string(code)+`)().then(value => window.result = value, error => window.result = String(error)), true)`)
			do(t, tab, chromedp.Click(chromedp.CSS("button")))
			opened := window(t, tab, d.issuer)
			do(t, opened,
				chromedp.WaitVisible(chromedp.CSS("#username")),
				chromedp.SendKeys(chromedp.CSS("#username"), d.username),
				chromedp.SendKeys(chromedp.CSS("#password"), d.password),
				chromedp.Click(chromedp.CSS("button")))
			until(t, tab, "window.result")
			want := map[string]string{"client": "200 0", "without": "200,200,true,true"}[test.name]
			if got := evaluate[string](t, tab, "window.result"); got != want {
				t.Errorf("it gives %s, want %s", got, want)
			}
		})
	}
}
