package oauth

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// validClient returns a valid client, with a change.
func validClient(change func(*Client)) Client {
	client := Client{
		ClientID: "id", ClientSecret: "secret", RedirectURI: "https://backend.example/redirect",
		AuthorizeEndpoint: "https://p.example/authorize", TokenEndpoint: "https://p.example/token",
	}
	change(&client)
	return client.Complete()
}

func TestValidate(t *testing.T) {
	t.Parallel()
	preset := func(name string) func(*Client) {
		return func(c *Client) { c.Provider, c.AuthorizeEndpoint, c.TokenEndpoint = name, "", "" }
	}
	for name, test := range map[string]struct {
		change func(*Client)
		want   string // the start of each error, one a line; blank: it is valid
	}{
		"valid":            {change: func(*Client) {}},
		"valid preset":     {change: preset("github")},
		"no redirect URI":  {change: func(c *Client) { c.RedirectURI = "" }}, // which is left to the caller
		"loopback address": {change: func(c *Client) { c.TokenEndpoint = "http://127.0.0.1:1/token" }},
		"loopback addresses": {change: func(c *Client) {
			c.AuthorizeEndpoint, c.TokenEndpoint = "http://localhost:1/a", "http://[::1]:1/token"
			c.RevokeEndpoint = "http://provider.LOCALHOST/revoke"
		}},
		"not encrypted": {
			change: func(c *Client) {
				c.AuthorizeEndpoint = "http://p.example/a"
				c.TokenEndpoint, c.RevokeEndpoint = "http://localhost.p.example/", "http://10.0.0.1/revoke"
			},
			want: "authorizeEndpoint must start with https://, since secrets are sent there.\n" +
				"tokenEndpoint must start with https://\nrevokeEndpoint must start with https://",
		},
		"not encrypted, but allowed": {change: func(c *Client) {
			c.AllowHTTP = true
			c.AuthorizeEndpoint, c.TokenEndpoint = "http://p.example/a", "http://p.example/token"
			c.RevokeEndpoint = "http://10.0.0.1/revoke"
		}},
		"an issuer is only compared": {change: func(c *Client) { c.Issuer = "http://p.example" }},
		"blank": {
			change: func(c *Client) { *c = Client{} },
			want: "clientId must be set; the provider's developer console\n" +
				"clientSecret must be set; the provider's developer console\n" +
				"authorizeEndpoint must be set; the provider's documentation\n" +
				"tokenEndpoint must be set; the provider's documentation",
		},
		"unknown provider": {
			change: preset("netflix"),
			want:   "provider must be one that the command plugin-oauth providers lists",
		},
		"provider that is similar": {
			change: preset("githubb"),
			want: "provider must be one that the command plugin-oauth providers lists; " +
				"did you mean github?",
		},
		"client ID":     {change: func(c *Client) { c.ClientID = "" }, want: "clientId must be set"},
		"client secret": {change: func(c *Client) { c.ClientSecret = "" }, want: "clientSecret must be set"},
		"redirect URI": {
			change: func(c *Client) { c.RedirectURI = "backend.example/redirect" },
			want:   "redirectUri must be an absolute URL that starts with https:// or http://",
		},
		"endpoint without host": {
			change: func(c *Client) { c.TokenEndpoint = "https://:443/token" },
			want:   "tokenEndpoint must be an absolute URL",
		},
		"endpoint with another scheme": {
			change: func(c *Client) { c.RevokeEndpoint = "ftp://p.example" },
			want:   "revokeEndpoint must be an absolute URL",
		},
		"endpoint with a fragment": {
			change: func(c *Client) { c.AuthorizeEndpoint = "https://p.example/#" },
			want:   "authorizeEndpoint must have neither a fragment (#) nor a user name",
		},
		"endpoint with a user": {
			change: func(c *Client) { c.TokenEndpoint = "https://HIDDEN@p.example/" },
			want:   "tokenEndpoint must have neither a fragment (#) nor a user name",
		},
		"endpoint with a placeholder": {
			change: func(c *Client) { c.TokenEndpoint = "https://{shop}.example/token" },
			want:   "tokenEndpoint must not hold a placeholder",
		},
		"revocation with a placeholder": {
			change: func(c *Client) { c.RevokeEndpoint = "https://p.example/{client_id}" },
			want:   "revokeEndpoint must not hold a placeholder",
		},
		"endpoint with a reserved parameter": {
			change: func(c *Client) { c.AuthorizeEndpoint = "https://p.example/?state=1" },
			want:   "authorizeEndpoint must not carry state, which plugin-oauth adds by itself",
		},
		"issuer": {change: func(c *Client) { c.Issuer = "provider" }, want: "issuer must be an absolute URL"},
		"params with a reserved parameter": {
			change: func(c *Client) { c.AuthorizeParams = "client_id=1" },
			want:   "authorizeParams must not carry client_id, which plugin-oauth adds by itself",
		},
		"params with a semicolon": {
			change: func(c *Client) { c.AuthorizeParams = "a;b" },
			want:   "authorizeParams must be a query string",
		},
		"params with a fragment": {
			change: func(c *Client) { c.AuthorizeParams = "a=b#c" },
			want:   "authorizeParams must be a query string",
		},
		"params with a space": {
			change: func(c *Client) { c.AuthorizeParams = "a=b c" },
			want:   "authorizeParams must be a query string",
		},
		"params with an umlaut": {
			change: func(c *Client) { c.AuthorizeParams = "a=ü" },
			want:   "authorizeParams must be a query string",
		},
		"params twice": {
			change: func(c *Client) { c.AuthorizeParams = "a=b&a=c" },
			want:   "authorizeParams must not carry a parameter twice",
		},
		"params in the endpoint too": {
			change: func(c *Client) { c.AuthorizeEndpoint += "?a=b"; c.AuthorizeParams = "a=c" },
			want:   "authorizeParams must not carry a parameter twice, here and in the endpoint included",
		},
		"token auth": {
			change: func(c *Client) { c.TokenAuth = "header" },
			want:   "tokenAuth must be body, basic, basic-secret or none",
		},
		"PKCE": {change: func(c *Client) { c.PKCE = "plain" }, want: "pkce must be on or off"},
		"tenant without a placeholder": {
			change: func(c *Client) { c.Tenant = "mine" },
			want:   "tenant must be blank: the endpoints have no placeholder for it",
		},
		"tenant that must be set": {
			change: preset("auth0"), want: "tenant must be set to yours, such as ",
		},
		"tenant that is malformed": {
			change: func(c *Client) { preset("auth0")(c); c.Tenant = "a.b" },
			want:   "tenant must be only the name, such as ",
		},
		"tenant that a request names": {change: preset("shopify")},
		"two errors of one field": {
			change: func(c *Client) { c.AuthorizeParams = "state=1&state=2&client_id=a b" },
			want:   "authorizeParams must be a query string",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := validClient(test.change)
			expectFieldErrors(t, client.Validate(), test.want)
		})
	}
}

