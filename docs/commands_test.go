//go:build unix

package docs

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/client"
	"plugin-oauth/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// clean is a copy of the repository in which commands run as somebody types them.
type clean struct {
	t *testing.T
	// parent is the folder that the copy, plugin-oauth, is in.
	parent string
}

// newClean copies what a clone has.
func newClean(t *testing.T) clean {
	t.Helper()
	c := clean{t: t, parent: t.TempDir()}
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = ".."
	listed, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.Trim(string(listed), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join("..", name))
		if os.IsNotExist(err) {
			continue // it is deleted, and git does not know yet
		}
		file := filepath.Join(c.clone(), name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(file), 0o755)
		}
		if err == nil {
			err = os.WriteFile(file, content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c clean) clone() string { return filepath.Join(c.parent, "plugin-oauth") }

// block returns the commands of a page that begin so.
func (c clean) block(path, begin string) string {
	c.t.Helper()
	return c.blockIn("sh", path, begin)
}

// blockIn returns the block in a language of a page that begins so.
func (c clean) blockIn(language, path, begin string) string {
	c.t.Helper()
	all := find(c.t, path).blocks()
	i := slices.IndexFunc(all, func(b block) bool {
		return b.language == language && strings.HasPrefix(b.code, begin)
	})
	if i < 0 {
		c.t.Fatalf("%s has no block that begins with %s", path, begin)
	}
	return all[i].code
}

// command is a shell that runs commands in a folder, each of which must succeed. The program plugin-oauth is
// in its path.
func (c clean) command(ctx context.Context, dir, commands string) *exec.Cmd {
	program, err := testkit.Build()
	if err != nil {
		c.t.Fatal(err)
	}
	command := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", commands)
	command.Dir = dir
	command.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	return command
}

// output runs commands to their end, and returns what they print.
func (c clean) output(commands string) string {
	c.t.Helper()
	output, err := c.command(c.t.Context(), c.clone(), commands).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s\n%v\n%s", commands, err, output)
	}
	return string(output)
}

// terminal is one in which commands run that do not end by themselves.
type terminal struct {
	t       *testing.T
	printed *testkit.Printed
	command *exec.Cmd
	ended   chan error
}

// open runs commands in a terminal until the test ends.
func (c clean) open(dir, commands string) *terminal {
	c.t.Helper()
	w := &terminal{
		t:       c.t,
		printed: &testkit.Printed{},
		command: c.command(context.Background(), dir, commands),
		ended:   make(chan error, 1),
	}
	w.command.Stdout, w.command.Stderr = w.printed, w.printed
	w.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := w.command.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { w.ended <- w.command.Wait() }()
	c.t.Cleanup(w.interrupt)
	return w
}

// interrupt presses Ctrl+C, and waits until the commands have ended.
func (w *terminal) interrupt() {
	// For the shell, and what it has started.
	_ = syscall.Kill(-w.command.Process.Pid, syscall.SIGINT)
	select {
	case err := <-w.ended:
		w.ended <- err
	case <-time.After(time.Minute):
		_ = syscall.Kill(-w.command.Process.Pid, syscall.SIGKILL)
		w.t.Errorf("%s\ndoes not end", w.command)
	}
}

// await waits until the commands have printed what is wanted.
func (w *terminal) await(wanted string) {
	w.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !strings.Contains(w.printed.String(), wanted); {
		select {
		case err := <-w.ended:
			w.ended <- err
			w.t.Fatalf("%s\n%v\n%s", w.command, err, w.printed)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s\nprints no %s\n%s", w.command, wanted, w.printed)
		}
	}
}

// start runs commands that do not end by themselves until they print what is wanted, and then until the test
// ends. It returns what they have printed.
func (c clean) start(dir, commands, wanted string) string {
	c.t.Helper()
	w := c.open(dir, commands)
	w.await(wanted)
	return w.printed.String()
}

// The commands of the pages run in a clean folder as they stand, but for addresses: the ports may be taken.
func TestCommands(t *testing.T) {
	t.Parallel()
	c := newClean(t)
	t.Run("providers", func(t *testing.T) {
		printed := c.output(c.block("docs/providers.md", "plugin-oauth providers "))
		for _, want := range []string{"providers. What to paste where", "PROVIDER=notion"} {
			if !strings.Contains(printed, want) {
				t.Errorf("it does not print %s:\n%s", want, printed)
			}
		}
	})
	t.Run("serve", c.testServe)
	t.Run("demo", c.testDemo)
}

