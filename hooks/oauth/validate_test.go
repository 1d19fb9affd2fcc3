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
			want:   `provider must be one that the command plugin-oauth providers lists, not "netflix"`,
		},
		"provider that is similar": {
			change: preset("githubb"),
			want: `provider must be one that the command plugin-oauth providers lists, not "githubb"; did ` +
				`you mean github?`,
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
		"PKCE":          {change: func(c *Client) { c.PKCE = "plain" }, want: "pkce must be on or off"},
		"public client": {change: func(c *Client) { c.TokenAuth, c.ClientSecret = TokenAuthNone, "" }},
		"public client without PKCE": {
			change: func(c *Client) { c.TokenAuth, c.PKCE = TokenAuthNone, PKCEOff },
			want:   "pkce must be on: tokenAuth is none, and without a secret nothing else protects the code",
		},
		"public client whose tokens are lengthened": {
			change: func(c *Client) { c.TokenAuth, c.LongLived = TokenAuthNone, &LongLived{} },
			want:   "tokenAuth must not be none: the provider gives a long-lived token for the client secret",
		},
		"public client that revokes with its secret": {
			change: func(c *Client) { c.TokenAuth, c.RevokeKind = TokenAuthNone, RevokeJSONWithClient },
			want:   "revokeKind must be another: json-client sends the client secret",
		},
		"token format": {
			change: func(c *Client) { c.TokenFormat = "xml" }, want: "tokenFormat must be form or json",
		},
		"revoke kind": {
			change: func(c *Client) { c.RevokeKind = "put" },
			want:   "revokeKind must be rfc7009, token, bearer, json, json-client or delete",
		},
		"token params, one twice": {
			change: func(c *Client) { c.TokenParams = "resource=a&resource=b&x=https://a.example/%20" },
		},
		"token params of our own": {
			change: func(c *Client) { c.TokenParams = "a=b&client%5Fsecret=x" },
			want:   "tokenParams must not carry client_secret, which plugin-oauth adds by itself",
		},
		"token params with a code": {
			change: func(c *Client) { c.TokenParams = "code=x" }, want: "tokenParams must not carry code,",
		},
		"token params with the name that a provider has for the client": {
			change: func(c *Client) { c.TokenParams, c.ClientIDParam = "client_key=x", "client_key" },
			want:   "tokenParams must not carry client_key,",
		},
		"token params that are none": {
			change: func(c *Client) { c.TokenParams = "a b" },
			want:   "tokenParams must be a query string such as resource=https://api.example",
		},
		"token params without a name": {
			change: func(c *Client) { c.TokenParams = "=x" }, want: "tokenParams must be a query string",
		},
		"redirect params": {change: func(c *Client) {
			c.RedirectParams = []string{"realmId", "scope", "iss"}
		}},
		"redirect params with a code": {
			change: func(c *Client) { c.RedirectParams = []string{"realmId", "code"} },
			want:   "redirectParams must not name code, which is not for the plugin",
		},
		"redirect params with a state": {
			change: func(c *Client) { c.RedirectParams = []string{"state"} },
			want:   "redirectParams must not name state,",
		},
		"redirect params with a token": {
			change: func(c *Client) { c.RedirectParams = []string{"refresh_token"} },
			want:   "redirectParams must not name refresh_token,",
		},
		"redirect params that are none": {
			change: func(c *Client) { c.RedirectParams = []string{"realmId", "HIDDEN=1"} },
			want: "redirectParams must be names of parameters such as realmId, with commas between; " +
				"number 2 is none",
		},
		"redirect params with a long one": {
			change: func(c *Client) {
				c.RedirectParams = []string{strings.Repeat("a", 64), strings.Repeat("a", 65)}
			},
			want: "redirectParams must be names of parameters such as realmId, with commas between; " +
				"number 2 is none",
		},
		"redirect params twice": {
			change: func(c *Client) { c.RedirectParams = []string{"a", "a"} },
			want:   "redirectParams must name each parameter once; number 2 is there already",
		},
		"login params": {change: func(c *Client) {
			c.LoginParams, c.Scope = []string{"prompt", "login_hint", "scope"}, "a"
		}},
		"login params of our own": {
			change: func(c *Client) { c.LoginParams = []string{"prompt", "redirect_uri"} },
			want:   "loginParams must not name redirect_uri, which only plugin-oauth may send",
		},
		"login params with a state": {
			change: func(c *Client) { c.LoginParams = []string{"state"} },
			want:   "loginParams must not name state,",
		},
		"login params with a challenge": {
			change: func(c *Client) { c.LoginParams = []string{"code_challenge"} },
			want:   "loginParams must not name code_challenge,",
		},
		"login params with a request object": {
			change: func(c *Client) { c.LoginParams = []string{"request_uri"} },
			want:   "loginParams must not name request_uri,",
		},
		"login params with the name that a provider has for the client": {
			change: func(c *Client) { c.LoginParams, c.ClientIDParam = []string{"client_key"}, "client_key" },
			want:   "loginParams must not name client_key,",
		},
		"login params that the endpoint has": {
			change: func(c *Client) { c.LoginParams = []string{"a"}; c.AuthorizeEndpoint += "?a=b" },
			want:   "loginParams must not name a, which the authorization endpoint carries already",
		},
		"login params with nothing to choose from": {
			change: func(c *Client) { c.LoginParams = []string{"scope"} },
			want:   "loginParams must not name scope unless the setting scope has those",
		},
		"redirect name": {change: func(c *Client) { c.RedirectName = "Name-App-PRD-abc" }},
		"redirect name, none": {
			change: func(c *Client) { c.RedirectName = "a b" }, want: "redirectName must be the name",
		},
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

// hosted is a preset whose customers run the provider themselves.
func hosted(tenant Tenant) Preset {
	tenant.Name, tenant.Example, tenant.Fixed = "host", "git.example.com", true
	return Preset{
		AuthorizeEndpoint: "https://{host}/oauth/authorize", TokenEndpoint: "https://{host}/oauth/token",
		RevokeEndpoint: "https://{host}/oauth/revoke", Issuer: "https://{host}", Tenant: &tenant,
	}
}

// hostTests say which tenants are hosts: with a path, if path is true.
var hostTests = map[string]struct {
	good, path bool
	fix        string // its start
}{
	"git.example.com":                {good: true},
	"git.example.com:8443":           {good: true},
	"git":                            {good: true},
	"xn--bcher-kva.example":          {good: true},
	"192.168.1.7":                    {good: true},
	"192.168.1.7:3000":               {good: true},
	"[2001:db8::1]":                  {good: true},
	"[::1]:8080":                     {good: true},
	"localhost:3000":                 {good: true},
	"sso.example.com/realms/main":    {good: true, path: true},
	"example.com:8443/nextcloud":     {good: true, path: true},
	"https://git.example.com":        {fix: "must begin with the host, without https:// or http://"},
	"http://git.example.com/":        {fix: "must begin with the host, without https:// or http://"},
	"git.example.com/":               {fix: "must be"},
	"Git.example.com":                {fix: "must be in lower case, such as git.example.com"},
	"git.example.com.":               {fix: "must be a host"},
	"git..example.com":               {fix: "must be a host"},
	"-git.example.com":               {fix: "must be a host"},
	"git_.example.com":               {fix: "must be a host"},
	"user@git.example.com":           {fix: "must be a host"},
	"user:pass@git.example.com":      {fix: "must be a host"},
	"git.example.com:0":              {fix: "must be a host"},
	"git.example.com:":               {fix: "must be a host"},
	"git.example.com:65536":          {fix: "must be a host"},
	"git.example.com:080":            {fix: "must be a host"},
	"git.example.com:8a":             {fix: "must be a host"},
	"git.example.com?x":              {fix: "must be a host"},
	"git.example.com#x":              {fix: "must be a host"},
	"git.example.com\\@evil.example": {fix: "must be a host"},
	"git example.com":                {fix: "must be a host"},
	"git.example.com\n":              {fix: "must be a host"},
	"gít.example.com":                {fix: "must be a host"},
	"git.example.com%2f":             {fix: "must be a host"},
	"*.example.com":                  {fix: "must be a host"},
	"{host}":                         {fix: "must be a host"},
	"127.1":                          {fix: "must be a host"},
	"2130706433":                     {fix: "must be a host"},
	"0x7f000001":                     {fix: "must be a host"},
	"0x7f.1":                         {fix: "must be a host"},
	"127.0.0.01":                     {fix: "must be a host"},
	"1.2.3.4.5":                      {fix: "must be a host"},
	"[::ffff:127.0.0.1]":             {fix: "must be a host"},
	"[fe80::1%25eth0]":               {fix: "must be a host"},
	"[0:0:0:0:0:0:0:1]":              {fix: "must be a host"},
	"::1":                            {fix: "must be a host"},
	"example.com/../x":               {fix: "must be"},
	"example.com//x":                 {fix: "must be"},
	"example.com/a?b":                {fix: "must be"},
	"example.com/a%2fb":              {fix: "must be"},
	"example.com/a/":                 {fix: "must be"},
	"example.com/{host}":             {fix: "must be"},
	"/":                              {fix: "must be"},

	"git." + strings.Repeat("a", 63): {good: true},
	"git." + strings.Repeat("a", 64): {fix: "must be a host"},
	strings.Repeat("a.", 126) + "a":  {good: true},
	strings.Repeat("a.", 126) + "aa": {fix: "must be a host"},
}

// A host is what every program reads alike. Only an admin names it: a request that names another is refused.
func TestHostsOfCustomers(t *testing.T) {
	t.Parallel()
	for name, test := range hostTests {
		for _, kind := range []TenantKind{TenantHost, TenantBase} {
			t.Run(string(kind)+" "+name, func(t *testing.T) {
				t.Parallel()
				client := Client{
					ClientID: "id", ClientSecret: "s", Tenant: name,
				}.withPreset(hosted(Tenant{Kind: kind})).Complete()
				errs := tenantErrors(&client)
				good := test.good && (!test.path || kind == TenantBase)
				if good != (len(errs) == 0) {
					t.Fatalf("got %v", errs)
				}
				if !good && (errs[0].Field != "tenant" || !strings.HasPrefix(errs[0].Fix, test.fix)) {
					t.Errorf("got %v", errs)
				}
				filled, err := client.ForTenant("")
				if (err == nil) != good {
					t.Fatalf("got %v", err)
				}
				if good {
					expectOnHost(t, filled, name)
				}
			})
		}
	}
}

func tenantErrors(client *Client) (errs FieldErrors) {
	client.validateTenant(&errs)
	return errs
}

func expectOnHost(t *testing.T, client *Client, host string) {
	t.Helper()
	valid := *client
	valid.Tenant = "" // which ForTenant has put into the endpoints
	for _, err := range valid.Validate() {
		t.Error(err)
	}
	base := "https://" + host
	if strings.HasPrefix(host, "localhost") || strings.HasPrefix(host, "[::1]") {
		base = "http://" + host
	}
	got := []string{
		client.AuthorizeEndpoint, client.TokenEndpoint, client.RefreshEndpoint, client.RevokeEndpoint,
		client.Issuer,
	}
	want := []string{
		base + "/oauth/authorize", base + "/oauth/token", base + "/oauth/token", base + "/oauth/revoke", base,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestPluginNamesNoHost(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tenant Tenant
		own    string // the client's
		named  string // the request's
		want   string // the token endpoint, or the start of the error
	}{
		"own": {own: "git.example.com", want: "https://git.example.com/oauth/token"},
		"own, named": {
			own: "git.example.com", named: "git.example.com", want: "https://git.example.com/oauth/token",
		},
		"another":    {own: "git.example.com", named: "evil.example", want: "The plugin must send"},
		"none":       {want: "The plugin must send"},
		"only named": {named: "evil.example", want: "The plugin must send"},
		"default":    {tenant: Tenant{Default: "git.com"}, want: "https://git.com/oauth/token"},
		"instead of the default": {
			tenant: Tenant{Default: "git.com"}, named: "evil.example", want: "The plugin must send",
		},
		"own instead of the default": {
			tenant: Tenant{Default: "git.com"}, own: "git.example.com",
			want: "https://git.example.com/oauth/token",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.tenant.Kind = TenantHost
			client := Client{Tenant: test.own}.withPreset(hosted(test.tenant)).Complete()
			got := ""
			if filled, err := client.ForTenant(test.named); err != nil {
				got = err.Error()
			} else {
				got = filled.TokenEndpoint
			}
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("got %s", got)
			}
			errs := tenantErrors(&client)
			if mustSet := test.own == "" && test.tenant.Default == ""; errs.Has("tenant") != mustSet {
				t.Errorf("its errors are %v", errs)
			}
		})
	}
}

