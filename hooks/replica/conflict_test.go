package replica

import (
	"cmp"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// expectAnswer checks what the form would show.
func expectAnswer(t *testing.T, err error, status int, words string) *router.ApiError {
	t.Helper()
	answer, ok := errors.AsType[*router.ApiError](err)
	if !ok || answer.Status != status || !strings.Contains(answer.Message, words) {
		t.Fatalf("got %v, want %d %s", err, status, words)
	}
	return answer
}

// A machine that has not yet seen a change overwrites nothing.
func TestConflict(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	id := a.add("notion")
	expectEqual(t, a, b)
	release := b.hold()
	defer release()
	a.mustChange(id, map[string]any{"scope": "read"})

	expectAnswer(t, b.change(id, map[string]any{"name": "Notion"}), http.StatusConflict,
		"Changed on another machine. Load it again.")
	record, err := b.app.FindRecordById("plugins", id)
	if err != nil {
		t.Fatal(err)
	}
	if record.GetString("name") != "" {
		t.Error("it was saved on b all the same")
	}
	expectAnswer(t, b.app.Delete(record), http.StatusConflict, "Load it again")

	release()
	eventually(t, "b has the change", func() bool {
		fresh, err := b.app.FindRecordById("plugins", id)
		return err == nil && fresh.GetString("scope") == "read"
	})
	// The record that was loaded before would undo it.
	record.Set("name", "Notion")
	expectAnswer(t, b.app.Save(record), http.StatusConflict, "Load it again")
	b.mustChange(id, map[string]any{"name": "Notion"})
	expectEqual(t, b, a)
	if scopes := a.column("plugins", "scope"); scopes[0] != "read" {
		t.Errorf("the change of a is lost: %v", scopes)
	}
}

// Two changes on one machine follow each other, as without a cluster.
func TestTwoChangesOnOneMachine(t *testing.T) {
	t.Parallel()
	a := newCluster(t, "a")[0]
	record, err := a.create("plugins", fields("notion", nil))
	if err != nil {
		t.Fatal(err)
	}
	a.mustChange(record.Id, map[string]any{"scope": "read"})
	record.Set("name", "Notion")
	if err := a.app.Save(record); err != nil {
		t.Error(err)
	}
}

func TestTaken(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	defer b.hold()()
	a.add("notion")
	a.addAdmin("Admin@plugin.example")

	_, err := b.create("plugins", fields("notion", nil))
	answer := expectAnswer(t, err, http.StatusConflict, "Another machine has a record with this slug.")
	if answer.Data["slug"] == nil || !IsTaken(err) {
		t.Errorf("nothing stands at the field: %v", answer.Data)
	}
	_, err = b.create(core.CollectionNameSuperusers, admin("admin@PLUGIN.example"))
	answer = expectAnswer(t, err, http.StatusConflict, "Another machine has a record with this email.")
	if answer.Data["email"] == nil || !IsTaken(err) {
		t.Errorf("nothing stands at the field: %v", answer.Data)
	}
	if len(b.column("plugins", "slug"))+len(b.column(core.CollectionNameSuperusers, "email")) > 0 {
		t.Error("they were saved on b all the same")
	}
	other := b.add("figma")
	if _, err := b.create("plugins", fields("figma", nil)); !IsTaken(err) || IsTaken(nil) {
		t.Error(err)
	}
	expectAnswer(t, b.change(other, map[string]any{"slug": "notion"}), http.StatusConflict, "slug")
}

// SUPERUSER_EMAIL is set on all machines.
func TestOneAdminOnAllMachinesAtOnce(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b", "c")
	var made atomic.Int32
	var done sync.WaitGroup
	for _, m := range machines {
		done.Go(func() {
			_, err := m.create(core.CollectionNameSuperusers, admin("admin@plugin.example"))
			switch {
			case err == nil:
				made.Add(1)
			case !IsTaken(err):
				t.Errorf("%s: %v", m.name, err)
			}
		})
	}
	done.Wait()
	expectEqual(t, machines...)
	emails := machines[0].column(core.CollectionNameSuperusers, "email")
	if made.Load() != 1 || len(emails) != 1 {
		t.Errorf("%d were made: %v", made.Load(), emails)
	}
}

func TestWithoutMajority(t *testing.T) {
	t.Parallel()
	prefix := newPrefix()
	a, b := newMachine(t, prefix, "a"), newMachine(t, prefix, "b")
	a.times.save = 300 * time.Millisecond
	a.start(1)
	b.start(1)
	id := b.add("notion")
	expectEqual(t, a, b)
	a.kv.breakDown(func(clientv3.Op) (lost, cut bool) { return false, true })
	const words = "Most of the machines cannot be reached at the moment, so the dashboard is read-only. " +
		"Load it again when they can."
	expectAnswer(t, a.change(id, map[string]any{"scope": "read"}), http.StatusServiceUnavailable, words)
	_, err := a.create("plugins", fields("figma", nil))
	expectAnswer(t, err, http.StatusServiceUnavailable, words)
	record, err := a.app.FindRecordById("plugins", id)
	if err != nil {
		t.Fatal(err)
	}
	expectAnswer(t, a.app.Delete(record), http.StatusServiceUnavailable, words)
	if slugs := a.column("plugins", "slug"); len(slugs) != 1 || record.GetString("scope") != "" {
		t.Errorf("something was saved: %v", slugs)
	}
	expectEqual(t, a, b)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	expectAnswer(t, pluginRows.answer(rpctypes.ErrNoSpace), http.StatusServiceUnavailable, "is full")
	for _, err := range []error{nil, errors.New("of SQLite")} {
		if answer := pluginRows.answer(err); answer != err {
			t.Errorf("%v becomes %v", err, answer)
		}
	}
}

// What was done counts, though the answer was lost: the next try finds it.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	loseOne := func() {
		var lost atomic.Bool
		a.kv.breakDown(func(op clientv3.Op) (bool, bool) { return op.IsTxn() && !lost.Swap(true), false })
	}
	loseOne()
	id := a.add("notion")
	loseOne()
	a.mustChange(id, map[string]any{"slug": "figma"})
	expectEqual(t, a, b)
	loseOne()
	a.remove("plugins", id)
	expectEqual(t, a, b)
	a.add("figma")
}

