package dashboard

import (
	"cmp"
	"net/http"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
)

// spans are the spans of time that the page can show. The chart has whole hours, and at least 24 of them.
var spans = map[string]ReportRequest{
	"hour": {Span: time.Hour, Hours: 24},
	"day":  {Span: 24 * time.Hour, Hours: 24},
	"week": {Span: 7 * 24 * time.Hour, Hours: 7 * 24},
}

// signInsAnswer is what the page is told every few seconds.
type signInsAnswer struct {
	session.Report
	// Machines are those of the cluster. Without one there are none.
	Machines []Machine `json:"machines,omitempty"`
}

// signIns handles GET /api/plugin-oauth/sign-ins?span=hour|day|week&plugin=SLUG: a [signInsAnswer].
func (p page) signIns(e *core.RequestEvent) error {
	query := e.Request.URL.Query()
	request, ok := spans[cmp.Or(query.Get("span"), "day")]
	if !ok {
		return apis.NewBadRequestError("span must be hour, day or week.", nil)
	}
	request.Plugin = query.Get("plugin")
	report, err := p.Report(e.Request.Context(), request)
	if err != nil {
		return err
	}
	for i, failure := range report.Failures {
		plugin, err := p.findPlugin(failure.Plugin)
		if err != nil {
			return err
		}
		report.Failures[i].Fix = fix(failure.Error, plugin)
	}
	report.Retention, report.Root = p.Retention.Seconds(), p.rootLabel()
	answer := signInsAnswer{Report: report}
	if p.Machines != nil {
		answer.Machines = p.Machines()
	}
	return e.JSON(http.StatusOK, answer)
}

// findPlugin returns the plugin that a report names, or nil if it is gone.
func (p page) findPlugin(slug string) (*plugins.Plugin, error) {
	if slug == plugins.DisplaySlug("") {
		return p.Environment, nil
	}
	return p.Records.Find(slug)
}

// fix says what an admin can usually do about a failure. The plugin is nil if it is gone.
func fix(code string, plugin *plugins.Plugin) string {
	if plugin == nil {
		return "The plugin is gone, so there is nothing to fix."
	}
	return oauth.MeaningOf(code).Fix(&plugin.Client, plugin.Where)
}

// cancelSignIn handles POST /api/plugin-oauth/sign-ins/{id}/end: the admin ends a sign-in that is under way.
func (p page) cancelSignIn(e *core.RequestEvent) error {
	cancelled, err := p.Cancel(e.Request.Context(), e.Request.PathValue("id"))
	if err != nil {
		return err
	}
	if !cancelled {
		return apis.NewNotFoundError("This sign-in has ended already.", nil)
	}
	return e.NoContent(http.StatusNoContent)
}
