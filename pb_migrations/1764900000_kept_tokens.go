package pb_migrations

import (
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/migrations"
)

func init() {
	migrations.Register(func(app core.App) error {
		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
			return err
		}
		// Those whose plugin has not acknowledged the tokens yet, for the sweep.
		sessions.AddIndex("sessions_kept", false, "claimed", "status = 'claimed' AND sealed IS NOT NULL")
		return app.Save(sessions)
	}, func(app core.App) error {
		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
			return err
		}
		sessions.RemoveIndex("sessions_kept")
		// The version before would never erase them.
		const forget = "UPDATE sessions SET sealed = NULL WHERE status = 'claimed'"
		if _, err := app.DB().NewQuery(forget).Execute(); err != nil {
			return err
		}
		return app.Save(sessions)
	})
}
