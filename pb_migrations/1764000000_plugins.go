package pb_migrations

import (
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/migrations"
)

func init() {
	migrations.Register(func(app core.App) error {
		plugins := core.NewBaseCollection("plugins")
		plugins.Fields.Add(
			&core.TextField{Name: "slug", Presentable: true, Help: "The last part of the plugin's backend URL: a-z, 0-9 and -, such as google-sheets-plugin."},
			&core.TextField{Name: "provider", Help: "Such as google. It fills the endpoints and options that you leave blank below. The README and the command plugin-oauth providers list those that are known."},
			&core.TextField{Name: "clientId", Help: "The provider's developer console shows it."},
			&core.TextField{Name: "clientSecret", Help: "The provider's developer console shows it. It is stored encrypted and never shown again: dots stand for it. Select them all and type to replace it."},
			&core.TextField{Name: "scope", Help: "What the plugin may do at the provider. It is sent exactly as you write it. Some providers want spaces between, some commas."},
			&core.TextField{Name: "pluginId", Help: "The id of the published plugin, such as abc123. Blank: only localhost may call."},
			&core.BoolField{Name: "enabled", Help: "Switch it on when all is filled in. Off: the plugin gets 404."},
			&core.TextField{Name: "name", Help: "The plugin's name, for the pages that people see. Blank: the slug."},
			&core.TextField{Name: "returnApp", Help: "The app that people return to. Blank: Framer."},
			&core.TextField{Name: "redirectUri", Help: "Where the provider sends the browser; enter the same there. Blank: PUBLIC_URL with /slug/redirect behind it."},
			&core.TextField{Name: "allowedOrigins", Help: "More origins that may call, with commas between. null is what sandboxed frames send; * allows every site."},
			&core.TextField{Name: "tenant", Help: "Only for a provider with an address for each customer: the shop at shopify, the directory at microsoft, the subdomain at zendesk. Blank: the plugin sends it, as shop=… and so on."},
			&core.TextField{Name: "authorizeEndpoint", Help: "From the provider's documentation. Blank: as the provider above has it."},
			&core.TextField{Name: "tokenEndpoint", Help: "From the provider's documentation. Blank: as the provider above has it. With one of your own, its revoke endpoint and issuer are left out."},
			&core.TextField{Name: "revokeEndpoint", Help: "From the provider's documentation (RFC 7009). Blank: as the provider above has it."},
			&core.TextField{Name: "authorizeParams", Help: "More parameters for the login address: access_type=offline&prompt=consent"},
			&core.SelectField{Name: "tokenAuth", Values: []string{"body", "basic", "basic-secret"}, Help: "How the client secret is sent. Blank: as the provider above wants it, else body."},
			&core.SelectField{Name: "pkce", Values: []string{"on", "off"}, Help: "Blank: as the provider above wants it, else on."},
			&core.TextField{Name: "issuer", Help: "What the provider sends as iss (RFC 9207). Blank: as the provider above has it; if that has none, it is not compared."},
			&core.AutodateField{Name: "created", OnCreate: true},
			&core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true},
		)
		plugins.AddIndex("plugins_slug", true, "slug", "")
		if err := app.Save(plugins); err != nil {
			return err
		}
		// The collection does not know this column, so the dashboard, the API and realtime cannot show it.
		if _, err := app.DB().NewQuery(`ALTER TABLE plugins ADD COLUMN sealedSecret BLOB`).Execute(); err != nil {
			return err
		}

		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
			return err
		}
		sessions.Fields.Add(&core.TextField{Name: "tenant", Help: "The shop, directory or subdomain at the provider, where it has one."})
		if err := app.Save(sessions); err != nil {
			return err
		}
		_, err = app.DB().NewQuery(`ALTER TABLE sessions ADD COLUMN client BLOB`).Execute()
		return err
	}, func(app core.App) error {
		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
			return err
		}
		if _, err := app.DB().NewQuery(`ALTER TABLE sessions DROP COLUMN client`).Execute(); err != nil {
			return err
		}
		sessions.Fields.RemoveByName("tenant")
		if err := app.Save(sessions); err != nil {
			return err
		}
		plugins, err := app.FindCollectionByNameOrId("plugins")
		if err != nil {
			return err
		}
		return app.Delete(plugins)
	})
}
