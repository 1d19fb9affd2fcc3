package hooks

import (
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func TestPressure(t *testing.T) {
	t.Parallel()
	const heapLimit, most = 400, 1_000 // so 300 may be in use
	p := &pressure{most: most}
	for _, step := range []struct {
		about       string
		live        int64
		collections uint64
		want        int
	}{
		{about: "there is room", live: 300, collections: 1, want: 0},
		{about: "too much is in use", live: 340, collections: 2, want: 40},
		{about: "nothing has been collected since", live: 340, collections: 2, want: 40},
		{about: "it is still too much", live: 310, collections: 3, want: 50},
		{about: "there is a little room again", live: 220, collections: 4, want: 40},
		{about: "there is no more of it", live: 220, collections: 5, want: 30},
		{about: "nearly nothing is in use", live: 30, collections: 6, want: 0},
		{about: "far too much is in use", live: 9_000, collections: 7, want: most},
	} {
		p.note(memoryUse{live: step.live, heapLimit: heapLimit, collections: step.collections})
		if got := p.kilobytes(); got != step.want {
			t.Errorf("%s: it takes %d KB, not %d", step.about, got, step.want)
		}
	}
}

// Whatever takes memory, connections are closed for it, those first that have waited the longest. Half of
// their room stays, and the rest comes back.
func TestConnectionsGiveWay(t *testing.T) {
	t.Parallel()
	const room = 40
	var live, collections atomic.Int64
	s := serve(t, func(c *Config) {
		roomFor(room)(c)
		c.timing.headers = time.Hour
		c.measureMemory = func() memoryUse {
			const heapLimit = 4 << 20
			return memoryUse{live: live.Load(), heapLimit: heapLimit, collections: uint64(collections.Add(1))}
		}
	})
	s.Client.CloseIdleConnections()
	var waiting []net.Conn
	for i := range room {
		waiting = append(waiting, s.dial(t))
		eventually(t, "it is open", func() bool { return s.openNow() == i+1 })
	}
	live.Store(4 << 20) // all of the limit
	eventually(t, "half of them are closed", func() bool { return s.openNow() <= room/2 })
	if got := sendOn(t, s.dial(t), getHealth); got != http.StatusOK {
		t.Errorf("a health check then: %d", got)
	}
	if got := sendOn(t, waiting[0], getHealth); got != 0 {
		t.Errorf("the one that waited the longest: %d", got)
	}
	if got := sendOn(t, waiting[room-1], getHealth); got != http.StatusOK {
		t.Errorf("the one that waited the shortest: %d", got)
	}
	live.Store(0)
	eventually(t, "the room is back", func() bool { return s.server.pressure.kilobytes() == 0 })
}

// While others take all but a little of the room, with connections that keep their places, whoever comes is
// served, and the pressure gets nothing. Held polls are answered for it.
func TestPressureKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	const room = 24 * plainMemory
	const others, pressure = room / 2, room / 2
	under := 0
	c := newConnections(room, func() int { return others }, func() int { return under })
	_, polling := c.openOne()
	isDisplaced := false
	if c.hold(polling, 0, func() { isDisplaced = true }) == nil {
		t.Fatal("a poll is not held")
	}
	const kept = 9 // there is room for 10
	for range kept {
		_, r := c.openOne()
		if _, isKept := c.keep(r); !isKept {
			t.Fatal("a request does not keep its place")
		}
	}
	under = pressure
	c.giveWay()
	if !isDisplaced {
		t.Error("the poll is still held")
	}
	last, r := c.openOne()
	if last.weight == 0 {
		t.Fatal("whoever comes is closed")
	}
	if !c.isFull() {
		t.Error("there seems to be room")
	}
	if _, isKept := c.keep(r); !isKept {
		t.Error("a request for which there is room does not keep its place")
	}
	if latest, r := c.openOne(); latest.weight == 0 || c.hold(r, 0, func() {}) != nil {
		t.Error("it is closed, or its poll is held")
	}
	if all := c.open + others; all > room {
		t.Errorf("all take %d KB of %d", all, room)
	}
}

// Once a flood has ended, hardly anything is requested, and Go itself would collect the garbage two minutes
// later. It is collected as long as there is pressure, so that what was taken comes back.
func TestPressureEnds(t *testing.T) {
	t.Parallel()
	const limit = 4 << 20
	var live, collections atomic.Int64
	live.Store(limit)
	collections.Store(1)
	s := serve(t, func(c *Config) {
		c.timing.memory = time.Millisecond
		c.measureMemory = func() memoryUse {
			return memoryUse{live: live.Load(), heapLimit: limit, collections: uint64(collections.Load())}
		}
		c.collectGarbage = func() {
			live.Store(0)
			collections.Add(1)
		}
	})
	eventually(t, "there was pressure, and it has ended", func() bool {
		return collections.Load() > 1 && s.server.pressure.kilobytes() == 0
	})
	ended := collections.Load()
	time.Sleep(100 * s.server.config.timing.memory)
	if got := collections.Load(); got != ended {
		t.Errorf("%d collections without pressure", got-ended)
	}
}

// What is in use is found once it has been collected, and without GOMEMLIMIT it is never too much.
func TestMeasureMemory(t *testing.T) {
	t.Parallel()
	before := measureMemory()
	const size = 64 << 20
	kept := make([]byte, size)
	runtime.GC()
	after := measureMemory()
	runtime.KeepAlive(kept)
	if after.collections <= before.collections || after.live < size>>10 {
		t.Errorf("after %d KB it is %+v, before it was %+v", size>>10, after, before)
	}
	const petabyte = 1 << 40 // in KB
	if os.Getenv("GOMEMLIMIT") == "" && after.heapLimit < petabyte {
		t.Errorf("the heap's limit is %d KB", after.heapLimit)
	}
}
