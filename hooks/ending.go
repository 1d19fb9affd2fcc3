package hooks

import (
	"cmp"
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
	outcome         string // the last state of the session, or outcomeDeleted
	error           string
	cause           error // of a failure

	created, redirected, completed, ended time.Time // zero: it did not come there
}

// outcomeDeleted is a login that its admin has ended.
const outcomeDeleted = "deleted"

const endingColumns = `id, plugin, status, error, created, redirected, completed,
	CASE status WHEN 'claimed' THEN claimed WHEN 'expired' THEN expires ELSE completed END`

// endings executes a statement that ends logins and returns them with endingColumns.
func (s *sessions) endings(statement *sql.Stmt, args ...any) (endings []ending, err error) {
	err = s.writer.query(statement, args, func(rows *sql.Rows) error {
		endings = nil
		for rows.Next() {
			var e ending
			var created, redirected, completed, ended string
			if err := rows.Scan(&e.session, &e.plugin, &e.outcome, &e.error, &created, &redirected, &completed, &ended); err != nil {
				return err
			}
			e.created, e.redirected, e.completed, e.ended = readTime(created), readTime(redirected), readTime(completed), readTime(ended)
			endings = append(endings, e)
		}
		return rows.Err()
	})
	return endings, err
}

// readTime reads a timestamp. A blank one is the zero time.
func readTime(timestamp string) time.Time {
	t, _ := time.Parse(types.DefaultDateLayout, timestamp)
	return t
}

func (s *sessions) tell(endings []ending, cause error) {
	for _, e := range endings {
		e.cause = cause
		s.onEnd(e)
	}
}

// sessionDeleted ends the login of a session that its admin has deleted.
func (r *relay) sessionDeleted(e *core.RecordEvent) error {
	if r.sessions == nil {
		return e.Next()
	}
	r.sessions.end(e.Record.Id)
	if status := e.Record.GetString("status"); status == statusPending || status == statusReady {
		at := func(field string) time.Time { return e.Record.GetDateTime(field).Time() }
		r.loginEnded(ending{
			session: e.Record.Id, plugin: e.Record.GetString("plugin"), outcome: outcomeDeleted,
			created: at("created"), redirected: at("redirected"), completed: at("completed"), ended: time.Now(),
		})
	}
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
	if e.error != "" {
		attributes = append(attributes, slog.String("error", e.error))
	}
	if e.cause != nil {
		level = slog.LevelWarn
		attributes = append(attributes, slog.String("cause", e.cause.Error()))
	}
	// Each in seconds since the login began.
	after := func(name string, reached time.Time) {
		if !reached.IsZero() {
			attributes = append(attributes, slog.Float64(name, reached.Sub(e.created).Seconds()))
		}
	}
	after("redirectedAfter", e.redirected)
	if e.outcome == statusClaimed || e.completed.Before(e.ended) { // else it is the end itself
		after("tokensAfter", e.completed)
	}
	after("endedAfter", e.ended)
	r.log.LogAttrs(context.Background(), level, "login ended", attributes...)
}

// plainSlug is the slug of a plugin for people and for metrics; the one at the root has none of its own.
func plainSlug(slug string) string { return cmp.Or(slug, "/") }
