package oauth

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds how long a provider may ask to wait.
const maxRetryAfter = 24 * time.Hour

// readRetryAfter returns how long an answer asks to wait (RFC 9110 section 10.2.3), as seconds or as a date.
// A date is compared with that of the answer, so the provider's clock may be wrong. Zero means that the
// answer does not say, or nothing that can be read.
func readRetryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		wait = time.Duration(seconds) * time.Second // the largest number, if it is out of range
	} else if date, err := http.ParseTime(value); err == nil {
		if sent, err := http.ParseTime(header.Get("Date")); err == nil {
			now = sent
		}
		wait = date.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
