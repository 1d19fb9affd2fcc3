package hooks

import (
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

const (
	fromHome      = "Fly-Client-IP: 192.0.2.1"
	fromElsewhere = "Fly-Client-IP: 198.51.100.7"

	questionTitle = "Did you start this sign-in?"
)

func confirming(mode string) func(*Config) {
	return func(c *Config) { c.ConfirmLogin, c.TrustedProxyHeaders = mode, []string{"Fly-Client-IP"} }
}

// startFrom starts a login from a client address, and returns the provider's redirect after the person has
// agreed.
func (s *testServer) startFrom(address ...string) (callback, readKey string) {
	s.T.Helper()
	got := s.Request(http.MethodPost, "/authorize", "", address...)
	authorizationURL, readKey := s.ParseLogin(got)
	return s.Agree(authorizationURL), readKey
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([A-Za-z_]+)" value="([^"]*)">`)

// confirmation is what the person on a confirmation page does, and from where.
type confirmation struct {
	page    testkit.Answer
	choice  string // of the button; blank: the form has none
	address string // a header
}

// confirm submits the form of a confirmation page.
func (s *testServer) confirm(c confirmation) testkit.Answer {
	s.T.Helper()
	form := url.Values{"choice": {c.choice}}
	for _, field := range hidden.FindAllStringSubmatch(c.page.Body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	if form.Get("state") == "" || form.Get("code") == "" {
		s.T.Fatalf("the page has no form:\n%s", c.page.Body)
	}
	return s.Request(http.MethodPost, "/redirect", form.Encode(), c.address,
		"Content-Type: application/x-www-form-urlencoded", "Origin: "+s.URL, "Sec-Fetch-Site: same-origin")
}

// A login that comes back from another network is asked about; one from the same is not.
func TestConfirmNetworks(t *testing.T) {
	t.Parallel()
	for mode, tests := range map[string][]struct {
		from, to string
		asked    bool
	}{
		"auto": {
			{from: "192.0.2.1", to: "192.0.2.1", asked: false},
			{from: "192.0.2.1", to: "::ffff:192.0.2.1", asked: false},
			{from: "192.0.2.1", to: "192.0.2.2", asked: true},
			{from: "2001:db8::1", to: "2001:db8::2", asked: false},
			{from: "2001:db8::1", to: "2001:db8:0:1::1", asked: true},
			{from: "192.0.2.1", to: "2001:db8::1", asked: true},
			{from: "127.0.0.1", to: "::1", asked: false},
		},
		"always": {
			{from: "192.0.2.1", to: "192.0.2.1", asked: true},
			{from: "192.0.2.1", to: "192.0.2.2", asked: true},
		},
		"never": {
			{from: "192.0.2.1", to: "192.0.2.2", asked: false},
		},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			root := serve(t, confirming(mode))
			for _, test := range tests {
				t.Run(test.from+" to "+test.to, func(t *testing.T) {
					t.Parallel()
					s := root.in(t)
					callback, _ := s.startFrom("Fly-Client-IP: " + test.from)
					page := s.Request(http.MethodGet, callback, "", "Fly-Client-IP: "+test.to)
					words := "You are signed in"
					if test.asked {
						words = questionTitle
					}
					s.ExpectPage("redirect", page, http.StatusOK, words)
					saysElsewhere := strings.Contains(page.Body, "on another network than yours")
					if test.asked && saysElsewhere != (test.from != test.to) {
						t.Error("the page is wrong about the network")
					}
				})
			}
		})
	}
	t.Run("no trusted header", func(t *testing.T) {
		t.Parallel()
		s := serve(t, nil)
		callback, _ := s.startFrom(fromHome)
		page := s.Request(http.MethodGet, callback, "", fromHome)
		s.ExpectPage("redirect", page, http.StatusOK, questionTitle)
		if strings.Contains(page.Body, "on another network") {
			t.Error("the page says what nobody knows")
		}
	})
}

// A page elsewhere that sends a browser through the provider unseen signs nobody in, also on the network that
// the login was started from.
func TestConfirmUnseen(t *testing.T) {
	t.Parallel()
	root := serve(t, confirming("auto"))
	for destination, asked := range map[string]bool{
		"": false, "document": false, "iframe": true, "empty": true, "image": true, "embed": true,
		"fencedframe": true,
	} {
		t.Run(destination, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			callback, readKey := s.startFrom(fromHome)
			headers := []string{fromHome}
			if destination != "" {
				headers = append(headers, "Sec-Fetch-Dest: "+destination)
			}
			page := s.Request(http.MethodGet, callback, "", headers...)
			if !asked {
				s.ExpectPage("redirect", page, http.StatusOK, "You are signed in")
				return
			}
			s.ExpectPage("redirect", page, http.StatusOK, questionTitle)
			s.Expect("poll", s.Poll(readKey), http.StatusNotFound, bodyPending)
		})
	}
}

// A network that is not known is not the same as any, not even as another that is not known.
func TestConfirmUnknownNetworks(t *testing.T) {
	t.Parallel()
	const unknown, hidden = "Fly-Client-IP: unknown", "Fly-Client-IP: _hidden"
	const other, teredo = "X-Forwarded-For: 192.0.2.1", "Fly-Client-IP: 2001:0:c000:201::1"
	root := serve(t, confirming("auto"))
	for _, test := range []struct{ from, to string }{
		{from: fromHome, to: unknown},
		{from: unknown, to: fromHome},
		{from: unknown, to: unknown},
		{from: hidden, to: unknown},
		{from: other, to: other},
		{from: teredo, to: teredo},
	} {
		t.Run(test.from+" to "+test.to, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			callback, _ := s.startFrom(test.from)
			page := s.Request(http.MethodGet, callback, "", test.to)
			s.ExpectPage("redirect", page, http.StatusOK, questionTitle)
			if strings.Contains(page.Body, "on another network") {
				t.Error("the page says what nobody knows")
			}
		})
	}
}

// Two people who come through one more proxy look like one network to the proxy that is trusted. Each is
// asked, and so is whoever makes up an address.
func TestConfirmBehindTwoProxies(t *testing.T) {
	t.Parallel()
	root := serve(t, confirming("auto"))
	cloudflare := func(client string) []string { return []string{fromHome, "CF-Connecting-IP: " + client} }
	list := func(client string) []string {
		return []string{fromHome, "X-Forwarded-For: " + client + ", 192.0.2.1, 66.241.124.1"}
	}
	for name, test := range map[string]struct{ from, to []string }{
		"one that names visitors": {from: cloudflare("203.0.113.8"), to: cloudflare("198.51.100.7")},
		"one that makes a list":   {from: list("203.0.113.8"), to: list("198.51.100.7")},
		"behind private ones":     {from: list("10.0.0.1, 203.0.113.8"), to: list("10.1.2.3, 198.51.100.7")},
		"past the first":          {from: []string{fromHome}, to: cloudflare("198.51.100.7")},
		"a made-up address":       {from: cloudflare("198.51.100.7"), to: []string{fromHome}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			callback, readKey := s.startFrom(test.from...)
			page := s.Request(http.MethodGet, callback, "", test.to...)
			s.ExpectPage("redirect", page, http.StatusOK, questionTitle)
			s.Expect("poll", s.Poll(readKey), http.StatusNotFound, bodyPending)
		})
	}
}

// If any page may start logins, one in the person's own browser may have done so, on the same network.
func TestConfirmWhereAnyPageMayCall(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"null", "*", "https://one.example"} {
		for _, mode := range []string{"auto", "never"} {
			t.Run(origin+" "+mode, func(t *testing.T) {
				t.Parallel()
				s := serve(t, func(c *Config) {
					confirming(mode)(c)
					c.Plugin.AllowedOrigins = []string{"https://other.example", origin}
				})
				callback, _ := s.startFrom(fromHome)
				words := "You are signed in"
				if mode == "auto" && origin != "https://one.example" {
					words = questionTitle
				}
				page := s.Request(http.MethodGet, callback, "", fromHome)
				s.ExpectPage("redirect", page, http.StatusOK, words)
			})
		}
	}
}

// A choice comes from the page of the question only, however the browser says where it comes from. What the
// provider posts has no choice, and may come from anywhere.
func TestConfirmOrigin(t *testing.T) {
	t.Parallel()
	root := serve(t, confirming("always"))
	const crossSite, sameOrigin = "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin"
	own, foreign := "Origin: "+root.URL, "Origin: https://attacker.example"
	for name, test := range map[string]struct {
		headers []string
		allowed bool
	}{
		"own page":                     {headers: []string{sameOrigin, own}, allowed: true},
		"own page, no origin":          {headers: []string{sameOrigin, "Origin: null"}, allowed: true},
		"own page, old browser":        {headers: []string{own}, allowed: true},
		"own page, very old browser":   {allowed: true},
		"foreign page":                 {headers: []string{crossSite, foreign}},
		"foreign page of this site":    {headers: []string{"Sec-Fetch-Site: same-site", foreign}},
		"foreign page, old browser":    {headers: []string{foreign}},
		"sandboxed frame":              {headers: []string{crossSite, "Origin: null"}},
		"sandboxed frame, old browser": {headers: []string{"Origin: null"}},
		"localhost, which may call":    {headers: []string{crossSite, "Origin: http://localhost:5173"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			for _, choice := range []string{"continue", "cancel"} {
				callback, readKey := s.startFrom(fromHome)
				form := callback[strings.Index(callback, "?")+1:]
				headers := append(test.headers, "Content-Type: application/x-www-form-urlencoded")
				page := s.Request(http.MethodPost, "/redirect", form, headers...)
				s.ExpectPage("form post", page, http.StatusOK, questionTitle)
				got := s.Request(http.MethodPost, "/redirect", form+"&choice="+choice, headers...)
				switch {
				case !test.allowed:
					s.ExpectPage(choice, got, http.StatusForbidden, "did not come from the page that asks")
					s.Expect("poll", s.Poll(readKey), http.StatusNotFound, bodyPending)
				case choice == "cancel":
					s.ExpectPage(choice, got, http.StatusBadRequest, "Sign-in cancelled")
				default:
					s.ExpectPage(choice, got, http.StatusOK, "You are signed in")
				}
			}
		})
	}
}

// Behind a proxy that changes the host, an old browser's origin is that of the redirect URI.
func TestConfirmOriginBehindAProxy(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		confirming("always")(c)
		c.Plugin.RedirectURI = "https://backend.example/redirect"
	})
	callback, _ := s.startFrom(fromHome)
	form := callback[strings.Index(callback, "?")+1:] + "&choice=continue"
	inForm := "Content-Type: application/x-www-form-urlencoded"
	got := s.Request(http.MethodPost, "/redirect", form, inForm, "Origin: https://other.example")
	s.ExpectPage("another", got, http.StatusForbidden, "did not come from the page that asks")
	got = s.Request(http.MethodPost, "/redirect", form, inForm, "Origin: https://backend.example")
	s.ExpectPage("the proxy's", got, http.StatusOK, "You are signed in")
}

func TestConfirmContinue(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("auto"))
	callback, readKey := s.startFrom(fromHome)
	page := s.Request(http.MethodGet, callback, "", fromElsewhere)
	for _, words := range []string{
		"Test plugin", "less than a minute ago", "127.0.0.1 account", "Framer", ">Cancel<", ">Continue<",
	} {
		if !strings.Contains(page.Text(), words) {
			t.Errorf("the page does not say %q:\n%s", words, page.Body)
		}
	}
	policy := page.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "form-action 'self'") || page.Header.Get("Cache-Control") != "no-store" ||
		page.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" ||
		page.Header.Get("Document-Policy") != "force-load-at-top" {
		t.Errorf("headers: %v", page.Header)
	}
	// A second tab and a reload show the question again, and use up nothing. The plugin still waits.
	again := s.Request(http.MethodGet, callback, "", fromElsewhere)
	s.ExpectPage("reload", again, http.StatusOK, questionTitle)
	s.Expect("poll", s.Poll(readKey), http.StatusNotFound, bodyPending)
	if s.Provider.Exchanges() != 0 {
		t.Fatal("the code was exchanged before anybody agreed")
	}
	got := s.confirm(confirmation{page: page, choice: "continue", address: fromElsewhere})
	s.ExpectPage("continue", got, http.StatusOK, "You are signed in")
	for _, choice := range []string{"continue", "cancel"} {
		got := s.confirm(confirmation{page: again, choice: choice, address: fromElsewhere})
		s.ExpectPage(choice+" in the second tab", got, http.StatusOK, "You are signed in")
	}
	back := s.Request(http.MethodGet, callback, "", fromElsewhere)
	s.ExpectPage("back", back, http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
	if s.Provider.Exchanges() != 1 {
		t.Errorf("%d exchanges", s.Provider.Exchanges())
	}
}

func TestConfirmCancel(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("always"))
	callback, readKey := s.startFrom(fromHome)
	page := s.Get(callback)
	// A form without a choice, as a provider may post it, leads to the question again.
	for _, choice := range []string{"", "CONTINUE"} {
		got := s.confirm(confirmation{page: page, choice: choice, address: fromHome})
		s.ExpectPage("no choice", got, http.StatusOK, questionTitle)
	}
	got := s.confirm(confirmation{page: page, choice: "cancel", address: fromHome})
	s.ExpectPage("cancel", got, http.StatusBadRequest, "Sign-in cancelled")
	s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, "access_denied")
	got = s.confirm(confirmation{page: page, choice: "continue", address: fromHome})
	s.ExpectPage("continue, after all", got, http.StatusBadRequest, "Sign-in cancelled")
	if s.Provider.Exchanges() != 0 {
		t.Error("a code was exchanged")
	}
}

// During a restart the question comes again, and nothing is used up.
func TestConfirmDuringRestart(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("always"))
	callback, readKey := s.startFrom(fromHome)
	page := s.Get(callback)
	s.server.exchanging.Lock() // as a shutdown does
	again := s.confirm(confirmation{page: page, choice: "continue", address: fromHome})
	s.ExpectPage("continue", again, http.StatusServiceUnavailable, "Please choose in a moment.")
	cancelled := s.confirm(confirmation{page: page, choice: "cancel", address: fromHome})
	s.ExpectPage("cancel", cancelled, http.StatusServiceUnavailable, questionTitle)
	s.server.exchanging.Unlock()
	got := s.confirm(confirmation{page: again, choice: "continue", address: fromHome})
	s.ExpectPage("afterwards", got, http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
}

// A provider that posts its answer leaves no code in the address, so a page that loads itself again would
// lose it: the question keeps it.
func TestFormPostDuringRestart(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("never"))
	callback, readKey := s.startFrom(fromHome)
	_, form, _ := strings.Cut(callback, "?")
	s.server.exchanging.Lock() // as a shutdown does
	page := s.Request(http.MethodPost, "/redirect", form, fromHome,
		"Content-Type: application/x-www-form-urlencoded", "Origin: "+s.Provider.URL,
		"Sec-Fetch-Site: cross-site")
	s.server.exchanging.Unlock()
	s.ExpectPage("redirect", page, http.StatusServiceUnavailable, "The service is restarting.")
	got := s.confirm(confirmation{page: page, choice: "continue", address: fromHome})
	s.ExpectPage("afterwards", got, http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
}

// What the provider sends beside the code survives the question.
func TestConfirmKeepsRedirectParams(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		confirming("always")(c)
		c.Plugin.RedirectParams = []string{"realmId", "company"}
	})
	callback, readKey := s.startFrom(fromHome)
	page := s.Get(callback) // the provider sends both
	s.ExpectPage("redirect", page, http.StatusOK, questionTitle)
	got := s.confirm(confirmation{page: page, choice: "continue", address: fromHome})
	s.ExpectPage("continue", got, http.StatusOK, "You are signed in")
	known := s.Provider.Known()
	want := known.WithRedirectParams([]byte(testkit.TokenResponse), s.Provider.RedirectParams())
	if !strings.HasPrefix(string(want), `{"realmId":"the realmId+&`) {
		t.Fatalf("the provider sends %s", want)
	}
	s.Expect("poll", s.Poll(readKey), http.StatusOK, string(want))
}

// When too many people sign in, the question comes again, and nothing is used up.
func TestConfirmWhenBusy(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("always"))
	s.server.exchangeGate = newGate(bounds{network: 1, inAll: 1})
	leave, err := s.server.exchangeGate.enter(netip.MustParsePrefix("192.0.2.9/32"), "")
	if err != nil {
		t.Fatal(err)
	}
	callback, readKey := s.startFrom(fromHome)
	page := s.Get(callback)
	again := s.confirm(confirmation{page: page, choice: "continue", address: fromHome})
	s.ExpectPage("continue", again, http.StatusServiceUnavailable, "Many people are signing in.")
	leave()
	got := s.confirm(confirmation{page: again, choice: "continue", address: fromHome})
	s.ExpectPage("afterwards", got, http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
}

// A double click finishes the login once, and each click is told how that ended.
func TestConfirmDoubleClick(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("always"))
	callback, readKey := s.startFrom(fromHome)
	page := s.Get(callback)
	pages := make([]testkit.Answer, 8)
	var done sync.WaitGroup
	for i := range pages {
		done.Go(func() {
			pages[i] = s.confirm(confirmation{page: page, choice: "continue", address: fromHome})
		})
	}
	done.Wait()
	for _, page := range pages {
		s.ExpectPage("each", page, http.StatusOK, "You are signed in")
	}
	if s.Provider.Exchanges() != 1 {
		t.Errorf("%d exchanges", s.Provider.Exchanges())
	}
	s.expectTokens(readKey)
}

// The page expires with its login.
func TestConfirmExpired(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, func(c *Config) {
		confirming("always")(c)
		clock.setIn(c)
	})
	callback, readKey := s.startFrom(fromHome)
	page := s.Get(callback)
	s.ExpectPage("in time", page, http.StatusOK, questionTitle)
	clock.move(defaultSessionTTL + time.Second)
	got := s.confirm(confirmation{page: page, choice: "continue", address: fromHome})
	s.ExpectPage("too late", got, http.StatusBadRequest, "took too long")
	s.ExpectPage("too late, again", s.Get(callback), http.StatusBadRequest, "took too long")
	s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, "expired_token")
	if s.Provider.Exchanges() != 0 {
		t.Error("a code was exchanged")
	}
}

