package doctor

import (
	"encoding/json/v2"
	"net/http"
	"testing"
)

// A wrong issuer is found where the provider's metadata has the right one.
func TestIssuer(t *testing.T) {
	t.Parallel()
	self := serveSelf(t)
	for _, test := range []struct {
		name string
		path string // of the metadata
		// What the metadata has; the provider's address stands in front of both.
		issuer, authorize string
		entered           string // likewise; blank: none
		found             bool   // that the metadata has another
	}{
		{name: "right", path: "/.well-known/openid-configuration", issuer: "/", authorize: "/authorize",
			entered: "/"},
		{name: "right, with a path", path: "/realms/a/.well-known/openid-configuration",
			issuer: "/realms/a", authorize: "/authorize", entered: "/realms/a"},
		{name: "wrong", path: "/.well-known/openid-configuration", issuer: "/right",
			authorize: "/authorize", entered: "/wrong", found: true},
		{name: "wrong by a slash", path: "/.well-known/oauth-authorization-server", issuer: "",
			authorize: "/authorize", entered: "/", found: true},
		{name: "none entered", path: "/.well-known/openid-configuration", issuer: "/right",
			authorize: "/authorize"},
		{name: "of another endpoint", path: "/.well-known/openid-configuration", issuer: "/right",
			authorize: "/other", entered: "/wrong"},
		{name: "no metadata", path: "/nowhere", entered: "/wrong"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			provider := serveHandler(t, func(w http.ResponseWriter, r *http.Request) {
				provider := "http://" + r.Host
				switch r.URL.Path {
				case test.path:
					metadata := map[string]string{
						"issuer": provider + test.issuer, "authorization_endpoint": provider + test.authorize,
					}
					if err := json.MarshalWrite(w, metadata); err != nil {
						t.Error(err)
					}
				case "/authorize", "/token":
					refusingCode(w, r)
				default:
					http.NotFound(w, r)
				}
			})
			s := newSetup(t, addresses{self: self, provider: provider})
			if test.entered != "" {
				s.plugin.Issuer = provider + test.entered
			}
			var want []string
			if test.found {
				want = []string{"error /: The provider's metadata has the issuer " + provider + test.issuer +
					", not " + provider + test.entered + ". Set ISSUER to " + provider + test.issuer + "."}
			}
			expectFindings(t, s.check(t), want...)
		})
	}
}
