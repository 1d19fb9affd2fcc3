package main

import (
	"math"
	"strings"
	"testing"
)

// sampled returns a sample every 10 seconds.
func sampled(count int, resident func(seconds float64) float64) (samples []sample) {
	for i := range count {
		seconds := float64(10 * (i + 1))
		samples = append(samples, sample{Seconds: seconds, Resident: resident(seconds)})
	}
	return samples
}

// plateauTests are soaks of 600 seconds.
var plateauTests = map[string]struct {
	samples []sample
	reached bool
	growth  float64 // in MB, within 0.5
}{
	"flat": {
		samples: sampled(60, func(float64) float64 { return 80 }),
		reached: true,
	},
	"grows only in the first half": {
		samples: sampled(60, func(seconds float64) float64 { return min(30+seconds/5, 90) }),
		reached: true,
	},
	"a saw-tooth around a level": {
		samples: sampled(60, func(seconds float64) float64 { return 80 + math.Mod(seconds, 30)/2 }),
		reached: true,
	},
	"falls": {
		samples: sampled(60, func(seconds float64) float64 { return 100 - seconds/60 }),
		reached: true,
		growth:  -5,
	},
	"a leak of 10 MB in 300 seconds": {
		samples: sampled(60, func(seconds float64) float64 { return 80 + seconds/30 }),
		growth:  10,
	},
	"a leak under a saw-tooth": {
		samples: sampled(60, func(seconds float64) float64 {
			return 80 + seconds/30 + math.Mod(seconds, 30)/2
		}),
		growth: 10,
	},
	"just within 5 % of the mean": {
		samples: sampled(60, func(seconds float64) float64 { return 100 + (seconds-450)/300*4.9 }),
		reached: true,
		growth:  4.9,
	},
	"just over 5 % of the mean": {
		samples: sampled(60, func(seconds float64) float64 { return 100 + (seconds-450)/300*5.1 }),
		growth:  5.1,
	},
}

func TestPlateau(t *testing.T) {
	t.Parallel()
	for name, test := range plateauTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := findPlateau(test.samples, 50)
			if got.Samples != 31 || got.Seconds != 300 || got.Reached != test.reached {
				t.Errorf("got %s, want reached %t, with 31 samples over 300 s", got, test.reached)
			}
			if math.Abs(got.Growth-test.growth) > 0.5 {
				t.Errorf("got a growth of %.2f MB, want %.2f", got.Growth, test.growth)
			}
			if perLogin := got.Growth * (1 << 20) / 15000; math.Abs(got.BytesPerLogin-perLogin) > 0.001 {
				t.Errorf("got %.3f bytes for each login, want %.3f", got.BytesPerLogin, perLogin)
			}
		})
	}
}

// TestPlateauTooShort checks that a short soak is not called a plateau.
func TestPlateauTooShort(t *testing.T) {
	t.Parallel()
	for _, count := range []int{0, 1, 2, 13} {
		got := findPlateau(sampled(count, func(float64) float64 { return 80 }), 50)
		if got.Reached || !strings.Contains(got.String(), "not judged") {
			t.Errorf("%d samples: got %s", count, got)
		}
	}
}
