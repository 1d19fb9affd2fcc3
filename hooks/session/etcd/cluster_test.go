//go:build unix

package etcd

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtry"
)

// threeMachines are three processes that make one cluster.
type threeMachines struct {
	t      *testing.T
	list   string
	folder string
	names  []string

	mu      sync.Mutex
	running map[string]*process
}

func newThreeMachines(t *testing.T) *threeMachines {
	m := &threeMachines{
		t:       t,
		folder:  t.TempDir(),
		names:   []string{"a", "b", "c"},
		running: map[string]*process{},
	}
	var machines []string
	port := 12_000 + rand.IntN(8_000) // lower than those of outgoing connections
	for _, name := range m.names {
		for ; ; port++ {
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				machines = append(machines, name+"="+listener.Addr().String())
				listener.Close()
				port++
				break
			}
		}
	}
	m.list = strings.Join(machines, ",")
	var done sync.WaitGroup
	for _, name := range m.names {
		done.Go(func() { m.start(name) })
	}
	done.Wait()
	return m
}

// start starts a machine, and waits until it takes part.
func (m *threeMachines) start(name string) {
	command := exec.Command(os.Args[0], memberArgument, name, m.list, filepath.Join(m.folder, name))
	started, err := startProcess(m.t, command)
	if err == nil {
		err = started.Resume(m.t.Context(), interrupted, time.Now())
	}
	if err != nil {
		m.t.Errorf("%s: %v", name, err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running[name] = started
}

// take takes a machine out of those that are asked.
func (m *threeMachines) take(name string) *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.running[name]
	delete(m.running, name)
	return taken
}

// any returns some machine that runs. It waits until there is one.
func (m *threeMachines) any() *process {
	for ; ; time.Sleep(time.Millisecond) {
		m.mu.Lock()
		found := m.running[m.names[rand.IntN(len(m.names))]]
		m.mu.Unlock()
		if found != nil {
			return found
		}
	}
}

// leader returns the name of the machine that leads.
func (m *threeMachines) leader() (name string) {
	for name == "" {
		m.any().client.Call("Machine.Leader", 0, &name)
	}
	return name
}

// isGone reports whether a machine was killed before it has answered, or has no majority.
func isGone(err error) bool {
	for _, end := range []string{"EOF", "closed", etcdtry.ErrUnavailable.Error()} {
		if strings.Contains(err.Error(), end) {
			return true
		}
	}
	return errors.Is(err, rpc.ErrShutdown)
}

// tally counts logins.
type tally struct {
	whole, lost, twice, failed atomic.Int64

	mu      sync.Mutex
	last    time.Time     // when a login began
	longest time.Duration // in which none did
}

// began notes that a login has begun.
func (c *tally) began() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.last.IsZero() {
		c.longest = max(c.longest, now.Sub(c.last))
	}
	c.last = now
}

// login goes through one login, each step on any machine. Whatever a machine has confirmed must be true on
// the others.
func (m *threeMachines) login(ctx context.Context, id string, count *tally) {
	row := newRow(id)
	if err := m.any().Insert(ctx, row); err != nil {
		return // the plugin starts again
	}
	count.began()
	exchanging := m.any()
	_, err := exchanging.Consume(ctx, row.Owner, row.StateHash, time.Now())
	if err != nil {
		if !isGone(err) {
			count.lost.Add(1)
			m.t.Errorf("a login that had begun is not found: %v", err)
		}
		return
	}
	done, err := exchanging.Complete(ctx, row.ID, []byte("tokens of "+row.ID), time.Now())
	if err != nil || !done {
		count.failed.Add(1) // the machine was killed while it exchanged the code
		return
	}
	var holds, unsure atomic.Int64
	var polls sync.WaitGroup
	for range 2 {
		polls.Go(func() { m.poll(ctx, row, &holds, &unsure) })
	}
	polls.Wait()
	switch {
	case holds.Load() == 0:
		count.lost.Add(1)
		m.t.Errorf("tokens that were confirmed are lost")
	case holds.Load() > 1 && unsure.Load() == 0:
		count.twice.Add(1)
		m.t.Errorf("tokens were given %d times", holds.Load())
	default:
		count.whole.Add(1)
	}
}

