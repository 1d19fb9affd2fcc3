package cluster

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// The machines go by the clock in the middle, whichever machine is asked, and nobody's is corrected who is
// right. As long as most of them may be wrong, that is not known.
func TestCorrection(t *testing.T) {
	t.Parallel()
	const fast, slow = 5 * time.Minute, -5 * time.Minute
	some := func(all ...time.Duration) []time.Duration { return all }
	for name, test := range map[string]struct {
		others   []time.Duration
		machines int
		want     time.Duration
		isKnown  bool
	}{
		"nobody heard":          {machines: 3},
		"one heard, alike":      {others: some(time.Second), machines: 3, isKnown: true},
		"one heard, other time": {others: some(fast), machines: 3},
		"all alike":             {others: some(time.Second, -time.Second), machines: 3, isKnown: true},
		"another is wrong":      {others: some(0, fast), machines: 3, isKnown: true},
		"this one is fast":      {others: some(slow, slow), machines: 3, want: slow, isKnown: true},
		"this one is slow":      {others: some(fast, fast), machines: 3, want: fast, isKnown: true},
		"all differ, first":     {others: some(fast, 2*fast), machines: 3, want: fast, isKnown: true},
		"all differ, middle":    {others: some(fast, slow), machines: 3, isKnown: true},
		"five, two wrong":       {others: some(fast, slow, 0, 0), machines: 5, isKnown: true},
		"five, one of two":      {others: some(fast, fast, fast, 0), machines: 5, want: fast, isKnown: true},
		"five, two heard":       {others: some(0, 0), machines: 5, isKnown: true},
		"alone":                 {machines: 1, isKnown: true},
		"none":                  {machines: 0, isKnown: true},
	} {
		correction, isKnown := correctionBy(test.others, test.machines, correctBeyond)
		if correction != test.want || isKnown != test.isKnown {
			t.Errorf("%s: corrected by %s, known %t", name, correction, isKnown)
		}
	}
}

// Messages that were long under way say nothing of a clock. One that is set is known with the next message,
// or with the one after that.
func TestAhead(t *testing.T) {
	t.Parallel()
	s := func(seconds ...float64) (all []time.Duration) {
		for _, second := range seconds {
			all = append(all, time.Duration(second*float64(time.Second)))
		}
		return all
	}
	for name, test := range map[string]struct {
		messages []time.Duration
		want     float64
	}{
		"in time":               {messages: s(-0.1, -0.01, -0.3), want: -0.01},
		"frozen for a minute":   {messages: s(0, 0, 0, -55, -45, -35, -25, -15, -5), want: 0},
		"and then in time":      {messages: s(-0.2, -55, -45, -5, 0), want: 0},
		"late at first":         {messages: s(-9, 0), want: 0},
		"set forward":           {messages: s(0, 0, 300), want: 300},
		"set back":              {messages: s(300, 300, 300, 0, 0), want: 0},
		"set back, one is late": {messages: s(300, 300, -4, 0, 0), want: 0},
	} {
		var h heard
		for _, ahead := range test.messages {
			h.addAhead(ahead)
		}
		if got := slices.Max(h.ahead); got != s(test.want)[0] {
			t.Errorf("%s: it is ahead by %s", name, got)
		}
	}
}

// A machine whose clock is wrong knows that when it has just been started, from the others that run.
func TestClockAtStart(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.start(t, "a b c")
	rosters := map[string]*Roster{}
	open := func(name string, ahead time.Duration) {
		rosters[name] = m.members[name].NewRoster(RosterOptions{
			Free:  func() (uint64, bool) { return 0, false },
			now:   func() time.Time { return time.Now().Add(ahead) },
			every: time.Hour,
		})
	}
	expect := func(name string, want time.Duration) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		rosters[name].AwaitClocks(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%s does not know", name)
		}
		eventually(t, want.String(), func() string {
			return fmt.Sprint(rosters[name].Correction().Round(10 * time.Second))
		})
	}
	open("a", 0)
	open("b", 0)
	expect("a", 0)
	expect("b", 0)
	for _, off := range []time.Duration{5 * time.Minute, -5 * time.Minute} {
		open("c", off)
		expect("c", -off)
		expect("a", 0)
		rosters["c"].Close()
	}
	rosters["a"].Close()
	rosters["b"].Close()
}

// A machine that hears everything late, such as one whose disk is slow, does not take its clock for wrong.
func TestClockOfOneThatHearsLate(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.start(t, "a b c")
	r := m.members["c"].NewRoster(RosterOptions{
		Free:  func() (uint64, bool) { return 0, false },
		every: time.Hour,
	})
	defer r.Close()
	eventually(t, "true", func() string { // its only message has come back
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Sprint(r.heard["c"] != nil)
	})
	expect := func(lag, late, want time.Duration) {
		t.Helper()
		r.mu.Lock()
		r.lag = watchLag{last: lag}
		r.mu.Unlock()
		for _, name := range []string{"a", "b"} {
			r.hear(name, fmt.Appendf(nil, `{"time":%d}`, time.Now().Add(-late).UnixMilli()))
		}
		if got := r.Correction().Round(time.Second); got != want {
			t.Errorf("where messages take %s, the clock is corrected by %s", lag, got)
		}
	}
	const much, little = 8 * time.Second, 1200 * time.Millisecond
	expect(much, much, 0)
	if silent := r.Machines()[0].Silent; silent > time.Second {
		t.Errorf("a was heard, and yet is said to be silent for %s", silent)
	}
	expect(0, much, -much)
	expect(0, little, -time.Second) // it is corrected already
	expect(0, 0, 0)
	expect(0, little, 0)
}
