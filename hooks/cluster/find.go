package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
)

// foundSize is how many machines there are if Find finds them.
const foundSize = 3

// replaceAfter is how long a machine must have been gone before a new one takes its place: longer than a
// deploy or a start of its host takes.
const replaceAfter = 5 * time.Minute

// peerPort is where the machines of Fly.io listen for each other.
const peerPort = "2380"

// FlyAddress is where a machine of an app of Fly.io listens for the others. It stays the same when the
// machine moves to another host.
func FlyAddress(app, machine string) string {
	return net.JoinHostPort(machine+".vm."+app+".internal", peerPort)
}

// FindOnFly returns a Find for the machines of an app of Fly.io. Its DNS has the machines that are started in
// a text: their ids, each with its region. lookUp reads such texts, as [net.Resolver.LookupTXT] does.
func FindOnFly(
	app string, lookUp func(ctx context.Context, name string) ([]string, error),
) func(ctx context.Context) (map[string]string, error) {
	return func(ctx context.Context) (map[string]string, error) {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		texts, err := lookUp(ctx, "vms."+app+".internal")
		if err != nil {
			return nil, err
		}
		machines := map[string]string{}
		for machine := range strings.SplitSeq(strings.Join(texts, ","), ",") {
			id, _, _ := strings.Cut(strings.TrimSpace(machine), " ")
			switch {
			case id == "":
			case !isName(id):
				return nil, fmt.Errorf("vms.%s.internal has %q, which is no machine", app, machine)
			default:
				machines[id] = FlyAddress(app, id)
			}
		}
		return machines, nil
	}
}

// found is what Find has returned last, and this machine itself.
type found struct {
	last atomic.Pointer[map[string]string]
}

func (f *found) machines() map[string]string { return *f.last.Load() }

// finding returns the settings with a place for what Find returns, if there is a Find.
func (c Config) finding() Config {
	if c.Find != nil {
		c.found = &found{}
		c.found.last.Store(&c.Machines)
	}
	if c.replaceAfter == 0 {
		c.replaceAfter = replaceAfter
	}
	return c
}

// look finds the machines anew.
func (c Config) look(ctx context.Context) error {
	if c.Find == nil {
		return nil
	}
	machines, err := c.Find(ctx)
	if err != nil {
		return err
	}
	machines = maps.Clone(machines)
	machines[c.Name] = c.Machines[c.Name] // it runs, whether or not others know it yet
	c.found.last.Store(&machines)
	return nil
}

// whenThereIsRoom says when a machine without data gets a place.
func (c Config) whenThereIsRoom() string {
	if c.Find == nil {
		return "it gets one in some seconds if CLUSTER is the same on both"
	}
	return fmt.Sprintf("it gets one when one of the %d machines has been gone for %s; if none is, destroy "+
		"this one", foundSize, c.replaceAfter)
}

// ownerFile has the name of the machine that the data are of.
func (m *Member) ownerFile() string { return filepath.Join(m.config.Folder, "machine") }

// disown removes the data of another machine, whose disk, or a copy of it, this one has got: it must not vote
// as that one did, not even once. Where machines are listed, an admin says which is which.
func (m *Member) disown() error {
	owner, err := os.ReadFile(m.ownerFile())
	if m.config.Find == nil || errors.Is(err, fs.ErrNotExist) || string(owner) == m.config.Name {
		return nil
	}
	if err != nil {
		return err
	}
	m.config.Log.Warn("the data are those of another machine; this one is filled anew",
		"machine", string(owner))
	return errors.Join(os.RemoveAll(m.memberFolder()), os.Remove(m.ownerFile()))
}

// absences has since when members are gone: they are not found, and do not answer.
type absences map[types.ID]time.Time

// note notes which members are gone. Nobody is if the machines cannot be found.
func (m *Member) note(ctx context.Context, gone absences, answers map[string]answer) {
	_, isUnknown := answers[nobody]
	if m.config.Find == nil || isUnknown {
		clear(gone)
		return
	}
	for _, member := range m.etcd.Server.Cluster().Members() {
		_, isFound := m.config.machines()[m.machineOf(member)]
		if isFound || m.ask.reaches(ctx, member.PeerURLs) {
			delete(gone, member.ID)
		} else if _, known := gone[member.ID]; !known {
			gone[member.ID] = time.Now()
		}
	}
}

// reaches reports whether somebody answers at one of these URLs who knows the secret.
func (a *asker) reaches(ctx context.Context, urls []string) bool {
	for _, at := range urls {
		if _, _, err := a.getURL(ctx, at+"/members"); err == nil {
			return true
		}
	}
	return false
}

// replace gives a machine that is new a place in the cluster, if there is one. A machine that is not found
// may only be stopped, so it keeps its place until another one needs it, and until it has been gone for some
// time. If it comes back later, it finds that it was replaced. isNew says that the machine had no place.
func (m *Member) replace(ctx context.Context, name string, gone absences) (isNew bool, err error) {
	if m.config.Find == nil {
		return false, nil
	}
	members := m.etcd.Server.Cluster().Members()
	for _, member := range members {
		if m.machineOf(member) == name {
			return false, nil
		}
	}
	if len(members) < foundSize {
		return true, m.addLearner(ctx, name)
	}
	for _, member := range members {
		since, isGone := gone[member.ID]
		if !isGone || time.Since(since) < m.config.replaceAfter {
			continue
		}
		if _, err := m.etcd.Server.RemoveMember(ctx, uint64(member.ID)); err != nil {
			return true, err
		}
		m.config.Log.Warn("a machine is gone; a new one takes its place",
			"machine", nameOrID(member), "new", name)
		return true, m.addLearner(ctx, name)
	}
	return true, nil
}

// nameOrID names a member that may never have run.
func nameOrID(member *membership.Member) string {
	if member.Name != "" {
		return member.Name
	}
	return member.ID.String()
}
