//go:build unix

package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// The commands that install the units run as they stand, but in a folder that stands for the machine, and
// with a systemctl that only says what it was asked. What they install fits together.
func TestSystemd(t *testing.T) {
	t.Parallel()
	c, machine := newClean(t), t.TempDir()
	program, err := testkit.Build()
	if err == nil {
		err = os.Symlink(program, filepath.Join(c.clone(), "plugin-oauth"))
	}
	if err != nil {
		t.Fatal(err)
	}
	settings := []byte(c.blockIn("ini", "docs/systemd.md", "PUBLIC_URL"))
	if err := os.WriteFile(filepath.Join(c.clone(), ".env"), settings, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"/usr/local/bin", "/etc/systemd/system"} {
		if err := os.MkdirAll(machine+folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	onMachine := func(commands string) string {
		commands = strings.NewReplacer(" /usr/", " "+machine+"/usr/", " /etc/", " "+machine+"/etc/").
			Replace(commands)
		return c.output("sudo() { \"$@\"; }\nsystemctl() { echo systemctl \"$@\"; }\n" + commands)
	}
	const page, install = "docs/systemd.md", "sudo install -m 755 plugin-oauth /usr/local/bin/\n"
	printed := onMachine(c.block(page, install+"sudo install"))
	const want = "systemctl daemon-reload\n" +
		"systemctl enable --now plugin-oauth.socket plugin-oauth.service\n"
	if printed != want {
		t.Errorf("the commands print\n%s", printed)
	}
	expectInstalled(t, machine)
	printed = onMachine(c.block(page, install+"sudo systemctl"))
	if printed != "systemctl restart plugin-oauth.service\n" {
		t.Errorf("a new version prints\n%s", printed)
	}
}

// expectInstalled checks that the files are where they look for each other.
func expectInstalled(t *testing.T, machine string) {
	t.Helper()
	for path, mode := range map[string]os.FileMode{
		"/usr/local/bin/plugin-oauth":              0o755,
		"/etc/systemd/system/plugin-oauth.service": 0o644,
		"/etc/systemd/system/plugin-oauth.socket":  0o644,
		"/etc/plugin-oauth.env":                    0o600,
	} {
		if info, err := os.Stat(machine + path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	unit, err := os.ReadFile(machine + "/etc/systemd/system/plugin-oauth.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"ExecStart=/usr/local/bin/plugin-oauth serve --dir /var/lib/plugin-oauth\n",
		"EnvironmentFile=/etc/plugin-oauth.env\n", "StateDirectory=plugin-oauth\n",
	} {
		if !strings.Contains(string(unit), line) {
			t.Errorf("the unit has no line %s", line)
		}
	}
}
