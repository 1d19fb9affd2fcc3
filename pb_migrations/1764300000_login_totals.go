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
		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
			return err
		}
		sessions.Fields.Add(&core.TextField{Name: "cause", Help: "Why it failed, for the admin."})
		// For the list of the latest failures, among many logins that went well.
		sessions.AddIndex("sessions_failed", false, "expires", "status = 'failed'")
		if err := app.Save(sessions); err != nil {
			return err
		}
		// Whoever deletes a session, the sweep or an admin: it stays in the totals.
		for _, statement := range []string{
			`CREATE TABLE removed_logins (hour TEXT, plugin TEXT, started INT, redirected INT, finished INT, claimed INT, denied INT, failed INT, expired INT,
				PRIMARY KEY (hour, plugin)) WITHOUT ROWID`,
			`CREATE TRIGGER sessions_removed AFTER DELETE ON sessions BEGIN
				INSERT INTO removed_logins VALUES (substr(OLD.created, 1, 13) || ':00:00.000Z', OLD.plugin, 1, OLD.redirected != '',
					OLD.status IN ('ready', 'claimed') OR (OLD.status = 'expired' AND OLD.completed < OLD.expires),
					OLD.status = 'claimed', OLD.status = 'denied', OLD.status = 'failed', OLD.status = 'expired')
				ON CONFLICT (hour, plugin) DO UPDATE SET started = started + 1, redirected = redirected + excluded.redirected,
					finished = finished + excluded.finished, claimed = claimed + excluded.claimed, denied = denied + excluded.denied,
					failed = failed + excluded.failed, expired = expired + excluded.expired;
				END`,
		} {
			if _, err := app.DB().NewQuery(statement).Execute(); err != nil {
				return err
			}
		}
		return nil
	}, func(app core.App) error {
		for _, statement := range []string{`DROP TRIGGER sessions_removed`, `DROP TABLE removed_logins`} {
			if _, err := app.DB().NewQuery(statement).Execute(); err != nil {
				return err
			}
		}
		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
			return err
		}
		sessions.RemoveIndex("sessions_failed")
		sessions.Fields.RemoveByName("cause")
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
