package hooks

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
)

// newLogger returns a logger that writes to out, and warnings and errors to the log of the dashboard as well.
// The latter takes disk space, so that repeats bounds its lines.
func newLogger(out, dashboard slog.Handler, repeats *repeats) *slog.Logger {
	return slog.New(slog.NewMultiHandler(out, warningHandler{Handler: dashboard, repeats: repeats}))
}

// warningHandler passes on warnings and errors only, and not too many of them. It says that they are
// plugin-oauth's, since the dashboard's log also has PocketBase's own lines.
type warningHandler struct {
	slog.Handler

	repeats *repeats
}

func (w warningHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

func (w warningHandler) Handle(ctx context.Context, record slog.Record) error {
	cause := logCause{message: record.Message}
	record.Attrs(func(attribute slog.Attr) bool {
		switch attribute.Key {
		case "route":
			cause.route = attribute.Value.String()
		case "error":
			cause.code = attribute.Value.String()
		}
		return true
	})
	if !w.repeats.admit(cause) {
		return nil
	}
	record.Message = "plugin-oauth: " + record.Message
	return w.Handler.Handle(ctx, record)
}

const (
	// maxRepeats is how many lines of one cause are logged between two sweeps, which is a minute.
	maxRepeats = 20
	// maxCauses is how many causes are told apart. Strangers can make up error codes.
	maxCauses = 50
	// maxLoggedPath bounds the path of a request in a line, in bytes.
	maxLoggedPath = 200
)

// logCause is what lines of the log have in common, whatever their text is. Route is a path of the route
// table, without the plugin's slug; of a login that ended it is the outcome.
type logCause struct{ message, route, code string }

// repeats counts log lines by their cause, since each stranger's request may cause one. It is safe for
// concurrent use.
type repeats struct {
	mu    sync.Mutex
	count map[logCause]int
}

// admit counts a line, and reports whether it may be written.
func (r *repeats) admit(cause logCause) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == nil {
		r.count = map[logCause]int{}
	}
	if r.count[cause] == 0 && len(r.count) >= maxCauses {
		cause = logCause{message: "others"}
	}
	r.count[cause]++
	return r.count[cause] <= maxRepeats
}

// takeOmitted returns how many lines of each cause were not written, and begins to count anew.
func (r *repeats) takeOmitted() map[logCause]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	omitted := map[logCause]int{}
	for cause, count := range r.count {
		if count > maxRepeats {
			omitted[cause] = count - maxRepeats
		}
	}
	clear(r.count)
	return omitted
}

// logOmitted says how many lines were left out since it was called last.
func (s *server) logOmitted() {
	for _, lines := range []*repeats{s.dashboardLines, s.failedRequests} {
		for cause, count := range lines.takeOmitted() {
			log, message := s.log, "log lines were left out"
			if lines == s.dashboardLines { // standard error has them all, or says so itself
				log, message = slog.New(s.app.Logger().Handler()), "plugin-oauth: "+message
			}
			log.Warn(message, "line", cause.message, "route", cause.route,
				"error", cause.code, "count", count)
		}
	}
}

// loginEnded writes the one line of a login that ended, and counts it. A failure is a warning, which the
// dashboard's log keeps as well; the other outcomes are in the collection sessions. Anybody can make logins
// that end without tokens, so their lines are bounded.
func (s *server) loginEnded(outcome session.Outcome) {
	s.metrics.loginEnded(outcome)
	s.tokensEnded(outcome.Session, outcome.Status)
	cause := logCause{message: "login ended", route: string(outcome.Status), code: outcome.Error}
	if outcome.Status != session.StatusClaimed && !s.failedRequests.admit(cause) {
		return
	}
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
