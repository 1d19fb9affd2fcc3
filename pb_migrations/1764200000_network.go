package pb_migrations

import (
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/migrations"
)

func init() {
	migrations.Register(func(app core.App) error {
		// The client's network, as an HMAC under the state. The collection does not know the column.
		_, err := app.DB().NewQuery(`ALTER TABLE sessions ADD COLUMN network BLOB`).Execute()
		return err
	}, func(app core.App) error {
		_, err := app.DB().NewQuery(`ALTER TABLE sessions DROP COLUMN network`).Execute()
		return err
	})
}
