// Package hooks is the login relay: it starts an OAuth login for a plugin, takes the provider's redirect, exchanges
// the code, and hands the tokens once to the plugin that polls with the read key (RFC 6749, 7636, 8628).
//
// It registers itself on a PocketBase app:
//
//	config, err := hooks.LoadConfig(".")
//	…
//	hooks.MustRegister(app, config)
package hooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// relay is the service. A request goes through serve, then one handler, then sessions or a page.
type relay struct {
	app         core.App
	config      Config
	plugins     *plugins
	sessions    *sessions
	tokenClient *http.Client
	rotations   rotations
	metrics     *metrics
	log         *slog.Logger
	starts      *limiter // of /authorize
	routes      []route
	closing     chan struct{}  // closed at shutdown: waiting polls are answered
	exchanging  sync.RWMutex   // held for reading while a token is requested; a shutdown takes it for good
	checking    sync.WaitGroup // the check at start
	finishing   sync.Once
}

// request is a request with the plugin that it is for, which is nil if there is none.
type request struct {
	Response http.ResponseWriter
	Request  *http.Request
	plugin   *Plugin
	body     []byte
}

// route is one address that a plugin or a browser may ask for, at the root or under a plugin's slug.
type route struct {
	method string
	path   string
	handle func(*request) error
	face   face // of its problems
	public bool // it answers without a plugin, and HEAD like GET
}

// reservedSlugs are names that lead elsewhere: to PocketBase, or to the routes below.
var reservedSlugs = []string{"api", "_", "authorize", "redirect", "poll", "refresh", "revoke"}

func (r *relay) bindRoutes() {
	r.routes = []route{
		{http.MethodPost, "/authorize", r.authorize, faceJSON, false},
		{http.MethodGet, "/redirect", r.redirect, facePage, false},
		{http.MethodPost, "/redirect", r.confirm, facePage, false},
		{http.MethodPost, "/poll", r.poll, faceJSON, false},
		{http.MethodPost, "/refresh", r.refresh, faceText, false},
		{http.MethodPost, "/revoke", r.revoke, faceJSON, false},
		{http.MethodGet, "/", r.index, faceText, true},
		{http.MethodGet, "/client.js", clientScript, faceText, true},
		{http.MethodGet, "/client.d.ts", clientTypes, faceText, true},
	}
}

// MustRegister is [Register] that panics on an error.
func MustRegister(app core.App, config Config) {
	if err := Register(app, config); err != nil {
		panic(err)
	}
}

// Register adds the relay to an app that is about to serve. It fails if the configuration is not valid.
func Register(app core.App, config Config) error {
	_, err := register(app, config)
	return err
}

func register(app core.App, config Config) (*relay, error) {
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	certificate, err := config.certificate()
	if err != nil {
		return nil, err
	}
	r := &relay{app: app, config: config, plugins: &plugins{app: app, config: config}, tokenClient: newTokenClient(), metrics: newMetrics(), starts: newLimiter(config.AuthorizeRateLimit), closing: make(chan struct{})}
	r.bindRoutes()
	r.plugins.bind()

	app.OnServe().BindFunc(func(e *core.ServeEvent) error {
		// PocketBase's installer prints a superuser token.
		e.InstallerFunc = nil
		sessions, err := newSessions(app, config)
		if err != nil {
			return err
		}
		r.sessions, r.log = sessions, newLogger(config.Log, app.Logger().Handler())
		sessions.onEnd = r.loginEnded
		r.metrics.watch(sessions, config.Version)
		if err := r.warnOfUnusable(); err != nil {
			return err
		}
		if err := createSuperuser(app, config); err != nil {
			return err
		}
		trustProxies(app, config)
		if err := app.Cron().Add("sweepSessions", "* * * * *", r.sweep); err != nil {
			return err
		}
		keepQueriesOutOfLog(e)
		shutSQLConsole(e)
		if err := r.bindDashboard(e); err != nil {
			return err
		}
		if err := protectCollections(app); err != nil {
			return err
		}
		if certificate != nil {
			if err := listenTLS(e, certificate); err != nil {
				return err
			}
		}
		if err := e.Next(); err != nil {
			return err
		}
		e.Server.Handler = r.handler(e.Server.Handler)
		if err := r.serveMetrics(); err != nil {
			return err
		}
		// Not before the addresses are ours: a second start by mistake must not end the logins of the first.
		if err := sessions.resume(); err != nil {
			return err
		}
		if config.CheckAtStart {
			// The listener takes connections by now; its own answer to the check waits until it is served.
			r.checking.Go(r.checkAtStart)
		}
		return nil
	})
	app.OnSettingsReload().BindFunc(func(e *core.SettingsReloadEvent) error {
		err := e.Next()
		trustProxies(app, config)
		return err
	})
	app.OnRecordDelete("sessions").BindFunc(r.sessionDeleted)
	// A superuser passes every API rule, so these are refused here.
	app.OnRecordCreateRequest("sessions", "login_totals").BindFunc(refuseWrite)
	app.OnRecordUpdateRequest("sessions", "login_totals").BindFunc(refuseWrite)
	// Before PocketBase shuts the listener down (-9999).
	app.OnTerminate().Bind(&hook.Handler[*core.TerminateEvent]{
		Priority: -10000,
		Func: func(e *core.TerminateEvent) error {
			r.finishing.Do(r.finish) // a restart that fails comes here twice
			return e.Next()
		},
	})
	return r, nil
}

