package oauth

import (
	"strings"
	"testing"
)

// A host is one of the list, byte for byte, or one that a tenant's name makes of the preset's.
func TestAPIOrigin(t *testing.T) {
	t.Parallel()
	on := []string{APIHostsOfPreset}
	for name, test := range map[string]struct {
		provider, tenant string
		hosts            []string
		host, want       string // blank: it may not be called
	}{
		"listed": {
			hosts: []string{"a.example", "b.example"}, host: "b.example",
			want: "https://b.example",
		},
		"not listed": {hosts: []string{"a.example"}, host: "b.example"},
		"none":       {host: "a.example"},
		"blank":      {hosts: []string{"a.example"}},
		"with its port": {
			hosts: []string{"a.example:8443"}, host: "a.example:8443",
			want: "https://a.example:8443",
		},
		"another port": {hosts: []string{"a.example"}, host: "a.example:8443"},
		"the default port": {
			hosts: []string{"a.example:443"}, host: "a.example",
			want: "https://a.example",
		},
		"localhost": {
			hosts: []string{"http://localhost:3000"}, host: "localhost:3000",
			want: "http://localhost:3000",
		},
		"localhost with TLS": {
			hosts: []string{"localhost:3000"}, host: "localhost:3000",
			want: "https://localhost:3000",
		},
		"in capitals": {hosts: []string{"a.example"}, host: "A.example"},
		"with a dot":  {hosts: []string{"a.example"}, host: "a.example."},
		"below it":    {hosts: []string{"a.example"}, host: "x.a.example"},
		"the scheme":  {hosts: []string{"http://localhost"}, host: "http://localhost"},
		"the preset's": {
			provider: "notion", hosts: on, host: "api.notion.com",
			want: "https://api.notion.com",
		},
		"beside the preset's": {
			provider: "notion", hosts: []string{"on", "a.example"}, host: "a.example",
			want: "https://a.example",
		},
		"not the preset's": {provider: "notion", hosts: on, host: "www.notion.com"},
		"its tenant": {
			provider: "shopify", tenant: "mine", hosts: on, host: "mine.myshopify.com",
			want: "https://mine.myshopify.com",
		},
		"another tenant": {provider: "shopify", tenant: "mine", hosts: on, host: "yours.myshopify.com"},
		"any tenant": {
			provider: "shopify", hosts: on, host: "yours.myshopify.com", want: "https://yours.myshopify.com",
		},
		"no tenant":       {provider: "shopify", hosts: on, host: ".myshopify.com"},
		"two labels":      {provider: "shopify", hosts: on, host: "a.b.myshopify.com"},
		"another site":    {provider: "shopify", hosts: on, host: "evil.example/.myshopify.com"},
		"the placeholder": {provider: "shopify", hosts: on, host: "{shop}.myshopify.com"},
		"a server": {
			provider: "mastodon", tenant: "a.example:8443", hosts: on, host: "a.example:8443",
			want: "https://a.example:8443",
		},
		"another server": {provider: "mastodon", tenant: "a.example", hosts: on, host: "b.example"},
		"a server's path": {
			provider: "keycloak", tenant: "sso.example/realms/a", hosts: on, host: "sso.example",
			want: "https://sso.example",
		},
		"a server right here": {
			provider: "mastodon", tenant: "localhost:3000", hosts: on, host: "localhost:3000",
			want: "http://localhost:3000",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := Client{Provider: test.provider, Tenant: test.tenant, APIHosts: test.hosts}.Complete()
			origin, found := client.APIOrigin(test.host)
			if origin != test.want || found != (test.want != "") {
				t.Errorf("got %q, %t", origin, found)
			}
		})
	}
}

