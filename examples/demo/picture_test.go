package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"html/template"
	"image"
	_ "image/png"
	"net/http"
	"os"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
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
	plugin := browser(t)
	do(t, plugin, chromedp.Navigate(d.pluginURL), chromedp.Click(chromedp.CSS("#signIn")))
	opened := window(t, plugin, d.issuer)
	do(t, plugin, chromedp.WaitVisible(chromedp.CSS("#cancel")))
	do(t, opened,
		chromedp.WaitVisible(chromedp.CSS("#username")),
		chromedp.SetValue(chromedp.CSS("#username"), d.username),
		chromedp.SetValue(chromedp.CSS("#password"), d.password))
	schemes := []string{"light", "dark"}
	scenes := map[string][]pane{}
	add := func(tab context.Context, title, words string) {
		for _, scheme := range schemes {
			picture := base64.StdEncoding.EncodeToString(capture(t, tab, scheme, paneWidth, paneHeight))
			scenes[scheme] = append(scenes[scheme], pane{
				Title: title, Words: words, Picture: template.URL("data:image/png;base64," + picture),
			})
		}
	}
	add(plugin, "Your plugin", "opens the provider's page, and waits")
	add(opened, "The provider", "asks who the person is")
	do(t, opened,
		chromedp.Click(chromedp.CSS("button")),
		chromedp.WaitVisible(chromedp.CSS("main.success h1")))
	add(opened, "plugin-oauth", "has handed over the tokens")
	until(t, plugin, `document.querySelector("#status").textContent.includes("Test User")`)

	for _, scheme := range schemes {
		shown := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if err := sceneHTML.Execute(w, scenes[scheme]); err != nil {
				t.Error(err)
			}
		}))
		do(t, plugin, chromedp.Navigate(shown))
		if high := evaluate[int](t, plugin, "document.body.offsetHeight"); high > sceneHeight {
			t.Errorf("the scene is %d pixels high", high)
		}
		checkImage(t, "../../docs/images/sign-in-"+scheme+".png",
			capture(t, plugin, scheme, sceneWidth, sceneHeight))
	}
}

// capture pictures a tab in a colour scheme and a size.
func capture(t *testing.T, tab context.Context, scheme string, width, height int64) []byte {
	t.Helper()
	_, err := chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// A tab in the background is not painted, and a screenshot of it may never come.
	if _, err := chromedp.Call(tab, page.BringToFront, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	do(t, tab, chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1.5)))
	picture, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	return picture
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
