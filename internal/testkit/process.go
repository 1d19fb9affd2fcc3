package testkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// build is the program, once it has been built.
var build struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// Build builds the program once for this process, as a release does, and returns the path of the binary.
// [RemoveBuild] must be called at the end; the package's tests do so through [Main].
func Build() (path string, err error) {
	build.once.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "plugin-oauth-build"); build.err != nil {
			return
		}
		build.path = filepath.Join(build.dir, "plugin-oauth")
		args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", build.path, "plugin-oauth"}
		command := exec.Command("go", args...)
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := command.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("go build: %w\n%s", err, output)
		}
	})
	return build.path, build.err
}

// RemoveBuild removes what [Build] made, if it made anything. Build fails afterwards.
func RemoveBuild() {
	build.once.Do(func() { build.err = errors.New("the program has been removed") })
	_ = os.RemoveAll(build.dir) // a blank path removes nothing
}

// Main is the TestMain of a package whose tests use [Build].
func Main(m *testing.M) {
	code := m.Run()
	RemoveBuild()
	os.Exit(code)
}

const anyPort = "127.0.0.1:0"

// FreeAddress returns an address of this machine, such as 127.0.0.1:12345, that nobody listens at. Its port
// is below those that systems give to outgoing connections and to listeners that take any port, so it stays
// free until somebody listens whom it is for.
func FreeAddress() (string, error) {
	const first, last, tries = 10_000, 32_000, 100
	var err error
	for range tries {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first))
		var listener net.Listener
		if listener, err = net.Listen("tcp", address); err == nil {
			err := listener.Close()
			AwaitExec()
			return address, err
		}
	}
	return "", err
}

// AwaitExec returns when the programs that this process is starting run. Each has a copy of all that is open
// here until then (on Linux, for as long as [syscall.ForkLock] is held), so that the port of a listener that
// has been closed may not be free yet.
func AwaitExec() {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
}

// Command is a program that listens at an address, as a process of its own. It may be started again after it
// has ended. Stop may be called at any time; the other methods must not be called concurrently.
type Command struct {
	// Path is the path of the binary. Blank means that of [Build].
	Path string

	// Args are its arguments, without its name.
	Args []string

	// Dir is its working folder.
	Dir string

	// Env is its whole environment. Nil means that of this process.
	Env []string

	// Address is where it listens once it is ready, such as 127.0.0.1:1234 or unix:/run/program.sock.
	Address string

	// Files are open files that it inherits, from descriptor 3 on.
	Files []*os.File

	// Output gets what it prints on standard output and standard error. It may be nil.
	Output io.Writer

	mu   sync.Mutex
	last *running // the process that was started last
}

// running is a process that has been started. It may have ended.
type running struct {
	*exec.Cmd

	ended chan struct{} // closed once its ProcessState is set
}

// startTimeout is how long a program may take until it listens.
const startTimeout = 30 * time.Second

// Start starts the program, and returns when it listens. It fails if the program ends before, or takes longer
// than 30 seconds.
func (c *Command) Start() error {
	command, err := c.command(context.Background(), c.Args)
	if err != nil {
		return err
	}
	command.Stdout, command.Stderr = c.Output, c.Output
	if err := command.Start(); err != nil {
		return err
	}
	r := &running{Cmd: command, ended: make(chan struct{})}
	go func() {
		_ = r.Wait() // its exit code is in ProcessState
		close(r.ended)
	}()
	c.mu.Lock()
	c.last = r
	c.mu.Unlock()
	network, address := splitNetwork(c.Address)
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		if connection, err := net.Dial(network, address); err == nil {
			return connection.Close()
		}
		select {
		case <-r.ended:
			return fmt.Errorf("the program ended with %d", r.ProcessState.ExitCode())
		case <-time.After(time.Millisecond):
		}
	}
	c.Stop(syscall.SIGKILL)
	return fmt.Errorf("nobody listens at %s after %s", c.Address, startTimeout)
}

// splitNetwork returns what package net calls the network of an address, and the address in it.
func splitNetwork(address string) (network, rest string) {
	if path, isSocket := strings.CutPrefix(address, "unix:"); isSocket {
		return "unix", path
	}
	return "tcp", address
}

