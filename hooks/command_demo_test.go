package hooks

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"plugin-oauth/internal/testkit"
)

// Where the demo is not beside the program, the command says where it is.
func TestDemoCommandAlone(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	out, code := p.Run("demo", "-once")
	if code != 1 || !strings.Contains(out, "npx plugin-oauth demo") || strings.Count(out, "\n") != 1 {
		t.Errorf("exit %d\n%s", code, out)
	}
	if entries, err := os.ReadDir(p.Dir); err != nil || len(entries) != 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// The demo beside the program runs in its place: with its arguments, its signals and its exit code.
func TestDemoCommand(t *testing.T) {
	t.Parallel()
	built, err := testkit.Build()
	if err != nil {
		t.Fatal(err)
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	dir, p := t.TempDir(), testkit.NewProcess(t)
	program := filepath.Join(dir, "plugin-oauth")
	p.Path = filepath.Join(p.Dir, "linked")
	for link, err := range map[string]error{
		"program": os.Link(built, program),
		"demo":    os.Symlink(shell, program+"-demo"),
		"linked":  os.Symlink(program, p.Path),
	} {
		if err != nil {
			t.Fatalf("%s: %v", link, err)
		}
	}

	if out, code := p.Run("demo", "-c", "echo $0 >&2; exit 3", "--dir"); code != 3 || out != "--dir\n" {
		t.Errorf("exit %d\n%s", code, out)
	}
	if out, code := p.Run("demo", "-c", "kill -KILL $$"); code != 128+9 || out != "" {
		t.Errorf("exit %d\n%s", code, out)
	}

	command := exec.CommandContext(t.Context(), p.Path, "demo", "-c", "echo ready; exec sleep 60")
	printed, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(printed).ReadString('\n'); line != "ready\n" {
		t.Fatalf("it printed %q, %v", line, err)
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _ = command.Wait(); command.ProcessState.ExitCode() != 128+15 {
		t.Errorf("it ended with %s", command.ProcessState)
	}
}
