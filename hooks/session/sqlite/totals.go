package sqlite

import (
	"context"
	"database/sql"
	"time"
)

// totalsKept is how long the totals of an hour stay.
const totalsKept = 365 * 24 * time.Hour

// isFinished says that a session has had tokens.
const isFinished = `status IN ('ready', 'claimed') OR (status = 'expired' AND completed < expires)`

// outcomeCounts counts sessions in the columns started, redirected, finished (with tokens), claimed, denied,
// failed and expired.
const outcomeCounts = `count(*) AS started, sum(redirected != '') AS redirected,
	sum(` + isFinished + `) AS finished,
	sum(status = 'claimed') AS claimed, sum(status = 'denied') AS denied, sum(status = 'failed') AS failed,
	sum(status = 'expired') AS expired`

// outcomeOfOne is the same for a single session.
const outcomeOfOne = `1, redirected != '', ` + isFinished + `,
	status = 'claimed', status = 'denied', status = 'failed', status = 'expired'`

// hourCounts counts the logins since a given hour, each in a row with its hour and plugin: those that have a
// row, and those whose row is gone, which a trigger has put into removed_logins. They are added up by
// [Table.hourTotals]: SQLite would sort them first, in memory, which is 35 MB after a flood.
const hourCounts = `SELECT substr(created, 1, 13) || ':00:00.000Z', plugin, ` + outcomeOfOne + `
		FROM sessions WHERE created >= ?1 AND expires >= ?1
	UNION ALL SELECT hour, plugin, started, redirected, finished, claimed, denied, failed, expired
		FROM removed_logins WHERE hour >= ?1`

const storeTotal = `INSERT INTO login_totals
	(id, hour, plugin, started, redirected, finished, claimed, denied, failed, expired)
	VALUES (substr(lower(hex(randomblob(8))), 1, 15), ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (hour, plugin) DO UPDATE SET started = excluded.started, redirected = excluded.redirected,
		finished = excluded.finished, claimed = excluded.claimed, denied = excluded.denied,
		failed = excluded.failed, expired = excluded.expired`

// raiseTotal is storeTotal for counts of which another machine may know more; see
// [session.Funnel.KnowsMore].
const raiseTotal = storeTotal + `
	WHERE (excluded.started, excluded.claimed + excluded.denied + excluded.failed + excluded.expired,
			excluded.redirected, excluded.finished) >
		(started, claimed + denied + failed + expired, redirected, finished)`

// addUp brings the totals up to date, and deletes those that are older than a year. Whatever was due must
// have expired before: then a session no longer changes once its time is over, and only the hours since the
// last total are counted again. Nobody waits for the counting, since it does not use the one connection that
// writes. The statement stores a total.
func (t *Table) addUp(ctx context.Context, store *sql.Stmt, now time.Time) (err error) {
	uncounted := t.bounds.takeUncounted()
	defer func() {
		if err != nil {
			t.bounds.addUncounted(uncounted)
			return
		}
		t.bounds.setCounted(now)
	}()
	since, err := t.openHour(ctx, openHourRequest{now: now, uncounted: uncounted})
	if err != nil {
		return err
	}
	totals, err := t.hourTotals(ctx, since)
	if err != nil {
		return err
	}
	for of, total := range totals {
		args := []any{of.hour, of.plugin}
		for _, count := range total {
			args = append(args, count)
		}
		if _, err := t.writer.exec(ctx, store, args...); err != nil {
			return err
		}
	}
	yearAgo := timestamp(now.Add(-totalsKept))
	for _, deletion := range []*sql.Stmt{t.statements.deleteTotals, t.statements.deleteRemoved} {
		if _, err := t.writer.exec(ctx, deletion, yearAgo); err != nil {
			return err
		}
	}
	return nil
}

// hourOfPlugin is what a total is of.
type hourOfPlugin struct{ hour, plugin string }

// total has the counts of outcomes.
type total [7]int64

// hourTotals adds up the logins of each hour and plugin since a given hour.
func (t *Table) hourTotals(ctx context.Context, since string) (map[hourOfPlugin]*total, error) {
	rows, err := t.statements.hourCounts.QueryContext(ctx, since)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	totals := map[hourOfPlugin]*total{}
	var of hourOfPlugin
	var counted total
	into := []any{&of.hour, &of.plugin}
	for i := range counted {
		into = append(into, &counted[i])
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		if totals[of] == nil {
			totals[of] = &total{}
		}
		for i, count := range counted {
			totals[of][i] += count
		}
	}
	return totals, rows.Err()
}

// openHourRequest is the time, and when the earliest login began whose row is gone without being counted.
type openHourRequest struct {
	now       time.Time
	uncounted string
}

// openHour returns the first hour whose total may have changed since the last total was made: the hour in
// which the oldest session began that was still under way then. It goes back a minute further, for what
// happened in the meantime.
func (t *Table) openHour(ctx context.Context, request openHourRequest) (hour string, err error) {
	// If the clock was set back, there may be an hour that is still to come.
	err = t.statements.lastTotal.QueryRowContext(ctx, timestamp(request.now)).Scan(&hour)
	if err != nil || hour == "" {
		return "", err
	}
	var earliest string
	minuteBefore := timestamp(readTime(hour).Add(-time.Minute))
	if err := t.statements.earliest.QueryRowContext(ctx, minuteBefore).Scan(&earliest); err != nil {
		return "", err
	}
	if earliest = earlier(earliest, request.uncounted); earliest != "" && earliest < hour {
		hour = timestamp(readTime(earliest).Truncate(time.Hour))
	}
	return hour, nil
}
