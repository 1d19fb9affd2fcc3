package hooks

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/internal/testkit"
)

// fileSize returns the bytes of a file in the data folder, with its write-ahead log.
func fileSize(t *testing.T, app core.App, name string) (bytes int64) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(filepath.Join(app.DataDir(), name+suffix))
		if err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// fillLog writes lines of 16 KB past all bounds.
func fillLog(t *testing.T, app core.App, lines int) {
	t.Helper()
	query := app.AuxNonconcurrentDB().NewQuery(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {:lines})
		INSERT INTO _logs (message, data) SELECT 'line ' || i, {:data} FROM n`)
	params := dbx.Params{"lines": lines, "data": `"` + strings.Repeat("x", 16<<10) + `"`}
	_, err := query.Bind(params).Execute()
	if err != nil {
		t.Fatal(err)
	}
}

// However much is written to PocketBase's log, the next sweep deletes the oldest lines, and the file gives
// the space back.
func TestLogIsTrimmed(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const lines = 3000 // 49 MB
	fillLog(t, s.App, lines)
	if size := fileSize(t, s.App, "auxiliary.db"); size < 40<<20 {
		t.Fatalf("it has only %d bytes", size)
	}
	// On a slow machine one sweep may not get to the end, and the next goes on.
	eventually(t, "the file is small again", func() bool {
		s.server.sweep()
		return fileSize(t, s.App, "auxiliary.db") <= maxLog+maxLog/4
	})
	var first, last int
	query := s.App.AuxDB().NewQuery(`SELECT min(substr(message, 6) + 0), max(substr(message, 6) + 0)
		FROM _logs WHERE message LIKE 'line %'`)
	if err := query.Row(&first, &last); err != nil || first < lines/2 || last != lines {
		t.Errorf("left are the lines %d to %d, %v", first, last, err)
	}
}

// A log that an earlier version has let grow is trimmed at the start.
func TestLogIsTrimmedAtStart(t *testing.T) {
	t.Parallel()
	dir := testkit.MigratedDir(t)
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	if err := testkit.Bootstrap(app); err != nil {
		t.Fatal(err)
	}
	fillLog(t, app, 4000)
	if err := app.ClearBootstrap(); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, err := testkit.Start(testkit.Options{
		Dir: dir, Listener: listener,
		Register: func(app core.App) error { return Register(app, Config{}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if size := fileSize(t, started.App, "auxiliary.db"); size > maxLog+maxLog/4 {
		t.Errorf("it still has %d bytes", size)
	}
}

// Between two sweeps the log takes a bounded number of lines, whoever writes them.
func TestLogIsBoundedBetweenSweeps(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	count := func() (lines int) {
		s.Logged() // writes what waits in memory
		if err := s.App.AuxDB().NewQuery("SELECT count(*) FROM _logs").Row(&lines); err != nil {
			t.Fatal(err)
		}
		return lines
	}
	s.server.sweep()
	for range 2 * maxLogPerSweep {
		s.App.Logger().Error("PocketBase complains")
	}
	eventually(t, "all lines have come", func() bool {
		s.Logged()
		return s.server.disk.log.lines.Load() >= 2*maxLogPerSweep
	})
	full := count()
	if full < maxLogPerSweep || full > maxLogPerSweep+100 { // some were there before the sweep
		t.Errorf("%d lines", full)
	}
	s.server.sweep()
	s.App.Logger().Error("PocketBase complains")
	eventually(t, "it takes lines again", func() bool { return count() > full })
}
