package hooks

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
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
// A provider gives one customer up to a /48 of IPv6; all of that together may start ten times as many.
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
	site := network
	if network.Bits() == 64 {
		site, _ = network.Addr().Prefix(48)
	}
	if l.count[network] >= l.limit.Requests || (site != network && l.count[site] >= 10*l.limit.Requests) {
		return l.ends.Sub(now)
	}
	l.count[network]++
	if site != network {
		l.count[site]++
	}
	return 0
}

// clientNetwork is where a request comes from: an IPv4 address, or the /64 of an IPv6 address, which one household has.
// Only the headers of TRUSTED_PROXY_HEADERS are believed, and in them the last address, which the proxy has added.
// PocketBase's RealIP is the same, but reads its settings, which a save in the dashboard changes under a running request.
func (r *relay) clientNetwork(e *request) netip.Prefix {
	client := e.Request.RemoteAddr
	for _, header := range r.config.TrustedProxyHeaders {
		if values := e.Request.Header.Values(header); len(values) > 0 {
			// What stands before the last comma is what the client says of itself.
			addresses := values[len(values)-1]
			client = addresses[strings.LastIndexByte(addresses, ',')+1:]
			break
		}
	}
	address, ok := parseClient(client)
	if !ok {
		address, _ = parseClient(e.Request.RemoteAddr)
	}
	if address.IsLoopback() {
		address = netip.IPv6Loopback() // 127.0.0.1 is the same machine
	}
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	network, _ := address.Prefix(bits)
	return network
}

// proxyHeaders are those in which well-known proxies send the client's address.
var proxyHeaders = []string{"Fly-Client-IP", "CF-Connecting-IP", "True-Client-IP", "X-Real-IP", "X-Forwarded-For", "Forwarded"}

// untrustedLine is what GET / says of such a header. The doctor reads it there: only the service sees what a proxy sends.
const untrustedLine = "It does not believe the header %s, which came with this request. If a proxy of yours sets it, name it in TRUSTED_PROXY_HEADERS."

// untrustedProxyHeader returns the first of these headers that a request has while it has none that is trusted, or "".
func untrustedProxyHeader(header http.Header, trusted []string) string {
	present := func(name string) bool { return len(header.Values(name)) > 0 }
	if slices.ContainsFunc(trusted, present) {
		return ""
	}
	if i := slices.IndexFunc(proxyHeaders, present); i >= 0 {
		return proxyHeaders[i]
	}
	return ""
}

// parseClient reads an address as proxies write it: alone, with a port, or in brackets.
func parseClient(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return address.Unmap().WithZone(""), err == nil
}
