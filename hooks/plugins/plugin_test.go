package plugins

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"plugin-oauth/hooks/oauth"
)

// valueOf returns a function that New can read the fields from.
func valueOf(values map[string]string) func(string) string {
	return func(field string) string { return values[field] }
}

// Values are read as people write them.
func TestNew(t *testing.T) {
	t.Parallel()
	plugin := New(valueOf(map[string]string{
		"slug": " sheets ", "provider": " Google ", "tokenAuth": "BASIC", "pkce": "Off",
		"tokenFormat": "JSON", "revokeKind": "Delete", "tokenParams": "?resource=a&resource=b",
		"loginParams": "prompt, scope ,", "redirectParams": " realmId", "redirectName": " Name ",
		"authorizeParams": " ?a=b", "scope": "\tRead, Write\n", "tokens": "Sealed",
		"apiHosts": "a.example, b.example ,", "clientSecret": "\u00a0a b ",
		"allowedOrigins": "null,, https://a.example ,",
	}))
	for field, value := range map[string][2]string{
		"slug":            {plugin.Slug, "sheets"},
		"provider":        {plugin.Provider, "google"},
		"tokenAuth":       {string(plugin.TokenAuth), "basic"},
		"pkce":            {plugin.PKCE, "off"},
		"authorizeParams": {plugin.AuthorizeParams, "a=b"},
		"tokenFormat":     {string(plugin.TokenFormat), "json"},
		"revokeKind":      {string(plugin.RevokeKind), "delete"},
		"tokenParams":     {plugin.TokenParams, "resource=a&resource=b"},
		"loginParams":     {fmt.Sprintf("%q", plugin.LoginParams), `["prompt" "scope"]`},
		"redirectParams":  {fmt.Sprintf("%q", plugin.RedirectParams), `["realmId"]`},
		"tokens":          {string(plugin.Tokens), "sealed"},
		"apiHosts":        {fmt.Sprintf("%q", plugin.APIHosts), `["a.example" "b.example"]`},
		"redirectName":    {plugin.RedirectName, "Name"},
		"scope":           {plugin.Scope, "Read, Write"},
		"allowedOrigins":  {fmt.Sprintf("%q", plugin.AllowedOrigins), `["null" "https://a.example"]`},
		"clientSecret":    {plugin.ClientSecret, "a b"},
	} {
		if value[0] != value[1] {
			t.Errorf("%s is %q, not %q", field, value[0], value[1])
		}
	}
	if plugin.Fingerprint != nil || plugin.RecordID != "" {
		t.Error("it is complete, or has a record")
	}
}

