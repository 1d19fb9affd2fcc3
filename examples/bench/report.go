package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// report is what a run has measured. A figure that was not measured, or that this machine does not account
// for, is left out.
type report struct {
	Machine  machine     `json:"machine"`
	Settings settings    `json:"settings"`
	Rows     []row       `json:"rows"`
	Soak     *soakReport `json:"soak,omitempty"`

	Cluster *clusterReport `json:"cluster,omitempty"`
}

// settings are the flags that the figures depend on.
type settings struct {
	// Connections are those that a load uses at the same time.
	Connections int `json:"connections"`

	// RoundSeconds is how long a server has its turn.
	RoundSeconds float64 `json:"round_seconds"`
}

// turnLength is RoundSeconds as a duration.
func (s settings) turnLength() time.Duration {
	return time.Duration(s.RoundSeconds * float64(time.Second))
}

// identity says which server was measured.
type identity struct {
	Server string `json:"server"`

	// Durability is SQLite's synchronous, such as FULL. Blank: the server stores nothing.
	Durability string `json:"durability"`
}

func (i identity) String() string {
	if i.Durability == "" {
		return i.Server
	}
	return i.Server + ", " + i.Durability
}

// row is what one server did under one load, or one property of a server.
type row struct {
	Name string `json:"name"`
	identity

	// PerSecond is how many operations were done in a second, on all connections.
	PerSecond *float64 `json:"operations_per_second,omitempty"`

	// CPU is the server's, user and system, for each operation.
	CPU *float64 `json:"cpu_microseconds_per_operation,omitempty"`

	// Ratio compares CPU with another server's.
	Ratio *ratio `json:"cpu_ratio,omitempty"`

	// P50, P99 and Longest are how long an operation took.
	P50     *float64 `json:"p50_milliseconds,omitempty"`
	P99     *float64 `json:"p99_milliseconds,omitempty"`
	Longest *float64 `json:"longest_milliseconds,omitempty"`

	// Resident is the server's memory, in MB of 2^20 bytes.
	Resident *float64 `json:"resident_megabytes,omitempty"`

	// Goal is what this row should reach. Nil: nothing.
	Goal *goal `json:"goal,omitempty"`
}

// ratio is a server's CPU time for each operation, divided by another's. Each round gives one.
type ratio struct {
	Beside  string  `json:"beside"` // the other server's identity
	Median  float64 `json:"median"`
	Lowest  float64 `json:"lowest"`
	Highest float64 `json:"highest"`
	Rounds  int     `json:"rounds"`
}

// goal is a bound for one field of a row. It fails nothing: machines that others use too are noisy.
type goal struct {
	Field  string  `json:"field"`
	AtMost float64 `json:"at_most"`
	Met    bool    `json:"met"`
}

// goalFor compares a figure with its bound. Without the figure there is no goal.
func goalFor(field string, figure *float64, atMost float64) *goal {
	if figure == nil || atMost == 0 {
		return nil
	}
	return &goal{Field: field, AtMost: atMost, Met: *figure <= atMost}
}

// add adds a row about a server.
func (r *report) add(s *server, one row) {
	one.identity = s.identity
	r.Rows = append(r.Rows, one)
}

// writeJSON writes the report as one JSON object.
func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// writeTable writes the report for people.
func (r *report) writeTable(w io.Writer) error {
	var b strings.Builder
	memory := "unknown memory"
	if r.Machine.Memory != nil {
		memory = fmt.Sprintf("%.0f MB", *r.Machine.Memory)
	}
	fmt.Fprintf(&b, "%d cores, %s, %s, %s\n", r.Machine.Cores, memory, r.Machine.Platform, r.Machine.Go)
	cost := r.Machine.Sync
	fmt.Fprintf(&b, "An fsync takes %.2f ms (median of %d), %.2f ms at the 99th percentile.\n",
		cost.P50, cost.Count, cost.P99)
	if r.Cluster != nil {
		r.Cluster.write(&b, r.Settings)
		_, err := io.WriteString(w, b.String())
		return err
	}
	fmt.Fprintf(&b, "%d connections, servers in turns of %.1f s. The ratio compares with the server in the "+
		"line below:\nthe median of all turns, and the lowest and the highest.\n\n",
		r.Settings.Connections, r.Settings.RoundSeconds)
	fmt.Fprintf(&b, "%-30s %-22s %9s %8s %20s %8s %8s %8s %7s  %s\n", "", "",
		"per s", "CPU µs", "CPU ratio", "p50 ms", "p99 ms", "max ms", "MB", "goal")
	for _, one := range r.Rows {
		one.write(&b)
	}
	if r.Soak != nil {
		fmt.Fprintf(&b, "\n%s\n", r.Soak.Plateau)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r row) write(w io.Writer) {
	quotient, bound := "", ""
	if r.Ratio != nil {
		quotient = fmt.Sprintf("%.2f (%.2f to %.2f)", r.Ratio.Median, r.Ratio.Lowest, r.Ratio.Highest)
	}
	if r.Goal != nil {
		bound = fmt.Sprintf("at most %v: missed", r.Goal.AtMost)
		if r.Goal.Met {
			bound = fmt.Sprintf("at most %v: met", r.Goal.AtMost)
		}
	}
	line := fmt.Sprintf("%-30s %-22s %9s %8s %20s %8s %8s %8s %7s  %s", r.Name,
		r.identity, cell("%.0f", r.PerSecond), cell("%.1f", r.CPU), quotient,
		cell("%.2f", r.P50), cell("%.2f", r.P99), cell("%.2f", r.Longest), cell("%.1f", r.Resident), bound)
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

// cell is a figure in the table, or blank if there is none.
func cell(format string, figure *float64) string {
	if figure == nil {
		return ""
	}
	return fmt.Sprintf(format, *figure)
}
