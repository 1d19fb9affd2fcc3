package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
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

// Without the client, too, only a dead grant signs the person out: in the README's lines and in plain.js.
func TestREADMERefresh(t *testing.T) {
	t.Parallel()
	var answered atomic.Pointer[answer]
	backend := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.WriteHeader(answered.Load().status)
		io.WriteString(w, answered.Load().body)
	}))
	lines := "const backend = '" + backend + "';" + readmeBlocks(t, backend)[2]
	encoded, err := json.Marshal(lines)
	if err != nil {
		t.Fatal(err)
	}
	tab := browser(t)
	do(t, tab, chromedp.Navigate(serve(t, (&demo{backendURL: backend}).pluginPages())+"/plain"))
	// These are the ways to refresh: each ends once it has dealt with the answer.
	evaluate[bool](t, tab, `(ways = {
		lines: (async () => {}).constructor(`+string(encoded)+`),
		plain: () => document.querySelector("#refresh").onclick(),
	}, refresh = way => {
		const old = { access_token: "old", refresh_token: "RT", id_token: ".e30." }
		localStorage.setItem("tokens", JSON.stringify(old))
		kept = ""
		ways[way]().catch(() => {}).then(() => {
			const { access_token, refresh_token } = JSON.parse(localStorage.getItem("tokens")) ?? {}
			kept = access_token + " " + refresh_token
		})
	}, true)`)
	const old, signedOut = "old RT", "undefined undefined"
	for _, test := range []struct {
		answer
		want string
	}{
		{answer: answer{status: 200, body: `{"access_token":"new"}`}, want: "new RT"},
		{answer: answer{status: 200, body: `{"access_token":"new","refresh_token":"2"}`}, want: "new 2"},
		{answer: answer{status: 200, body: `{}`}, want: old},
		{answer: answer{status: 200, body: `{"errcode":40029,"errmsg":"invalid code"}`}, want: old},
		{answer: answer{status: 200, body: `<h1>Sign in to the hotel's network</h1>`}, want: old},
		{answer: answer{status: 400, body: "invalid_grant: Sign in again.\n"}, want: signedOut},
		{answer: answer{status: 401, body: "invalid_grant: Sign in again.\n"}, want: signedOut},
		{answer: answer{status: 403, body: "invalid_grant: Sign in again.\n"}, want: signedOut},
		{answer: answer{status: 400, body: "invalid_request: The code is missing.\n"}, want: old},
		{answer: answer{status: 401, body: "invalid_client: Check CLIENT_SECRET.\n"}, want: old},
		{answer: answer{status: 429, body: "invalid_grant: Try again.\n"}, want: old},
		{answer: answer{status: 503, body: "temporarily_unavailable: Try again.\n"}, want: old},
		{answer: answer{status: 403, body: "<h1>invalid_grant</h1>"}, want: old},
	} {
		answered.Store(&test.answer)
		for _, way := range []string{"lines", "plain"} {
			t.Run(fmt.Sprintf("%s %d %s", way, test.status, test.body), func(t *testing.T) {
				evaluate[bool](t, tab, "(refresh('"+way+"'), true)")
				until(t, tab, "kept !== ''")
				if got := evaluate[string](t, tab, "kept"); got != test.want {
					t.Errorf("then the tokens are %s, want %s", got, test.want)
				}
			})
		}
	}
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
