package oauth

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// A code is redeemed at the data centre that the redirect names, and a refresh token at the one that the
// plugin names. No host but those of the preset gets the client secret.
func TestRegions(t *testing.T) {
	t.Parallel()
	type params = map[string]string
	for name, test := range map[string]struct {
		own, named string // the tenant of the client, and of the request
		redirect   params
		want       string // the hosts of the code and of the refresh; blank: no code is sent
	}{
		"default":       {want: "accounts.zoho.com accounts.zoho.com"},
		"redirect":      {redirect: params{"location": "eu"}, want: "accounts.zoho.eu accounts.zoho.com"},
		"plugin":        {named: "in", want: "accounts.zoho.in accounts.zoho.in"},
		"admin":         {own: "ca", want: "accounts.zohocloud.ca accounts.zohocloud.ca"},
		"plugin, admin": {own: "ca", named: "jp", want: "accounts.zoho.jp accounts.zoho.jp"},
		"redirect, plugin": {
			named: "in", redirect: params{"location": "eu"}, want: "accounts.zoho.eu accounts.zoho.in",
		},
		"address": {
			redirect: params{"location": "us", "accounts-server": "https://accounts.zoho.com.au"},
			want:     "accounts.zoho.com.au accounts.zoho.com",
		},
		"address with a slash": {
			redirect: params{"accounts-server": "https://accounts.zoho.eu/"},
			want:     "accounts.zoho.eu accounts.zoho.com",
		},
		"another location": {redirect: params{"location": "evil"}},
		"another address":  {redirect: params{"accounts-server": "https://evil.example"}},
		"a host like it":   {redirect: params{"accounts-server": "https://accounts.zoho.eu.evil.example"}},
		"in the clear":     {redirect: params{"accounts-server": "http://accounts.zoho.eu"}},
		"an address in it": {redirect: params{"accounts-server": "https://accounts.zoho.eu@evil.example"}},
		"address and a place": {
			redirect: params{"location": "eu", "accounts-server": "https://evil.example"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hosts []string
			endpoint := Endpoint{HTTP: &http.Client{Transport: transport(
				func(r *http.Request) (*http.Response, error) {
					hosts = append(hosts, r.URL.Host)
					if r.URL.Scheme != "https" || r.URL.Path != "/oauth/v2/token" {
						t.Errorf("it asks %s", r.URL)
					}
					body := io.NopCloser(strings.NewReader(`{"access_token":"x"}`))
					return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
				})}}
			client := Client{
				Provider: "zoho", Tenant: test.own, ClientID: "id", ClientSecret: "s", Scope: "a",
				RedirectURI: "https://backend.example/redirect",
			}.Complete()
			if errs := client.Validate(); len(errs) > 0 {
				t.Fatal(errs)
			}
			filled, err := client.ForTenant(test.named)
			if err != nil {
				t.Fatal(err)
			}
			grant := CodeGrant{Code: "c", Verifier: "v", RedirectParams: test.redirect}
			_, err = endpoint.Exchange(t.Context(), filled, grant)
			if (err == nil) != (test.want != "") {
				t.Errorf("got %v", err)
			}
			if test.want == "" {
				if len(hosts) > 0 || strings.Contains(fmt.Sprint(err), "evil") {
					t.Errorf("it asks %s: %v", hosts, err)
				}
				return
			}
			if _, err := endpoint.Refresh(t.Context(), filled, "RT"); err != nil {
				t.Error(err)
			}
			if got := strings.Join(hosts, " "); got != test.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// Nobody names a data centre that is none, and the redirect's parameters are kept until the exchange.
func TestRegionNames(t *testing.T) {
	t.Parallel()
	client := Client{Provider: "zoho"}.Complete()
	for _, name := range []string{"evil.example", "EU", "accounts.zoho.eu"} {
		if filled, err := client.ForTenant(name); err == nil {
			t.Errorf("%s leads to %s", name, filled.TokenEndpoint)
		}
		wrong := Client{Provider: "zoho", Tenant: name}.Complete()
		errs := tenantErrors(&wrong)
		if len(errs) != 1 || errs[0].Fix != "must be one of ae, au, ca, cn, eu, in, jp, sa, uk, us" {
			t.Errorf("%s: %v", name, errs)
		}
	}
	filled, err := client.ForTenant("")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(filled.RedirectParamNames()); got != "[accounts-server location]" {
		t.Errorf("it keeps %s", got)
	}
	own := Client{Provider: "zoho", TokenEndpoint: "https://accounts.zoho.eu/oauth/v2/token"}.Complete()
	if own.OpenTenant() != nil {
		t.Error("an endpoint of the admin's own moves")
	}
	likely, found := (&Client{TokenEndpoint: own.TokenEndpoint}).LikelyPreset()
	if !found || likely.Name != "zoho" {
		t.Errorf("its preset is %q", likely.Name)
	}
}
