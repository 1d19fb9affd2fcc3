package oauth

import (
	"cmp"
	_ "embed"
	"encoding/json/v2"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"plugin-oauth/internal/typo"
)

// Preset has the facts about one provider. It fills what a [Client] leaves blank. See presets.json.
type Preset struct {
	// Name is what an author writes: [a-z0-9-]. Title is what people call the provider.
	Name  string `json:"name"`
	Title string `json:"title"`

	// AuthorizeEndpoint and the other endpoints are those of [Client]. They may hold the tenant's
	// placeholder, as in https://{shop}.myshopify.com/.
	AuthorizeEndpoint string     `json:"authorizeEndpoint"`
	TokenEndpoint     string     `json:"tokenEndpoint"`
	RefreshEndpoint   string     `json:"refreshEndpoint,omitzero"`
	RevokeEndpoint    string     `json:"revokeEndpoint,omitzero"`
	RevokeKind        RevokeKind `json:"revokeKind,omitzero"`
	Issuer            string     `json:"issuer,omitzero"`
	LongLived         *LongLived `json:"longLived,omitzero"`

	// RevokeToken is the token that can be revoked: access or refresh. Blank means both, or that it is not
	// known.
	RevokeToken string `json:"revokeToken,omitzero"`

	// TokenAuth and PKCE are those of [Client]. A blank PKCE means on.
	TokenAuth TokenAuth `json:"tokenAuth"`
	PKCE      string    `json:"pkce,omitzero"`

	// HexChallenge is that of [Client].
	HexChallenge bool `json:"hexChallenge,omitzero"`

	// TokenFormat, ClientIDParam, LoginParams, RedirectParams and CodeRedirectParams are those of [Client].
	TokenFormat        TokenFormat `json:"tokenFormat,omitzero"`
	ClientIDParam      string      `json:"clientIdParam,omitzero"`
	LoginParams        []string    `json:"loginParams,omitzero"`
	RedirectParams     []string    `json:"redirectParams,omitzero"`
	CodeRedirectParams []string    `json:"codeRedirectParams,omitzero"`

	// SignedSecret is that of [Client]. Nil means that the client secret is sent as it is.
	SignedSecret *SignedSecret `json:"signedSecret,omitzero"`

	// RedirectName is an example of the name that the provider wants in place of the redirect URI. Blank
	// means that it wants the address.
	RedirectName string `json:"redirectName,omitzero"`

	// ScopeSeparator is a space or a comma. Blank means that the provider has no scopes, or that it is not
	// known.
	ScopeSeparator string `json:"scopeSeparator,omitzero"`

	// AuthorizeParams, TokenParams and CodeParams are those of [Client], as query strings.
	AuthorizeParams string `json:"authorizeParams,omitzero"`
	TokenParams     string `json:"tokenParams,omitzero"`
	CodeParams      string `json:"codeParams,omitzero"`

	// RefreshScope is the scope that must be asked for to get a refresh token. Blank means that none is
	// needed.
	RefreshScope string `json:"refreshScope,omitzero"`

	// ScopeRequired says that the provider refuses a login that asks for no scope at all.
	ScopeRequired bool `json:"scopeRequired,omitzero"`

	// Tenant is the part of the endpoints that differs for each customer. Nil means that one address serves
	// everybody.
	Tenant *Tenant `json:"tenant,omitzero"`

	// Scopes are some that authors need often, for them to copy. The program asks for none of them by
	// itself. Empty means that there are none, or that they are not listed.
	Scopes []PresetScope `json:"scopes,omitzero"`

	// RefreshNote says in one or two short sentences when the provider issues a refresh token, whether a
	// refresh replaces it, and when it ends. Blank means that it is not known.
	RefreshNote string `json:"refreshNote,omitzero"`

	// APIHosts are the hosts that the provider's API is at, as they stand in an https address, with a port if
	// they have one. They may hold the tenant's placeholder. Empty means that each customer's is another one,
	// or that they are not known.
	APIHosts []string `json:"apiHosts,omitzero"`

	// CORS says whether browsers may call the API with an access token.
	CORS CORS `json:"cors,omitzero"`

	// APISources are the public places that APIHosts and CORS were found in.
	APISources []string `json:"apiSources,omitzero"`

	// Console is where an author registers the client. Hint is one line on what usually goes wrong.
	Console string `json:"console,omitzero"`
	Hint    string `json:"hint,omitzero"`

	// Sources are the public places that the facts were found in.
	Sources []string `json:"sources"`
}

// CORS says whether a provider's API lets pages of other origins call it from a browser, with an access token
// in the Authorization header (Fetch standard, CORS protocol).
type CORS string

const (
	// CORSYes is an API that any page may call, or any whose origin the author lists at the provider.
	CORSYes CORS = "yes"
	// CORSNo is an API that pages cannot call, or only once each customer's administrator has allowed it.
	// Its calls need a server in between.
	CORSNo CORS = "no"
	// CORSUnknown is an API of which no source says.
	CORSUnknown CORS = ""
)

