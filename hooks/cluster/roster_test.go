package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each machine knows of the others whether they are there, which one leads, and how their clocks differ.
func TestRoster(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.start(t, "a b c")
	rosters := map[string]*Roster{}
	for name, member := range m.members {
		ahead := map[string]time.Duration{"a": 0, "b": -time.Hour, "c": 5 * time.Minute}[name]
		rosters[name] = member.NewRoster(RosterOptions{
			Version: "version of " + name,
			Free:    func() (uint64, bool) { return 1 << 30, name != "b" },
			now:     func() time.Time { return time.Now().Add(ahead) },
			every:   20 * time.Millisecond,
		})
		defer rosters[name].Close()
	}
	for name, want := range map[string]string{
		"a": "a this version of a 1073741824 0s, b version of b ? -1h0m0s, c version of c 1073741824 5m0s",
		"b": "a version of a 1073741824 1h0m0s, b this version of b ? 0s, c version of c 1073741824 1h5m0s",
		"c": "a version of a 1073741824 -5m0s, b version of b ? -1h5m0s, c this version of c 1073741824 0s",
	} {
		eventually(t, want, func() string { return describe(rosters[name]) })
		for _, machine := range rosters[name].Machines() {
			if age := rosters[name].options.now().Sub(machine.Seen); age < 0 || age > patience {
				t.Errorf("%s has seen %s %s ago", name, machine.Name, age)
			}
		}
	}
	leader := m.members["a"].Leader()
	leads := func(machine Machine) bool { return machine.Leads }
	if i := slices.IndexFunc(rosters["b"].Machines(), leads); i < 0 ||
		rosters["b"].Machines()[i].Name != leader {
		t.Errorf("%s leads, and b knows %+v", leader, rosters["b"].Machines())
	}

	// One that is gone is not seen any more, also by one that starts later.
	rosters["c"].Close()
	c := func(r *Roster) Machine { return r.Machines()[2] }
	eventually(t, "older than the others", func() string {
		if machines := rosters["a"].Machines(); machines[2].Seen.Add(time.Second).Before(machines[1].Seen) {
			return "older than the others"
		}
		return fmt.Sprint(rosters["a"].Machines())
	})
	eventually(t, "c is silent", func() string {
		machines := rosters["a"].Machines()
		if machines[2].Silent > time.Second && machines[1].Silent < time.Second/2 {
			return "c is silent"
		}
		return fmt.Sprint(machines)
	})
	rosters["a"].Close()
	rosters["a"] = m.members["a"].NewRoster(RosterOptions{
		Version: "next", Free: func() (uint64, bool) { return 0, false }, every: 20 * time.Millisecond,
	})
	defer rosters["a"].Close()
	eventually(t, "version of c", func() string { return c(rosters["a"]).Version })
	if late := c(rosters["a"]); late.Ahead != nil || late.Seen.IsZero() || late.Seen.After(time.Now()) {
		t.Errorf("after a start c is %+v", late)
	}
}

// describe returns what a machine knows of all, in one line.
func describe(r *Roster) string {
	var all []string
	for _, machine := range r.Machines() {
		words := []string{machine.Name}
		if machine.IsThis {
			words = append(words, "this")
		}
		words = append(words, machine.Version)
		if machine.Free == nil {
			words = append(words, "?")
		} else {
			words = append(words, fmt.Sprint(*machine.Free))
		}
		if machine.Ahead != nil {
			words = append(words, machine.Ahead.Round(10*time.Second).String())
		}
		all = append(all, strings.Join(words, " "))
	}
	return strings.Join(all, ", ")
}

// eventually waits until something is what it should be.
func eventually(t *testing.T, want string, get func() string) {
	t.Helper()
	for began := time.Now(); get() != want; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("it is\n%s\nand not\n%s", get(), want)
		}
	}
}
