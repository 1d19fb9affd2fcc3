package oauth_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/internal/testkit"
)

// verifier is the code verifier of all tests.
var verifier = oauth2.GenerateVerifier()

// fixture is a client with a provider of its own, which refuses every deviation.
type fixture struct {
	*testkit.Backend

	client   oauth.Client
	endpoint *oauth.Endpoint
}

// newFixture changes the client, and completes it then.
func newFixture(t *testing.T, change func(*oauth.Client)) *fixture {
	t.Helper()
	b := testkit.NewBackend(t, "https://backend.example")
	client := b.Provider.Client(b.URL)
	if change != nil {
		change(&client)
	}
	client = client.Complete()
	b.Provider.Knows(client)
	return &fixture{
		Backend:  b,
		client:   client,
		endpoint: &oauth.Endpoint{HTTP: oauth.NewHTTPClient(oauth.DefaultTimeout)},
	}
}

// grant signs in at the provider, and returns what the code is redeemed with.
func (f *fixture) grant() oauth.CodeGrant {
	f.T.Helper()
	request := oauth.AuthorizationRequest{State: "state", Verifier: verifier}
	authorizationURL, err := url.Parse(f.client.AuthorizationURL(request))
	if err != nil {
		f.T.Fatal(err)
	}
	callback, err := url.Parse(f.Agree(authorizationURL))
	if err != nil {
		f.T.Fatal(err)
	}
	if state := callback.Query().Get("state"); state != "state" {
		f.T.Errorf("the provider sends the state %q back", state)
	}
	params := map[string]string{}
	for name := range callback.Query() {
		params[name] = callback.Query().Get(name)
	}
	return oauth.CodeGrant{Code: params["code"], Verifier: verifier, RedirectParams: params}
}

// answersWith sets how the provider answers valid requests.
func (f *fixture) answersWith(status int, body string) {
	f.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// exchange redeems a new code. Neither the code nor the secret may be quoted by the error.
func (f *fixture) exchange() ([]byte, error) {
	f.T.Helper()
	grant := f.grant()
	tokens, err := f.endpoint.Exchange(f.T.Context(), &f.client, grant)
	expectNoSecret(f.T, err, grant.Code, grant.Verifier)
	return tokens, err
}

// expectNoSecret checks that an error quotes no secret, encoded or not. HIDDEN stands for what a provider
// says.
func expectNoSecret(t testing.TB, err error, secrets ...string) {
	t.Helper()
	if err == nil {
		return
	}
	text := err.Error()
	if got, ok := errors.AsType[*oauth.Error](err); ok {
		text += got.Code + got.Meaning.ForPerson()
	}
	for _, secret := range append(secrets, "HIDDEN", testkit.ClientSecret) {
		if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
			t.Errorf("it quotes %s: %s", secret, text)
		}
	}
}

// wanted is what an error must be.
type wanted struct {
	code   string
	status int
	means  oauth.Meaning
}

func (w wanted) expect(t testing.TB, err error) {
	t.Helper()
	got, ok := errors.AsType[*oauth.Error](err)
	if !ok || got.Code != w.code || got.Status != w.status || got.Meaning != w.means || got.Cause == nil {
		t.Errorf("got %#v, want %+v", err, w)
	}
}

// unreachable is the error of a provider that gave no answer, or an incomplete one.
var unreachable = wanted{code: "temporarily_unavailable", means: oauth.Unreachable}

// shortTimeout is only for providers that never answer.
const shortTimeout = 100 * time.Millisecond
