package sqlite

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/pocketbase/dbx"

	"plugin-oauth/hooks/session"
)

const (
	maxListed = 50
	maxClaims = 1000 // from which the times to claim are taken
)

// ReportRequest says what a report is about.
type ReportRequest struct {
	// Span is how far back it reaches.
	Span time.Duration
	// Hours is how many hours it counts one by one, including the current one.
	Hours int
	// Plugin is the slug of one plugin, or "/" for the one at the root. If it is empty, the report is about
	// all of them.
	Plugin string
}

// rootSlug names the plugin at the root in a report.
const rootSlug = "/"

// Parts of the queries below. A plugin is named by its slug, or "/".
const (
	slug   = `iif(plugin = '', '` + rootSlug + `', plugin)`
	ofSlug = ` AND ({:slug} = '' OR ` + slug + ` = {:slug})`
	living = `status IN ('pending', 'ready') AND expires > {:now}`
	within = `expires > {:since} AND created >= {:since}`
	// counted finds the rows of those that the funnel counts.
	counted = `expires > {:from} AND created >= {:from}`
	sums    = `sum(started) AS started, sum(redirected) AS redirected, sum(finished) AS finished,
		sum(claimed) AS claimed, sum(denied) AS denied, sum(failed) AS failed, sum(expired) AS expired`
)

const (
	funnelOfTotals = `SELECT ` + slug + ` AS plugin, ` + sums + ` FROM login_totals WHERE hour >= {:hour}
		GROUP BY plugin ORDER BY plugin`
	funnelOfRows = `SELECT ` + slug + ` AS plugin, ` + sums + `
		FROM (SELECT plugin, ` + outcomeCounts + ` FROM sessions WHERE ` + within + ` GROUP BY plugin)
		GROUP BY plugin ORDER BY plugin`
	countedHours = `SELECT replace(hour, ' ', 'T') AS hour, ` + sums + `
		FROM login_totals WHERE hour >= {:hour}` + ofSlug + ` GROUP BY hour ORDER BY hour`
	liveLogins = `SELECT id, ` + slug + ` AS plugin,
		iif(status = 'ready', 'finished', iif(redirected = '', 'started', 'redirected')) AS stage,
		origin, created, expires
		FROM sessions WHERE ` + living + ofSlug + ` ORDER BY expires DESC LIMIT {:listed}`
	liveCount = `SELECT count(*) FROM sessions WHERE ` + living + ofSlug
	// SQLite takes the other columns from the row that has the maximum.
	failureKinds = `SELECT id, ` + slug + ` AS plugin, error, count(*) AS count,
		errorDescription AS description, cause, max(completed) AS completed FROM sessions
		WHERE ` + fruitless + ` AND status = 'failed' AND ` + counted + ofSlug + `
		GROUP BY plugin, error ORDER BY completed DESC LIMIT {:listed}`
	everStarted = `SELECT EXISTS (SELECT 1 FROM login_totals),
		EXISTS (SELECT 1 FROM login_totals WHERE claimed > 0)`
	latestClaims = `SELECT created, claimed FROM sessions
		WHERE status = 'claimed' AND ` + within + ofSlug + ` ORDER BY expires DESC LIMIT {:claims}`
)

// Report reports on the logins in a span of time. It leaves out what the table does not know: Retention,
// Root, and what fixes a failure. The hours are as the last sweep counted them.
func (t *Table) Report(ctx context.Context, request ReportRequest) (session.Report, error) {
	reader := &reportReader{ctx: ctx, db: t.app.ConcurrentDB(), now: t.Now(), request: request}
	report := session.Report{
		Live:      reader.live(),
		LiveCount: reader.liveCount(),
		Funnel:    reader.funnel(),
		Hours:     reader.hours(),
		ToClaim:   reader.toClaim(),
		Failures:  reader.failures(),
	}
	reader.ever(&report)
	if reader.err != nil {
		return session.Report{}, reader.err
	}
	return report, nil
}

