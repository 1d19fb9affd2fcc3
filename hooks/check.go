package hooks

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/dashboard"
	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sqlite"
)

// doctorOptions are what the doctor checks of a complete and valid configuration.
func (c Config) doctorOptions() doctor.Options {
	return doctor.Options{
		Environment:         c.Plugin,
		PublicURL:           c.PublicURL,
		BaseURL:             c.baseURL(),
		HasEncryptionKey:    c.EncryptionKey != "",
		TrustedProxyHeaders: c.TrustedProxyHeaders,
		OnFly:               c.onFly,
		RequestTimeout:      c.timing.provider,
		Now:                 c.timing.now,
	}
}

// newDoctor returns the doctor of this server, for these plugins of the dashboard.
func (s *server) newDoctor(records map[string]*plugins.Plugin) *doctor.Doctor {
	options := s.config.doctorOptions()
	options.Dashboard, options.DataDir = records, s.app.DataDir()
	return doctor.New(options)
}

// checkSetUp makes all checks for an admin, who also learns what the proxies do that the admin's own request
// came through.
func (s *server) checkSetUp(r *http.Request) ([]doctor.Finding, error) {
	records, err := s.records.All()
	if err != nil {
		return nil, err
	}
	findings := s.newDoctor(records).Check(r.Context())
	if header := doctor.UntrustedProxyHeader(r.Header, s.config.TrustedProxyHeaders); header != "" {
		if finding := doctor.UntrustedProxy(header); !slices.Contains(findings, finding) {
			findings = append(findings, finding)
		}
	}
	return findings, nil
}

// checkAtStart makes the same checks once the service listens, and says what they find. It ends with the
// service. Plugins that cannot be used were named by then.
func (s *server) checkAtStart() {
	defer func() {
		if recovered := recover(); recovered != nil {
			s.log.Error("the check at start failed", "cause", panicCause(recovered).Error())
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	select {
	case <-time.After(s.config.timing.checkAfter):
	case <-ctx.Done():
		return
	}
	records, err := s.records.All()
	if err != nil {
		s.log.Warn("the check at start failed", "cause", err.Error())
		return
	}
	usable := maps.Clone(records)
	maps.DeleteFunc(usable, func(_ string, p *plugins.Plugin) bool { return p.State != plugins.Available })
	findings := s.newDoctor(usable).Check(ctx)
	if ctx.Err() != nil {
		return // its requests were broken off
	}
	for _, f := range findings {
		s.log.Warn(f.What, "plugin", f.Plugin, "why", f.Why, "mend", f.Fix) // the name that log readers know
	}
}

// bindDashboard adds the page Sign-ins to PocketBase's dashboard.
func (s *server) bindDashboard(e *core.ServeEvent) error {
	dashboard.Bind(e, dashboard.Options{
		Environment: s.config.Plugin,
		Records:     s.records,
		BaseURL:     s.config.baseURL(),
		Retention:   s.config.SessionRetention,
		Report:      s.report,
		Cancel:      s.sessions.Cancel,
		Check:       s.checkSetUp,
	})
	return nil
}

// report sweeps first: what is due has expired then, and the totals are those of this moment.
func (s *server) report(ctx context.Context, request dashboard.ReportRequest) (session.Report, error) {
	s.sweep()
	return s.table.Report(ctx, sqlite.ReportRequest(request))
}
