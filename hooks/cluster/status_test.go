package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// newRoster makes a roster that tells much.
func (m *machines) newRoster(t *testing.T, name string, slow time.Duration) *Roster {
	t.Helper()
	return m.members[name].NewRoster(RosterOptions{
		Version: "v1",
		Free:    func() (uint64, bool) { return 1 << 30, true },
		slow:    func() (time.Duration, bool) { return slow, true },
		every:   20 * time.Millisecond,
	})
}

// look describes what a process beside the service of a machine finds, in one line.
func (m *machines) look(t *testing.T, name string) string {
	t.Helper()
	view, err := Look(t.Context(), m.config(name))
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"no status"}
	if view.Status != nil {
		words = []string{"no leader"}
		if view.Status.Leader != "" {
			words[0] = "a leader"
		}
		for _, machine := range view.Status.Machines {
			known := machine.Size > 0 && machine.Slow != nil && machine.Behind != nil && machine.Ahead != nil
			words = append(words, fmt.Sprintf("%s %t", machine.Name, known))
		}
	}
	for _, other := range m.config(name).names() {
		switch answer, asked := view.Answers[other]; {
		case !asked:
		case answer.TakesPart:
			words = append(words, other+" takes part")
		case answer.Waits:
			words = append(words, other+" waits")
		case strings.Contains(answer.Err.Error(), "another cluster"), strings.Contains(answer.Err.Error(),
			"another CLUSTER_SECRET"):
			words = append(words, answer.Err.Error())
		default:
			words = append(words, other+" is away")
		}
	}
	return strings.Join(words, ", ")
}

// A process beside the service finds what the service knows of the machines, and asks them itself.
func TestLook(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	if got := m.look(t, "a"); got != "no status, b is away, c is away" {
		t.Errorf("before the first start: %s", got)
	}
	m.start(t, "a b c")
	rosters := map[string]*Roster{}
	for name := range m.members {
		rosters[name] = m.newRoster(t, name, time.Millisecond)
	}
	eventually(t, "a leader, a true, b true, c true, b takes part, c takes part",
		func() string { return m.look(t, "a") })
	if _, err := os.Stat(filepath.Join(m.config("a").Folder, "tls", "machine.pem.new")); err == nil {
		t.Error("a question has changed the certificate")
	}
	other := m.config("a")
	other.Secret = strings.Repeat("t", minSecret)
	if view, err := Look(t.Context(), other); err != nil || view.Answers["b"].Err == nil ||
		!strings.Contains(view.Answers["b"].Err.Error(), "another CLUSTER_SECRET") {
		t.Errorf("with another secret: %+v, %v", view, err)
	}
	for _, name := range []string{"b", "c"} {
		rosters[name].Close()
		m.stop(t, name)
	}
	eventually(t, "no leader, a true, b true, c true, b is away, c is away",
		func() string { return m.look(t, "a") })
	if problem := rosters["a"].Status().Problem; problem == "" {
		t.Error("it says that it takes requests")
	}
	lag, silent := rosters["a"].WatchLag(), rosters["a"].Machines()[1].Silent
	eventually(t, "it grows", func() string {
		if rosters["a"].WatchLag() > lag+time.Second {
			return "it grows"
		}
		return "it stays"
	})
	if longer := rosters["a"].Machines()[1].Silent; longer > silent+rosters["a"].WatchLag()/2 {
		t.Errorf("a hears nobody, and calls b silent for %s, and then for %s", silent, longer)
	}
	rosters["a"].Close()
	if got := m.look(t, "a"); got != "no status, a takes part, b is away, c is away" {
		t.Errorf("after its end: %s", got)
	}
}

// A status that nobody renews counts for nothing: the service was killed, or hangs.
func TestOldStatus(t *testing.T) {
	t.Parallel()
	folder, now := t.TempDir(), time.Now()
	if err := writeStatus(filepath.Join(folder, statusName), &Status{Time: now, Leader: "a"}); err != nil {
		t.Fatal(err)
	}
	for age, want := range map[time.Duration]bool{0: true, statusLife / 2: true, 2 * statusLife: false} {
		if status, err := readStatus(folder, now.Add(age)); err != nil || (status != nil) != want {
			t.Errorf("after %s: %v, %v", age, status, err)
		}
	}
}

// A machine whose disk is slow leads no longer, if another's is quick.
func TestSlowLeader(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.election = 5 * time.Second // nobody is elected because this test waits
	m.start(t, "a b c")
	slow := m.members["a"].Leader()
	for name := range m.members {
		took := time.Millisecond
		if name == slow {
			took = 2 * slowLeader
		}
		defer m.newRoster(t, name, took).Close()
	}
	eventually(t, "another leads", func() string {
		if leader := m.members[slow].Leader(); leader != slow && leader != "" {
			return "another leads"
		}
		return slow + " leads"
	})
	eventually(t, "it says why", func() string {
		if strings.Contains(m.logs[slow].String(), "the disk of this machine is slow, so another leads now") {
			return "it says why"
		}
		return m.logs[slow].String()
	})
}

// The writes of the last minute that were waited for most say how slow a disk is, however many quick ones
// there were before it got stuck.
func TestWrites(t *testing.T) {
	t.Parallel()
	began := time.Now()
	w := &writes{}
	for _, step := range []struct {
		second                int
		quick, medium, slower uint64 // so far
		want                  string
	}{
		{second: 0, quick: 1000, slower: 1000, want: "nothing"},
		{second: 10, quick: 1000, slower: 1000, want: "nothing"},
		{second: 20, quick: 1098, medium: 2, slower: 1000, want: "1ms"},
		{second: 30, quick: 1108, medium: 3, slower: 1000, want: "10ms"},
		{second: 40, quick: 3108, medium: 3, slower: 1003, want: "1s"},
		{second: 50, quick: 3108, medium: 3, slower: 1003, want: "1s"},
		{second: 95, quick: 4200, medium: 3, slower: 1003, want: "1s"},
		{second: 105, quick: 4300, medium: 3, slower: 1003, want: "1ms"},
		{second: 170, quick: 4300, medium: 3, slower: 1003, want: "nothing"},
	} {
		got := "nothing"
		took, known := w.add(began.Add(time.Duration(step.second)*time.Second), []bucket{
			{seconds: .001, count: step.quick},
			{seconds: .01, count: step.quick + step.medium},
			{seconds: 1, count: step.quick + step.medium + step.slower},
		})
		if known {
			got = took.String()
		}
		if got != step.want {
			t.Errorf("after %d s it is %s, not %s", step.second, got, step.want)
		}
	}
	if _, known := w.add(began.Add(time.Hour), nil); known {
		t.Error("it is known without a histogram")
	}
	slowest := &dto.Histogram{
		SampleCount: new(uint64(5)),
		Bucket:      []*dto.Bucket{{UpperBound: new(8.0), CumulativeCount: new(uint64(0))}},
	}
	w = &writes{}
	w.add(began, bucketsOf(&dto.Histogram{Bucket: slowest.Bucket}))
	took, known := w.add(began.Add(time.Second), bucketsOf(slowest))
	if !known || took != 16*time.Second {
		t.Errorf("writes beyond all buckets take %s, %t", took, known)
	}
}