// reportReader reads the parts of a report. After a query that failed it reads nothing more.
type reportReader struct {
	ctx     context.Context
	db      dbx.Builder
	now     time.Time
	request ReportRequest
	err     error
}

// query binds the parameters that any of the queries may use.
func (r *reportReader) query(query string) *dbx.Query {
	since := timestamp(r.now.Add(-r.request.Span))
	hour := timestamp(r.now.Truncate(time.Hour).Add(-time.Duration(r.request.Hours-1) * time.Hour))
	from := since
	if !r.toTheSecond() {
		from = hour
	}
	return r.db.NewQuery(query).WithContext(r.ctx).Bind(dbx.Params{
		"now":    timestamp(r.now),
		"since":  since,
		"hour":   hour,
		"from":   from,
		"slug":   r.request.Plugin,
		"listed": maxListed,
		"claims": maxClaims,
	})
}

// all reads all rows of a query into a slice of structs.
func (r *reportReader) all(query string, into any) {
	if r.err == nil {
		r.err = r.query(query).All(into)
	}
}

func (r *reportReader) live() []session.Live {
	var rows []struct {
		session.Live
		Created, Expires string
	}
	r.all(liveLogins, &rows)
	live := make([]session.Live, len(rows))
	for i, row := range rows {
		live[i] = row.Live
		live[i].Age = r.now.Sub(readTime(row.Created)).Seconds()
		live[i].Left = readTime(row.Expires).Sub(r.now).Seconds()
	}
	return live
}

func (r *reportReader) liveCount() (count int) {
	if r.err == nil {
		r.err = r.query(liveCount).Row(&count)
	}
	return count
}

// toTheSecond says that the funnel counts rows. More than an hour comes from the totals, which have whole
// hours, since the rows may be many, or gone.
func (r *reportReader) toTheSecond() bool { return r.request.Span <= time.Hour }

func (r *reportReader) funnel() (funnel []session.Funnel) {
	query := funnelOfTotals
	if r.toTheSecond() {
		query = funnelOfRows
	}
	r.all(query, &funnel)
	return funnel
}

func (r *reportReader) hours() []session.Hour {
	var counted []session.Hour
	r.all(countedHours, &counted)
	return everyHour(counted, r.now, r.request.Hours)
}

func (r *reportReader) toClaim() session.ToClaim {
	var rows []struct{ Created, Claimed string }
	r.all(latestClaims, &rows)
	seconds := make([]float64, len(rows))
	for i, row := range rows {
		seconds[i] = readTime(row.Claimed).Sub(readTime(row.Created)).Seconds()
	}
	return session.ToClaim{Count: len(seconds), Median: quantile(seconds, 0.5), P95: quantile(seconds, 0.95)}
}

// ever fills in what there has been within a year.
func (r *reportReader) ever(report *session.Report) {
	if r.err == nil {
		r.err = r.query(everStarted).Row(&report.Ever, &report.Succeeded)
	}
}

func (r *reportReader) failures() []session.FailureKind {
	var rows []struct {
		session.FailureKind
		Completed string
	}
	r.all(failureKinds, &rows)
	failures := make([]session.FailureKind, len(rows))
	for i, row := range rows {
		failures[i] = row.FailureKind
		failures[i].Ago = r.now.Sub(readTime(row.Completed)).Seconds()
	}
	return failures
}

// quantile returns the smallest value that the share q of all values does not exceed (nearest rank), or 0 if
// there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[int(math.Ceil(q*float64(len(values))))-1]
}

// everyHour adds the hours without logins.
func everyHour(counted []session.Hour, now time.Time, count int) []session.Hour {
	all := make([]session.Hour, count)
	for i := range all {
		start := now.UTC().Truncate(time.Hour).Add(time.Duration(i-count+1) * time.Hour)
		all[i].Hour = start.Format("2006-01-02T15:04:05.000Z")
		for _, hour := range counted {
			if hour.Hour == all[i].Hour {
				all[i] = hour
			}
		}
	}
	return all
}
