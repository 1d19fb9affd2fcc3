package replica

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/cluster"
)

// members are the etcd of each of three machines.
type members struct {
	t         *testing.T
	folder    string
	addresses map[string]string

	mu      sync.Mutex
	running map[string]*cluster.Member
}

func newMembers(t *testing.T, names ...string) *members {
	t.Helper()
	m := &members{
		t:         t,
		folder:    t.TempDir(),
		addresses: map[string]string{},
		running:   map[string]*cluster.Member{},
	}
	port := 20_000 + rand.IntN(8_000) // lower than those of outgoing connections
	for _, name := range names {
		for ; m.addresses[name] == ""; port++ {
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				m.addresses[name] = listener.Addr().String()
				listener.Close()
			}
		}
	}
	m.start(names...)
	t.Cleanup(func() { m.stop(names...) })
	return m
}

func (m *members) start(names ...string) {
	m.t.Helper()
	var done sync.WaitGroup
	for _, name := range names {
		done.Go(func() {
			member, err := cluster.Start(m.t.Context(), cluster.Config{
				Name: name, Machines: m.addresses, Secret: "a secret of thirty-two characters",
				Folder: filepath.Join(m.folder, name), Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				m.t.Errorf("%s: %v", name, err)
				return
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			m.running[name] = member
		})
	}
	done.Wait()
	if m.t.Failed() {
		m.t.FailNow()
	}
}

func (m *members) stop(names ...string) {
	for _, name := range names {
		m.mu.Lock()
		member := m.running[name]
		delete(m.running, name)
		m.mu.Unlock()
		if member != nil {
			member.Stop()
		}
	}
}

// client returns what a machine asks its own member with.
func (m *members) client(name string) *clientv3.Client { return m.running[name].Client() }

// addAtLast saves a new plugin, however long the others cannot be reached.
func (m *machine) addAtLast(slug string) {
	m.t.Helper()
	eventually(m.t, "a save succeeds", func() bool {
		_, err := m.create("plugins", fields(slug, nil))
		return err == nil || slices.Contains(m.column("plugins", "slug"), slug)
	})
}

// Three machines with an etcd in each: one goes on when another is gone, and only reads when both are.
func TestThreeMembers(t *testing.T) {
	t.Parallel()
	three := newMembers(t, "a", "b", "c")
	var machines []*machine
	for _, name := range []string{"a", "b", "c"} {
		m := newMachine(t, "", name)
		m.connect(three.client(name))
		m.times.save = time.Second
		machines = append(machines, m)
	}
	a, b, c := machines[0], machines[1], machines[2]
	a.add("notion")
	startAtOnce(a, b, c)
	expectEqual(t, a, b, c)

	c.Close()
	three.stop("c")
	b.addAtLast("figma")
	expectEqual(t, b, a)
	b.Close()
	three.stop("b")
	began := time.Now()
	_, err := a.create("plugins", fields("framer", nil))
	expectAnswer(t, err, http.StatusServiceUnavailable, "read-only")
	t.Logf("without a majority a save is refused after %s", time.Since(began).Round(time.Millisecond))

	three.start("b", "c")
	b, c = b.reopen(), c.reopen()
	for _, m := range []*machine{b, c} {
		m.connect(three.client(m.name))
		m.start(3)
	}
	a.addAtLast("sketch") // whether framer was saved was not known
	expectEqual(t, a, b, c)
	for _, slug := range []string{"notion", "figma", "sketch"} {
		if !slices.Contains(c.column("plugins", "slug"), slug) {
			t.Errorf("c lacks %s", slug)
		}
	}
}
