package hooks

import (
	"context"
	"log/slog"
)

// newLogger writes to out, and what is a warning or worse to the log of the dashboard as well.
func newLogger(out, dashboard slog.Handler) *slog.Logger {
	return slog.New(slog.NewMultiHandler(out, warnings{dashboard}))
}

// warnings lets only those through, and says whose they are, since the dashboard's log has requests and more.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

func (w warnings) Handle(ctx context.Context, record slog.Record) error {
	record.Message = "plugin-oauth: " + record.Message
	return w.Handler.Handle(ctx, record)
}
