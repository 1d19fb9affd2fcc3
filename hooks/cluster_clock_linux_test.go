//go:build faults

package hooks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// programWithClock builds the program with a clock that CLOCK_OFF sets forward, or back, as the clock of a
// computer is. How long something takes, it measures as always.
func programWithClock(t *testing.T) (path string) {
	t.Helper()
	const now = "\tsec, nsec, mono := runtimeNow()\n"
	const anchor = "var UTC *Location = &utcLoc\n"
	return changedProgram(t,
		change{file: library + "src/time/time.go", old: now, new: now + "\tsec += clockOff\n"},
		change{file: library + "src/time/zoneinfo.go", old: anchor, new: anchor + `
var clockOff = func() int64 {
	text, _ := syscall.Getenv("CLOCK_OFF")
	off, err := ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return int64(off / Second)
}()
`})
}

// clockTTL is how long the sign-ins of these tests last: much less than the clock is off.
const clockTTL = 40 * time.Second

// The clock of one of three machines is five minutes off: people sign in and plugins refresh at all of them
// as if it were right, no sign-in ends early or late, and the admin is told whose clock it is.
func TestMachinesClock(t *testing.T) {
	t.Parallel()
	path := programWithClock(t)
	for name, off := range map[string]time.Duration{"fast": 5 * time.Minute, "slow": -5 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			machines := testkit.NewMachines(t, "a", "b", "c")
			for _, p := range machines {
				p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off", "SESSION_TTL="+clockTTL.String())
			}
			wrong := machines[1]
			wrong.Path, wrong.Env = path, append(wrong.Env, "CLOCK_OFF="+off.String())
			machines.Start()
			expectSignInsAnywhere(machines)
			expectRefreshesOnce(machines)
			expectClockNamed(machines, off)
			ends := startThatEnd(machines)
			people := &crowd{Process: machines[0], machines: machines, stop: make(chan struct{})}
			people.Client = testkit.NewClient()
			people.Client.Timeout = 15 * time.Second
			signIns := people.signInAgainAndAgain(4)
			eventually(t, "people sign in", func() bool { return people.acknowledged.Load() >= 100 })
			people.generation.Add(1)
			if code := wrong.Terminate(); code != 0 {
				t.Errorf("it ended with %d:\n%s", code, wrong.Out)
			}
			wrong.Start()
			expectSignInsAnywhere(machines) // a machine that has just started knows better than its clock
			eventually(t, "people sign in", func() bool { return people.acknowledged.Load() >= 200 })
			close(people.stop)
			signIns.Wait()
			people.expectNoneLost()
			if interrupted := people.interrupted.Load(); interrupted != 0 {
				t.Errorf("%d sign-ins ended early", interrupted)
			}
			ends.expect(machines)
		})
	}
}

// expectSignInsAnywhere starts sign-ins at each machine, finishes them at each other one, and polls at the
// third. A plugin that acknowledges its tokens is given them again at the second.
func expectSignInsAnywhere(machines testkit.Machines) {
	t := machines[0].T
	t.Helper()
	for i, start := range machines {
		for step := 1; step < len(machines); step++ {
			back, third := machines[(i+step)%3], machines[(i+3-step)%3]
			authorizationURL, readKey := start.Authorize()
			polled := startPoll(third.Backend, readKey)
			page := back.Get(machines.At(back, start.Agree(authorizationURL)))
			back.ExpectPage("the page", page, http.StatusOK, "You are signed in")
			third.Expect("the poll that waits", <-polled, http.StatusOK, testkit.TokenResponse)
			page, readKey = loginAcross(machines, start, back)
			back.ExpectPage("the page", page, http.StatusOK, "You are signed in")
			for _, p := range []*testkit.Process{third, back, start} {
				got := p.Post("/poll?wait=10&ack=1&readKey=" + readKey)
				p.Expect("the poll", got, http.StatusOK, testkit.TokenResponse)
			}
			done := back.Post("/poll?ack=done&readKey=" + readKey)
			back.Expect("the acknowledgement", done, http.StatusNoContent, "")
			eventually(t, "the tokens are gone", func() bool {
				return third.Post("/poll?ack=1&readKey="+readKey).Body == bodyUnknown
			})
		}
	}
}

