package hooks

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
)

// signIns is what the dashboard's page shows of a span of time. Durations are in seconds. A plugin is its slug, or "/".
type signIns struct {
	Retention float64   `json:"retention"` // how long rows are kept, and with them failures and ToClaim
	Live      []live    `json:"live"`      // the newest maxListed
	LiveCount int       `json:"liveCount"`
	Funnel    []funnel  `json:"funnel"` // for each plugin
	Hours     []hour    `json:"hours"`  // oldest first, the present one last
	ToClaim   toClaim   `json:"toClaim"`
	Failures  []failure `json:"failures"` // the newest maxListed
}

// live is a login under way.
type live struct {
	ID     string  `json:"id" db:"id"`
	Plugin string  `json:"plugin" db:"plugin"`
	Stage  string  `json:"stage" db:"stage"` // started, redirected or finished
	Origin string  `json:"origin" db:"origin"`
	Age    float64 `json:"age"`
	Left   float64 `json:"left"`

	Created string `json:"-" db:"created"`
	Expires string `json:"-" db:"expires"`
}

// funnel counts logins by how far they came.
type funnel struct {
	Plugin     string `json:"plugin" db:"plugin"`
	Started    int    `json:"started" db:"started"`
	Redirected int    `json:"redirected" db:"redirected"`
	Finished   int    `json:"finished" db:"finished"` // with tokens
	Claimed    int    `json:"claimed" db:"claimed"`
	Denied     int    `json:"denied" db:"denied"`
	Failed     int    `json:"failed" db:"failed"`
	Expired    int    `json:"expired" db:"expired"`
}

// hour counts the logins that began in it.
type hour struct {
	Hour string `json:"hour" db:"hour"` // RFC 3339
	funnel
}

