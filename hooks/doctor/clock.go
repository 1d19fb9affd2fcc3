package doctor

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// clockTolerance is how far a clock may be off.
const clockTolerance = time.Minute

// clock compares this machine's clock with the Date header of every answer that passes (RFC 9110 section
// 6.6.1).
type clock struct {
	transport http.RoundTripper
	now       func() time.Time

	mu       sync.Mutex
	measured bool
	off      time.Duration // the smallest that any answer allows; positive: this clock is ahead
}

// RoundTrip sends a request.
func (c *clock) RoundTrip(request *http.Request) (*http.Response, error) {
	sent := c.now()
	response, err := c.transport.RoundTrip(request)
	if err == nil && response.Header.Get("Age") == "" { // an answer from a cache has an old date
		if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			c.measure(exchangeTimes{sent: sent, received: c.now(), date: date})
		}
	}
	return response, err
}

// exchangeTimes are the times of one request and its answer.
type exchangeTimes struct {
	sent, received time.Time // by this machine's clock
	date           time.Time // by the server's, in whole seconds
}

// measure records how far this clock is off. The answer was made within the second of its date, at some
// instant between sent and received.
func (c *clock) measure(times exchangeTimes) {
	off := max(0, times.sent.Sub(times.date.Add(time.Second))) + min(0, times.received.Sub(times.date))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.measured || off.Abs() < c.off.Abs() {
		c.measured, c.off = true, off
	}
}

func (c *clock) check() []Finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off.Abs() <= clockTolerance {
		return nil
	}
	off, direction := c.off.Abs().Round(10*time.Second), "behind"
	if c.off > 0 {
		direction = "ahead"
	}
	return []Finding{{
		Level: LevelWarning,
		What:  fmt.Sprintf("The clock of this machine is %s %s.", off, direction),
		Why:   "Certificates may count as expired, and the times in the dashboard are wrong.",
		Fix:   "Set the clock of the machine, preferably with NTP.",
	}}
}
