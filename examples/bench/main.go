// Bench measures plugin-oauth over loopback, and beside it, in the same run, a bare net/http server that gives the same
// answers from a map. Absolute figures belong to one machine; the ratios travel.
//
//	go run ./examples/bench
//
// It builds the program, starts it on a temporary folder, and stands for plugins, browsers and the provider itself.
// CPU time and memory are what the kernel accounts to each server's process, so they are printed on Linux only.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	seconds     = flag.Int("seconds", 4, "how long each load lasts")
	connections = flag.Int("connections", 32, "how many requests are under way at a time")
	only        = flag.String("only", "", "the one load to measure, such as \"whole login\"; blank: all")
	waiting     = flag.Int("waiting", 5000, "how many polls wait at the same time")
	bare        = flag.String("bare", "", "be the bare server on this address (used by the program itself)")
)

func main() {
	flag.Parse()
	if *bare != "" {
		fmt.Fprintln(os.Stderr, serveBare(*bare))
		os.Exit(1)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "plugin-oauth-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Println("Building plugin-oauth …")
	program := filepath.Join(dir, "plugin-oauth")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "plugin-oauth")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	provider, err := serveProvider()
	if err != nil {
		return err
	}
	relay, err := newServer("plugin-oauth", dir, provider, program, "serve", "--http")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	reference, err := newServer("bare net/http", dir, provider, self, "-bare")
	if err != nil {
		return err
	}
	defer relay.stop()
	defer reference.stop()

	if err := coldStart(relay); err != nil {
		return err
	}
	if err := reference.start(); err != nil {
		return err
	}
	fmt.Printf("\n%-34s %10s %12s %9s %9s\n", fmt.Sprintf("%d connections, %d s each", *connections, *seconds), "per second", "CPU µs each", "p50 ms", "p99 ms")
	for _, load := range []struct {
		name string
		step func(*client) error
	}{
		{"pending poll", pendingPoll},
		{"authorize", authorize},
		{"whole login", wholeLogin},
		{"refresh", refresh},
	} {
		if *only != "" && load.name != *only {
			continue
		}
		var cost [2]float64
		for i, server := range []*server{relay, reference} {
			result, err := measure(server, load.step)
			if err != nil {
				return fmt.Errorf("%s at %s: %w", load.name, server.name, err)
			}
			cost[i] = result.cpu
			fmt.Printf("%-34s %10.0f %12.1f %9.2f %9.2f\n", load.name+", "+server.name, result.rate, result.cpu, result.p50, result.p99)
		}
		fmt.Printf("%-34s %10s %11.2fx\n", "", "", cost[0]/cost[1])
	}
	// A new process on a new folder, so that its memory is that of the waiting polls.
	fresh, err := os.MkdirTemp(dir, "waiting")
	if err != nil {
		return err
	}
	relay.stop()
	relay.dir = fresh
	if err := relay.start(); err != nil {
		return err
	}
	return waitingPolls(relay)
}

// coldStart measures the time from the start of the program to its first answer, on existing data.
func coldStart(s *server) error {
	if err := s.start(); err != nil { // which makes the data
		return err
	}
	var times []float64
	for range 7 {
		s.stop()
		began := time.Now()
		if err := s.start(); err != nil {
			return err
		}
		times = append(times, milliseconds(time.Since(began)))
	}
	time.Sleep(2 * time.Second)
	slices.Sort(times)
	fmt.Printf("\n%-34s %7.0f ms (of %d: %.0f to %.0f)\n", "cold start to /api/health", times[len(times)/2], len(times), times[0], times[len(times)-1])
	fmt.Printf("%-34s %7.1f MB\n", "resident memory, idle", s.memory())
	return nil
}

// server is one of the two programs under load.
type server struct {
	name, address, dir, tokenEndpoint string
	args                              []string
	command                           *exec.Cmd
}

func newServer(name, dir, tokenEndpoint, program string, args ...string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	address := listener.Addr().String()
	return &server{name: name, address: address, dir: dir, tokenEndpoint: tokenEndpoint, args: append(append([]string{program}, args...), address)}, nil
}

// start starts the program and waits for its first answer.
func (s *server) start() error {
	s.command = exec.Command(s.args[0], s.args[1:]...)
	s.command.Dir = s.dir
	s.command.Env = []string{
		"CLIENT_ID=bench", "CLIENT_SECRET=secret", "REDIRECT_URI=http://" + s.address + "/redirect", "SCOPE=read",
		"AUTHORIZE_ENDPOINT=https://provider.example/authorize", "TOKEN_ENDPOINT=" + s.tokenEndpoint, "AUTHORIZE_RATE_LIMIT=off",
	}
	// A line for each login goes to a file, as on a server.
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.command.Stderr = log
	if err := s.command.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		response, err := http.Get("http://" + s.address + "/api/health")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	printed, err := os.ReadFile(log.Name())
	return errors.Join(fmt.Errorf("%s does not answer:\n%s", s.name, printed), err)
}

func (s *server) stop() {
	if s.command != nil && s.command.ProcessState == nil {
		_ = s.command.Process.Signal(syscall.SIGTERM)
		_ = s.command.Wait()
	}
}

// cpu is the time that the process has spent, user and system, in microseconds.
func (s *server) cpu() float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.command.Process.Pid))
	if err != nil {
		return 0
	}
	// The fields after the program's name, which is in parentheses: proc(5).
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	const ticksPerSecond = 100
	return (user + system) / ticksPerSecond * 1e6
}

// memory is the resident memory in MB.
func (s *server) memory() float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kilobytes, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kilobytes / 1024
		}
	}
	return 0
}

// result is what one load cost, for each of its operations.
type result struct {
	rate, cpu, p50, p99 float64 // per second, µs, ms, ms
}

// measure repeats a step on each connection, for a second to warm up and then for the time that counts.
func measure(s *server, step func(*client) error) (result, error) {
	if _, err := repeat(s, step, time.Second); err != nil {
		return result{}, err
	}
	cpu := s.cpu()
	began := time.Now()
	latencies, err := repeat(s, step, time.Duration(*seconds)*time.Second)
	if err != nil {
		return result{}, err
	}
	elapsed, count := time.Since(began), float64(len(latencies))
	slices.Sort(latencies)
	return result{
		rate: count / elapsed.Seconds(),
		cpu:  (s.cpu() - cpu) / count,
		p50:  milliseconds(latencies[len(latencies)/2]),
		p99:  milliseconds(latencies[len(latencies)*99/100]),
	}, nil
}

func repeat(s *server, step func(*client) error, duration time.Duration) ([]time.Duration, error) {
	type outcome struct {
		latencies []time.Duration
		err       error
	}
	outcomes := make(chan outcome, *connections)
	deadline := time.Now().Add(duration)
	for range *connections {
		go func() {
			var o outcome
			var c *client
			if c, o.err = dial(s.address); o.err == nil {
				defer c.close()
				for began := time.Now(); o.err == nil && began.Before(deadline); began = time.Now() {
					o.err = step(c)
					o.latencies = append(o.latencies, time.Since(began))
				}
			}
			outcomes <- o
		}()
	}
	var latencies []time.Duration
	var err error
	for range *connections {
		o := <-outcomes
		latencies, err = append(latencies, o.latencies...), cmp.Or(err, o.err)
	}
	if err == nil && len(latencies) == 0 {
		err = errors.New("nothing was measured")
	}
	return latencies, err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
