package pb_migrations

import (
	"slices"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/migrations"
)

func init() {
	migrations.Register(func(app core.App) error {
		plugins, err := app.FindCollectionByNameOrId("plugins")
		if err != nil {
			return err
		}
		isReturnApp := func(f core.Field) bool { return f.GetName() == "returnApp" }
		plugins.Fields.AddAt(slices.IndexFunc(plugins.Fields, isReturnApp)+1, &core.TextField{
			Name: "returnUrl",
			Help: "Where the button to return leads, on the last page: https://framer.com/projects, or an " +
				"app by its scheme, such as framer://. Blank: there is no button.",
		})
		return app.Save(plugins)
	}, func(app core.App) error {
		plugins, err := app.FindCollectionByNameOrId("plugins")
		if err != nil {
			return err
		}
		plugins.Fields.RemoveByName("returnUrl")
		return app.Save(plugins)
	})
}