// handler serves what is not PocketBase's. Its router would cost more than all the rest, and its patterns forbid
// /{plugin}/redirect beside its own.
func (r *relay) handler(pocketbase http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		cleanPath(request.URL)
		first, _, _ := strings.Cut(request.URL.Path[1:], "/")
		if first == "api" || first == "_" {
			pocketbase.ServeHTTP(w, request)
			return
		}
		r.serve(w, request)
	})
}

// keepQueriesOutOfLog: the routes of PocketBase are logged with their URL and Referer. No query of either is kept.
func keepQueriesOutOfLog(e *core.ServeEvent) {
	notFound := func(e *core.RequestEvent) error { return e.NotFoundError("", nil) }
	e.Router.Any("/api/{path...}", notFound)
	e.Router.Any("/_/{path...}", notFound)
	e.Router.Bind(&hook.Handler[*core.RequestEvent]{
		Id:       "withoutQueryInLog",
		Priority: apis.DefaultActivityLoggerMiddlewarePriority + 1,
		Func: func(e *core.RequestEvent) error {
			err := e.Next()
			e.Request.URL.RawQuery = ""
			if referer, _, found := strings.Cut(e.Request.Referer(), "?"); found {
				e.Request.Header.Set("Referer", referer)
			}
			return err
		},
	})
}

// shutSQLConsole refuses the SQL of a superuser. It would change sessions and plugins without a check, and without the
// service noticing.
func shutSQLConsole(e *core.ServeEvent) {
	e.Router.BindFunc(func(e *core.RequestEvent) error {
		if e.Request.URL.Path == "/api/sql" {
			return e.ForbiddenError("The SQL console is shut: it would pass by the checks of plugin-oauth. Use the collections instead.", nil)
		}
		return e.Next()
	})
}

// serve finds the plugin and the route, and answers in the route's format, whatever happens.
func (r *relay) serve(w http.ResponseWriter, httpRequest *http.Request) {
	e := &request{Response: w, Request: httpRequest, plugin: r.config.Plugin}
	var found route
	var err error
	defer func() {
		if recovered := recover(); recovered != nil {
			r.report(e, found.face, internalError.because(panicCause(recovered)))
		}
	}()
	found, err = r.match(e)
	e.setHeaders()
	e.readBody()
	switch {
	case err != nil:
	case httpRequest.Method == http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
	case e.plugin == nil && !found.public:
		err = errNoPlugin
	case e.plugin != nil && e.plugin.closed != nil && !found.public:
		err = e.plugin.closed
	default:
		err = found.handle(e)
	}
	if err != nil {
		r.report(e, found.face, err)
	}
}

