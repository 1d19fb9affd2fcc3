package hooks

import "time"

// totalsKept is how long the totals of an hour stay.
const totalsKept = 365 * 24 * time.Hour

// addUpSince counts the logins of each hour and plugin that began at or after a time, by how far they came. A count never
// falls, so an hour keeps what it has when its rows go.
const addUpSince = `INSERT INTO login_totals (id, hour, plugin, started, redirected, finished, claimed, denied, failed, expired)
	SELECT lower(hex(randomblob(8))), substr(created, 1, 13) || ':00:00.000Z' AS hour, plugin, ` + outcomeCounts + `
	FROM sessions WHERE created >= ?1 AND expires >= ?1 GROUP BY hour, plugin
	ON CONFLICT (hour, plugin) DO UPDATE SET
		started = max(started, excluded.started), redirected = max(redirected, excluded.redirected),
		finished = max(finished, excluded.finished), claimed = max(claimed, excluded.claimed), denied = max(denied, excluded.denied),
		failed = max(failed, excluded.failed), expired = max(expired, excluded.expired)`

// outcomeCounts are the columns started, redirected, finished (with tokens), claimed, denied, failed and expired.
const outcomeCounts = `count(*) AS started, sum(redirected != '') AS redirected,
	sum(status IN ('ready', 'claimed') OR (status = 'expired' AND completed < expires)) AS finished,
	sum(status = 'claimed') AS claimed, sum(status = 'denied') AS denied, sum(status = 'failed') AS failed, sum(status = 'expired') AS expired`

// addUp brings the totals up to date, and forgets those of a year ago. What was due to expire must have expired: then a
// session changes no more once its time is over, and only the hours since the last total are counted again.
func (s *sessions) addUp(now time.Time) error {
	var last string
	if err := s.lastTotal.QueryRow().Scan(&last); err != nil {
		return err
	}
	// A minute for what was under way when the last total was made.
	since, err := s.hourOf(readTime(last).Add(-time.Minute))
	if err != nil {
		return err
	}
	if _, err := s.writer.exec(s.total, since); err != nil {
		return err
	}
	_, err = s.writer.exec(s.forget, timestamp(now.Add(-totalsKept)))
	return err
}

// hourOf returns the start of the hour in which the oldest session began that can have changed since a time, or the end
// of time if there is none.
func (s *sessions) hourOf(since time.Time) (string, error) {
	var earliest string
	if err := s.earliest.QueryRow(timestamp(since)).Scan(&earliest); err != nil {
		return "", err
	}
	if earliest == "" {
		return "9999", nil
	}
	return earliest[:len("2006-01-02 15")], nil
}