// expectRefreshesOnce redeems refresh tokens at all machines, at once and one after the other.
func expectRefreshesOnce(machines testkit.Machines) {
	t := machines[0].T
	t.Helper()
	for first := range machines {
		before := machines[0].Provider.Exchanges()
		for i := range machines {
			p := machines[(first+i)%3]
			target := fmt.Sprintf("/refresh?code=RT-after-%d", first)
			p.Expect("refresh", p.Post(target), http.StatusOK, testkit.TokenResponse)
		}
		if asked := machines[0].Provider.Exchanges() - before; asked != 1 {
			t.Errorf("for refreshes one after the other the provider was asked %d times", asked)
		}
	}
	before := machines[0].Provider.Exchanges()
	answered := make(chan testkit.Answer)
	const atOnce = 30
	for i := range atOnce {
		go func() { answered <- machines[i%3].Post("/refresh?code=RT-at-once") }()
	}
	for range atOnce {
		machines[0].Expect("refresh", <-answered, http.StatusOK, testkit.TokenResponse)
	}
	if asked := machines[0].Provider.Exchanges() - before; asked != 1 {
		t.Errorf("for refreshes at once the provider was asked %d times", asked)
	}
}

// expectClockNamed checks that the admin is told whose clock is off.
func expectClockNamed(machines testkit.Machines, off time.Duration) {
	t := machines[0].T
	t.Helper()
	seenBy := map[bool]string{
		true: "is 5 min ahead of this machine's.", false: "is 5 min behind this machine's.",
	}
	for i, name := range []string{"a", "b", "c"} {
		p := machines[i]
		words := []string{"The clock of b " + seenBy[off > 0]}
		if p == machines[1] {
			words = []string{"The clock of a " + seenBy[off < 0], "The clock of c " + seenBy[off < 0]}
		}
		for _, command := range []string{clusterCommand, "doctor --dir pb_data"} {
			var printed string
			for until := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
				printed, _ = p.Run(strings.Fields(command)...)
				if hasAll(printed, words) {
					break
				}
				if time.Now().After(until) {
					t.Errorf("at %s %s does not say %q:\n%s", name, command, words, printed)
					break
				}
			}
		}
	}
	eventually(t, "the log of b says so", func() bool {
		return strings.Contains(machines[1].Out.String(), "the clock of this machine differs")
	})
}

func hasAll(text string, words []string) bool {
	for _, some := range words {
		if !strings.Contains(text, some) {
			return false
		}
	}
	return true
}

// ending are sign-ins that nobody finishes, or whose tokens nobody fetches.
type ending struct {
	began           time.Time
	pending, living []string // their read keys
}

// startThatEnd starts such sign-ins at each machine.
func startThatEnd(machines testkit.Machines) *ending {
	e := &ending{began: time.Now()}
	for i, p := range machines {
		_, pending := p.Authorize()
		_, ready := loginAcross(machines, p, machines[(i+1)%3])
		e.pending, e.living = append(e.pending, pending), append(e.living, ready)
	}
	return e
}

// expect checks that they end in time, and not before: each machine says the same.
func (e *ending) expect(machines testkit.Machines) {
	t := machines[0].T
	t.Helper()
	const margin = 4 * time.Second
	for i, readKey := range e.pending {
		for _, p := range machines {
			for time.Since(e.began) < clockTTL-margin {
				if got := p.Poll(readKey); got.Body != bodyPending {
					t.Fatalf("a sign-in ended after %s: %s", time.Since(e.began), got.Body)
				}
				time.Sleep(100 * time.Millisecond)
			}
			got := p.Poll(readKey)
			for got.Body == bodyPending && time.Since(e.began) < 2*clockTTL {
				time.Sleep(100 * time.Millisecond)
				got = p.Poll(readKey)
			}
			p.ExpectError("a sign-in that nobody finished", got, http.StatusBadRequest, "expired_token")
			if took := time.Since(e.began); took > clockTTL+2*margin {
				t.Errorf("sign-in %d ended after %s", i, took)
			}
		}
	}
	for _, readKey := range e.living {
		for _, p := range machines {
			got := p.Poll(readKey)
			p.ExpectError("tokens that nobody fetched", got, http.StatusBadRequest, "expired_token")
		}
	}
}
