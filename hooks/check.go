package hooks

import (
	"context"
	"log/slog"
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

// doctorOptions returns the doctor's options for a complete and valid configuration.
func (c Config) doctorOptions() doctor.Options {
	return doctor.Options{
		Environment:         c.Plugin,
		PublicURL:           c.PublicURL,
		BaseURL:             c.baseURL(),
		HasEncryptionKey:    c.EncryptionKey != "",
		OldKey:              c.oldKey(),
		TrustedProxyHeaders: c.TrustedProxyHeaders,
		OnFly:               c.onFly,
		InCluster:           c.Cluster != nil,
		Found:               c.mistakes,
		RequestTimeout:      c.timing.provider,
		Now:                 c.timing.now,
	}
}

func (c Config) oldKey() doctor.OldKey {
	switch c.OldEncryptionKey {
	case "":
		return doctor.OldKeyNone
	case c.EncryptionKey:
		return doctor.OldKeySame
	default:
		return doctor.OldKeyOther
	}
}

// newDoctor returns a doctor for this server and these plugins of the dashboard.
func (s *server) newDoctor(records map[string]*plugins.Plugin) *doctor.Doctor {
	options := s.config.doctorOptions()
	options.Dashboard, options.DataDir = records, s.app.DataDir()
	options.HidesVisitors = s.hidesVisitors
	return doctor.New(options)
}

// checkSetUp runs all checks for an admin. It also reports a proxy's header that came with the admin's own
// request and is not trusted.
func (s *server) checkSetUp(r *http.Request) ([]doctor.Finding, error) {
	records, err := s.records.All()
	if err != nil {
		return nil, err
	}
	findings := slices.Concat(s.membership.findings(r.Context()), s.newDoctor(records).Check(r.Context()))
	if header := s.headerToTrust(r.Header); header != "" {
		if finding := doctor.UntrustedProxy(header); !slices.Contains(findings, finding) {
			findings = append(findings, finding)
		}
	}
	return findings, nil
}

// checkAtStart runs the same checks once the service listens, and logs what they find. A shutdown stops it.
// It leaves out plugins that cannot be used, which the start has logged already.
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
		return // its requests were cancelled
	}
	for _, f := range findings {
		isLogged := slices.Contains(s.config.mistakes, f) // by the start
		if !isLogged && f.Level != doctor.LevelHint {
			warnOf(s.log, f)
		}
	}
}

// warnOf logs what was found wrong. Log readers rely on the name mend.
func warnOf(log *slog.Logger, f doctor.Finding) {
	log.Warn(f.What, "plugin", f.Plugin, "why", f.Why, "mend", f.Fix)
}

// bindDashboard adds the Sign-ins page to PocketBase's dashboard.
func (s *server) bindDashboard(e *core.ServeEvent) error {
	options := dashboard.Options{
		Environment: s.config.Plugin,
		Records:     s.records,
		BaseURL:     s.config.baseURL(),
		Retention:   s.config.SessionRetention,
		Report:      s.report,
		Cancel:      s.sessions.Cancel,
		Check:       s.checkSetUp,
	}
	if shares := s.membership; shares != nil {
		options.Cancel = shares.sessions.Cancel
		options.Machines = func() []dashboard.Machine {
			return shownMachines(shares.roster.Machines(), s.config.timing.now())
		}
	}
	dashboard.Bind(e, options)
	return nil
}

// report sweeps first, so that whatever is due has expired and the totals are up to date.
func (s *server) report(ctx context.Context, asked dashboard.ReportRequest) (session.Report, error) {
	if s.membership != nil {
		return s.membership.sessions.Report(ctx, sqlite.ReportRequest(asked))
	}
	s.sweep()
	return s.table.Report(ctx, sqlite.ReportRequest(asked))
}
