package shared_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/shared"
	"plugin-oauth/hooks/session/sqlite"
	"plugin-oauth/internal/etcdtest"
	"plugin-oauth/internal/testkit"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// The plugins of the tests.
var (
	owner = session.Owner{Fingerprint: []byte("fingerprint")}
	other = session.Owner{Slug: "other", Fingerprint: []byte("of the other's client")}
)

// response stands for a provider's token response.
var response = []byte(`{"access_token":"AT"}`)

var countOnly = []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithCountOnly()}

const retention = 24 * time.Hour

// service is some machines that share their sessions, and a clock that the test sets.
type service struct {
	t      *testing.T
	prefix string

	mu  sync.Mutex
	now time.Time
}

// newService returns a service whose clock is at the beginning of an hour, so that it does not end in the
// middle of a test.
func newService(t *testing.T) *service {
	now := time.Now().Truncate(time.Hour).Add(time.Minute)
	return &service{t: t, prefix: rand.Text() + "/", now: now}
}

func (s *service) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// advance moves the clock.
func (s *service) advance(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(by)
}

// machine is a PocketBase app that shares the sessions.
type machine struct {
	*service

	name     string
	app      core.App
	kv       *switchedKV
	shared   *shared.Sessions
	sessions *session.Sessions
}

// switchedKV is a connection to etcd that can be cut.
type switchedKV struct {
	clientv3.KV

	cut atomic.Bool
}

func (kv *switchedKV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	if kv.cut.Load() {
		<-ctx.Done()
		return clientv3.OpResponse{}, ctx.Err()
	}
	return kv.KV.Do(ctx, op)
}

// machines starts machines, each on a data folder of its own.
func (s *service) machines(names ...string) (machines []*machine) {
	s.t.Helper()
	for _, name := range names {
		m := &machine{service: s, name: name, app: testkit.OpenApp(s.t)}
		m.start()
		machines = append(machines, m)
	}
	return machines
}

// start starts a machine, or starts it again on the data that it has.
func (m *machine) start() {
	m.t.Helper()
	client := etcdtest.Connect(m.t, m.prefix)
	m.kv = &switchedKV{KV: client.KV}
	client.KV = m.kv
	local, err := sqlite.New(m.app)
	if err != nil {
		m.t.Fatal(err)
	}
	local.Now = m.clock
	m.shared = shared.Open(client, local, shared.Options{
		Machine:   m.name,
		Retention: retention,
		Log:       slog.New(slog.NewTextHandler(m.t.Output(), nil)),
	})
	m.t.Cleanup(m.shared.Close)
	m.sessions = session.New(m.shared.Table, session.Options{
		TTL:       10 * time.Minute,
		Retention: m.shared.Retention(),
		Now:       m.clock,
	})
	if err := m.sessions.Resume(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// begin starts a login here.
func (m *machine) begin(owner session.Owner) session.Started {
	m.t.Helper()
	request := session.StartRequest{
		Network: netip.MustParsePrefix("192.0.2.1/32"), Origin: "https://plugin.example",
	}
	started, err := m.sessions.Start(m.t.Context(), owner, request)
	if err != nil {
		m.t.Fatal(err)
	}
	return started
}

// redirect brings the browser back, to this machine.
func (m *machine) redirect(owner session.Owner, started session.Started) session.Pending {
	m.t.Helper()
	pending, err := m.sessions.Consume(m.t.Context(), owner, started.State)
	if err != nil {
		m.t.Fatal(err)
	}
	return pending
}

// complete exchanges the code here.
func (m *machine) complete(owner session.Owner, started session.Started) (id string) {
	m.t.Helper()
	pending := m.redirect(owner, started)
	if err := m.sessions.Complete(m.t.Context(), pending, response); err != nil {
		m.t.Fatal(err)
	}
	return pending.ID
}

// claim gives the tokens to the plugin here.
func (m *machine) claim(owner session.Owner, started session.Started) {
	m.t.Helper()
	claim, err := m.sessions.Claim(m.t.Context(), owner, started.ReadKey)
	if err != nil || string(claim.Tokens) != string(response) {
		m.t.Fatalf("claimed %+v, %v", claim, err)
	}
	if err := claim.Ack(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// fail ends a login without tokens.
func (m *machine) fail(id string, status session.Status) {
	m.t.Helper()
	failure := session.Failure{
		Status:      status,
		Code:        "invalid_scope",
		Description: "The scope is wrong.",
		Cause:       "the provider's answer",
	}
	if ended, err := m.sessions.Fail(m.t.Context(), id, failure); err != nil || !ended {
		m.t.Fatal(ended, err)
	}
}

// delete deletes the record of a session here, as an admin does.
func (m *machine) delete(id string) {
	m.t.Helper()
	record, err := m.app.FindRecordById("sessions", id)
	if err == nil {
		err = m.app.Delete(record)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// sweep does what a machine does every minute.
func (m *machine) sweep() {
	m.t.Helper()
	if _, err := m.sessions.Sweep(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	if err := m.shared.Sweep(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// column reads the first column of a query.
func (m *machine) column(query string) string {
	m.t.Helper()
	var values []string
	if err := m.app.DB().NewQuery(query).Column(&values); err != nil {
		m.t.Fatal(err)
	}
	return strings.Join(values, "\n")
}

// rows returns the records as text.
func (m *machine) rows() string {
	return m.column(`SELECT concat_ws(' ', id, plugin, tenant, origin, status, error, errorDescription, cause,
		'created', created, 'redirected', redirected, 'completed', completed, 'claimed', claimed,
		'expires', expires) FROM sessions ORDER BY id`)
}

// totals returns the hours' totals as text, oldest first.
func (m *machine) totals() string {
	query := `SELECT iif(plugin = '', '/', plugin)`
	for column := range strings.FieldsSeq("started redirected finished claimed denied failed expired") {
		query += fmt.Sprintf(" || ' %[1]s ' || %[1]s", column)
	}
	return m.column(query + ` FROM login_totals ORDER BY hour, plugin`)
}

// until waits until something is what it should be. The other machines hear of everything a moment later.
func (m *machine) until(what, want string, get func() string) {
	m.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		got := get()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("%s of %s:\n%s\nwant\n%s", what, m.name, got, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// expectTotals sweeps until the totals are these.
func (m *machine) expectTotals(want string) {
	m.t.Helper()
	m.until("the totals", want, func() string {
		m.sweep()
		return m.totals()
	})
}
