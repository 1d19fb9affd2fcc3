package main

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/chromedp/chromedp"

	"plugin-oauth/internal/browser"
	"plugin-oauth/views"
)

// pageOf is a page in any language.
type pageOf struct {
	name string
	in   func(views.Language) templ.Component
}

// resultPage is the page of a result with names that are longer than most.
func resultPage(name string, result views.Result) pageOf {
	result.Plugin, result.ReturnApp = "Spreadsheet connector", "Framer"
	return pageOf{name: name, in: func(language views.Language) templ.Component {
		return views.ShowResult(language, result)
	}}
}

// errorSentences are what the pages of errors say.
var errorSentences = []views.Sentence{
	views.Words.ProviderRefused, views.Words.ClientRefused, views.Words.GrantRefused,
	views.Words.ScopeRefused, views.Words.AddressUnknown, views.Words.RequestRefused,
	views.Words.ProviderFailed, views.Words.TimedOut, views.Words.Unreachable, views.Words.NoAccess,
	views.Words.OtherProvider, views.Words.NoAnswer, views.Words.ForeignChoice, views.Words.EndedBefore,
	views.Words.UnknownSignIn, views.Words.FailedBefore, views.Words.NoPlugin, views.Words.NotUsable,
	views.Words.Fault, views.Words.NotRead, views.Words.NotForPeople,
}

// pagesOf are all pages, with every sentence on one of them.
func pagesOf() []pageOf {
	asked := views.Question{
		Plugin: "Spreadsheet connector", ReturnApp: "Framer", Provider: "accounts.provider.example",
		Elsewhere: true, Started: time.Now(), Ago: 7 * time.Minute, Again: views.Words.ChooseLater,
	}
	unnamed := asked
	unnamed.Plugin, unnamed.Elsewhere, unnamed.Ago = "", false, 0
	unnamed.Again = views.Words.ChooseAfterRestart
	question := func(name string, question views.Question) pageOf {
		return pageOf{name: name, in: func(language views.Language) templ.Component {
			return views.ShowQuestion(language, question)
		}}
	}
	restarting := func(name string, text views.Sentence) pageOf {
		return pageOf{name: name, in: func(language views.Language) templ.Component {
			return views.ShowRestarting(language, views.Restarting{Text: text, Plugin: "Sheets"})
		}}
	}
	return []pageOf{
		question("question", asked), question("question-unnamed", unnamed),
		resultPage("success", views.Result{
			Kind: views.Success, Title: views.Words.SignedIn, Provider: "accounts.provider.example",
			ReturnURL: "framer://",
		}),
		{name: "success-unnamed", in: func(language views.Language) templ.Component {
			return views.ShowResult(language, views.Result{
				Kind: views.Success, Title: views.Words.SignedIn, Provider: "Google", ReturnApp: "Penpot",
			})
		}},
		resultPage("denied", views.Result{
			Kind: views.Denied, Title: views.Words.Cancelled,
			Text: []views.Sentence{views.Words.AccessDenied}, ReturnURL: "https://framer.com/projects",
		}),
		resultPage("approval", views.Result{
			Kind: views.Denied, Title: views.Words.NotFinished,
			Text: []views.Sentence{views.Words.ConsentRequired},
		}),
		resultPage("expired", views.Result{
			Kind: views.Expired, Title: views.Words.TookTooLong,
			Text: []views.Sentence{views.Words.TooMuchTime}, ReturnURL: "framer://",
		}),
		resultPage("nothing", views.Result{
			Kind: views.Notice, Title: views.Words.NothingHere,
			Text: []views.Sentence{views.Words.NoSuchAddress, views.Words.SwitchedOff},
		}),
		resultPage("incomplete", views.Result{
			Kind: views.Notice, Title: views.Words.NothingToFinish,
			Text: []views.Sentence{views.Words.DoneOrStartAgain},
		}),
		resultPage("busy", views.Result{
			Kind: views.Notice, Title: views.Words.OneMoment,
			Text: []views.Sentence{views.Words.Restarting, views.Words.StartAgainThere},
		}),
		restarting("restarting", views.Words.ManySignIns), restarting("finishing", views.Words.BeingFinished),
		resultPage("failed", views.Result{
			Kind: views.Failed, Title: views.Words.Failed, Text: errorSentences, ReturnURL: "framer://",
			Code: "redirect_uri_mismatch", Author: "Enter the redirect URI at the provider.",
		}),
	}
}

// gallery serves each page at /LANGUAGE/NAME, and at /LANGUAGE all of them in frames of 320 pixels.
func gallery() http.Handler {
	mux := http.NewServeMux()
	for _, language := range views.Languages() {
		mux.HandleFunc("/"+language.Tag(), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, `<!doctype html><style>body { margin: 0; display: flex; flex-wrap: wrap; }
				iframe { width: 320px; height: 700px; border: 0; }</style>`)
			for _, shown := range pagesOf() {
				fmt.Fprintf(w, `<iframe src="/%s/%s"></iframe>`, language.Tag(), shown.name)
			}
		})
		for _, shown := range pagesOf() {
			mux.Handle("/"+language.Tag()+"/"+shown.name, templ.Handler(shown.in(language)))
		}
	}
	return mux
}

