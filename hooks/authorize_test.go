package hooks

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pocketbase/dbx"

	"plugin-oauth/hooks/plugins"
)

// keyLength is the length of a state and a read key: 9 characters of time, and 256 bits in 43.
const keyLength = 9 + 43

func TestAuthorize(t *testing.T) {
	t.Parallel()
	scope := []string{"read:a,write:b c"}
	tests := map[string]struct {
		edit func(*plugins.Plugin)
		want url.Values // beside client_id, redirect_uri, response_type, state and PKCE
	}{
		"scope as it stands": {
			edit: func(p *plugins.Plugin) { p.Scope = "a,b c" },
			want: url.Values{"scope": {"a,b c"}},
		},
		"no scope": {
			edit: func(p *plugins.Plugin) { p.Scope = "" },
			want: url.Values{},
		},
		"the endpoint's own query": {
			edit: func(p *plugins.Plugin) { p.AuthorizeEndpoint += "?owner=user&v=%2F" },
			want: url.Values{"scope": scope, "owner": {"user"}, "v": {"/"}},
		},
		"further parameters": {
			edit: func(p *plugins.Plugin) { p.AuthorizeParams = "access_type=offline&prompt=consent" },
			want: url.Values{"scope": scope, "access_type": {"offline"}, "prompt": {"consent"}},
		},
		"both": {
			edit: func(p *plugins.Plugin) {
				p.AuthorizeEndpoint += "?owner=user"
				p.AuthorizeParams = "prompt=none"
			},
			want: url.Values{"scope": scope, "owner": {"user"}, "prompt": {"none"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(c *Config) { test.edit(c.Plugin) })
			s.expectAuthorizationURL(test.want)
		})
	}
}

// expectAuthorizationURL starts a login and checks the parameters of its authorization URL. want has the ones
// that depend on the plugin.
func (s *testServer) expectAuthorizationURL(want url.Values) {
	s.T.Helper()
	authorizationURL, readKey := s.Authorize()
	query := authorizationURL.Query()
	client := s.Provider.Known()
	want.Set("client_id", client.ClientID)
	want.Set("redirect_uri", s.URL+"/redirect")
	want.Set("response_type", "code")
	want.Set("code_challenge_method", "S256")
	for name, length := range map[string]int{"state": keyLength, "code_challenge": 43} {
		if len(query.Get(name)) != length {
			s.T.Errorf("%s %q does not hold 256 bits", name, query.Get(name))
		}
		want[name] = query[name]
	}
	if query.Encode() != want.Encode() {
		s.T.Errorf("got  %s\nwant %s", query.Encode(), want.Encode())
	}
	if len(readKey) != keyLength || strings.Contains(authorizationURL.String(), readKey) {
		s.T.Error("the read key is short, or stands in the URL")
	}
}

// A plugin may send the login parameters that its setting names, in whichever way; others are ignored.
func TestLoginParams(t *testing.T) {
	t.Parallel()
	root := serve(t, func(c *Config) {
		c.Plugin.LoginParams = []string{"prompt", "login_hint", "scope"}
		c.Plugin.AuthorizeParams, c.Plugin.Scope = "prompt=consent&access_type=offline", "a b c"
	})
	const form = "Content-Type: application/x-www-form-urlencoded"
	changed := url.Values{
		"scope": {"c a"}, "prompt": {"select_account"}, "access_type": {"offline"},
		"login_hint": {"a+b@c.example"},
	}
	configured := url.Values{"scope": {"a b c"}, "prompt": {"consent"}, "access_type": {"offline"}}
	const encoded = "prompt=select_account&scope=c+a&login_hint=a%2Bb%40c.example&access_type=x&state=y"
	const asObject = `{"prompt":"select_account","scope":"c a","login_hint":"a+b@c.example","hd":"x"}`
	for name, test := range map[string]struct {
		query, body, header string
		want                url.Values
	}{
		"nothing":          {want: configured},
		"query":            {query: "?" + encoded, want: changed},
		"query with %20":   {query: "?" + strings.ReplaceAll(encoded, "+", "%20"), want: changed},
		"form":             {body: encoded, header: form, want: changed},
		"JSON":             {body: asObject, header: asJSON, want: changed},
		"JSON, as text":    {body: asObject, header: "Content-Type: text/plain", want: changed},
		"JSON, as a form":  {body: `{"login_hint":"x"}`, header: form, want: hinted(configured)},
		"blank":            {query: "?prompt=&scope=", want: configured},
		"others":           {query: "?hd=x&state=y&redirect_uri=https://evil.example", want: configured},
		"query and a body": {query: "?login_hint=x", body: `{"login_hint":"y"}`, want: hinted(configured)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := root.in(t)
			got := s.Request(http.MethodPost, "/authorize"+test.query, test.body, test.header)
			authorizationURL, _ := s.ParseLogin(got)
			query := authorizationURL.Query()
			for _, name := range []string{
				"client_id", "redirect_uri", "response_type", "state", "code_challenge",
				"code_challenge_method",
			} {
				if len(query[name]) != 1 || query.Get(name) == "y" {
					t.Errorf("%s is %q", name, query[name])
				}
				query.Del(name)
			}
			if query.Encode() != test.want.Encode() {
				t.Errorf("got  %s\nwant %s", query.Encode(), test.want.Encode())
			}
			s.Agree(authorizationURL) // the provider refuses what it does not know
		})
	}
}

