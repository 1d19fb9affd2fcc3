package hooks

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	home, elsewhere = "Fly-Client-IP: 192.0.2.1", "Fly-Client-IP: 198.51.100.7"
	question        = "Did you start this sign-in?"
)

func confirming(mode string) func(*Config) {
	return func(c *Config) { c.ConfirmLogin, c.TrustedProxyHeaders = mode, []string{"Fly-Client-IP"} }
}

// startFrom starts a login from a client address, and returns the provider's redirect of a person who agreed.
func (s *relayServer) startFrom(address string) (callback, readKey string) {
	s.t.Helper()
	got := s.request(http.MethodPost, "/authorize", "", address)
	authorizationURL, readKey := s.parseLogin(got)
	return s.agree(authorizationURL), readKey
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// choose submits the form of the confirmation page.
func (s *relayServer) choose(page answer, choice, address string) answer {
	s.t.Helper()
	form := url.Values{"choice": {choice}}
	for _, field := range hidden.FindAllStringSubmatch(page.body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	if form.Get("state") == "" || form.Get("code") == "" {
		s.t.Fatalf("the page has no form:\n%s", page.body)
	}
	return s.request(http.MethodPost, "/redirect", form.Encode(), address, "Content-Type: application/x-www-form-urlencoded", "Origin: null")
}

// A login that comes back from another network is asked about; one from the same is not.
func TestConfirmNetworks(t *testing.T) {
	t.Parallel()
	for mode, tests := range map[string][]struct {
		from, to string
		asked    bool
	}{
		"auto": {
			{"192.0.2.1", "192.0.2.1", false}, {"192.0.2.1", "::ffff:192.0.2.1", false}, {"192.0.2.1", "192.0.2.2", true},
			{"2001:db8::1", "2001:db8::2", false}, {"2001:db8::1", "2001:db8:0:1::1", true}, {"192.0.2.1", "2001:db8::1", true}, {"127.0.0.1", "::1", false},
		},
		"always": {{"192.0.2.1", "192.0.2.1", true}, {"192.0.2.1", "192.0.2.2", true}},
		"never":  {{"192.0.2.1", "192.0.2.2", false}},
	} {
		s := serve(t, confirming(mode))
		for _, test := range tests {
			callback, _ := s.startFrom("Fly-Client-IP: " + test.from)
			page := s.request(http.MethodGet, callback, "", "Fly-Client-IP: "+test.to)
			words := "You are signed in"
			if test.asked {
				words = question
			}
			s.expectPage(fmt.Sprintf("%s: %s to %s", mode, test.from, test.to), page, http.StatusOK, words)
			if test.asked && strings.Contains(page.body, "on another network than yours") != (test.from != test.to) {
				t.Errorf("%s: %s to %s: the page is wrong about the network", mode, test.from, test.to)
			}
		}
	}
	// A header that is not trusted changes nothing.
	s := serve(t, nil)
	callback, _ := s.startFrom(home)
	s.expectPage("no trusted header", s.request(http.MethodGet, callback, "", elsewhere), http.StatusOK, "You are signed in")
}

func TestConfirmContinue(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("auto"))
	callback, readKey := s.startFrom(home)
	page := s.request(http.MethodGet, callback, "", elsewhere)
	for _, words := range []string{"Test plugin", "less than a minute ago", "127.0.0.1 account", "Framer", ">Cancel<", ">Continue<"} {
		if !strings.Contains(page.body, words) {
			t.Errorf("the page does not say %q:\n%s", words, page.body)
		}
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self'") || page.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", page.header)
	}
	// A second tab and a reload ask again, and use up nothing. The plugin still waits.
	again := s.request(http.MethodGet, callback, "", elsewhere)
	s.expectPage("reload", again, http.StatusOK, question)
	s.expect("poll", s.poll(readKey), http.StatusNotFound, bodyPending)
	if s.provider.exchanges() != 0 {
		t.Fatal("the code was exchanged before anybody agreed")
	}
	s.expectPage("continue", s.choose(page, "continue", elsewhere), http.StatusOK, "You are signed in")
	s.expectPage("continue in the second tab", s.choose(again, "continue", elsewhere), http.StatusBadRequest, "already finished")
	s.expectPage("cancel in the second tab", s.choose(again, "cancel", elsewhere), http.StatusBadRequest, "already finished")
	s.expectPage("back", s.request(http.MethodGet, callback, "", elsewhere), http.StatusBadRequest, "already finished")
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
	if s.provider.exchanges() != 1 {
		t.Errorf("%d exchanges", s.provider.exchanges())
	}
}

func TestConfirmCancel(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("always"))
	callback, readKey := s.startFrom(home)
	page := s.get(callback)
	// A form without a choice, as a provider may post it, is a question again.
	for _, choice := range []string{"", "CONTINUE"} {
		s.expectPage("no choice", s.choose(page, choice, home), http.StatusOK, question)
	}
	s.expectPage("cancel", s.choose(page, "cancel", home), http.StatusBadRequest, "Sign-in cancelled")
	s.expectError("poll", s.poll(readKey), http.StatusBadRequest, "access_denied")
	s.expectPage("continue, after all", s.choose(page, "continue", home), http.StatusBadRequest, "already finished")
	if s.provider.exchanges() != 0 {
		t.Error("a code was exchanged")
	}
}

