package main

import (
	"fmt"
	"os"

	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks"
	"plugin-oauth/hooks/session/sqlite"
	_ "plugin-oauth/pb_migrations"
)

// connects has how the service can open its database, by the value of -service.
var connects = map[string]core.DBConnectFunc{
	"full":   sqlite.Connect,        // synchronous=FULL, as the program does
	"normal": core.DefaultDBConnect, // synchronous=NORMAL, and page caches of 32 MB instead of 2
}

// serveService is plugin-oauth with another durability, since the program itself has no setting for it. The
// arguments are those of the program.
func serveService(durability string, args []string) error {
	connect, found := connects[durability]
	if !found {
		return fmt.Errorf("-service must be full or normal, not %q", durability)
	}
	os.Args = append(os.Args[:1], args...) // where PocketBase looks for them
	app := pocketbase.NewWithConfig(pocketbase.Config{
		DefaultDataDir:   "pb_data",
		DataMaxOpenConns: 8,
		DataMaxIdleConns: 8,
		DBConnect:        connect,
	})
	app.RootCmd.AddCommand(hooks.NewServeCommand(app, "bench"))
	return app.Execute()
}
