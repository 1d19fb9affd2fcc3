package main

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"plugin-oauth/internal/testkit"
)

// Behind a proxy that serves the backend below a path, the dashboard works, and a person signs in from a
// plugin. The proxy's header is not trusted, so the person is asked, and the page of the question posts to
// its own address.
func TestBrowserBelowAPath(t *testing.T) {
	t.Parallel()
	chromium(t) // or skip, before anything is started
	proxy := testkit.NewProxy(t, testkit.Nginx, "/oauth")
	proxy.URL = strings.Replace(proxy.URL, "https", "http", 1) // the browser does not know its certificate
	address, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	d := startWith(t, options{backendAddress: address, backendURL: proxy.URL})
	proxy.Start(address, "listen 443 ssl", "listen 443")

	tab := browser(t)
	d.signInAsAdmin(t, tab)
	until(t, tab, "document.querySelectorAll('.po-plugin').length > 0")
	if shown := text(t, tab, ".po-way"); !strings.Contains(shown, d.backendURL+"/redirect") {
		t.Errorf("the redirect URI is not shown:\n%s", shown)
	}
	opened := chromedp.WaitNewTarget(tab, func(info *target.Info) bool {
		return strings.HasPrefix(info.URL, d.issuer)
	})
	click(t, tab, ".po-plugin summary")
	pressButton(t, tab, button{in: ".po-plugin", says: "Test sign-in"})
	popUp, closePopUp := chromedp.NewContext(tab, chromedp.WithTargetID(<-opened))
	d.submitIn(t, popUp)
	d.continueThere(t, popUp)
	closePopUp()
	until(t, tab, "document.querySelectorAll('.po-steps .po-good').length == 4")
	d.newRecord(t, tab) // with help that is loaded then

	plugin := browser(t)
	do(t, plugin, chromedp.Navigate(d.pluginURL), chromedp.Click(chromedp.CSS("#signIn")))
	there := window(t, plugin, d.issuer)
	d.submitIn(t, there)
	d.continueThere(t, there)
	until(t, plugin, `document.querySelector("#status").textContent.includes("Test User")`)
}

// continueThere answers the question in a window, and waits until the person is signed in.
func (d *demo) continueThere(t *testing.T, opened context.Context) {
	t.Helper()
	do(t, opened, chromedp.WaitVisible(chromedp.CSS("main.question button[value=continue]")))
	until(t, opened, buttonsShow)
	do(t, opened,
		chromedp.Click(chromedp.CSS("button[value=continue]")),
		chromedp.WaitVisible(chromedp.CSS("main.success h1")))
	d.checkPage(t, opened, said{heading: "You are signed in", words: "You can close this window"})
}
