package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"plugin-oauth/internal/browser"
)

// figmaHost stands for Figma around a plugin: it runs the one half, shows the other in an iframe without an
// origin, and passes messages between them.
const figmaHost = `<!DOCTYPE html>
<link rel="icon" href="data:,">
<body style="margin: 0">
<script>
	const iframe = document.createElement("iframe")
	const storage = new Map(), opened = []
	const figma = {
		showUI(html) {
			iframe.sandbox = "allow-scripts"
			iframe.srcdoc = html
			document.body.append(iframe)
		},
		openExternal: url => opened.push(url),
		ui: { postMessage: message => iframe.contentWindow.postMessage({ pluginMessage: message }, "*") },
		clientStorage: {
			getAsync: async key => storage.get(key),
			setAsync: async (key, value) => void storage.set(key, value),
			deleteAsync: async key => void storage.delete(key),
		},
	}
	let messages = 0
	addEventListener("message", ({ data, source }) => {
		messages++
		if (source === iframe.contentWindow) figma.ui.onmessage(data.pluginMessage)
	})
	fetch("/figma.json").then(response => response.json()).then(({ code, html }) => {
		new Function("figma", "__html__", code)(figma, html)
	})
</script>`

// figmaPlugin returns both halves of the plugin that the page about Figma shows, for a backend, in JSON.
func figmaPlugin(t *testing.T, backend *relay) []byte {
	t.Helper()
	guide, err := os.ReadFile("../figma.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		_, block, _ := strings.Cut(string(guide), "```"+language+"\n")
		block, _, found := strings.Cut(block, "```")
		if !found {
			t.Fatalf("the page has no %s", language)
		}
		return strings.ReplaceAll(block, "https://my-backend.fly.dev", backend.url)
	}
	halves, err := json.Marshal(map[string]string{"code": block("js"), "html": block("html")})
	if err != nil {
		t.Fatal(err)
	}
	return halves
}

// The page about Figma is followed to the letter, where there is no origin, no localStorage and no window to
// open.
func TestClientInFigma(t *testing.T) {
	t.Parallel()
	browser.Each(t, testClientInFigma)
}

func testClientInFigma(t *testing.T, engine browser.Engine) {
	backend := newRelay(t)
	provider := newProvider(t, backend.url+"/redirect")
	backend.knows(provider, "ALLOWED_ORIGINS=null", "CONFIRM_LOGIN=always", "RETURN_APP=Figma")
	backend.start()
	halves := figmaPlugin(t, backend)
	figma := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/figma.json" {
			w.Write(halves)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(figmaHost))
	}))
	p := &plugin{t: t, tab: browser.Open(t, engine, figma), provider: provider}
	p.tab.Until(t, "messages === 2") // it has read what is stored
	iframe := p.tab.Frame(t, "iframe")
	iframe.Click(t, "#signIn")
	p.tab.Until(t, "opened.length > 0")
	systemBrowser := p.submitElsewhere(browser.Evaluate[string](t, p.tab, "opened.at(-1)"))
	systemBrowser.WaitVisible(t, "button[value=continue]")
	systemBrowser.Until(t, buttonsShow)
	systemBrowser.Click(t, "button[value=continue]")
	systemBrowser.WaitVisible(t, "main.success h1")
	if said := systemBrowser.Text(t, "main"); !strings.Contains(said, "return to Figma") {
		t.Errorf("the page says %s", said)
	}
	p.tab.Until(t, "[...storage.values()].join().includes('refresh_token')")
	iframe.Click(t, "#signOut")
	p.tab.Until(t, "storage.size === 0")
}
