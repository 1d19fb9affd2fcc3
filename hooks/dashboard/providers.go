package dashboard

import (
	"cmp"
	"maps"
	"net/http"
	"strings"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/oauth"
)

// providerHelp is what the form of a plugin says about a provider that is known.
type providerHelp struct {
	Name           string              `json:"name"`
	Title          string              `json:"title"`
	Console        string              `json:"console"`        // blank: unknown
	Hint           string              `json:"hint"`           // what usually goes wrong
	ScopeSeparator string              `json:"scopeSeparator"` // blank: unknown, or none
	Scopes         []oauth.PresetScope `json:"scopes"`         // some to copy
	RefreshScope   string              `json:"refreshScope"`   // needed for a refresh token; blank: none
	RefreshNote    string              `json:"refreshNote"`
	Revoke         string              `json:"revoke"`       // the token to send, or any; blank: none
	RedirectName   string              `json:"redirectName"` // an example; blank: it wants the address
	API            string              `json:"api"`          // where it is, and whether browsers may call it
	CORS           oauth.CORS          `json:"cors"`         // yes, no, or blank: unknown
	APIHosts       []string            `json:"apiHosts"`     // what on stands for; empty: it stands for none

	// Required are the fields without which a plugin of this provider cannot be used.
	Required []string `json:"required"`

	// Fills are the values of the fields that may be left blank.
	Fills map[string]string `json:"fills"`
}

// listProviders handles GET /api/plugin-oauth/providers: all that are known, as a JSON array, sorted by name.
// Before them stands one without a name: any other, whose endpoints the author fills in.
func listProviders(e *core.RequestEvent) error {
	all := []providerHelp{helpFor(oauth.Preset{})}
	for _, preset := range oauth.Presets() {
		all = append(all, helpFor(preset))
	}
	return e.JSON(http.StatusOK, all)
}

func helpFor(preset oauth.Preset) providerHelp {
	client := oauth.Client{Provider: preset.Name}.Complete()
	help := providerHelp{
		Name:           preset.Name,
		Title:          preset.Title,
		Console:        preset.Console,
		Hint:           preset.Hint,
		ScopeSeparator: preset.ScopeSeparator,
		Scopes:         append([]oauth.PresetScope{}, preset.Scopes...),
		RefreshScope:   preset.RefreshScope,
		RefreshNote:    preset.RefreshNote,
		RedirectName:   preset.RedirectName,
		API:            preset.DescribeAPI(),
		CORS:           preset.CORS,
		APIHosts:       append([]string{}, preset.APIHosts...),
		Fills:          filledFields(client),
	}
	if preset.RevokeEndpoint != "" {
		help.Revoke = cmp.Or(preset.RevokeToken, "any")
	}
	for _, missing := range client.Validate() {
		help.Required = append(help.Required, missing.Field)
	}
	if preset.ScopeRequired {
		help.Required = append(help.Required, "scope")
	}
	if tenant := client.OpenTenant(); tenant != nil && tenant.Default != "" {
		help.Fills["tenant"] = tenant.Default
	}
	return help
}

// filledFields returns what a client has whose author fills in nothing.
func filledFields(client oauth.Client) map[string]string {
	fills := map[string]string{
		"authorizeEndpoint": client.AuthorizeEndpoint,
		"tokenEndpoint":     client.TokenEndpoint,
		"revokeEndpoint":    client.RevokeEndpoint,
		"issuer":            client.Issuer,
		"authorizeParams":   client.AuthorizeParams,
		"loginParams":       strings.Join(client.LoginParams, ","),
		"tokenParams":       client.TokenParams,
		"redirectParams":    strings.Join(client.RedirectParams, ","),
		"tokenAuth":         string(client.TokenAuth),
		"tokenFormat":       string(client.TokenFormat),
		"pkce":              client.PKCE,
	}
	if client.RevokeEndpoint != "" {
		fills["revokeKind"] = string(client.RevokeKind)
	}
	maps.DeleteFunc(fills, func(_, value string) bool { return value == "" })
	return fills
}
