package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
)

const (
	// copyAfter is how long the copier waits for more changes, so that the copy is written in batches, and of
	// most logins once for all of their steps. A report does not wait: see [Table.AwaitCopy].
	copyAfter = time.Second
	// copyAtMost bounds the changes that wait to be written.
	copyAtMost = 2000
	// copyAgainAfter is how long the copier waits after an error, of etcd or of the copy. After another one
	// it waits for twice as long, and so on up to copyAgainWithin.
	copyAgainAfter  = time.Second
	copyAgainWithin = 30 * time.Second
)

// copier keeps a copy up to date: it reads all rows, and then watches them. It has a watch of its own, so
// that a disk which is slow or full holds up nothing else.
type copier struct {
	table *Table
	to    session.Copy
	asked chan struct{} // has something if somebody waits

	mu      sync.Mutex
	copied  int64         // the revision up to which the copy has everything
	wanted  int64         // the revision that somebody waits for
	changed chan struct{} // closed and replaced when copied has changed
}

var errWatchEnded = errors.New("the watch has ended")

func newCopier(table *Table, to session.Copy) *copier {
	return &copier{table: table, to: to, asked: make(chan struct{}, 1), changed: make(chan struct{})}
}

// follow keeps the copy up to date until the context ends.
func (c *copier) follow(ctx context.Context) {
	wait := copyAgainAfter
	for ctx.Err() == nil {
		revision, err := c.copyAll(ctx)
		if err == nil {
			wait = copyAgainAfter
			c.setCopied(revision)
			err = c.copyChanges(ctx, revision+1)
		}
		if ctx.Err() != nil {
			return
		}
		c.table.options.Log.Warn("the dashboard of this machine does not show all sign-ins at the moment",
			"cause", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, copyAgainWithin)
	}
}

// copyAll brings the copy to a revision. What is under way in the copy and not in etcd has ended while this
// machine was away for too long to know how.
func (c *copier) copyAll(ctx context.Context) (revision int64, err error) {
	living, err := c.to.Living(ctx)
	if err != nil {
		return 0, err
	}
	gone := make(map[string]bool, len(living))
	for _, id := range living {
		gone[id] = true
	}
	revision, err = c.table.readAll(ctx, func(some []entry) error {
		records := make([]session.Record, len(some))
		for i, e := range some {
			records[i] = e.copied()
			delete(gone, e.id)
		}
		return c.to.Store(ctx, records)
	})
	if err != nil {
		return 0, err
	}
	var deleted []session.Record
	for id := range gone {
		deleted = append(deleted, session.Record{ID: id, Deleted: true})
	}
	return revision, c.to.Store(ctx, deleted)
}

// copyChanges copies what changes from a revision on. It returns when the watch breaks off, and when the copy
// cannot be written: then nothing is gathered until it can.
func (c *copier) copyChanges(ctx context.Context, from int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := c.table.watcher.Watch(ctx, rowKeys, clientv3.WithPrefix(), clientv3.WithRev(from))
	waiting := map[string]copyChange{} // by the key
	seen := from - 1
	var due <-chan time.Time
	for {
		select {
		case response, open := <-watched:
			if !open {
				return errWatchEnded
			}
			if err := response.Err(); err != nil {
				return err
			}
			for _, event := range response.Events {
				key := string(event.Kv.Key)
				if event.Type == clientv3.EventTypePut {
					waiting[key] = copyChange{row: event.Kv}
				} else {
					waiting[key] = copyChange{row: waiting[key].row, removed: true}
				}
				seen = event.Kv.ModRevision
			}
			if due == nil {
				due = time.After(copyAfter)
			}
			if len(waiting) < copyAtMost && !c.isWanted(seen) {
				continue
			}
		case <-due:
		case <-c.asked:
			if !c.isWanted(seen) {
				continue
			}
		}
		due = nil
		if err := c.store(ctx, waiting); err != nil {
			return err
		}
		clear(waiting)
		c.setCopied(seen)
	}
}

// copyChange is what has become of a row since the copy was written.
type copyChange struct {
	row     *mvccpb.KeyValue // as it was last; nil: it has not changed
	removed bool             // from etcd
}

func (c *copier) store(ctx context.Context, waiting map[string]copyChange) error {
	if len(waiting) == 0 {
		return nil
	}
	records := make([]session.Record, 0, len(waiting))
	for key, change := range waiting {
		e, readable := newEntry(key, 0), true
		if change.row != nil {
			e, readable = c.table.decode(change.row)
		}
		if readable {
			record := e.copied()
			record.Removed = change.removed
			records = append(records, record)
		}
	}
	return c.to.Store(ctx, records)
}

// isWanted reports whether somebody waits for a revision that has been seen.
func (c *copier) isWanted(seen int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.copied < c.wanted && c.wanted <= seen
}

// setCopied notes that the copy has everything up to a revision.
func (c *copier) setCopied(revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.copied = max(c.copied, revision)
	close(c.changed)
	c.changed = make(chan struct{})
}

// want returns a channel that is closed when the copy has changed, or nil if it has everything up to a
// revision.
func (c *copier) want(revision int64) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.copied > 0 && c.copied >= revision {
		return nil
	}
	c.wanted = max(c.wanted, revision)
	return c.changed
}

// AwaitCopy waits until the copy has all that this process has written or heard of before. It fails when the
// context ends.
func (t *Table) AwaitCopy(ctx context.Context) error {
	if t.copier == nil {
		return nil
	}
	// Not the revision of etcd, which changes with other keys: the copier hears of rows only.
	t.memory.mu.Lock()
	revision := t.memory.learned
	t.memory.mu.Unlock()
	for {
		changed := t.copier.want(revision)
		if changed == nil {
			return nil
		}
		select {
		case t.copier.asked <- struct{}{}:
		default:
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
