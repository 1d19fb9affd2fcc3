package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/etcd"
	"plugin-oauth/hooks/session/sqlite"
)

// bringSessions lets the sign-ins that are under way on this machine go on on all machines of a new cluster.
// The log says so.
func (m *membership) bringSessions(
	ctx context.Context, own *sqlite.Table, config Config, isNew clientv3.Cmp,
) error {
	underWay := 0
	now := config.timing.now()
	err := own.MoveOut(ctx, now, func(some []session.Moved) error {
		held, err := etcd.MoveIn(ctx, m.member.Client(), config.Cluster.Name, some, isNew)
		if err == nil && !held {
			err = errNotFirst
		}
		underWay += countUnderWay(some, now)
		return err
	})
	switch {
	case errors.Is(err, errNotFirst):
		m.log.Warn("another machine was faster, so the sign-ins that were under way here end")
		return nil
	case err != nil:
		return fmt.Errorf("the sign-ins that are under way cannot be brought to the other machines: %w", err)
	case underWay > 0:
		m.log.Info("the sign-ins that were under way here go on on all machines", "count", underWay)
	}
	return nil
}

var errNotFirst = errors.New("another machine comes first")

// countUnderWay counts the sessions that wait for the person or for the plugin.
func countUnderWay(sessions []session.Moved, now time.Time) (count int) {
	for _, moved := range sessions {
		waits := moved.Status == session.StatusPending || moved.Status == session.StatusReady
		if waits && now.Before(moved.Expires) {
			count++
		}
	}
	return count
}

// leftName is the folder in the data folder that was a machine's part in a cluster, until it is deleted.
const leftName = ".left-cluster"

// leaveCluster makes a machine that starts without CLUSTER, and was in one, go on alone, with the sign-ins
// that were under way there. Its part of the cluster is deleted then: what becomes of the sign-ins stands in
// SQLite from now on. It fails if another machine runs, which could give the same tokens.
func leaveCluster(app core.App, now time.Time, log *slog.Logger) error {
	folder, left := filepath.Join(app.DataDir(), clusterName), filepath.Join(app.DataDir(), leftName)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	brought, err := leaveWithSessions(ctx, folder, app.NonconcurrentDB(), now)
	run, othersRun := errors.AsType[errOthersRun](err)
	switch {
	case othersRun:
		return fmt.Errorf("this machine was in a cluster, and others of it run: %w. Set CLUSTER again, and "+
			"it takes part. To go on without them, stop them first; or delete %s, and the sign-ins that "+
			"are under way stay with them", run, folder)
	case err != nil:
		log.Error("this machine was in a cluster, and the sign-ins that were under way there cannot be "+
			"read, so they end. Delete the folder; nothing else is lost",
			"folder", folder, "cause", err.Error())
		return nil
	}
	log.Info("this machine was in a cluster, and goes on alone; sign-ins that were under way go on",
		"count", brought.underWay)
	if brought.ended > 0 {
		log.Warn("the other machines may have gone on after this one, so the tokens that waited here are "+
			"not given; people start again", "count", brought.ended)
	}
	// Nothing of it may count again, not even if it cannot be deleted as a whole.
	if err := os.Rename(folder, left); err != nil {
		return fmt.Errorf("the part that this machine had in a cluster cannot be moved; delete %s: %w",
			folder, err)
	}
	return os.RemoveAll(left)
}

// leaveTime bounds how long the part of a cluster is read.
const leaveTime = time.Minute

// errOthersRun says which other machines run.
type errOthersRun []string

// Error returns their names.
func (r errOthersRun) Error() string { return strings.Join(r, ", ") }

// leaveWithSessions stores in a database what was under way in the cluster of which a folder has a part. It
// fails with errOthersRun.
func leaveWithSessions(
	ctx context.Context, folder string, db dbx.Builder, now time.Time,
) (broughtAlong, error) {
	remains, err := cluster.OpenRemains(ctx, folder)
	if errors.Is(err, cluster.ErrNoRemains) {
		return broughtAlong{}, nil
	}
	if err != nil {
		return broughtAlong{}, err
	}
	if running := remains.Running(ctx); len(running) > 0 {
		return broughtAlong{}, errors.Join(errOthersRun(running), remains.Close())
	}
	brought, err := takeSessionsAlong(ctx, remains, db, now)
	return brought, errors.Join(err, remains.Close())
}

// broughtAlong says what has become of the sign-ins that were under way in a cluster.
type broughtAlong struct {
	underWay int // go on
	ended    int // had tokens that another machine may have given
}

// takeSessionsAlong stores in a database what was under way in a cluster, as far as this machine knows.
func takeSessionsAlong(
	ctx context.Context, remains *cluster.Remains, db dbx.Builder, now time.Time,
) (brought broughtAlong, err error) {
	knowsAll, err := remains.KnowsAll(ctx)
	if err != nil {
		return brought, err
	}
	err = etcd.MoveOut(ctx, remains.Client, func(some []session.Moved) error {
		for i, moved := range some {
			if knowsAll {
				continue
			}
			some[i] = moved.WithoutTokens()
			if some[i].Status != moved.Status && now.Before(moved.Expires) {
				brought.ended++
			}
		}
		brought.underWay += countUnderWay(some, now)
		return sqlite.MoveIn(ctx, db, some, now)
	})
	return brought, err
}