func (c *Command) command(ctx context.Context, args []string) (*exec.Cmd, error) {
	path := c.Path
	if path == "" {
		var err error
		if path, err = Build(); err != nil {
			return nil, err
		}
	}
	command := exec.CommandContext(ctx, path, args...)
	command.Dir, command.Env, command.ExtraFiles = c.Dir, c.Env, c.Files
	return command, nil
}

// stopTimeout is how long a program may take to end.
const stopTimeout = time.Minute

// Stop sends a signal, unless the program has ended, and waits until it has. It returns the exit code, which
// is -1 for a program that a signal ended, or that was never started. One that has not ended after a minute
// is ended: if it is written in Go, it prints what held it up, and its exit code is 2.
func (c *Command) Stop(signal syscall.Signal) int {
	c.mu.Lock()
	r := c.last
	c.mu.Unlock()
	if r == nil {
		return -1
	}
	_ = r.Process.Signal(signal) // it may have ended
	select {
	case <-r.ended:
	case <-time.After(stopTimeout):
		_ = r.Process.Signal(syscall.SIGQUIT)
		kill := time.AfterFunc(stopTimeout/10, func() { _ = r.Process.Kill() })
		<-r.ended
		kill.Stop()
	}
	return r.ProcessState.ExitCode()
}

// Signal sends a signal to the program, which was started, and may have ended.
func (c *Command) Signal(signal syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.last.Process.Signal(signal)
}

// Terminate ends the program as a deploy does, and returns its exit code.
func (c *Command) Terminate() int { return c.Stop(syscall.SIGTERM) }

// PID is the id of the process that was started last. It panics if none was.
func (c *Command) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last.Process.Pid
}

// Printed is what a process has printed so far. The zero value is empty. It is safe for concurrent use.
type Printed struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write appends text.
func (p *Printed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buffer.Write(text)
}

// String returns all of the text.
func (p *Printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buffer.String()
}

// Process is the program itself in a working folder of its own, with a provider that knows it.
type Process struct {
	*Backend
	*Command

	// Out is what it has printed on standard output and standard error. A test may set a new one before a
	// start.
	Out *Printed
}

// NewProcess prepares the program. [Process.Start] starts it, as often as needed. Env has what it needs to
// run one plugin; a test may add to it. args are further arguments for serve.
func NewProcess(t testing.TB, args ...string) *Process {
	t.Helper()
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{
		Backend: NewBackend(t, "http://"+address),
		Command: &Command{
			Args:    append([]string{"serve", "--http", address, "--dir", "pb_data"}, args...),
			Dir:     t.TempDir(),
			Address: address,
		},
		Out: &Printed{},
	}
	client := p.Provider.Client(p.URL)
	p.Provider.Knows(client)
	p.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"CLIENT_ID=" + client.ClientID,
		"CLIENT_SECRET=" + client.ClientSecret,
		"REDIRECT_URI=" + client.RedirectURI,
		"SCOPE=" + client.Scope,
		"AUTHORIZE_ENDPOINT=" + client.AuthorizeEndpoint,
		"TOKEN_ENDPOINT=" + client.TokenEndpoint,
		"PLUGIN_ID=abc123",
	}
	return p
}

// Start starts the program, and returns when it listens. It runs until it is stopped, or the test ends.
func (p *Process) Start() {
	p.T.Helper()
	p.Output = p.Out
	p.Client.CloseIdleConnections() // they led to the previous process
	p.T.Cleanup(func() { p.Stop(syscall.SIGKILL) })
	if err := p.Command.Start(); err != nil {
		p.T.Fatalf("%v\n%s", err, p.Out)
	}
}

// Crash ends the program with kill -9 and starts it again.
func (p *Process) Crash() {
	p.T.Helper()
	if code := p.Stop(syscall.SIGKILL); code != -1 {
		p.T.Fatalf("the program had ended by itself with %d:\n%s", code, p.Out)
	}
	p.Start()
}

// Run runs another command of the program in the same folder, and returns what it printed and its exit code.
func (p *Process) Run(args ...string) (printed string, code int) {
	p.T.Helper()
	if p.Path == "" {
		if _, err := Build(); err != nil { // now, since it may take longer than the time limit of the command
			p.T.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(p.T.Context(), 20*time.Second)
	defer cancel()
	command, err := p.command(ctx, args)
	if err != nil {
		p.T.Fatal(err)
	}
	output, err := command.CombinedOutput()
	if command.ProcessState == nil {
		p.T.Fatal(err)
	}
	return string(output), command.ProcessState.ExitCode()
}
