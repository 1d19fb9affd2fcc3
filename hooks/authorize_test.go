package hooks

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAuthorize(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(*Plugin)
		want url.Values // beside client_id, redirect_uri, response_type, state and PKCE
	}{
		"scope as it stands": {func(p *Plugin) { p.Scope = "a,b c" }, url.Values{"scope": {"a,b c"}}},
		"no scope":           {func(p *Plugin) { p.Scope = "" }, url.Values{}},
		"the endpoint's own query": {func(p *Plugin) { p.AuthorizeEndpoint += "?owner=user&v=%2F" },
			url.Values{"scope": {"read:a,write:b c"}, "owner": {"user"}, "v": {"/"}}},
		"further parameters": {func(p *Plugin) { p.AuthorizeParams = "access_type=offline&prompt=consent" },
			url.Values{"scope": {"read:a,write:b c"}, "access_type": {"offline"}, "prompt": {"consent"}}},
		"both": {func(p *Plugin) { p.AuthorizeEndpoint += "?owner=user"; p.AuthorizeParams = "prompt=none" },
			url.Values{"scope": {"read:a,write:b c"}, "owner": {"user"}, "prompt": {"none"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(c *Config) { test.edit(c.Plugin) })
			authorizationURL, readKey := s.authorize()
			query := authorizationURL.Query()
			test.want["client_id"] = []string{testClientID}
			test.want["redirect_uri"] = []string{s.url + "/redirect"}
			test.want["response_type"] = []string{"code"}
			test.want["code_challenge_method"] = []string{"S256"}
			for name, length := range map[string]int{"state": timeLength + 43, "code_challenge": 43} {
				if len(query.Get(name)) != length {
					t.Errorf("%s %q does not hold 256 bits", name, query.Get(name))
				}
				test.want[name] = query[name]
			}
			if query.Encode() != test.want.Encode() {
				t.Errorf("got  %s\nwant %s", query.Encode(), test.want.Encode())
			}
			if len(readKey) != timeLength+43 || strings.Contains(authorizationURL.String(), readKey) {
				t.Error("the read key is short, or stands in the URL")
			}
		})
	}
}

func TestAuthorizeWithoutPKCE(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin.PKCE = "off" })
	page, readKey := s.login() // the provider refuses a challenge
	s.expectPage("login", page, http.StatusOK, "You are signed in")
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
}

func TestAuthorizeIsNew(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	seen := map[string]bool{}
	for range 50 {
		authorizationURL, readKey := s.authorize()
		query := authorizationURL.Query()
		for _, secret := range []string{readKey, query.Get("state"), query.Get("code_challenge")} {
			if seen[secret] {
				t.Fatal("a secret came twice")
			}
			seen[secret] = true
		}
	}
}

func TestAuthorizeWithoutPlugin(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin = nil })
	s.expect("/authorize", s.post("/authorize"), http.StatusServiceUnavailable,
		`{"error":"temporarily_unavailable","error_description":"`+HowToAddPlugin+`"}`)
	s.expect("/", s.get("/"), http.StatusOK, "plugin-oauth is running. "+HowToAddPlugin+"\n")
	s.expect("/refresh", s.post("/refresh?code=x"), http.StatusServiceUnavailable, "temporarily_unavailable: "+HowToAddPlugin+"\n")
	s.expectPage("/redirect", s.get("/redirect?state=x&code=y"), http.StatusServiceUnavailable, "No plugin is configured at this address")
}

func TestAuthorizeKeepsTheOrigin(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for sent, want := range map[string]string{
		"https://abc123.plugins.framercdn.com": "https://abc123.plugins.framercdn.com",
		"https://evil.example":                 "https://evil.example",
		"null":                                 "null",
		"<script>alert(1)</script>":            "",
		"https://" + strings.Repeat("a", 300) + ".example": "",
	} {
		if _, err := s.app.DB().NewQuery("DELETE FROM sessions").Execute(); err != nil {
			t.Fatal(err)
		}
		s.request(http.MethodPost, "/authorize", "", "Origin: "+sent)
		var kept string
		if err := s.app.DB().NewQuery("SELECT origin FROM sessions").Row(&kept); err != nil || kept != want {
			t.Errorf("%q is kept as %q (%v), want %q", sent, kept, err, want)
		}
	}
}
