package hooks

import (
	"context"
	"log/slog"
	"time"

	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
)

// newLogger returns a logger that writes to out, and warnings and errors to the log of the dashboard as well.
func newLogger(out, dashboard slog.Handler) *slog.Logger {
	return slog.New(slog.NewMultiHandler(out, warningHandler{Handler: dashboard}))
}

// warningHandler passes on warnings and errors only. It says that they are plugin-oauth's, since the
// dashboard's log also has PocketBase's own lines.
type warningHandler struct{ slog.Handler }

func (w warningHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

func (w warningHandler) Handle(ctx context.Context, record slog.Record) error {
	record.Message = "plugin-oauth: " + record.Message
	return w.Handler.Handle(ctx, record)
}

// loginEnded writes the one line of a login that ended, and counts it. A failure is a warning, which the
// dashboard's log keeps as well; the other outcomes are in the collection sessions.
func (s *server) loginEnded(outcome session.Outcome) {
	s.metrics.loginEnded(outcome)
	attributes := []slog.Attr{
		slog.String("session", outcome.Session),
		slog.String("plugin", plugins.DisplaySlug(outcome.Plugin)),
		slog.String("outcome", string(outcome.Status)),
	}
	level := slog.LevelInfo
	if outcome.Status == session.StatusFailed {
		level = slog.LevelWarn
	}
	if outcome.Error != "" {
		attributes = append(attributes, slog.String("error", outcome.Error))
	}
	if outcome.Cause != "" {
		attributes = append(attributes, slog.String("cause", outcome.Cause))
	}
	// Each in seconds since the login began.
	after := func(name string, reached time.Time) {
		if !reached.IsZero() {
			attributes = append(attributes, slog.Float64(name,
				float64(reached.Sub(outcome.Created).Milliseconds())/1000))
		}
	}
	after("redirectedAfter", outcome.Redirected)
	// Otherwise that is the end itself.
	if outcome.Status == session.StatusClaimed || outcome.Completed.Before(outcome.Ended) {
		after("tokensAfter", outcome.Completed)
	}
	after("endedAfter", outcome.Ended)
	s.log.LogAttrs(context.Background(), level, "login ended", attributes...)
}