// Every field of the form reaches the plugin.
func TestNewReadsEveryField(t *testing.T) {
	t.Parallel()
	read := map[string]bool{}
	plugin := New(func(field string) string {
		read[field] = true
		return "value-of-" + strings.ToLower(field)
	})
	text := fmt.Sprintf("%+v", plugin)
	for field := range read {
		if !strings.Contains(text, "value-of-"+strings.ToLower(field)) {
			t.Errorf("%s is read and not kept", field)
		}
	}
	for _, field := range append(slices.Clone(formOrder), "name", "returnApp", "scope") {
		if !read[field] {
			t.Errorf("%s is not read", field)
		}
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		plugin   Plugin
		defaults Defaults
		want     Plugin
	}{
		"blank": {
			want: Plugin{ReturnApp: "Framer", ParentDomain: "plugins.framercdn.com"},
		},
		"at the root": {
			defaults: Defaults{PublicURL: "https://backend.example"},
			want: Plugin{
				ReturnApp: "Framer", ParentDomain: "plugins.framercdn.com",
				Client: oauth.Client{RedirectURI: "https://backend.example/redirect"},
			},
		},
		"of the dashboard": {
			plugin:   Plugin{Slug: "sheets", PluginID: "ABC", ReturnApp: "Penpot"},
			defaults: Defaults{PublicURL: "https://backend.example/base", ParentDomain: "Plugins.Example"},
			want: Plugin{
				PluginID: "abc", ReturnApp: "Penpot", ParentDomain: "plugins.example",
				Client: oauth.Client{RedirectURI: "https://backend.example/base/sheets/redirect"},
			},
		},
		"its own values": {
			plugin: Plugin{
				ParentDomain: "own.example",
				Client:       oauth.Client{RedirectURI: "https://own.example/redirect"},
			},
			defaults: Defaults{PublicURL: "https://backend.example", ParentDomain: "plugins.example"},
			want: Plugin{
				ReturnApp: "Framer", ParentDomain: "own.example",
				Client: oauth.Client{RedirectURI: "https://own.example/redirect"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := test.plugin.Complete(test.defaults)
			if got.ReturnApp != test.want.ReturnApp || got.ParentDomain != test.want.ParentDomain ||
				got.PluginID != test.want.PluginID || got.RedirectURI != test.want.RedirectURI {
				t.Errorf("got %+v", got)
			}
			if got.TokenAuth != oauth.TokenAuthBody || got.PKCE != "on" || len(got.Fingerprint) != 32 {
				t.Errorf("the client is not complete: %+v", got.Client)
			}
		})
	}
}

// Completing a plugin again would bring back the preset's parameters that it leaves out.
func TestCompleteTwice(t *testing.T) {
	t.Parallel()
	entered := Plugin{Client: oauth.Client{Provider: "google", AuthorizeParams: "prompt="}}
	once := entered.Complete(Defaults{})
	twice := once.Complete(Defaults{PublicURL: "https://other.example"})
	if once.AuthorizeParams != "access_type=offline" || twice.AuthorizeParams != once.AuthorizeParams {
		t.Errorf("the parameters are %q, then %q", once.AuthorizeParams, twice.AuthorizeParams)
	}
	if twice.RedirectURI != "" || entered.Fingerprint != nil {
		t.Errorf("it is completed again, or changed: %+v, %+v", twice, entered)
	}
}

// Logins that began under the previous version finish under this one, so a fingerprint must not change.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	own := oauth.Client{
		Provider: "shopify", Tenant: "mine", ClientID: "client-1",
		AuthorizeEndpoint: "https://p.example/authorize",
		TokenEndpoint:     "https://p.example/token", RevokeEndpoint: "https://R.example/revoke",
	}
	for name, test := range map[string]struct {
		plugin Plugin
		want   string
	}{
		// sha256("rec0rd\nsheets\nclient-1\nhttps://p.example/authorize\nhttps://p.example/token\nmine")
		"of the dashboard": {
			plugin: Plugin{RecordID: "rec0rd", Slug: "sheets", Client: own},
			want:   "71a9e17edab98075b97a41338e80f03613a19bbf8ebb1b68bf951255c68325c0",
		},
		// sha256("\n\nclient-1\nhttps://p.example/authorize\nhttps://p.example/token\n")
		"of the environment": {
			plugin: Plugin{Client: oauth.Client{
				ClientID:          "client-1",
				AuthorizeEndpoint: own.AuthorizeEndpoint, TokenEndpoint: own.TokenEndpoint,
			}},
			want: "d89bd1cb6716a91365631ca4704d8f883ae883bff314240c38900b6790436d48",
		},
		// The endpoints are the preset's, with the placeholder in them.
		"of a preset with tenants": {
			plugin: Plugin{
				RecordID: "rec0rd", Slug: "shop",
				Client: oauth.Client{Provider: "shopify", ClientID: "client-1"},
			},
			want: "78aa0c07bf221593e24174b2e14666cbe14ad9b96786ac2a90cc555a351abd5c",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := test.plugin.Complete(Defaults{PublicURL: "https://backend.example"}).Fingerprint
			if hex.EncodeToString(got) != test.want {
				t.Errorf("got %x", got)
			}
		})
	}
}

