package hooks

import (
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"sync/atomic"
	"time"
)

// pressure has the connections give way when the heap comes near to GOMEMLIMIT. What a connection takes was
// measured beforehand; see connectionsMemory. Whatever else takes memory, and was not thought of, is found
// here, because it is in use. Without GOMEMLIMIT there is no bound, and nothing is done.
//
// Only one goroutine may call note. Any may call kilobytes.
type pressure struct {
	most        int64        // what it may take from the connections, in KB
	taken       atomic.Int64 // what it takes from them now
	collections uint64       // how many there had been when the memory was measured last
	unchanged   int          // how often it was measured since the last of them
}

// memoryUse is what Go's garbage collector knows.
type memoryUse struct {
	live        int64  // what its last collection found in use in the heap, in KB
	heapLimit   int64  // what GOMEMLIMIT and the stacks leave to the heap, in KB; without it, endless
	collections uint64 // how many there have been
}

// measureMemory measures the memory of this process.
func measureMemory() memoryUse {
	samples := []runtimemetrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	runtimemetrics.Read(samples)
	live, stacks := samples[0].Value.Uint64(), samples[1].Value.Uint64()
	return memoryUse{
		live:        int64(live >> 10),
		heapLimit:   (debug.SetMemoryLimit(-1) - int64(stacks)) >> 10,
		collections: samples[2].Value.Uint64(),
	}
}

// note takes from the connections what is too much, and gives it back once there is room. It counts each
// collection once: what is closed meanwhile is found in use until the next one. Three quarters of the heap's
// limit may be in use. The rest is for what has not been collected yet: with less, a flood is faster than the
// collector.
func (p *pressure) note(now memoryUse) {
	p.unchanged++
	if now.collections == p.collections {
		return
	}
	p.collections, p.unchanged = now.collections, 0
	change := now.live - now.heapLimit/4*3
	if change < 0 {
		change /= 8 // what is given back at once would be taken again
	}
	p.taken.Store(min(max(0, p.taken.Load()+change), p.most))
}

// kilobytes is what the connections must take less now.
func (p *pressure) kilobytes() int { return int(p.taken.Load()) }

// isOutdated reports whether the garbage must be collected, to find out whether there is room again. Once a
// flood has ended, Go itself may not do so for two minutes.
func (p *pressure) isOutdated() bool { return p.kilobytes() > 0 && p.unchanged >= maxUnchanged }

const (
	// defaultMemoryInterval is how often the memory is measured. In a flood there are some ten collections a
	// second.
	defaultMemoryInterval = 100 * time.Millisecond

	// maxUnchanged is how often it is measured between two collections, as long as there is pressure: two
	// seconds. A collection keeps a core busy for a tenth of one.
	maxUnchanged = 20
)

// relieve has connections closed while there is pressure, until closing is closed.
func (s *server) relieve(closing <-chan struct{}) {
	ticker := time.NewTicker(s.config.timing.memory)
	defer ticker.Stop()
	for {
		select {
		case <-closing:
			return
		case <-ticker.C:
		}
		before := s.pressure.kilobytes()
		s.pressure.note(s.config.measureMemory())
		switch {
		case s.pressure.kilobytes() > before:
			s.connections.giveWay()
		case s.pressure.isOutdated():
			s.config.collectGarbage()
		}
	}
}
