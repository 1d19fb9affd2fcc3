package pb_migrations

import (
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/migrations"
)

func init() {
	migrations.Register(func(app core.App) error {
		totals := core.NewBaseCollection("login_totals")
		totals.Fields.Add(
			&core.DateField{Name: "hour", Presentable: true, Help: "When the logins began: from this time on, for an hour."},
			&core.TextField{Name: "plugin", Help: "Slug of the plugin; blank for the one that the environment configures."},
			&core.NumberField{Name: "started", OnlyInt: true},
			&core.NumberField{Name: "redirected", OnlyInt: true, Help: "Of these, the browser came back from the provider."},
			&core.NumberField{Name: "finished", OnlyInt: true, Help: "Of these, the provider gave tokens."},
			&core.NumberField{Name: "claimed", OnlyInt: true, Help: "Of these, the plugin fetched the tokens."},
			&core.NumberField{Name: "denied", OnlyInt: true},
			&core.NumberField{Name: "failed", OnlyInt: true},
			&core.NumberField{Name: "expired", OnlyInt: true},
		)
		totals.AddIndex("login_totals_hour_plugin", true, "hour, plugin", "")
		if err := app.Save(totals); err != nil {
			return err
		}
		// For the list of the latest failures, among many logins that went well.
		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
			return err
		}
		sessions.AddIndex("sessions_failed", false, "expires", "status = 'failed'")
		return app.Save(sessions)
	}, func(app core.App) error {
		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
			return err
		}
		sessions.RemoveIndex("sessions_failed")
		if err := app.Save(sessions); err != nil {
			return err
		}
		totals, err := app.FindCollectionByNameOrId("login_totals")
		if err != nil {
			return err
		}
		return app.Delete(totals)
	})
}