// Another client or another provider has another fingerprint; other changes do not matter.
func TestFingerprintChanges(t *testing.T) {
	t.Parallel()
	base := Plugin{RecordID: "r", Slug: "s", Client: oauth.Client{
		ClientID: "id", ClientSecret: "secret",
		AuthorizeEndpoint: "https://p.example/a", TokenEndpoint: "https://p.example/t",
	}}
	for name, test := range map[string]struct {
		change func(*Plugin)
		same   bool
	}{
		"record":    {change: func(p *Plugin) { p.RecordID = "x" }},
		"slug":      {change: func(p *Plugin) { p.Slug = "x" }},
		"client":    {change: func(p *Plugin) { p.ClientID = "x" }},
		"authorize": {change: func(p *Plugin) { p.AuthorizeEndpoint = "https://x.example/" }},
		"token":     {change: func(p *Plugin) { p.TokenEndpoint = "https://x.example/" }},
		"tenant":    {change: func(p *Plugin) { p.Tenant = "x" }},
		"name":      {change: func(p *Plugin) { p.Name = "x" }, same: true},
		"secret":    {change: func(p *Plugin) { p.ClientSecret = "x" }, same: true},
		"scope":     {change: func(p *Plugin) { p.Scope = "x" }, same: true},
		"redirect": {
			change: func(p *Plugin) { p.RedirectURI = "https://x.example/s/redirect" }, same: true,
		},
		"name of it": {change: func(p *Plugin) { p.RedirectName = "x" }, same: true},
		"public":     {change: func(p *Plugin) { p.TokenAuth = oauth.TokenAuthNone }, same: true},
		"format":     {change: func(p *Plugin) { p.TokenFormat = oauth.TokenFormatJSON }, same: true},
		"parameters": {
			change: func(p *Plugin) { p.TokenParams, p.AuthorizeParams = "a=b", "c=d" }, same: true,
		},
		"lists": {
			change: func(p *Plugin) { p.LoginParams, p.RedirectParams = []string{"a"}, []string{"b"} },
			same:   true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := base
			test.change(&changed)
			before, after := base.Complete(Defaults{}), changed.Complete(Defaults{})
			if got := bytes.Equal(before.Fingerprint, after.Fingerprint); got != test.same {
				t.Errorf("the fingerprint stays the same: %t", got)
			}
		})
	}
}

func TestNamesForPeople(t *testing.T) {
	t.Parallel()
	root, sheets := &Plugin{}, &Plugin{Slug: "sheets"}
	for what, value := range map[string][2]string{
		"display slug, root":   {DisplaySlug(""), "/"},
		"display slug":         {DisplaySlug("sheets"), "sheets"},
		"redirect path, root":  {root.RedirectPath(), "/redirect"},
		"redirect path":        {sheets.RedirectPath(), "/sheets/redirect"},
		"variable":             {Variable("clientId"), "CLIENT_ID"},
		"variable of two":      {Variable("authorizeParams"), "AUTHORIZE_PARAMS"},
		"variable of the name": {Variable("name"), "PLUGIN_NAME"},
		"where, root":          {root.Where("clientSecret"), "CLIENT_SECRET"},
		"where": {
			sheets.Where("clientSecret"), "the field clientSecret of the plugin sheets in the dashboard",
		},
		"where else, root": {root.WhereElse("tokenAuth"), "TOKEN_AUTH"},
		"where else":       {sheets.WhereElse("tokenAuth"), "tokenAuth"},
	} {
		if value[0] != value[1] {
			t.Errorf("%s is %q, not %q", what, value[0], value[1])
		}
	}
}

// The fixes of errors name what an admin changes: variables, or fields of the dashboard.
func TestFixes(t *testing.T) {
	t.Parallel()
	root := &Plugin{Client: oauth.Client{RedirectURI: "https://backend.example/redirect"}}
	sheets := &Plugin{Slug: "sheets", RecordID: "record", Client: oauth.Client{
		RedirectURI: "https://backend.example/sheets/redirect", PKCE: oauth.PKCEOff,
	}}
	for code, want := range map[string][2]string{
		"redirect_uri_mismatch":   {root.RedirectURI, sheets.RedirectURI},
		"invalid_client":          {"CLIENT_SECRET", "the field clientSecret of the plugin sheets"},
		"invalid_scope":           {"SCOPE", "the field scope of the plugin sheets"},
		"invalid_grant":           {root.RedirectURI, sheets.RedirectURI},
		"invalid_request":         {"try off in PKCE", "try on in the field pkce"},
		"temporarily_unavailable": {"out of reach", "out of reach"},
		"odd":                     {"documentation", "documentation"},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			for i, plugin := range []*Plugin{root, sheets} {
				got := oauth.MeaningOf(code).Fix(&plugin.Client, plugin.Where)
				if !strings.Contains(got, want[i]) {
					t.Errorf("got %q, want %q", got, want[i])
				}
			}
		})
	}
}