// match returns the route of a request, and puts the plugin of its slug into it. Without a route, or with a wrong method,
// people get the problem as a page.
func (r *relay) match(e *request) (route, error) {
	path := e.Request.URL.Path
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	if !slices.ContainsFunc(r.routes, func(route route) bool { return route.path == path }) {
		slug, rest, _ := strings.Cut(path[1:], "/")
		plugin, err := r.plugins.find(slug)
		if err != nil {
			return route{}, err
		}
		if plugin != nil {
			e.plugin, path = plugin, "/"+rest
		}
	}
	found, allowed := route{face: faceJSON}, http.MethodOptions
	for _, route := range r.routes {
		if route.path != path {
			continue
		}
		found, allowed = route, route.method+", "+allowed
		if e.Request.Method == route.method || e.Request.Method == http.MethodOptions {
			return route, nil
		}
	}
	if found.public {
		allowed += ", " + http.MethodHead
		if e.Request.Method == http.MethodHead {
			return found, nil
		}
	}
	if strings.Contains(e.Request.Header.Get("Accept"), "text/html") {
		found.face = facePage
	}
	if found.path == "" {
		return found, &problem{
			Status:      http.StatusNotFound,
			Code:        "not_found",
			Description: "There is no such address. Check the backend URL in the plugin.",
		}
	}
	e.Response.Header().Set("Allow", allowed)
	return found, &problem{
		Status:      http.StatusMethodNotAllowed,
		Code:        "invalid_request",
		Description: "This address answers " + allowed + " requests only; it is made for plugins and providers.",
	}
}

// index answers GET / and HEAD /: the service is up.
func (r *relay) index(e *request) error {
	if e.plugin != nil && e.plugin.closed != nil {
		return e.plugin.closed
	}
	others, err := r.plugins.all()
	if err != nil {
		return err
	}
	line := "plugin-oauth is up and running."
	if e.plugin == nil && len(others) == 0 {
		line = "plugin-oauth is running. " + HowToAddPlugin
	}
	if header := untrustedProxyHeader(e.Request.Header, r.config.TrustedProxyHeaders); header != "" {
		line += "\n" + fmt.Sprintf(untrustedLine, header)
	}
	return e.writeText(http.StatusOK, line)
}

// warnOfUnusable says at start which plugins of the dashboard cannot be used. The others work.
func (r *relay) warnOfUnusable() error {
	line, err := r.plugins.unusable()
	if line != "" {
		r.log.Error(line)
	}
	return err
}

func (r *relay) sweep() {
	began := time.Now()
	swept, err := r.sessions.sweep()
	r.metrics.sweep(swept, time.Since(began), err)
	if err != nil {
		r.log.Error("the sweep failed; it runs again in a minute", "cause", err.Error())
	}
}

// panicCause describes a panic without its value, which may quote a request.
func panicCause(recovered any) error {
	what := fmt.Sprintf("%T", recovered)
	if err, ok := recovered.(runtime.Error); ok {
		what = err.Error()
	}
	return fmt.Errorf("panic: %s\n%s", what, debug.Stack())
}

// finish answers the waiting polls, lets no token request begin any more, and waits for those under way.
func (r *relay) finish() {
	close(r.closing)
	finished := make(chan struct{})
	go func() {
		r.exchanging.Lock()
		r.checking.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(tokenTimeout + 5*time.Second):
	}
}

// cleanPath makes //poll mean /poll. ServeMux would redirect there, in HTML, without CORS, and with the query in it.
func cleanPath(u *url.URL) {
	clean := path.Clean("/" + u.Path)
	if strings.HasSuffix(u.Path, "/") && clean != "/" {
		clean += "/"
	}
	if u.Path != clean {
		u.Path, u.RawPath = clean, ""
	}
}

// protectCollections keeps an admin, and an import, from breaking what the service runs on. Migrations have run by now.
func protectCollections(app core.App) error {
	for _, name := range []string{"sessions", "pending_sessions", "login_stats", "login_totals", "plugins"} {
		collection, err := app.FindCollectionByNameOrId(name)
		if err != nil {
			return fmt.Errorf("the collection %s is missing; restore a backup: %w", name, err)
		}
		refusal := apis.NewForbiddenError("plugin-oauth needs the collection "+name+" to stay as it is.", nil)
		// By id, since an update may come with another name.
		app.OnCollectionDelete(collection.Id).BindFunc(func(*core.CollectionEvent) error { return refusal })
		app.OnCollectionUpdate(collection.Id).BindFunc(func(e *core.CollectionEvent) error {
			stored, err := e.App.FindCollectionByNameOrId(collection.Id)
			if err != nil {
				return err
			}
			// An import saves unchanged collections too. There is nothing to do then, and nothing to refuse.
			e.Collection.Updated = stored.Updated
			before, beforeErr := json.Marshal(stored)
			after, afterErr := json.Marshal(e.Collection)
			if beforeErr != nil || afterErr != nil || !bytes.Equal(before, after) {
				return refusal
			}
			return nil
		})
	}
	return nil
}

func refuseWrite(e *core.RecordRequestEvent) error {
	return e.ForbiddenError("Sessions and totals are made by logins only. To end a login, delete its session.", nil)
}
