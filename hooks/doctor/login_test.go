package doctor

import (
	"net/http"
	"testing"

	"plugin-oauth/hooks/oauth"
)

// What a provider says by a redirect before anybody has signed in.
func TestLoginRefusedByRedirect(t *testing.T) {
	t.Parallel()
	self := serveSelf(t)
	back := self + "/redirect"
	refused := func(code string) string {
		return "error /: The provider refuses the login with the error " + code + ". "
	}
	const state = "&state=" + ProbeCode
	for _, test := range []struct {
		name     string
		location string
		pkceOff  bool
		want     string // blank: nothing
	}{
		{name: "its own login", location: "/login"},
		{name: "elsewhere", location: "https://login.example/?error=invalid_scope"},
		{name: "a longer address", location: back + "s?error=invalid_scope"},
		{name: "a code", location: back + "?code=x" + state},
		{name: "a person's no", location: back + "?error=access_denied" + state},
		{name: "nobody is signed in", location: back + "?error=login_required" + state},
		{name: "scope", location: back + "?error=invalid_scope&error_description=SECRET" + state,
			want: refused("invalid_scope") + "Check SCOPE: the spelling, spaces or commas between, and " +
				"whether the app at the provider may ask for it."},
		{name: "in the fragment", location: back + "#error=invalid_scope" + state,
			want: refused("invalid_scope") + "Check SCOPE: the spelling, spaces or commas between, and " +
				"whether the app at the provider may ask for it."},
		{name: "PKCE is refused", location: back + "?error=invalid_request&error_description=" +
			"code_challenge+is+not+allowed" + state,
			want: "error /: The provider refuses PKCE. Set PKCE to off."},
		{name: "PKCE is wanted", pkceOff: true, location: back + "?error=invalid_request&error_description=" +
			"PKCE+is+required" + state,
			want: "error /: The provider wants PKCE. Set PKCE to on."},
		{name: "PAR is wanted", location: back + "?error=invalid_request&error_description=" +
			"Pushed+Authorization+Request+is+required" + state,
			want: "error /: The provider wants pushed authorization requests (RFC 9126). plugin-oauth does " +
				"not send these. Look in the provider's console for a kind of app that does not need them."},
		{name: "the client may not", location: back + "?error=unauthorized_client" + state,
			want: refused("unauthorized_client") + "Copy the client ID and the client secret from the " +
				"provider's console once more, into CLIENT_ID and CLIENT_SECRET. If they are right, the " +
				"provider may want them sent another way: try basic in TOKEN_AUTH."},
		{name: "an outage", location: back + "?error=temporarily_unavailable" + state,
			want: "warning /: The provider refuses the login with the error temporarily_unavailable. Run " +
				"doctor again in a few minutes."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			provider := serveHandler(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/authorize" {
					w.Header().Set("Location", test.location)
					w.WriteHeader(http.StatusFound)
					return
				}
				refusingCode(w, r)
			})
			s := newSetup(t, addresses{self: self, provider: provider})
			if test.pkceOff {
				s.plugin.PKCE = oauth.PKCEOff
			}
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expectFindings(t, s.check(t), want...)
		})
	}
}