// The list has hosts as they stand in addresses. Only localhost may be without TLS.
func TestAPIHostsAreValidated(t *testing.T) {
	t.Parallel()
	for entry, valid := range map[string]bool{
		"api.example": true, "api.example:8443": true, "http://localhost:3000": true, "localhost:3000": true,
		"192.0.2.1": true, "[2001:db8::1]:443": true, "xn--bcher-kva.example": true,
		"https://api.example": true, // as people write it; what counts is the host
		"on":                  false, "api.example/v1": false, "*.example": false, "API.example": false,
		"api.example.":     false,
		"user@api.example": false, "api.example?": false, "api.example#": false, "b\u00fccher.example": false,
		"0x7f000001": false, "127.1": false, "api.example:0": false, "api.example:99999": false,
		"http://api.example": false, "http://localhost.example": false, "http://127.0.0.1": false,
		"http://localhost@evil.example": false, "ftp://api.example": false, "{shop}.example": false,
	} {
		client := Client{APIHosts: []string{entry}}.Complete()
		var errs FieldErrors
		client.validateAPIHosts(&errs)
		if (len(errs) == 0) != valid {
			t.Errorf("%s: %v", entry, errs)
		}
		if len(errs) > 0 && strings.Contains(errs[0].Fix, entry) && entry != "on" {
			t.Errorf("%s is repeated: %s", entry, errs[0].Fix)
		}
	}
}

// A service that others use calls nothing of its own machine for them.
func TestAPIHostsOfThisMachine(t *testing.T) {
	t.Parallel()
	for _, redirectURI := range []string{
		"http://localhost:8787/redirect", "http://127.0.0.1:8787/redirect",
		"https://backend.example/redirect", "https://localhost.backend.example/redirect",
		"http://192.0.2.1/redirect",
	} {
		isDeveloped := strings.HasPrefix(redirectURI, "http://localhost") ||
			strings.HasPrefix(redirectURI, "http://127.")
		for _, host := range []string{
			"http://localhost:3000", "localhost", "localhost:2379", "api.localhost", "127.0.0.1",
			"127.9.9.9:1",
		} {
			client := validClient(func(c *Client) {
				c.RedirectURI, c.APIHosts = redirectURI, []string{"api.example", host}
			})
			errs := client.Validate()
			if isDeveloped != (len(errs) == 0) {
				t.Errorf("%s at %s: %v", host, redirectURI, errs)
			}
			for _, err := range errs {
				if !strings.Contains(err.Error(), "development") {
					t.Errorf("%s at %s: %v", host, redirectURI, err)
				}
			}
		}
	}
}

// Whatever is asked for, only hosts of the list are called, under the scheme that they have there.
func FuzzAPIOrigin(f *testing.F) {
	client := Client{APIHosts: []string{"api.example", "http://localhost:3000"}}.Complete()
	for _, host := range []string{
		"api.example", "localhost:3000", "API.example", "api.example.", "api.example:443", "api.example@x",
		"api.example%2f", "api.example\\", "x.api.example", "http://localhost:3000", "[::1]",
	} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		origin, found := client.APIOrigin(host)
		want := map[string]string{
			"api.example": "https://api.example", "localhost:3000": "http://localhost:3000",
		}[host]
		if origin != want || found != (want != "") {
			t.Errorf("%q is called at %q", host, origin)
		}
	})
}

// What is said of an API stays true where the preset knows less of it.
func TestDescribeAPI(t *testing.T) {
	t.Parallel()
	const (
		mayNot  = " Browsers may not call it, so a plugin's page needs /fetch for its calls."
		unknown = " Whether browsers may call it is not known. If they may not, a plugin's page needs " +
			"/fetch for its calls."
		elsewhere = "Its API has another host for each customer, or it is not known which."
	)
	one := []string{"a.example", "b.example:8443"}
	for want, preset := range map[string]Preset{
		"Its API is at a.example, b.example:8443. Browsers may call it.": {CORS: CORSYes, APIHosts: one},
		"Its API is at a.example, b.example:8443." + mayNot:              {CORS: CORSNo, APIHosts: one},
		"Its API is at a.example, b.example:8443." + unknown:             {APIHosts: one},
		elsewhere + " Browsers may call it.":                             {CORS: CORSYes},
		elsewhere + mayNot:                                               {CORS: CORSNo},
		"The hosts of its API are not known." + unknown:                  {},
	} {
		if got := preset.DescribeAPI(); got != want {
			t.Errorf("%+v: %s", preset, got)
		}
	}
}
