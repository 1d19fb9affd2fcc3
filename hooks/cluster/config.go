// Package cluster makes this process one of three or five machines that keep the same data: a member of etcd,
// which runs inside the process. The machines know each other by a list, and by a secret from which each
// derives the same certificate authority. Nothing else has to be set up:
//
//   - The first start of all machines makes the cluster, once all have said that they have no data.
//   - A machine that comes back without its data is replaced by the leader, and is filled by the others.
//   - A machine that stops hands its leadership over first.
//
// It knows neither sessions nor PocketBase.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"plugin-oauth/internal/typo"
)

// Config says which machines there are, and which one this is.
type Config struct {
	// Name is this machine's in Machines.
	Name string
	// Machines has the address of each machine by its name, as host:port. The others reach it there. With
	// Find it needs to have this machine only.
	Machines map[string]string
	// Find returns the addresses of the machines that run just now, by their names, if nobody can list them
	// beforehand. One that it leaves out may have been stopped, or be gone. It may be nil.
	Find func(ctx context.Context) (map[string]string, error)
	// Listen is where this machine listens for the others, as host:port, if that is not its address in
	// Machines: a port that is mapped, or an address that the machine itself does not have. It may be empty.
	Listen string
	// Secret is the same on all machines: 32 characters or more.
	Secret string
	// Folder is where this machine's data are, and nothing else is.
	Folder string
	// Log is told what the admin should know.
	Log *slog.Logger

	found *found // what Find has returned; nil without it

	replaceAfter time.Duration // see the constant; zero: its value
	// How long nobody has heard of the leader before another is elected; zero: 0.5 s.
	election time.Duration
	tune     func(*embed.Config) // changes other settings of etcd; nil: nothing
}

// minSecret is the length of the shortest secret, in bytes.
const minSecret = 32

// ParseMachines reads a list of machines: a=host-a:2380,b=host-b:2380,c=host-c:2380.
func ParseMachines(list string) (map[string]string, error) {
	machines := map[string]string{}
	for machine := range strings.SplitSeq(list, ",") {
		name, address, found := strings.Cut(strings.TrimSpace(machine), "=")
		if !found || !isName(name) {
			return nil, fmt.Errorf("%q is no machine: each has a name of letters, digits and hyphens, and "+
				"an address, as in a=host-a:2380", machine)
		}
		if host, err := hostOf(address); err != nil || host == "" {
			return nil, fmt.Errorf("%q is no address of a machine: it has a host and a port, as in "+
				"host-a:2380", address)
		}
		for other, taken := range machines {
			if other == name || taken == address {
				return nil, fmt.Errorf("%s=%s and %s=%s: each machine has a name and an address of its own",
					other, taken, name, address)
			}
		}
		machines[name] = address
	}
	return machines, nil
}

// hostOf returns the host of an address, which may be empty. It fails if the address has no port.
func hostOf(address string) (host string, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err == nil && number == 0 {
		err = errors.New("the others cannot know which port is taken")
	}
	return host, err
}

// maxName bounds a machine's name, in bytes.
const maxName = 63

func isName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}

// Size is how many machines the cluster has.
func (c Config) Size() int {
	if c.Find != nil {
		return foundSize
	}
	return len(c.Machines)
}

// Check returns what is wrong with the settings, in words for the admin. It quotes no secret.
func (c Config) Check() error {
	switch c.Size() {
	case 3, 5:
	case 1:
		return errors.New("one machine needs no CLUSTER: leave it out, or name three machines or five")
	case 2:
		return errors.New("CLUSTER names two machines, which would stop when either of them does: " +
			"name three, so that two can go on without the third")
	default:
		return fmt.Errorf("CLUSTER names %d machines: three can lose one of them, and five can lose two; "+
			"no other number is better", len(c.Machines))
	}
	if c.Name == "" {
		return fmt.Errorf("CLUSTER_NAME must say which machine this is: CLUSTER has %s",
			strings.Join(c.names(), ", "))
	}
	if _, found := c.Machines[c.Name]; !found {
		names := c.names()
		meant := ""
		if nearest := typo.Nearest(c.Name, names); len(nearest) > 0 {
			meant = "; did you mean " + nearest[0] + "?"
		}
		return fmt.Errorf("CLUSTER_NAME is %q, and CLUSTER has %s%s",
			c.Name, strings.Join(names, ", "), meant)
	}
	host, err := hostOf(c.Listen)
	if c.Listen != "" && (err != nil || host != "" && !isBindable(host)) {
		return fmt.Errorf("CLUSTER_LISTEN %q must be an IP address of this machine with a port, such as "+
			"10.0.0.1:2380, or a port on all of them, such as :2380", c.Listen)
	}
	if len(c.Secret) < minSecret {
		return fmt.Errorf("CLUSTER_SECRET is shorter than %d characters: put the output of "+
			"`openssl rand -hex 32` there, the same on each machine", minSecret)
	}
	return nil
}

// others returns the names of the other machines, sorted.
func (c Config) others() []string {
	return slices.DeleteFunc(c.names(), func(name string) bool { return name == c.Name })
}

func (c Config) names() []string { return slices.Sorted(maps.Keys(c.machines())) }

// machines returns the address of each machine by its name, as far as they are known.
func (c Config) machines() map[string]string {
	if c.found == nil {
		return c.Machines
	}
	return c.found.machines()
}

// list returns the machines as CLUSTER has them, sorted.
func (c Config) list() string {
	var machines []string
	for _, name := range c.names() {
		machines = append(machines, name+"="+c.machines()[name])
	}
	return strings.Join(machines, ",")
}

// url returns where a machine is reached.
func (c Config) url(name string) url.URL { return url.URL{Scheme: "https", Host: c.machines()[name]} }

// nameOf returns the name of the machine with one of these URLs, or "".
func (c Config) nameOf(urls []string) string {
	for _, name := range c.names() {
		at := c.url(name)
		if slices.Contains(urls, at.String()) {
			return name
		}
	}
	return ""
}

// listenAddress returns where this machine listens unless it is told: at its own address if that is an IP
// address, as it is in tests, and otherwise everywhere, since the name may lead to any interface.
func (c Config) listenAddress() string {
	at := c.Machines[c.Name]
	if c.Listen != "" {
		at = c.Listen
	}
	host, port, _ := net.SplitHostPort(at)
	if !isBindable(host) {
		host = "0.0.0.0" // IPv6 too, where there is one
	}
	return net.JoinHostPort(host, port)
}

// isBindable reports whether it is clear which interface a host means.
func isBindable(host string) bool { return host == "localhost" || net.ParseIP(host) != nil }
