package main

import (
	"strings"
	"testing"

	"plugin-oauth/internal/browser"
	"plugin-oauth/internal/testkit"
)

// Behind a proxy that serves the backend below a path, the dashboard works, and a person signs in from a
// plugin. The proxy's header is not trusted, so the person is asked, and the page of the question posts to
// its own address.
func TestBrowserBelowAPath(t *testing.T) {
	t.Parallel()
	tab := newChromium(t) // or skip, before anything is started
	proxy := testkit.NewProxy(t, testkit.Nginx, "/oauth")
	proxy.URL = strings.Replace(proxy.URL, "https", "http", 1) // the browser does not know its certificate
	address, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	d := startWith(t, options{backendAddress: address, backendURL: proxy.URL})
	proxy.Start(address, "listen 443 ssl", "listen 443")

	d.signInAsAdmin(t, tab)
	tab.Until(t, "document.querySelectorAll('.po-plugin').length > 0")
	if shown := tab.Text(t, ".po-way"); !strings.Contains(shown, d.backendURL+"/redirect") {
		t.Errorf("the redirect URI is not shown:\n%s", shown)
	}
	tab.Click(t, ".po-plugin summary")
	pressButton(t, tab, button{in: ".po-plugin", says: "Test sign-in"})
	popUp := tab.Window(t, d.issuer)
	d.submitIn(t, popUp)
	d.continueThere(t, popUp)
	popUp.Close(t)
	tab.Until(t, "document.querySelectorAll('.po-steps .po-good').length == 4")
	pressButton(t, tab, button{in: ".po-dialog", says: "Close"})
	d.newRecord(t, tab) // with help that is loaded then

	plugin := browser.Open(t, browser.Chromium, d.pluginURL)
	plugin.Click(t, "#signIn")
	there := plugin.Window(t, d.issuer)
	d.submitIn(t, there)
	d.continueThere(t, there)
	plugin.Until(t, `document.querySelector("#status").textContent.includes("Test User")`)
}

// continueThere answers the question in a window, and waits until the person is signed in.
func (d *demo) continueThere(t *testing.T, opened *browser.Page) {
	t.Helper()
	opened.WaitVisible(t, "main.question button[value=continue]")
	opened.Until(t, buttonsShow)
	opened.Click(t, "button[value=continue]")
	opened.WaitVisible(t, "main.success h1")
	d.checkPage(t, opened, said{heading: "You are signed in", words: "You can close this window"})
}