// What SQLite does not commit is not in etcd either.
func TestRolledBack(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b")
	a, b := machines[0], machines[1]
	kept, gone := a.add("notion"), a.add("figma")
	expectEqual(t, a, b)
	before := b.rows()
	errFull := errors.New("the disk is full")
	err := a.app.RunInTransaction(func(tx core.App) error {
		_, err := createIn(tx, "plugins", fields("new", nil))
		if err != nil {
			return err
		}
		changed, err := tx.FindRecordById("plugins", kept)
		if err != nil {
			return err
		}
		deleted, err := tx.FindRecordById("plugins", gone)
		if err != nil {
			return err
		}
		rename := func(record *core.Record, slug string) error {
			record.Set("slug", slug)
			return tx.Save(record)
		}
		return cmp.Or(rename(changed, "renamed"), rename(deleted, "notion"), rename(changed, "figma"),
			tx.Delete(deleted), errFull)
	})
	if !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	eventually(t, "b is as before", func() bool { return equal(before, b.rows()) })
	expectEqual(t, a, b)
	for _, slug := range []string{"new", "renamed"} {
		b.add(slug)
	}
	eventually(t, "a can change the record, since it has seen that it is as before", func() bool {
		return a.change(kept, map[string]any{"slug": "other"}) == nil
	})
}

// However many machines change the same at once, all have the same in the end, and each slug once.
func TestManyChangesAtOnce(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b", "c")
	slugs := []string{"one", "two", "three", "four", "five"}
	var saved, refused atomic.Int32
	var done sync.WaitGroup
	for i, m := range machines {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		done.Go(func() {
			for range 30 {
				slug := slugs[random.IntN(len(slugs))]
				err := m.changeAny(random, slug)
				if err == nil {
					saved.Add(1)
					continue
				}
				refused.Add(1)
				answer, ok := errors.AsType[*router.ApiError](err)
				if ok && answer.Status != http.StatusConflict {
					t.Errorf("%s: %v", m.name, err)
				}
			}
		})
	}
	done.Wait()
	expectEqual(t, machines...)
	reserved := map[string]string{}
	response, err := machines[0].kv.Get(t.Context(), pluginRows.reserved, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range response.Kvs {
		reserved[strings.TrimPrefix(string(kv.Key), pluginRows.reserved)] = string(kv.Value)
	}
	there := map[string]string{}
	for id, r := range machines[0].rows()["plugins"] {
		there[pluginRows.name(r, id)] = id
	}
	if !maps.Equal(there, reserved) {
		t.Errorf("reserved are %v, and there are %v", reserved, there)
	}
	t.Logf("%d changes were saved, and %d refused", saved.Load(), refused.Load())
}

// changeAny makes a new plugin, gives another one its slug, or deletes one.
func (m *machine) changeAny(random *rand.Rand, slug string) error {
	if random.IntN(3) == 0 {
		_, err := createIn(m.app, "plugins", fields(slug, nil))
		return err
	}
	all, err := m.app.FindAllRecords("plugins")
	if err != nil || len(all) == 0 {
		return err
	}
	record := all[random.IntN(len(all))]
	if random.IntN(3) == 0 {
		return m.app.Delete(record)
	}
	record.Set("slug", slug)
	record.Set("name", m.name)
	return m.app.Save(record)
}