// During a restart the question comes again, and nothing is used up.
func TestConfirmDuringRestart(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("always"))
	callback, readKey := s.startFrom(home)
	page := s.get(callback)
	s.relay.exchanging.Lock() // as a shutdown does
	again := s.choose(page, "continue", home)
	s.expectPage("during a restart", again, http.StatusServiceUnavailable, "Please choose again in a moment.")
	cancelled := s.choose(page, "cancel", home)
	s.expectPage("during a restart", cancelled, http.StatusServiceUnavailable, question)
	s.relay.exchanging.Unlock()
	s.expectPage("afterwards", s.choose(again, "continue", home), http.StatusOK, "You are signed in")
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
}

// A double click finishes the login once.
func TestConfirmDoubleClick(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("always"))
	callback, readKey := s.startFrom(home)
	page := s.get(callback)
	pages := make(chan answer, 8)
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() { pages <- s.choose(page, "continue", home) })
	}
	done.Wait()
	close(pages)
	finished := 0
	for page := range pages {
		if page.status == http.StatusOK {
			finished++
		}
	}
	if finished != 1 || s.provider.exchanges() != 1 {
		t.Errorf("%d pages of success, %d exchanges", finished, s.provider.exchanges())
	}
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
}

// The page expires with its login; what is not worth a question gets none.
func TestConfirmBadInput(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { confirming("always")(c); c.SessionTTL = 700 * time.Millisecond })
	callback, readKey := s.startFrom(home)
	page := s.get(callback)
	s.expectPage("in time", page, http.StatusOK, question)
	refused, _ := s.startFrom(home)
	refused = strings.Replace(refused, "code=", "error=access_denied&x=", 1)
	s.expectPage("refused at the provider", s.get(refused), http.StatusBadRequest, "Sign-in cancelled")
	s.expectPage("unknown state", s.get("/redirect?code=x&state=unknown"), http.StatusBadRequest, "not known here")
	for _, body := range []string{"", "choice=continue", "state=x&choice=continue", "code=x&choice=continue"} {
		s.expectPage(body, s.request(http.MethodPost, "/redirect", body), http.StatusBadRequest, "start the sign-in again in the plugin")
	}
	s.expectPage("made up", s.request(http.MethodPost, "/redirect", "choice=continue&code=x&state=y"), http.StatusBadRequest, "not known here")
	s.expectPage("query", s.request(http.MethodPost, strings.TrimPrefix(callback, s.url), "choice=continue"), http.StatusBadRequest, "start the sign-in again in the plugin")
	time.Sleep(800 * time.Millisecond)
	s.expectPage("too late", s.choose(page, "continue", home), http.StatusBadRequest, "took too long")
	s.expectPage("too late, again", s.get(callback), http.StatusBadRequest, "took too long")
	s.expectError("poll", s.poll(readKey), http.StatusBadRequest, "expired_token")
	if s.provider.exchanges() != 0 {
		t.Error("a code was exchanged")
	}
}

// The database does not hold the address in any form that can be guessed back without the state.
func TestConfirmKeepsNoAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, confirming("auto"))
	s.startFrom(home)
	s.startFrom(home)
	var networks []string
	if err := s.app.DB().NewQuery("SELECT hex(network) FROM sessions").Column(&networks); err != nil || len(networks) != 2 {
		t.Fatal(networks, err)
	}
	if networks[0] == networks[1] || len(networks[0]) != 64 {
		t.Errorf("two logins from one network look alike, or there is no MAC: %v", networks)
	}
}
