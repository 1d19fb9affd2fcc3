package hooks

import (
	"net/netip"
	"sync"
	"time"

	"github.com/pocketbase/pocketbase/core"
)

// RateLimit allows so many requests in each window of time. The zero value stands for 60 in a minute.
type RateLimit struct {
	Requests int // negative: there is no limit
	Window   time.Duration
}

// limiter counts the requests of each client network in the current window.
type limiter struct {
	limit RateLimit

	mu    sync.Mutex
	ends  time.Time // of the window
	count map[netip.Prefix]int
}

// maxNetworks bounds the memory of a limiter. Whoever has more networks than these is not stopped by a limit for each.
const maxNetworks = 50_000

func newLimiter(limit RateLimit) *limiter {
	return &limiter{limit: limit, count: map[netip.Prefix]int{}}
}

// wait counts a request. It returns 0 if the network is within its limit, else the time until it may try again.
func (l *limiter) wait(network netip.Prefix, now time.Time) time.Duration {
	if l.limit.Requests < 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.Before(l.ends) || len(l.count) >= maxNetworks {
		clear(l.count)
		l.ends = now.Add(l.limit.Window)
	}
	if l.count[network] >= l.limit.Requests {
		return l.ends.Sub(now)
	}
	l.count[network]++
	return 0
}

// clientNetwork is where a request comes from: an IPv4 address, or the /64 of an IPv6 address, which one household has.
// Only the headers of TRUSTED_PROXY_HEADERS are believed.
func (r *relay) clientNetwork(e *request) netip.Prefix {
	event := core.RequestEvent{App: r.app}
	event.Request = e.Request
	address, err := netip.ParseAddr(event.RealIP())
	if err != nil {
		return netip.Prefix{}
	}
	address = address.Unmap()
	if address.IsLoopback() {
		address = netip.IPv6Loopback() // 127.0.0.1 is the same machine
	}
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	network, _ := address.WithZone("").Prefix(bits)
	return network
}
