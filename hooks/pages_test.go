package hooks

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// pageIn requests an address as a browser does whose person reads a language.
func (s *testServer) pageIn(acceptLanguage, target string) testkit.Answer {
	s.T.Helper()
	return s.Request(http.MethodGet, target, "", "Accept: text/html", "Accept-Language: "+acceptLanguage)
}

// Each page is in the language of the person. What is for the plugin's author stays in English, and so does
// what the plugin is told.
func TestPagesInTheLanguageOfThePerson(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	denied, readKey := s.Authorize()
	denied.Path = "/redirect"
	for _, test := range []struct{ accept, target, tag, dir, words string }{
		{accept: "de-CH, en;q=0.5", target: "/redirect", tag: "de", dir: "ltr",
			words: "Hier gibt es nichts abzuschließen"},
		{accept: "ar", target: "/redirect", tag: "ar", dir: "rtl", words: "لا يوجد هنا ما يجب إكماله"},
		{accept: "zh-TW", target: "/nothing", tag: "zh-Hant", dir: "ltr", words: "沒有這個網址。"},
		{accept: "fr", target: "/redirect?error=invalid_scope", tag: "fr", dir: "ltr",
			words: "quelque chose qu’il n’offre pas."},
		{accept: "", target: "/redirect", tag: "en", dir: "ltr", words: "Nothing to finish here"},
		{accept: "nl", target: "/redirect?error=access_denied&state=" + denied.Query().Get("state"),
			tag: "nl", dir: "ltr", words: "De plugin heeft geen toegang."},
	} {
		got := s.pageIn(test.accept, test.target)
		if got.Status < 400 || !strings.Contains(got.Text(), test.words) ||
			!strings.Contains(got.Body, `<html lang="`+test.tag+`" dir="`+test.dir+`">`) {
			t.Errorf("%s at %s: got %d %s", test.accept, test.target, got.Status, got.Body)
		}
		vary, tag := strings.Join(got.Header.Values("Vary"), ", "), got.Header.Get("Content-Language")
		if tag != test.tag || vary != "Origin, Accept-Language" {
			t.Errorf("%s: Content-Language is %s, Vary is %s", test.accept, tag, vary)
		}
	}
	const forAuthor = `<p class="code" lang="en" dir="ltr">For the plugin’s author: ` +
		`<code>invalid_scope</code>. Check SCOPE`
	if got := s.pageIn("he", "/redirect?error=invalid_scope"); !strings.Contains(got.Body, forAuthor) {
		t.Errorf("%q is not in %s", forAuthor, got.Body)
	}
	poll := s.Request(http.MethodPost, "/poll?readKey="+readKey, "", "Accept-Language: nl")
	s.ExpectError("poll", poll, http.StatusBadRequest, "access_denied")
	inEnglish := strings.Contains(poll.Body, "The plugin has no access.")
	if !inEnglish || poll.Header.Get("Content-Language") != "" ||
		!slices.Equal(poll.Header.Values("Vary"), []string{"Origin"}) {
		t.Errorf("the plugin gets %v %s", poll.Header, poll.Body)
	}
}

// The question of whether the person has started the sign-in is asked in the person's language, and the names
// in it are kept apart from the words around them.
func TestConfirmInTheLanguageOfThePerson(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("auto"))
	callback, _ := s.startFrom(fromHome)
	page := s.Request(http.MethodGet, callback, "", fromElsewhere, "Accept-Language: he-IL")
	for _, words := range []string{
		`<html lang="he" dir="rtl">`, "האם התחלת את ההתחברות הזו?", "<bdi>127.0.0.1</bdi>",
		"<bdi>Test plugin</bdi>", ">לפני פחות מדקה</time>", ">ביטול<", ">המשך<",
	} {
		if !strings.Contains(page.Body, words) {
			t.Errorf("the page does not say %q:\n%s", words, page.Body)
		}
	}
}

// The header comes from anybody. Whatever is in it, there is a page.
func TestPagesForAnyAcceptLanguage(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, header := range []string{
		strings.Repeat("de,", 10_000), strings.Repeat("-", 30_000), strings.Repeat("a-", 15_000),
		"de-" + strings.Repeat("x", 30_000), ",,,;;;===", "*", "*;q=0", "\xff\xfe", "de;q=NaN", "<script>",
		"x-" + strings.Repeat("abcdefgh-", 100), "en-u-" + strings.Repeat("co-phonebk-", 20), "i-klingon",
	} {
		got := s.pageIn(header, "/redirect")
		if got.Status != http.StatusBadRequest || !strings.Contains(got.Body, "<h1>") {
			t.Errorf("%.20q: got %d %s", header, got.Status, got.Body)
		}
	}
}

// Where there is an address to return to, each last page has a button that leads there, and no other page.
func TestReturnURL(t *testing.T) {
	t.Parallel()
	const button = `<a href="framer://open?a=b&amp;c=d" rel="noreferrer">Return to <bdi>Framer</bdi></a>`
	returning := func(c *Config) {
		c.Plugin.ReturnURL, c.EncryptionKey = "framer://open?a=b&c=d", testEncryptionKey
	}
	s := serve(t, returning)
	page, _ := s.Login()
	asking := serve(t, func(c *Config) {
		returning(c)
		c.ConfirmLogin = "always"
	})
	question, _ := asking.Login()
	other := s.add("other", func(fields map[string]any) {
		fields["returnUrl"], fields["returnApp"] = "https://penpot.example/#/dashboard", "Penpot"
	})
	success, _ := other.Login()
	without := s.add("without", nil)
	for name, test := range map[string]struct {
		page   testkit.Answer
		button string
	}{
		"success":  {page: page, button: button},
		"denied":   {page: s.Get("/redirect?error=access_denied"), button: button},
		"failed":   {page: s.Get("/redirect?error=invalid_scope"), button: button},
		"unknown":  {page: s.Get("/redirect?code=x&state=x"), button: button},
		"notice":   {page: s.Get("/redirect"), button: button},
		"question": {page: question},
		"other": {page: success, button: `<a href="https://penpot.example/#/dashboard" rel="noreferrer">` +
			`Return to <bdi>Penpot</bdi></a>`},
		"without": {page: without.Get("/redirect")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.button == "" && strings.Contains(test.page.Body, "<a ") ||
				!strings.Contains(test.page.Body, test.button) || !strings.Contains(test.page.Body, "<h1>") {
				t.Errorf("got %s", test.page.Body)
			}
		})
	}
}

// An error that has no words for people is one of ours to them. Its own words are for the plugin's author.
func TestPageOfAnErrorWithoutWords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    *responseError
		wanted []string
	}{
		"any": {
			err: invalidRequest("The parameter x is missing."),
			wanted: []string{
				"Hier ist etwas schiefgegangen.",
				"<code>invalid_request</code>. The parameter x is missing.</p>",
			},
		},
		"restarting": {
			err:    errRestarting,
			wanted: []string{"Der Dienst startet gerade neu.", `http-equiv="refresh"`},
		},
		"no majority": {
			err:    errNoMajority,
			wanted: []string{"Einen Moment, bitte", "Diese Seite lädt von selbst neu.", `http-equiv="refresh"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/redirect", nil)
			r.Header.Set("Accept-Language", "de")
			e := &request{Response: httptest.NewRecorder(), Request: r}
			if err := e.writeErrorPage(test.err); err != nil {
				t.Fatal(err)
			}
			for _, words := range test.wanted {
				if !strings.Contains(string(e.page), words) {
					t.Errorf("the page does not say %q:\n%s", words, e.page)
				}
			}
		})
	}
}
