// Plugin-oauth is the backend that lets design-tool plugins sign people in with OAuth.
package main

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks"
	"plugin-oauth/hooks/session/sqlite"
	_ "plugin-oauth/pb_migrations"
)

// version is set by the release build; otherwise the build information has it.
var version string

func main() {
	// Packages that are linked could ask for a profile of the memory, so Go would keep one for nobody.
	runtime.MemProfileRate = 0
	flush := hooks.PrepareOutput(os.Args[1:])
	err := execute()
	if err != nil {
		var help []any
		if text := helpWith(err); text != "" {
			help = []any{"help", text}
		}
		slog.Error(err.Error(), help...)
	}
	flush()
	if err != nil {
		os.Exit(1)
	}
}

// execute runs the command that the arguments name, and then ends the app. PocketBase's own Execute would
// make a data folder for any command.
func execute() error {
	app := pocketbase.NewWithConfig(pocketbase.Config{
		DefaultDataDir:   "pb_data", // in the working folder, where .env is
		DataMaxOpenConns: 8,         // each caches 2 MB: see sqlite.Connect
		DataMaxIdleConns: 8,         // else the others are opened again and again
		DBConnect:        quietDBConnect(),
	})
	hooks.PrepareDataDir(app)
	hooks.AddCommands(app, app.RootCmd, buildVersion())
	err := app.RootCmd.Execute()
	return app.OnTerminate().Trigger(&core.TerminateEvent{App: app}, func(e *core.TerminateEvent) error {
		return errors.Join(e.App.ClearBootstrap(), err)
	})
}

// helpWith returns advice about an error that an admin can fix, or "".
func helpWith(err error) string {
	wrongUsage, isUsage := errors.AsType[*hooks.UsageError](err)
	address, isAddress := errors.AsType[*net.OpError](err)
	switch {
	case isUsage:
		return "\n" + strings.TrimSpace(wrongUsage.Usage)
	case errors.Is(err, syscall.EADDRINUSE):
		return "Another program uses this address. End it, or choose another address with --http."
	case isAddress && address.Net == "unix":
		return "The folder of the socket must be there, and this user must be allowed to write to it. " +
			"Choose another path with --http."
	case isAddress && errors.Is(err, fs.ErrPermission):
		return "This user may not listen there. Choose a port from 1024 on with --http."
	case hooks.IsFolderError(err):
		return "The data folder must be writable. Choose another with --dir, or change its owner."
	case sqlite.IsDamaged(err):
		return "The data folder is damaged. Restore a backup, or choose another folder with --dir."
	default:
		return ""
	}
}

// quietDBConnect opens the databases so that --dev prints no SQL: PocketBase would print it with its values.
func quietDBConnect() core.DBConnectFunc {
	var opened []*dbx.DB
	return func(path string) (*dbx.DB, error) {
		// PocketBase sets its printers on both handles of data.db, and opens auxiliary.db next.
		for _, db := range opened {
			db.QueryLogFunc, db.ExecLogFunc = nil, nil
		}
		db, err := sqlite.Connect(path)
		if err != nil {
			return nil, err
		}
		opened = append(opened, db)
		return db, nil
	}
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return cmp.Or(version, info.Main.Version)
	}
	return cmp.Or(version, "(devel)")
}