func TestReason(t *testing.T) {
	t.Parallel()
	invalid := oauth.FieldError{Field: "clientId", Fix: "must be set"}
	for name, test := range map[string]struct {
		plugin Plugin
		want   string
	}{
		"available": {},
		"switched off": {
			plugin: Plugin{State: SwitchedOff},
			want:   "This plugin is switched off. Its admin can enable it in the dashboard.",
		},
		"unreadable": {
			plugin: Plugin{State: SecretUnreadable},
			want: "The plugin's client secret cannot be read. The admin must start the service with the " +
				"ENCRYPTION_KEY that it was saved under, or enter the secret again.",
		},
		"misconfigured": {
			plugin: Plugin{State: Misconfigured, Invalid: invalid},
			want:   "The plugin's field clientId must be set.",
		},
		"mistyped": {
			plugin: Plugin{
				State: Misconfigured, Invalid: oauth.FieldError{Field: "provider", Fix: "is it a?"},
			},
			want: "The plugin's field provider is it a?",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.plugin.Reason(); got != test.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// validFields are those of a plugin that is valid.
var validFields = map[string]string{
	"slug": "valid", "provider": "github", "clientId": "id", "clientSecret": "secret",
}

// fieldTests say what is wrong with one field of a plugin that is otherwise valid. There is no other error.
var fieldTests = []struct{ field, value, want string }{
	{field: "slug", value: "Big", want: "slug must consist of a-z, 0-9 and -, such as google-sheets-plugin"},
	{field: "slug", value: "a/b", want: "slug must consist of a-z, 0-9 and -"},
	{field: "slug", value: "_", want: "slug must consist of a-z, 0-9 and -"},
	{field: "slug", value: strings.Repeat("a", 64), want: "slug must consist of"},
	{field: "slug", value: "api", want: "slug must be another: plugin-oauth uses this address itself"},
	{field: "slug", value: "redirect", want: "slug must be another"},
	{field: "clientId", value: " ", want: "clientId must be set; the provider's developer console shows it"},
	{field: "clientSecret", want: "clientSecret must be set; the provider's developer console shows it"},
	{
		field: "provider", value: "netflix",
		want: `provider must be one that the command plugin-oauth providers lists, not "netflix"`,
	},
	{
		field: "provider", value: "githubb",
		want: `provider must be one that the command plugin-oauth providers lists, not "githubb"; did ` +
			`you mean github?`,
	},
	{
		field: "provider", value: "gogle",
		want: `provider must be one that the command plugin-oauth providers lists, not "gogle"; did ` +
			`you mean google?`,
	},
	{
		field: "authorizeEndpoint", value: "/authorize",
		want: "authorizeEndpoint must be an absolute URL that starts",
	},
	{
		field: "authorizeEndpoint", value: "https://p.example/?state=1",
		want: "authorizeEndpoint must not carry state",
	},
	{field: "tokenEndpoint", value: "https://:443/token", want: "tokenEndpoint must be an absolute URL"},
	{field: "authorizeEndpoint", value: "http://p.example/", want: "authorizeEndpoint must start with https"},
	{field: "tokenEndpoint", value: "http://p.example/", want: "tokenEndpoint must start with https://"},
	{field: "revokeEndpoint", value: "http://p.example/", want: "revokeEndpoint must start with https://"},
	{
		field: "tokenEndpoint", value: "https://{shop}.example/",
		want: "tokenEndpoint must not hold a placeholder",
	},
	{
		field: "revokeEndpoint", value: "https://p.example/{client_id}",
		want: "revokeEndpoint must not hold a placeholder",
	},
	{field: "issuer", value: "provider", want: "issuer must be an absolute URL"},
	{
		field: "redirectUri", value: "https://b.example/redirect",
		want: "redirectUri must end in /valid/redirect, such as https://my-backend.fly.dev/valid/redirect",
	},
	{field: "redirectUri", value: "valid/redirect", want: "redirectUri must be an absolute URL"},
	{field: "redirectUri", value: "https://b.example/valid/redirect#", want: "redirectUri must have neither"},
	{
		field: "redirectUri", value: "https://{a}/valid/redirect",
		want: "redirectUri must not hold a placeholder",
	},
	{field: "authorizeParams", value: "a=b c", want: "authorizeParams must be a query string"},
	{field: "authorizeParams", value: "client_id=1", want: "authorizeParams must not carry client_id"},
	{field: "tenant", value: "shop", want: "tenant must be blank"},
	{field: "tokenAuth", value: "header", want: "tokenAuth must be body, basic, basic-secret or none"},
	{field: "tokenFormat", value: "xml", want: "tokenFormat must be form or json"},
	{field: "tokenParams", value: "code=x", want: "tokenParams must not carry code"},
	{field: "revokeKind", value: "put", want: "revokeKind must be rfc7009"},
	{field: "loginParams", value: "prompt,state", want: "loginParams must not name state"},
	{field: "redirectParams", value: "code", want: "redirectParams must not name code"},
	{field: "redirectName", value: "a b", want: "redirectName must be the name"},
	{field: "pkce", value: "plain", want: "pkce must be on or off"},
	{
		field: "pluginId", value: "https://abc.plugins.framercdn.com",
		want: "pluginId must be only the id, such as abc123",
	},
	{
		field: "allowedOrigins", value: "https://a.example, figma",
		want: "allowedOrigins must be origins such as https://plugin.example or app://obsidian.md, with " +
			"commas between; number 2 is none",
	},
	{
		field: "allowedOrigins", value: "app://obsidian.md,https://*.plugin.example",
		want: "allowedOrigins must be origins such as https://plugin.example or app://obsidian.md, with " +
			"commas between; number 2 is none: a * stands for every site, and only alone",
	},
	{
		field: "allowedOrigins", value: "tauri://localhost/",
		want: "allowedOrigins must be origins as browsers send them; number 1 is tauri://localhost",
	},
	{
		field: "allowedOrigins", value: "plugin.example/path",
		want: "allowedOrigins must be origins as browsers send them; number 1 is https://plugin.example",
	},
	{
		field: "allowedOrigins", value: "*,NULL",
		want: "allowedOrigins must be origins as browsers send them; number 2 is null",
	},
	{field: "allowedOrigins", value: "javascript:alert(1)", want: "allowedOrigins must be origins such as"},
	{
		field: "allowedOrigins", value: "https://a.example/path",
		want: "allowedOrigins must be origins as browsers send them; number 1 is https://a.example",
	},
	{
		field: "allowedOrigins", value: "*, null, http://x:1, x",
		want: "allowedOrigins must be origins such as",
	},
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range fieldTests {
		t.Run(test.field+" "+test.value, func(t *testing.T) {
			t.Parallel()
			values := maps.Clone(validFields)
			values[test.field] = test.value
			plugin := New(valueOf(values)).Complete(Defaults{PublicURL: "https://backend.example"})
			errs := plugin.Validate()
			if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), test.want) {
				t.Errorf("got %v, want %q", errs, test.want)
			}
		})
	}
	for name, change := range map[string]map[string]string{
		"nothing changed":     {},
		"at the root":         {"slug": ""},
		"longest slug":        {"slug": strings.Repeat("a", 63)},
		"redirect URI, slash": {"redirectUri": "https://b.example/base/valid/redirect/?x=1"},
		"all origins":         {"allowedOrigins": "*"},
		"origins of apps": {"allowedOrigins": "app://obsidian.md,tauri://localhost," +
			"chrome-extension://abcdefghijklmnop,capacitor://localhost,vscode-webview://0a1b,file://"},
		"a public client": {"clientSecret": "", "tokenAuth": "none"},
		"token endpoint of its own kind": {
			"tokenFormat": "JSON", "tokenParams": "?resource=a&resource=b", "revokeKind": "Delete",
		},
		"parameters of logins": {
			"loginParams": "prompt, login_hint,scope", "scope": "a b", "redirectParams": "realmId",
			"redirectName": "Name-App-PRD-abc",
		},
		"a frame, and a port":     {"allowedOrigins": "null, http://127.0.0.1:3000"},
		"an id, and its capitals": {"pluginId": "AbC_1-2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := maps.Clone(validFields)
			maps.Copy(values, change)
			plugin := New(valueOf(values)).Complete(Defaults{PublicURL: "https://backend.example"})
			if errs := plugin.Validate(); len(errs) > 0 {
				t.Errorf("got %v", errs)
			}
		})
	}
}

