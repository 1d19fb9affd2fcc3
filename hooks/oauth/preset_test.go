package oauth

import (
	"cmp"
	"crypto/elliptic"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	presetName  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	placeholder = regexp.MustCompile(`\{[^}]*\}`)
)

// Every row has the form that the code and its readers rely on, and makes a client valid.
func TestPresets(t *testing.T) {
	t.Parallel()
	for i, preset := range presets() {
		t.Run(preset.Name, func(t *testing.T) {
			t.Parallel()
			check := func(good bool, what string) {
				t.Helper()
				if !good {
					t.Error(what)
				}
			}
			check(i == 0 || presets()[i-1].Name < preset.Name, "the names are not sorted, or one is twice")
			checkFacts(check, preset)
			checkScopes(check, preset)
			checkRevocation(check, preset)
			checkAPI(check, preset)
			for _, endpoint := range []string{
				preset.AuthorizeEndpoint, preset.TokenEndpoint, preset.RefreshEndpoint, preset.RevokeEndpoint,
				preset.Issuer,
			} {
				if endpoint != "" {
					checkEndpoint(check, preset, endpoint)
				}
			}
			expectFilled(t, preset)
		})
	}
}

func checkFacts(check func(bool, string), preset Preset) {
	tokenAuths := []TokenAuth{TokenAuthBody, TokenAuthBasic, TokenAuthBasicSecret, TokenAuthNone}
	check(presetName.MatchString(preset.Name) && preset.Title != "", "the name or the title is not one")
	check(slices.Contains(tokenAuths, preset.TokenAuth), "tokenAuth is unknown")
	check(preset.PKCE == "" || preset.PKCE == PKCEOff, "pkce is neither blank nor off")
	check(slices.Contains([]string{"", " ", ","}, preset.ScopeSeparator),
		"scopeSeparator is neither a space nor a comma")
	check(len(preset.Hint) <= 160 && !strings.Contains(preset.Hint, "\n"), "the hint is longer than a line")
	distinct := slices.Compact(slices.Sorted(slices.Values(preset.Sources)))
	check(len(preset.Sources) >= 2 && len(distinct) == len(preset.Sources), "there are not two sources")
	check(preset.AuthorizeEndpoint != "" && preset.TokenEndpoint != "", "an endpoint is missing")
	for _, params := range []string{preset.TokenParams, preset.CodeParams} {
		_, err := url.ParseQuery(params)
		check(err == nil, "tokenParams or codeParams is no query string")
	}
	check(preset.Console == "" || strings.HasPrefix(preset.Console, "https://"),
		"the console has no https address")
	isRegion := preset.Tenant != nil && preset.Tenant.Kind == TenantRegion
	check(preset.Tenant == nil || isRegion ||
		strings.Contains(preset.TokenEndpoint, preset.Tenant.placeholder()),
		"the token endpoint has no placeholder")
	check(!isRegion || HostOf(preset.TokenEndpoint) == "https://"+preset.Tenant.Hosts[preset.Tenant.Default],
		"the token endpoint is not at the default data centre")
	check(preset.Tenant == nil || !preset.Tenant.isHost() || preset.Tenant.Fixed,
		"a plugin could name the host that gets the client secret")
}

// checkScopes checks that a scope can be copied into a list as it is, and that somebody can read what it
// allows.
func checkScopes(check func(bool, string), preset Preset) {
	seen := map[string]bool{}
	for _, scope := range preset.Scopes {
		check(scope.Scope != "" && !strings.ContainsAny(scope.Scope, " ,\t\n\"\\"),
			fmt.Sprintf("the scope %q is not one", scope.Scope))
		check(!seen[scope.Scope], scope.Scope+" stands twice")
		seen[scope.Scope] = true
		words := strings.Fields(scope.Allows)
		check(len(words) > 0 && strings.Join(words, " ") == scope.Allows,
			fmt.Sprintf("%s allows %q, which is no line of words", scope.Scope, scope.Allows))
		check(len(scope.Allows) <= 60 && !strings.HasSuffix(scope.Allows, "."),
			scope.Scope+" allows more than a few words")
	}
	check(len(preset.Scopes) < 2 || preset.ScopeSeparator != "", "there are scopes without a separator")
	check(len(preset.Scopes) == 0 || preset.RefreshScope == "" || seen[preset.RefreshScope],
		"the scope for a refresh token is not among the scopes")
	check(preset.RefreshNote == "" || strings.HasSuffix(preset.RefreshNote, "."),
		"refreshNote does not end like a sentence")
	check(len(preset.RefreshNote) <= 200 && !strings.Contains(preset.RefreshNote, "\n"),
		"refreshNote is longer than two sentences")
}

