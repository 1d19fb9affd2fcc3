// Package systemd has the tests of the unit files beside it.
package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// installed is where the unit has the program.
const installed = "/usr/local/bin/plugin-oauth"

// unitsFor copies the units to a folder, with the path of a program that is there, and returns their paths.
func unitsFor(t *testing.T) (paths []string) {
	t.Helper()
	program, err := testkit.Build()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, name := range []string{"plugin-oauth.service", "plugin-oauth.socket"} {
		unit, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, name)
		copied := strings.ReplaceAll(string(unit), "="+installed+" ", "="+program+" ")
		if err := os.WriteFile(path, []byte(copied), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// analyze runs systemd-analyze and returns what it prints. Without it the test is skipped, or with
// SYSTEMD_TEST=required fails.
func analyze(t *testing.T, args ...string) (printed string, err error) {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		testkit.Missing(t, "SYSTEMD_TEST", "this machine has no systemd-analyze")
	}
	output, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(output), err
}

// systemd reads the units, and has nothing to say about them.
func TestUnits(t *testing.T) {
	t.Parallel()
	paths := unitsFor(t)
	printed, err := analyze(t, append([]string{"verify", "--man=no"}, paths...)...)
	if err != nil || printed != "" {
		t.Errorf("%v\n%s", err, printed)
	}
}

// systemd's own measure of what a service may do, from 0 to 10, stays where it is.
func TestHardening(t *testing.T) {
	t.Parallel()
	paths := unitsFor(t)
	printed, err := analyze(t, "security", "--offline=yes", "--threshold=15", paths[0])
	if err != nil {
		t.Errorf("%v\n%s", err, printed)
	}
}
