package replica

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/internal/etcdtry"
	"plugin-oauth/internal/testkit"
)

// startAtOnce starts machines as three that make a new cluster do.
func startAtOnce(machines ...*machine) {
	var done sync.WaitGroup
	for _, m := range machines {
		done.Go(func() {
			if err := m.tryStart(len(machines)); err != nil {
				m.t.Errorf("%s: %v", m.name, err)
			}
		})
	}
	done.Wait()
}

// setOptions gives a machine a secret of its own to sign with, as each has that was set up by itself.
func (m *machine) setOptions() string {
	m.t.Helper()
	superusers, err := m.app.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		m.t.Fatal(err)
	}
	superusers.AuthToken.Secret = m.name + "'s secret, which has at least thirty characters"
	if err := m.app.Save(superusers); err != nil {
		m.t.Fatal(err)
	}
	return m.options()
}

// options returns the options of the collection of admins as PocketBase uses them.
func (m *machine) options() string {
	m.t.Helper()
	superusers, err := m.app.FindCachedCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		m.t.Fatal(err)
	}
	return superusers.AuthToken.Secret
}

// The machine that comes first brings what else it has before the cluster counts as made, and again if it was
// killed meanwhile. No other machine does, nor does the same one later.
func TestFirst(t *testing.T) {
	t.Parallel()
	killed := errors.New("killed")
	var brought []string
	var failure error
	var isNew clientv3.Cmp
	watched := func(m *machine) *machine {
		m.first = func(_ context.Context, condition clientv3.Cmp) error {
			brought = append(brought, m.name)
			isNew = condition
			return failure
		}
		return m
	}
	prefix := newPrefix()
	a := watched(newMachine(t, prefix, "a"))
	failure = killed
	if err := a.tryStart(1); !errors.Is(err, killed) {
		t.Fatal(err)
	}
	expectHolds := func(want bool) {
		t.Helper()
		response, err := a.kv.Do(t.Context(), clientv3.OpTxn([]clientv3.Cmp{isNew}, nil, nil))
		if err != nil || response.Txn().Succeeded != want {
			t.Errorf("the condition holds: %v, %v", response.Txn(), err)
		}
	}
	expectHolds(true)
	failure = nil
	a.start(1)
	expectHolds(false)
	b := watched(newMachine(t, prefix, "b"))
	b.start(1)
	a.Close()
	a.start(1)
	if !slices.Equal(brought, []string{"a", "a"}) {
		t.Errorf("%v have brought something", brought)
	}
}

// Of machines with copies of the same data, the one that has gone on comes first, whatever its name is.
func TestCopies(t *testing.T) {
	t.Parallel()
	prefix := newPrefix()
	var first atomic.Pointer[string]
	var copies []*machine
	var created any
	for name, latest := range map[string]time.Time{
		"a": {}, "b": time.UnixMilli(1_800_000_000_000), "c": time.UnixMilli(1_800_000_000_001), "d": {},
	} {
		m := newMachine(t, prefix, name)
		superusers, err := m.app.FindCollectionByNameOrId(core.CollectionNameSuperusers)
		if err != nil {
			t.Fatal(err)
		}
		if created == nil {
			created = superusers.Created.String()
		}
		m.behind("UPDATE _collections SET created = {:created} WHERE name = '_superusers'",
			dbx.Params{"created": created})
		if err := m.app.ReloadCachedCollections(); err != nil {
			t.Fatal(err)
		}
		m.latest = latest
		m.first = func(context.Context, clientv3.Cmp) error {
			first.CompareAndSwap(nil, &m.name)
			return nil
		}
		copies = append(copies, m)
	}
	startAtOnce(copies...)
	name := first.Load()
	if name == nil || *name != "c" {
		t.Errorf("c did not come first: %v", copies[0].log)
	}
}

// Whichever machine is first, the one with plugins fills the new cluster. What the others have is kept.
func TestFormation(t *testing.T) {
	t.Parallel()
	prefix := newPrefix()
	a, b, c := newMachine(t, prefix, "a"), newMachine(t, prefix, "b"), newMachine(t, prefix, "c")
	a.addAdmin("admin@plugin.example") // and no plugins
	a.setOptions()
	b.add("notion")
	b.add("figma")
	own := b.addAdmin("admin@plugin.example")
	b.addAdmin("other@plugin.example")
	signedWith := b.setOptions()
	c.add("notion")
	c.add("framer")
	// c's data are younger.
	c.behind("UPDATE _collections SET created = '2999-01-01 00:00:00.000Z' WHERE name = '_superusers'", nil)
	c.setOptions()

	startAtOnce(a, b, c)
	expectEqual(t, b, a, c)
	slugs := a.column("plugins", "slug")
	if !slices.Equal(slugs, []string{"figma", "framer", "notion", "notion-2"}) {
		t.Errorf("a has %v", slugs)
	}
	aside, err := a.app.FindFirstRecordByData("plugins", "slug", "notion-2")
	if err != nil || aside.GetBool("enabled") {
		t.Errorf("the second one is switched on: %v", err)
	}
	c.expectLogged("notion (this machine's is kept as notion-2, switched off)", "framer")
	a.expectLogged("gives way", "admin@plugin.example")
	admins := a.column(core.CollectionNameSuperusers, "id")
	if len(admins) != 2 || !slices.Contains(admins, own.Id) {
		t.Errorf("a has the admins %v", admins)
	}
	for _, m := range []*machine{a, b, c} {
		if m.options() != signedWith {
			t.Errorf("%s signs with %s", m.name, m.options())
		}
	}
}

