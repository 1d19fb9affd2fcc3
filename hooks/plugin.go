package hooks

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/oauth2"
)

// Plugin is a design-tool plugin together with the OAuth client (RFC 6749 section 1.1) that signs its people in.
// One comes from the environment, the others from the collection plugins.
type Plugin struct {
	// Slug is the first part of the plugin's addresses. Blank: it answers at the root.
	Slug string

	// Name is what people read on the pages. Blank: the slug, and at the root the pages do without.
	Name string

	// ReturnApp is the app that people return to after the login. Blank means Framer.
	ReturnApp string

	// Provider names a preset, such as google, which fills endpoints, TokenAuth, PKCE and Issuer where they are blank, and
	// adds to AuthorizeParams. Blank: there is none.
	Provider string

	// Tenant fills the placeholder in the preset's endpoints: a shop, a directory, a subdomain. Blank: the plugin sends it.
	Tenant string

	// ClientID and ClientSecret come from the provider's developer console (RFC 6749 section 2.2).
	ClientID, ClientSecret string

	// RedirectURI is what the provider redirects the browser to. Its path ends in /redirect, or in /{slug}/redirect.
	// Blank: that path on the service's public address.
	RedirectURI string

	// AuthorizeEndpoint and TokenEndpoint are the provider's (RFC 6749 section 3), as absolute URLs.
	// The authorize endpoint may carry a query of its own, which is kept.
	AuthorizeEndpoint, TokenEndpoint string

	// RevokeEndpoint ends a token (RFC 7009 section 2). Blank: the plugin has no /revoke.
	RevokeEndpoint string

	// Issuer is what the provider sends as iss (RFC 9207). Blank: it is not compared.
	Issuer string

	// Scope is sent as it stands: providers differ in what separates scopes. Blank leaves the parameter out.
	Scope string

	// AuthorizeParams are further authorization parameters as a query string: access_type=offline&prompt=consent.
	AuthorizeParams string

	// TokenAuth is the client authentication at the token endpoint (RFC 6749 section 2.3.1): "body" (or blank), "basic", or
	// "basic-secret", which has the secret as its user name. It is never probed, since a probe would use up the code.
	TokenAuth string

	// PKCE is "on" (or blank) or "off". A few providers refuse RFC 7636.
	PKCE string

	// PluginID and ParentDomain allow the origins https://<id>.<parent> and https://<id>-<version>.<parent>.
	// A blank id allows no published plugin; a blank parent means plugins.framercdn.com.
	PluginID, ParentDomain string

	// AllowedOrigins are further origins, matched exactly. "null" is one (sandboxed frames send it), "*" allows all.
	AllowedOrigins []string

	refreshEndpoint string   // the preset's; blank: TokenEndpoint
	revokeKind      string   // of RevokeEndpoint: one of revokeKinds
	tokenParams     string   // of the code's exchange, as a query string
	tenant          *tenant  // the placeholder that is still in the endpoints
	client          []byte   // identifies the plugin with the client and the provider that it has now
	id              string   // of its record; blank: it is not from the dashboard
	closed          *problem // why the plugin answers nothing; nil: it answers
}

// newPlugin reads a plugin's values by the names that they have in the collection plugins.
func newPlugin(value func(field string) string) Plugin {
	trimmed := func(field string) string { return strings.TrimSpace(value(field)) }
	return Plugin{
		Slug:              trimmed("slug"),
		Name:              trimmed("name"),
		ReturnApp:         trimmed("returnApp"),
		Provider:          strings.ToLower(trimmed("provider")),
		Tenant:            trimmed("tenant"),
		ClientID:          trimmed("clientId"),
		ClientSecret:      trimmed("clientSecret"),
		RedirectURI:       trimmed("redirectUri"),
		AuthorizeEndpoint: trimmed("authorizeEndpoint"),
		TokenEndpoint:     trimmed("tokenEndpoint"),
		RevokeEndpoint:    trimmed("revokeEndpoint"),
		Issuer:            trimmed("issuer"),
		Scope:             trimmed("scope"),
		AuthorizeParams:   strings.TrimPrefix(trimmed("authorizeParams"), "?"),
		TokenAuth:         strings.ToLower(trimmed("tokenAuth")),
		PKCE:              strings.ToLower(trimmed("pkce")),
		PluginID:          trimmed("pluginId"),
		AllowedOrigins:    splitList(trimmed("allowedOrigins")),
	}
}

