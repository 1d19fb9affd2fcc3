package hooks

import (
	"net/netip"
	"sync"
	"time"
)

// RateLimit allows a number of requests in each window of time. The zero value stands for 60 a minute.
type RateLimit struct {
	// Requests is the number of requests. If it is negative, there is no limit.
	Requests int

	// Window is how long a window lasts.
	Window time.Duration
}

// limiter counts the requests of each client network in the current window.
type limiter struct {
	limit RateLimit

	mu      sync.Mutex
	resetAt time.Time // the end of the window
	count   map[netip.Prefix]int
}

// maxNetworks bounds the memory of a limiter. A limit for each network does not stop anybody who has more
// networks than these anyway.
const maxNetworks = 50_000

func newLimiter(limit RateLimit) *limiter {
	return &limiter{limit: limit, count: map[netip.Prefix]int{}}
}

// reserve counts a request. It returns 0 if the network is within its limit, else the time until it may try
// again. An internet provider may give one customer a whole /48 of IPv6; all its networks together may start
// ten times as many.
func (l *limiter) reserve(network netip.Prefix, now time.Time) time.Duration {
	if l.limit.Requests < 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.Before(l.resetAt) || len(l.count) >= maxNetworks {
		clear(l.count)
		l.resetAt = now.Add(l.limit.Window)
	}
	site := network
	if network.Bits() == 64 {
		site, _ = network.Addr().Prefix(48)
	}
	if l.count[network] >= l.limit.Requests || (site != network && l.count[site] >= 10*l.limit.Requests) {
		return l.resetAt.Sub(now)
	}
	l.count[network]++
	if site != network {
		l.count[site]++
	}
	return 0
}
