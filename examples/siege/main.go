// Siege attacks plugin-oauth over loopback as strangers can, without an account and from as many networks as
// they like, and says what it found: memory, disk, the cap on logins under way, a table with
// as many rows as it may have, refused refreshes, the admin's password, and the limits on headers.
//
//	go run ./examples/siege
//	go run ./examples/siege -only memory -connections 2000
//	go run ./examples/siege -only memory -kind pages
//
// It builds the program and starts it on a temporary folder with the environment of fly.toml. There the proxy
// says in Fly-Client-IP who is asking; here the siege does, so it can speak for many networks. It is
// the provider itself, too, and asks nobody outside this machine. All it does is bounded in count and in
// time, and it ends by itself.
//
// It prints a table line by line, and exits with 1 if a bound is broken. Attackers, victims and the service
// share the machine's cores, so that latencies are worse here than they would be from outside. Memory is what
// the kernel accounts to the service's process, so it is measured on Linux only. What is under way is printed
// on standard error.
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

// settings are the flags.
type settings struct {
	// only is the one attack to make. Blank: all.
	only string

	// kind is a part of the names of the kinds of connections that are held. Blank: all are.
	kind string

	// connections is how many are held at a time.
	connections int

	// hold is how long they are held once all are open.
	hold time.Duration

	// requests is how many padded requests are sent, and how many refreshes that fail.
	requests int

	// logins is how many logins the flood starts that fills the service.
	logins int

	// flood is how long junk refreshes and password guesses are sent.
	flood time.Duration

	// simulated is how long the login flood that is simulated lasts, in simulated time.
	simulated time.Duration
}

func main() {
	var chosen settings
	flag.StringVar(&chosen.only, "only", "", "the one attack to make; blank: all of\n"+
		strings.Join(attackNames(), "\n"))
	flag.StringVar(&chosen.kind, "kind", "", "hold only those kinds of connections whose names have\n"+
		"this in them, such as pages; blank: all")
	flag.IntVar(&chosen.connections, "connections", 10_000, "how many connections are held at a time")
	flag.DurationVar(&chosen.hold, "hold", 20*time.Second, "how long they are held")
	flag.IntVar(&chosen.requests, "requests", 10_000, "how many requests are sent to fill the disk, and\n"+
		"then how many refreshes that fail")
	flag.IntVar(&chosen.logins, "logins", 32_000, "how many logins are started to fill the\n"+
		"service, which takes 30,000")
	flag.DurationVar(&chosen.flood, "flood", time.Minute, "how long junk refreshes and password guesses\n"+
		"are sent")
	flag.DurationVar(&chosen.simulated, "simulated", 7*24*time.Hour, "how much time is simulated of a\n"+
		"flood of logins at the default AUTHORIZE_RATE_LIMIT;\na week takes about half an hour")
	flag.Parse()
	held, err := run(chosen)
	if err != nil {
		fmt.Fprintln(os.Stderr, "siege:", err)
	}
	if err != nil || !held {
		os.Exit(1)
	}
}

// attacks returns all attacks, in the order in which they are made.
func attacks() []attack {
	return []attack{
		{name: "memory", run: (*siege).memory},
		{name: "padded", run: (*siege).padded},
		{name: "disk", run: (*siege).disk},
		{name: "week", run: (*siege).week},
		{name: "cap", run: (*siege).fill},
		{name: "rows", run: (*siege).fullTable},
		{name: "refreshes", run: (*siege).refreshes},
		{name: "admin", run: (*siege).admin},
		{name: "headers", run: (*siege).headers},
	}
}

func attackNames() (names []string) {
	for _, one := range attacks() {
		names = append(names, one.name)
	}
	return names
}

// validate reports what is wrong with the flags.
func (s settings) validate() error {
	switch {
	case s.only != "" && !slices.Contains(attackNames(), s.only):
		return fmt.Errorf("-only must be one of: %s", strings.Join(attackNames(), "; "))
	case s.connections <= 0 || s.requests <= 0 || s.logins <= 0:
		return errors.New("-connections, -requests and -logins must be positive")
	case s.hold <= 0 || s.flood <= 0 || s.simulated <= 0:
		return errors.New("-hold, -flood and -simulated must be positive")
	default:
		return nil
	}
}

// run makes the attacks that the flags choose, prints the table, and reports whether every bound held.
func run(chosen settings) (held bool, err error) {
	if err := chosen.validate(); err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "plugin-oauth-siege")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	defer testkit.RemoveBuild()
	s := &siege{settings: chosen, began: time.Now(), dir: dir, report: report{out: os.Stdout}}
	if err := s.prepare(); err != nil {
		return false, err
	}
	defer s.provider.close()
	for _, one := range attacks() {
		if chosen.only == "" || chosen.only == one.name {
			s.attempt(one)
		}
	}
	return s.report.held(), nil
}
