package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

// rounds returns a round for each CPU time, in µs, of two operations that took 1 and 3 ms.
func rounds(cpu ...float64) (made []round) {
	for _, one := range cpu {
		latencies := []time.Duration{3 * time.Millisecond, time.Millisecond}
		made = append(made, round{elapsed: time.Second, cpu: one, latencies: latencies})
	}
	return made
}

func TestRatio(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		measured, beside []round
		want             *ratio
	}{
		"the median, not the mean": {
			measured: rounds(20, 60, 2000), beside: rounds(10, 20, 20),
			want: &ratio{Median: 3, Lowest: 2, Highest: 100, Rounds: 3},
		},
		"an even number of rounds": {
			measured: rounds(20, 40), beside: rounds(10, 10),
			want: &ratio{Median: 3, Lowest: 2, Highest: 4, Rounds: 2},
		},
		"a round without CPU time": {
			measured: rounds(20, 40), beside: rounds(10, 0),
			want: &ratio{Median: 2, Lowest: 2, Highest: 2, Rounds: 1},
		},
		"no CPU times": {measured: rounds(0, 0), beside: rounds(0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newRatio(test.measured, test.beside)
			if (got == nil) != (test.want == nil) || got != nil && *got != *test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestGoal(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		figure *float64
		atMost float64
		want   *goal
	}{
		"met":       {figure: new(1.4), atMost: 1.45, want: &goal{Field: "f", AtMost: 1.45, Met: true}},
		"missed":    {figure: new(1.5), atMost: 1.45, want: &goal{Field: "f", AtMost: 1.45}},
		"no goal":   {figure: new(1.5)},
		"no figure": {atMost: 1.45},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := goalFor("f", test.figure, test.atMost)
			if (got == nil) != (test.want == nil) || got != nil && *got != *test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// exampleReport has a row of each kind.
func exampleReport() *report {
	load := summarize("whole login", rounds(10))
	load.Ratio = &ratio{Beside: "bare net/http", Median: 12, Lowest: 11, Highest: 13, Rounds: 5}
	load.Goal = goalFor("cpu_ratio", &load.Ratio.Median, 11.5)
	program := &server{identity: identity{Server: "plugin-oauth", Durability: "FULL"}}
	r := &report{
		Machine: machine{
			Platform: "linux/amd64", Cores: 2, Memory: new(4096.0), Go: "go1.27.0",
			Sync: syncCost{Count: 500, P50: 0.5, P99: 2},
		},
		Settings: settings{Connections: 32, RoundSeconds: 0.6},
		Soak: &soakReport{
			LoginsPerSecond: 50,
			Samples:         sampled(60, func(float64) float64 { return 80 }),
		},
	}
	r.Soak.Plateau = findPlateau(r.Soak.Samples, 50)
	r.add(program, load)
	r.add(program, row{Name: "redirect's end to tokens", P50: new(0.0)})
	reference := &server{identity: identity{Server: "bare net/http"}}
	r.add(reference, row{Name: "memory, idle", Resident: new(28.5)})
	return r
}

// TestJSON pins the fields, since programs read them.
func TestJSON(t *testing.T) {
	t.Parallel()
	r := exampleReport()
	r.Soak.Samples = r.Soak.Samples[:1]
	var printed strings.Builder
	if err := r.writeJSON(&printed); err != nil {
		t.Fatal(err)
	}
	const want = `{
		"machine": {
			"platform": "linux/amd64", "cores": 2, "memory_megabytes": 4096, "go_version": "go1.27.0",
			"fsync": {"count": 500, "p50_milliseconds": 0.5, "p99_milliseconds": 2}
		},
		"settings": {"connections": 32, "round_seconds": 0.6},
		"rows": [
			{
				"name": "whole login", "server": "plugin-oauth", "durability": "FULL",
				"operations_per_second": 2, "cpu_microseconds_per_operation": 5,
				"cpu_ratio": {
					"beside": "bare net/http", "median": 12, "lowest": 11, "highest": 13, "rounds": 5
				},
				"p50_milliseconds": 3, "p99_milliseconds": 3, "longest_milliseconds": 3,
				"goal": {"field": "cpu_ratio", "at_most": 11.5, "met": false}
			},
			{
				"name": "redirect's end to tokens", "server": "plugin-oauth", "durability": "FULL",
				"p50_milliseconds": 0
			},
			{"name": "memory, idle", "server": "bare net/http", "durability": "", "resident_megabytes": 28.5}
		],
		"soak": {
			"logins_per_second": 50,
			"samples": [{"seconds": 10, "resident_megabytes": 80}],
			"plateau": {
				"reached": true, "samples": 31, "seconds": 300, "mean_megabytes": 80,
				"growth_megabytes": 0, "allowed_growth_megabytes": 4, "growth_bytes_per_login": 0
			}
		}
	}`
	if got := compact(t, printed.String()); got != compact(t, want) {
		t.Errorf("got  %s\nwant %s", got, compact(t, want))
	}
}

// compact returns the only JSON value in a text, with its keys in order and its numbers rounded.
func compact(t *testing.T, text string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(rounded(value))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func rounded(value any) any {
	switch value := value.(type) {
	case float64:
		return math.Round(value*1e6)/1e6 + 0 // which makes -0 a 0
	case []any:
		for i := range value {
			value[i] = rounded(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = rounded(value[key])
		}
	}
	return value
}

func TestTable(t *testing.T) {
	t.Parallel()
	var printed strings.Builder
	if err := exampleReport().writeTable(&printed); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 cores, 4096 MB, linux/amd64, go1.27.0\n",
		"An fsync takes 0.50 ms (median of 500)",
		"plugin-oauth, FULL",
		"12.00 (11.00 to 13.00)",
		"at most 11.5: missed\n",
		"28.5\n",
		"Plateau: reached.",
	} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, printed.String())
		}
	}
}
