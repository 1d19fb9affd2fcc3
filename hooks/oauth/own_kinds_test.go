package oauth

import (
	"cmp"
	"crypto/elliptic"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// documented are the requests that the documentation of a provider asks for, as describe writes them, where
// the provider departs from the RFCs.
var documented = map[string]struct {
	tenant   string
	redirect map[string]string // beside code and state
	toPlugin string            // what the plugin gets of it; blank: nothing
	answer   string            // of the token endpoint; blank: one with a token
	login    string
	exchange []string
	refresh  []string
	revoke   []string
}{
	"apple": {
		redirect: map[string]string{"user": `{"email":"a@b"}`},
		toPlugin: `{"user":"{\"email\":\"a@b\"}"}`,
		login: "GET https://appleid.apple.com/auth/authorize ?client_id code_challenge " +
			"code_challenge_method=S256 redirect_uri response_mode=form_post response_type=code scope state",
		exchange: []string{"POST https://appleid.apple.com/auth/token form client_id client_secret=JWT code " +
			"code_verifier grant_type=authorization_code redirect_uri"},
		refresh: []string{"POST https://appleid.apple.com/auth/token form client_id client_secret=JWT " +
			"grant_type=refresh_token refresh_token"},
		revoke: []string{"POST https://appleid.apple.com/auth/revoke form client_id client_secret=JWT token " +
			"token_type_hint=access_token"},
	},
	"bigcommerce": {
		redirect: map[string]string{
			"context": "stores/abc", "scope": "read", "account_uuid": "12345678-90ab-cdef-1234-567890abcdef",
		},
		login: "GET https://login.bigcommerce.com/oauth2/authorize ?client_id redirect_uri " +
			"response_type=code scope state",
		exchange: []string{"POST https://login.bigcommerce.com/oauth2/token form client_id client_secret " +
			"code context=stores/abc grant_type=authorization_code redirect_uri scope=read"},
	},
	"ebay": {
		login: "GET https://auth.ebay.com/oauth2/authorize ?client_id redirect_uri=RuName " +
			"response_type=code scope state",
		exchange: []string{"POST https://api.ebay.com/identity/v1/oauth2/token Basic form code " +
			"grant_type=authorization_code redirect_uri=RuName"},
		refresh: []string{"POST https://api.ebay.com/identity/v1/oauth2/token Basic form " +
			"grant_type=refresh_token refresh_token"},
	},
	"facebook": {
		login: "GET https://www.facebook.com/dialog/oauth ?client_id redirect_uri response_type=code scope state",
		exchange: []string{
			"POST https://graph.facebook.com/oauth/access_token form client_id client_secret code " +
				"grant_type=authorization_code redirect_uri",
			"GET https://graph.facebook.com/oauth/access_token ?client_id client_secret fb_exchange_token=AT " +
				"grant_type=fb_exchange_token",
		},
		refresh: []string{"GET https://graph.facebook.com/oauth/access_token ?client_id client_secret " +
			"fb_exchange_token=RT grant_type=fb_exchange_token"},
	},
	"instagram": {
		answer: `{"data":[{"access_token":"AT","user_id":"1"}]}`,
		login: "GET https://www.instagram.com/oauth/authorize ?client_id code_challenge " +
			"code_challenge_method=S256 redirect_uri response_type=code scope state",
		exchange: []string{
			"POST https://api.instagram.com/oauth/access_token form client_id client_secret code " +
				"code_verifier grant_type=authorization_code redirect_uri",
			"GET https://graph.instagram.com/access_token ?access_token=AT client_secret " +
				"grant_type=ig_exchange_token",
		},
		refresh: []string{"GET https://graph.instagram.com/refresh_access_token ?access_token=RT " +
			"grant_type=ig_refresh_token"},
	},
	"threads": {
		login: "GET https://www.threads.com/oauth/authorize ?client_id redirect_uri " +
			"response_type=code scope state",
		exchange: []string{
			"POST https://graph.threads.net/oauth/access_token form client_id client_secret code " +
				"grant_type=authorization_code redirect_uri",
			"GET https://graph.threads.net/access_token ?access_token=AT client_secret " +
				"grant_type=th_exchange_token",
		},
		refresh: []string{"GET https://graph.threads.net/refresh_access_token ?access_token=RT " +
			"grant_type=th_refresh_token"},
	},
	"quickbooks": {
		redirect: map[string]string{"realmId": "123"},
		toPlugin: `{"realmId":"123"}`,
		login: "GET https://appcenter.intuit.com/connect/oauth2 ?client_id redirect_uri response_type=code " +
			"scope state",
		exchange: []string{"POST https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer Basic form code " +
			"grant_type=authorization_code redirect_uri"},
		refresh: []string{"POST https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer Basic form " +
			"grant_type=refresh_token refresh_token"},
		revoke: []string{"POST https://developer.api.intuit.com/v2/oauth2/tokens/revoke Basic JSON token"},
	},
	"tiktok": {
		login: "GET https://www.tiktok.com/v2/auth/authorize/ ?client_key code_challenge=hexadecimal " +
			"code_challenge_method=S256 redirect_uri response_type=code scope state",
		exchange: []string{"POST https://open.tiktokapis.com/v2/oauth/token/ form client_key client_secret " +
			"code code_verifier grant_type=authorization_code redirect_uri"},
		refresh: []string{"POST https://open.tiktokapis.com/v2/oauth/token/ form client_key client_secret " +
			"grant_type=refresh_token refresh_token"},
		revoke: []string{"POST https://open.tiktokapis.com/v2/oauth/revoke/ form client_key client_secret " +
			"token token_type_hint=access_token"},
	},
	"zoho": {
		tenant:   "in",
		redirect: map[string]string{"location": "ae", "accounts-server": "https://accounts.zoho.ae"},
		toPlugin: `{"location":"ae"}`,
		login: "GET https://accounts.zoho.in/oauth/v2/auth ?access_type=offline client_id code_challenge " +
			"code_challenge_method=S256 prompt=consent redirect_uri response_type=code scope state",
		exchange: []string{"POST https://accounts.zoho.ae/oauth/v2/token form client_id client_secret code " +
			"code_verifier grant_type=authorization_code redirect_uri"},
		refresh: []string{"POST https://accounts.zoho.in/oauth/v2/token form client_id client_secret " +
			"grant_type=refresh_token refresh_token"},
		revoke: []string{"POST https://accounts.zoho.in/oauth/v2/token/revoke form token"},
	},
}

// shownValues are those that matter. Of other parameters only the names are written.
var shownValues = strings.Fields(`grant_type response_type response_mode access_type prompt context
	code_challenge_method fb_exchange_token access_token token_type_hint`)

// verifierSum is the SHA-256 sum of the verifier v, in hexadecimal digits.
const verifierSum = "4c94485e0c21ae6c41ce1dfe7b6bfaceea5ab68e40a2476f50208e526f506080"

// describe writes down a request: method, address, how the client authenticates, in what form, and the
// parameters.
func describe(t *testing.T, r *http.Request) string {
	t.Helper()
	params, form := r.URL.Query(), ""
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		params, form = readBody(t, body, r.Header.Get("Content-Type"))
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		value := params.Get(name)
		switch {
		case slices.Contains(shownValues, name), value == "RuName", name == "scope" && r.Body != nil:
			name += "=" + value
		case name == "client_secret" && strings.Count(value, ".") == 2:
			name += "=JWT"
		case name == "code_challenge" && value == verifierSum:
			name += "=hexadecimal"
		}
		names = append(names, name)
	}
	address := *r.URL
	address.RawQuery = ""
	words := []string{r.Method, address.String()}
	if scheme, _, found := strings.Cut(r.Header.Get("Authorization"), " "); found {
		words = append(words, scheme)
	}
	if form == "" {
		form = "?" + strings.Join(names, " ")
	} else {
		form += " " + strings.Join(names, " ")
	}
	return strings.Join(append(words, form), " ")
}

