package hooks

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"
)

// NewDemoCommand returns the command that runs the demo. The demo is a program of its own, beside this one in
// a release, because this one has no OpenID provider in it.
func NewDemoCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "demo",
		Short:              "Shows a whole login on this machine, with no account anywhere",
		DisableFlagParsing: true, // they are the demo's
		SilenceUsage:       true,
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := os.Executable()
			if err != nil {
				return err
			}
			// A package manager may have made a link to the program.
			if path, err = filepath.EvalSymlinks(path); err != nil {
				return err
			}
			name := "plugin-oauth-demo"
			if runtime.GOOS == "windows" {
				name += ".exe"
			}
			demo := exec.Command(filepath.Join(filepath.Dir(path), name), args...)
			demo.Stdin, demo.Stdout, demo.Stderr = os.Stdin, os.Stdout, os.Stderr
			code, err := runThrough(demo)
			if errors.Is(err, fs.ErrNotExist) {
				return errors.New("the demo is the program " + name + ", which is not beside this one: " +
					"take both from a release, run npx plugin-oauth demo, " +
					"or in the repository go run -v ./examples/demo")
			}
			if err == nil && code != 0 {
				os.Exit(code) // the demo has said why
			}
			return err
		},
	}
}

// runThrough runs a program in the place of this one: it gets the signals, and its exit code counts.
func runThrough(program *exec.Cmd) (code int, err error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := program.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()
	for {
		select {
		case received := <-signals:
			// It may have ended, and on Windows it has the signal of the console already.
			_ = program.Process.Signal(received)
		case err := <-ended:
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok {
				return 0, err
			}
			if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				return 128 + int(status.Signal()), nil // as shells have it
			}
			return exit.ExitCode(), nil
		}
	}
}
