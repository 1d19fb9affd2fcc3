package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Quit()
	os.Exit(code)
}

// outer is a page around two others: one of another site, and one in a sandbox without an origin.
const outer = `<!DOCTYPE html><title>outer</title><link rel="icon" href="data:,">
<input id="name"><button id="late" hidden>Late</button>
<iframe id="other" src="http://127.0.0.1:%[1]s/inner"></iframe>
<iframe id="sandbox" sandbox="allow-scripts allow-popups allow-popups-to-escape-sandbox"
	src="/inner"></iframe>
<script>document.querySelector("#late").onclick = () => window.clicked = true</script>`

const inner = `<!DOCTYPE html><title>inner</title><button>Open</button>
<script>document.querySelector("button").onclick = () => {
	window.opened = window.open("/opened")
	try { localStorage.setItem("a", "b"); window.stored = "stored" } catch (error) { stored = error.name }
}</script>`

func servePages(t *testing.T) (address string) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	for path, page := range map[string]string{
		"/outer": fmt.Sprintf(outer, port), "/inner": inner, "/opened": "<h1>opened</h1>",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) })
	}
	return "http://localhost:" + port
}

// Whatever tests do with a browser works in each engine.
func TestEngines(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, engine Engine) {
		address := servePages(t)
		page := Open(t, engine, address+"/outer")
		if got := Evaluate[[]int](t, page, "Promise.resolve([1, 2])"); len(got) != 2 {
			t.Errorf("a promise gives %v", got)
		}
		if got := Evaluate[string](t, page, "undefined"); got != "" {
			t.Errorf("undefined gives %q", got)
		}
		page.Click(t, "#name")
		page.Press(t, "ab"+Tab)
		page.Until(t, "document.querySelector('#name').value === 'ab'")
		page.Until(t, "document.activeElement.id !== 'name'")
		page.Run(t, "setTimeout(() => document.querySelector('#late').hidden = false, 100)")
		page.Click(t, "#late")
		page.Until(t, "window.clicked")

		for _, frame := range []string{"#other", "#sandbox"} {
			inFrame := page.Frame(t, frame)
			inFrame.Click(t, "button")
			opened := page.Window(t, strings.Replace(address, "localhost", "", 1)[:len("http://")])
			opened.Until(t, "document.querySelector('h1')?.innerText === 'opened'")
			if !Evaluate[bool](t, inFrame, "opened !== null") {
				t.Errorf("%s: the window is not its own", frame)
			}
			t.Log(frame, Evaluate[string](t, inFrame, "stored + origin"))
			opened.Close(t)
		}
		page.NoWindow(t, address+"/opened")
		file := filepath.Join(t.TempDir(), "picture.png")
		page.Screenshot(t, file)
		if os.Getenv("KEEP") != "" {
			page.Screenshot(t, os.Getenv("KEEP")+"/"+string(engine)+".png")
		}
		page.Navigate(t, address+"/opened")
		page.Back(t)
		page.Until(t, "document.title === 'outer'")
		page.Run(t, "window.before = 1")
		page.Reload(t)
		page.Until(t, "document.title === 'outer' && !window.before")
	})
}

// Tests share a browser, so that windows of others come and go. A page gets its keys all the same.
func TestKeysArriveBesideOtherWindows(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, engine Engine) {
		address := servePages(t)
		page := Open(t, engine, address+"/outer")
		page.Click(t, "#name")
		other := NewProfile(t, engine)
		opening, stop := context.WithCancel(t.Context())
		var windows sync.WaitGroup
		defer windows.Wait()
		defer stop()
		windows.Go(func() {
			for opening.Err() == nil {
				other.Open(t, address+"/opened").Close(t)
			}
		})
		page.Run(t, `(globalThis.clicks = 0, button = document.createElement("button"),
			button.onclick = () => clicks++, document.body.prepend(button))`)
		for press := range 5 {
			page.Run(t, "button.focus()")
			page.Press(t, Enter)
			page.Until(t, fmt.Sprintf("clicks === %d", press+1))
		}
	})
}

// A button that has just come where an iframe was gets the click.
func TestClickWhereAFrameWas(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, engine Engine) {
		page := Open(t, engine, servePages(t)+"/outer")
		page.Frame(t, "#other")
		for range 20 {
			painted := `new Promise(done => requestAnimationFrame(() => setTimeout(done, 50, "")))`
			page.Run(t, "window.clicked = false, document.querySelector('#late').hidden = true")
			Evaluate[string](t, page, painted)
			page.Run(t, "document.querySelector('#late').hidden = false")
			page.Click(t, "#late")
			page.Until(t, "window.clicked")
		}
	})
}
