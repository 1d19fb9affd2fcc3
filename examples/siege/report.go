package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is what a run has found. Each finding is a line of a table, which is written when it is known.
type report struct {
	out    io.Writer // for the table
	attack string    // the one that is made now
	rows   []row
}

// row is one finding.
type row struct {
	attack string

	// name says what was measured.
	name string

	// figure is nil if it could not be measured.
	figure *float64

	// unit is that of the figure, such as MB. Blank: it is a count.
	unit string

	// bound is what the figure must keep to.
	bound bound

	// note has what else belongs to the figure.
	note string

	// failed says that the attack ended with an error, which is the note.
	failed bool
}

// bound is a range in which a figure must be. The zero value has no limits.
type bound struct {
	words       string // such as "at most 220"; blank: there is no bound
	least, most float64
}

func atMost(most float64) bound {
	return bound{words: fmt.Sprintf("at most %v", most), least: math.Inf(-1), most: most}
}

func between(least, most float64) bound {
	return bound{words: fmt.Sprintf("%v to %v", least, most), least: least, most: most}
}

// none is the bound of what must not happen.
var none = bound{words: "none"}

// add adds a finding of the present attack, and writes it.
func (r *report) add(one row) {
	one.attack = r.attack
	if len(r.rows) == 0 {
		r.writeLine("attack", "finding", "figure", "bound", "note")
	}
	r.rows = append(r.rows, one)
	r.writeLine(one.attack, one.name, one.cell(), one.verdict(), one.note)
}

func (r *report) writeLine(attack, finding, figure, bound, note string) {
	line := fmt.Sprintf("%-10s %-56s %12s  %-24s %s",
		attack, finding, figure, bound, strings.Join(strings.Fields(note), " "))
	fmt.Fprintln(r.out, strings.TrimRight(line, " "))
}

// fail says that the present attack ended with an error.
func (r *report) fail(err error) {
	r.add(row{name: "did not end well", failed: true, note: err.Error()})
}

// held reports whether all figures keep to their bounds, and every attack ended well.
func (r *report) held() bool { return !slices.ContainsFunc(r.rows, row.broken) }

func (r row) broken() bool {
	return r.failed || r.bound.words != "" && r.figure != nil &&
		(*r.figure < r.bound.least || *r.figure > r.bound.most)
}

// verdict is what the table says about the bound.
func (r row) verdict() string {
	switch {
	case r.failed:
		return "FAILED"
	case r.bound.words == "":
		return ""
	case r.figure == nil:
		return r.bound.words + ": unknown"
	case r.broken():
		return r.bound.words + ": BROKEN"
	default:
		return r.bound.words + ": held"
	}
}

// cell is the figure with its unit.
func (r row) cell() string {
	if r.figure == nil {
		return ""
	}
	rounded := math.Round(*r.figure*10) / 10
	return strings.TrimSpace(strconv.FormatFloat(rounded, 'f', -1, 64) + " " + r.unit)
}

// count is the figure of a row that counts.
func count[N int | int64](n N) *float64 { return new(float64(n)) }

// percentile returns the time that so many in a hundred do not exceed, in milliseconds. It is nil if there
// are none. It sorts them.
func percentile(times []time.Duration, percent int) *float64 {
	if len(times) == 0 {
		return nil
	}
	slices.Sort(times)
	found := times[min(len(times)*percent/100, len(times)-1)]
	return new(float64(found) / float64(time.Millisecond))
}
