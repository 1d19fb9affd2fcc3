package hooks

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

// ending is the end of a login: what became of it, and when it came to which stage.
type ending struct {
	session, plugin string
	outcome         string // the last state of the session
	error, cause    string // of a login that was denied or failed

	created, redirected, completed, ended time.Time // zero: it did not come there
}

const endingColumns = `id, plugin, status, error, cause, created, redirected, completed,
	CASE status WHEN 'claimed' THEN claimed WHEN 'expired' THEN expires ELSE completed END`

// endings executes a statement that ends logins and returns them with endingColumns.
func (s *sessions) endings(statement *sql.Stmt, args ...any) (endings []ending, err error) {
	err = s.writer.query(statement, args, func(rows *sql.Rows) error {
		endings, err = readEndings(rows)
		return err
	})
	return endings, err
}

func readEndings(rows *sql.Rows) (endings []ending, err error) {
	for rows.Next() {
		var e ending
		var created, redirected, completed, ended string
		if err := rows.Scan(&e.session, &e.plugin, &e.outcome, &e.error, &e.cause, &created, &redirected, &completed, &ended); err != nil {
			return nil, err
		}
		e.created, e.redirected, e.completed, e.ended = readTime(created), readTime(redirected), readTime(completed), readTime(ended)
		endings = append(endings, e)
	}
	return endings, rows.Err()
}

// readTime reads a timestamp. A blank one is the zero time.
func readTime(timestamp string) time.Time {
	t, _ := time.Parse(types.DefaultDateLayout, timestamp)
	return t
}

func (s *sessions) tell(endings []ending) {
	for _, e := range endings {
		s.onEnd(e)
	}
}

// sessionDeleted ends the login of a session before its admin deletes it.
func (r *relay) sessionDeleted(e *core.RecordEvent) error {
	if r.sessions == nil {
		return e.Next()
	}
	if _, err := r.sessions.stop(e.App.NonconcurrentDB(), e.Record.Id); err != nil {
		return err
	}
	defer r.sessions.end(e.Record.Id)
	return e.Next()
}

// loginEnded writes the one line of a login that ended, and counts it. A failure is a warning, which the dashboard's log
// keeps as well; the others stand in the collection sessions.
func (r *relay) loginEnded(e ending) {
	r.metrics.ended(e)
	attributes := []slog.Attr{
		slog.String("session", e.session),
		slog.String("plugin", plainSlug(e.plugin)),
		slog.String("outcome", e.outcome),
	}
	level := slog.LevelInfo
	if e.outcome == statusFailed {
		level = slog.LevelWarn
	}
	if e.error != "" {
		attributes = append(attributes, slog.String("error", e.error))
	}
	if e.cause != "" {
		attributes = append(attributes, slog.String("cause", e.cause))
	}
	// Each in seconds since the login began.
	after := func(name string, reached time.Time) {
		if !reached.IsZero() {
			attributes = append(attributes, slog.Float64(name, float64(reached.Sub(e.created).Milliseconds())/1000))
		}
	}
	after("redirectedAfter", e.redirected)
	if e.outcome == statusClaimed || e.completed.Before(e.ended) { // else it is the end itself
		after("tokensAfter", e.completed)
	}
	after("endedAfter", e.ended)
	r.log.LogAttrs(context.Background(), level, "login ended", attributes...)
}
