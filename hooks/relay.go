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
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// relay is the service. A request goes through serve, then one handler, then sessions or a page.
type relay struct {
	app         core.App
	config      Config
	sessions    *sessions
	tokenClient *http.Client
	exchanging  sync.RWMutex // held for reading while a code is exchanged; a shutdown takes it for good
}

// route is one address that a plugin or a browser may ask for.
type route struct {
	method string
	path   string
	handle func(*core.RequestEvent) error
	face   face // of its problems
}

func (r *relay) routes() []route {
	return []route{
		{http.MethodPost, "/authorize", r.authorize, faceJSON},
		{http.MethodGet, "/redirect", r.redirect, facePage},
		{http.MethodPost, "/poll", r.poll, faceJSON},
		{http.MethodPost, "/refresh", r.refresh, faceText},
		{http.MethodGet, "/", r.index, faceText},
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
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		return err
	}
	certificate, err := config.certificate()
	if err != nil {
		return err
	}
	r := &relay{app: app, config: config, tokenClient: newTokenClient()}

	app.OnServe().BindFunc(func(e *core.ServeEvent) error {
		// PocketBase's installer prints a superuser token.
		e.InstallerFunc = nil
		if r.sessions, err = newSessions(app, config); err != nil {
			return err
		}
		if err := createSuperuser(app, config); err != nil {
			return err
		}
		trustProxies(app, config)
		if err := app.Cron().Add("sweepSessions", "* * * * *", r.sweep); err != nil {
			return err
		}
		r.bindRoutes(e)
		if certificate != nil {
			if err := listenTLS(e, certificate); err != nil {
				return err
			}
		}
		return e.Next()
	})
	app.OnSettingsReload().BindFunc(func(e *core.SettingsReloadEvent) error {
		err := e.Next()
		trustProxies(app, config)
		return err
	})
	app.OnRecordCreateRequest("sessions").BindFunc(refuseWrite)
	app.OnRecordUpdateRequest("sessions").BindFunc(refuseWrite)
	// Before PocketBase shuts the listener down (-9999).
	app.OnTerminate().Bind(&hook.Handler[*core.TerminateEvent]{
		Priority: -10000,
		Func: func(e *core.TerminateEvent) error {
			r.exchanging.Lock()
			return e.Next()
		},
	})
	return nil
}

// bindRoutes makes one catch-all route, because PocketBase's own patterns forbid /{plugin}/redirect beside them.
// PocketBase keeps /api/ and /_/, with its middlewares.
func (r *relay) bindRoutes(e *core.ServeEvent) {
	notFound := func(e *core.RequestEvent) error { return e.NotFoundError("", nil) }
	e.Router.Any("/api/{path...}", notFound)
	e.Router.Any("/_/{path...}", notFound)
	e.Router.Any("/{path...}", r.serve).Unbind(
		apis.DefaultActivityLoggerMiddlewareId, // it stores URLs, and costs more than all the rest
		apis.DefaultCorsMiddlewareId,           // it allows every origin
		apis.DefaultLoadAuthTokenMiddlewareId,  // it takes any Authorization header for a token of PocketBase's
		apis.DefaultPanicRecoverMiddlewareId,   // serve has its own, which answers in the route's face
		apis.DefaultRateLimitMiddlewareId,
		apis.DefaultSecurityHeadersMiddlewareId,
	)
	// The routes of PocketBase are logged with their URL and Referer. No query of either is kept.
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

// serve finds the route and answers in its format, whatever happens.
func (r *relay) serve(e *core.RequestEvent) (err error) {
	r.setHeaders(e)
	found, err := r.match(e.Request)
	defer func() {
		if recovered := recover(); recovered != nil {
			err = r.report(e, found.face, internalError.because(panicCause(recovered)))
		}
	}()
	switch {
	case err != nil:
		return r.report(e, found.face, err)
	case e.Request.Method == http.MethodOptions:
		return e.NoContent(http.StatusNoContent)
	}
	if err := found.handle(e); err != nil {
		return r.report(e, found.face, err)
	}
	return nil
}

// match returns the route of a request. Without one, a problem goes to people as a page and to plugins as JSON.
func (r *relay) match(request *http.Request) (route, error) {
	fallback := route{face: faceJSON}
	if strings.Contains(request.Header.Get("Accept"), "text/html") {
		fallback.face = facePage
	}
	path := request.URL.Path
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	routes := r.routes()
	i := slices.IndexFunc(routes, func(route route) bool { return route.path == path })
	if i < 0 {
		return fallback, &problem{
			Status:      http.StatusNotFound,
			Code:        "not_found",
			Description: "There is no such address. Check the backend URL in the plugin.",
		}
	}
	found := routes[i]
	isHead := request.Method == http.MethodHead && path == "/"
	if request.Method != found.method && request.Method != http.MethodOptions && !isHead {
		return fallback, &problem{
			Status:      http.StatusMethodNotAllowed,
			Code:        "invalid_request",
			Description: "This address answers " + found.method + " requests only; it is made for plugins and providers.",
		}
	}
	return found, nil
}

// plugin returns the plugin of a request. It fails if none is configured.
func (r *relay) plugin() (*Plugin, error) {
	if r.config.Plugin == nil {
		return nil, &problem{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Description: HowToAddPlugin}
	}
	return r.config.Plugin, nil
}

// index answers GET / and HEAD /: the service is up.
func (r *relay) index(e *core.RequestEvent) error {
	if r.config.Plugin == nil {
		return writeText(e, http.StatusOK, "plugin-oauth is running. "+HowToAddPlugin)
	}
	return writeText(e, http.StatusOK, "plugin-oauth is up and running.")
}

func (r *relay) sweep() {
	if err := r.sessions.sweep(); err != nil {
		r.app.Logger().Error("plugin-oauth: the sweep failed; it runs again in a minute", "cause", err.Error())
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

func refuseWrite(e *core.RecordRequestEvent) error {
	return e.ForbiddenError("Sessions are made by logins only. To end a login, delete its session.", nil)
}
