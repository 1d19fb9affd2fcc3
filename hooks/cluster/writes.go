package cluster

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// fsyncs is etcd's histogram of how long it waits until its log is on the disk, in the default registry.
const fsyncs = "etcd_disk_wal_fsync_duration_seconds"

// writes knows how slow the disk of this machine was lately. It is safe for concurrent use.
type writes struct {
	mu      sync.Mutex
	samples []sample // the oldest first
}

// sample is the histogram at some time.
type sample struct {
	at      time.Time
	buckets []bucket
}

// bucket says how many writes took no longer than a time.
type bucket struct {
	seconds float64
	count   uint64
}

// writesWindow is how far back a slow write counts.
const writesWindow = time.Minute

// slow returns how long 99 of 100 writes took at most in the last minute, or since it was first called. It is
// not known if nothing was written.
func (w *writes) slow(now time.Time) (took time.Duration, known bool) {
	return w.add(sample{at: now, buckets: readFsyncs()})
}

func (w *writes) add(latest sample) (took time.Duration, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples = append(w.samples, latest)
	for len(w.samples) > 1 && !w.samples[1].at.After(latest.at.Add(-writesWindow)) {
		w.samples = w.samples[1:]
	}
	before := w.samples[0].buckets
	since := func(i int) uint64 {
		if i >= len(before) {
			return latest.buckets[i].count
		}
		return latest.buckets[i].count - before[i].count
	}
	last := len(latest.buckets) - 1
	if last < 0 || since(last) == 0 {
		return 0, false
	}
	for i, b := range latest.buckets {
		if since(i)*100 >= since(last)*99 {
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