func readBody(t *testing.T, body []byte, contentType string) (params url.Values, form string) {
	t.Helper()
	if contentType == "application/json" {
		var members map[string]string
		if err := json.Unmarshal(body, &members); err != nil {
			t.Fatal(err)
		}
		params = url.Values{}
		for name, value := range members {
			params.Set(name, value)
		}
		return params, "JSON"
	}
	params, err := url.ParseQuery(string(body))
	if err != nil || contentType != "application/x-www-form-urlencoded" {
		t.Fatalf("the body is %s: %v", contentType, err)
	}
	return params, "form"
}

// recorder answers the requests of an [Endpoint], and writes them down.
type recorder struct {
	t      *testing.T
	answer string // to the first request; blank: one with a token
	sent   []string
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	answer := `{"access_token":"AT"}`
	if len(r.sent) == 0 {
		answer = cmp.Or(r.answer, answer)
	}
	r.sent = append(r.sent, describe(r.t, request))
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(answer))}, nil
}

// expect compares what was sent since the last time.
func (r *recorder) expect(what string, err error, want []string) {
	r.t.Helper()
	if err != nil || !slices.Equal(r.sent, want) {
		r.t.Errorf("%s: %v\n got %q\nwant %q", what, err, r.sent, want)
	}
	r.sent = nil
}