// poll asks for the tokens until they are given, to this poll or to another.
func (m *threeMachines) poll(ctx context.Context, row session.Row, holds, unsure *atomic.Int64) {
	for {
		machine, began := m.any(), time.Now()
		hold, err := machine.TakeClaim(ctx, row.Owner, row.ReadKeyHash, time.Now())
		switch {
		case err == nil && hold.Holder != "":
			holds.Add(1)
			// If the machine dies or freezes once the plugin has the tokens, and before it has stored that,
			// another poll of the plugin gets them again.
			if err := machine.Ack(ctx, hold, time.Now()); err != nil || time.Since(began) >= claimTime {
				unsure.Add(1)
			}
			return
		case err == nil && hold.Row.CheckClaim(time.Now()) != nil:
			return
		case err != nil && !isGone(err) && !errors.Is(err, session.ErrTaken):
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// restart starts machines again.
func (m *threeMachines) restart(names ...string) {
	var done sync.WaitGroup
	for _, name := range names {
		done.Go(func() { m.start(name) })
	}
	done.Wait()
}

// Machines fail while people sign in: what was confirmed is not lost, and no tokens are given twice.
func TestFaults(t *testing.T) {
	t.Parallel()
	m := newThreeMachines(t)
	if t.Failed() {
		return
	}
	for _, fault := range []struct {
		name string
		do   func(m *threeMachines, leader, follower string)
	}{
		{name: "the leader is killed", do: func(m *threeMachines, leader, _ string) {
			m.take(leader).kill()
			m.restart(leader)
		}},
		{name: "a follower is killed", do: func(m *threeMachines, _, follower string) {
			m.take(follower).kill()
			m.restart(follower)
		}},
		{name: "all are killed", do: func(m *threeMachines, _, _ string) {
			for _, name := range m.names {
				m.take(name).kill()
			}
			m.restart(m.names...)
		}},
		{name: "the leader is frozen", do: func(m *threeMachines, leader, _ string) {
			m.freeze(leader)
		}},
		{name: "each is stopped in turn", do: func(m *threeMachines, _, _ string) {
			for _, name := range m.names {
				// Those who ask it are told that it ends, as those are whose request is balanced elsewhere.
				stopped := m.take(name)
				var nothing int
				if err := stopped.client.Call("Machine.Stop", 0, &nothing); err != nil {
					m.t.Errorf("%s: %v", name, err)
				}
				stopped.kill()
				m.restart(name)
			}
		}},
	} {
		leader := m.leader()
		follower := map[string]string{"a": "b", "b": "c", "c": "a"}[leader]
		m.loaded(fault.name, func() { fault.do(m, leader, follower) })
	}
}

// freeze stops a machine for a while that it does not know of, for longer than a claim is held.
func (m *threeMachines) freeze(name string) {
	m.mu.Lock()
	frozen := m.running[name].command.Process
	m.mu.Unlock()
	if err := frozen.Signal(syscall.SIGSTOP); err != nil {
		m.t.Error(err)
	}
	time.Sleep(claimTime + time.Second)
	if err := frozen.Signal(syscall.SIGCONT); err != nil {
		m.t.Error(err)
	}
}

// loaded does something while people sign in, and waits until they can do so afterwards.
func (m *threeMachines) loaded(name string, do func()) {
	const workers, some = 8, 20
	ctx, stop := context.WithCancel(m.t.Context())
	var count tally
	var done sync.WaitGroup
	began := time.Now()
	for range workers {
		done.Go(func() {
			for ctx.Err() == nil {
				m.login(m.t.Context(), strings.ToLower(cryptorand.Text()[:6]), &count)
			}
		})
	}
	for _, then := range []func(){do, func() {}} {
		for before := count.whole.Load(); count.whole.Load() < before+some; {
			time.Sleep(time.Millisecond)
		}
		then()
	}
	stop()
	done.Wait()
	m.t.Logf("%s: %d whole logins, %.0f a second; %d failed with their machine, %d lost, %d twice; longest "+
		"time without a start %s", name, count.whole.Load(),
		float64(count.whole.Load())/time.Since(began).Seconds(), count.failed.Load(), count.lost.Load(),
		count.twice.Load(), count.longest.Round(time.Millisecond))
}
