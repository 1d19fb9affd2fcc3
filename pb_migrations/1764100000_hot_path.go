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
		// One that holds only the few sessions which are alive.
		sessions.RemoveIndex("sessions_status_expires")
		sessions.AddIndex("sessions_living", false, "expires", "status IN ('pending', 'ready')")
		if err := app.Save(sessions); err != nil {
			return err
		}
		// Tokens are erased when they are delivered. Before, a crash could leave them in a row that nobody could claim any more.
		_, err = app.DB().NewQuery(`UPDATE sessions SET sealed = NULL WHERE status = 'claimed' AND sealed IS NOT NULL`).Execute()
		return err
	}, func(app core.App) error {
		sessions, err := app.FindCollectionByNameOrId("sessions")
		if err != nil {
			return err
		}
		sessions.RemoveIndex("sessions_living")
		sessions.AddIndex("sessions_status_expires", false, "status, expires", "")
		return app.Save(sessions)
	})
}
