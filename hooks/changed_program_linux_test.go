//go:build faults

package hooks

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// change is another text in a file of the program, or of Go's library. The old text stands there once.
type change struct{ file, old, new string }

// library is how the names of the files of Go's library begin.
const library = "GOROOT/"

// changedProgram builds the program with some changes, and returns its path. All else is the program as it is
// released.
func changedProgram(t *testing.T, changes ...change) (path string) {
	t.Helper()
	dir := t.TempDir()
	output, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	// By another name: the go command changes no file in the cache of modules, where Go itself may be.
	goroot := filepath.Join(dir, "goroot")
	if err := os.Symlink(strings.TrimSpace(string(output)), goroot); err != nil {
		t.Fatal(err)
	}
	overlay := struct{ Replace map[string]string }{Replace: map[string]string{}}
	for _, c := range changes {
		file, err := filepath.Abs(filepath.Join("..", c.file))
		if name, isLibrary := strings.CutPrefix(c.file, library); isLibrary {
			file = filepath.Join(goroot, name)
		}
		var content []byte
		if err == nil {
			content, err = os.ReadFile(file)
		}
		if err != nil {
			t.Fatal(err)
		}
		if count := strings.Count(string(content), c.old); count != 1 {
			t.Fatalf("%s has %q %d times", c.file, c.old, count)
		}
		changed := filepath.Join(dir, strings.ReplaceAll(c.file, "/", "-"))
		overlay.Replace[file] = changed
		text := strings.Replace(string(content), c.old, c.new, 1)
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listed, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), listed, 0o600); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "plugin-oauth")
	build := exec.Command(filepath.Join(goroot, "bin", "go"), "build", "-trimpath", "-ldflags=-s -w",
		"-overlay", filepath.Join(dir, "overlay.json"), "-o", path, "plugin-oauth")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOROOT="+goroot, "GOTOOLCHAIN=local")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return path
}
