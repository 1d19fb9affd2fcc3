// Bench measures plugin-oauth over loopback, and beside it, in the same run, a bare net/http server that
// gives the same answers from a map. Absolute figures belong to one machine; the ratios travel.
//
//	go run ./examples/bench
//	go run ./examples/bench -only "whole login"
//	go run ./examples/bench -soak 10m
//	go run ./examples/bench -cluster
//	go run ./examples/bench -json >bench.json
//
// It builds the program, starts it on a temporary folder, and stands for plugins, browsers and the provider
// itself. What the program commits is on the disk (SQLite's synchronous=FULL), so the figures depend on what
// an fsync costs in that folder, which is measured too; TMPDIR chooses another one. What FULL costs is
// measured with two processes of the bench itself: one opens its database as the program does, the other as
// PocketBase does on its own, with NORMAL and larger page caches.
//
// CPU time and memory are what the kernel accounts to each server's process, so they are measured on Linux
// only. What is under way is printed on standard error.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"plugin-oauth/internal/testkit"
)

var (
	seconds = flag.Float64("seconds", 3, "how long each load lasts at each server, in five rounds;\n"+
		"from 8 on, authorize may reach the service's limit of 100,000 logins under way")
	connections = flag.Int("connections", 32, "how many requests are under way at a time")
	only        = flag.String("only", "", "the one row to measure; blank: all of\n"+
		strings.Join(rowNames(), "\n"))
	waiting    = flag.Int("waiting", 5000, "how many polls wait at the same time")
	soakLength = flag.Duration("soak", 0, "measure only how memory goes under a steady load,\n"+
		"for a time such as 10m")
	inCluster = flag.Bool("cluster", false, "measure only three machines as one, and one alone beside them")
	kills     = flag.Int("kills", 30, "how often -cluster kills a machine while people sign in")
	logins    = flag.Int("logins", 10_000, "how many logins -cluster finishes meanwhile, and at the least")
	limit     = flag.Duration("limit", 10*time.Minute, "how long -cluster kills and counts at each of both")
	rate      = flag.Int("rate", 50, "how many logins a second the soak starts")
	asJSON    = flag.Bool("json", false, "print one JSON object instead of a table")
	service   = flag.String("service", "", "be the service with full or normal durability\n"+
		"(the bench starts itself so)")
)

func main() {
	flag.Parse()
	var err error
	if *service != "" {
		err = serveService(*service, flag.Args())
	} else {
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// The rows that are not loads, as -only names them.
const (
	coldStartRow  = "cold start"
	durabilityRow = "durability"
	waitingRow    = "waiting"
)

func rowNames() []string {
	names := []string{coldStartRow}
	for _, load := range slices.Concat(loads, tokenLoads, apiLoads) {
		names = append(names, load.name)
	}
	return append(names, durabilityRow, waitingRow)
}

// run measures what the flags choose, and prints it. If something fails, the table has what came before.
func run() error {
	switch {
	case *only != "" && !slices.Contains(rowNames(), *only):
		return fmt.Errorf("-only must be one of: %s", strings.Join(rowNames(), "; "))
	case *seconds <= 0 || *connections <= 0 || *waiting <= 0 || *rate <= 0 || *soakLength < 0:
		return errors.New("-seconds, -connections, -waiting and -rate must be positive, -soak not negative")
	case *kills < 0 || *logins < 0 || *limit <= 0:
		return errors.New("-kills and -logins must not be negative, and -limit must be positive")
	}
	dir, err := os.MkdirTemp("", "plugin-oauth-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer testkit.RemoveBuild()
	b := &bench{began: time.Now(), dir: dir, report: report{Settings: settings{
		Connections:  *connections,
		RoundSeconds: *seconds / 5,
	}}}
	defer b.stop()
	err = b.run()
	switch {
	case *asJSON && err == nil:
		return b.report.writeJSON(os.Stdout)
	case !*asJSON && len(b.report.Rows) > 0 || b.report.Cluster != nil:
		if err := b.report.writeTable(os.Stdout); err != nil {
			return err
		}
	}
	return err
}
