package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// names stand for the DNS of a host that knows which machines run.
type names struct {
	list         map[string]string // the addresses of all machines
	replaceAfter time.Duration

	mu  sync.Mutex
	run []string // nil: the DNS is out of order
}

func (n *names) set(run string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.run = strings.Fields(run)
}

func (n *names) find(context.Context) (map[string]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.run == nil {
		return nil, errors.New("no such host")
	}
	found := maps.Clone(n.list)
	maps.DeleteFunc(found, func(name, _ string) bool { return !slices.Contains(n.run, name) })
	return found, nil
}

// expectMachines waits until a machine knows these members, all of which vote.
func (m *machines) expectMachines(t *testing.T, at, want string) {
	t.Helper()
	member := m.members[at]
	got := func() string {
		var names []string
		for _, one := range member.etcd.Server.Cluster().Members() {
			if !one.IsLearner {
				names = append(names, one.Name)
			}
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	for began := time.Now(); got() != want; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%s knows the members %s, not %s", at, got(), want)
		}
	}
}

// expectNoChange checks that three members stay for so long that the leader has looked several times.
func (m *machines) expectNoChange(t *testing.T, at string) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 5*tendEvery/2; time.Sleep(10 * time.Millisecond) {
		if count := len(m.members[at].etcd.Server.Cluster().Members()); count != 3 {
			t.Fatalf("there are %d members", count)
		}
	}
}

// awaitLog waits until one of the machines has logged some words.
func (m *machines) awaitLog(t *testing.T, words string, names ...string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		for _, name := range names {
			if strings.Contains(m.logs[name].String(), words) {
				return
			}
		}
		if time.Since(began) > patience {
			t.Fatalf("none of %v says %q", names, words)
		}
	}
}

// begin starts a machine that has to wait, and returns how to wait for it until it takes part.
func (m *machines) begin(t *testing.T, name string) (done func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	started := make(chan error, 1)
	go func() {
		member, err := Start(ctx, m.config(name))
		if err == nil {
			m.mu.Lock()
			m.members[name] = member
			m.mu.Unlock()
		}
		started <- err
	}()
	return func() {
		t.Helper()
		select {
		case err := <-started:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatalf("%s does not take part:\n%s", name, m.logs[name])
		}
	}
}

// expectLook checks which machines a command on another one sees taking part.
func (m *machines) expectLook(t *testing.T, at, want string) {
	t.Helper()
	view, err := Look(t.Context(), m.config(at))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range slices.Sorted(maps.Keys(view.Answers)) {
		if view.Answers[name].TakesPart {
			got = append(got, name)
		}
	}
	if strings.Join(got, " ") != want {
		t.Errorf("%s sees %v, not %s", at, got, want)
	}
}

// Machines that find each other make a cluster once three of them are there. A fourth has to wait as long as
// the three are there, also if one of them is no longer found. When one is gone, the fourth takes its place,
// and nobody else's; the one that was gone has none when it comes back.
func TestFind(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c d")
	m.names = &names{list: m.list, replaceAfter: time.Second}
	a, b := m.begin(t, "a"), m.begin(t, "b")
	m.awaitLog(t, "the machines cannot be found: no such host", "a")
	m.names.set("a b")
	c := m.begin(t, "c")
	m.names.set("a b c")
	a()
	b()
	c()
	m.put(t, "a", "key", "value")
	m.expectMachines(t, "a", "a b c")
	m.expectLook(t, "d", "a b c")

	d := m.begin(t, "d")
	m.names.set("a b d") // c is not found, and runs
	m.awaitLog(t, "one of the 3 machines has been gone", "d")
	m.expectNoChange(t, "a")
	m.expectMachines(t, "a", "a b c")

	m.stop(t, "c")
	d()
	m.awaitLog(t, "a machine is gone; a new one takes its place", "a", "b")
	m.expectMachines(t, "a", "a b d")
	m.expect(t, "d", "key", "value")

	m.names.set("a b c d")
	m.startAlone(t, m.config("c"), "if none is, destroy this one")
	m.expectMachines(t, "a", "a b d")
}

// A machine that is stopped keeps its place: it goes on where it was. One with the disk of another is filled
// as a new one.
func TestFindStopped(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c d")
	m.names = &names{list: m.list, replaceAfter: time.Second}
	m.names.set("a b c")
	m.start(t, "a b c")
	before := m.members["c"].etcd.Server.MemberID()
	m.stop(t, "c")
	m.names.set("a b")
	m.put(t, "a", "key", "value")
	m.expectNoChange(t, "a")
	m.names.set("a b c")
	m.start(t, "c")
	if m.members["c"].etcd.Server.MemberID() != before {
		t.Error("it is another member")
	}
	m.expect(t, "c", "key", "value")

	m.stop(t, "c")
	m.names.set("a b d")
	config := m.config("d")
	config.Folder = m.config("c").Folder
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	member, err := Start(ctx, config)
	if err != nil {
		t.Fatalf("%v\n%s", err, m.logs["d"])
	}
	m.mu.Lock()
	m.members["d"] = member
	m.mu.Unlock()
	if member.etcd.Server.MemberID() == before {
		t.Error("it votes as the other one did")
	}
	m.expectMachines(t, "a", "a b d")
	m.expect(t, "d", "key", "value")
}

// A machine that is stopped for less than it takes to be gone keeps its place, though another wants it.
func TestFindWaits(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c d")
	m.names = &names{list: m.list, replaceAfter: time.Hour}
	m.names.set("a b c")
	m.start(t, "a b c")
	m.stop(t, "c")
	m.names.set("a b d")
	m.begin(t, "d")
	m.awaitLog(t, "one of the 3 machines has been gone for 1h", "d")
	m.expectNoChange(t, "a")
	m.names.set("a b c d")
	m.start(t, "c")
	m.expectMachines(t, "a", "a b c")
}

func TestFindOnFly(t *testing.T) {
	t.Parallel()
	var asked string
	text, failure := []string{}, error(nil)
	find := FindOnFly("my-app", func(_ context.Context, name string) ([]string, error) {
		asked = name
		return text, failure
	})
	for _, test := range []struct {
		text []string
		want string
	}{
		{text: nil, want: "map[]"},
		{text: []string{""}, want: "map[]"},
		{
			text: []string{"683d314f ams,568323e9 ams"},
			want: "map[568323e9:568323e9.vm.my-app.internal:2380 683d314f:683d314f.vm.my-app.internal:2380]",
		},
		{
			text: []string{"1 ams, 2 ams", "3 fra"},
			want: "map[1:1.vm.my-app.internal:2380 2:2.vm.my-app.internal:2380 3:3.vm.my-app.internal:2380]",
		},
	} {
		text = test.text
		if got, err := find(t.Context()); err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%q: %v, %v", test.text, got, err)
		}
	}
	if asked != "vms.my-app.internal" {
		t.Errorf("it asks for %s", asked)
	}
	text = []string{"a.b ams"}
	if _, err := find(t.Context()); err == nil || !strings.Contains(err.Error(), "is no machine") {
		t.Errorf("a strange name: %v", err)
	}
	failure = errors.New("no such host")
	if _, err := find(t.Context()); !errors.Is(err, failure) {
		t.Errorf("without DNS: %v", err)
	}
}
