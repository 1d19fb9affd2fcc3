// Plugin-oauth is the backend that lets design-tool plugins sign people in with OAuth.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/cmd"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/plugins/migratecmd"
	"github.com/pocketbase/pocketbase/tools/osutils"
	"github.com/spf13/cobra"

	"plugin-oauth/hooks"
	_ "plugin-oauth/pb_migrations"
)

// defaultAddress is where deployed plugins look for their backend in development.
const defaultAddress = "127.0.0.1:8787"

// version is set by the release build; otherwise the build information has it.
var version string

func main() {
	app := pocketbase.NewWithConfig(pocketbase.Config{
		DefaultDataDir:   "pb_data", // in the working folder, where .env is
		DataMaxOpenConns: 8,         // each may cache 32 MB
		DataMaxIdleConns: 8,         // else the others are opened again and again
		DBConnect:        quietDBConnect(),
	})
	app.RootCmd.Short = "Signs people in to design-tool plugins with OAuth"
	app.RootCmd.Version = buildVersion()
	providers := hooks.NewProvidersCommand()
	doctor := hooks.NewDoctorCommand(app)
	app.RootCmd.AddCommand(cmd.NewSuperuserCommand(app), serveCommand(app), providers, hooks.NewRekeyCommand(app), doctor)
	migratecmd.MustRegister(app, app.RootCmd, migratecmd.Config{Dir: "pb_migrations"})

	execute := app.Execute
	if command, _, err := app.RootCmd.Find(os.Args[1:]); err == nil && (command == providers || command == doctor) {
		execute = app.RootCmd.Execute // neither may make a data folder
	}
	if err := execute(); err != nil {
		fmt.Fprintln(os.Stderr, "plugin-oauth:", err)
		if errors.Is(err, syscall.EADDRINUSE) {
			fmt.Fprintln(os.Stderr, "Another program uses this address. End it, or choose another address with --http.")
		} else if strings.Contains(err.Error(), "readonly database") {
			fmt.Fprintln(os.Stderr, "The data folder must be writable. Choose another with --dir, or change its owner.")
		} else if strings.Contains(err.Error(), "file is not a database") || strings.Contains(err.Error(), "malformed") {
			fmt.Fprintln(os.Stderr, "The data folder is damaged. Restore a backup, or choose another folder with --dir.")
		}
		os.Exit(1)
	}
}

// serveCommand is PocketBase's serve with the relay on it, on a port of its own.
func serveCommand(app *pocketbase.PocketBase) *cobra.Command {
	serve := cmd.NewServeCommand(app, false)
	serve.Short = "Starts the server (on " + defaultAddress + " if neither a domain nor --http is given)"
	http, https := serve.PersistentFlags().Lookup("http"), serve.PersistentFlags().Lookup("https")
	http.Usage = strings.ReplaceAll(http.Usage, "127.0.0.1:8090", defaultAddress)
	logFormat := serve.Flags().String("log-format", "text", "how logins and faults are logged on standard error: text or json")

	serve.PreRunE = func(_ *cobra.Command, domains []string) error {
		config, err := hooks.LoadConfig(".")
		if err != nil {
			return err
		}
		switch *logFormat {
		case "text":
		case "json":
			config.Log = slog.NewJSONHandler(os.Stderr, nil)
		default:
			return errors.New("--log-format must be text or json")
		}
		config.Version, config.CheckAtStart = buildVersion(), true
		scheme := "http"
		switch {
		case len(domains) > 0 || https.Changed:
			// PocketBase gets certificates for these by itself.
			config.TLSCertFile, config.TLSKeyFile, scheme = "", "", "https"
		case config.TLSCertFile != "":
			scheme = "https"
		}
		if len(domains) == 0 && !https.Changed && !http.Changed {
			if err := http.Value.Set(defaultAddress); err != nil {
				return err
			}
		}
		if err := hooks.Register(app, config); err != nil {
			return err
		}
		app.OnServe().BindFunc(func(e *core.ServeEvent) error {
			if err := e.Next(); err != nil {
				return err
			}
			base := scheme + "://" + reachable(e.Server.Addr)
			if len(domains) > 0 {
				base = "https://" + domains[0]
			}
			return greet(e.App, base, config)
		})
		return nil
	}
	return serve
}

// greet prints what an author wants to know first.
func greet(app core.App, base string, config hooks.Config) error {
	fmt.Printf("plugin-oauth %s is running\n", buildVersion())
	fmt.Printf("  Backend    %s\n", base)
	fmt.Printf("  Dashboard  %s/_/\n", base)
	if config.MetricsAddr != "" {
		fmt.Printf("  Metrics    http://%s/metrics\n", reachable(config.MetricsAddr))
	}
	records, err := app.FindAllRecords("plugins", dbx.HashExp{"enabled": true})
	if err != nil {
		return err
	}
	for _, record := range records {
		where := ""
		if record.GetString("pluginId")+record.GetString("allowedOrigins") == "" {
			where = " (on localhost only; set pluginId when the plugin is published)"
		}
		fmt.Printf("  Plugin     %s/%s%s\n", base, record.GetString("slug"), where)
	}
	if plugin := config.Plugin; plugin == nil {
		if len(records) == 0 {
			how := hooks.HowToAddPlugin
			if config.PublicURL != "" && config.EncryptionKey != "" {
				how = "none yet; add one in the dashboard, in the collection plugins"
			}
			fmt.Printf("  Plugin     %s\n", how)
		}
	} else {
		fmt.Printf("  Redirect   %s (the provider must know this address)\n", plugin.RedirectURI)
		if redirect, err := url.Parse(plugin.RedirectURI); err == nil && redirect.Hostname() == "localhost" && redirect.Scheme+"://"+redirect.Host != base {
			fmt.Printf("             It does not lead here. Change REDIRECT_URI, and the entry at the provider, to %s/redirect\n", base)
		}
		if plugin.PluginID == "" && len(plugin.AllowedOrigins) == 0 {
			fmt.Println("  Plugin     on localhost only; set PLUGIN_ID when the plugin is published")
		}
	}
	admins, err := app.CountRecords(core.CollectionNameSuperusers, dbx.Not(dbx.HashExp{"email": core.DefaultInstallerEmail}))
	if err != nil {
		return err
	}
	if admins == 0 {
		program := os.Args[0]
		if osutils.IsProbablyGoRun() {
			program = "go run ."
		}
		fmt.Printf("  Admin      none yet; make one with: %s superuser upsert EMAIL PASSWORD\n", program)
	}
	return nil
}

// reachable is where a listener's address is reached from this machine.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err == nil && slices.Contains([]string{"", "0.0.0.0", "::", "127.0.0.1", "::1"}, host) {
		return "localhost:" + port
	}
	return address
}

// quietDBConnect opens the databases so that --dev prints no SQL: PocketBase would print it with its values.
func quietDBConnect() core.DBConnectFunc {
	var opened []*dbx.DB
	return func(path string) (*dbx.DB, error) {
		// PocketBase sets its printers on both handles of data.db, and opens auxiliary.db next.
		for _, db := range opened {
			db.QueryLogFunc, db.ExecLogFunc = nil, nil
		}
		db, err := core.DefaultDBConnect(path)
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
