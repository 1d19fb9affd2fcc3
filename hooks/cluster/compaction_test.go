//go:build faults

package cluster

import (
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// What an hour does to the data, in seconds: they are compacted and do not grow. A machine that was away when
// it happened is sent everything, and votes again.
func TestCompaction(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.tune = func(config *embed.Config) {
		config.AutoCompactionRetention = "200ms"
		config.SnapshotCount, config.SnapshotCatchUpEntries = 50, 10
	}
	m.start(t, "a b c")
	m.put(t, "a", "key", "value")
	const count, size, all = 2000, 4 << 10, 2000 * 4 << 10
	fill := func(names string) {
		t.Helper()
		if err := m.fill(t, names, count, size); err != nil {
			t.Fatal(err)
		}
	}
	fill("a b c")
	m.stop(t, "c")
	missed := m.members["a"].etcd.Server.KV().Rev()
	fill("a b")
	m.put(t, "a", "key", "another value")
	eventually(t, "compacted", func() string {
		_, err := m.members["a"].Client().Get(t.Context(), "key", clientv3.WithRev(missed))
		if errors.Is(err, rpctypes.ErrCompacted) {
			return "compacted"
		}
		return fmt.Sprint(err)
	})
	m.start(t, "c")
	m.expect(t, "c", "key", "another value")
	m.expectVoters(t, "c", 3)
	fill("a b c")
	for name, member := range m.members {
		eventually(t, "small", func() string {
			backend := member.etcd.Server.Backend()
			if backend.SizeInUse() < all/2 && backend.Size() < 2*all {
				return "small"
			}
			return fmt.Sprintf("%s uses %d of %d bytes", name, backend.SizeInUse(), backend.Size())
		})
	}
}

// Machines that have just been started make room as well.
func TestNoSpaceAtStart(t *testing.T) {
	t.Parallel()
	m := newSmallMachines(t)
	m.fillUp(t)
	m.stopAll(t, "a b c")
	m.start(t, "a b c")
	m.expectRoom(t)
}