// Without PUBLIC_URL, the fix says what to write.
func TestValidateWithoutPublicURL(t *testing.T) {
	t.Parallel()
	plugin := New(valueOf(validFields)).Complete(Defaults{})
	errs := plugin.Validate()
	const want = "redirectUri must be set, or PUBLIC_URL in the environment: it is the address of this " +
		"service with /valid/redirect behind it, such as http://localhost:8787/valid/redirect"
	if len(errs) != 1 || errs[0].Error() != want {
		t.Errorf("got %v", errs)
	}
}

// The errors come in the order in which a person fills in the fields, whichever package finds them.
func TestOrderOfErrors(t *testing.T) {
	t.Parallel()
	fieldsOf := func(plugin Plugin) (names []string) {
		for _, err := range plugin.Validate() {
			names = append(names, err.Field)
		}
		return names
	}
	wrong := New(valueOf(map[string]string{
		"slug": "Big", "provider": "netflix", "tenant": "x", "redirectUri": "x", "authorizeEndpoint": "x",
		"tokenEndpoint": "x", "revokeEndpoint": "x", "issuer": "x", "authorizeParams": "a b",
		"teamId": "x", "keyId": "x",
		"redirectName": "a b", "revokeKind": "x", "loginParams": "a b", "tokenParams": "a b",
		"tokenFormat": "x", "redirectParams": "a b",
		"apiHosts": "a b", "tokens": "x", "tokenAuth": "x", "pkce": "x", "pluginId": "/",
		"allowedOrigins": "x", "returnUrl": "x",
	})).Complete(Defaults{})
	if got := fieldsOf(wrong); !slices.Equal(got, formOrder) {
		t.Errorf("got %v", got)
	}
	blank := fieldsOf(Plugin{}.Complete(Defaults{}))
	want := []string{"clientId", "clientSecret", "redirectUri", "authorizeEndpoint", "tokenEndpoint"}
	if !slices.Equal(blank, want) {
		t.Errorf("got %v", blank)
	}
}

