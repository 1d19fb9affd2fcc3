package main

import (
	"fmt"
	"net"
	"os"
	"time"

	"plugin-oauth/internal/testkit"
)

// siege is one run.
type siege struct {
	settings

	began    time.Time
	dir      string // for everything that is written
	report   report
	provider *provider
	sources  []net.IP // addresses of this machine to connect from
	files    uint64   // how many open files a process may have; 0: nobody knows
}

// attack is one way to harm the service.
type attack struct {
	name string
	// run adds what it finds to the report. It fails if it could not find out.
	run func(*siege) error
}

// progress says on standard error what is under way.
func (s *siege) progress(format string, args ...any) {
	elapsed := time.Since(s.began).Seconds()
	fmt.Fprintf(os.Stderr, "siege: %4.0f s  %s\n", elapsed, fmt.Sprintf(format, args...))
}

// prepare builds the program and readies what all attacks need.
func (s *siege) prepare() (err error) {
	s.progress("building plugin-oauth")
	if _, err := testkit.Build(); err != nil {
		return err
	}
	s.sources = localAddresses()
	// Each refresh that hangs is an open file at both of its ends, of which two are in this process and two
	// in the service.
	need := uint64(2*s.connections + spareFiles)
	if s.files = raiseOpenFiles(need); s.files > 0 && s.files < need {
		s.progress("a process may have %d open files, and more are not allowed; %d are wanted",
			s.files, need)
	}
	s.provider, err = serveProvider()
	return err
}

// attempt makes an attack. If it fails, the report says so, and the next attack can be made.
func (s *siege) attempt(one attack) {
	s.progress("%s", one.name)
	s.report.attack = one.name
	if err := one.run(s); err != nil {
		s.progress("%s: %v", one.name, err)
		s.report.fail(err)
	}
}

// localAddresses returns addresses of this machine that connections can come from. Each has some 28,000 ports
// for them on Linux, where all of 127.0.0.0/8 is this machine. Elsewhere there is only one address.
func localAddresses() (addresses []net.IP) {
	const last = 21
	for i := byte(1); i <= last; i++ {
		address := net.IPv4(127, 0, 0, i)
		listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: address})
		if err != nil {
			continue
		}
		listener.Close()
		addresses = append(addresses, address)
	}
	return addresses
}

// The besiegers and everybody else come from addresses that are reserved for such tests (RFC 2544), each from
// one half of them.
func besieger(i int) string { return fmt.Sprintf("198.18.%d.%d", i>>8&0xff, i&0xff) }

// scattered is one of 256 private addresses (RFC 1918), each in a /16 of its own. Together they may have more
// than all of one /16.
func scattered(i int) string { return fmt.Sprintf("10.%d.0.1", i&0xff) }

// site is an address in a /48 of its own, in one of 200 /32 that are reserved for documentation (RFC 9637).
func site(i int) string {
	const regions = 200
	return fmt.Sprintf("3fff:%x:%x::1", i%regions, i&0xffff)
}

// neighbor is an address in a /48 of its own, all of one /32 (RFC 3849).
func neighbor(i int) string { return fmt.Sprintf("2001:db8:%x::1", i&0xffff) }

func bystander(i int) string { return fmt.Sprintf("198.19.%d.%d", i>>8&0xff, i&0xff) }
