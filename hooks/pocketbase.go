package hooks

import (
	"fmt"
	"strings"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// The order of what runs around PocketBase's own routes, once it is known whose token a request has.
const (
	activityLogPriority = apis.DefaultLoadAuthTokenMiddlewarePriority + 1 + iota
	redactQueriesPriority
	recoverPriority
)

// logSuperusersOnly keeps the requests of strangers out of PocketBase's activity log, whose rows would fill
// the disk. Those with a superuser's token stay in it.
func logSuperusersOnly(e *core.ServeEvent) error {
	logger, err := middleware(e, apis.DefaultActivityLoggerMiddlewareId)
	if err != nil {
		return err
	}
	recoverer, err := middleware(e, apis.DefaultPanicRecoverMiddlewareId)
	if err != nil {
		return err
	}
	log := logger.Func
	logger.Priority = activityLogPriority
	logger.Func = func(e *core.RequestEvent) error {
		if e.HasSuperuserAuth() {
			return log(e)
		}
		return e.Next()
	}
	// The logger is inside PocketBase's own recovery now, and must still see a panic as an error.
	e.Router.Bind(&hook.Handler[*core.RequestEvent]{
		Id: "recoverLogged", Priority: recoverPriority, Func: recoverer.Func,
	})
	return nil
}

// middleware returns one of the router's own by its id.
func middleware(e *core.ServeEvent, id string) (*hook.Handler[*core.RequestEvent], error) {
	for _, candidate := range e.Router.Middlewares {
		if candidate.Id == id {
			return candidate, nil
		}
	}
	return nil, fmt.Errorf("PocketBase's router has no middleware %q; build with the version of PocketBase "+
		"that go.mod names", id)
}

// redactQueries keeps queries out of PocketBase's log, which records the URL and the Referer of requests to
// its own routes.
func redactQueries(e *core.ServeEvent) error {
	notFound := func(e *core.RequestEvent) error { return e.NotFoundError("", nil) }
	e.Router.Any("/api/{path...}", notFound)
	e.Router.Any("/_/{path...}", notFound)
	e.Router.Bind(&hook.Handler[*core.RequestEvent]{
		Id:       "redactQueries",
		Priority: redactQueriesPriority,
		Func: func(e *core.RequestEvent) error {
			err := e.Next()
			e.Request.URL.RawQuery = ""
			if referer, _, found := strings.Cut(e.Request.Referer(), "?"); found {
				e.Request.Header.Set("Referer", referer)
			}
			return err
		},
	})
	return nil
}

// disableSQLConsole refuses SQL from superusers. It could change sessions and plugins without a check, and
// without the service noticing.
func disableSQLConsole(e *core.ServeEvent) error {
	e.Router.BindFunc(func(e *core.RequestEvent) error {
		if e.Request.URL.Path == "/api/sql" {
			return e.ForbiddenError("The SQL console is shut: it would pass by the checks of plugin-oauth. "+
				"Use the collections instead.", nil)
		}
		return e.Next()
	})
	return nil
}
