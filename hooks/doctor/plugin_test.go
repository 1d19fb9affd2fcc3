package doctor

import (
	"fmt"
	"testing"
	"time"

	"plugin-oauth/hooks/oauth"
)

// Each case changes one thing in a setup in which nothing is wrong. One provider answers under all the real
// names.
func TestPlugin(t *testing.T) {
	t.Parallel()
	self, provider, transport := serveSelf(t), serveProvider(t, refusingCode), realNames(t)
	const (
		inTheOpen = "%s %s: An address has http:// instead of https://. Write https:// in %s."
		nowhere   = "warning %s: Nothing answers at %s, where logins end. " +
			"Check that the service is running, and that %s leads here."
		published = "https://backend.invalid"
		refresh   = "warning /: The login asks for no refresh token. %s"
		separator = "warning /: The scopes are not written as the provider wants them. SCOPE must have %s."
		hubSpot   = "%s /: HubSpot %s this token endpoint on 2027-02-16. " +
			"Leave TOKEN_ENDPOINT blank, with PROVIDER set to hubspot."
	)
	const (
		googleLogin = "https://accounts.google.com/o/oauth2/v2/auth"
		googleToken = "https://oauth2.googleapis.com/token"
		dropbox     = "https://www.dropbox.com/oauth2/authorize"
	)
	hubSpotAt := func(now time.Time) func(*setup) {
		return func(s *setup) {
			s.preset("hubspot")
			s.plugin.TokenEndpoint = hubSpotV1
			s.options.Now = func() time.Time { return now }
		}
	}
	for _, test := range []struct {
		name string
		edit func(s *setup)
		want []string
	}{
		{name: "all is well", edit: func(*setup) {}},

		{name: "the secret is not sent in the clear",
			edit: func(s *setup) {
				s.plugin.AllowHTTP, s.plugin.TokenEndpoint = true, "http://provider.invalid/token"
			},
			want: []string{fmt.Sprintf(inTheOpen, "warning", "/", "TOKEN_ENDPOINT")}},
		{name: "http to the provider",
			edit: func(s *setup) {
				s.plugin.AllowHTTP, s.plugin.RevokeEndpoint = true, "http://provider.invalid/revoke"
			},
			want: []string{fmt.Sprintf(inTheOpen, "warning", "/", "REVOKE_ENDPOINT")}},
		{name: "http back from it",
			edit: func(s *setup) { s.plugin.RedirectURI = "http://backend.invalid/redirect" },
			want: []string{
				fmt.Sprintf(nowhere, "/", "http://backend.invalid", "REDIRECT_URI"),
				fmt.Sprintf(inTheOpen, "error", "/", "REDIRECT_URI"),
			}},
		{name: "http to PUBLIC_URL",
			edit: func(s *setup) { s.options.PublicURL, s.plugin.RedirectURI = "http://backend.invalid", "" },
			want: []string{
				fmt.Sprintf(inTheOpen, "error", "", "PUBLIC_URL"),
				fmt.Sprintf(nowhere, "", "http://backend.invalid", "PUBLIC_URL"),
			}},

		{name: "nothing published",
			edit: func(s *setup) {
				s.options.PublicURL, s.plugin.RedirectURI, s.plugin.PluginID = published, "", ""
			},
			want: []string{
				fmt.Sprintf(nowhere, "", published, "PUBLIC_URL"),
				"warning /: The plugin may call from localhost only. " +
					"Set PLUGIN_ID to the id of the published plugin.",
			}},
		{name: "an origin instead",
			edit: func(s *setup) {
				s.options.PublicURL, s.plugin.RedirectURI, s.plugin.PluginID = published, "", ""
				s.plugin.AllowedOrigins = []string{"null"}
			},
			want: []string{fmt.Sprintf(nowhere, "", published, "PUBLIC_URL")}},
		{name: "nothing published in development", edit: func(s *setup) { s.plugin.PluginID = "" }},

		{name: "scope for a refresh token",
			edit: func(s *setup) {
				s.preset("microsoft")
				s.plugin.Scope = "openid offline_access User.Read"
			}},
		{name: "scope lacks",
			edit: func(s *setup) { s.preset("microsoft"); s.plugin.Scope = "openid offline_access2" },
			want: []string{fmt.Sprintf(refresh, "Add offline_access to SCOPE.")}},
		{name: "endpoints only",
			edit: func(s *setup) {
				const host = "https://login.microsoftonline.com/contoso/oauth2/v2.0/"
				s.plugin.AuthorizeEndpoint, s.plugin.TokenEndpoint = host+"authorize", host+"token"
			},
			want: []string{fmt.Sprintf(refresh, "Add offline_access to SCOPE.")}},
		{name: "offline", edit: func(s *setup) { s.preset("google") }},
		{name: "offline blanked",
			edit: func(s *setup) { s.preset("google"); s.plugin.AuthorizeParams = "access_type=" },
			want: []string{fmt.Sprintf(refresh, "Put access_type=offline into AUTHORIZE_PARAMS.")}},
		{name: "offline, endpoints only",
			edit: func(s *setup) {
				s.plugin.AuthorizeEndpoint, s.plugin.TokenEndpoint = googleLogin, googleToken
			},
			want: []string{fmt.Sprintf(refresh, "Set PROVIDER to google, which adds access_type=offline.")}},
		{name: "online in the endpoint",
			edit: func(s *setup) {
				s.preset("dropbox")
				s.plugin.AuthorizeEndpoint = dropbox + "?token_access_type=online"
			},
			want: []string{fmt.Sprintf(refresh, "Put token_access_type=offline into AUTHORIZE_ENDPOINT.")}},
		{name: "offline in the endpoint",
			edit: func(s *setup) {
				s.plugin.AuthorizeEndpoint = googleLogin + "?access_type=offline"
				s.plugin.TokenEndpoint = googleToken
			}},
		{name: "tenant unknown", edit: func(s *setup) { s.preset("shopify") }},

		{name: "no scope where one is needed",
			edit: func(s *setup) { s.preset("google"); s.plugin.Scope = "" },
			want: []string{"warning /: The login asks for no scope. " +
				"SCOPE must be set: Google refuses a login that asks for no scope."}},
		{name: "no scope where none is needed",
			edit: func(s *setup) { s.preset("notion"); s.plugin.Scope = "" }},
		{name: "commas between scopes",
			edit: func(s *setup) { s.preset("google"); s.plugin.Scope = "openid,email" },
			want: []string{fmt.Sprintf(separator, "spaces between the scopes, not commas, for Google")}},
		{name: "commas between scopes, endpoints only",
			edit: func(s *setup) {
				s.plugin.AuthorizeEndpoint = googleLogin + "?access_type=offline"
				s.plugin.TokenEndpoint, s.plugin.Scope = googleToken, "openid,email"
			},
			want: []string{fmt.Sprintf(separator, "spaces between the scopes, not commas, for Google")}},
		{name: "spaces between scopes",
			edit: func(s *setup) { s.preset("slack"); s.plugin.Scope = "a b" },
			want: []string{fmt.Sprintf(separator, "commas between the scopes, not spaces, for Slack")}},

		{name: "public client",
			edit: func(s *setup) { s.plugin.TokenAuth, s.plugin.ClientSecret = oauth.TokenAuthNone, "" }},

		{name: "HubSpot v1", edit: hubSpotAt(hubSpotV1Ends.Add(-time.Second)),
			want: []string{fmt.Sprintf(hubSpot, "warning", "ends")}},
		{name: "HubSpot v1 has ended", edit: hubSpotAt(hubSpotV1Ends),
			want: []string{fmt.Sprintf(hubSpot, "error", "ended")}},
		{name: "HubSpot", edit: func(s *setup) { s.preset("hubspot") }},
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