// PresetScope is a scope of a provider, and what a plugin may do with it.
type PresetScope struct {
	// Scope is as it stands in [Client.Scope].
	Scope string `json:"scope"`

	// Allows is a few words on what the scope allows, such as "Read files", without a full stop.
	Allows string `json:"allows"`
}

// saysNoScopes finds what hints say of providers where a plugin cannot ask for scopes.
var saysNoScopes = regexp.MustCompile(`(?i)\bno (real )?scopes?\b|\bnot in the login\b`)

// HasScopes reports whether a plugin asks the provider for scopes, as far as that is known. If nothing else
// tells, the hint does.
func (p *Preset) HasScopes() bool {
	return p.ScopeSeparator != "" || len(p.Scopes) > 0 || p.ScopeRequired || p.RefreshScope != "" ||
		strings.Contains(strings.ToLower(p.Hint), "scope") && !saysNoScopes.MatchString(p.Hint)
}

//go:embed presets.json
var presetsJSON []byte

// presets returns the rows of presets.json, sorted by name. They take a megabyte, so they are read when they
// are first asked for.
var presets = sync.OnceValue(func() (all []Preset) {
	if err := json.Unmarshal(presetsJSON, &all, json.RejectUnknownMembers(true)); err != nil {
		panic("presets.json: " + err.Error())
	}
	return all
})

// Presets returns all presets, sorted by name.
func Presets() []Preset { return slices.Clone(presets()) }

// FindPreset returns the preset with this name, if there is one.
func FindPreset(name string) (Preset, bool) {
	if name == "" {
		return Preset{}, false
	}
	compare := func(preset Preset, name string) int { return cmp.Compare(preset.Name, name) }
	i, found := slices.BinarySearchFunc(presets(), name, compare)
	if !found {
		return Preset{}, false
	}
	return presets()[i], true
}

// SimilarPresets returns the names of the presets that may be meant by a name that is not a preset's: those
// that it contains or whose title contains it, or else those that it is mistyped from.
func SimilarPresets(name string) (similar []string) {
	name = strings.ToLower(name)
	words := make(map[string]string, 2*len(presets())) // to the preset's name, from that and the title
	for _, preset := range presets() {
		inTitle := len(name) > 2 && strings.Contains(strings.ToLower(preset.Title), name)
		if inTitle || (len(preset.Name) > 2 && strings.Contains(name, preset.Name)) {
			similar = append(similar, preset.Name)
		}
		words[typo.Compact(preset.Title)] = preset.Name
		words[typo.Compact(preset.Name)] = preset.Name
	}
	if len(similar) > 0 {
		return similar
	}
	for _, word := range typo.Nearest(typo.Compact(name), slices.Sorted(maps.Keys(words))) {
		similar = append(similar, words[word])
	}
	slices.Sort(similar)
	return slices.Compact(similar)
}

// fixOfUnknownPreset says what to write instead of a name that is no preset's. A long value may be a secret
// in the wrong place, so it is not quoted.
func fixOfUnknownPreset(name string) string {
	const maxWord, maxWords = 16, 32
	similar := SimilarPresets(name)
	fix := "must be one that the command plugin-oauth providers lists"
	if len(name) <= maxWord || (len(similar) > 0 && len(name) <= maxWords) {
		fix += fmt.Sprintf(", not %q", name)
	}
	if len(similar) > 0 {
		fix += "; did you mean " + strings.Join(similar, " or ") + "?"
	}
	return fix
}

// LikelyPreset returns the preset that a client names. A client whose configuration comes from another
// backend may have endpoints only; its token endpoint then tells which provider it is.
func (c *Client) LikelyPreset() (Preset, bool) {
	if c.Provider != "" {
		return FindPreset(c.Provider)
	}
	i := slices.IndexFunc(presets(), func(p Preset) bool { return p.hasTokenEndpoint(c.TokenEndpoint) })
	if i < 0 {
		return Preset{}, false
	}
	return presets()[i], true
}

// hasTokenEndpoint reports whether an address is the preset's token endpoint, for whichever tenant.
func (p *Preset) hasTokenEndpoint(endpoint string) bool {
	if p.Tenant == nil {
		return endpoint == p.TokenEndpoint
	}
	if p.Tenant.Kind == TenantRegion {
		here := Client{TokenEndpoint: p.TokenEndpoint, region: p.Tenant}
		isThere := func(name string) bool { return endpoint == here.inRegion(name).TokenEndpoint }
		return slices.ContainsFunc(slices.Collect(maps.Keys(p.Tenant.Hosts)), isThere)
	}
	if p.Tenant.isHost() {
		return false // paths such as /oauth/token are everybody's
	}
	before, after, _ := strings.Cut(p.TokenEndpoint, p.Tenant.placeholder())
	tenant, hasBefore := strings.CutPrefix(endpoint, before)
	tenant, hasAfter := strings.CutSuffix(tenant, after)
	return hasBefore && hasAfter && tenant != "" && !strings.Contains(tenant, "/")
}
