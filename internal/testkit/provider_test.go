package testkit

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"plugin-oauth/hooks/oauth"
)

// asker sends requests to a provider whose refusals do not fail the test.
type asker struct {
	*Backend

	client   oauth.Client
	verifier string
}

func newAsker(t *testing.T) *asker {
	t.Helper()
	p := &Provider{ProbeCode: "probe-code"}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	client := p.Client("https://backend.example")
	client.RevokeEndpoint = p.URL + "/revoke"
	p.Knows(client)
	return &asker{
		Backend:  &Backend{T: t, URL: p.URL, Client: NewClient(), Provider: p},
		client:   client,
		verifier: oauth2.GenerateVerifier(),
	}
}

// code signs in, and returns the code.
func (a *asker) code() string {
	a.T.Helper()
	request := oauth.AuthorizationRequest{State: "state", Verifier: a.verifier}
	authorizationURL, err := url.Parse(a.client.AuthorizationURL(request))
	if err != nil {
		a.T.Fatal(err)
	}
	callback, err := url.Parse(a.Agree(authorizationURL))
	if err != nil {
		a.T.Fatal(err)
	}
	if state := callback.Query().Get("state"); state != "state" || callback.Host != "backend.example" {
		a.T.Errorf("it redirects to %s", callback)
	}
	return callback.Query().Get("code")
}

// exchange returns the form of a request that redeems a code.
func (a *asker) exchange(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.client.RedirectURI},
		"code_verifier": {a.verifier}, "client_id": {ClientID}, "client_secret": {ClientSecret},
	}
}

func (a *asker) send(path string, form url.Values, headers ...string) Answer {
	a.T.Helper()
	headers = append(headers, "Content-Type: application/x-www-form-urlencoded", "Accept: application/json")
	return a.Request(http.MethodPost, path, form.Encode(), headers...)
}

func TestProvider(t *testing.T) {
	t.Parallel()
	a := newAsker(t)
	code := a.code()
	probe := a.send("/token", a.exchange("probe-code"))
	a.Expect("probe", probe, http.StatusBadRequest, `{"error":"invalid_grant"}`)
	a.Expect("exchange", a.send("/token", a.exchange(code)), http.StatusOK, TokenResponse)
	refresh := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {"RT"},
		"client_id": {ClientID}, "client_secret": {ClientSecret},
	}
	a.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Form.Get("refresh_token"))
	})
	a.Expect("refresh", a.send("/token", refresh), http.StatusOK, "RT")
	if a.Provider.Answers(nil) == nil {
		t.Error("Answers did not return what answered before")
	}
	revocationForm := url.Values{"token": {"RT"}, "client_id": {ClientID}, "client_secret": {ClientSecret}}
	a.Expect("revoke", a.send("/revoke", revocationForm), http.StatusOK, "")
	exchanges, checks, revoked := a.Provider.Exchanges(), a.Provider.Checks(), a.Provider.Revoked()
	if exchanges != 2 || checks != 1 || !slices.Equal(revoked, []string{"RT"}) {
		t.Errorf("it counts %d exchanges, %d checks, and %v revoked", exchanges, checks, revoked)
	}
	if refusals := a.Provider.Refusals(); refusals != nil {
		t.Errorf("it refused %v", refusals)
	}
}

// deviations are requests that the provider refuses, each with words of the refusal.
var deviations = map[string]struct {
	ask  func(*asker) Answer
	want string
}{
	"another address": {
		ask:  func(a *asker) Answer { return a.Get("/nothing") },
		want: "is no endpoint",
	},
	"authorization without PKCE": {
		ask: func(a *asker) Answer {
			a.client.PKCE = oauth.PKCEOff
			return a.Get(a.client.AuthorizationURL(oauth.AuthorizationRequest{State: "state"}))
		},
		want: "code_challenge",
	},
	"another verifier":       {ask: changed("code_verifier", "another"), want: "does not fit"},
	"another redirect URI":   {ask: changed("redirect_uri", "https://a.example"), want: "redirect_uri"},
	"another client":         {ask: changed("client_secret", "another"), want: "did not authenticate"},
	"another grant":          {ask: changed("grant_type", "password"), want: "the grant type"},
	"a parameter too many":   {ask: changed("scope", "read"), want: "scope is not wanted"},
	"a code that is unknown": {ask: changed("code", "unknown"), want: "unknown or was used"},
	"a code twice": {
		ask: func(a *asker) Answer {
			code := a.code()
			a.Expect("once", a.send("/token", a.exchange(code)), http.StatusOK, TokenResponse)
			return a.send("/token", a.exchange(code))
		},
		want: "unknown or was used",
	},
	"Basic authentication": {
		ask: func(a *asker) Answer {
			return a.send("/token", a.exchange(a.code()), "Authorization: Basic YTpi")
		},
		want: "Basic authentication",
	},
	"a revocation without a client": {
		ask:  func(a *asker) Answer { return a.send("/revoke", url.Values{"token": {"RT"}}) },
		want: "did not authenticate",
	},
	"JSON": {
		ask: func(a *asker) Answer {
			return a.Request(http.MethodPost, "/token", "{}", "Content-Type: application/json")
		},
		want: "not a form",
	},
}

