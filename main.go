// Plugin-oauth is the backend that lets design-tool plugins sign people in with OAuth.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/cmd"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/plugins/migratecmd"

	"plugin-oauth/hooks"
	"plugin-oauth/hooks/session/sqlite"
	_ "plugin-oauth/pb_migrations"
)

// version is set by the release build; otherwise the build information has it.
var version string

func main() {
	log.SetOutput(redactedLog{Writer: log.Writer()})
	if err := execute(); err != nil {
		fmt.Fprintln(os.Stderr, "plugin-oauth:", err)
		if help := helpWith(err); help != "" {
			fmt.Fprintln(os.Stderr, help)
		}
		os.Exit(1)
	}
}

// execute runs the command that the arguments name.
func execute() error {
	app := pocketbase.NewWithConfig(pocketbase.Config{
		DefaultDataDir:   "pb_data", // in the working folder, where .env is
		DataMaxOpenConns: 8,         // each caches 2 MB: see sqlite.Connect
		DataMaxIdleConns: 8,         // else the others are opened again and again
		DBConnect:        quietDBConnect(),
	})
	hooks.PrepareDataDir(app)
	app.RootCmd.Short = "Signs people in to design-tool plugins with OAuth"
	app.RootCmd.Version = buildVersion()
	providers, doctor, demo := hooks.NewProvidersCommand(), hooks.NewDoctorCommand(app), hooks.NewDemoCommand()
	app.RootCmd.AddCommand(hooks.NewServeCommand(app, buildVersion()), cmd.NewSuperuserCommand(app),
		hooks.NewRekeyCommand(app), providers, doctor, demo)
	migratecmd.MustRegister(app, app.RootCmd, migratecmd.Config{Dir: "pb_migrations"})
	command, _, err := app.RootCmd.Find(os.Args[1:])
	if err == nil && (command == providers || command == doctor || command == demo) {
		return app.RootCmd.Execute() // none of them may make a data folder
	}
	return app.Execute()
}

// helpWith returns advice about an error that an admin can fix, or "".
func helpWith(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "Another program uses this address. End it, or choose another address with --http."
	case sqlite.IsReadOnly(err):
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

// redactedLog keeps net/http from printing what a provider sends after its answer, which may be part of a
// token.
type redactedLog struct{ io.Writer }

func (l redactedLog) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("Unsolicited response")) {
		return len(line), nil
	}
	return l.Writer.Write(line)
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return cmp.Or(version, info.Main.Version)
	}
	return cmp.Or(version, "(devel)")
}
