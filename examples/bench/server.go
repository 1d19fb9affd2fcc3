package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"plugin-oauth/internal/testkit"
)

// server is a program under load.
type server struct {
	identity

	command *testkit.Command
	api     string // the host of the provider's API
	running bool
}

// start starts the program, unless it runs, and waits for its first answer.
func (s *server) start() error {
	if s.running {
		return nil
	}
	// A line for each login goes to a file, as on a server.
	log, err := os.OpenFile(filepath.Join(s.command.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.command.Output = log
	s.running = true
	if err = s.command.Start(); err == nil {
		if err = s.checkHealth(); err == nil {
			return nil
		}
	}
	printed, readErr := os.ReadFile(log.Name())
	return errors.Join(fmt.Errorf("%s: %w\n%s", s.identity, err, printed), readErr)
}

func (s *server) checkHealth() error {
	response, err := http.Get("http://" + s.command.Address + "/api/health")
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New("/api/health answers " + response.Status)
	}
	return nil
}

func (s *server) stop() {
	s.command.Terminate()
	s.running = false
}

// cpu is the time that the process has spent, user and system, in microseconds. It is 0 where there is no
// /proc.
func (s *server) cpu() float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.command.PID()))
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

// memory is the resident memory in MB of 2^20 bytes, or nil where there is no /proc.
func (s *server) memory() *float64 {
	return megabytesOf(fmt.Sprintf("/proc/%d/status", s.command.PID()), "VmRSS:")
}

// megabytesOf returns a figure of a file of /proc that has kilobytes, or nil if it is not there.
func megabytesOf(file, label string) *float64 {
	content, _ := os.ReadFile(file)
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, label); found {
			kilobytes, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return new(kilobytes / 1024)
		}
	}
	return nil
}
