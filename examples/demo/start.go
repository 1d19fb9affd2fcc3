package main

import (
	"cmp"
	"crypto/rand"
	"embed"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"text/template"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"plugin-oauth/hooks"
	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session/sqlite"
	"plugin-oauth/internal/testkit"
)

// pluginFiles are a page and two scripts for it: with the client, and with a timer as in plugins in the
// field.
//
//go:embed plugin.html plugin.js plain.js
var pluginFiles embed.FS

// The client that the provider knows the backend by.
const (
	clientID     = "demo-plugin"
	clientSecret = "demo-secret"
)

// options say how the demo starts. The zero value uses any free ports, and asks people as a new installation
// does.
type options struct {
	backendAddress  string // blank: any port
	backendURL      string // behind a proxy; blank: the backend's own
	providerAddress string // blank: any port
	notionAddress   string // blank: any port
	confirmLogin    string // as in hooks.Config
	withoutPlugin   bool   // the environment configures none
	figma           bool   // the plugin runs in Figma
}

// demo is a running backend, OpenID provider, stand-in for Notion's API, and plugin page.
type demo struct {
	account // the provider's test user

	backendURL string
	issuer     string // the provider's address
	notionURL  string // of its API
	pluginURL  string
	admin      account // of the dashboard

	notion *notion

	app   core.App // the backend's
	stops []func() // in the order in which things were started
}

// account is what a person signs in with.
type account struct{ username, password string }

// start starts all four on loopback. If an address is taken, it uses any free port.
func start(wanted options) (d *demo, err error) {
	d = &demo{}
	defer func() {
		if err != nil {
			d.stop()
		}
	}()
	atBackend, err := d.listen(wanted.backendAddress)
	if err != nil {
		return nil, err
	}
	atProvider, err := d.listen(wanted.providerAddress)
	if err != nil {
		return nil, err
	}
	atNotion, err := d.listen(wanted.notionAddress)
	if err != nil {
		return nil, err
	}
	atPlugin, err := d.listen("")
	if err != nil {
		return nil, err
	}
	d.backendURL = cmp.Or(wanted.backendURL, localURL(atBackend))
	d.issuer = localURL(atProvider)
	d.notionURL, d.pluginURL = localURL(atNotion), localURL(atPlugin)

	people, user := newStorage(registration{issuer: d.issuer, redirectURI: d.backendURL + "/redirect"})
	d.account = user
	d.serve(atProvider, openIDProvider(d.issuer, people, user))
	d.notion = newNotion(d.issuer)
	d.serve(atNotion, d.notion)
	d.serve(atPlugin, d.pluginPages())
	return d, d.startBackend(atBackend, wanted)
}

// listen is the function listen for a listener that is closed with the demo.
func (d *demo) listen(address string) (net.Listener, error) {
	listener, err := listen(address)
	if err == nil {
		d.stops = append(d.stops, func() { listener.Close() })
	}
	return listener, err
}

// listen listens at the address or, if it is taken or blank, at any free port.
func listen(address string) (net.Listener, error) {
	if address != "" {
		if listener, err := net.Listen("tcp", address); err == nil {
			return listener, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
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
	for _, stop := range slices.Backward(d.stops) {
		stop()
	}
}

// pluginPages stand for a plugin: with the client at /, and without it at /plain.
func (d *demo) pluginPages() http.Handler {
	files := template.Must(template.ParseFS(pluginFiles, "*"))
	page := func(script string) http.HandlerFunc {
		return d.file(files.Lookup("plugin.html"), script)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", page("plugin.js"))
	mux.HandleFunc("/plain", page("plain.js"))
	mux.HandleFunc("/plugin.js", d.file(files.Lookup("plugin.js"), ""))
	mux.HandleFunc("/plain.js", d.file(files.Lookup("plain.js"), ""))
	return mux
}

// file serves a page, with the script that it loads, or a script.
func (d *demo) file(file *template.Template, script string) http.HandlerFunc {
	contentType := "text/javascript; charset=utf-8"
	if script != "" {
		contentType = "text/html; charset=utf-8"
	}
	values := map[string]string{"Backend": d.backendURL, "Issuer": d.issuer, "Script": script}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		if err := file.Execute(w, values); err != nil {
			http.Error(w, "the file cannot be shown", http.StatusInternalServerError)
		}
	}
}

// startBackend starts plugin-oauth itself on a temporary folder, which goes with it.
func (d *demo) startBackend(listener net.Listener, wanted options) error {
	dir, err := os.MkdirTemp("", "plugin-oauth-demo")
	if err != nil {
		return err
	}
	d.stops = append(d.stops, func() { os.RemoveAll(dir) })
	d.admin = account{username: "admin@plugin.example", password: rand.Text()}
	config := hooks.Config{
		ConfirmLogin:      wanted.confirmLogin,
		PublicURL:         d.backendURL,
		EncryptionKey:     (rand.Text() + rand.Text())[:32],
		SuperuserEmail:    d.admin.username,
		SuperuserPassword: d.admin.password,
		Log:               slog.DiscardHandler,
		Plugin:            &plugins.Plugin{Name: "Demo plugin", Client: d.client()},
	}
	if wanted.figma {
		config.Plugin.AllowedOrigins, config.Plugin.ReturnApp = []string{"null"}, "Figma"
	}
	if wanted.withoutPlugin {
		config.Plugin = nil
	}
	app, err := testkit.Start(testkit.Options{
		Dir:      dir,
		Listener: listener,
		Register: func(app core.App) error { return hooks.Register(app, config) },
		Connect:  sqlite.Connect,
	})
	if err != nil {
		return err
	}
	d.app = app.App
	d.stops = append(d.stops, func() { _ = app.Stop() })
	return nil
}

func (d *demo) client() oauth.Client {
	return oauth.Client{
		ClientID:          clientID,
		ClientSecret:      clientSecret,
		RedirectURI:       d.backendURL + "/redirect",
		AuthorizeEndpoint: d.issuer + "/auth",
		TokenEndpoint:     d.issuer + "/oauth/token",
		RevokeEndpoint:    d.issuer + "/revoke",
		Issuer:            d.issuer,
		Scope:             "openid profile email offline_access",
		TokenAuth:         oauth.TokenAuthBasic,
		APIHosts:          []string{d.notionURL},
	}
}

// registration is what an OpenID provider and its one client know of each other.
type registration struct {
	issuer      string // the provider's address
	redirectURI string // the client's
}

// newStorage returns the example storage of zitadel/oidc with one client, and its test user.
func newStorage(registered registration) (*storage.Storage, account) {
	users := storage.NewUserStore(registered.issuer)
	user := users.GetUserByID("id1")
	client := storage.WebClient(clientID, clientSecret, registered.redirectURI)
	people := storage.NewStorageWithClients(users, map[string]*storage.Client{clientID: client})
	return people, account{username: user.Username, password: user.Password}
}

// openIDProvider is the OpenID provider of zitadel/oidc, with a login page for its test user. It serves one
// request at a time: the example storage reads its refresh tokens without its lock.
func openIDProvider(issuer string, people exampleop.Storage, user account) http.Handler {
	server := exampleop.SetupServer(issuer, people, slog.New(slog.DiscardHandler), false)
	handler := loginPage{account: user, people: people, next: server}
	var serving sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Lock()
		defer serving.Unlock()
		handler.ServeHTTP(w, r)
	})
}