// Paths such as /oauth/token are everybody's, so they do not tell that a server is a preset's.
func TestHostedPresetIsNotLikely(t *testing.T) {
	t.Parallel()
	preset := hosted(Tenant{Kind: TenantHost})
	if preset.hasTokenEndpoint("https://p.example/oauth/token") {
		t.Error("any server is taken for it")
	}
}

// A host that is accepted is the host that is asked, whichever way it is written.
func FuzzHost(f *testing.F) {
	for name := range hostTests {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		client := Client{Tenant: name}.withPreset(hosted(Tenant{Kind: TenantBase})).Complete()
		filled, err := client.ForTenant("")
		if err != nil {
			return
		}
		host, _, _ := strings.Cut(name, "/")
		u, err := url.Parse(filled.TokenEndpoint)
		if err != nil || u.Host != host || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q leads to %v: %v", name, u, err)
		}
		if (u.Scheme == "http") != IsLoopback(u.Hostname()) || InTheClear(filled.TokenEndpoint) {
			t.Fatalf("%q has the scheme %s", name, u.Scheme)
		}
		if !strings.HasSuffix(u.Path, "/oauth/token") || strings.Contains(u.Path, "..") {
			t.Fatalf("%q has the path %s", name, u.Path)
		}
	})
}

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
