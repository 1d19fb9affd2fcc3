package hooks

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sqlite"
)

// disk keeps the data folder within bounds, and the service going when there is no room.
type disk struct {
	app     core.App
	log     *logStore
	reserve reserve
	health  *health
}

func newDisk(app core.App, table *sqlite.Table, now func() time.Time) *disk {
	return &disk{
		app:     app,
		log:     &logStore{app: app},
		reserve: reserve{path: filepath.Join(app.DataDir(), reserveName)},
		health: &health{now: now, check: func(ctx context.Context) error {
			// The database may have room inside that is used up by the next login.
			if err := probeRoom(app.DataDir()); err != nil {
				return err
			}
			return table.CheckWritable(ctx)
		}},
	}
}

// bindDisk bounds the log and trims it, so that the rest of the start has room.
func (s *server) bindDisk(e *core.ServeEvent) error {
	s.disk.log.bind()
	e.App.OnBackupCreate().BindFunc(func(e *core.BackupEvent) error {
		e.Exclude = append(e.Exclude, reserveName, probeName, lockName, restoringName, clusterName)
		for _, prefix := range []string{asidePrefix, resetPrefix} {
			kept, err := filepath.Glob(filepath.Join(e.App.DataDir(), prefix+"*"))
			if err != nil {
				return err
			}
			for _, path := range kept {
				e.Exclude = append(e.Exclude, filepath.Base(path))
			}
		}
		return e.Next()
	})
	e.App.OnBackupRestore().BindFunc(func(e *core.BackupEvent) error {
		e.Exclude = append(e.Exclude, clusterName)
		return e.Next()
	})
	if err := s.disk.log.trim(); err != nil {
		s.log.Error("the log of the dashboard cannot be trimmed; make room on the disk", "cause", err.Error())
	}
	if err := s.disk.health.probe(); isFull(err) {
		s.makeRoom()
	}
	return nil
}

// sweepSessions sweeps the sessions. On a full disk not even a deletion is possible until there is room for
// SQLite's write-ahead log.
func (s *server) sweepSessions(ctx context.Context) (session.Swept, error) {
	swept, err := s.sessions.Sweep(ctx)
	if !sqlite.IsFull(err) {
		return swept, err
	}
	s.makeRoom()
	again, err := s.sessions.Sweep(ctx)
	swept.Expired += again.Expired
	swept.Removed += again.Removed
	return swept, err
}

// makeRoom gives up the reserve and the space that the databases do not need.
func (s *server) makeRoom() {
	released := s.disk.reserve.release()
	err := errors.Join(sqlite.Checkpoint(s.app.NonconcurrentDB()), s.disk.log.trim())
	cause := "none"
	if err != nil {
		cause = err.Error()
	}
	s.log.Error("the disk with the data folder is full; make room on it, or choose a folder on another disk "+
		"with --dir", "reserveGivenUp", released, "cause", cause)
}

// sweepLog trims the log and says what it left out. It restores the reserve if the disk has room for it.
func (s *server) sweepLog() {
	s.logOmitted()
	if err := s.disk.log.trim(); err != nil {
		s.log.Error("the log of the dashboard cannot be trimmed; make room on the disk", "cause", err.Error())
	}
	// If it cannot be made, the sweep works without it as long as the disk is not full, and the doctor says
	// that there is little space.
	_ = s.disk.reserve.fill()
}
