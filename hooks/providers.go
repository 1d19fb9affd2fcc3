package hooks

import (
	"cmp"
	_ "embed"
	"encoding/json/v2"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// preset has the facts about one provider. It fills what a plugin leaves blank. See providers.json.
type preset struct {
	Name  string `json:"name"`  // what an author writes: [a-z0-9-]
	Title string `json:"title"` // what people call it

	// The endpoints may hold the tenant's placeholder, as in https://{shop}.myshopify.com/.
	AuthorizeEndpoint string `json:"authorizeEndpoint"`
	TokenEndpoint     string `json:"tokenEndpoint"`
	RefreshEndpoint   string `json:"refreshEndpoint,omitzero"` // blank: the token endpoint
	RevokeEndpoint    string `json:"revokeEndpoint,omitzero"`
	RevokeKind        string `json:"revokeKind,omitzero"`  // one of revokeKinds
	RevokeToken       string `json:"revokeToken,omitzero"` // the one that can be revoked: access or refresh; blank: both, or it is not known
	Issuer            string `json:"issuer,omitzero"`      // what it sends as iss (RFC 9207); blank: unknown

	TokenAuth       string  `json:"tokenAuth"`                // one of tokenAuths
	PKCE            string  `json:"pkce,omitzero"`            // "off": it refuses PKCE; blank: on
	ScopeSeparator  string  `json:"scopeSeparator,omitzero"`  // blank: it has no scopes, or it is not known
	AuthorizeParams string  `json:"authorizeParams,omitzero"` // a query string
	TokenParams     string  `json:"tokenParams,omitzero"`     // of the code's exchange, likewise
	RefreshScope    string  `json:"refreshScope,omitzero"`    // the scope that a refresh token needs
	Tenant          *tenant `json:"tenant,omitzero"`          // nil: one address for everybody

	Console string   `json:"console,omitzero"` // where an author makes the app
	Hint    string   `json:"hint,omitzero"`    // one line on what usually goes wrong
	Sources []string `json:"sources"`          // the public places that the facts were found in
}

// tenant is a part of the endpoints that differs for each customer of the provider: a shop, a directory, a subdomain.
type tenant struct {
	Name    string `json:"name"`             // of the placeholder, and of the parameter that a plugin sends
	Default string `json:"default,omitzero"` // blank: it must be named
	Example string `json:"example"`
	Fixed   bool   `json:"fixed,omitzero"` // the author names it, since a client is known to one tenant only; a plugin cannot
}

//go:embed providers.json
var providersJSON []byte

// presets has the rows of providers.json, sorted by name.
var presets = func() (rows []preset) {
	if err := json.Unmarshal(providersJSON, &rows, json.RejectUnknownMembers(true)); err != nil {
		panic("providers.json: " + err.Error())
	}
	return rows
}()

// findPreset returns the preset of a name.
func findPreset(name string) (preset, bool) {
	i, found := slices.BinarySearchFunc(presets, name, func(row preset, name string) int { return cmp.Compare(row.Name, name) })
	if !found {
		return preset{}, false
	}
	return presets[i], true
}

// similarPresets names the presets that may be meant by a name which is none.
func similarPresets(name string) (similar []string) {
	for _, row := range presets {
		if (len(name) > 2 && strings.Contains(strings.ToLower(row.Title), name)) || (len(row.Name) > 2 && strings.Contains(name, row.Name)) {
			similar = append(similar, row.Name)
		}
	}
	return similar
}

// withPreset fills what the plugin leaves blank. Whoever gives another token endpoint means another server, so the preset's
// refresh and revoke endpoints, which would be sent that server's tokens, are left out.
func (p Plugin) withPreset(row preset) Plugin {
	p.AuthorizeEndpoint = cmp.Or(p.AuthorizeEndpoint, row.AuthorizeEndpoint)
	p.TokenAuth = cmp.Or(p.TokenAuth, row.TokenAuth)
	p.PKCE = cmp.Or(p.PKCE, row.PKCE)
	p.AuthorizeParams = mergeParams(p.AuthorizeEndpoint, p.AuthorizeParams, row.AuthorizeParams)
	if p.TokenEndpoint == "" || p.TokenEndpoint == row.TokenEndpoint {
		p.TokenEndpoint, p.refreshEndpoint, p.tokenParams = row.TokenEndpoint, row.RefreshEndpoint, row.TokenParams
		p.Issuer = cmp.Or(p.Issuer, row.Issuer)
		if p.RevokeEndpoint == "" {
			p.RevokeEndpoint, p.revokeKind = row.RevokeEndpoint, row.RevokeKind
		}
	}
	if row.Tenant != nil && strings.Contains(p.AuthorizeEndpoint+p.TokenEndpoint, row.Tenant.placeholder()) {
		p.tenant = row.Tenant
	}
	return p
}

// mergeParams adds the preset's parameters that the plugin does not give itself, in its endpoint or its own parameters.
// A plugin leaves one of the preset's out by giving it without a value (RFC 6749 section 3.1: as if it were omitted).
func mergeParams(endpoint, own, preset string) string {
	_, query, _ := strings.Cut(endpoint, "?")
	given, err := url.ParseQuery(query + "&" + own)
	presets, presetErr := url.ParseQuery(preset)
	if err != nil || presetErr != nil {
		return own // validate reports it
	}
	var merged []string
	for pair := range strings.SplitSeq(own, "&") {
		if name, value, _ := strings.Cut(pair, "="); pair != "" && (value != "" || !presets.Has(name)) {
			merged = append(merged, pair)
		}
	}
	for pair := range strings.SplitSeq(preset, "&") {
		if name, _, _ := strings.Cut(pair, "="); pair != "" && !given.Has(name) {
			merged = append(merged, pair)
		}
	}
	return strings.Join(merged, "&")
}

// placeholder stands in the preset's endpoints only; validate refuses it in a plugin's own.
func (t *tenant) placeholder() string { return "{" + t.Name + "}" }

// A tenant's name becomes a part of an address that the client secret is sent to. In a host it is one label, and the
// preset's fixed part behind it says whose host that is.
var (
	tenantLabel = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)
	tenantPath  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$`)
)

// checkTenant returns the name that can stand for the placeholder, and whether it can. People also write the whole host,
// my-store.myshopify.com for my-store.
func (p *Plugin) checkTenant(name string) (string, bool) {
	host, _, _ := strings.Cut(strings.TrimPrefix(p.TokenEndpoint, "https://"), "/")
	domain, inHost := strings.CutPrefix(host, p.tenant.placeholder())
	if inHost {
		name = strings.TrimSuffix(name, domain)
		return name, tenantLabel.MatchString(name)
	}
	return name, tenantPath.MatchString(name)
}

// forTenant returns the plugin with the endpoints of one tenant: the plugin's own, else the one that is named, else the
// preset's default. A plugin without placeholders comes back as it is, and the name is ignored.
func (p *Plugin) forTenant(name string) (*Plugin, error) {
	if p.tenant == nil {
		return p, nil
	}
	refuse := func(what string) (*Plugin, error) {
		return nil, &problem{
			Status:      http.StatusBadRequest,
			Code:        "invalid_request",
			Description: fmt.Sprintf("The plugin must send %s=%s, with the right name. %s", p.tenant.Name, p.tenant.Example, what),
		}
	}
	wanted := cmp.Or(name, p.Tenant, p.tenant.Default)
	if wanted == "" {
		return refuse("It is missing.")
	}
	wanted, ok := p.checkTenant(wanted)
	if !ok {
		return refuse("This one is malformed.")
	}
	if own, _ := p.checkTenant(p.Tenant); p.Tenant != "" && wanted != own {
		return refuse("This plugin is for another one.")
	}
	fill := strings.NewReplacer(p.tenant.placeholder(), wanted).Replace
	filled := *p
	filled.Tenant, filled.tenant = wanted, nil
	for _, endpoint := range []*string{&filled.AuthorizeEndpoint, &filled.TokenEndpoint, &filled.refreshEndpoint, &filled.RevokeEndpoint, &filled.Issuer} {
		*endpoint = fill(*endpoint)
	}
	return &filled, nil
}

// pluginForTenant returns the plugin with its endpoints for the tenant that the request names, where they have a placeholder.
func (e *request) pluginForTenant() (*Plugin, error) {
	if e.plugin.tenant == nil {
		return e.plugin, nil
	}
	return e.plugin.forTenant(e.param(e.plugin.tenant.Name))
}
