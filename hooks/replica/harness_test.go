package replica

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/plugins"
	"plugin-oauth/internal/etcdtest"
	"plugin-oauth/internal/testkit"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// patient are times with which no test fails because the machine is slow.
var patient = timing{
	save:     time.Minute,
	relist:   time.Millisecond,
	scan:     time.Hour,
	greeting: time.Minute,
	filling:  time.Minute,
}

var defaults = plugins.Defaults{
	EncryptionKey: "0123456789abcdef0123456789abcdef", PublicURL: "https://backend.example",
}

const testSecret = "client secret/+&%"

// machine is an app whose records are shared.
type machine struct {
	*Replica

	t       *testing.T
	prefix  string // of the keys in etcd
	name    string
	app     core.App
	plugins *plugins.Records
	kv      *brokenKV
	watcher *heldWatcher
	log     *logged
	times   timing
	first   func(ctx context.Context, isNew clientv3.Cmp) error
	latest  time.Time
}

// newMachine opens an app on a new data folder, which shares nothing yet.
func newMachine(t *testing.T, prefix, name string) *machine {
	t.Helper()
	return openMachine(t, prefix, name, testkit.OpenApp(t))
}

func openMachine(t *testing.T, prefix, name string, app core.App) *machine {
	t.Helper()
	records := plugins.NewRecords(app, defaults)
	records.Bind()
	m := &machine{
		t: t, prefix: prefix, name: name, app: app, plugins: records,
		log: &logged{}, times: patient,
	}
	m.connect(etcdtest.Connect(t, prefix))
	return m
}

// connect makes a machine ask an etcd.
func (m *machine) connect(client *clientv3.Client) {
	m.kv, m.watcher = &brokenKV{KV: client.KV}, &heldWatcher{Watcher: client.Watcher}
}

// start shares the records with the other machines.
func (m *machine) start(machines int) {
	m.t.Helper()
	if err := m.tryStart(machines); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) tryStart(machines int) (err error) {
	client := &clientv3.Client{KV: m.kv, Watcher: m.watcher}
	m.Replica, err = start(m.t.Context(), m.app, client, Options{
		Machine:  m.name,
		Machines: machines,
		Changed:  func(ids []string) { m.plugins.Reload(ids...) },
		Latest:   func(context.Context) (time.Time, error) { return m.latest, nil },
		First:    m.first,
		Log:      slog.New(slog.NewTextHandler(m.log, nil)),
	}, m.times)
	if err == nil {
		m.t.Cleanup(m.Close)
	}
	return err
}

// newCluster starts machines one after another.
func newCluster(t *testing.T, names ...string) (machines []*machine) {
	t.Helper()
	prefix := newPrefix()
	for _, name := range names {
		m := newMachine(t, prefix, name)
		m.start(1)
		machines = append(machines, m)
	}
	return machines
}

// newPrefix returns what the keys of one test begin with.
func newPrefix() string { return rand.Text() + "/" }

// logged is what a machine has logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// expectLogged checks that a machine has said something.
func (m *machine) expectLogged(words ...string) {
	m.t.Helper()
	for _, word := range words {
		if !strings.Contains(m.log.String(), word) {
			m.t.Errorf("%s does not say %q: %s", m.name, word, m.log.String())
		}
	}
}

// heldWatcher is a watcher that can be made to wait.
type heldWatcher struct {
	clientv3.Watcher

	mu      sync.Mutex
	held    chan struct{}        // closed when watches go on; nil: they do
	waiting int                  // how many watches are held
	cancels []context.CancelFunc // end the watches
}

// hold ends the watches, and lets none begin until release is called. When it returns, this machine has
// listed everything once more, and sees nothing that comes later.
func (m *machine) hold() (release func()) {
	m.t.Helper()
	w := m.watcher
	held := w.close()
	eventually(m.t, "all watches wait", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.waiting == len(kinds)
	})
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.held = nil
		close(held)
	})
}

func (w *heldWatcher) close() chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = make(chan struct{})
	for _, cancel := range w.cancels {
		cancel()
	}
	w.cancels = nil
	return w.held
}

func (w *heldWatcher) Watch(
	ctx context.Context, key string, options ...clientv3.OpOption,
) clientv3.WatchChan {
	w.mu.Lock()
	defer w.mu.Unlock()
	for held := w.held; held != nil && ctx.Err() == nil; held = w.held {
		w.waiting++
		w.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
		}
		w.mu.Lock()
		w.waiting--
	}
	ctx, cancel := context.WithCancel(ctx)
	w.cancels = append(w.cancels, cancel)
	return w.Watcher.Watch(ctx, key, options...)
}

