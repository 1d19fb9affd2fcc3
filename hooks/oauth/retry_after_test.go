package oauth

import (
	"net/http"
	"testing"
	"time"
)

// A date is as far away as the provider's own clock says.
func TestReadRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	before := now.Add(-time.Hour).Format(http.TimeFormat)
	later := now.Add(time.Minute).Format(http.TimeFormat)
	for name, test := range map[string]struct {
		value, date string
		want        time.Duration
	}{
		"seconds":                {value: " 30 ", want: 30 * time.Second},
		"a date":                 {value: later, date: now.Format(http.TimeFormat), want: time.Minute},
		"the clock is wrong":     {value: later, date: before, want: 61 * time.Minute},
		"without a clock":        {value: later, want: time.Minute},
		"a clock that is no one": {value: later, date: "noon", want: time.Minute},
		"fractions":              {value: "1.5"},
		"none":                   {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{"Retry-After": {test.value}, "Date": {test.date}}
			if got := readRetryAfter(header, now); got != test.want {
				t.Errorf("got %s", got)
			}
		})
	}
}
