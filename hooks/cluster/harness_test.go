package cluster

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// secret is that of the machines of the tests.
var secret = strings.Repeat("s", minSecret)

// machines are some machines on this one.
type machines struct {
	list   map[string]string
	folder string
	logs   map[string]*output

	election time.Duration
	tune     func(*embed.Config)
	names    *names // by which the machines find each other; nil: they have the list

	mu      sync.Mutex
	members map[string]*Member // that run
}

func newMachines(t *testing.T, names string) *machines {
	t.Helper()
	m := &machines{
		list:    map[string]string{},
		folder:  t.TempDir(),
		logs:    map[string]*output{},
		members: map[string]*Member{},
	}
	for name := range strings.FieldsSeq(names) {
		m.list[name] = freeAddress(t)
		m.logs[name] = &output{}
	}
	t.Cleanup(func() { m.stopAll(t, names) })
	return m
}

// port is the one that was given to a test last. Those that the system gives to outgoing connections are
// higher.
var port atomic.Int32

func init() { port.Store(20_000 + rand.Int32N(10_000)) }

func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", port.Add(1))
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// output keeps what is logged.
type output struct {
	mu      sync.Mutex
	written bytes.Buffer
}

func (o *output) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written.Write(line)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written.String()
}

// config returns the settings of a machine.
func (m *machines) config(name string) Config {
	config := Config{
		Name:     name,
		Machines: m.list,
		Secret:   secret,
		Folder:   filepath.Join(m.folder, name),
		Log:      slog.New(slog.NewTextHandler(m.logs[name], nil)),
		election: m.election,
		tune:     m.tune,
	}
	if m.names != nil {
		config.Machines = map[string]string{name: m.list[name]}
		config.Find, config.replaceAfter = m.names.find, m.names.replaceAfter
	}
	return config
}

// patience is how long something may take on a busy machine that takes a second on an idle one.
const patience = 2 * time.Minute

// start starts machines at the same time.
func (m *machines) start(t *testing.T, names string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var done sync.WaitGroup
	for name := range strings.FieldsSeq(names) {
		done.Go(func() {
			member, err := Start(ctx, m.config(name))
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, m.logs[name])
				return
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			m.members[name] = member
		})
	}
	done.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func (m *machines) stop(t *testing.T, name string) {
	t.Helper()
	m.mu.Lock()
	member := m.members[name]
	delete(m.members, name)
	m.mu.Unlock()
	if member != nil {
		member.Stop()
	}
}

// stopAll stops machines one after the other: each looks for another that could lead.
func (m *machines) stopAll(t *testing.T, names string) {
	t.Helper()
	for name := range strings.FieldsSeq(names) {
		m.stop(t, name)
	}
}

func (m *machines) put(t *testing.T, name, key, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, err := m.members[name].Client().Put(ctx, key, value)
		if err == nil {
			return
		}
		if ctx.Err() != nil { // and not only another leader
			t.Fatalf("%s: %v\n%s", name, err, m.logs[name])
		}
	}
}

// expect checks what a machine finds, also in its own data.
func (m *machines) expect(t *testing.T, name, key, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, options := range [][]clientv3.OpOption{nil, {clientv3.WithSerializable()}} {
		got, err := m.members[name].Client().Get(ctx, key, options...)
		for err != nil && ctx.Err() == nil { // another machine leads now
			got, err = m.members[name].Client().Get(ctx, key, options...)
		}
		if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != value {
			t.Errorf("%s finds %v, %v", name, got, err)
		}
	}
}

// expectVoters checks how many members there are in the end, and that all of them vote.
func (m *machines) expectVoters(t *testing.T, name string, count int) {
	t.Helper()
	cluster := m.members[name].etcd.Server.Cluster()
	for began := time.Now(); len(cluster.Members()) != count; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%s knows %d members, not %d", name, len(cluster.Members()), count)
		}
	}
	members := cluster.Members()
	for _, member := range members {
		if member.IsLearner {
			t.Errorf("%s says that %s does not vote", name, member.Name)
		}
	}
}

// startAlone starts a machine that cannot become a member, and returns what it says.
func (m *machines) startAlone(t *testing.T, config Config, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		member, err := Start(ctx, config)
		if err == nil {
			member.Stop()
		}
		ended <- err
	}()
	for {
		select {
		case err := <-ended:
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("it ends with %v, and not with %q", err, want)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
		if strings.Contains(m.logs[config.Name].String(), want) {
			cancel()
			<-ended
			return
		}
	}
}
