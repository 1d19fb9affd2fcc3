package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
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
			for stored := 0; stored < count/8; {
				key := fmt.Sprintf("s/%d/%d", worker, stored)
				_, err := client.Put(ctx, key, value)
				if err == nil {
					_, err = client.Delete(ctx, key)
				}
				switch {
				case err == nil:
					stored++
				case errors.Is(err, rpctypes.ErrNoSpace), ctx.Err() != nil:
					failures <- err
					cancel() // the machines make room for the others meanwhile
					return
				} // else a busy machine has not answered in time
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

// fillUp stores values until the data have reached the quota.
func (m *machines) fillUp(t *testing.T) {
	t.Helper()
	if err := m.fill(t, "a b c", 800, 256<<10); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("it is not full: %v", err)
	}
}

// expectRoom waits until something can be stored again.
func (m *machines) expectRoom(t *testing.T) {
	t.Helper()
	began := time.Now()
	value := rand.Text()
	m.put(t, "b", "key", value)
	m.expect(t, "c", "key", value)
	t.Logf("after %s there is room again", time.Since(began))
	eventually(t, "<nil>", func() string { return fmt.Sprint(m.members["a"].Check()) })
}

// newSmallMachines starts three machines whose quota is soon reached.
func newSmallMachines(t *testing.T) *machines {
	t.Helper()
	m := newMachines(t, "a b c")
	m.tune = func(config *embed.Config) { config.QuotaBackendBytes = 8 << 20 }
	m.start(t, "a b c")
	m.put(t, "a", "key", "value")
	return m
}

// When the data reach the quota, nothing can be stored for a moment, and the admin is told. Old data are
// removed by themselves.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	m := newSmallMachines(t)
	m.fillUp(t)
	m.expectRoom(t)
	for _, words := range []string{ErrFull.Error(), "there is room for the data"} {
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
