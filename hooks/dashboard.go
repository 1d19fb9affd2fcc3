package hooks

import (
	"embed"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
)

// dashboardFiles are the modules of the page Sign-ins, as the browser gets them.
//
//go:embed dashboard
var dashboardFiles embed.FS

// bindDashboard adds the page Sign-ins to PocketBase's dashboard, and the routes that it asks.
func (r *relay) bindDashboard(e *core.ServeEvent) error {
	files, err := fs.Sub(dashboardFiles, "dashboard")
	if err != nil {
		return err
	}
	e.UIExtensions = append(e.UIExtensions, core.UIExtension{Name: "sign-ins", FS: files})
	e.Router.BindFunc(func(e *core.RequestEvent) error {
		if strings.HasPrefix(e.Request.URL.Path, "/_/extensions") {
			// PocketBase would have them cached for 14 days, beyond the next version of this program.
			e.Response.Header().Set("Cache-Control", "no-cache")
		}
		return e.Next()
	})
	group := e.Router.Group("/api/plugin-oauth")
	group.Bind(apis.RequireSuperuserAuth(), apis.SkipSuccessActivityLog())
	group.GET("/sign-ins", r.signIns)
	group.POST("/sign-ins/{id}/end", r.endSignIn)
	group.GET("/plugins", r.pluginHelp)
	group.GET("/doctor", r.doctorRoute)
	return nil
}

// pluginHelp is what an author must paste where, for one plugin.
type pluginHelp struct {
	ID          string      `json:"id"`   // of its record; blank: it is not from the dashboard
	Slug        string      `json:"slug"` // "/" for the one at the root
	Name        string      `json:"name"`
	Provider    string      `json:"provider"`
	Console     string      `json:"console"` // where the app is made at the provider; blank: unknown
	Enabled     bool        `json:"enabled"`
	Problem     string      `json:"problem"` // why it answers nothing; blank: it answers
	Backend     string      `json:"backend"`
	RedirectURI string      `json:"redirectUri"`
	Origins     []string    `json:"origins"` // that may call, for people to read
	Revoke      string      `json:"revoke"`  // the token that can be revoked: access, refresh or any; blank: none
	Tenant      *tenantHelp `json:"tenant"`  // what the plugin must name; nil: nothing
}

// tenantHelp is a parameter that the plugin sends.
type tenantHelp struct {
	Name    string `json:"name"`
	Example string `json:"example"`
	Default string `json:"default"` // blank: it must be sent
}

// pluginHelp handles GET /api/plugin-oauth/plugins: {"base": "https://…", "plugins": […]}.
func (r *relay) pluginHelp(e *core.RequestEvent) error {
	bySlug, err := r.plugins.all()
	if err != nil {
		return err
	}
	base := r.config.publicURL()
	answer := struct {
		Base    string       `json:"base"`
		Plugins []pluginHelp `json:"plugins"`
	}{base, []pluginHelp{}}
	if r.config.Plugin != nil {
		answer.Plugins = append(answer.Plugins, r.config.Plugin.help(base))
	}
	for _, slug := range slices.Sorted(maps.Keys(bySlug)) {
		answer.Plugins = append(answer.Plugins, bySlug[slug].help(base))
	}
	return e.JSON(http.StatusOK, answer)
}

func (p *Plugin) help(base string) pluginHelp {
	help := pluginHelp{
		ID:          p.id,
		Slug:        plainSlug(p.Slug),
		Name:        p.Name,
		Enabled:     p.closed != errSwitchedOff,
		Backend:     base,
		RedirectURI: p.RedirectURI,
		Origins:     p.origins(),
	}
	if p.Slug != "" {
		help.Backend += "/" + p.Slug
	}
	if p.closed != nil {
		help.Problem = p.closed.Description
	}
	row, known := findPreset(p.Provider)
	if known {
		help.Provider, help.Console = row.Title, row.Console
	}
	if p.RevokeEndpoint != "" {
		help.Revoke = "any"
		if known && p.RevokeEndpoint == row.RevokeEndpoint && row.RevokeToken != "" {
			help.Revoke = row.RevokeToken
		}
	}
	if p.tenant != nil && p.Tenant == "" {
		help.Tenant = &tenantHelp{p.tenant.Name, p.tenant.Example, p.tenant.Default}
	}
	return help
}

// doctorRoute handles GET /api/plugin-oauth/doctor: what the command doctor finds, as a JSON array. It takes up to a minute.
func (r *relay) doctorRoute(e *core.RequestEvent) error {
	dashboard, err := r.plugins.all()
	if err != nil {
		return err
	}
	findings := newDoctor(r.config, dashboard, r.app.DataDir()).examine(e.Request.Context())
	if header := untrustedProxyHeader(e.Request.Header, r.config.TrustedProxyHeaders); header != "" {
		if f := notBelieved(header); !slices.Contains(findings, f) {
			findings = append(findings, f)
		}
	}
	return e.JSON(http.StatusOK, findings)
}