// Each request to the providers that depart from the RFCs is the one that their documentation asks for.
func TestDocumentedRequests(t *testing.T) {
	t.Parallel()
	for name, want := range documented {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorded := &recorder{t: t, answer: want.answer}
			endpoint := Endpoint{HTTP: &http.Client{Transport: recorded}}
			preset, _ := FindPreset(name)
			client, err := documentedClient(t, preset).ForTenant(want.tenant)
			if err != nil {
				t.Fatal(err)
			}
			request := AuthorizationRequest{State: "s", Verifier: "v"}
			login, err := http.NewRequest(http.MethodGet, client.AuthorizationURL(request), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(t, login); got != want.login {
				t.Errorf("login:\n got %q\nwant %q", got, want.login)
			}
			got := string(client.WithRedirectParams([]byte("{}"), want.redirect))
			if got != cmp.Or(want.toPlugin, "{}") {
				t.Errorf("the plugin gets %s of the redirect", got)
			}
			grant := CodeGrant{Code: "c", Verifier: "v", RedirectParams: want.redirect}
			_, err = endpoint.Exchange(t.Context(), client, grant)
			recorded.expect("exchange", err, want.exchange)
			if want.refresh != nil {
				_, err = endpoint.Refresh(t.Context(), client, "RT")
				recorded.expect("refresh", err, want.refresh)
			}
			if (client.RevokeEndpoint != "") != (want.revoke != nil) {
				t.Errorf("its revoke endpoint is %q", client.RevokeEndpoint)
			}
			if want.revoke != nil {
				err = endpoint.Revoke(t.Context(), client, Token{Value: "AT", TypeHint: "access_token"})
				recorded.expect("revoke", err, want.revoke)
			}
		})
	}
}

// documentedClient returns a valid client of a preset.
func documentedClient(t *testing.T, preset Preset) *Client {
	t.Helper()
	client := Client{
		Provider: preset.Name, ClientID: "id", ClientSecret: "secret", Scope: "read",
		RedirectURI: "https://backend.example/redirect",
	}
	if preset.RedirectName != "" {
		client.RedirectName = "RuName"
	}
	if preset.SignedSecret != nil {
		client.ClientSecret = p8(t, newKey(t, elliptic.P256()))
		client.TeamID, client.KeyID = "TEAM123456", "KEY1234567"
	}
	client = client.Complete()
	if errs := client.Validate(); len(errs) > 0 {
		t.Fatal(errs)
	}
	return &client
}
