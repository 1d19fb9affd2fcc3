package hooks

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/session/sqlite"
	"plugin-oauth/internal/testkit"
)

// smallDisk returns a migrated data folder on a disk of its own, with this number of MB. It needs the right
// to mount one.
func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	mounted := t.TempDir()
	if err := syscall.Mount("none", mounted, "tmpfs", 0, "size="+size+"m"); err != nil {
		if os.Geteuid() == 0 {
			t.Fatalf("no disk can be mounted: %v", err)
		}
		t.Skipf("only root can mount a disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mounted, 0); err != nil {
			t.Error(err)
		}
	})
	dir = filepath.Join(mounted, "pb_data")
	if err := os.CopyFS(dir, os.DirFS(testkit.MigratedDir(t))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// serveIn starts the service on a data folder, and returns a function that stops it.
func serveIn(t *testing.T, dir string, edit func(*Config)) (s *testServer, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	backend := testkit.NewBackend(t, "http://"+listener.Addr().String())
	s = &testServer{}
	app, err := testkit.Start(testkit.Options{
		Dir: dir, Listener: listener, Connect: sqlite.Connect,
		Register: func(app core.App) error {
			config := Config{Plugin: testPlugin(backend), AuthorizeRateLimit: RateLimit{Requests: -1},
				Log: slog.DiscardHandler}
			edit(&config)
			backend.Provider.Knows(config.withDefaults().Plugin.Client)
			return register(app, config, func(started *server) { s.server = started })
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = &testkit.Server{Backend: backend, App: app.App}
	return s, func() {
		t.Helper()
		if err := app.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// fillDisk writes until the disk is full, and returns the file.
func fillDisk(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(filepath.Dir(dir), "filler")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
	}
	return path
}

// On a full disk the service says that it cannot write, and the sweep still frees space, so that logins can
// begin again while the disk is as full as before.
func TestSweepOnFullDisk(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	dir := smallDisk(t, "48")
	s, stop := serveIn(t, dir, clock.setIn)
	defer stop()
	for range 2000 {
		s.Authorize()
	}
	s.server.sweep()
	if info, err := os.Stat(s.server.disk.reserve.path); err != nil || info.Size() != reserveSize {
		t.Fatalf("there is no reserve: %v", err)
	}
	filler := fillDisk(t, dir)
	full := false
	for range 20_000 {
		if full = s.Post("/authorize").Status != http.StatusOK; full {
			break
		}
	}
	clock.move(probeInterval)
	if got := s.Get("/api/health"); !full || got.Status != http.StatusServiceUnavailable {
		t.Fatalf("full: %v; health: %d %s", full, got.Status, got.Body)
	}
	before := s.countSessions("true")
	clock.move(2 * time.Hour)
	s.server.sweep()
	if after := s.countSessions("true"); after != 0 {
		t.Errorf("%d of %d rows are left", after, before)
	}
	if got := s.Get("/api/health"); got.Status != http.StatusOK {
		t.Errorf("health after the sweep: %d %s", got.Status, got.Body)
	}
	page, readKey := s.Login()
	s.ExpectPage("login", page, http.StatusOK, "You are signed in")
	s.expectTokens(readKey)
	s.server.sweep()
	if _, err := os.Stat(s.server.disk.reserve.path); err == nil {
		t.Error("the reserve takes the room that the service needs")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.server.sweep()
	if _, err := os.Stat(s.server.disk.reserve.path); err != nil {
		t.Errorf("the reserve does not come back: %v", err)
	}
}

// A disk that is full to the last byte has room after the next start: from the reserve, or else from the log
// that an earlier version has let grow.
func TestStartOnFullDisk(t *testing.T) {
	t.Parallel()
	for name, reserved := range map[string]bool{"log of an earlier version": false, "reserve": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := smallDisk(t, "96")
			app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir, DBConnect: sqlite.Connect})
			if err := testkit.Bootstrap(app); err != nil {
				t.Fatal(err)
			}
			fillLog(t, app, 2500)
			if err := app.ClearBootstrap(); err != nil {
				t.Fatal(err)
			}
			if reserved {
				if err := (reserve{path: filepath.Join(dir, reserveName)}).fill(); err != nil {
					t.Fatal(err)
				}
			}
			fillDisk(t, dir)
			p := testkit.NewProcess(t)
			p.Dir = filepath.Dir(dir)
			p.Start()
			defer p.Terminate()
			page, _ := p.Login()
			p.ExpectPage("login", page, http.StatusOK, "You are signed in")
			if got := p.Get("/api/health"); got.Status != http.StatusOK {
				t.Errorf("health: %d %s", got.Status, got.Body)
			}
			if !strings.Contains(p.Out.String(), "is full") && !strings.Contains(p.Out.String(), "was full") {
				t.Errorf("printed %s", p.Out)
			}
			info, err := os.Stat(filepath.Join(dir, "auxiliary.db"))
			if err != nil || info.Size() > maxLog+maxLog/4 {
				t.Errorf("the log has %d bytes, %v", info.Size(), err)
			}
		})
	}
}

// The reserve does not take the last room of a disk.
func TestReserveLeavesRoom(t *testing.T) {
	t.Parallel()
	reserve := reserve{path: filepath.Join(smallDisk(t, "14"), reserveName)}
	if err := reserve.fill(); !isFull(err) {
		t.Errorf("made: %v", err)
	}
	if _, err := os.Stat(reserve.path); err == nil {
		t.Error("a part of it stays")
	}
}
