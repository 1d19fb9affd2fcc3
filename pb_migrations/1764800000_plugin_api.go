package pb_migrations

import (
	"slices"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/migrations"
)

// apiSettings are the fields of a plugin that say what may be called through /fetch, and with which tokens.
func apiSettings() []pluginSetting {
	return []pluginSetting{
		{after: "redirectParams", field: &core.TextField{
			Name: "apiHosts",
			Help: "Only for a provider whose API does not let browsers call: its hosts, with commas " +
				"between, such as api.notion.com. The plugin calls them through /fetch. on: those that " +
				"plugin-oauth knows of the provider above. Blank: none.",
		}},
		{after: "apiHosts", field: &core.SelectField{
			Name:   "tokens",
			Values: []string{"plain", "sealed"},
			Help: "sealed: the plugin gets tokens that only this service can open, for its calls " +
				"through /fetch. Blank: plain, the provider's own.",
		}},
	}
}

// providerHelp are the words at the field provider. The second are those of the version before.
var providerHelp = [2]string{
	"Such as google. It fills the endpoints and options that you leave blank below. The command " +
		"plugin-oauth providers lists those that are known.",
	"Such as google. It fills the endpoints and options that you leave blank below. The README and the " +
		"command plugin-oauth providers list those that are known.",
}

func setProviderHelp(plugins *core.Collection, version int) {
	plugins.Fields.GetByName("provider").(*core.TextField).Help = providerHelp[version]
}

func init() {
	migrations.Register(func(app core.App) error {
		plugins, err := app.FindCollectionByNameOrId("plugins")
		if err != nil {
			return err
		}
		for _, added := range apiSettings() {
			isBefore := func(f core.Field) bool { return f.GetName() == added.after }
			plugins.Fields.AddAt(slices.IndexFunc(plugins.Fields, isBefore)+1, added.field)
		}
		setProviderHelp(plugins, 0)
		return app.Save(plugins)
	}, func(app core.App) error {
		plugins, err := app.FindCollectionByNameOrId("plugins")
		if err != nil {
			return err
		}
		for _, added := range apiSettings() {
			plugins.Fields.RemoveByName(added.field.GetName())
		}
		setProviderHelp(plugins, 1)
		return app.Save(plugins)
	})
}
