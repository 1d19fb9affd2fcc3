// Package hooks is the service: it starts an OAuth login for a plugin, takes the provider's redirect,
// exchanges the code, and hands the tokens once to the plugin that polls with the read key (RFC 6749, 7636,
// 8628).
//
// It registers itself on a PocketBase app:
//
//	config, err := hooks.LoadConfig(".")
//	…
//	hooks.PrepareDataDir(app) // before it bootstraps
//	hooks.MustRegister(app, config)
//
// Open the app with sqlite.Connect as its DBConnect, so that sign-ins survive a power cut.
//
// Each route has a file of its own. What a route needs is in the packages below: oauth talks to providers,
// session keeps logins, plugins has the plugins, doctor checks the set-up, and dashboard shows it all to an
// admin.
package hooks

import (
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/plugins"
)

// MustRegister is [Register] that panics on an error.
func MustRegister(app core.App, config Config) {
	if err := Register(app, config); err != nil {
		panic(err)
	}
}

// Register adds the service to an app that is about to serve. It fails if the configuration is not valid.
func Register(app core.App, config Config) error {
	return register(app, config, func(*server) {})
}

// register calls onStart with the server once its parts are there, before it serves.
func register(app core.App, config Config, onStart func(*server)) error {
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		return err
	}
	certificate, err := config.certificate()
	if err != nil {
		return err
	}
	records := plugins.NewRecords(app, config.pluginDefaults())
	records.Bind()
	bindCollections(app)
	app.OnServe().BindFunc(func(e *core.ServeEvent) error {
		// The tables are there only now, since PocketBase migrates just before.
		s, err := newServer(app, config, records)
		if err != nil {
			return err
		}
		onStart(s)
		return s.start(e, certificate)
	})
	return nil
}
