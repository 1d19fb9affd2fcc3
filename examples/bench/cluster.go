package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"plugin-oauth/examples/bench/tokens"
	"plugin-oauth/internal/testkit"
)

// machines are the servers of one service: a single one, or three that form a cluster.
type machines []*server

// newThree prepares three machines that form a cluster.
func (b *bench) newThree(provider, program string) (three machines, err error) {
	names := []string{"a", "b", "c"}
	list := make([]string, len(names))
	for i, name := range names {
		address, err := testkit.FreeAddress()
		if err != nil {
			return nil, err
		}
		list[i] = name + "=" + address
	}
	for _, name := range names {
		who := identity{Server: "machine " + name}
		command := &testkit.Command{Path: program, Args: []string{"serve", "--http"}}
		s, err := b.newServer(who, provider, command)
		if err != nil {
			return nil, err
		}
		three = append(three, s)
		s.command.Env = append(s.command.Env,
			"REDIRECT_URI=http://"+three[0].command.Address+"/redirect",
			"CLUSTER="+strings.Join(list, ","), "CLUSTER_NAME="+name,
			"CLUSTER_SECRET=secret-of-the-machines-of-the-bench")
	}
	return three, nil
}

// start starts those that do not run, at the same time.
func (m machines) start() error {
	var group errgroup.Group
	for _, s := range m {
		group.Go(s.start)
	}
	return group.Wait()
}

func (m machines) stop() {
	for _, s := range m {
		s.stop()
	}
}

// leader returns the machine that led when the one at an index was started last.
func (m machines) leader(started int) int {
	log, _ := os.ReadFile(filepath.Join(m[started].command.Dir, "log"))
	_, name, found := strings.Cut(string(log[max(0, strings.LastIndex(string(log), "leader=")):]), "leader=")
	if !found || name == "" {
		return started // there is only one machine
	}
	return int(name[0]-'a') % len(m)
}

// most returns the highest of the figures of all machines, or nil if there is none.
func (m machines) most(figure func(*server) *float64) (most *float64) {
	for _, s := range m {
		if one := figure(s); one != nil && (most == nil || *one > *most) {
			most = one
		}
	}
	return most
}

// anonymous is the memory that the kernel cannot drop, in MB of 2^20 bytes.
func (s *server) anonymous() *float64 {
	return megabytesOf(fmt.Sprintf("/proc/%d/status", s.command.PID()), "RssAnon:")
}

// idleTime is how long the machines have nothing to do.
const idleTime = 10 * time.Second

// cluster measures a single machine, and then three.
func (b *bench) cluster() error {
	b.report.Cluster = &clusterReport{}
	for _, part := range []struct {
		name     string
		machines machines
		figures  *serviceFigures
	}{
		{name: "one machine", machines: machines{b.program}, figures: &b.report.Cluster.One},
		{name: "three machines", machines: b.three, figures: &b.report.Cluster.Three},
	} {
		b.progress("%s: starting", part.name)
		if err := part.machines.start(); err != nil {
			return err
		}
		if err := b.measureService(part.name, part.machines, part.figures); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		part.machines.stop()
	}
	return nil
}

func (b *bench) measureService(name string, m machines, figures *serviceFigures) error {
	b.progress("%s: idle for %s", name, idleTime)
	figures.idle(m)
	b.progress("%s: whole logins", name)
	if err := figures.load(m, b.report.Settings); err != nil {
		return err
	}
	b.progress("%s: polls that wait", name)
	if err := figures.wakes(m, b.report.Settings); err != nil {
		return err
	}
	faults := min(max(3, *kills/3), maxGaps)
	b.progress("%s: %d times kill -9, and %d times SIGTERM", name, faults, faults)
	if err := figures.gaps(m, faults); err != nil {
		return err
	}
	b.progress("%s: %d times kill -9 under load, and %d logins", name, *kills, *logins)
	return figures.faults(m, *kills, *logins)
}

// idle measures machines that have nothing to do.
func (f *serviceFigures) idle(m machines) {
	time.Sleep(idleTime / 2) // since the start
	before := make([]float64, len(m))
	for i, s := range m {
		before[i] = s.cpu()
	}
	began := time.Now()
	time.Sleep(idleTime)
	elapsed := float64(time.Since(began).Microseconds())
	f.IdleMemory = m.most((*server).anonymous)
	for i, s := range m {
		if share := (s.cpu() - before[i]) / elapsed * 100; s.cpu() > 0 {
			if f.IdleCPU == nil || share > *f.IdleCPU {
				f.IdleCPU = &share
			}
		}
	}
}

// load measures whole logins on all connections, which are spread over the machines, and what they take of
// memory.
func (f *serviceFigures) load(m machines, settings settings) error {
	people, err := m.signIn(settings.Connections)
	if err != nil {
		return err
	}
	time.Sleep(settings.turnLength())
	began, before := time.Now(), people.done.Load()
	time.Sleep(5 * settings.turnLength())
	rate := float64(people.done.Load()-before) / time.Since(began).Seconds()
	f.LoadedMemory = m.most((*server).anonymous)
	f.LoginsPerSecond = &rate
	return people.wait()
}

// wakes measures how long after the end of a redirect the tokens reach a poll that waits at another machine:
// first with nothing else to do, then under load.
func (f *serviceFigures) wakes(m machines, settings settings) error {
	const count = 200
	light, err := m.wake(count)
	if err != nil {
		return err
	}
	f.WakeP50, f.WakeP99 = new(milliseconds(percentile(light, 50))), new(milliseconds(percentile(light, 99)))
	// The login that is measured is one of the connections: the service lets a network finish no more at once.
	people, err := m.signIn(settings.Connections - 1)
	if err != nil {
		return err
	}
	loaded, err := m.wake(count)
	if waitErr := people.wait(); err == nil {
		err = waitErr
	}
	if err != nil {
		return err
	}
	f.LoadedWakeP50 = new(milliseconds(percentile(loaded, 50)))
	f.LoadedWakeP99 = new(milliseconds(percentile(loaded, 99)))
	return nil
}

// wake finishes logins one after the other, each of which is started, redirected to and polled at another
// machine. It returns how long the tokens were under way, sorted.
func (m machines) wake(count int) (lags []time.Duration, err error) {
	for i := range count {
		at := func(role int) *server { return m[(i+role)%len(m)] }
		starter, err := dial(at(0).command.Address)
		if err != nil {
			return nil, err
		}
		waiting, err := startPoll(at(1), starter)
		starter.close()
		if err != nil {
			return nil, err
		}
		one, err := finish(at(2), []*waiter{waiting})
		waiting.close()
		if err != nil {
			return nil, err
		}
		lags = append(lags, one...)
	}
	slices.Sort(lags)
	return lags, nil
}

// signing are people who sign in.
type signing struct {
	group   errgroup.Group
	stopped chan struct{}
	done    atomic.Int64
}

// signIn lets people sign in again and again, each at one machine, until wait is called.
func (m machines) signIn(connections int) (*signing, error) {
	all := &signing{stopped: make(chan struct{})}
	step := wholeLogin(tokens.Small)
	for i := range connections {
		c, err := dial(m[i%len(m)].command.Address)
		if err != nil {
			return nil, errors.Join(err, all.wait())
		}
		all.group.Go(func() error {
			defer c.close()
			for {
				select {
				case <-all.stopped:
					return nil
				default:
				}
				if err := step(c); err != nil {
					return err
				}
				all.done.Add(1)
			}
		})
	}
	return all, nil
}

// wait ends all of it.
func (s *signing) wait() error {
	close(s.stopped)
	return s.group.Wait()
}
