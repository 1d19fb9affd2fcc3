package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// fsyncs is etcd's histogram of how long it waits until its log is on the disk, in the default registry.
const fsyncs = "etcd_disk_wal_fsync_duration_seconds"

// writes knows how slow the disk of this machine was lately. It is safe for concurrent use.
type writes struct {
	mu     sync.Mutex
	before []bucket // when it was asked last
	spells []spell  // those of the last minute, the oldest first
}

// spell is how slow the disk was between two questions.
type spell struct {
	until time.Time
	took  time.Duration
}

// bucket says how many writes took no longer than a time.
type bucket struct {
	seconds float64
	count   uint64
}

// writesWindow is how far back a slow write counts.
const writesWindow = time.Minute

// slow returns how long writes took in the worst time between two questions of the last minute. It is not
// known if nothing was written, or at the first question.
func (w *writes) slow(now time.Time) (took time.Duration, known bool) {
	return w.add(now, readFsyncs())
}

func (w *writes) add(now time.Time, latest []bucket) (took time.Duration, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if took, known := waitedFor(w.before, latest); known {
		w.spells = append(w.spells, spell{until: now, took: took})
	}
	w.before = latest
	isOld := func(s spell) bool { return !s.until.After(now.Add(-writesWindow)) }
	w.spells = slices.DeleteFunc(w.spells, isOld)
	for _, s := range w.spells {
		took = max(took, s.took)
	}
	return took, len(w.spells) > 0
}

// waitedFor returns how long writes took between two histograms: half of the time that was spent waiting, it
// was for writes that took this long or longer. To count them would hide a disk that gets stuck: its few
// writes of some seconds are nothing beside the thousand quick ones just before. Without a histogram there
// are no buckets.
func waitedFor(before, latest []bucket) (took time.Duration, known bool) {
	if len(before) == 0 {
		return 0, false
	}
	var all float64
	var quicker uint64
	waited := make([]float64, len(latest))
	for i, b := range latest {
		count := b.count - before[i].count
		waited[i] = float64(count-quicker) * b.seconds
		all, quicker = all+waited[i], count
	}
	var slower float64
	for i, b := range slices.Backward(latest) {
		if slower += waited[i]; slower > 0 && slower >= all/2 {
			return time.Duration(b.seconds * float64(time.Second)), true
		}
	}
	return 0, false
}

// readFsyncs returns the buckets of the histogram.
func readFsyncs() (buckets []bucket) {
	families, _ := prometheus.DefaultGatherer.Gather() // with what another collector fails at, too
	for _, family := range families {
		if family.GetName() == fsyncs {
			return bucketsOf(family.GetMetric()[0].GetHistogram())
		}
	}
	return nil
}

func bucketsOf(histogram *dto.Histogram) (buckets []bucket) {
	for _, b := range histogram.GetBucket() {
		buckets = append(buckets, bucket{seconds: b.GetUpperBound(), count: b.GetCumulativeCount()})
	}
	if len(buckets) == 0 {
		return nil
	}
	longest := 2 * buckets[len(buckets)-1].seconds // or longer
	return append(buckets, bucket{seconds: longest, count: histogram.GetSampleCount()})
}
