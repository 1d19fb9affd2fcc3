package main

import (
	"fmt"
	"strings"
	"testing"

	"plugin-oauth/internal/browser"
)

// An API that does not let browsers call is called through the backend, if the plugin asks for that, with
// whatever it sends. All others are called straight.
func testRelay(t *testing.T, p *plugin) {
	p.signIn()
	p.run(fmt.Sprintf("api = %q", p.api.Host))
	p.run("watch(get(api + '/echo'))")
	p.ends("not typed: TypeError") // it has no CORS headers
	p.run(`auth = createAuth({ backend: query.get("backend"), relay: [new URL(api).host] })`)
	p.run(`watch(auth.fetch(api + "/echo/a%2Fb?c=d;e", {
		method: "PATCH",
		headers: { "Notion-Version": "7", "Content-Type": "application/json" },
		body: JSON.stringify({ text: "ü" }),
	}).then(response => response.json()).then(echo => [echo.Method, echo.Target, echo.Body,
		echo.Header["Notion-Version"][0], echo.Header["Content-Type"][0],
		echo.Header.Origin ?? "no origin"].join(" ")))`)
	p.ends(`"PATCH /echo/a%2Fb?c=d;e {\"text\":\"ü\"} 7 application/json no origin"`)
	p.run(`watch(auth.fetch(new Request(api + "/echo", { method: "POST", body: new Uint8Array(3_000_000) }))
		.then(response => response.json()).then(echo => echo.Body.length))`)
	p.ends("3000000")
	p.run(`watch(auth.fetch(api + "/echo").then(async response =>
		[(await response.json()).Header.Authorization[0], response.headers.get("X-Request-Id")]))`)
	p.ends(`["Bearer ` + p.stored().Tokens.AccessToken + `","request-1"]`)
	p.get() // the provider's own API, which is not in the list
	p.ends(`{"status":200`)
	p.run(`stop = new AbortController(),
		watch(auth.fetch(api + "/events", { signal: stop.signal }).then(async ({ body }) => {
			const reader = body.getReader()
			const first = new TextDecoder().decode((await reader.read()).value)
			stop.abort()
			return reader.read().then(() => "goes on", error => first.split("\n")[0] + ", " + error.name)
		}))`)
	p.ends(`"data: one, AbortError"`)
}

// A plugin with sealed tokens never has one of the provider's. It needs no list: all its calls go through the
// backend, which refuses hosts that it does not know.
func testSealedTokens(t *testing.T, p *plugin) {
	p.signIn()
	kept := p.stored().Tokens
	for _, token := range []string{kept.AccessToken, kept.RefreshToken} {
		if !strings.HasPrefix(token, "sealed.") {
			t.Errorf("the plugin has %s", token)
		}
	}
	p.run(fmt.Sprintf("api = %q", p.api.Host))
	authorization := "(await response.json()).Header.Authorization[0]"
	p.run("watch(auth.fetch(api + '/echo').then(async response => " + authorization + "))")
	p.ends(`"Bearer `)
	if got := browser.Evaluate[string](t, p.tab, "outcome"); strings.Contains(got, "sealed.") {
		t.Errorf("the API got %s", got)
	}
	p.get() // the provider's own API is not one of the hosts
	p.ends(`{"status":403,"error":"invalid_request"`)
	before := p.provider.refreshes.Load()
	p.expireIn(-1000)
	p.run("watch(get(api + '/echo'))")
	p.ends(`{"status":200`)
	if n := p.provider.refreshes.Load() - before; n != 1 || p.stored().Tokens == kept {
		t.Errorf("the provider was asked %d times", n)
	}
	p.run("watch(auth.signOut())")
	p.ends(`"done"`)
	p.checkRefresh(kept.RefreshToken, 400)
}
