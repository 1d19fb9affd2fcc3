package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"plugin-oauth/internal/testkit"
)

// bench is one run.
type bench struct {
	began  time.Time
	dir    string // for everything that is written
	report report

	program   *server // as it is released
	reference *server // net/http alone
	full      *server // the service in a process of the bench
	normal    *server // likewise, without an fsync at each commit

	three machines // as they are released; nil unless they are measured
}

// progress says on standard error what is under way.
func (b *bench) progress(format string, args ...any) {
	elapsed := time.Since(b.began).Seconds()
	fmt.Fprintf(os.Stderr, "bench: %4.0f s  %s\n", elapsed, fmt.Sprintf(format, args...))
}

// run measures what the flags choose.
func (b *bench) run() (err error) {
	b.progress("measuring what an fsync costs")
	if b.report.Machine, err = readMachine(b.dir); err != nil {
		return err
	}
	b.progress("building plugin-oauth and the bare server")
	if err := b.newServers(); err != nil {
		return err
	}
	if *soakLength > 0 {
		return b.soak(b.program, *soakLength, *rate)
	}
	if *inCluster {
		return b.cluster()
	}
	if isChosen(coldStartRow) {
		if err := b.coldStart(b.program); err != nil {
			return err
		}
	}
	for _, group := range [][]workload{loads, tokenLoads, apiLoads} {
		if err := b.compareWithReference(group); err != nil {
			return err
		}
	}
	if isChosen(durabilityRow) {
		if err := b.compareDurability(); err != nil {
			return err
		}
	}
	if isChosen(waitingRow) {
		return b.waitingPolls(b.program, *waiting)
	}
	return nil
}

func isChosen(name string) bool { return *only == "" || *only == name }

// compareWithReference measures those of the loads that are chosen, and what they leave in memory.
func (b *bench) compareWithReference(loads []workload) error {
	compared := false
	for _, load := range loads {
		if !isChosen(load.name) {
			continue
		}
		compared = true
		if err := b.compare(load, b.program, b.reference); err != nil {
			return err
		}
	}
	if compared {
		b.rest(b.program)
	}
	return nil
}

// compareDurability measures what an fsync at each commit costs.
func (b *bench) compareDurability() error {
	for _, load := range durabilityLoads {
		if err := b.compare(load, b.full, b.normal); err != nil {
			return err
		}
	}
	b.rest(b.full, b.normal)
	return nil
}

// restTime is how long a server has nothing to do before its memory is measured.
const restTime = 3 * time.Second

// rest measures what loads leave in the memory of servers.
func (b *bench) rest(servers ...*server) {
	b.progress("letting the servers rest")
	time.Sleep(restTime)
	for _, s := range servers {
		resident := s.memory()
		b.report.add(s, row{
			Name:     fmt.Sprintf("memory %.0f s after these loads", restTime.Seconds()),
			Resident: resident,
			Goal:     goalFor("resident_megabytes", resident, 100),
		})
	}
}

// coldStart measures the time from the start of the program to its first answer, on existing data.
func (b *bench) coldStart(s *server) error {
	const starts = 7
	b.progress("cold start: making the data")
	if err := s.start(); err != nil {
		return err
	}
	var times []time.Duration
	for i := range starts {
		b.progress("cold start: %d of %d", i+1, starts)
		s.stop()
		began := time.Now()
		if err := s.start(); err != nil {
			return err
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	b.report.add(s, row{
		Name:    "cold start to /api/health",
		P50:     new(milliseconds(percentile(times, 50))),
		Longest: new(milliseconds(percentile(times, 100))),
	})
	time.Sleep(2 * time.Second)
	b.report.add(s, row{Name: "memory, idle", Resident: s.memory()})
	return nil
}

// restartEmpty starts a server anew, on an empty folder.
func (b *bench) restartEmpty(s *server) (err error) {
	s.stop()
	if s.command.Dir, err = os.MkdirTemp(b.dir, "empty"); err != nil {
		return err
	}
	return s.start()
}

// newServers builds the program, and prepares each server on a folder of its own.
func (b *bench) newServers() error {
	program, err := testkit.Build()
	if err != nil {
		return err
	}
	bare, err := b.buildBare()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	provider, err := serveProvider()
	if err != nil {
		return err
	}
	add := func(who identity, path string, args ...string) (s *server) {
		if err == nil {
			s, err = b.newServer(who, provider, &testkit.Command{Path: path, Args: args})
		}
		return s
	}
	b.program = add(identity{Server: "plugin-oauth", Durability: "FULL"}, program, "serve", "--http")
	b.reference = add(identity{Server: "bare net/http"}, bare)
	b.full = add(identity{Server: "in the bench", Durability: "FULL"}, self,
		"-service", "full", "serve", "--http")
	b.normal = add(identity{Server: "in the bench", Durability: "NORMAL"}, self,
		"-service", "normal", "serve", "--http")
	if err == nil && *inCluster {
		b.three, err = b.newThree(provider, program)
	}
	return err
}

// buildBare builds the bare server, in the way that testkit.Build builds the program.
func (b *bench) buildBare() (path string, err error) {
	path = filepath.Join(b.dir, "bare")
	command := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path,
		"plugin-oauth/examples/bench/bare")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
}

// newServer gives a program a folder, an environment and a free address, which is its last argument. It is
// started when it is first needed.
func (b *bench) newServer(who identity, provider string, command *testkit.Command) (*server, error) {
	address, err := testkit.FreeAddress()
	if err != nil {
		return nil, err
	}
	if command.Dir, err = os.MkdirTemp(b.dir, "server"); err != nil {
		return nil, err
	}
	command.Address, command.Args = address, append(command.Args, address)
	// All have the same, so that no GOGC of this shell reaches one of them only.
	command.Env = []string{
		"CLIENT_ID=bench",
		"CLIENT_SECRET=secret",
		"REDIRECT_URI=http://" + address + "/redirect",
		"SCOPE=read",
		"AUTHORIZE_ENDPOINT=https://provider.example/authorize",
		"TOKEN_ENDPOINT=http://" + provider + "/token",
		"API_HOSTS=http://" + provider,
		"AUTHORIZE_RATE_LIMIT=off",
	}
	return &server{identity: who, command: command, api: provider}, nil
}

// stop ends the servers that run.
func (b *bench) stop() {
	for _, s := range append(machines{b.program, b.reference, b.full, b.normal}, b.three...) {
		if s != nil {
			s.stop()
		}
	}
}
