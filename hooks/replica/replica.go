// Package replica keeps the plugins of the dashboard, its admins with their second factors, and the options
// of the collection of admins equal on several machines. etcd decides, and each machine's SQLite is a copy:
// everything that reads there goes on as before, and needs no majority.
//
//   - A save is a transaction of etcd inside the transaction of SQLite. It succeeds if the row here is the
//     one that etcd has; slugs and addresses are reserved in the same transaction.
//   - The other machines see it in their watch, and write the row as it is: its secret is sealed already.
//   - A start compares the two before anything is served. What has changed in etcd is taken over. What has
//     changed here alone is brought there: the commands superuser and rekey write to SQLite. If both have
//     changed, etcd's counts, and the log says so.
//
// What a machine has that etcd has never seen is added, so it does not matter which machine comes first; but
// see formation.go.
package replica

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/pocketbase/pocketbase/core"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/internal/etcdtry"
)

// Options are the settings of a [Replica].
type Options struct {
	// Machine names this process among those that share the records.
	Machine string
	// Machines is how many there are. Zero means one.
	Machines int
	// Changed is told the ids of plugins that another machine has changed or deleted, when that is stored
	// here. Nil: nobody is told.
	Changed func(ids []string)
	// Latest returns when something last happened here. Of machines with copies of the same data, the one
	// that has gone on comes first. Nil: that is not known.
	Latest func(ctx context.Context) (time.Time, error)
	// First is called on the machine that comes first in a new cluster, when it has brought its records and
	// before the others go on. Whatever else it brings, it writes as long as the condition holds: nobody has
	// gone on yet. It may be called again if the machine is killed meanwhile. Nil: nothing is called.
	First func(ctx context.Context, isNew clientv3.Cmp) error
	// Log is told what the admin should know.
	Log *slog.Logger
}

// timing says how long things may take.
type timing struct {
	save     time.Duration // all tries of a save
	relist   time.Duration // from an interruption of the watch to the next list
	scan     time.Duration // how often it is looked whether a command has changed an admin
	greeting time.Duration // how long a first start waits for the other machines
	filling  time.Duration // how long it waits for the one that fills the cluster
}

var defaultTiming = timing{
	save:     3 * time.Second,
	relist:   200 * time.Millisecond,
	scan:     2 * time.Second,
	greeting: 5 * time.Second,
	filling:  time.Minute,
}

// Replica is this machine's copy of the records. Make it with [Start].
type Replica struct {
	app     core.App
	kv      etcdtry.KV
	watcher clientv3.Watcher
	options Options
	timing  timing

	stop    context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	undos map[*core.TxAppInfo][]change // of what transactions have changed in etcd that go on
}

// Start makes the records here and those in etcd equal, and keeps them so until Close is called. Call it when
// the tables are there, before anything is served or saved. It waits for a majority until the context ends.
func Start(ctx context.Context, app core.App, client *clientv3.Client, options Options) (*Replica, error) {
	return start(ctx, app, client, options, defaultTiming)
}

func start(
	ctx context.Context, app core.App, client *clientv3.Client, options Options, timing timing,
) (*Replica, error) {
	r := &Replica{
		app:     app,
		kv:      etcdtry.KV{KV: client.KV},
		watcher: client.Watcher,
		options: options,
		timing:  timing,
		undos:   map[*core.TxAppInfo][]change{},
	}
	if err := makeSeenTable(app); err != nil {
		return nil, err
	}
	revisions, err := r.enter(ctx)
	if err != nil {
		return nil, err
	}
	r.bind()
	running, stop := context.WithCancel(context.Background())
	r.stop = stop
	for i, k := range kinds {
		r.running.Go(func() { r.follow(running, k, revisions[i]) })
	}
	r.running.Go(func() { r.scan(running) })
	return r, nil
}

// Close ends the copying. What is saved from then on reaches the other machines, but nothing of theirs comes
// here. The client stays open.
func (r *Replica) Close() {
	r.stop()
	r.running.Wait()
}
