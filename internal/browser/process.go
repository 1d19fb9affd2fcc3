package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"time"

	"plugin-oauth/internal/testkit"
)

// guard is a shell script that runs a program. It ends its whole process group, and removes a folder, once
// the program has ended, or its own input has: that is so when the tests have ended, in whatever way.
const guard = `
folder=$1
shift
end() {
	kill -TERM 0
	rm -rf "$folder"
	kill -KILL 0
}
trap "" TERM
exec 3<&0
(trap - TERM; exec "$@") 3<&- </dev/null &
(read -r _ <&3; kill -TERM 0; sleep 3; end) &
wait "$!" 2>/dev/null
end`

// process is a program with all that it has started.
type process struct {
	*exec.Cmd

	folder  string // of its files
	input   io.Closer
	printed testkit.Printed
	ended   chan struct{}
}

// startProcess starts a program that keeps its files in a folder, which is removed at the end.
func startProcess(folder string, env []string, program string, arguments ...string) (*process, error) {
	p := &process{folder: folder, ended: make(chan struct{})}
	p.Cmd = exec.Command("/bin/sh", append([]string{"-c", guard, "guard", folder, program}, arguments...)...)
	p.Env = append(os.Environ(), "HOME="+folder, "TMPDIR="+folder, "XDG_RUNTIME_DIR="+folder)
	p.Env = append(p.Env, env...)
	p.Stdout, p.Stderr = &p.printed, &p.printed
	p.WaitDelay = time.Second
	ownGroup(p.Cmd)
	var err error
	if p.input, err = p.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.Wait() // it ends by a signal
		close(p.ended)
	}()
	return p, nil
}

// stop ends the program and all that it has started, and removes its folder.
func (p *process) stop() {
	_ = p.input.Close() // it may have ended
	<-p.ended
	_ = os.RemoveAll(p.folder) // what it wrote while the guard removed it
}

// prints waits until the program has printed what an expression matches, and returns the first group of that.
func (p *process) prints(ctx context.Context, expression *regexp.Regexp) (string, error) {
	var found []string
	err := p.until(ctx, func() bool {
		found = expression.FindStringSubmatch(p.printed.String())
		return found != nil
	})
	if err != nil {
		return "", err
	}
	return found[1], nil
}

// until waits for a condition, which does not come any more once the program has ended.
func (p *process) until(ctx context.Context, condition func() bool) error {
	for !condition() {
		var cause error
		select {
		case <-p.ended:
			cause = errors.New("it has ended")
		case <-ctx.Done():
			cause = ctx.Err()
		case <-time.After(10 * time.Millisecond):
			continue
		}
		p.stop()
		return fmt.Errorf("%s does not start: %w\n%s", p.Args[5], cause, &p.printed)
	}
	return nil
}