// A plugin that passes Validate makes an authorization URL at its own endpoint, with each of our parameters
// once and unchanged, and sends its secret to absolute http(s) addresses only.
func FuzzPlugin(f *testing.F) {
	f.Add("google", "", "", "", "", "id", "read write", "prompt=none", "", "resource=a&resource=b",
		"prompt,scope")
	f.Add("shopify", "my-store", "", "", "", "id&x=1", "a,b", "", "null, https://a.example", "expiring=",
		"scope")
	f.Add("", "", "https://p.example/authorize?owner=user", "http://p.example/token",
		"https://p.example/revoke", "id", "", "a=b&c=d", "*", "code=x", "a,,state")
	f.Add("auth0", "tenant", "https://p.example:8443/a?b#c", "https://{tenant}.example/",
		"https://u:p@h/", "#", "\n", "?state=1", "app://obsidian.md", "", "client_id")
	f.Fuzz(func(t *testing.T, provider, tenant, authorizeEndpoint, tokenEndpoint, revokeEndpoint,
		clientID, scope, authorizeParams, allowedOrigins, tokenParams, loginParams string,
	) {
		entered := New(valueOf(map[string]string{
			"slug": "fuzz", "provider": provider, "tenant": tenant, "authorizeEndpoint": authorizeEndpoint,
			"tokenEndpoint": tokenEndpoint, "revokeEndpoint": revokeEndpoint, "clientId": clientID,
			"clientSecret": "secret", "scope": scope, "authorizeParams": authorizeParams,
			"allowedOrigins": allowedOrigins, "tokenParams": tokenParams, "loginParams": loginParams,
			"redirectParams": loginParams,
		}))
		defaults := Defaults{PublicURL: "https://backend.example"}
		plugin := entered.Complete(defaults)
		again := plugin.Complete(defaults)
		if !reflect.DeepEqual(again, plugin) {
			t.Fatalf("completing it twice changes it: %+v", again)
		}
		if len(plugin.Validate()) > 0 {
			return
		}
		filled := fuzzTenant(t, &plugin)
		checkAuthorizationURL(t, filled)
		checkEndpoints(t, filled)
		checkTokenParams(t, filled)
	})
}

