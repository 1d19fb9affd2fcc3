package cluster

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// remains opens what a machine has that is stopped.
func (m *machines) remains(t *testing.T, name string) *Remains {
	t.Helper()
	remains, err := OpenRemains(t.Context(), m.config(name).Folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remains.Close() })
	return remains
}

// expectRemains checks what a machine has that is stopped, and whether it knows that this is all.
func (m *machines) expectRemains(t *testing.T, name, key, value string, knowsAll bool) {
	t.Helper()
	remains := m.remains(t, name)
	got, err := remains.Client.Get(t.Context(), key)
	if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != value {
		t.Errorf("%s has %v, %v", name, got, err)
	}
	if all, err := remains.KnowsAll(t.Context()); err != nil || all != knowsAll {
		t.Errorf("%s knows all: %t, %v", name, all, err)
	}
	if err := remains.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(m.config(name).Folder, copyName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
}

// A machine that ended when the others could no longer go on without it has all that there is. One that ended
// before does not. Reading changes nothing: the machines can come back.
func TestRemains(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.start(t, "a b c")
	m.put(t, "a", "key", "early")
	m.expect(t, "c", "key", "early")
	m.stop(t, "c")
	m.put(t, "a", "key", "late")
	m.stop(t, "a")
	remains := m.remains(t, "c")
	if running := remains.Running(t.Context()); len(running) != 1 ||
		!strings.HasPrefix(running[0], "b (127.0.0.1:") {
		t.Errorf("there run %v", running)
	}
	m.stop(t, "b")
	if running := remains.Running(t.Context()); len(running) > 0 {
		t.Errorf("there run %v", running)
	}
	if err := remains.Close(); err != nil { // or the copy that it reads would be replaced
		t.Error(err)
	}
	m.expectRemains(t, "a", "key", "late", true)
	m.expectRemains(t, "b", "key", "late", true)
	m.expectRemains(t, "c", "key", "early", false)
	m.start(t, "a b c")
	m.expect(t, "c", "key", "late")
	m.expectVoters(t, "a", 3)
	// They are back, so what they said before counts no more.
	m.put(t, "a", "key", "later")
	m.expect(t, "b", "key", "later")
	m.snapshot(t, "x", "b")
	m.copyLog(t, "x", "b")
	m.expectRemains(t, "x", "key", "later", false)
}

// snapshot copies the database of a machine that runs into the folder of another one.
func (m *machines) snapshot(t *testing.T, to, from string) {
	t.Helper()
	folder := filepath.Join(m.config(to).Folder, "member", "snap")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(folder, "db"))
	if err != nil {
		t.Fatal(err)
	}
	snapshot := m.members[from].etcd.Server.Backend().Snapshot()
	_, err = snapshot.WriteTo(file)
	if err := errors.Join(err, snapshot.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// copyLog copies the log of a machine that runs, as it would be if the machine were killed now.
func (m *machines) copyLog(t *testing.T, to, from string) {
	t.Helper()
	log := func(name string) string { return filepath.Join(m.config(name).Folder, "member", "wal") }
	if err := copyFolder(log(to), log(from)); err != nil {
		t.Fatal(err)
	}
}

// What a machine has stored counts, though it was killed before it heard that others have it: it may have
// been said to somebody.
func TestRemainsAfterKill(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.start(t, "a b c")
	m.stop(t, "a") // so that b and c have to store everything
	m.put(t, "b", "key", "before")
	m.expect(t, "c", "key", "before")
	m.expect(t, "b", "key", "before")
	m.snapshot(t, "x", "b")
	m.snapshot(t, "y", "c")
	m.put(t, "b", "key", "after")
	m.copyLog(t, "x", "b")
	m.copyLog(t, "y", "c")
	m.expectRemains(t, "x", "key", "after", true)
	m.expectRemains(t, "y", "key", "after", true)
}

// There is nothing to read for a machine that was never a member.
func TestNoRemains(t *testing.T) {
	t.Parallel()
	if _, err := OpenRemains(t.Context(), t.TempDir()); !errors.Is(err, ErrNoRemains) {
		t.Error(err)
	}
}

// A majority is one of those that vote. A machine that is being filled does not.
func TestIsMajority(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		members, matching string
		want              bool
	}{
		{members: "a b c", matching: "b", want: false},
		{members: "a b c", matching: "b c", want: true},
		{members: "a b c D", matching: "b c", want: true},
		{members: "a b c D", matching: "b D", want: false},
		{members: "a b c d e", matching: "b c", want: false},
		{members: "a b c d e", matching: "b c d", want: true},
	} {
		t.Run(test.matching+" of "+test.members, func(t *testing.T) {
			t.Parallel()
			var members []knownMember
			for name := range strings.FieldsSeq(test.members) {
				members = append(members, knownMember{Name: name, IsLearner: name == strings.ToUpper(name)})
			}
			got := isMajority(members, func(member knownMember) bool {
				return strings.Contains(test.matching, member.Name)
			})
			if got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
