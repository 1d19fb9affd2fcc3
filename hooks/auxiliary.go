package hooks

import (
	"sync/atomic"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/session/sqlite"
)

const (
	// maxLog bounds PocketBase's log, auxiliary.db, in bytes. It is also what a VACUUM holds in memory.
	maxLog = 16 << 20
	// minLog is what is left of the log if the disk has no room for the VACUUM of a larger one.
	minLog = 1 << 20
	// maxLogPerSweep bounds the lines that PocketBase's log takes between two sweeps, whoever writes them.
	maxLogPerSweep = 2000
	// maxTrim is how long one trim may take. The next sweep goes on.
	maxTrim = 10 * time.Second
)

// logStore is the table of PocketBase's log. PocketBase itself deletes from it by age alone, and never gives
// space back to the disk.
type logStore struct {
	app   core.App
	lines atomic.Int64 // since the last sweep
}

// bind drops the lines beyond what may be written between two sweeps.
func (l *logStore) bind() {
	l.app.OnModelCreate(core.LogsTableName).BindFunc(func(e *core.ModelEvent) error {
		if l.lines.Add(1) > maxLogPerSweep {
			return nil
		}
		return e.Next()
	})
}

// trim deletes the oldest lines until the log is within its bound, and gives the space back to the disk. If
// the disk has no room to do that, it deletes nearly all of them.
func (l *logStore) trim() error {
	l.lines.Store(0)
	until := time.Now().Add(maxTrim)
	err := l.deleteOldest(maxLog, until)
	if err == nil {
		err = l.vacuum()
	}
	if !sqlite.IsFull(err) {
		return err
	}
	if err := sqlite.Checkpoint(l.app.AuxNonconcurrentDB()); err != nil {
		return err
	}
	if err := l.deleteOldest(minLog, until); err != nil {
		return err
	}
	return l.vacuum()
}

// deleteOldest deletes the oldest lines until the others take no more than this number of bytes.
func (l *logStore) deleteOldest(limit int64, until time.Time) error {
	for time.Now().Before(until) {
		used, _, err := l.size()
		if err != nil || used <= limit {
			return err
		}
		const deleteSome = `DELETE FROM _logs
			WHERE rowid IN (SELECT rowid FROM _logs ORDER BY rowid LIMIT 500)`
		result, err := l.app.AuxNonconcurrentDB().NewQuery(deleteSome).Execute()
		if err != nil {
			return err
		}
		if deleted, err := result.RowsAffected(); err != nil || deleted == 0 {
			return err
		}
	}
	return nil
}

// vacuum shrinks the file if a good part of it is free.
func (l *logStore) vacuum() error {
	_, free, err := l.size()
	if err != nil || free < maxLog/4 {
		return err
	}
	if err := l.app.AuxVacuum(); err != nil {
		return err
	}
	return sqlite.Checkpoint(l.app.AuxNonconcurrentDB())
}

// size returns the bytes of the file that are used, and those that are free.
func (l *logStore) size() (used, free int64, err error) {
	var pages, freePages, pageSize int64
	for pragma, value := range map[string]*int64{
		"page_count": &pages, "freelist_count": &freePages, "page_size": &pageSize,
	} {
		query := l.app.AuxNonconcurrentDB().NewQuery("PRAGMA " + pragma)
		if err := query.Row(value); err != nil {
			return 0, 0, err
		}
	}
	return (pages - freePages) * pageSize, freePages * pageSize, nil
}