// checkTokenParams checks that no parameter of the admin's takes the place of one of ours.
func checkTokenParams(t *testing.T, client *oauth.Client) {
	t.Helper()
	params, err := url.ParseQuery(client.TokenParams + "&" + client.CodeParams)
	for _, name := range []string{"grant_type", "code", "client_id", "client_secret", "redirect_uri",
		"code_verifier", "refresh_token",
	} {
		if err != nil || params.Has(name) {
			t.Fatalf("the token parameters are %q, %q: %v", client.TokenParams, client.CodeParams, err)
		}
	}
}

func checkEndpoints(t *testing.T, client *oauth.Client) {
	t.Helper()
	for _, endpoint := range []string{client.TokenEndpoint, client.RefreshEndpoint, client.RevokeEndpoint} {
		if endpoint == "" {
			continue
		}
		u, err := url.Parse(strings.ReplaceAll(endpoint, "{client_id}", "x"))
		if err != nil || u.Host == "" || strings.ContainsAny(u.Host, "{}") ||
			(u.Scheme != "http" && u.Scheme != "https") {
			t.Fatalf("the secret is sent to %q: %v", endpoint, err)
		}
	}
}

// fuzzTenant names the example of a tenant if one is needed, unless the plugin is for another one.
func fuzzTenant(t *testing.T, plugin *Plugin) *oauth.Client {
	t.Helper()
	name := ""
	if tenant := plugin.OpenTenant(); tenant != nil {
		name = tenant.Example
	}
	filled, err := plugin.ForTenant(name)
	if err != nil && plugin.Tenant != "" {
		filled, err = plugin.ForTenant("")
	}
	if err != nil {
		t.Fatal(err)
	}
	return filled
}

func checkAuthorizationURL(t *testing.T, client *oauth.Client) {
	t.Helper()
	params := map[string]string{}
	for _, name := range client.LoginParams {
		params[name] = "plugin's+ &state=x"
	}
	want := map[string]string{
		"state": "the-state", "client_id": client.ClientID, "response_type": "code",
		"redirect_uri": "https://backend.example/fuzz/redirect", "scope": client.Scope,
	}
	checkQuery(t, client.AuthorizationURL(
		oauth.AuthorizationRequest{State: "the-state", Verifier: "the-verifier"}), want)
	if params["scope"] != "" {
		params["scope"] = client.Scope
	}
	maps.Copy(want, params)
	checkQuery(t, client.AuthorizationURL(
		oauth.AuthorizationRequest{State: "the-state", Verifier: "the-verifier", Params: params}), want)
}

// checkQuery checks that an authorization URL has these parameters once; a blank one need not be there.
func checkQuery(t *testing.T, address string, want map[string]string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Fragment != "" || !strings.HasPrefix(u.String(), "http") {
		t.Fatalf("%v, %v", u, err)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		t.Fatalf("%s: %v", u, err)
	}
	for name, value := range want {
		if value != "" && (len(query[name]) != 1 || query.Get(name) != value) {
			t.Fatalf("%s is %q in %s, want %q", name, query[name], u, value)
		}
	}
}
