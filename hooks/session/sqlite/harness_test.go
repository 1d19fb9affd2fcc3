package sqlite

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

// owner is the plugin of the tests.
var owner = session.Owner{Fingerprint: []byte("fingerprint")}

// request starts a login from some network.
var request = session.StartRequest{Network: netip.MustParsePrefix("192.0.2.1/32")}

// response stands for a provider's token response.
var response = []byte(`{"access_token":"AT"}`)

// server is the sessions in a data folder, with a clock that the test sets.
type server struct {
	t        testing.TB
	app      core.App
	table    *Table
	sessions *session.Sessions

	mu       sync.Mutex
	now      time.Time
	outcomes []session.Outcome
}

func serve(t testing.TB, options session.Options) *server {
	t.Helper()
	s := &server{t: t, app: testkit.OpenApp(t), now: time.Now()}
	table, err := New(s.app)
	if err != nil {
		t.Fatal(err)
	}
	if options.TTL == 0 {
		options.TTL = 10 * time.Minute
	}
	if options.Retention == 0 {
		options.Retention = 24 * time.Hour
	}
	options.Now = s.clock
	options.OnOutcome = func(outcome session.Outcome) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.outcomes = append(s.outcomes, outcome)
	}
	table.Now = s.clock
	s.table, s.sessions = table, session.New(table, options)
	s.app.OnRecordDelete("sessions").BindFunc(table.RecordDeleted)
	return s
}

func (s *server) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// advance moves the clock.
func (s *server) advance(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(by)
}

// ended returns the outcomes so far.
func (s *server) ended() []session.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outcomes
}

func (s *server) start(owner session.Owner) session.Started {
	s.t.Helper()
	started, err := s.sessions.Start(s.t.Context(), owner, request)
	if err != nil {
		s.t.Fatal(err)
	}
	return started
}

// redirect brings the browser back.
func (s *server) redirect(owner session.Owner, started session.Started) session.Pending {
	s.t.Helper()
	pending, err := s.sessions.Consume(s.t.Context(), owner, started.State)
	if err != nil {
		s.t.Fatal(err)
	}
	return pending
}

// login goes through a login until its tokens wait to be claimed.
func (s *server) login(owner session.Owner) (started session.Started, id string) {
	s.t.Helper()
	started = s.start(owner)
	pending := s.redirect(owner, started)
	if err := s.sessions.Complete(s.t.Context(), pending, response); err != nil {
		s.t.Fatal(err)
	}
	return started, pending.ID
}

// claimTokens gives the tokens of a login to its plugin.
func (s *server) claimTokens(owner session.Owner, started session.Started) {
	s.t.Helper()
	claim, err := s.sessions.Claim(s.t.Context(), owner, started.ReadKey)
	if err != nil || string(claim.Tokens) != string(response) {
		s.t.Fatalf("claimed %+v, %v", claim, err)
	}
	if err := claim.Ack(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// fail ends a login without tokens.
func (s *server) fail(id string, status session.Status) {
	s.t.Helper()
	failure := session.Failure{
		Status:      status,
		Code:        "invalid_scope",
		Description: "The scope is wrong.",
		Cause:       "the provider's answer",
	}
	if ended, err := s.sessions.Fail(s.t.Context(), id, failure); err != nil || !ended {
		s.t.Fatal(ended, err)
	}
}

// delete deletes the record of a session, as an admin does.
func (s *server) delete(id string) {
	s.t.Helper()
	record, err := s.app.FindRecordById("sessions", id)
	if err == nil {
		err = s.app.Delete(record)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) sweep() session.Swept {
	s.t.Helper()
	swept, err := s.sessions.Sweep(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return swept
}

// latest returns the id of the session that began last.
func (s *server) latest() (id string) {
	s.t.Helper()
	s.row("SELECT id FROM sessions ORDER BY rowid DESC LIMIT 1", &id)
	return id
}

// exec executes SQL behind the table's back.
func (s *server) exec(query string, params dbx.Params) {
	s.t.Helper()
	if _, err := s.app.NonconcurrentDB().NewQuery(query).Bind(params).Execute(); err != nil {
		s.t.Fatal(err)
	}
}

// count returns the number of rows in the table.
func (s *server) count() int64 {
	s.t.Helper()
	count, err := s.app.CountRecords("sessions")
	if err != nil {
		s.t.Fatal(err)
	}
	return count
}

// totals returns the hours' totals as text, oldest first.
func (s *server) totals() string {
	s.t.Helper()
	query := `SELECT iif(plugin = '', '/', plugin)`
	for column := range strings.FieldsSeq("started redirected finished claimed denied failed expired") {
		query += fmt.Sprintf(" || ' %[1]s ' || %[1]s", column)
	}
	return strings.Join(s.column(query+` FROM login_totals ORDER BY hour, plugin`), "\n")
}

// row reads the first row of a query.
func (s *server) row(query string, into ...any) {
	s.t.Helper()
	if err := s.app.DB().NewQuery(query).Row(into...); err != nil {
		s.t.Fatal(err)
	}
}

// column reads the first column of a query.
func (s *server) column(query string) (values []string) {
	s.t.Helper()
	if err := s.app.DB().NewQuery(query).Column(&values); err != nil {
		s.t.Fatal(err)
	}
	return values
}

// plan returns the steps in which SQLite executes a query.
func (s *server) plan(query string) (steps []string) {
	s.t.Helper()
	var rows []struct{ Detail string }
	query = placeholder.ReplaceAllString(query, "'x'")
	if err := s.app.DB().NewQuery("EXPLAIN QUERY PLAN " + query).All(&rows); err != nil || len(rows) == 0 {
		s.t.Errorf("%s: %v", query, err)
	}
	for _, row := range rows {
		steps = append(steps, row.Detail)
	}
	return steps
}

// placeholder finds the parameters of a statement.
var placeholder = regexp.MustCompile(`\?\d*|\{:\w+\}`)