// complete returns a copy in which every blank field has the value that it stands for.
func (p Plugin) complete(config Config) Plugin {
	if p.client != nil {
		return p // a second time would bring back the preset's parameters that it leaves out
	}
	p.ReturnApp = cmp.Or(p.ReturnApp, defaultReturnApp)
	p.ParentDomain = cmp.Or(p.ParentDomain, config.ParentDomain, defaultParentDomain)
	// Browsers send the host of an origin in lower case.
	p.PluginID, p.ParentDomain = strings.ToLower(p.PluginID), strings.ToLower(p.ParentDomain)
	if base := config.publicURL(); p.RedirectURI == "" && base != "" {
		p.RedirectURI = base + p.redirectPath()
	}
	if row, found := findPreset(p.Provider); found {
		p = p.withPreset(row)
	}
	p.refreshEndpoint = cmp.Or(p.refreshEndpoint, p.TokenEndpoint)
	p.TokenAuth, p.PKCE, p.revokeKind = cmp.Or(p.TokenAuth, "body"), cmp.Or(p.PKCE, "on"), cmp.Or(p.revokeKind, "rfc7009")
	// A login that began under another client is not finished here: its code would go to a provider that did not issue it
	// (RFC 9700 section 4.4).
	client := sha256.Sum256([]byte(strings.Join([]string{p.id, p.Slug, p.ClientID, p.AuthorizeEndpoint, p.TokenEndpoint, p.Tenant}, "\n")))
	p.client = client[:]
	return p
}

// plainSlug is a slug for people and for metrics; that of the plugin at the root is blank otherwise.
func plainSlug(slug string) string { return cmp.Or(slug, "/") }

// redirectPath is how a plugin's redirect URI ends. No two plugins of the dashboard share one, so an answer to the login of one cannot be
// given to another (RFC 9700 section 4.4.2).
func (p *Plugin) redirectPath() string {
	if p.Slug == "" {
		return "/redirect"
	}
	return "/" + p.Slug + "/redirect"
}

// invalid says what is wrong with one value of a plugin, and the mend.
type invalid struct {
	field string // as the collection plugins names it
	mend  string // "must be …", without the name in front
}

// Error names the environment variable.
func (i invalid) Error() string {
	return variable(i.field) + " " + i.mend
}

