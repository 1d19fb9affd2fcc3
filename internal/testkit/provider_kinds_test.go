package testkit

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"plugin-oauth/hooks/oauth"
)

// kind is a client of a provider that departs from the RFCs in one way.
type kind struct {
	prepare func(*oauth.Client)
	form    func(*asker) url.Values // the right request for a token
}

// becomes makes the asker's client one of a kind.
func (a *asker) becomes(k kind) {
	k.prepare(&a.client)
	a.Provider.Knows(a.client)
}

// kinds are those of the presets that need more than addresses.
var kinds = map[string]kind{
	"client_key": {
		prepare: func(c *oauth.Client) { c.ClientIDParam = "client_key" },
		form: func(a *asker) url.Values {
			form := a.exchange(a.code())
			form.Del("client_id")
			form.Set("client_key", ClientID)
			return form
		},
	},
	"name of the redirect URI": {
		prepare: func(c *oauth.Client) { c.RedirectName = "Name-App-PRD" },
		form: func(a *asker) url.Values {
			form := a.exchange(a.code())
			form.Set("redirect_uri", "Name-App-PRD")
			return form
		},
	},
	"challenge in hexadecimal": {
		prepare: func(c *oauth.Client) { c.HexChallenge = true },
		form:    func(a *asker) url.Values { return a.exchange(a.code()) },
	},
	"context": {
		prepare: func(c *oauth.Client) { c.CodeRedirectParams = []string{"context"} },
		form: func(a *asker) url.Values {
			form := a.exchange(a.code())
			form.Set("context", a.Provider.RedirectParams()["context"])
			return form
		},
	},
	"signed secret": {
		prepare: func(c *oauth.Client) {
			c.SignedSecret = &oauth.SignedSecret{Audience: "https://p.example"}
		},
		form: func(a *asker) url.Values {
			form := a.exchange(a.code())
			form.Set("client_secret", signedSecret(a.T, nil))
			return form
		},
	},
}

// signedSecret returns a client secret that is right but for some claims.
func signedSecret(t testing.TB, changes map[string]any) string {
	t.Helper()
	key, err := signingKey()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": TeamID, "sub": ClientID, "aud": "https://p.example", "iat": now, "exp": now + 600,
	}
	maps.Copy(claims, changes)
	var parts []string
	for _, part := range []map[string]any{{"alg": "ES256", "kid": KeyID}, claims} {
		encoded, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(encoded))
	}
	signed := strings.Join(parts, ".")
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// kindRequests are requests of a kind, with a deviation or without one.
var kindRequests = map[string]struct {
	kind   string
	change func(*testing.T, url.Values) // nil: nothing is changed
	want   string                       // words of the refusal; blank: there is none
}{
	"client_key": {kind: "client_key"},
	"client_id beside client_key": {
		kind: "client_key", change: set("client_id", ClientID), want: "client_id is not wanted",
	},
	"client_id for client_key": {
		kind: "client_key", want: "did not authenticate",
		change: func(_ *testing.T, form url.Values) {
			form.Del("client_key")
			form.Set("client_id", ClientID)
		},
	},
	"name": {kind: "name of the redirect URI"},
	"address for its name": {
		kind: "name of the redirect URI", change: set("redirect_uri", "https://backend.example/redirect"),
		want: "redirect_uri is",
	},
	"challenge in hexadecimal": {kind: "challenge in hexadecimal"},
	"another verifier": {
		kind: "challenge in hexadecimal", change: set("code_verifier", "x"), want: "does not fit",
	},
	"context":         {kind: "context"},
	"another context": {kind: "context", change: set("context", "stores/1"), want: "context is"},
	"no context": {
		kind: "context", want: "context is",
		change: func(_ *testing.T, form url.Values) { form.Del("context") },
	},
	"signed secret":      {kind: "signed secret"},
	"another audience":   {kind: "signed secret", change: claim("aud", "x"), want: "somebody else's"},
	"another issuer":     {kind: "signed secret", change: claim("iss", "x"), want: "somebody else's"},
	"another subject":    {kind: "signed secret", change: claim("sub", "x"), want: "somebody else's"},
	"an expired one":     {kind: "signed secret", change: claim("exp", in(-time.Second)), want: "has expired"},
	"one without an end": {kind: "signed secret", change: claim("exp", nil), want: "has expired"},
	"one of a year": {
		kind: "signed secret", change: claim("exp", in(365*24*time.Hour)), want: "lives too long",
	},
	"one of tomorrow":  {kind: "signed secret", change: claim("iat", in(time.Hour)), want: "not valid yet"},
	"one without iat":  {kind: "signed secret", change: claim("iat", nil), want: "not valid yet"},
	"the secret plain": {kind: "signed secret", change: set("client_secret", ClientSecret), want: "no JWT"},
}

// The provider takes the right request of each kind, and refuses each deviation from it.
func TestProviderKinds(t *testing.T) {
	t.Parallel()
	for name, test := range kindRequests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAsker(t)
			a.becomes(kinds[test.kind])
			form := kinds[test.kind].form(a)
			if test.change != nil {
				test.change(t, form)
			}
			a.expectRefusal(a.send("/token", form), test.want)
		})
	}
}

