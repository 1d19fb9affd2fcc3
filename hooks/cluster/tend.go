package cluster

import (
	"context"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
)

// changeTime bounds a change of the members.
const changeTime = 5 * time.Second

// giveUpAfter is how long a machine without data may have a place and not take it. Then it gets another: it
// may have lost its data while it was being filled.
const giveUpAfter = 30 * time.Second

// tend does until the context ends what has to be done from time to time: it renews the certificate, and, if
// this machine leads, makes room for those that have lost their data.
func (m *Member) tend(ctx context.Context) {
	every := time.NewTicker(askTime)
	defer every.Stop()
	waiting := map[types.ID]time.Time{} // since when a place is not taken
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		if err := m.identity.renew(time.Now()); err != nil {
			m.config.Log.Error("the certificate for the other machines could not be renewed", "cause", err)
		}
		if m.etcd.Server.Leader() != m.etcd.Server.MemberID() {
			continue
		}
		for name, said := range m.ask.all(ctx) {
			if said.blank == nil || m.config.clusterID(said.blank.Agreed) == m.clusterID() {
				continue // it has data, or is about to make this cluster
			}
			if err := m.makeRoom(ctx, name, waiting); err != nil && ctx.Err() == nil {
				m.config.Log.Warn("a machine without data has to wait", "machine", name, "cause", err)
			}
		}
	}
}

func (m *Member) clusterID() string { return m.etcd.Server.Cluster().ID().String() }

// makeRoom gives a machine without data a place in the cluster, as a learner. The member that it was before
// is removed: it must not vote again, since it has forgotten how it voted.
func (m *Member) makeRoom(ctx context.Context, name string, waiting map[types.ID]time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	server := m.etcd.Server
	for _, member := range server.Cluster().Members() {
		if m.config.nameOf(member.PeerURLs) != name {
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
	at := m.config.url(name)
	now := time.Now()
	learner := membership.NewMemberAsLearner("", types.URLs{at}, "", &now)
	_, err := server.AddMember(ctx, *learner)
	return err
}
