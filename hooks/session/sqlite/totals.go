package sqlite

import (
	"context"
	"database/sql"
	"time"
)

// totalsKept is how long the totals of an hour stay.
const totalsKept = 365 * 24 * time.Hour

// outcomeCounts are the columns started, redirected, finished (with tokens), claimed, denied, failed and
// expired of sessions.
const outcomeCounts = `count(*) AS started, sum(redirected != '') AS redirected,
	sum(status IN ('ready', 'claimed') OR (status = 'expired' AND completed < expires)) AS finished,
	sum(status = 'claimed') AS claimed, sum(status = 'denied') AS denied, sum(status = 'failed') AS failed,
	sum(status = 'expired') AS expired`

// hourTotals counts the logins of each hour and plugin since one: those that have a row, and those whose row
// is gone, which a trigger has put into removed_logins.
const hourTotals = `SELECT hour, plugin, sum(started), sum(redirected), sum(finished), sum(claimed),
	sum(denied), sum(failed), sum(expired) FROM (
		SELECT substr(created, 1, 13) || ':00:00.000Z' AS hour, plugin, ` + outcomeCounts + `
			FROM sessions WHERE created >= ?1 AND expires >= ?1 GROUP BY hour, plugin
		UNION ALL SELECT hour, plugin, started, redirected, finished, claimed, denied, failed, expired
			FROM removed_logins WHERE hour >= ?1
	) GROUP BY hour, plugin`

const storeTotal = `INSERT INTO login_totals
	(id, hour, plugin, started, redirected, finished, claimed, denied, failed, expired)
	VALUES (substr(lower(hex(randomblob(8))), 1, 15), ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (hour, plugin) DO UPDATE SET started = excluded.started, redirected = excluded.redirected,
		finished = excluded.finished, claimed = excluded.claimed, denied = excluded.denied,
		failed = excluded.failed, expired = excluded.expired`

// addUp brings the totals up to date, and forgets those of a year ago. What was due to expire must have
// expired: then a session changes no more once its time is over, and only the hours since the last total are
// counted again. Nobody waits for the counting, since the one connection that writes has no part in it.
func (t *Table) addUp(ctx context.Context, now time.Time) error {
	since, err := t.openHour(ctx, now)
	if err != nil {
		return err
	}
	rows, err := t.statements.hourTotals.QueryContext(ctx, since)
	if err != nil {
		return err
	}
	totals, err := readRows(rows, 9)
	if err != nil {
		return err
	}
	for _, total := range totals {
		if _, err := t.writer.exec(ctx, t.statements.storeTotal, total...); err != nil {
			return err
		}
	}
	yearAgo := timestamp(now.Add(-totalsKept))
	for _, forget := range []*sql.Stmt{t.statements.forgetTotals, t.statements.forgetRemoved} {
		if _, err := t.writer.exec(ctx, forget, yearAgo); err != nil {
			return err
		}
	}
	return nil
}

// openHour returns the first hour whose total may have changed since the last one was made: that in which the
// oldest session began that was under way then. A minute is for what happened meanwhile.
func (t *Table) openHour(ctx context.Context, now time.Time) (hour string, err error) {
	// A clock that was set back leaves an hour that is still to come.
	err = t.statements.lastTotal.QueryRowContext(ctx, timestamp(now)).Scan(&hour)
	if err != nil || hour == "" {
		return "", err
	}
	var earliest string
	minuteBefore := timestamp(readTime(hour).Add(-time.Minute))
	if err := t.statements.earliest.QueryRowContext(ctx, minuteBefore).Scan(&earliest); err != nil {
		return "", err
	}
	if earliest != "" && earliest < hour {
		hour = timestamp(readTime(earliest).Truncate(time.Hour))
	}
	return hour, nil
}

// readRows reads all rows of so many columns.
func readRows(rows *sql.Rows, columns int) (all [][]any, err error) {
	defer rows.Close()
	for rows.Next() {
		row, into := make([]any, columns), make([]any, columns)
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}
