package doctor

import (
	"net/http"
	"testing"
	"time"
)

// Neither whole seconds nor the time that a request takes count as a difference.
func TestMeasure(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name                 string
		sent, received, want time.Duration
	}{
		{name: "at once"},
		{name: "in the same second", sent: 900 * time.Millisecond, received: time.Second},
		{name: "a slow answer", sent: -9 * time.Second, received: 9 * time.Second},
		{name: "ahead", sent: 61 * time.Second, received: 62 * time.Second, want: time.Minute},
		{name: "behind", sent: -70 * time.Second, received: -61 * time.Second, want: -61 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := &clock{}
			c.measure(exchangeTimes{sent: date.Add(test.sent), received: date.Add(test.received), date: date})
			if c.off != test.want {
				t.Errorf("%s off, not %s", c.off, test.want)
			}
		})
	}
}

// The clock is compared with that of every provider that answers. The one that agrees best counts.
func TestClock(t *testing.T) {
	t.Parallel()
	self := serveSelf(t)
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	// dated returns the address of a provider whose clock is ahead of this one.
	dated := func(ahead time.Duration, headers ...string) string {
		return serveHandler(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", now.Add(ahead).Format(http.TimeFormat))
			for _, name := range headers {
				w.Header().Set(name, "120")
			}
			refusingCode(w, r)
		})
	}
	ahead, behind := dated(2*time.Minute), dated(-2*time.Minute)
	nearly, exact, cached := dated(30*time.Second), dated(0), dated(-2*time.Minute, "Age")
	const fix = " Set the clock of the machine, preferably with NTP."
	for _, test := range []struct {
		name, authorize, token string
		want                   string // blank: nothing
	}{
		{name: "behind", authorize: ahead, token: ahead,
			want: "warning : The clock of this machine is 2m0s behind." + fix},
		{name: "ahead", authorize: behind, token: behind,
			want: "warning : The clock of this machine is 2m0s ahead." + fix},
		{name: "one provider's", authorize: behind, token: exact},
		{name: "another provider's", authorize: exact, token: behind},
		{name: "half a minute", authorize: nearly, token: nearly},
		{name: "an answer from a cache", authorize: cached, token: cached},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, addresses{self: self, provider: test.authorize})
			s.plugin.TokenEndpoint = test.token + "/token"
			s.options.Now = func() time.Time { return now }
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expectFindings(t, s.check(t), want...)
		})
	}
}
