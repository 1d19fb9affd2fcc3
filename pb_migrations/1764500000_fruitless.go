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
		// Those that anybody can make, by their kind: for the list of the latest failures, and to bound each kind.
		sessions.RemoveIndex("sessions_failed")
		const fruitless = "status IN ('denied', 'failed', 'expired')"
		sessions.AddIndex("sessions_fruitless", false, "status, expires", fruitless)
		return app.Save(sessions)
	}, func(app core.App) error {
		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
			return err
		}
		sessions.RemoveIndex("sessions_fruitless")
		sessions.AddIndex("sessions_failed", false, "expires", "status = 'failed'")
		return app.Save(sessions)
	})
}