// New machines make a cluster of nothing, and one with a new disk is filled.
func TestEmptyMachines(t *testing.T) {
	t.Parallel()
	prefix := newPrefix()
	a, b := newMachine(t, prefix, "a"), newMachine(t, prefix, "b")
	startAtOnce(a, b)
	a.add("notion")
	a.addAdmin("admin@plugin.example")
	expectEqual(t, a, b)
	c := newMachine(t, prefix, "c")
	c.start(3)
	if !equal(a.rows(), c.rows()) {
		t.Error("the new machine has served before it was filled")
	}
}

// A machine that was away takes over what has changed meanwhile, and brings what has changed here alone.
func TestAway(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	both, theirs, gone, here := a.add("both"), a.add("theirs"), a.add("gone"), a.add("here")
	removed := a.addAdmin("removed@plugin.example")
	kept := a.addAdmin("kept@plugin.example")
	expectEqual(t, a, b)
	b.Close()
	a.mustChange(both, map[string]any{"name": "Theirs"})
	a.mustChange(theirs, map[string]any{"name": "Theirs"})
	a.remove("plugins", gone)
	for _, id := range []string{both, here} {
		b.behind("UPDATE plugins SET name = 'Here' WHERE id = {:id}", dbx.Params{"id": id})
	}
	b.behind("DELETE FROM _superusers WHERE id = {:id}", dbx.Params{"id": removed.Id})
	b.behind("UPDATE _superusers SET password = 'a new hash' WHERE id = {:id}", dbx.Params{"id": kept.Id})

	again := b.reopen()
	again.start(2)
	expectEqual(t, again, a)
	want := map[string]string{"both": "Theirs", "theirs": "Theirs", "here": "Here"}
	if got := again.names(); !maps.Equal(got, want) {
		t.Errorf("the plugins have the names %v", got)
	}
	again.expectLogged("gives way", "both", "is on the others, too", "here", "removed@", "kept@")
	passwords := a.column(core.CollectionNameSuperusers, "password")
	if !slices.Equal(passwords, []string{"a new hash"}) {
		t.Errorf("a has the admins %v", passwords)
	}
}

// reopen returns the machine as it is after another start. It must be closed.
func (m *machine) reopen() *machine {
	m.t.Helper()
	if err := m.app.ClearBootstrap(); err != nil {
		m.t.Fatal(err)
	}
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: m.app.DataDir()})
	if err := testkit.Bootstrap(app); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = app.ClearBootstrap() })
	again := openMachine(m.t, m.prefix, m.name, app)
	return again
}

// names returns the names of the plugins by their slugs.
func (m *machine) names() map[string]string {
	m.t.Helper()
	records, err := m.app.FindAllRecords("plugins")
	if err != nil {
		m.t.Fatal(err)
	}
	names := map[string]string{}
	for _, record := range records {
		names[record.GetString("slug")] = record.GetString("name")
	}
	return names
}

// A cluster that is made anew is filled: that it lacks everything does not mean that it was deleted there.
func TestNewCluster(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	a.add("notion")
	lost := a.add("figma")
	a.addAdmin("admin@plugin.example")
	expectEqual(t, a, b)
	a.Close()
	b.Close()
	before := b.rows()
	a.behind("DELETE FROM plugins WHERE id = {:id}", dbx.Params{"id": lost})
	prefix := newPrefix()
	a.prefix, b.prefix = prefix, prefix
	a, b = a.reopen(), b.reopen()
	a.start(1) // fills it
	b.start(1)
	expectEqual(t, a, b)
	if !equal(before, a.rows()) {
		t.Errorf("a has the plugins %v", a.column("plugins", "slug"))
	}
}

