package testkit

import (
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Machines are processes on this machine that form a cluster, each with a working folder of its own. They
// have one plugin, and one provider.
type Machines []*Process

// ClusterSecret is what the machines know each other by.
const ClusterSecret = "secret-of-the-machines-that-is-long-enough"

// NewMachines prepares machines with these names. [Machines.Start] starts them.
func NewMachines(t testing.TB, names ...string) Machines {
	t.Helper()
	var m Machines
	var list []string
	for _, name := range names {
		address, err := FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, name+"="+address)
		m = append(m, NewProcess(t))
	}
	one := slices.Clip(m[0].Env)
	for i, p := range m {
		p.Provider = m[0].Provider
		p.Env = append(one,
			"CLUSTER="+strings.Join(list, ","),
			"CLUSTER_NAME="+names[i],
			"CLUSTER_SECRET="+ClusterSecret)
	}
	return m
}

// Start starts all of them at the same time, and returns when they listen.
func (m Machines) Start() {
	m[0].T.Helper()
	// First, since those that have another program would wait for the others meanwhile.
	if slices.ContainsFunc(m, func(p *Process) bool { return p.Path == "" }) {
		if _, err := Build(); err != nil {
			m[0].T.Fatal(err)
		}
	}
	var starting sync.WaitGroup
	for _, p := range m {
		starting.Go(func() {
			p.Output = p.Out
			p.Client.CloseIdleConnections()
			p.T.Cleanup(func() { p.Stop(syscall.SIGKILL) })
			if err := p.Command.Start(); err != nil {
				p.T.Errorf("%v\n%s", err, p.Out)
			}
		})
	}
	starting.Wait()
	if m[0].T.Failed() {
		m[0].T.FailNow()
	}
}

// At returns an address of one of the machines as it is at another one.
func (m Machines) At(p *Process, address string) string {
	for _, other := range m {
		if rest, found := strings.CutPrefix(address, other.URL); found {
			return p.URL + rest
		}
	}
	return address
}
