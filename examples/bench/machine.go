package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// machine is what the figures depend on.
type machine struct {
	// Platform is the operating system and the architecture, such as linux/amd64.
	Platform string `json:"platform"`

	// Cores are those that the servers and the load share.
	Cores int `json:"cores"`

	// Memory is all that there is. Nil: unknown.
	Memory *float64 `json:"memory_megabytes,omitempty"`

	// Go is the version that built the programs.
	Go string `json:"go_version"`

	// Sync is what an fsync costs in the folder of the databases.
	Sync syncCost `json:"fsync"`
}

// syncCost is how long an fsync takes after 4 KB were written to the end of a file, much as SQLite does it at
// a commit with synchronous=FULL.
type syncCost struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_milliseconds"`
	P99   float64 `json:"p99_milliseconds"`
}

func readMachine(dir string) (machine, error) {
	cost, err := measureSync(dir)
	return machine{
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Cores:    runtime.NumCPU(),
		Memory:   megabytesOf("/proc/meminfo", "MemTotal:"),
		Go:       runtime.Version(),
		Sync:     cost,
	}, err
}

// measureSync measures 500 times, or as often as it can in 3 seconds.
func measureSync(dir string) (syncCost, error) {
	file, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return syncCost{}, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	page := make([]byte, 4096)
	var times []time.Duration
	for deadline := time.Now().Add(3 * time.Second); len(times) < 500 && time.Now().Before(deadline); {
		if _, err := file.Write(page); err != nil {
			return syncCost{}, err
		}
		began := time.Now()
		if err := file.Sync(); err != nil {
			return syncCost{}, err
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return syncCost{
		Count: len(times),
		P50:   milliseconds(percentile(times, 50)),
		P99:   milliseconds(percentile(times, 99)),
	}, nil
}

// percentile returns the value that so many in a hundred do not exceed. The values are sorted, and not empty.
func percentile[T any](sorted []T, percent int) T {
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