// toClaim is how long people took, from /authorize until the plugin had the tokens, of the latest claims.
type toClaim struct {
	Count  int     `json:"count"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
}

// failure is a login that failed, with what usually mends it.
type failure struct {
	ID          string  `json:"id" db:"id"`
	Plugin      string  `json:"plugin" db:"plugin"`
	Error       string  `json:"error" db:"error"`
	Description string  `json:"description" db:"errorDescription"` // what the person and the plugin were told
	Cause       string  `json:"cause" db:"cause"`
	Mend        string  `json:"mend"`
	Ago         float64 `json:"ago"`

	Completed string `json:"-" db:"completed"`
}

const (
	maxListed = 50
	maxClaims = 1000 // that the times to claim are taken from
)

// spans are the times that the page can show. The chart has whole hours, and 24 of them at least.
var spans = map[string]struct {
	span  time.Duration
	hours int
}{
	"hour": {time.Hour, 24},
	"day":  {24 * time.Hour, 24},
	"week": {7 * 24 * time.Hour, 7 * 24},
}

// signIns handles GET /api/plugin-oauth/sign-ins?span=hour|day|week&plugin=SLUG, for the dashboard's page.
func (r *relay) signIns(e *core.RequestEvent) error {
	query := e.Request.URL.Query()
	span, ok := spans[cmp.Or(query.Get("span"), "day")]
	if !ok {
		return apis.NewBadRequestError("span must be hour, day or week.", nil)
	}
	// What is due has expired then, and the totals are those of this moment.
	r.sweep()
	answer, err := readSignIns(r.app, span.span, span.hours, query.Get("plugin"))
	if err != nil {
		return err
	}
	for i, failure := range answer.Failures {
		plugin, err := r.pluginOf(failure.Plugin)
		if err != nil {
			return err
		}
		answer.Failures[i].Mend = mend(failure.Error, plugin)
	}
	answer.Retention = r.config.SessionRetention.Seconds()
	return e.JSON(http.StatusOK, answer)
}

// endSignIn handles POST /api/plugin-oauth/sign-ins/{id}/end: the admin ends a login that is under way.
func (r *relay) endSignIn(e *core.RequestEvent) error {
	ended, err := r.sessions.stop(r.app.NonconcurrentDB(), e.Request.PathValue("id"))
	if err != nil {
		return err
	}
	r.sessions.end(e.Request.PathValue("id"))
	if !ended {
		return apis.NewNotFoundError("This sign-in has ended already.", nil)
	}
	return e.NoContent(http.StatusNoContent)
}

// pluginOf returns the plugin of a plain slug, or nil if there is none any more.
func (r *relay) pluginOf(slug string) (*Plugin, error) {
	if slug == plainSlug("") {
		return r.config.Plugin, nil
	}
	return r.plugins.find(slug)
}

// readSignIns reads all of a page but what the configuration knows. A blank plugin stands for all of them; the funnel always has all.
func readSignIns(app core.App, span time.Duration, hours int, plugin string) (signIns, error) {
	now := time.Now()
	params := dbx.Params{
		"now":    timestamp(now),
		"since":  timestamp(now.Add(-span)),
		"hour":   timestamp(now.Truncate(time.Hour).Add(-time.Duration(hours-1) * time.Hour)),
		"slug":   plugin,
		"listed": maxListed,
		"claims": maxClaims,
	}
	const slug = `iif(plugin = '', '/', plugin)`
	const ofSlug = ` AND ({:slug} = '' OR ` + slug + ` = {:slug})`
	const living = `status IN ('pending', 'ready') AND expires > {:now}`
	const sums = `sum(started) AS started, sum(redirected) AS redirected, sum(finished) AS finished, sum(claimed) AS claimed, sum(denied) AS denied, sum(failed) AS failed, sum(expired) AS expired`

	var answer signIns
	var claims []struct{ Created, Claimed string }
	// The last hour is counted to the second; more than that comes from the totals, since the rows may be many, or gone.
	counted := `SELECT ` + slug + ` AS plugin, ` + sums + ` FROM login_totals WHERE hour >= {:hour} GROUP BY plugin ORDER BY plugin`
	if span <= time.Hour {
		counted = `SELECT ` + slug + ` AS plugin, ` + sums + ` FROM (SELECT plugin, ` + outcomeCounts + ` FROM sessions
			WHERE expires > {:since} AND created >= {:since} GROUP BY plugin) GROUP BY plugin ORDER BY plugin`
	}
	for _, read := range []struct {
		into  any
		query string
	}{
		{&answer.Funnel, counted},
		{&answer.Hours, `SELECT replace(hour, ' ', 'T') AS hour, ` + sums + ` FROM login_totals WHERE hour >= {:hour}` + ofSlug + ` GROUP BY hour ORDER BY hour`},
		{&answer.Live, `SELECT id, ` + slug + ` AS plugin, iif(status = 'ready', 'finished', iif(redirected = '', 'started', 'redirected')) AS stage, origin, created, expires
			FROM sessions WHERE ` + living + ofSlug + ` ORDER BY expires DESC LIMIT {:listed}`},
		{&answer.Failures, `SELECT id, ` + slug + ` AS plugin, error, errorDescription, cause, completed
			FROM sessions WHERE status = 'failed' AND expires > {:since} AND created >= {:since}` + ofSlug + ` ORDER BY expires DESC LIMIT {:listed}`},
		{&claims, `SELECT created, claimed FROM sessions WHERE status = 'claimed' AND expires > {:since} AND created >= {:since}` + ofSlug + ` ORDER BY expires DESC LIMIT {:claims}`},
	} {
		if err := app.ConcurrentDB().NewQuery(read.query).Bind(params).All(read.into); err != nil {
			return signIns{}, err
		}
	}
	if err := app.ConcurrentDB().NewQuery(`SELECT count(*) FROM sessions WHERE ` + living + ofSlug).Bind(params).Row(&answer.LiveCount); err != nil {
		return signIns{}, err
	}

	for i, login := range answer.Live {
		answer.Live[i].Age = now.Sub(readTime(login.Created)).Seconds()
		answer.Live[i].Left = readTime(login.Expires).Sub(now).Seconds()
	}
	for i, failed := range answer.Failures {
		answer.Failures[i].Ago = now.Sub(readTime(failed.Completed)).Seconds()
	}
	var seconds []float64
	for _, claim := range claims {
		seconds = append(seconds, readTime(claim.Claimed).Sub(readTime(claim.Created)).Seconds())
	}
	answer.ToClaim = toClaim{len(seconds), quantile(seconds, 0.5), quantile(seconds, 0.95)}
	answer.Hours = everyHour(answer.Hours, now, hours)
	return answer, nil
}

// quantile is the smallest value that the share q of all does not exceed (nearest rank), or 0 of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[int(math.Ceil(q*float64(len(values))))-1]
}

// everyHour adds the hours without logins.
func everyHour(some []hour, now time.Time, count int) []hour {
	all := make([]hour, count)
	for i := range all {
		start := now.UTC().Truncate(time.Hour).Add(time.Duration(i-count+1) * time.Hour)
		all[i].Hour = start.Format("2006-01-02T15:04:05.000Z")
		for _, counted := range some {
			if counted.Hour == all[i].Hour {
				all[i] = counted
			}
		}
	}
	return all
}

// mend says what an admin can usually do about a failure. The plugin is nil if it is gone.
func mend(code string, p *Plugin) string {
	if p == nil {
		return "The plugin is gone, so there is nothing to mend."
	}
	switch meaningOf(code) {
	case meansWrongClient:
		return "Copy the client ID and the client secret from the provider's console once more, into " + p.where("clientId") + " and " + p.where("clientSecret") +
			". If they are right, the provider may want them sent another way: try basic in " + p.where("tokenAuth") + "."
	case meansWrongRedirectURI:
		return "Enter this redirect URI at the provider, letter for letter: " + p.RedirectURI
	case meansWrongGrant:
		return "Once in a while this is a page that was loaded twice, or a code that came too late: sign in again. If it is every time, the provider knows another redirect URI than " + p.RedirectURI + ", or another client secret."
	case meansWrongScope:
		return "Check " + p.where("scope") + ": the spelling, spaces or commas between, and whether the app at the provider may ask for it."
	case meansWrongRequest:
		if p.PKCE == "off" {
			return "Some providers insist on PKCE: try on in " + p.where("pkce") + ". Otherwise check the endpoints and " + p.where("authorizeParams") + "."
		}
		return "Some providers refuse PKCE: try off in " + p.where("pkce") + ". Otherwise check the endpoints and " + p.where("authorizeParams") + "."
	case meansProviderFails:
		if code == "server_error" {
			return "The provider had a fault of its own, or its answer was not OAuth. If it stays, look at the cause, and check " + p.where("tokenEndpoint") + "."
		}
		return "The provider was down, slow or out of reach. If it stays, check the set-up below: it says whether the token endpoint is right and answers."
	default:
		return "The provider's documentation says what this code means."
	}
}
