package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"testing"
)

// A client changes the preset's authorization parameters one by one, and leaves one out by giving it without
// a value.
func TestAuthorizeParams(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		provider, endpoint, own string
		want                    string
	}{
		"the preset's": {provider: "google", want: "access_type=offline&prompt=consent"},
		"another value": {
			provider: "google", own: "prompt=x", want: "prompt=x&access_type=offline",
		},
		"one more, one left out": {
			provider: "google", own: "hd=p.example&prompt=", want: "hd=p.example&access_type=offline",
		},
		"left out":              {provider: "google", own: "prompt=", want: "access_type=offline"},
		"left out, without a =": {provider: "google", own: "prompt", want: "access_type=offline"},
		"changed and left out": {
			provider: "google", own: "access_type=online&prompt=", want: "access_type=online",
		},
		"blank, and not a preset": {provider: "github", own: "allow_signup=", want: "allow_signup="},
		"not a query string":      {provider: "google", own: "a=%zz", want: "a=%zz"},
		"without a preset":        {own: "a=b&c=", want: "a=b&c="},
		"already in the endpoint": {
			provider: "google", endpoint: "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline",
			want: "prompt=consent",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := Client{
				Provider: test.provider, AuthorizeEndpoint: test.endpoint, AuthorizeParams: test.own,
			}
			if got := client.Complete().AuthorizeParams; got != test.want {
				t.Errorf("got %q, not %q", got, test.want)
			}
		})
	}
}

// The authorization URL has each parameter once, and encoded (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
func TestAuthorizationURL(t *testing.T) {
	t.Parallel()
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 appendix B
	const always = "client_id=id%2F1%2B%26&response_type=code" +
		"&redirect_uri=https%3A%2F%2Fbackend.example%2Fredirect"
	const withPKCE = "&code_challenge=" + challenge + "&code_challenge_method=S256"
	base := Client{
		ClientID: "id/1+&", RedirectURI: "https://backend.example/redirect",
		AuthorizeEndpoint: "https://p.example/a", TokenEndpoint: "https://p.example/t",
	}
	for name, test := range map[string]struct {
		change func(*Client)
		want   string // the query
	}{
		"plain": {change: func(*Client) {}, want: always + "&state=a%2Fb" + withPKCE},
		"with scope": {
			change: func(c *Client) { c.Scope = "a,b c" },
			want:   always + "&scope=a%2Cb%20c&state=a%2Fb" + withPKCE,
		},
		"with params": {
			change: func(c *Client) { c.AuthorizeParams = "x=%20&y=" },
			want:   "x=%20&y=&" + always + "&state=a%2Fb" + withPKCE,
		},
		"with a query": {
			change: func(c *Client) { c.AuthorizeEndpoint += "?owner=user" },
			want:   "owner=user&" + always + "&state=a%2Fb" + withPKCE,
		},
		"with both": {
			change: func(c *Client) { c.AuthorizeEndpoint += "?owner=user"; c.AuthorizeParams = "x=1" },
			want:   "owner=user&x=1&" + always + "&state=a%2Fb" + withPKCE,
		},
		"without PKCE": {change: func(c *Client) { c.PKCE = PKCEOff }, want: always + "&state=a%2Fb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := base
			test.change(&client)
			client = client.Complete()
			got := client.AuthorizationURL(AuthorizationRequest{State: "a/b", Verifier: verifier})
			expectURL(t, got, "https://p.example/a?"+test.want)
		})
	}
	sum := sha256.Sum256([]byte(verifier))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != challenge {
		t.Error("the example of the RFC is not copied well")
	}
}

// expectURL compares addresses whose parameters may stand in another order.
func expectURL(t *testing.T, got, want string) {
	t.Helper()
	gotURL, err := url.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	wantURL, err := url.Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	gotQuery, wantQuery := gotURL.Query().Encode(), wantURL.Query().Encode()
	gotURL.RawQuery, wantURL.RawQuery = "", ""
	if gotURL.String() != wantURL.String() || gotQuery != wantQuery {
		t.Errorf("got  %s?%s\nwant %s?%s", gotURL, gotQuery, wantURL, wantQuery)
	}
}

// The hosts that are sent the client secret do not depend on paths, nor on how they are written.
func TestSecretHosts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		client Client
		want   string
	}{
		"own": {
			client: Client{
				AuthorizeEndpoint: "https://evil.example/", TokenEndpoint: "https://P.example:8443/token",
			},
			want: "[https://p.example:8443 https://p.example:8443]",
		},
		"with a revocation": {
			client: Client{TokenEndpoint: "https://p.example/token", RevokeEndpoint: "http://r.example"},
			want:   "[https://p.example https://p.example http://r.example]",
		},
		"of a preset": {
			client: Client{Provider: "figma"}, want: "[https://api.figma.com https://api.figma.com]",
		},
		"of a tenant, open": {
			client: Client{Provider: "shopify"},
			want:   "[https://{shop}.myshopify.com https://{shop}.myshopify.com]",
		},
		"of a tenant": {
			client: Client{Provider: "shopify", Tenant: "mine"},
			want:   "[https://mine.myshopify.com https://mine.myshopify.com]",
		},
		"of a tenant, wrong": {
			client: Client{Provider: "shopify", Tenant: "a/b"},
			want:   "[https://{shop}.myshopify.com https://{shop}.myshopify.com]",
		},
		"of a tenant with a path": {
			client: Client{Provider: "keycloak", Tenant: "sso.example/realms/a"},
			want:   "[https://sso.example https://sso.example https://sso.example sso.example/realms/a]",
		},
		"without any endpoints": {want: "[]"},
		"not an address": {
			client: Client{TokenEndpoint: "p.example/token"}, want: "[p.example/token p.example/token]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := test.client.Complete()
			if got := fmt.Sprint(client.SecretHosts()); got != test.want {
				t.Errorf("got %s, not %s", got, test.want)
			}
		})
	}
}