// There is no question about a request that is no good.
func TestConfirmBadInput(t *testing.T) {
	t.Parallel()
	root := serve(t, confirming("always"))
	callback, _ := root.startFrom(fromHome)
	refused := strings.Replace(callback, "code=", "error=access_denied&x=", 1)
	other, _ := root.startFrom(fromHome)
	const startAgain, unknown = "start the sign-in again in the plugin", "not known here"
	for name, test := range map[string]struct {
		get   string // the address; blank: the form is posted
		form  string
		words string
	}{
		"refused at the provider": {get: refused, words: "Sign-in cancelled"},
		"unknown state":           {get: "/redirect?code=x&state=unknown", words: unknown},
		"no body":                 {form: "", words: startAgain},
		"only a choice":           {form: "choice=continue", words: startAgain},
		"no code":                 {form: "state=x&choice=continue", words: startAgain},
		"no state":                {form: "code=x&choice=continue", words: startAgain},
		"invented":                {form: "choice=continue&code=x&state=y", words: unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			var got testkit.Answer
			if test.get != "" {
				got = s.Get(test.get)
			} else {
				got = s.Request(http.MethodPost, "/redirect", test.form)
			}
			s.ExpectPage("page", got, http.StatusBadRequest, test.words)
			if s.Provider.Exchanges() != 0 {
				t.Error("a code was exchanged")
			}
		})
	}
	t.Run("in the query", func(t *testing.T) {
		t.Parallel()
		s := root.in(t)
		got := s.Request(http.MethodPost, other, "choice=continue")
		s.ExpectPage("page", got, http.StatusBadRequest, startAgain)
	})
}

// The database does not hold the address in any form from which it can be guessed without the state.
func TestConfirmKeepsNoAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("auto"))
	s.startFrom(fromHome)
	s.startFrom(fromHome)
	var networks []string
	query := s.App.DB().NewQuery("SELECT hex(network) FROM sessions")
	if err := query.Column(&networks); err != nil || len(networks) != 2 {
		t.Fatal(networks, err)
	}
	if networks[0] == networks[1] || len(networks[0]) != 64 {
		t.Errorf("two logins from one network look alike, or there is no MAC: %v", networks)
	}
}