// changed redeems a code with another value for one parameter.
func changed(name, value string) func(*asker) Answer {
	return func(a *asker) Answer {
		form := a.exchange(a.code())
		form.Set(name, value)
		return a.send("/token", form)
	}
}

func TestProviderRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range deviations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAsker(t)
			got, refusals := test.ask(a), a.Provider.Refusals()
			if len(refusals) != 1 || !strings.Contains(refusals[0], test.want) {
				t.Errorf("it keeps %q", refusals)
			}
			if got.Status != http.StatusTeapot {
				t.Errorf("it answers %d %s", got.Status, got.Body)
			}
		})
	}
}

// revocation is a request to the revocation endpoint.
type revocation struct {
	kind    oauth.RevokeKind
	method  string
	body    string
	prepare func(*http.Request) // nil: nothing is added
}

// send sends it to a provider that knows a kind, and reports whether the provider revokes the token.
func (r revocation) send(t *testing.T, known oauth.RevokeKind) bool {
	t.Helper()
	a := newAsker(t)
	a.client.RevokeKind = known
	a.Provider.Knows(a.client)
	body := strings.NewReader(r.body)
	request, err := http.NewRequest(r.method, a.client.RevokeEndpoint, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	if strings.HasPrefix(r.body, "{") {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.prepare != nil {
		r.prepare(request)
	}
	response, err := a.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	good := response.StatusCode == http.StatusOK
	if good != slices.Equal(a.Provider.Revoked(), []string{"RT"}) {
		t.Errorf("it answers %d, and keeps %q", response.StatusCode, a.Provider.Revoked())
	}
	return good
}

// The provider tells each kind of revocation from the others.
func TestProviderRevokes(t *testing.T) {
	t.Parallel()
	basic := func(r *http.Request) {
		r.SetBasicAuth(url.QueryEscape(ClientID), url.QueryEscape(ClientSecret))
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer RT") }
	const jsonCredentials = `"client_id":"` + ClientID + `","client_secret":"` + ClientSecret + `"`
	credentials := url.Values{"client_id": {ClientID}, "client_secret": {ClientSecret}}
	revocations := []revocation{
		{kind: oauth.RevokeForm, method: http.MethodPost, body: "token=RT&" + credentials.Encode()},
		{kind: oauth.RevokeFormWithoutClient, method: http.MethodPost, body: "token=RT"},
		{kind: oauth.RevokeBearer, method: http.MethodPost, prepare: bearer},
		{kind: oauth.RevokeDelete, method: http.MethodDelete, prepare: bearer},
		{kind: oauth.RevokeJSON, method: http.MethodPost, body: `{"token":"RT"}`, prepare: basic},
		{
			kind:   oauth.RevokeJSONWithClient,
			method: http.MethodPost,
			body:   `{"access_token":"RT",` + jsonCredentials + `}`,
		},
		{kind: oauth.RevokeGitHub, method: http.MethodDelete, body: `{"access_token":"RT"}`, prepare: basic},
	}
	for _, sent := range revocations {
		for _, known := range revocations {
			t.Run(string(sent.kind)+" to "+string(known.kind), func(t *testing.T) {
				t.Parallel()
				if revokes := sent.send(t, known.kind); revokes != (sent.kind == known.kind) {
					t.Errorf("the provider revokes the token: %t", revokes)
				}
			})
		}
	}
}
