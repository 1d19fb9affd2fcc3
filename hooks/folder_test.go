//go:build unix

package hooks

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// expectPrivate checks that nobody but the owner has any right to the data folder and what is in it.
func expectPrivate(t *testing.T, folder string, atLeast int) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		found++
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s is %s", path, info.Mode())
		}
		return nil
	})
	if err != nil || found < atLeast {
		t.Errorf("%d files, %v", found, err)
	}
}

// withUmask makes the program start as in a shell with an open umask.
func withUmask(t *testing.T, p *testkit.Process) {
	t.Helper()
	program, err := testkit.Build()
	if err != nil {
		t.Fatal(err)
	}
	p.Path = filepath.Join(t.TempDir(), "open")
	script := fmt.Sprintf("#!/bin/sh\numask 022\nexec '%s' \"$@\"\n", program)
	if err := os.WriteFile(p.Path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
}

// The data folder and what the service puts into it are made for the owner only, and backups are too. Other
// commands make none, and tighten the one that they find.
func TestDataFolderIsPrivate(t *testing.T) {
	t.Parallel()
	t.Run("serve", func(t *testing.T) {
		t.Parallel()
		p := testkit.NewProcess(t)
		p.Env = append(p.Env, testkit.SuperuserEnv()...)
		withUmask(t, p)
		p.Start()
		p.Login()
		folder := filepath.Join(p.Dir, "pb_data")
		if err := os.WriteFile(filepath.Join(folder, reserveName), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		got := p.Request(http.MethodPost, "/api/backups", `{"name":"backup.zip"}`, p.Admin(), asJSON)
		if got.Status != http.StatusNoContent {
			t.Fatalf("backup: %d %s", got.Status, got.Body)
		}
		backup, err := zip.OpenReader(filepath.Join(folder, "backups", "backup.zip"))
		if err != nil {
			t.Fatal(err)
		}
		defer backup.Close()
		if _, err := backup.Open(reserveName); err == nil {
			t.Error("the reserve is in the backup")
		}
		expectPrivate(t, folder, 7)
		if strings.Contains(p.Out.String(), "could read") {
			t.Errorf("a new folder is complained of:\n%s", p.Out)
		}
	})
	t.Run("superuser", func(t *testing.T) {
		t.Parallel()
		p := testkit.NewProcess(t)
		withUmask(t, p)
		folder := filepath.Join(p.Dir, "pb_data")
		if err := os.CopyFS(folder, os.DirFS(testkit.MigratedDir(t))); err != nil {
			t.Fatal(err)
		}
		out, code := p.Run("superuser", "upsert", "a@plugin.example", "long enough", "--dir", "pb_data")
		if code != 0 || !strings.Contains(out, "others on this machine could read pb_data") {
			t.Fatal(out)
		}
		expectPrivate(t, folder, 3)
	})
}

// A folder that an earlier version has made is tightened at the start, backups included, with a line that
// says so once. What the service did not make is left alone.
func TestDataFolderIsTightened(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	folder := filepath.Join(p.Dir, "pb_data")
	if err := os.CopyFS(folder, os.DirFS(testkit.MigratedDir(t))); err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(folder, "notes.txt")
	backup := filepath.Join(folder, "backups", "old.zip")
	if err := os.MkdirAll(filepath.Dir(backup), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{theirs, backup} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			return os.Chmod(path, 0o755)
		}
		if err == nil {
			return os.Chmod(path, 0o644)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, complaints := range []int{1, 0} {
		p.Out = &testkit.Printed{}
		p.Start()
		if got := strings.Count(p.Out.String(), "could read "); got != complaints {
			t.Errorf("%d lines, want %d:\n%s", got, complaints, p.Out)
		}
		p.Terminate()
	}
	info, err := os.Stat(theirs)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("a file of somebody else is %s, %v", info.Mode(), err)
	}
	if err := os.Remove(theirs); err != nil {
		t.Fatal(err)
	}
	expectPrivate(t, folder, 5)
}
