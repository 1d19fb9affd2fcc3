package testkit

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// TestMain makes the test program one that listens, or fails, if a test has started it as such.
func TestMain(m *testing.M) {
	switch os.Getenv("TESTKIT_PROGRAM") {
	case "":
		Main(m)
	case "listens":
		listens()
	case "fails":
		fmt.Println("something is wrong")
		os.Exit(3)
	}
}

// listens answers until SIGTERM, which ends it with 0.
func listens() {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("listening")
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			folder, _ := os.Getwd()
			fmt.Fprint(w, folder)
		}))
	}()
	<-terminated
}

func newCommand(t *testing.T, program string) *Command {
	t.Helper()
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Command{
		Path:    self,
		Args:    []string{address},
		Dir:     t.TempDir(),
		Env:     []string{"TESTKIT_PROGRAM=" + program},
		Address: address,
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	p := &Process{Command: newCommand(t, "listens"), Out: &Printed{}}
	p.Backend = NewBackend(t, "http://"+p.Address)
	if code := p.Stop(syscall.SIGTERM); code != -1 {
		t.Errorf("stopped before a start: %d", code)
	}
	p.Start()
	first := p.PID()
	p.Expect("first", p.Get("/"), http.StatusOK, p.Dir)
	p.Crash()
	if p.PID() == first {
		t.Error("it is the same process")
	}
	p.Expect("second", p.Get("/"), http.StatusOK, p.Dir)
	if code := p.Terminate(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	if code := p.Stop(syscall.SIGKILL); code != 0 {
		t.Errorf("stopped again, it ended with %d", code)
	}
	if printed := p.Out.String(); printed != strings.Repeat("listening\n", 2) {
		t.Errorf("it printed %q", printed)
	}
}

// A program that ends by itself is not waited for.
func TestCommandFails(t *testing.T) {
	t.Parallel()
	printed := &Printed{}
	command := newCommand(t, "fails")
	command.Output = printed
	if err := command.Start(); err == nil || !strings.Contains(err.Error(), "ended with 3") {
		t.Errorf("the error is %v", err)
	}
	if printed.String() != "something is wrong\n" {
		t.Errorf("it printed %q", printed)
	}
	p := &Process{Backend: NewBackend(t, "http://"+command.Address), Command: command}
	if out, code := p.Run("whatever"); code != 3 || out != "something is wrong\n" {
		t.Errorf("it ended with %d, and printed %q", code, out)
	}
}
