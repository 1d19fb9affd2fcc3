package main

import (
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"plugin-oauth/hooks"
	_ "plugin-oauth/pb_migrations"
)

// pluginFiles are a page and two scripts for it: with the client, and with a timer as in plugins in the field.
//
//go:embed plugin.html plugin.js plain.js
var pluginFiles embed.FS

// The client that the provider knows the relay by.
const (
	clientID     = "demo-plugin"
	clientSecret = "demo-secret"
)

// demo is a running relay, OpenID provider and plugin page.
type demo struct {
	relayURL, issuer, pluginURL string

	username, password        string // of the provider's test user
	adminEmail, adminPassword string // of the dashboard

	app   core.App // the relay's
	stops []func()
}

// start starts all three on loopback. If an address is taken, it uses any free port. confirmLogin is as in [hooks.Config].
func start(relayAddress, providerAddress, confirmLogin string) (d *demo, err error) {
	d = &demo{}
	defer func() {
		if err != nil {
			d.stop()
		}
	}()
	relay, err := listen(relayAddress)
	if err != nil {
		return nil, err
	}
	provider, err := listen(providerAddress)
	if err != nil {
		return nil, err
	}
	plugin, err := listen(anyPort)
	if err != nil {
		return nil, err
	}
	d.relayURL, d.issuer, d.pluginURL = localURL(relay), localURL(provider), localURL(plugin)

	d.serve(provider, d.provider())
	d.serve(plugin, d.plugin())
	return d, d.relay(relay, confirmLogin)
}

const anyPort = "127.0.0.1:0"

// listen listens at the address or, if it is taken, at any free port.
func listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return net.Listen("tcp", anyPort)
	}
	return listener, nil
}

func localURL(listener net.Listener) string {
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return "http://localhost:" + port
}

func (d *demo) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	d.stops = append(d.stops, func() { server.Close() })
}

func (d *demo) stop() {
	for _, stop := range d.stops {
		stop()
	}
}

// provider is the OpenID provider of zitadel/oidc with its example storage and login page.
func (d *demo) provider() http.Handler {
	storage.RegisterClients(storage.WebClient(clientID, clientSecret, d.relayURL+"/redirect"))
	users := storage.NewUserStore(d.issuer)
	user := users.GetUserByID("id1")
	d.username, d.password = user.Username, user.Password
	return oneByOne(exampleop.SetupServer(d.issuer, storage.NewStorage(users), slog.New(slog.DiscardHandler), false))
}

// oneByOne serves a request at a time: the example storage reads its refresh tokens without its lock.
func oneByOne(handler http.Handler) http.Handler {
	var serving sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Lock()
		defer serving.Unlock()
		handler.ServeHTTP(w, r)
	})
}

// plugin serves the pages that stand for a plugin: with the client at /, and without it at /plain.
func (d *demo) plugin() http.Handler {
	files := template.Must(template.ParseFS(pluginFiles, "*"))
	serve := func(contentType, file, script string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType+"; charset=utf-8")
			if err := files.ExecuteTemplate(w, file, map[string]string{"Backend": d.relayURL, "Issuer": d.issuer, "Script": script}); err != nil {
				http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", serve("text/html", "plugin.html", "plugin.js"))
	mux.HandleFunc("/plain", serve("text/html", "plugin.html", "plain.js"))
	mux.HandleFunc("/plugin.js", serve("text/javascript", "plugin.js", ""))
	mux.HandleFunc("/plain.js", serve("text/javascript", "plain.js", ""))
	return mux
}

// relay serves plugin-oauth itself on a temporary folder, which goes with it.
func (d *demo) relay(listener net.Listener, confirmLogin string) error {
	dir, err := os.MkdirTemp("", "plugin-oauth-demo")
	if err != nil {
		return err
	}
	d.stops = append(d.stops, func() { os.RemoveAll(dir) })

	app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	d.app = app
	if err := app.Bootstrap(); err != nil {
		return err
	}
	d.adminEmail, d.adminPassword = "admin@plugin.example", rand.Text()
	// Bound first, it is done last: when the relay is ready, too.
	ready, failed := make(chan struct{}), make(chan error, 1)
	app.OnServe().BindFunc(func(e *core.ServeEvent) error {
		e.Listener = listener
		err := e.Next()
		if err == nil {
			close(ready)
		}
		return err
	})
	hooks.MustRegister(app, hooks.Config{
		ConfirmLogin: confirmLogin, PublicURL: d.relayURL, EncryptionKey: (rand.Text() + rand.Text())[:32],
		SuperuserEmail: d.adminEmail, SuperuserPassword: d.adminPassword,
		Log: slog.DiscardHandler, Plugin: &hooks.Plugin{
			Name:              "Demo plugin",
			ClientID:          clientID,
			ClientSecret:      clientSecret,
			RedirectURI:       d.relayURL + "/redirect",
			AuthorizeEndpoint: d.issuer + "/auth",
			TokenEndpoint:     d.issuer + "/oauth/token",
			RevokeEndpoint:    d.issuer + "/revoke",
			Issuer:            d.issuer,
			Scope:             "openid profile email offline_access",
			TokenAuth:         "basic",
		},
	})
	go func() {
		failed <- apis.Serve(app, apis.ServeConfig{HttpAddr: strings.TrimPrefix(d.relayURL, "http://")})
	}()
	select {
	case <-ready:
	case err := <-failed:
		return fmt.Errorf("the relay did not start: %w", errors.Join(err, app.ClearBootstrap()))
	}
	d.stops = append([]func(){func() {
		_ = app.OnTerminate().Trigger(&core.TerminateEvent{App: app}, func(e *core.TerminateEvent) error {
			return e.App.ClearBootstrap()
		})
	}}, d.stops...)
	return nil
}
