package pb_migrations

import (
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/migrations"
)

func init() {
	migrations.Register(func(app core.App) error {
		plugins := core.NewBaseCollection("plugins")
		plugins.Fields.Add(
			&core.TextField{Name: "slug", Presentable: true, Help: "The first part of the plugin's addresses: a-z, 0-9 and -. The plugin calls /slug/authorize and so on."},
			&core.BoolField{Name: "enabled", Help: "Off: the plugin gets 404."},
			&core.TextField{Name: "name", Help: "What people read on the pages. May be blank."},
			&core.TextField{Name: "provider", Help: "A provider that plugin-oauth knows, such as google. It fills endpoints and options; what you enter below wins. The command plugin-oauth providers lists them."},
			&core.TextField{Name: "tenant", Help: "For a provider with an address for each customer, such as shopify: the customer's name. Blank: the plugin sends it."},
			&core.TextField{Name: "clientId", Help: "From the provider's developer console."},
			&core.TextField{Name: "clientSecret", Help: "Likewise. It is stored sealed and never shown again; the dots stand for it. Enter another to replace it."},
			&core.TextField{Name: "redirectUri", Help: "Enter the same at the provider. Blank: /slug/redirect on this service."},
			&core.TextField{Name: "scope", Help: "Sent exactly as you write it. Some providers want spaces, some commas."},
			&core.TextField{Name: "pluginId", Help: "The id of the published plugin, such as abc123. Blank: only localhost may call."},
			&core.TextField{Name: "allowedOrigins", Help: "More origins that may call, with commas between. null is what sandboxed frames send; * allows every site."},
			&core.TextField{Name: "returnApp", Help: "The app that people return to. Blank: Framer."},
			&core.TextField{Name: "authorizeEndpoint", Help: "From the provider's documentation. Blank: the provider's above."},
			&core.TextField{Name: "tokenEndpoint", Help: "Likewise."},
			&core.TextField{Name: "revokeEndpoint", Help: "Likewise (RFC 7009). Blank, and none known: no /slug/revoke."},
			&core.TextField{Name: "authorizeParams", Help: "More parameters for the login address: access_type=offline&prompt=consent"},
			&core.SelectField{Name: "tokenAuth", Values: []string{"body", "basic", "basic-secret"}, Help: "How the client secret is sent. Blank: as the provider wants it, else body."},
			&core.SelectField{Name: "pkce", Values: []string{"on", "off"}, Help: "Blank: as the provider wants it, else on."},
			&core.TextField{Name: "issuer", Help: "What the provider sends as iss. Blank: the provider's, if it is known; else it is not compared."},
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
		sessions.Fields.Add(&core.TextField{Name: "tenant", Help: "The shop, directory or subdomain that the plugin named."})
		return app.Save(sessions)
	}, func(app core.App) error {
		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
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
