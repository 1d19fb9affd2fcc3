// Package dashboard adds a page to PocketBase's dashboard: how sign-ins go, how to fix those that fail, what
// an author must paste where, and a check of the set-up.
package dashboard

import (
	"context"
	"embed"
	"net/http"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
)

// files are the modules of the page, which the browser gets as they are.
//
//go:embed *.js *.css
var files embed.FS

// Options say where the page gets its data from. All are required except Environment, BaseURL and
// Machines.
type Options struct {
	// Environment is the plugin that the environment configures. It is nil if there is none.
	Environment *plugins.Plugin

	// Records are the plugins of the dashboard.
	Records *plugins.Records

	// BaseURL is where the world reaches the service, without a slash at the end. It is blank if that is not
	// known.
	BaseURL string

	// Retention is how long the rows of sessions are kept.
	Retention time.Duration

	// Report reads how sign-ins went, up to this moment.
	Report func(context.Context, ReportRequest) (session.Report, error)

	// Cancel ends a session that is under way, and reports whether it was.
	Cancel func(ctx context.Context, id string) (bool, error)

	// Machines returns the machines of the cluster. It is nil if there is none.
	Machines func() []Machine

	// Check checks the set-up. The request is the admin's.
	Check func(*http.Request) ([]doctor.Finding, error)
}

// ReportRequest says what a report is about.
type ReportRequest struct {
	// Span is how far back it reaches.
	Span time.Duration

	// Hours is how many hours it counts one by one, including the current one.
	Hours int

	// Plugin is a slug, or "/" for the plugin at the root. If it is blank, the report is about all plugins.
	Plugin string
}

// Machine is a machine of a cluster, as this one knows it. Durations are in seconds.
type Machine struct {
	// Name is the one in the list of machines.
	Name string `json:"name"`
	// Version is the program's. It is blank if the machine was never heard.
	Version string `json:"version"`
	// Leads says that it leads the cluster.
	Leads bool `json:"leads"`
	// IsThis says that it is this machine.
	IsThis bool `json:"isThis"`
	// Seen is how long ago it was heard last; nil: never.
	Seen *float64 `json:"seen"`
	// Free is how many bytes its disk has left, or nil if that is not known.
	Free *uint64 `json:"free"`
	// Ahead is by how much its clock is ahead of this machine's, or nil if that is not known.
	Ahead *float64 `json:"ahead"`
}

// page handles the requests of the page.
type page struct{ Options }

// Bind adds the Sign-ins page to PocketBase's dashboard, and the routes that it uses, which are for
// superusers only.
func Bind(e *core.ServeEvent, options Options) {
	e.UIExtensions = append(e.UIExtensions, core.UIExtension{Name: "sign-ins", FS: files})
	e.Router.BindFunc(func(e *core.RequestEvent) error {
		if strings.HasPrefix(e.Request.URL.Path, "/_/extensions") {
			// PocketBase would let browsers cache them for 14 days, beyond the next version of this program.
			e.Response.Header().Set("Cache-Control", "no-cache")
		}
		return e.Next()
	})
	p := page{Options: options}
	group := e.Router.Group("/api/plugin-oauth")
	group.Bind(apis.RequireSuperuserAuth(), apis.SkipSuccessActivityLog())
	group.GET("/sign-ins", p.signIns)
	group.POST("/sign-ins/{id}/end", p.cancelSignIn)
	group.GET("/plugins", p.listPlugins)
	group.GET("/providers", listProviders)
	group.GET("/doctor", p.checkSetUp)
}

// checkSetUp handles GET /api/plugin-oauth/doctor: what the command doctor finds, as a JSON array. It takes
// up to a minute.
func (p page) checkSetUp(e *core.RequestEvent) error {
	findings, err := p.Check(e.Request)
	if err != nil {
		return err
	}
	for i := range findings {
		if findings[i].Plugin == plugins.DisplaySlug("") {
			findings[i].Plugin = p.rootLabel()
		}
	}
	return e.JSON(http.StatusOK, findings)
}