// The service starts with the settings of the pages as they stand, once what is blank is filled in.
func TestSettings(t *testing.T) {
	t.Parallel()
	program, err := testkit.Build()
	if err != nil {
		t.Fatal(err)
	}
	blank := regexp.MustCompile(`(?m)^(CLIENT_ID|CLIENT_SECRET)=$`)
	for _, p := range pages(t) {
		for _, block := range p.blocks() {
			if block.language != "ini" {
				continue
			}
			t.Run(block.name(), func(t *testing.T) {
				settings := "PROVIDER=notion\nCLIENT_ID=\nCLIENT_SECRET=\n" +
					"REDIRECT_URI=https://YOUR-APP.fly.dev/redirect\n" + block.code
				settings = blank.ReplaceAllString(settings, "$1=filled-in")
				settings = strings.ReplaceAll(settings, "ENCRYPTION_KEY=\n",
					"ENCRYPTION_KEY=0123456789abcdef0123456789abcdef\n")
				address, err := testkit.FreeAddress()
				if err != nil {
					t.Fatal(err)
				}
				command := &testkit.Command{
					Path:    program,
					Args:    []string{"serve", "--http", address},
					Dir:     t.TempDir(),
					Address: address,
					Output:  &testkit.Printed{},
				}
				env := filepath.Join(command.Dir, ".env")
				if err := os.WriteFile(env, []byte(settings), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := command.Start(); err != nil {
					t.Fatalf("%v\n%s", err, command.Output)
				}
				if code := command.Terminate(); code != 0 {
					t.Errorf("it ended with %d", code)
				}
			})
		}
	}
}

// testServe runs the README's lines for a provider of one's own.
func (c clean) testServe(t *testing.T) {
	c.t = t
	serveLine := c.block("README.md", "./plugin-oauth serve")
	filled := filepath.Join(c.clone(), ".env")
	content := []byte(c.blockIn("ini", "README.md", "PROVIDER=google"))
	address, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	backend := strings.Replace(address, "127.0.0.1", "http://localhost", 1)
	content = bytes.ReplaceAll(content, []byte("http://localhost:8787"), []byte(backend))
	blank := regexp.MustCompile(`(?m)^(CLIENT_ID|CLIENT_SECRET)=$`)
	content = blank.ReplaceAll(content, []byte("$1=filled-in"))
	if err := os.WriteFile(filled, content, 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := testkit.Build()
	if err == nil {
		err = os.Symlink(program, filepath.Join(c.clone(), "plugin-oauth"))
	}
	if err != nil {
		t.Fatal(err)
	}
	serveLine = strings.Replace(serveLine, "serve ", "serve --http "+address+" ", 1)
	c.start(c.clone(), serveLine, backend+"/_/")
}

// testDemo runs the README's lines for the demo with Go, and at the demo what the pages do with curl.
func (c clean) testDemo(t *testing.T) {
	c.t = t
	printed := c.start(c.parent, c.block("README.md", "cd plugin-oauth "), "Press Ctrl+C")
	match := regexp.MustCompile(`The backend is at (\S+),`).FindStringSubmatch(printed)
	if match == nil {
		t.Fatal(printed)
	}
	atDemo := func(commands string) string {
		return strings.ReplaceAll(commands, "http://localhost:8787", match[1])
	}

	c.output(atDemo(c.block("docs/client.md", "curl -O")))
	for name, want := range map[string][]byte{"client.js": client.JavaScript, "client.d.ts": client.Types} {
		got, err := fs.ReadFile(os.DirFS(c.clone()), name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not the client: %v", name, err)
		}
	}

	lines := strings.Split(strings.TrimSpace(c.block("docs/api.md", "curl")), "\n")
	var started struct{ URL, ReadKey string }
	answer := c.output(atDemo(lines[0]) + " --silent")
	if err := json.Unmarshal([]byte(answer), &started); err != nil || started.ReadKey == "" {
		t.Fatalf("%s: %v", answer, err)
	}
	wanted := []string{"authorization_pending", "invalid_grant", "{}"}
	if len(lines) != len(wanted)+1 {
		t.Fatalf("the page has %d lines", len(lines))
	}
	for i, line := range lines[1:] {
		got := c.output(strings.ReplaceAll(atDemo(line), "READ_KEY", started.ReadKey) + " --silent")
		if !strings.Contains(got, wanted[i]) {
			t.Errorf("%s answers %s", line, got)
		}
	}
}
