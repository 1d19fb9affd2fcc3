package cluster

import (
	"context"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
)

// tendEvery is how often the leader asks the others whether they have lost their data.
const tendEvery = 2 * time.Second

// changeTime bounds a change of the members.
const changeTime = 5 * time.Second

// giveUpAfter is how long a machine without data may have a place and not take it. Then it gets another: it
// may have lost its data while it was being filled.
const giveUpAfter = 30 * time.Second

// tend does until the context ends what has to be done from time to time: it renews the certificate, and, if
// this machine leads, makes the members those of CLUSTER.
func (m *Member) tend(ctx context.Context) {
	every := time.NewTicker(tendEvery)
	defer every.Stop()
	waiting := map[types.ID]time.Time{} // since when a place is not taken
	gone := absences{}
	hadMajority, wasFull := true, false
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		if err := m.identity.renew(time.Now()); err != nil {
			m.config.Log.Error("the certificate for the other machines could not be renewed", "cause", err)
		}
		if has := m.etcd.Server.Leader() != 0; has != hadMajority {
			hadMajority = has
			m.logMajority(has)
		}
		wasFull = m.keepRoom(ctx, wasFull)
		if m.etcd.Server.Leader() != m.etcd.Server.MemberID() {
			clear(gone)
			continue
		}
		answers := m.ask.blank(ctx)
		m.note(ctx, gone, answers)
		for name, said := range answers {
			if said.blank == nil || m.config.clusterID(said.blank.Agreed) == m.clusterID() {
				continue // it has data, or is about to make this cluster
			}
			if err := m.makeRoom(ctx, name, waiting, gone); err != nil && ctx.Err() == nil {
				m.config.Log.Warn("a machine without data has to wait", "machine", name, "cause", err)
			}
		}
		if err := m.removeUnlisted(ctx); err != nil && ctx.Err() == nil {
			m.config.Log.Warn("a machine that is not in CLUSTER is still a member", "cause", err)
		}
	}
}

func (m *Member) logMajority(has bool) {
	if has {
		m.config.Log.Info("most of the machines can be reached again")
		return
	}
	m.config.Log.Error("most of the machines cannot be reached; nothing can be stored until they can")
}

func (m *Member) clusterID() string { return m.etcd.Server.Cluster().ID().String() }

// machineOf returns the name of a member's machine in CLUSTER, or "". A machine may have moved to another
// address, and one that has never run has no name yet.
func (m *Member) machineOf(member *membership.Member) string {
	_, found := m.config.machines()[member.Name]
	if found || m.config.Find != nil && member.Name != "" {
		return member.Name // which may be stopped
	}
	return m.config.nameOf(member.PeerURLs)
}

// makeRoom gives a machine without data a place in the cluster, as a learner. The member that it was before
// is removed: it must not vote again, since it has forgotten how it voted.
func (m *Member) makeRoom(
	ctx context.Context, name string, waiting map[types.ID]time.Time, gone absences,
) error {
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	server := m.etcd.Server
	if isNew, err := m.replace(ctx, name, gone); isNew || err != nil {
		return err
	}
	for _, member := range server.Cluster().Members() {
		if m.machineOf(member) != name {
			continue
		}
		if member.Name == "" {
			since, found := waiting[member.ID]
			if !found {
				waiting[member.ID] = time.Now()
			}
			if !found || time.Since(since) < giveUpAfter {
				return nil
			}
		}
		delete(waiting, member.ID)
		if _, err := server.RemoveMember(ctx, uint64(member.ID)); err != nil {
			return err
		}
		m.config.Log.Warn("a machine has lost its data; it is filled again", "machine", name)
	}
	return m.addLearner(ctx, name)
}

func (m *Member) addLearner(ctx context.Context, name string) error {
	at := m.config.url(name)
	now := time.Now()
	learner := membership.NewMemberAsLearner("", types.URLs{at}, "", &now)
	_, err := m.etcd.Server.AddMember(ctx, *learner)
	return err
}

// removeUnlisted removes a member whose machine is no longer in CLUSTER, one at a time. Whoever takes a
// machine out stops it first: as long as it leads, it goes by the list that it was started with.
func (m *Member) removeUnlisted(ctx context.Context) error {
	if m.config.Find != nil {
		return nil // it may only be stopped; see replace
	}
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	for _, member := range m.etcd.Server.Cluster().Members() {
		if m.machineOf(member) != "" {
			continue
		}
		_, err := m.etcd.Server.RemoveMember(ctx, uint64(member.ID))
		if err == nil {
			m.config.Log.Warn("a machine is no longer in CLUSTER, and no longer a member",
				"machine", member.Name)
		}
		return err
	}
	return nil
}

// publishAddress tells the others where this machine is, if it has moved.
func (m *Member) publishAddress(ctx context.Context) error {
	server := m.etcd.Server
	own := server.Cluster().Member(server.MemberID())
	if own == nil || m.config.nameOf(own.PeerURLs) == m.config.Name {
		return nil
	}
	at := m.config.url(m.config.Name)
	moved := *own
	moved.PeerURLs = []string{at.String()}
	_, err := server.UpdateMember(ctx, moved)
	return err
}