// expectFieldErrors compares errors with their starts, one a line.
func expectFieldErrors(t *testing.T, errs []FieldError, want string) {
	t.Helper()
	starts := slices.DeleteFunc(strings.Split(want, "\n"), func(line string) bool { return line == "" })
	if len(errs) != len(starts) {
		t.Fatalf("got %v, not %q", errs, starts)
	}
	fields := FieldErrors{}
	for i, err := range errs {
		text := err.Error()
		if !strings.HasPrefix(text, starts[i]) || !strings.HasPrefix(err.Fix, "must ") {
			t.Errorf("got %q, not %q", text, starts[i])
		}
		if strings.Contains(text, "HIDDEN") || fields.Has(err.Field) {
			t.Errorf("it quotes a value, or is the field's second: %q", text)
		}
		fields.Check(err.Field, false, err.Fix)
	}
}

// The first error of a field is the one that a person reads.
func TestFieldErrors(t *testing.T) {
	t.Parallel()
	var errs FieldErrors
	errs.Check("a", true, "must not be said")
	errs.Check("a", false, "must be first")
	errs.Check("a", false, "must be second")
	errs.Check("b", false, "must be set")
	want := FieldErrors{{Field: "a", Fix: "must be first"}, {Field: "b", Fix: "must be set"}}
	if !slices.Equal(errs, want) {
		t.Errorf("got %v", errs)
	}
	if !errs.Has("b") || errs.Has("c") {
		t.Error("it does not know which fields have an error")
	}
}

