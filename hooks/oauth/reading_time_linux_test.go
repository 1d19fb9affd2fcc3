package oauth

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The time that an answer takes grows as its size does, even where it was made to be slow. That of the
// largest would be minutes if it grew as the square.
func TestHostileAnswersAreReadInTime(t *testing.T) {
	t.Parallel()
	repeat := func(before, unit, after string) func(size int) string {
		return func(size int) string { return before + strings.Repeat(unit, size/len(unit)) + after }
	}
	for name, body := range map[string]func(size int) string{
		"deep":         repeat("", `{"a":`, ""),
		"deep lists":   repeat("", `[`, ""),
		"many members": repeat(`{"a":1`, `,"a":1`, "}"),
		"many lists":   repeat(`{"a":[`, `[],`, "1]}"),
		"many words":   repeat(`{"a":"`, "token ", `"}`),
		"many fillers": repeat(`{"a":"`, "the token ", `"}`),
		"both kinds":   repeat(`{"a":"`, "grant ", `"}`),
		"both before":  repeat(`{"a":"`, "authorization ", `"}`),
		"no grammar":   repeat(`{"a":"`, "token is the ", `"}`),
		"back and forth": func(size int) string {
			return repeat(`{"a":"`, "the ", "")(size/2) + repeat("", "token ", `"}`)(size/2)
		},
	} {
		for _, status := range []int{200, 400} {
			t.Run(fmt.Sprint(name, ", ", status), func(t *testing.T) {
				t.Parallel()
				expectLinear(t, func(size int) {
					answer := Answer{Status: status, Body: []byte(body(size))}
					_, _ = readTokenResponse(answer, grantRefreshToken)
				})
			})
		}
	}
}

// expectLinear fails if what is done with so many bytes takes more than 16 times as long with 16 times as
// many, as far as that can be told from 256 times.
func expectLinear(t *testing.T, do func(size int)) {
	t.Helper()
	const small, times, limit = maxAnswer / 128, 16, 64
	var worst float64
	for range 5 { // the caches may help one of the two
		worst = float64(processorTime(t, func() { do(times * small) })) /
			float64(processorTime(t, func() { do(small) }))
		if worst < limit {
			return
		}
	}
	t.Errorf("%d times the bytes take %.0f times as long", times, worst)
}

// processorTime is how long something takes by itself, whatever else runs on this machine.
func processorTime(t *testing.T, do func()) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
			t.Fatal(err)
		}
		return time.Duration(now.Nano())
	}
	before := used()
	do()
	return used() - before
}
