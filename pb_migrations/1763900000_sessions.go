// Package pb_migrations makes the collections of plugin-oauth. Import it for its effect.
package pb_migrations

import (
	"database/sql"
	"errors"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/migrations"
)

func init() {
	migrations.Register(func(app core.App) error {
		settings := app.Settings()
		settings.Meta.AppName = "plugin-oauth"
		if err := app.Save(settings); err != nil {
			return err
		}
		if err := deleteUsers(app); err != nil {
			return err
		}

		sessions := core.NewBaseCollection("sessions")
		sessions.Fields.Add(
			&core.SelectField{Name: "status", Required: true, Values: []string{"pending", "ready", "claimed", "denied", "failed", "expired"}},
			&core.AutodateField{Name: "created", OnCreate: true},
			&core.TextField{Name: "plugin", Help: "Slug of the plugin; blank for the one that the environment configures."},
			&core.TextField{Name: "error"},
			&core.TextField{Name: "errorDescription"},
			&core.TextField{Name: "origin"},
			&core.DateField{Name: "redirected", Help: "When the provider sent the browser back."},
			&core.DateField{Name: "completed", Help: "When the login ended, well or not."},
			&core.DateField{Name: "claimed", Help: "When the plugin fetched the tokens."},
			&core.DateField{Name: "expires"},
		)
		sessions.AddIndex("sessions_status_expires", false, "status, expires", "")
		sessions.AddIndex("sessions_expires", false, "expires", "")
		if err := app.Save(sessions); err != nil {
			return err
		}
		// The collection does not know these columns, so the dashboard, the API and realtime cannot show them.
		for _, statement := range []string{
			`ALTER TABLE sessions ADD COLUMN stateHash BLOB`,
			`ALTER TABLE sessions ADD COLUMN readKeyHash BLOB`,
			`ALTER TABLE sessions ADD COLUMN publicKey BLOB`,
			`ALTER TABLE sessions ADD COLUMN sealed BLOB`,
			`CREATE UNIQUE INDEX sessions_stateHash ON sessions (stateHash)`,
			`CREATE UNIQUE INDEX sessions_readKeyHash ON sessions (readKeyHash)`,
		} {
			if _, err := app.DB().NewQuery(statement).Execute(); err != nil {
				return err
			}
		}

		const living = `(status IN ('pending', 'ready') AND expires > strftime('%Y-%m-%d %H:%M:%fZ', 'now'))`
		pending := core.NewViewCollection("pending_sessions")
		pending.ViewQuery = `SELECT id, plugin, status, origin, created, redirected, expires FROM sessions
			WHERE ` + living
		if err := app.Save(pending); err != nil {
			return err
		}

		stats := core.NewViewCollection("login_stats")
		stats.ViewQuery = `SELECT (day || iif(plugin = '', '', ' ' || plugin)) AS id, CAST(day AS TEXT) AS day, plugin,
			COUNT(*) AS started,
			CAST(SUM(` + living + `) AS INT) AS underWay,
			CAST(SUM(status = 'claimed') AS INT) AS claimed,
			CAST(SUM(status = 'denied') AS INT) AS denied,
			CAST(SUM(status = 'failed') AS INT) AS failed,
			CAST(SUM(status = 'expired' OR (status IN ('pending', 'ready') AND NOT ` + living + `)) AS INT) AS expired
			FROM (SELECT *, substr(created, 1, 10) AS day FROM sessions) GROUP BY day, plugin`
		return app.Save(stats)
	}, func(app core.App) error {
		for _, name := range []string{"login_stats", "pending_sessions", "sessions"} {
			collection, err := app.FindCollectionByNameOrId(name)
			if err != nil {
				return err
			}
			if err := app.Delete(collection); err != nil {
				return err
			}
		}
		return nil
	})
}

// deleteUsers deletes PocketBase's default collection, if it is there: it lets strangers sign up. Its file field goes first,
// or PocketBase would look for files to delete in the background, while it may be writing the settings that it reads.
func deleteUsers(app core.App) error {
	users, err := app.FindCollectionByNameOrId("users")
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	users.Fields.RemoveByName("avatar")
	users.OAuth2.MappedFields.AvatarURL = ""
	if err := app.Save(users); err != nil {
		return err
	}
	return app.Delete(users)
}