func TestParseAbsoluteURL(t *testing.T) {
	t.Parallel()
	for value, good := range map[string]bool{
		"https://p.example": true, "http://127.0.0.1:8090/a?b=c": true, "https://[::1]/": true,
		"": false, "/authorize": false, "p.example/token": false, "https://": false, "https://:443/": false,
		"ftp://p.example": false, "javascript:alert(1)": false, "https://p.example/#": false,
		"https://p.example/#HIDDEN": false, "https://HIDDEN:HIDDEN@p.example/": false,
		"https://p.example/%zz": false, "https://p.example/\n": false,
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			u, err := ParseAbsoluteURL(value)
			if (err == nil) != good || (u == nil) == good {
				t.Fatalf("got %v, %v", u, err)
			}
			if good {
				return
			}
			if fix := err.Error(); !strings.HasPrefix(fix, "must ") || strings.Contains(fix, "HIDDEN") {
				t.Errorf("the error is %q", fix)
			}
		})
	}
}

// Whoever names a tenant cannot lead the client secret elsewhere.
func TestTenantNames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tenant         string
		inHost, inPath bool // whether it is valid as a shop, and as a directory
	}{
		"label":               {tenant: "my-store", inHost: true, inPath: true},
		"letter":              {tenant: "a", inHost: true, inPath: true},
		"UUID":                {tenant: "8eaef023-2b34-4da1-9baa-8bc8c9d6a490", inHost: true, inPath: true},
		"domain":              {tenant: "contoso.onmicrosoft.com", inPath: true},
		"host twice":          {tenant: "a.myshopify.com.myshopify.com", inPath: true},
		"longest label":       {tenant: strings.Repeat("a", 63), inHost: true, inPath: true},
		"too long a label":    {tenant: strings.Repeat("a", 64), inPath: true},
		"too long":            {tenant: strings.Repeat("a", 256)},
		"domain only":         {tenant: ".myshopify.com"},
		"slash":               {tenant: "evil.example/"},
		"fragment":            {tenant: "evil.example#"},
		"query":               {tenant: "evil.example?"},
		"user":                {tenant: "x@evil.example"},
		"port":                {tenant: "evil:80"},
		"path":                {tenant: "a/b"},
		"backslash":           {tenant: `a\b`},
		"parent folder":       {tenant: ".."},
		"folder":              {tenant: "."},
		"hyphen":              {tenant: "-"},
		"space":               {tenant: "a b"},
		"umlaut":              {tenant: "ä"},
		"encoded":             {tenant: "a%2fb"},
		"another placeholder": {tenant: "{shop}"},
		"line break":          {tenant: "a\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expectTenant(t, Client{Provider: "shopify"}, test.tenant, test.inHost)
			expectTenant(t, Client{Provider: "microsoft"}, test.tenant, test.inPath)
		})
	}
}

