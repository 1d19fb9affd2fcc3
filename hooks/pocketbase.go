package hooks

import (
	"strings"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// redactQueries keeps queries out of PocketBase's log, which records the URL and the Referer of requests to
// its own routes.
func redactQueries(e *core.ServeEvent) error {
	notFound := func(e *core.RequestEvent) error { return e.NotFoundError("", nil) }
	e.Router.Any("/api/{path...}", notFound)
	e.Router.Any("/_/{path...}", notFound)
	e.Router.Bind(&hook.Handler[*core.RequestEvent]{
		Id:       "redactQueries",
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