// The providers that people ask for most say what can be asked for, and what to expect of refresh tokens.
func TestPresetsWithScopes(t *testing.T) {
	t.Parallel()
	without := strings.Fields("clickup mailchimp miro notion stripe") // the login of these asks for none
	for _, name := range strings.Fields(`airtable asana atlassian canva clickup discord dropbox figma github
		gitlab google hubspot linear mailchimp microsoft miro monday notion salesforce shopify slack spotify
		stripe typeform webflow zoom`) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			preset, _ := FindPreset(name)
			if (len(preset.Scopes) == 0) != slices.Contains(without, name) {
				t.Errorf("its scopes are %v", preset.Scopes)
			}
			if preset.RefreshNote == "" {
				t.Error("it says nothing of refresh tokens")
			}
		})
	}
}

// Where the provider refuses a login without a scope, the preset says so.
func TestPresetsThatNeedAScope(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"airtable": true, "figma": true, "google": true, "hubspot": true, "microsoft": true,
		"github": false, "notion": false, "slack": false, "spotify": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if preset, _ := FindPreset(name); preset.ScopeRequired != want {
				t.Errorf("it needs a scope: %t", preset.ScopeRequired)
			}
		})
	}
}

func checkRevocation(check func(bool, string), preset Preset) {
	kind := preset.RevokeKind
	check((preset.RevokeEndpoint == "") == (kind == ""), "revokeEndpoint and revokeKind do not come together")
	check(slices.Contains([]string{"", "access", "refresh"}, preset.RevokeToken),
		"revokeToken is neither access nor refresh")
	check(preset.RevokeToken == "" || kind != "", "there is a revokeToken without a revokeKind")
	check(kind != RevokeBearer || preset.RevokeToken == "access", "a bearer token is an access token")
	check(kind == "" || slices.Contains(revokeKinds, kind), "revokeKind is unknown")
	check(strings.Contains(preset.RevokeEndpoint, "{client_id}") == (kind == RevokeGitHub),
		"{client_id} is of the kind github only")
}

