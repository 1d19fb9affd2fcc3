package doctor

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
)

// The checks in this file only read a plugin's configuration, and send no requests.

// hubSpotV1 is a token endpoint that many older backends use. HubSpot will turn it off.
const hubSpotV1 = "https://api.hubapi.com/oauth/v1/token"

var hubSpotV1Ends = time.Date(2027, time.February, 16, 0, 0, 0, 0, time.UTC)

// checkUnavailable says why a plugin cannot be used.
func (d *Doctor) checkUnavailable(p *plugins.Plugin) []Finding {
	switch {
	case p.State != plugins.SecretUnreadable:
		return []Finding{{
			Level:  LevelError,
			Plugin: label(p),
			What:   "The plugin cannot be used.",
			Why:    "Nobody can sign in with it.",
			Fix:    p.Reason(),
		}}
	case !d.options.HasEncryptionKey:
		return []Finding{{
			Level: LevelError,
			What: "ENCRYPTION_KEY is not set, so the client secrets of the dashboard's plugins cannot be " +
				"read.",
			Why: "Nobody can sign in with these plugins.",
			Fix: "Set ENCRYPTION_KEY to the key that they were saved under.",
		}}
	default:
		return []Finding{{
			Level:  LevelError,
			Plugin: label(p),
			What:   "The client secret does not open with this ENCRYPTION_KEY.",
			Why:    "Nobody can sign in with this plugin.",
			Fix: "Set ENCRYPTION_KEY to the key that the plugin was saved under, or enter " +
				p.Where("clientSecret") + " again.",
		}}
	}
}

// checkEncryption requires https wherever a secret crosses a network.
func (d *Doctor) checkEncryption(p *plugins.Plugin) (findings []Finding) {
	if oauth.InTheClear(p.RedirectURI) {
		findings = append(findings, notEncrypted(d.redirectURISource(p)))
	}
	// In the order of the form.
	for _, entered := range []struct{ field, address string }{
		{field: "authorizeEndpoint", address: p.AuthorizeEndpoint},
		{field: "tokenEndpoint", address: p.TokenEndpoint},
		{field: "revokeEndpoint", address: p.RevokeEndpoint},
	} {
		if oauth.InTheClear(entered.address) {
			f := notEncrypted(setting{plugin: label(p), name: p.Where(entered.field)})
			f.Level = LevelWarning // the admin has allowed it with ALLOW_HTTP
			findings = append(findings, f)
		}
	}
	return findings
}

// setting is what an admin changes: a variable, or a field of a plugin.
type setting struct {
	plugin string // the label of the plugin that it belongs to; blank: it belongs to none
	name   string
}

func notEncrypted(s setting) Finding {
	return Finding{
		Level:  LevelError,
		Plugin: s.plugin,
		What:   "An address has http:// instead of https://.",
		Why:    "The code, the tokens or the client secret travel where others can read them.",
		Fix:    "Write https:// in " + s.name + ".",
	}
}

// checkOrigins checks whether the published plugin may call.
func checkOrigins(p *plugins.Plugin) []Finding {
	redirectURI, err := url.Parse(p.RedirectURI)
	if err != nil || oauth.IsLoopback(redirectURI.Hostname()) || p.PluginID != "" ||
		len(p.AllowedOrigins) > 0 {
		return nil
	}
	return []Finding{{
		Level:  LevelWarning,
		Plugin: label(p),
		What:   "The plugin may call from localhost only.",
		Why:    "The published plugin cannot sign anybody in.",
		Fix:    "Set " + p.Where("pluginId") + " to the id of the published plugin.",
	}}
}

// checkRefreshToken checks whether a login asks for all that the provider needs to give a refresh token.
func checkRefreshToken(p *plugins.Plugin) (findings []Finding) {
	preset, found := p.LikelyPreset()
	if !found {
		return nil
	}
	add := func(fix string) {
		findings = append(findings, Finding{
			Level:  LevelWarning,
			Plugin: label(p),
			What:   "The login asks for no refresh token.",
			Why:    "People must sign in again when the access token has expired.",
			Fix:    fix,
		})
	}
	scopes := strings.FieldsFunc(p.Scope, func(r rune) bool { return r == ' ' || r == ',' })
	if preset.RefreshScope != "" && !slices.Contains(scopes, preset.RefreshScope) {
		add("Add " + preset.RefreshScope + " to " + p.Where("scope") + ".")
	}
	for _, fix := range offlineFixes(p, preset) {
		add(fix)
	}
	return findings
}

// offlineFixes says where to put each parameter that asks for a refresh token, if the preset sends it and the
// plugin's login does not.
func offlineFixes(p *plugins.Plugin, preset oauth.Preset) (fixes []string) {
	_, query, _ := strings.Cut(p.AuthorizeEndpoint, "?")
	inEndpoint, _ := url.ParseQuery(query)
	params, _ := url.ParseQuery(p.AuthorizeParams)
	ofPreset, _ := url.ParseQuery(preset.AuthorizeParams)
	for _, name := range []string{"access_type", "token_access_type"} {
		offline := name + "=offline"
		isSent := inEndpoint.Get(name) == "offline" || params.Get(name) == "offline"
		switch {
		case isSent || ofPreset.Get(name) != "offline":
			// There is nothing to fix.
		case inEndpoint.Has(name):
			fixes = append(fixes, "Put "+offline+" into "+p.Where("authorizeEndpoint")+".")
		case p.Provider == "" && !params.Has(name):
			fixes = append(fixes, "Set "+p.Where("provider")+" to "+preset.Name+", which adds "+offline+".")
		default:
			fixes = append(fixes, "Put "+offline+" into "+p.Where("authorizeParams")+".")
		}
	}
	return fixes
}

// checkScope checks the scope against what the provider's preset knows.
func checkScope(p *plugins.Plugin) []Finding {
	fix := p.FixOfScope()
	if fix == "" {
		return nil
	}
	f := Finding{
		Level:  LevelWarning,
		Plugin: label(p),
		What:   "The scopes are not written as the provider wants them.",
		Why:    "The provider may refuse the login, or take all of them for one that it does not know.",
		Fix:    capitalized(p.Where("scope")) + " " + fix + ".",
	}
	if p.Scope == "" {
		f.What, f.Why = "The login asks for no scope.", "The provider refuses such a login."
	}
	return []Finding{f}
}

func capitalized(sentence string) string { return strings.ToUpper(sentence[:1]) + sentence[1:] }

func checkHubSpot(p *plugins.Plugin, now time.Time) []Finding {
	if strings.TrimSuffix(withoutQuery(p.TokenEndpoint), "/") != hubSpotV1 {
		return nil
	}
	f := Finding{
		Level:  LevelWarning,
		Plugin: label(p),
		What:   "HubSpot ends this token endpoint on 2027-02-16.",
		Why:    "From then on nobody can sign in, or stay signed in.",
		Fix: "Leave " + p.Where("tokenEndpoint") + " blank, with " + p.WhereElse("provider") +
			" set to hubspot.",
	}
	if !now.Before(hubSpotV1Ends) {
		f.Level, f.What, f.Why = LevelError, "HubSpot ended this token endpoint on 2027-02-16.", whyNobody
	}
	return []Finding{f}
}

func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}