func hinted(params url.Values) url.Values {
	params = maps.Clone(params)
	params.Set("login_hint", "x")
	return params
}

// What cannot be sent on is refused, before a login is started.
func TestLoginParamsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.Plugin.LoginParams, c.Plugin.Scope = []string{"prompt", "scope"}, "a,b"
	})
	for query, code := range map[string]string{
		"scope=a,c": "invalid_scope", "scope=a+b": "invalid_scope", "prompt=%0a": "invalid_request",
		"prompt=" + strings.Repeat("a", 1025): "invalid_request",
	} {
		s.ExpectError(query[:9], s.Post("/authorize?"+query), http.StatusBadRequest, code)
	}
	if sessions := s.list("sessions"); len(sessions) > 0 {
		t.Errorf("%d logins were started", len(sessions))
	}
}

func TestAuthorizeWithoutPKCE(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin.PKCE = "off" })
	page, readKey := s.Login() // the provider refuses a challenge
	s.ExpectPage("login", page, http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
}

func TestAuthorizeIsNew(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	seen := map[string]bool{}
	for range 50 {
		authorizationURL, readKey := s.Authorize()
		query := authorizationURL.Query()
		for _, secret := range []string{readKey, query.Get("state"), query.Get("code_challenge")} {
			if seen[secret] {
				t.Fatal("a secret was given twice")
			}
			seen[secret] = true
		}
	}
}

func TestAuthorizeWithoutPlugin(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin = nil })
	s.Expect("/authorize", s.Post("/authorize"), http.StatusServiceUnavailable,
		`{"error":"temporarily_unavailable","error_description":"`+HowToAddPlugin+`"}`)
	s.Expect("/", s.Get("/"), http.StatusOK, "plugin-oauth is running. "+HowToAddPlugin+"\n")
	s.Expect("/refresh", s.Post("/refresh?code=x"), http.StatusServiceUnavailable,
		"temporarily_unavailable: "+HowToAddPlugin+"\n")
	s.ExpectPage("/redirect", s.Get("/redirect?state=x&code=y"), http.StatusServiceUnavailable,
		"No plugin is configured at this address")
}

func TestAuthorizeKeepsTheOrigin(t *testing.T) {
	t.Parallel()
	root := serve(t, nil)
	for sent, want := range map[string]string{
		"https://abc123.plugins.framercdn.com": "https://abc123.plugins.framercdn.com",
		"https://evil.example":                 "https://evil.example",
		"null":                                 "null",
		"app://obsidian.md":                    "app://obsidian.md",
		"<script>alert(1)</script>":            "",
		"https://" + strings.Repeat("a", 85) + ".example": "",
	} {
		t.Run(sent[:min(len(sent), 40)], func(t *testing.T) {
			s := root.in(t)
			s.Request(http.MethodPost, "/authorize", "", "Origin: "+sent)
			var kept string
			query := s.App.DB().NewQuery("SELECT origin FROM sessions ORDER BY rowid DESC LIMIT 1")
			if err := query.Row(&kept); err != nil || kept != want {
				t.Errorf("%q is kept as %q (%v), want %q", sent, kept, err, want)
			}
		})
	}
}

// While the disk stands still, few logins wait to be stored or cancelled. What is one too many is told when
// to try again.
func TestSlowDiskIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.server.storeGate = newGate(bounds{network: 1, inAll: 2})
	_, readKey := s.Authorize()
	db, ok := s.App.NonconcurrentDB().(*dbx.DB)
	if !ok {
		t.Fatalf("it is a %T", s.App.NonconcurrentDB())
	}
	stalled, err := db.Begin() // it takes the only connection that writes
	if err != nil {
		t.Fatal(err)
	}
	var first sync.WaitGroup
	first.Go(func() {
		if got := s.Post("/authorize"); got.Status != http.StatusOK {
			t.Errorf("the first: %d %s", got.Status, got.Body)
		}
	})
	eventually(t, "the first is being stored", func() bool {
		s.server.storeGate.mu.Lock()
		defer s.server.storeGate.mu.Unlock()
		return s.server.storeGate.total == 1
	})
	for _, target := range []string{"/authorize", "/cancel?readKey=" + readKey} {
		got := s.Post(target)
		s.ExpectError(target, got, http.StatusServiceUnavailable, "temporarily_unavailable")
		if got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: it does not say when to try again", target)
		}
	}
	if err := stalled.Rollback(); err != nil {
		t.Error(err)
	}
	first.Wait()
	s.Expect("cancel", s.Post("/cancel?readKey="+readKey), http.StatusNoContent, "")
}

// However many cancel at the same time, others can start a sign-in, and the other way round.
func TestCancellationsLeaveRoom(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	empty := fill(s.server.storeGate, kindCancel)
	_, readKey := s.Authorize()
	got := s.Post("/cancel?readKey=" + readKey)
	s.ExpectError("one too many", got, http.StatusServiceUnavailable, "temporarily_unavailable")
	s.Expect("a made-up key", s.Post("/cancel?readKey=made-up"), http.StatusNoContent, "")
	empty()
	defer fill(s.server.storeGate, kindStart)()
	s.Expect("cancel", s.Post("/cancel?readKey="+readKey), http.StatusNoContent, "")
}