// apiSource is a repository, or an address without its scheme.
var apiSource = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*/[!-~]*[A-Za-z0-9/]$`)

// checkAPI checks that each host of the API is exact, that the provider chooses it and not whoever names a
// tenant, and that a source says so.
func checkAPI(check func(bool, string), preset Preset) {
	check(slices.Contains([]CORS{CORSYes, CORSNo, CORSUnknown}, preset.CORS),
		"cors is neither yes nor no, nor left out")
	says := len(preset.APIHosts) > 0 || preset.CORS != CORSUnknown
	check(says == (len(preset.APISources) > 0), "apiSources and what they say do not come together")
	for _, source := range preset.APISources {
		check(apiSource.MatchString(source),
			source+" is neither a repository nor an address without its scheme")
	}
	for _, list := range [][]string{preset.APIHosts, preset.APISources} {
		distinct := slices.Compact(slices.Sorted(slices.Values(list)))
		check(len(distinct) == len(list), fmt.Sprintf("one stands twice in %q", list))
	}
	for _, host := range preset.APIHosts {
		if strings.Contains(host, "{") {
			checkEndpoint(check, preset, "https://"+host)
			host = placeholder.ReplaceAllString(host, "x.example")
		}
		u, err := ParseAbsoluteURL("https://" + host)
		check(err == nil && isHostAndPort(host) && strings.Contains(u.Hostname(), "."),
			host+" is no exact host")
	}
}

// A preset says which hosts its API is at, and whether browsers may call it.
func TestPresetsOfAPIs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		host string
		cors CORS
	}{
		"airtable": {host: "api.airtable.com", cors: CORSYes},
		"github":   {host: "api.github.com", cors: CORSYes},
		"google":   {host: "www.googleapis.com", cors: CORSYes},
		"hubspot":  {host: "api.hubapi.com", cors: CORSNo},
		"notion":   {host: "api.notion.com", cors: CORSNo},
		"slack":    {host: "slack.com", cors: CORSNo},
		"typeform": {host: "api.typeform.com", cors: CORSNo},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			preset, _ := FindPreset(name)
			if !slices.Contains(preset.APIHosts, want.host) || preset.CORS != want.cors {
				t.Errorf("its hosts are %q, its cors is %q", preset.APIHosts, preset.CORS)
			}
		})
	}
}

// checkEndpoint checks that an address is https, and that whoever names a tenant does not choose its host.
func checkEndpoint(check func(bool, string), preset Preset, endpoint string) {
	wanted := ""
	if preset.Tenant != nil {
		wanted = preset.Tenant.placeholder()
	}
	u, err := ParseAbsoluteURL(placeholder.ReplaceAllString(endpoint, "x"))
	check(err == nil && u.Scheme == "https", endpoint+" is no https URL without a fragment")
	for _, found := range placeholder.FindAllString(endpoint, -1) {
		check(found == wanted || found == "{client_id}", found+" is not the tenant's placeholder")
	}
	if preset.Tenant != nil && preset.Tenant.isHost() {
		rest, isFirst := strings.CutPrefix(endpoint, "https://"+wanted+"/")
		isRoot := endpoint == "https://"+wanted
		check(isRoot || (isFirst && !strings.Contains(rest, wanted)), endpoint+" is not on the tenant's host")
		return
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(endpoint, "https://"), "/")
	fixed, _ := strings.CutPrefix(host, wanted)
	inHost := wanted != "" && fixed != host
	check(!strings.Contains(fixed, "{") && strings.Count(fixed, ".") >= 1,
		"whoever names a tenant chooses the host of "+endpoint)
	check(!inHost || (strings.HasPrefix(fixed, ".") && strings.Count(fixed, ".") >= 2),
		"whoever names a tenant chooses the host of "+endpoint)
}

// expectFilled checks that a preset makes a client valid, and that the client gets all of its facts.
func expectFilled(t *testing.T, preset Preset) {
	t.Helper()
	tenant, fill := "", strings.NewReplacer()
	if preset.Tenant != nil {
		tenant = preset.Tenant.Example
		if preset.Tenant.Kind == TenantRegion {
			tenant = preset.Tenant.Default // where the preset's endpoints are
		}
		fill = strings.NewReplacer(preset.Tenant.placeholder(), tenant)
	}
	client := Client{
		Provider: preset.Name, Tenant: tenant, ClientID: "id", ClientSecret: "secret",
		RedirectURI: "https://backend.example/redirect", RedirectName: preset.RedirectName,
	}.Complete()
	if preset.SignedSecret != nil {
		client.TeamID, client.KeyID = "TEAM123456", "KEY1234567"
		client.ClientSecret = p8(t, newKey(t, elliptic.P256()))
	}
	for _, err := range client.Validate() {
		t.Error(err)
	}
	if (client.OpenTenant() == nil) != (preset.Tenant == nil) {
		t.Errorf("its tenant is %+v", client.OpenTenant())
	}
	filled, err := client.ForTenant(tenant)
	if err != nil {
		t.Fatal(err)
	}
	if filled.OpenTenant() != nil {
		t.Error("a placeholder is left")
	}
	for _, value := range []struct{ field, got, want string }{
		{
			field: "authorizeEndpoint", got: filled.AuthorizeEndpoint,
			want: fill.Replace(preset.AuthorizeEndpoint),
		},
		{field: "tokenEndpoint", got: filled.TokenEndpoint, want: fill.Replace(preset.TokenEndpoint)},
		{
			field: "refreshEndpoint", got: filled.RefreshEndpoint,
			want: fill.Replace(cmp.Or(preset.RefreshEndpoint, preset.TokenEndpoint)),
		},
		{field: "revokeEndpoint", got: filled.RevokeEndpoint, want: fill.Replace(preset.RevokeEndpoint)},
		{field: "issuer", got: filled.Issuer, want: fill.Replace(preset.Issuer)},
		{
			field: "revokeKind", got: string(filled.RevokeKind),
			want: string(cmp.Or(preset.RevokeKind, RevokeForm)),
		},
		{field: "tokenAuth", got: string(filled.TokenAuth), want: string(preset.TokenAuth)},
		{field: "pkce", got: filled.PKCE, want: cmp.Or(preset.PKCE, "on")},
		{field: "authorizeParams", got: filled.AuthorizeParams, want: preset.AuthorizeParams},
		{field: "tokenParams", got: filled.TokenParams, want: preset.TokenParams},
		{field: "codeParams", got: filled.CodeParams, want: preset.CodeParams},
		{
			field: "tokenFormat", got: string(filled.TokenFormat),
			want: string(cmp.Or(preset.TokenFormat, TokenFormatForm)),
		},
		{field: "clientIdParam", got: filled.ClientIDParam, want: preset.ClientIDParam},
		{
			field: "lists",
			got:   fmt.Sprint(filled.LoginParams, filled.RedirectParams, filled.CodeRedirectParams),
			want:  fmt.Sprint(preset.LoginParams, preset.RedirectParams, preset.CodeRedirectParams),
		},
	} {
		if value.got != value.want {
			t.Errorf("%s is %q, not %q", value.field, value.got, value.want)
		}
	}
	if likely, found := filled.LikelyPreset(); !found || likely.Name != preset.Name {
		t.Errorf("its preset is %s", likely.Name)
	}
}

// The providers that people ask for most are there.
func TestPresetsAskedForMost(t *testing.T) {
	t.Parallel()
	if len(presets()) < 122 || len(Presets()) != len(presets()) {
		t.Errorf("there are only %d, and %d", len(presets()), len(Presets()))
	}
	for _, name := range strings.Fields(`google notion airtable hubspot figma github gitlab slack
		dropbox linear atlassian asana shopify salesforce microsoft spotify discord webflow mailchimp
		typeform zoom stripe`) {
		if _, found := FindPreset(name); !found {
			t.Errorf("%s is missing", name)
		}
	}
	if preset, found := FindPreset("Google"); found || preset.Name != "" {
		t.Errorf("a name in capitals finds %+v", preset)
	}
	Presets()[0].Name = "changed"
	if presets()[0].Name == "changed" {
		t.Error("the list is not a copy")
	}
}

// What a client sets itself wins, and a token endpoint of its own means another server.
func TestPresetIsOverridden(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		client Client
		want   Client // what it becomes; blank fields are not compared; none: the field is blank
	}{
		"own server": {
			client: Client{
				Provider: "gitlab", AuthorizeEndpoint: "https://git.example/authorize",
				TokenEndpoint: "https://git.example/token", TokenAuth: TokenAuthBasic, PKCE: PKCEOff,
			},
			want: Client{
				AuthorizeEndpoint: "https://git.example/authorize",
				TokenEndpoint:     "https://git.example/token",
				RefreshEndpoint:   "https://git.example/token", TokenAuth: TokenAuthBasic, PKCE: PKCEOff,
				RevokeEndpoint: none, Issuer: none,
			},
		},
		"own token endpoint": {
			client: Client{Provider: "figma", TokenEndpoint: "https://proxy.example/token"},
			want:   Client{RefreshEndpoint: "https://proxy.example/token"},
		},
		"own revocation endpoint": {
			client: Client{Provider: "slack", RevokeEndpoint: "https://proxy.example/revoke"},
			want:   Client{RevokeEndpoint: "https://proxy.example/revoke", RevokeKind: RevokeForm},
		},
		// The preset's own addresses, which an older .env may have, do not mean another server.
		"the preset's token endpoint": {
			client: Client{Provider: "figma", TokenEndpoint: "https://api.figma.com/v1/oauth/token"},
			want:   Client{RefreshEndpoint: "https://api.figma.com/v1/oauth/refresh"},
		},
		"own server of a provider with tenants": {
			client: Client{
				Provider: "shopify", AuthorizeEndpoint: "https://shop.example/authorize",
				TokenEndpoint: "https://shop.example/token",
			},
			want: Client{TokenEndpoint: "https://shop.example/token", CodeParams: none},
		},
		"no preset": {
			client: Client{TokenEndpoint: "https://p.example/token"},
			want: Client{
				RefreshEndpoint: "https://p.example/token", TokenAuth: TokenAuthBody, PKCE: "on",
				RevokeKind: RevokeForm, RevokeEndpoint: none, Issuer: none, AuthorizeParams: none,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := test.client.Complete()
			want, filled := values(test.want), values(got)
			for field, value := range want {
				if value != "" && filled[field] != strings.TrimPrefix(value, none) {
					t.Errorf("%s is %q, not %q", field, filled[field], value)
				}
			}
			if got.OpenTenant() != nil {
				t.Errorf("it needs a tenant: %+v", got.OpenTenant())
			}
		})
	}
}

// none stands for a field that is blank.
const none = "none"

func values(c Client) map[string]string {
	return map[string]string{
		"authorizeEndpoint": c.AuthorizeEndpoint, "tokenEndpoint": c.TokenEndpoint,
		"refreshEndpoint": c.RefreshEndpoint, "revokeEndpoint": c.RevokeEndpoint,
		"revokeKind": string(c.RevokeKind), "issuer": c.Issuer,
		"tokenAuth": string(c.TokenAuth), "pkce": c.PKCE,
		"authorizeParams": c.AuthorizeParams, "tokenParams": c.TokenParams,
		"codeParams": c.CodeParams,
	}
}

func TestSimilarPresets(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"githubb": "[github]", "amazon-login": "[amazon]", "login with": "[amazon]", "netflix": "[]",
		"q": "[]", "": "[]", "gogle": "[google]", "Gogle": "[google]", "googel": "[google]",
		"slak": "[slack]", "mircosoft": "[microsoft]", "github.com": "[github]",
		"Git Hub": "[github]", "zoho_crm": "[zoho]", "acme": "[]", strings.Repeat("gogle", 1000): "[]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(SimilarPresets(name)); got != want {
				t.Errorf("got %s, not %s", got, want)
			}
		})
	}
}

// Where there are no scopes, nothing is said of them.
func TestHasScopes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"google": true, "acuity-scheduling": true, "attio": true, "gitea": true, "kit": true,
		"wealthbox": true,
		"bitly":     false, "dailymotion": false, "eventbrite": false, "intercom": false, "jobber": false,
		"mattermost": false, "netlify": false, "notion": false, "pipedrive": false, "wikimedia": false,
	} {
		preset, found := FindPreset(name)
		if got := preset.HasScopes(); !found || got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A value that is no provider's name is quoted, unless it may be a secret in the wrong place.
func TestFixOfUnknownPreset(t *testing.T) {
	t.Parallel()
	const know = "must be one that the command plugin-oauth providers lists"
	for name, want := range map[string]string{
		"gogle":                               `, not "gogle"; did you mean google?`,
		"my own google for sheets":            `, not "my own google for sheets"; did you mean google?`,
		"acme":                                `, not "acme"`,
		"ac\nme\u200b":                        `, not "ac\nme\u200b"`,
		"gocspx-0123456789abcdefghijklmn":     "",
		"gocspx-google-0123456789abcdefghijk": "; did you mean google?",
	} {
		if got := fixOfUnknownPreset(name); got != know+want {
			t.Errorf("%q: %s", name, got)
		}
	}
}

// A client that has endpoints only is recognized by its token endpoint.
func TestLikelyPreset(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		client Client
		want   string // blank: none
	}{
		"named": {
			client: Client{Provider: "figma", TokenEndpoint: "https://p.example/"}, want: "figma",
		},
		"unknown": {
			client: Client{Provider: "unheard-of", TokenEndpoint: "https://api.figma.com/v1/oauth/token"},
		},
		"by its endpoint": {
			client: Client{TokenEndpoint: "https://api.figma.com/v1/oauth/token"}, want: "figma",
		},
		"another endpoint": {client: Client{TokenEndpoint: "https://p.example/token"}},
		"blank":            {},
		"a shop": {
			client: Client{TokenEndpoint: "https://mine.myshopify.com/admin/oauth/access_token"},
			want:   "shopify",
		},
		"no shop": {client: Client{TokenEndpoint: "https://.myshopify.com/admin/oauth/access_token"}},
		"a shop's prefix": {
			client: Client{TokenEndpoint: "https://a/b.myshopify.com/admin/oauth/access_token"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, found := test.client.LikelyPreset()
			if got.Name != test.want || found != (test.want != "") {
				t.Errorf("got %q, %t", got.Name, found)
			}
		})
	}
}
