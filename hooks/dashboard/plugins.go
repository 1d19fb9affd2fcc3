package dashboard

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
)

// pluginHelp is what an author must paste where, for one plugin.
type pluginHelp struct {
	ID          string      `json:"id"`    // of its record; blank: it is not from the dashboard
	Slug        string      `json:"slug"`  // "/" for the one at the root
	Label       string      `json:"label"` // what the page calls it
	Name        string      `json:"name"`
	Provider    string      `json:"provider"`
	Console     string      `json:"console"` // where the client is registered at the provider; blank: unknown
	Enabled     bool        `json:"enabled"`
	Problem     string      `json:"problem"` // why it cannot be used; blank: it can
	Backend     string      `json:"backend"`
	RedirectURI string      `json:"redirectUri"`
	Origins     []string    `json:"origins"`  // that may call, for people to read
	Revoke      string      `json:"revoke"`   // the token to send: access, refresh or any; blank: none
	APIHosts    []string    `json:"apiHosts"` // that it may call through /fetch
	Tenant      *tenantHelp `json:"tenant"`   // what the plugin must name; nil: nothing
}

// tenantHelp is a parameter that the plugin sends.
type tenantHelp struct {
	Name    string `json:"name"`
	Example string `json:"example"`
	Default string `json:"default"` // blank: it must be sent
}

// listPlugins handles GET /api/plugin-oauth/plugins: {"base": "https://…", "missing": "…", "plugins": […]}.
func (p page) listPlugins(e *core.RequestEvent) error {
	bySlug, err := p.Records.All()
	if err != nil {
		return err
	}
	answer := struct {
		Base    string       `json:"base"`
		Missing string       `json:"missing,omitzero"` // what must be set before a plugin can be added
		Plugins []pluginHelp `json:"plugins"`
	}{Base: p.BaseURL, Missing: p.missing(), Plugins: []pluginHelp{}}
	if p.Environment != nil {
		answer.Plugins = append(answer.Plugins, p.help(p.Environment))
	}
	for _, slug := range slices.Sorted(maps.Keys(bySlug)) {
		answer.Plugins = append(answer.Plugins, p.help(bySlug[slug]))
	}
	return e.JSON(http.StatusOK, answer)
}

// missing says what must be set before a plugin with a client secret can be saved, or returns "".
func (p page) missing() string {
	if p.Records.CanSeal() {
		return ""
	}
	return "Client secrets cannot be stored yet, since the service runs without ENCRYPTION_KEY. Before you " +
		"add a plugin, set it in the environment or in .env, and start again; " + plugins.HowToMakeKey + "."
}

func (p page) help(plugin *plugins.Plugin) pluginHelp {
	help := pluginHelp{
		ID:          plugin.RecordID,
		Slug:        plugins.DisplaySlug(plugin.Slug),
		Label:       plugin.Slug,
		Name:        plugin.Name,
		Enabled:     plugin.State != plugins.SwitchedOff,
		Problem:     plugin.Reason(),
		Backend:     p.BaseURL,
		RedirectURI: plugin.RedirectURI,
		Origins:     plugin.Origins(),
		APIHosts:    hostsToCall(plugin),
	}
	if plugin.Slug == "" {
		help.Label = p.rootLabel()
	} else {
		help.Backend += "/" + plugin.Slug
	}
	preset, known := oauth.FindPreset(plugin.Provider)
	if known {
		help.Provider, help.Console = preset.Title, preset.Console
	}
	if plugin.RevokeEndpoint != "" {
		help.Revoke = "any"
		if known && plugin.RevokeEndpoint == preset.RevokeEndpoint && preset.RevokeToken != "" {
			help.Revoke = preset.RevokeToken
		}
	}
	if tenant := plugin.OpenTenant(); tenant != nil && plugin.Tenant == "" && !tenant.Fixed {
		help.Tenant = &tenantHelp{Name: tenant.Name, Example: tenant.Example, Default: tenant.Default}
	}
	return help
}

// hostsToCall returns the hosts of the API as they stand in the addresses that the plugin calls.
func hostsToCall(plugin *plugins.Plugin) []string {
	client := &plugin.Client
	if filled, err := client.ForTenant(""); err == nil {
		client = filled
	}
	hosts := []string{}
	for _, host := range client.APIHosts {
		hosts = append(hosts, strings.TrimPrefix(host, "http://"))
	}
	return hosts
}

// rootLabel is what the page calls the plugin at the root, which has no slug.
func (p page) rootLabel() string {
	if p.Environment == nil {
		return "The environment's plugin"
	}
	preset, _ := oauth.FindPreset(p.Environment.Provider)
	return cmp.Or(p.Environment.Name, preset.Title, "The environment's plugin")
}