// tooWide returns what in the frames of a gallery is wider than its place.
const tooWide = `Array.from(frames).flatMap(({ document: { documentElement: root }, location }) =>
	[root, ...root.querySelectorAll("main, h1, p, form, button, a, code, bdi, time")]
		.filter(element => element.scrollWidth > Math.ceil(element.getBoundingClientRect().width)
			|| element.getBoundingClientRect().right > 320 || element.getBoundingClientRect().left < 0)
		.filter(element => getComputedStyle(element).display !== "inline")
		.map(element => location.pathname + " " + element.tagName + " " + element.textContent.slice(0, 40)))`

// pictured are the languages of which screenshots are taken, and whether in light or in dark: they stand for
// the scripts.
var pictured = map[string]string{
	"de": "dark", "ar": "dark", "he": "light", "hi": "light", "ja": "light", "zh-Hant": "dark",
}

// Every page in every language fits into 320 pixels.
func TestBrowserLanguages(t *testing.T) {
	t.Parallel()
	tab := newChromium(t)
	address := serve(t, gallery())
	for _, language := range views.Languages() {
		t.Run(language.Tag(), func(t *testing.T) {
			tab.Navigate(t, address+"/"+language.Tag())
			for _, wide := range browser.Evaluate[[]string](t, tab, tooWide) {
				t.Errorf("too wide: %s", wide)
			}
			loaded := browser.Evaluate[int](t, tab, `Array.from(frames).filter(({ document }) =>
				document.querySelector("h1:lang(`+language.Tag()+`)")).length`)
			if loaded != len(pagesOf()) {
				t.Errorf("%d of %d pages are shown", loaded, len(pagesOf()))
			}
			if scheme := pictured[language.Tag()]; scheme != "" {
				picture(t, tab, "pages-"+language.Tag(), scheme)
			}
		})
	}
}

// picture takes one screenshot of a gallery, in light or dark. The question's buttons do not wait for it.
func picture(t *testing.T, tab *browser.Page, name, scheme string) {
	t.Helper()
	resize(t, tab, 1600, 2100)
	setMedia(t, tab, colours(scheme, "none"))
	browser.Evaluate[int](t, tab, `Array.from(frames).filter(({ document }) =>
		document.querySelector("form")?.removeAttribute("class")).length`)
	saveScreenshot(t, tab, name+"-"+scheme)
	browser.Do(t, tab, chromedp.ResetViewport())
}

// Every sentence of every language is on one of the pages that are measured.
func TestEverySentenceIsShown(t *testing.T) {
	t.Parallel()
	for _, language := range views.Languages() {
		t.Run(language.Tag(), func(t *testing.T) {
			t.Parallel()
			var shown strings.Builder
			for _, page := range pagesOf() {
				if err := page.in(language).Render(t.Context(), &shown); err != nil {
					t.Fatal(err)
				}
			}
			words := reflect.ValueOf(language.Words())
			for i := range words.NumMethod() {
				method := words.Type().Method(i).Name
				if method == "Ago" {
					continue
				}
				sentence := html.EscapeString(words.Method(i).Call(nil)[0].String())
				for _, part := range placeholder.Split(sentence, -1) {
					if !strings.Contains(shown.String(), part) {
						t.Errorf("%s is on no page: %s", method, part)
					}
				}
			}
		})
	}
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// The button on the last page leads back, whatever policy the page has.
func TestBrowserReturn(t *testing.T) {
	t.Parallel()
	browser.Each(t, testBrowserReturn)
}

func testBrowserReturn(t *testing.T, engine browser.Engine) {
	app := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!doctype html><h1>The app</h1>")
	}))
	t.Cleanup(app.Close)
	backend := newRelay(t)
	provider := newProvider(t, backend.url+"/redirect")
	backend.knows(provider, "RETURN_URL="+app.URL+"/projects", "RETURN_APP=Penpot")
	backend.start()
	tab := browser.Open(t, engine, backend.url+"/redirect?error=access_denied")
	tab.WaitVisible(t, "main.denied a")
	if words := tab.Text(t, "main a"); words != "Return to Penpot" {
		t.Errorf("the button says %q", words)
	}
	look(t, tab, "page-return")
	tabTo(t, tab, "main a")
	tab.Press(t, browser.Enter)
	tab.Until(t, `document.querySelector("h1")?.textContent === "The app"`)
	cameFrom := browser.Evaluate[string](t, tab, "location.href + ' ' + document.referrer")
	if cameFrom != app.URL+"/projects " {
		t.Errorf("it leads to %s", cameFrom)
	}
}
