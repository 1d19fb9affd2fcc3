package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// The table has what was measured of both services, and says which goals are met.
func TestClusterTable(t *testing.T) {
	t.Parallel()
	r := report{
		Settings: settings{Connections: 32},
		Cluster: &clusterReport{
			One: serviceFigures{LoginsPerSecond: new(2000.0), IdleMemory: new(20.5)},
			Three: serviceFigures{
				LoginsPerSecond: new(499.0), WakeP99: new(50.0), GapAtKill: new(1001.0),
				Kills: new(30.0), Acknowledged: new(10_000.0), Lost: new(1.0), Twice: new(0.0),
			},
		},
	}
	var b strings.Builder
	if err := r.writeTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"whole logins a second 2000 499 at least 500: missed",
		"redirect to waiting poll, p99 ms 50.00 at most 50: met",
		"longest without a start, kill -9, ms 1001 at most 1000: missed",
		"anonymous memory, idle, MB 20.5",
		"anonymous memory, loaded, MB", // neither was measured
		"kills under load 30",
		"of them lost 1 at most 0: missed",
		"of them given twice 0 at most 0: met",
	} {
		found := false
		for line := range strings.Lines(b.String()) {
			found = found || strings.Join(strings.Fields(line), " ") == want
		}
		if !found {
			t.Errorf("there is no line %q:\n%s", want, &b)
		}
	}
}

// The leader is the one that the machine names that was started last, in the last line about it.
func TestLeader(t *testing.T) {
	t.Parallel()
	m := machines{}
	for range 3 {
		m = append(m, &server{command: &testkit.Command{Dir: t.TempDir()}})
	}
	log := func(text string) {
		if err := os.WriteFile(filepath.Join(m[1].command.Dir, "log"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.leader(1); got != 1 {
		t.Errorf("without a line it is %d", got)
	}
	log("msg=joined machine=b leader=a\nmsg=joined machine=b leader=c\n")
	if got := m.leader(1); got != 2 {
		t.Errorf("it is %d", got)
	}
}

// The longest time without a start counts the time up to now.
func TestStarts(t *testing.T) {
	t.Parallel()
	noted := &starts{last: time.Now().Add(-time.Minute)}
	noted.note(time.Now().Add(-time.Hour))
	if longest, slowest := noted.reset(); longest < time.Minute || slowest < time.Hour {
		t.Errorf("it is %s, and the slowest took %s", longest, slowest)
	}
	noted.last = time.Now().Add(-time.Second)
	if longest, slowest := noted.reset(); longest < time.Second || longest > 30*time.Second || slowest != 0 {
		t.Errorf("then it is %s, and the slowest took %s", longest, slowest)
	}
}
