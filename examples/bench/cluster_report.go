package main

import (
	"fmt"
	"io"
	"strings"
)

// clusterReport has the figures of three machines, and those of a single one.
type clusterReport struct {
	One   serviceFigures `json:"one_machine"`
	Three serviceFigures `json:"three_machines"`
}

// serviceFigures are what was measured at one service. Of several machines, memory and idle CPU are those of
// the one that takes the most.
type serviceFigures struct {
	// LoginsPerSecond are whole logins, each at one machine.
	LoginsPerSecond *float64 `json:"whole_logins_per_second,omitempty"`

	// WakeP50 and the others are how long after the end of a redirect the tokens reach a poll that waits at
	// another machine: with nothing else to do, and under load.
	WakeP50       *float64 `json:"wake_p50_milliseconds,omitempty"`
	WakeP99       *float64 `json:"wake_p99_milliseconds,omitempty"`
	LoadedWakeP50 *float64 `json:"loaded_wake_p50_milliseconds,omitempty"`
	LoadedWakeP99 *float64 `json:"loaded_wake_p99_milliseconds,omitempty"`

	// GapAtKill and GapAtTerm are the longest time without a start when the machine that leads ends.
	GapAtKill *float64 `json:"gap_at_kill_milliseconds,omitempty"`
	GapAtTerm *float64 `json:"gap_at_sigterm_milliseconds,omitempty"`

	// SlowestAtKill and SlowestAtTerm are how long the slowest start took then, of those that succeeded.
	SlowestAtKill *float64 `json:"slowest_at_kill_milliseconds,omitempty"`
	SlowestAtTerm *float64 `json:"slowest_at_sigterm_milliseconds,omitempty"`

	// IdleMemory and LoadedMemory are anonymous memory, in MB of 2^20 bytes.
	IdleMemory   *float64 `json:"idle_anonymous_megabytes,omitempty"`
	LoadedMemory *float64 `json:"loaded_anonymous_megabytes,omitempty"`

	// IdleCPU is in percent of a core.
	IdleCPU *float64 `json:"idle_cpu_percent,omitempty"`

	// Kills are those under load. Of the logins whose page said that the person is signed in, which are
	// Acknowledged, Lost are those whose plugin got no tokens, and Twice those whose plugin got them again.
	Kills        *float64 `json:"kills,omitempty"`
	Acknowledged *float64 `json:"acknowledged,omitempty"`
	Lost         *float64 `json:"lost,omitempty"`
	Twice        *float64 `json:"twice,omitempty"`
}

// clusterRow is one line of the table.
type clusterRow struct {
	name    string
	format  string
	figure  func(serviceFigures) *float64
	atLeast bool
	goal    float64 // for three machines
	hasGoal bool
}

// clusterRows are the lines of the table.
var clusterRows = []clusterRow{
	{
		name: "whole logins a second", format: "%.0f", atLeast: true, goal: 500, hasGoal: true,
		figure: func(f serviceFigures) *float64 { return f.LoginsPerSecond },
	},
	{
		name: "redirect to waiting poll, p50 ms", format: "%.2f",
		figure: func(f serviceFigures) *float64 { return f.WakeP50 },
	},
	{
		name: "redirect to waiting poll, p99 ms", format: "%.2f", goal: 50, hasGoal: true,
		figure: func(f serviceFigures) *float64 { return f.WakeP99 },
	},
	{
		name: "the same under load, p50 ms", format: "%.2f",
		figure: func(f serviceFigures) *float64 { return f.LoadedWakeP50 },
	},
	{
		name: "the same under load, p99 ms", format: "%.2f", goal: 50, hasGoal: true,
		figure: func(f serviceFigures) *float64 { return f.LoadedWakeP99 },
	},
	{
		name: "longest without a start, kill -9, ms", format: "%.0f", goal: 1000, hasGoal: true,
		figure: func(f serviceFigures) *float64 { return f.GapAtKill },
	},
	{
		name: "longest without a start, SIGTERM, ms", format: "%.0f", goal: 100, hasGoal: true,
		figure: func(f serviceFigures) *float64 { return f.GapAtTerm },
	},
	{
		name: "slowest start meanwhile, kill -9, ms", format: "%.0f",
		figure: func(f serviceFigures) *float64 { return f.SlowestAtKill },
	},
	{
		name: "slowest start meanwhile, SIGTERM, ms", format: "%.0f",
		figure: func(f serviceFigures) *float64 { return f.SlowestAtTerm },
	},
	{
		name: "anonymous memory, idle, MB", format: "%.1f", goal: 25, hasGoal: true,
		figure: func(f serviceFigures) *float64 { return f.IdleMemory },
	},
	{
		name: "anonymous memory, loaded, MB", format: "%.1f", goal: 80, hasGoal: true,
		figure: func(f serviceFigures) *float64 { return f.LoadedMemory },
	},
	{
		name: "idle CPU, % of a core", format: "%.2f", goal: 2, hasGoal: true,
		figure: func(f serviceFigures) *float64 { return f.IdleCPU },
	},
	{
		name: "kills under load", format: "%.0f",
		figure: func(f serviceFigures) *float64 { return f.Kills },
	},
	{
		name: "logins acknowledged meanwhile", format: "%.0f",
		figure: func(f serviceFigures) *float64 { return f.Acknowledged },
	},
	{
		name: "of them lost", format: "%.0f", hasGoal: true,
		figure: func(f serviceFigures) *float64 { return f.Lost },
	},
	{
		name: "of them given twice", format: "%.0f", hasGoal: true,
		figure: func(f serviceFigures) *float64 { return f.Twice },
	},
}

// write writes the table for people.
func (r *clusterReport) write(w io.Writer, settings settings) {
	fmt.Fprintf(w, "%d connections, spread over the machines. Of three machines, memory and idle CPU are "+
		"those of the one\nthat takes the most.\n\n", settings.Connections)
	fmt.Fprintf(w, "%-38s %12s %14s  %s\n", "", "one machine", "three machines", "goal for three")
	for _, row := range clusterRows {
		three := row.figure(r.Three)
		line := fmt.Sprintf("%-38s %12s %14s  %s", row.name,
			cell(row.format, row.figure(r.One)), cell(row.format, three), row.verdict(three))
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// verdict says what a figure should be, and whether it is.
func (r clusterRow) verdict(figure *float64) string {
	if !r.hasGoal || figure == nil {
		return ""
	}
	bound, isMet := "at most", *figure <= r.goal
	if r.atLeast {
		bound, isMet = "at least", *figure >= r.goal
	}
	if isMet {
		return fmt.Sprintf("%s %v: met", bound, r.goal)
	}
	return fmt.Sprintf("%s %v: missed", bound, r.goal)
}
