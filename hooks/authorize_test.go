package hooks

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

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
