package main

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"image"
	_ "image/png"
	"net/http"
	"os"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"plugin-oauth/internal/browser"
)

// sceneHTML shows three windows side by side, each with what it is.
var sceneHTML = template.Must(template.New("").Parse(`<!DOCTYPE html>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<style>
	:root { --text: #1f2328; --soft: #59636e; --line: #d1d9e0; --bar: #f6f8fa; --page: #fff; }
	@media (prefers-color-scheme: dark) {
		:root { --text: #f0f6fc; --soft: #9198a1; --line: #3d444d; --bar: #21262d; --page: #0d1117; }
	}
	body {
		margin: 0; padding: 12px;
		background: var(--page); color: var(--text); font: 15px/1.4 system-ui, sans-serif;
	}
	main { display: grid; grid-template-columns: repeat(3, 1fr); gap: 20px; }
	figure { margin: 0; }
	figcaption { margin-bottom: 10px; text-align: center; font-weight: 600; }
	figcaption span { display: block; font-weight: 400; color: var(--soft); }
	div { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
	div::before {
		content: "● ● ●"; display: block; padding: 3px 12px; border-bottom: 1px solid var(--line);
		background: var(--bar); color: var(--line); font-size: 13px; letter-spacing: 2px;
	}
	img { display: block; width: 100%; }
</style>
<main>{{range .}}
	<figure>
		<figcaption>{{.Title}}<span>{{.Words}}</span></figcaption>
		<div><img src="{{.Picture}}" alt=""></div>
	</figure>{{end}}
</main>`))

// pane is a window of the scene.
type pane struct {
	Title, Words string
	Picture      template.URL
}

// The size of the README's pictures, and of a window in them, in CSS pixels.
const (
	sceneWidth, sceneHeight = 1270, 670
	paneWidth, paneHeight   = 400, 560
)

// The README's picture is the demo: a plugin that waits, the provider's page, and the page at the end. With
// UPDATE_IMAGES=1 it is written anew. Without, the scene must still come about, and what is committed must
// have its size.
func TestREADMEPicture(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	plugin := newChromium(t)
	plugin.Navigate(t, d.pluginURL)
	plugin.Click(t, "#signIn")
	opened := plugin.Window(t, d.issuer)
	plugin.WaitVisible(t, "#cancel")
	opened.WaitVisible(t, "#username")
	opened.SetValue(t, "#username", d.username)
	opened.SetValue(t, "#password", d.password)
	schemes := []string{"light", "dark"}
	scenes := map[string][]pane{}
	add := func(tab *browser.Page, title, words string) {
		for _, scheme := range schemes {
			picture := base64.StdEncoding.EncodeToString(capture(t, tab, scheme, paneWidth, paneHeight))
			scenes[scheme] = append(scenes[scheme], pane{
				Title: title, Words: words, Picture: template.URL("data:image/png;base64," + picture),
			})
		}
	}
	add(plugin, "Your plugin", "opens the provider's page, and waits")
	add(opened, "The provider", "asks who the person is")
	opened.Click(t, "button")
	opened.WaitVisible(t, "main.success h1")
	add(opened, "plugin-oauth", "has handed over the tokens")
	plugin.Until(t, `document.querySelector("#status").textContent.includes("Test User")`)

	for _, scheme := range schemes {
		shown := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if err := sceneHTML.Execute(w, scenes[scheme]); err != nil {
				t.Error(err)
			}
		}))
		plugin.Navigate(t, shown)
		if high := browser.Evaluate[int](t, plugin, "document.body.offsetHeight"); high > sceneHeight {
			t.Errorf("the scene is %d pixels high", high)
		}
		checkImage(t, "../../docs/images/sign-in-"+scheme+".png",
			capture(t, plugin, scheme, sceneWidth, sceneHeight))
	}
}

// capture pictures a tab in a colour scheme and a size.
func capture(t *testing.T, tab *browser.Page, scheme string, width, height int64) []byte {
	t.Helper()
	setMedia(t, tab, colours(scheme, "none"))
	call(t, tab, page.BringToFront, cdp.Empty{})
	browser.Do(t, tab, chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1.5)))
	return browser.Do(t, tab, chromedp.CaptureScreenshot())
}

// checkImage compares the size of a committed picture with that of a new one, or replaces it.
func checkImage(t *testing.T, file string, now []byte) {
	t.Helper()
	const maxSize = 150_000
	if os.Getenv("UPDATE_IMAGES") == "1" {
		if err := os.WriteFile(file, now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, _, errNow := image.DecodeConfig(bytes.NewReader(now))
	got, _, err := image.DecodeConfig(bytes.NewReader(committed))
	if err != nil || errNow != nil || got.Width != want.Width || got.Height != want.Height {
		t.Errorf("%s is not as large as the scene, %d by %d (%v, %v): run UPDATE_IMAGES=1 go test "+
			"./examples/demo -run TestREADMEPicture",
			file, want.Width, want.Height, err, errNow)
	}
	if len(committed) > maxSize {
		t.Errorf("%s has %d bytes", file, len(committed))
	}
}
