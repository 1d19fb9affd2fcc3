package doctor

import (
	"context"
	"net/netip"
	"testing"

	"plugin-oauth/hooks/plugins"
)

// What the plugin may call through /fetch is looked up, and what it should call is known of some providers.
func TestAPI(t *testing.T) {
	t.Parallel()
	self, provider, transport := serveSelf(t), serveProvider(t, refusingCode), realNames(t)
	const (
		hint    = "hint /: Browsers may not call the API of "
		through = ", and the plugin may call it through /fetch. A server of your own does as well."
		nowhere = "leads nowhere. Check API_HOSTS, and that this machine can look up names."
		inside  = "is not on the Internet. List a host with a public address in API_HOSTS."
		apiHost = "warning /: The API's host "
	)
	hosts := func(hosts ...string) func(*setup) { return func(s *setup) { s.plugin.APIHosts = hosts } }
	without := func(preset string) func(*setup) {
		return func(s *setup) {
			s.preset(preset)
			s.plugin.APIHosts = nil
		}
	}
	for _, test := range []struct {
		name string
		edit func(s *setup)
		want []string
	}{
		{name: "browsers may not call", edit: without("notion"),
			want: []string{hint + "Notion. Set API_HOSTS to on" + through}},
		{name: "which hosts is not known", edit: without("mailchimp"),
			want: []string{hint + "Mailchimp. Set API_HOSTS to the hosts of the API" + through}},
		{name: "endpoints only",
			edit: func(s *setup) {
				s.plugin.AuthorizeEndpoint = "https://api.notion.com/v1/oauth/authorize"
				s.plugin.TokenEndpoint = "https://api.notion.com/v1/oauth/token"
			},
			want: []string{hint + "Notion. Set API_HOSTS to api.notion.com" + through}},
		{name: "through this service", edit: func(s *setup) { s.preset("notion") }},
		{name: "browsers may call", edit: without("microsoft"),
			want: []string{"warning /: The login asks for no refresh token. Add offline_access to SCOPE."}},
		{name: "not known whether", edit: without("linear")},

		{name: "hosts", edit: hosts("api.example", "api.example:8443", "198.41.0.4", "both.inside.example")},
		{name: "no such host", edit: hosts("nowhere.example:8443"),
			want: []string{apiHost + "nowhere.example " + nowhere}},
		{name: "a private host", edit: hosts("db.inside.example"),
			want: []string{apiHost + "db.inside.example " + inside}},
		{name: "private addresses", edit: hosts("10.1.2.3:80", "127.0.0.1", "[::1]:8080", "[fd00::1]"),
			want: []string{
				apiHost + "10.1.2.3 " + inside, apiHost + "127.0.0.1 " + inside,
				apiHost + "::1 " + inside, apiHost + "fd00::1 " + inside,
			}},
		{name: "localhost in development", edit: hosts("http://localhost:3000", "localhost:3001")},
		{name: "any tenant", edit: func(s *setup) { s.preset("shopify") }},
		{name: "one tenant",
			edit: func(s *setup) {
				s.preset("shopify")
				s.plugin.Tenant = "my-store"
				s.options.LookUp = func(_ context.Context, host string) ([]netip.Addr, error) {
					if host != "my-store.myshopify.com" {
						t.Errorf("it looks up %s", host)
					}
					return nil, nil
				}
			},
			want: []string{apiHost + "my-store.myshopify.com " + nowhere}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, addresses{self: self, provider: provider})
			s.options.Transport = transport
			test.edit(s)
			expectFindings(t, s.check(t), test.want...)
		})
	}
}

// The key before goes once nothing needs it.
func TestOldKey(t *testing.T) {
	t.Parallel()
	self, provider := serveSelf(t), serveProvider(t, refusingCode)
	for _, test := range []struct {
		name   string
		key    OldKey
		sealed bool
		want   []string
	}{
		{name: "none", key: OldKeyNone, sealed: true},
		{name: "another, in use", key: OldKeyOther, sealed: true,
			want: []string{"hint : OLD_ENCRYPTION_KEY still opens sealed tokens. Take OLD_ENCRYPTION_KEY " +
				"away once people have used the plugin. Those who have not will sign in again."}},
		{name: "another, of no use", key: OldKeyOther,
			want: []string{"warning : OLD_ENCRYPTION_KEY is not needed: no plugin has sealed tokens. " +
				"Take OLD_ENCRYPTION_KEY away."}},
		{name: "the same", key: OldKeySame, sealed: true,
			want: []string{"warning : OLD_ENCRYPTION_KEY is the same as ENCRYPTION_KEY. " +
				"Set OLD_ENCRYPTION_KEY to the key before. If it was not changed, take it away."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, addresses{self: self, provider: provider})
			s.options.OldKey = test.key
			if test.sealed {
				// One that is switched off may be switched on again.
				s.options.Dashboard = map[string]*plugins.Plugin{"off": {
					Slug: "off", State: plugins.SwitchedOff, Tokens: plugins.TokensSealed,
				}}
			}
			expectFindings(t, s.check(t), test.want...)
		})
	}
}