// set gives a form another value for one parameter.
func set(name, value string) func(*testing.T, url.Values) {
	return func(_ *testing.T, form url.Values) { form.Set(name, value) }
}

// claim gives a form a client secret with another value for one claim.
func claim(name string, value any) func(*testing.T, url.Values) {
	return func(t *testing.T, form url.Values) {
		form.Set("client_secret", signedSecret(t, map[string]any{name: value}))
	}
}

// in is a time as it stands in a claim.
func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// expectRefusal expects that the provider has refused the latest request in these words, or none if they are
// blank.
func (a *asker) expectRefusal(got Answer, want string) {
	a.T.Helper()
	refusals := strings.Join(a.Provider.Refusals(), "\n")
	if (want == "") != (refusals == "") || !strings.Contains(refusals, want) {
		a.T.Errorf("it keeps %q", refusals)
	}
	if (got.Status == http.StatusTeapot) != (want != "") {
		a.T.Errorf("it answers %d %s", got.Status, got.Body)
	}
}

const secretParam = "&client_secret=client+secret%2F%2B%26%25"

// lengthenings are requests for a token that lives longer. A blank method is GET.
var lengthenings = map[string]struct{ method, target, body, header, want string }{
	"first":   {target: "/long?grant_type=first&access_token=AT" + secretParam},
	"renewal": {target: "/renew?grant_type=again&access_token=AT"},
	"by POST": {
		method: http.MethodPost, target: "/long?grant_type=first&access_token=AT" + secretParam,
		want: "no endpoint",
	},
	"renewed by POST": {
		method: http.MethodPost, target: "/renew?grant_type=again&access_token=AT", want: "no endpoint",
	},
	"without the secret": {
		target: "/long?grant_type=first&access_token=AT", want: "client_secret is",
	},
	"renewed with the secret": {
		target: "/renew?grant_type=again&access_token=AT" + secretParam, want: "client_secret is not wanted",
	},
	"with the client's ID": {
		target: "/long?grant_type=first&access_token=AT&client_id=a" + secretParam, want: "client_id is not",
	},
	"renewed at the first address": {
		target: "/long?grant_type=again&access_token=AT", want: "long-lived token",
	},
	"first at the address of a renewal": {
		target: "/renew?grant_type=first&access_token=AT" + secretParam, want: "long-lived token",
	},
	"without a token": {
		target: "/long?grant_type=first&access_token=" + secretParam, want: "the token is missing",
	},
	"with a body": {
		target: "/renew?grant_type=again&access_token=AT", body: "a=b", want: "more is sent",
	},
	"with authorization": {
		target: "/renew?grant_type=again&access_token=AT", header: "Authorization: Bearer AT",
		want: "more is sent",
	},
}

// A challenge in the one encoding is none in the other.
func TestProviderChallenges(t *testing.T) {
	t.Parallel()
	for _, hexadecimal := range []bool{true, false} {
		a := newAsker(t)
		known := a.client
		a.client.HexChallenge, known.HexChallenge = hexadecimal, !hexadecimal
		a.Provider.Knows(known)
		request := oauth.AuthorizationRequest{State: "state", Verifier: a.verifier}
		a.expectRefusal(a.Get(a.client.AuthorizationURL(request)), "is not S256")
	}
}

// A token that lives longer is asked for by GET, at an address of its own for the first time and for a
// renewal, with the secret at the first one only.
func TestProviderLengthens(t *testing.T) {
	t.Parallel()
	for name, test := range lengthenings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAsker(t)
			a.becomes(kind{prepare: func(c *oauth.Client) {
				c.LongLived = &oauth.LongLived{
					Endpoint: a.URL + "/long", GrantType: "first", TokenParam: "access_token",
					RenewEndpoint: a.URL + "/renew", RenewGrantType: "again",
				}
			}})
			method := cmp.Or(test.method, http.MethodGet)
			a.expectRefusal(a.Request(method, test.target, test.body, test.header), test.want)
		})
	}
}

// A client that wants the answer to its authorization request in a form gets it there, whatever is in it.
func TestProviderPostsForm(t *testing.T) {
	t.Parallel()
	a := newAsker(t)
	a.becomes(kind{prepare: func(c *oauth.Client) {
		c.AuthorizeParams, c.RedirectParams = "response_mode=form_post", []string{"user"}
	}})
	request := oauth.AuthorizationRequest{State: `a"<&`, Verifier: a.verifier}
	page := a.Get(a.client.AuthorizationURL(request))
	address, params, err := ReadFormPost(page.Body)
	if err != nil {
		t.Fatal(err)
	}
	if address != a.client.RedirectURI || params.Get("state") != `a"<&` || params.Get("code") == "" ||
		params.Get("user") != a.Provider.RedirectParams()["user"] {
		t.Errorf("it sends %v to %s", params, address)
	}
	if _, _, err := ReadFormPost("<p>"); err == nil {
		t.Error("a page without a form has one")
	}
}