func expectTenant(t *testing.T, entered Client, tenant string, good bool) {
	t.Helper()
	client := entered.Complete()
	filled, err := client.ForTenant(tenant)
	if (err == nil) != good {
		t.Fatalf("%s: got %v", client.Provider, err)
	}
	if err != nil {
		got, ok := errors.AsType[*TenantError](err)
		if !ok || got.Parameter != client.OpenTenant().Name || got.Reason != "This one is malformed." {
			t.Errorf("got %#v", err)
		}
		return
	}
	if !strings.Contains(filled.TokenEndpoint, tenant) || filled.Tenant != tenant {
		t.Errorf("%s: it asks %s, as %s", client.Provider, filled.TokenEndpoint, filled.Tenant)
	}
	if filled.OpenTenant() != nil {
		t.Error("a placeholder is left")
	}
	if client.OpenTenant() == nil || client.Tenant != "" {
		t.Error("the client itself was changed")
	}
}

// The client's own tenant is the only one that a request can name. Without one, the request's counts, or else
// the preset's default.
func TestForTenant(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		client Client
		named  string
		want   string // the token endpoint, or the text of the error
	}{
		"without a placeholder": {
			client: Client{TokenEndpoint: "https://p.example/token"}, named: "a/b",
			want: "https://p.example/token",
		},
		"default": {
			client: Client{Provider: "microsoft"},
			want:   "https://login.microsoftonline.com/common/oauth2/v2.0/token",
		},
		"named": {
			client: Client{Provider: "microsoft"}, named: "contoso",
			want: "https://login.microsoftonline.com/contoso/oauth2/v2.0/token",
		},
		"missing": {
			client: Client{Provider: "shopify"},
			want:   "The plugin must send shop=my-store, with the right name. It is missing.",
		},
		"malformed": {
			client: Client{Provider: "shopify"}, named: "a/b",
			want: "The plugin must send shop=my-store, with the right name. This one is malformed.",
		},
		"own":               {client: ownShop, want: ownShopEndpoint},
		"own, named":        {client: ownShop, named: "mine", want: ownShopEndpoint},
		"own, as a host":    {client: ownShop, named: "mine.myshopify.com", want: ownShopEndpoint},
		"another's":         {client: ownShop, named: "other", want: notOwnShop},
		"another's, a host": {client: ownShop, named: "other.myshopify.com", want: notOwnShop},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := test.client.Complete()
			filled, err := client.ForTenant(test.named)
			got := ""
			if err == nil {
				got = filled.TokenEndpoint
			} else {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, not %q", got, test.want)
			}
		})
	}
}

// ownShop is a client of one shop, which is written as a whole host, as people do.
var ownShop = Client{Provider: "shopify", Tenant: "mine.myshopify.com"}

const (
	ownShopEndpoint = "https://mine.myshopify.com/admin/oauth/access_token"
	notOwnShop      = "The plugin must send shop=my-store, with the right name. " +
		"This plugin is for another one."
)

// Whatever a tenant is called, the endpoints stay those of the preset: https, its host, its path.
func FuzzTenant(f *testing.F) {
	for _, name := range []string{
		"my-store", "a.b", "a/b", "..", "x@evil.example", "a#", "a?", "{shop}", "", "a\n", "%2e",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for provider, want := range map[string]string{
			"shopify":   ".myshopify.com/admin/oauth/access_token",
			"zendesk":   ".zendesk.com/oauth/tokens",
			"microsoft": "/oauth2/v2.0/token",
		} {
			client := Client{Provider: provider}.Complete()
			filled, err := client.ForTenant(name)
			if err != nil {
				continue
			}
			u, err := url.Parse(filled.TokenEndpoint)
			if err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
				t.Fatalf("%q leads to %s: %v", name, filled.TokenEndpoint, err)
			}
			if !strings.HasSuffix(u.Host+u.EscapedPath(), want) || strings.Contains(u.Path, "..") {
				t.Fatalf("%q leads to %s", name, filled.TokenEndpoint)
			}
			if provider == "microsoft" && u.Host != "login.microsoftonline.com" {
				t.Fatalf("%q leads to %s", name, u.Host)
			}
		}
	})
}
