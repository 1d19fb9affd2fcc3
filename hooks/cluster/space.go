package cluster

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
)

// quota is how many bytes the data may take on one machine before etcd stores nothing any more.
const quota = 1 << 30

// full returns the machines whose data have reached the quota, and whether there are any.
func (m *Member) full() (ids []types.ID, isFull bool) {
	for _, alarm := range m.etcd.Server.Alarms() {
		if alarm.Alarm == etcdserverpb.AlarmType_NOSPACE {
			ids = append(ids, types.ID(alarm.MemberID))
		}
	}
	return ids, len(ids) > 0
}

// ErrFull says why nothing can be stored, though most of the machines are there. It is for the admin.
var ErrFull = fmt.Errorf("the data that the machines share have reached %d GB, and nothing can be stored "+
	"until old ones are removed, which is being done", quota>>30)

// keepRoom makes room if there is none, and tells the admin once of each. It returns whether there is none.
func (m *Member) keepRoom(ctx context.Context, wasFull bool) (isFull bool) {
	if _, isFull = m.full(); isFull && !wasFull {
		m.config.Log.Error(ErrFull.Error())
	}
	if err := m.freeSpace(ctx); err != nil && ctx.Err() == nil {
		m.config.Log.Warn("no room could be made for the data that the machines share", "cause", err)
	}
	hadNone := wasFull || isFull
	if _, isFull = m.full(); hadNone && !isFull {
		m.config.Log.Info("there is room for the data that the machines share again")
	}
	return isFull
}

// freeSpace removes old data while nothing can be stored, so that something can be again. etcd itself waits
// for an admin then. It takes some calls: the old revisions are removed in the background.
func (m *Member) freeSpace(ctx context.Context) error {
	ids, isFull := m.full()
	if !isFull {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	server := m.etcd.Server
	_, err := server.Compact(ctx, &etcdserverpb.CompactionRequest{Revision: server.KV().Rev()})
	if err != nil && !errors.Is(err, mvcc.ErrCompacted) {
		return err
	}
	limit := m.etcd.Config().QuotaBackendBytes
	// The file does not get smaller by itself. Copying it is worth it only if that gains something.
	if backend := server.Backend(); backend.Size()-backend.SizeInUse() > limit/4 {
		if err := server.Defragment(); err != nil {
			return err
		}
	}
	for _, id := range ids {
		isOwn, isGone := id == server.MemberID(), server.Cluster().Member(id) == nil
		if isOwn && server.Backend().Size() < limit*3/4 || isGone {
			request := &etcdserverpb.AlarmRequest{
				Action:   etcdserverpb.AlarmRequest_DEACTIVATE,
				MemberID: uint64(id),
				Alarm:    etcdserverpb.AlarmType_NOSPACE,
			}
			if _, err := server.Alarm(ctx, request); err != nil {
				return err
			}
		}
	}
	return nil
}