// A table that is empty was lost, and not emptied by somebody.
func TestLostTable(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	a.add("notion")
	a.add("figma")
	a.addAdmin("admin@plugin.example")
	expectEqual(t, a, b)
	before := a.rows()
	b.behind("DELETE FROM plugins", nil)
	b.behind("DELETE FROM _superusers", nil)
	if _, err := b.bringOver(t.Context(), adminRows, &summary{}); err != nil {
		t.Error(err)
	}
	b.Close()
	again := b.reopen()
	again.start(2)
	if !equal(before, again.rows()) || !equal(before, a.rows()) {
		t.Error("the plugins are gone")
	}
}

// Two plugins exchange their slugs while a machine is away, which then sees only what came of it.
func TestExchangedSlugs(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	one, other := a.add("one"), a.add("other")
	expectEqual(t, a, b)
	b.Close()
	a.mustChange(one, map[string]any{"slug": "third"})
	a.mustChange(other, map[string]any{"slug": "one"})
	a.mustChange(one, map[string]any{"slug": "other"})
	again := b.reopen()
	again.start(2)
	if !equal(a.rows(), again.rows()) {
		t.Errorf("b has the plugins %v", again.column("plugins", "slug"))
	}
}

// etcd forgets old revisions. A watch that needs them lists everything again.
func TestCompaction(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	gone, changed := a.add("gone"), a.add("changed")
	expectEqual(t, a, b)
	release := b.hold()
	a.remove("plugins", gone)
	a.mustChange(changed, map[string]any{"name": "Changed"})
	a.add("new")
	response, err := a.kv.Get(t.Context(), "any")
	if err == nil {
		_, err = a.kv.Compact(t.Context(), response.Header.Revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	release()
	expectEqual(t, a, b)
	b.expectLogged("were not seen for a moment")
}

// A machine of a newer version has a column more. An older one keeps what is in it.
func TestNewerVersion(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	id := a.add("notion")
	expectEqual(t, a, b)
	const upgrade = "ALTER TABLE plugins ADD COLUMN newSetting TEXT DEFAULT '' NOT NULL"
	const fill = "UPDATE plugins SET newSetting = 'filled' WHERE id = {:id}"
	a.behind(upgrade, nil)
	a.behind(fill, dbx.Params{"id": id})
	a.mustChange(id, map[string]any{"name": "By the newer version"})
	eventually(t, "b has the change", func() bool { return b.names()["notion"] == "By the newer version" })
	b.mustChange(id, map[string]any{"name": "By the older version"})
	eventually(t, "a has the change", func() bool { return a.names()["notion"] == "By the older version" })
	if filled := a.column("plugins", "newSetting"); filled[0] != "filled" {
		t.Errorf("the older version has lost what it did not know: %v", filled)
	}
	b.Close()
	b = b.reopen()
	b.behind(upgrade, nil)
	b.start(2)
	if filled := b.column("plugins", "newSetting"); filled[0] != "filled" {
		t.Errorf("b lacks what it did not know before: %v", filled)
	}
	if !equal(a.rows(), b.rows()) {
		t.Error("the machines differ")
	}
}

// A start waits for the others, whenever they cannot be reached.
func TestStartWithoutMajority(t *testing.T) {
	t.Parallel()
	prefix := newPrefix()
	a, b := newMachine(t, prefix, "a"), newMachine(t, prefix, "b")
	a.add("notion")
	a.times.save = 20 * time.Millisecond
	var tried atomic.Int32
	a.kv.breakDown(func(op clientv3.Op) (lost, cut bool) { return false, op.IsTxn() && tried.Add(1) < 4 })
	a.start(1)
	b.start(1)
	expectEqual(t, a, b)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	c := newMachine(t, prefix, "c")
	c.kv.breakDown(func(clientv3.Op) (lost, cut bool) { return false, true })
	_, err := Start(ctx, c.app, &clientv3.Client{KV: c.kv, Watcher: c.watcher}, Options{Machine: "c"})
	if !errors.Is(err, etcdtry.ErrUnavailable) {
		t.Error(err)
	}
}

// A list may be older than what this machine has itself written since.
func TestOldNews(t *testing.T) {
	t.Parallel()
	a := newCluster(t, "a")[0]
	defer a.hold()() // when the watch has told of a deletion, nothing older comes
	id, deleted := a.add("notion"), a.add("figma")
	response, err := a.kv.Get(t.Context(), "any")
	if err != nil {
		t.Fatal(err)
	}
	old := map[string]event{}
	for id, was := range a.rows()["plugins"] {
		old[id] = event{id: id, revision: response.Header.Revision, row: was}
	}
	a.mustChange(id, map[string]any{"name": "Notion"})
	a.remove("plugins", deleted)
	added := a.add("framer")
	old[added] = event{id: added, revision: response.Header.Revision}
	before := a.rows()
	if err := a.apply(pluginRows, old); err != nil {
		t.Fatal(err)
	}
	if !equal(before, a.rows()) {
		t.Errorf("a has the plugins %v", a.column("plugins", "slug"))
	}
}
