package hooks

import (
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"plugin-oauth/internal/testkit"
)

// On one processor the program uses two threads, so that guesses of a password hold up nobody else. Who sets
// GOMAXPROCS decides.
func TestOneProcessor(t *testing.T) {
	t.Parallel()
	for chosen, want := range map[string]float64{"": 2, "1": 1, "3": 3} {
		t.Run(chosen, func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			p := testkit.NewProcess(t)
			p.Env = append(p.Env, "METRICS_ADDR="+address)
			if chosen != "" {
				p.Env = append(p.Env, "GOMAXPROCS="+chosen)
			}
			startOnOneProcessor(t, p)
			eventually(t, "it listens there, too", func() bool {
				connection, err := net.Dial("tcp", address)
				if err == nil {
					connection.Close()
				}
				return err == nil
			})
			if got := scrape(t, address)["go_sched_gomaxprocs_threads{}"]; got != want {
				t.Errorf("it uses %g threads", got)
			}
		})
	}
}

// startOnOneProcessor starts a program that has one processor only: that of the thread that starts it.
func startOnOneProcessor(t *testing.T, p *testkit.Process) {
	t.Helper()
	if _, err := testkit.Build(); err != nil { // with all processors
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for processor := range 1024 {
		if all.IsSet(processor) {
			one.Set(processor)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.SchedSetaffinity(0, &all); err != nil {
			t.Error(err)
		}
	}()
	p.Start()
}
