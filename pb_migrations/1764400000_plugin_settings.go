package pb_migrations

import (
	"slices"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/migrations"
)

// pluginSetting is a field that this version adds, behind the field of the form that it belongs to.
type pluginSetting struct {
	after string
	field core.Field
}

func pluginSettings() []pluginSetting {
	return []pluginSetting{
		{after: "clientSecret", field: &core.TextField{
			Name: "teamId",
			Help: "Only for Sign in with Apple: the id of your team. The client secret is then the " +
				"content of the .p8 file.",
		}},
		{after: "teamId", field: &core.TextField{
			Name: "keyId",
			Help: "Only for Sign in with Apple: the id of the key in the .p8 file.",
		}},
		{after: "redirectUri", field: &core.TextField{
			Name: "redirectName",
			Help: "Only for a provider that knows the redirect URI by a name, such as eBay's RuName: " +
				"it is sent in place of the address.",
		}},
		{after: "authorizeParams", field: &core.TextField{
			Name: "loginParams",
			Help: "Names of login parameters that the plugin may send with /authorize, with commas " +
				"between: prompt,login_hint,scope. Of scope it may ask for a part only. Others are " +
				"ignored.",
		}},
		{after: "loginParams", field: &core.TextField{
			Name: "tokenParams",
			Help: "More parameters for the token endpoint, with a code and with a refresh token: " +
				"resource=https://api.example. A name may come twice.",
		}},
		{after: "tokenAuth", field: &core.SelectField{
			Name:   "tokenFormat",
			Values: []string{"form", "json"},
			Help:   "How the token endpoint is asked. Blank: as the provider above wants it, else form.",
		}},
		{after: "pkce", field: &core.TextField{
			Name: "redirectParams",
			Help: "Names of what the provider adds to the redirect and the plugin needs, with commas " +
				"between: realmId. They become members of the token response.",
		}},
		{after: "revokeEndpoint", field: &core.SelectField{
			Name:   "revokeKind",
			Values: []string{"rfc7009", "token", "bearer", "json", "json-client", "delete"},
			Help: "How the revoke endpoint is asked. rfc7009: a form with the client's " +
				"authentication. token: a form without. bearer, delete: POST or DELETE, which the " +
				"token itself authorizes. json, json-client: JSON, with Basic authentication or " +
				"the client in it. Blank: as the provider above wants it, else rfc7009.",
		}},
	}
}

// pluginHelp are the words at fields that take more than they did. The second are those of the version
// before.
var pluginHelp = map[string][2]string{
	"clientSecret": {
		"The provider's developer console shows it. It is stored encrypted and never shown " +
			"again: dots stand for it. Select them all and type to replace it. With tokenAuth none " +
			"it stays blank, and one that is stored is erased.",
		"The provider's developer console shows it. It is stored encrypted and never shown " +
			"again: dots stand for it. Select them all and type to replace it.",
	},
	"allowedOrigins": {
		"More origins that may call, of any scheme, with commas between: " +
			"https://plugin.example, app://obsidian.md. null is what sandboxed frames send; * " +
			"allows every site.",
		"More origins that may call, with commas between. null is what sandboxed frames send; " +
			"* allows every site.",
	},
	"tenant": {
		"Only for a provider with an address for each customer: the shop at shopify, the " +
			"directory at microsoft, the subdomain at zendesk. Blank: the plugin sends it, as " +
			"shop=… and so on. The host of a provider that you run yourself must be entered here.",
		"Only for a provider with an address for each customer: the shop at shopify, the " +
			"directory at microsoft, the subdomain at zendesk. Blank: the plugin sends it, as " +
			"shop=… and so on.",
	},
	"tokenAuth": {
		"How the client secret is sent. none: it is a public client without a secret, and PKCE " +
			"must be on. Blank: as the provider above wants it, else body.",
		"How the client secret is sent. Blank: as the provider above wants it, else body.",
	},
}

func init() {
	migrations.Register(func(app core.App) error {
		plugins, err := app.FindCollectionByNameOrId("plugins")
		if err != nil {
			return err
		}
		for _, added := range pluginSettings() {
			isBefore := func(f core.Field) bool { return f.GetName() == added.after }
			plugins.Fields.AddAt(slices.IndexFunc(plugins.Fields, isBefore)+1, added.field)
		}
		setPluginHelp(plugins, 0)
		setTokenAuths(plugins, "body", "basic", "basic-secret", "none")
		return app.Save(plugins)
	}, func(app core.App) error {
		plugins, err := app.FindCollectionByNameOrId("plugins")
		if err != nil {
			return err
		}
		// The version before knows no client without a secret. It says so at the next start.
		const forget = `UPDATE plugins SET tokenAuth = '' WHERE tokenAuth = 'none'`
		if _, err := app.DB().NewQuery(forget).Execute(); err != nil {
			return err
		}
		for _, added := range pluginSettings() {
			plugins.Fields.RemoveByName(added.field.GetName())
		}
		setPluginHelp(plugins, 1)
		setTokenAuths(plugins, "body", "basic", "basic-secret")
		return app.Save(plugins)
	})
}

func setTokenAuths(plugins *core.Collection, values ...string) {
	plugins.Fields.GetByName("tokenAuth").(*core.SelectField).Values = values
}

func setPluginHelp(plugins *core.Collection, version int) {
	for name, words := range pluginHelp {
		switch field := plugins.Fields.GetByName(name).(type) {
		case *core.TextField:
			field.Help = words[version]
		case *core.SelectField:
			field.Help = words[version]
		}
	}
}