// variable is the environment variable of a field: CLIENT_ID of clientId.
func variable(field string) string {
	if field == "name" {
		return "PLUGIN_NAME"
	}
	var b strings.Builder
	for _, r := range field {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

var (
	// ownParams are the authorization parameters that the relay sends itself. RFC 6749 section 3.1 forbids to repeat one.
	ownParams = []string{"client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method"}

	tokenAuths = []string{"body", "basic", "basic-secret"}

	slugForm = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)
)

// validate returns what must be mended, in the order in which a person would. The plugin is a complete one.
func (p *Plugin) validate() (problems []invalid) {
	check := func(field string, ok bool, mend string) {
		if !ok && !slices.ContainsFunc(problems, func(i invalid) bool { return i.field == field }) {
			problems = append(problems, invalid{field, mend})
		}
	}
	const seeConsole = "must be set; the provider's developer console shows it"
	const seeDocumentation = "must be set; the provider's documentation has it. Or choose a provider that plugin-oauth knows"

	if p.Slug != "" {
		check("slug", slugForm.MatchString(p.Slug), "must consist of a-z, 0-9 and -, such as google-sheets-plugin")
		check("slug", !slices.Contains(reservedSlugs, p.Slug), "must be another: plugin-oauth uses this address itself")
	}
	row, known := findPreset(p.Provider)
	unknown := p.Provider != "" && !known
	if unknown {
		mend := "must be one that the command plugin-oauth providers lists"
		if similar := similarPresets(p.Provider); len(similar) > 0 {
			mend += "; did you mean " + strings.Join(similar, " or ") + "?"
		}
		check("provider", false, mend)
	}
	if p.Tenant != "" {
		check("tenant", p.tenant != nil, "must be blank: the endpoints have no placeholder for it")
		if p.tenant != nil {
			_, ok := p.checkTenant(p.Tenant)
			check("tenant", ok, "must be only the name, such as "+p.tenant.Example)
		}
	}
	check("tenant", p.tenant == nil || !p.tenant.Fixed || p.Tenant != "", "must be set to yours, such as "+p.tenantExample())
	check("clientId", p.ClientID != "", seeConsole)
	check("clientSecret", p.ClientSecret != "", seeConsole)
	check("redirectUri", p.RedirectURI != "", "must be set, or PUBLIC_URL in the environment: it is the address of this service with "+
		p.redirectPath()+" behind it, such as http://localhost:8787"+p.redirectPath())
	checkURL := func(field, endpoint, ofPreset string) url.Values {
		if endpoint == "" || endpoint == ofPreset {
			return nil
		}
		// A placeholder elsewhere would let whoever names a tenant choose the host that is sent the client secret.
		check(field, !strings.ContainsAny(endpoint, "{}"), "must not hold a placeholder such as {tenant}")
		u, err := absoluteURL(endpoint)
		if err != nil {
			check(field, false, err.Error())
			return nil
		}
		if field == "redirectUri" {
			check(field, strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), p.redirectPath()),
				"must end in "+p.redirectPath()+", such as https://my-backend.fly.dev"+p.redirectPath())
		}
		return u.Query()
	}
	checkURL("redirectUri", p.RedirectURI, "")
	// With an unknown provider, that is the one thing to mend.
	check("authorizeEndpoint", p.AuthorizeEndpoint != "" || unknown, seeDocumentation)
	check("tokenEndpoint", p.TokenEndpoint != "" || unknown, seeDocumentation)
	endpointParams := checkURL("authorizeEndpoint", p.AuthorizeEndpoint, row.AuthorizeEndpoint)
	checkURL("tokenEndpoint", p.TokenEndpoint, row.TokenEndpoint)
	checkURL("revokeEndpoint", p.RevokeEndpoint, row.RevokeEndpoint)
	checkURL("issuer", p.Issuer, row.Issuer)
	params, err := url.ParseQuery(p.AuthorizeParams)
	check("authorizeParams", err == nil && !strings.ContainsFunc(p.AuthorizeParams, func(r rune) bool { return r == '#' || r <= ' ' || r > '~' }), "must be a query string such as access_type=offline&prompt=consent")
	for _, name := range ownParams {
		const own = "must not carry %s, which plugin-oauth adds by itself"
		check("authorizeEndpoint", !endpointParams.Has(name), fmt.Sprintf(own, name))
		check("authorizeParams", !params.Has(name), fmt.Sprintf(own, name))
	}
	for name, values := range params {
		check("authorizeParams", len(values) == 1 && !endpointParams.Has(name), "must not carry a parameter twice, here and in the endpoint included")
	}
	check("tokenAuth", slices.Contains(tokenAuths, p.TokenAuth), "must be body, basic or basic-secret")
	check("pkce", slices.Contains([]string{"on", "off"}, p.PKCE), "must be on or off")
	check("pluginId", strings.Trim(p.PluginID, hostLabel) == "",
		"must be only the id, such as abc123; the address of the plugin's submission to the marketplace has it")
	for i, allowed := range p.AllowedOrigins {
		if allowed == "*" || allowed == "null" {
			continue
		}
		// The values themselves are not repeated, since PocketBase keeps what is said here in its log.
		origin, err := originOf(allowed)
		check("allowedOrigins", err == nil, fmt.Sprintf("must be origins such as https://plugin.example, with commas between; number %d is none", i+1))
		check("allowedOrigins", err != nil || origin == allowed, fmt.Sprintf("must be origins as browsers send them; number %d is %s", i+1, origin))
	}
	return problems
}

func (p *Plugin) tenantExample() string {
	if p.tenant == nil {
		return ""
	}
	return p.tenant.Example
}

// authorizationURL is where the browser starts the login (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
func (p *Plugin) authorizationURL(state, verifier string) string {
	endpoint := p.AuthorizeEndpoint
	if p.AuthorizeParams != "" {
		separator := "?"
		if strings.Contains(endpoint, "?") {
			separator = "&"
		}
		endpoint += separator + p.AuthorizeParams
	}
	client := oauth2.Config{
		ClientID:    p.ClientID,
		RedirectURL: p.RedirectURI,
		Endpoint:    oauth2.Endpoint{AuthURL: endpoint},
	}
	if p.Scope != "" {
		client.Scopes = []string{p.Scope}
	}
	if p.PKCE == "off" {
		return client.AuthCodeURL(state)
	}
	return client.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
}
