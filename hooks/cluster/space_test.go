package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// fill stores values under new keys and deletes them again, as logins do, until this many were stored or one
// is refused.
func (m *machines) fill(t *testing.T, names string, count, size int) error {
	t.Helper()
	value := rand.Text() + strings.Repeat("v", size)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var filling sync.WaitGroup
	list := strings.Fields(names)
	failures := make(chan error, 8)
	for worker := range 8 {
		client := m.members[list[worker%len(list)]].Client()
		filling.Go(func() {
			for i := range count / 8 {
				key := fmt.Sprintf("s/%d/%d", worker, i)
				_, err := client.Put(ctx, key, value)
				if err == nil {
					_, err = client.Delete(ctx, key)
				}
				if err != nil {
					failures <- err
					return
				}
			}
		})
	}
	filling.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

// What an hour does to the data, in seconds: they are compacted and do not grow. A machine that was away when
// it happened is sent everything, and votes again.
func TestCompaction(t *testing.T) {
	t.Parallel()
	if os.Getenv("FAULTS_TEST") == "" {
		t.Skip("this takes long; set FAULTS_TEST=1")
	}
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

// When the data reach the quota, nothing can be stored for a moment, and the admin is told. Old data are
// removed by themselves, also by machines that have just been started.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.tune = func(config *embed.Config) { config.QuotaBackendBytes = 16 << 20 }
	m.start(t, "a b c")
	m.put(t, "a", "key", "value")
	rounds := 1
	if os.Getenv("FAULTS_TEST") != "" {
		rounds = 2
	}
	for round := range rounds {
		err := m.fill(t, "a b c", 800, 256<<10)
		if !errors.Is(err, rpctypes.ErrNoSpace) {
			t.Fatalf("it is not full: %v", err)
		}
		began := time.Now()
		if round == 1 {
			m.stopAll(t, "a b c")
			m.start(t, "a b c")
		}
		m.put(t, "b", "key", fmt.Sprint(round))
		m.expect(t, "c", "key", fmt.Sprint(round))
		t.Logf("after %s there is room again", time.Since(began))
		eventually(t, "<nil>", func() string { return fmt.Sprint(m.members["a"].Check()) })
	}
	for _, words := range []string{errFull.Error(), "there is room for the data"} {
		eventually(t, words, func() string {
			if strings.Contains(m.logs["a"].String(), words) {
				return words
			}
			return m.logs["a"].String()
		})
	}
	if strings.Contains(m.logs["a"].String(), "no space") {
		t.Errorf("the log has a line for each request:\n%s", m.logs["a"])
	}
}
