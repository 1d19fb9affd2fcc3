package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

// Every connection to data.db commits to the disk and caches little; the log need not survive a power cut.
func TestConnect(t *testing.T) {
	t.Parallel()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: testkit.MigratedDir(t), DBConnect: Connect})
	if err := testkit.Bootstrap(app); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.ClearBootstrap(); err != nil {
			t.Error(err)
		}
	})
	const normal, full = 1, 2
	for _, test := range []struct {
		name        string
		db          any
		synchronous int
	}{
		{name: "writer", db: app.NonconcurrentDB(), synchronous: full},
		{name: "readers", db: app.ConcurrentDB(), synchronous: full},
		{name: "log", db: app.AuxNonconcurrentDB(), synchronous: normal},
	} {
		t.Run(test.name, func(t *testing.T) {
			db, err := database(test.db)
			if err != nil {
				t.Fatal(err)
			}
			for pragma, want := range map[string]any{
				"synchronous": int64(test.synchronous), "cache_size": int64(-2000), "journal_mode": "wal",
				"foreign_keys": int64(1), "busy_timeout": int64(10_000),
			} {
				var got any
				if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
					t.Errorf("%s is %v, %v, want %v", pragma, got, err, want)
				}
			}
		})
	}
}

// The table knows whether what it acknowledges survives a power cut. PocketBase's own connections lose the
// latest commits.
func TestIsDurable(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	if durable, err := s.table.IsDurable(t.Context()); durable || err != nil {
		t.Errorf("with PocketBase's own connections it is durable: %v, %v", durable, err)
	}
	db, err := Connect(filepath.Join(t.TempDir(), "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	table := &Table{writer: &writer{db: db.DB()}}
	if durable, err := table.IsDurable(t.Context()); !durable || err != nil {
		t.Errorf("with Connect it is durable: %v, %v", durable, err)
	}
}
