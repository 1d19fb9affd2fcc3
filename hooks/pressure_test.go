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