// brokenKV is a connection that can be broken.
type brokenKV struct {
	clientv3.KV

	mu     sync.Mutex
	broken func(clientv3.Op) (lost, cut bool)
}

// breakDown makes the connection lose answers, or cuts it before a request arrives. Nil mends it.
func (kv *brokenKV) breakDown(broken func(clientv3.Op) (lost, cut bool)) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	kv.broken = broken
}

var errBroken = errors.New("the connection is broken")

func (kv *brokenKV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	kv.mu.Lock()
	var lost, cut bool
	if kv.broken != nil {
		lost, cut = kv.broken(op)
	}
	kv.mu.Unlock()
	if cut {
		return clientv3.OpResponse{}, errBroken
	}
	response, err := kv.KV.Do(ctx, op)
	if err == nil && lost {
		return clientv3.OpResponse{}, errBroken
	}
	return response, err
}

// fields returns the fields of a valid plugin, with changes.
func fields(slug string, changes map[string]any) map[string]any {
	all := map[string]any{
		"slug": slug, "enabled": true, "clientId": "id", "clientSecret": testSecret,
		"authorizeEndpoint": "https://p.example/authorize", "tokenEndpoint": "https://p.example/token",
	}
	maps.Copy(all, changes)
	return all
}

// create saves a new record.
func (m *machine) create(table string, values map[string]any) (*core.Record, error) {
	m.t.Helper()
	return createIn(m.app, table, values)
}

func createIn(app core.App, table string, values map[string]any) (*core.Record, error) {
	collection, err := app.FindCollectionByNameOrId(table)
	if err != nil {
		return nil, err
	}
	if collection.IsAuth() {
		collection.Fields.GetByName("password").(*core.PasswordField).Cost = 4 // quick to hash
	}
	record := core.NewRecord(collection)
	record.Load(values)
	return record, app.Save(record)
}

// add saves a new plugin, and returns its id.
func (m *machine) add(slug string) string {
	m.t.Helper()
	record, err := m.create("plugins", fields(slug, nil))
	if err != nil {
		m.t.Fatal(err)
	}
	return record.Id
}

// addAdmin saves a new admin.
func (m *machine) addAdmin(email string) *core.Record {
	m.t.Helper()
	record, err := m.create(core.CollectionNameSuperusers, admin(email))
	if err != nil {
		m.t.Fatal(err)
	}
	return record
}

func admin(email string) map[string]any {
	return map[string]any{"email": email, "password": "long enough"}
}

// change saves changes of a plugin as it is here now.
func (m *machine) change(id string, changes map[string]any) error {
	m.t.Helper()
	record, err := m.app.FindRecordById("plugins", id)
	if err != nil {
		m.t.Fatal(err)
	}
	record.Load(changes)
	return m.app.Save(record)
}

func (m *machine) mustChange(id string, changes map[string]any) {
	m.t.Helper()
	if err := m.change(id, changes); err != nil {
		m.t.Fatal(err)
	}
}

// remove deletes a record.
func (m *machine) remove(table, id string) {
	m.t.Helper()
	record, err := m.app.FindRecordById(table, id)
	if err == nil {
		err = m.app.Delete(record)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// behind changes the database as another process does, behind the back of this one.
func (m *machine) behind(statement string, params dbx.Params) {
	m.t.Helper()
	if _, err := m.app.DB().NewQuery(statement).Bind(params).Execute(); err != nil {
		m.t.Fatal(err)
	}
}

// column returns a column of the rows of a table, in order.
func (m *machine) column(table, column string) (values []string) {
	m.t.Helper()
	err := m.app.ConcurrentDB().Select(column).From(table).OrderBy(column).Column(&values)
	if err != nil {
		m.t.Fatal(err)
	}
	return values
}

// rows returns all that is kept equal.
func (m *machine) rows() map[string]map[string]row {
	m.t.Helper()
	all := map[string]map[string]row{}
	err := m.app.RunInTransaction(func(tx core.App) error {
		for _, k := range kinds {
			rows, err := k.readAll(tx)
			if err != nil {
				return err
			}
			all[k.table] = rows
		}
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// expectEqual waits until all machines have the same at once.
func expectEqual(t *testing.T, machines ...*machine) {
	t.Helper()
	eventually(t, "all machines have the same", func() bool {
		first := machines[0].rows()
		return !slices.ContainsFunc(machines[1:], func(m *machine) bool { return !equal(first, m.rows()) })
	})
}

func equal(one, other map[string]map[string]row) bool {
	return maps.EqualFunc(one, other, func(one, other map[string]row) bool {
		return maps.EqualFunc(one, other, func(one, other row) bool { return maps.Equal(one, other) })
	})
}

// eventually waits until a condition is true, and fails the test if that takes longer than any slow machine
// needs.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}
