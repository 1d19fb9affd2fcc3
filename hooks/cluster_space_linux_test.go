//go:build faults

package hooks

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// What machines do every minute, these programs do every second.
var sweepEverySecond = change{
	file: "hooks/start.go",
	old:  `	return e.App.Cron().Add("sweepSessions", "* * * * *", s.sweep)` + "\n",
	new: `	go func() {
		for {
			select {
			case <-time.After(time.Second):
				s.sweep()
			case <-s.closing:
				return
			}
		}
	}()
	return nil
`,
}

// folderSize returns how many bytes the files in a folder have.
func folderSize(folder string) (size int64) {
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // it was just removed
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}

// An hour in a minute: what happens every minute happens every second, and sign-ins are forgotten after some
// seconds. The data of the machines do not grow, though one of them is away for a while, and nothing is lost.
func TestMachinesCompaction(t *testing.T) {
	t.Parallel()
	path := changedProgram(t, sweepEverySecond, change{
		file: "hooks/cluster/member.go",
		old:  `embed.CompactorModePeriodic, "1m"`,
		new:  `embed.CompactorModePeriodic, "1s"`,
	})
	machines := testkit.NewMachines(t, "a", "b", "c")
	for _, p := range machines {
		p.Path = path
		p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off", "SESSION_TTL=10s", "SESSION_RETENTION=5s")
	}
	machines.Start()
	people := &crowd{Process: machines[0], machines: machines, stop: make(chan struct{})}
	people.Client.Timeout = 5 * time.Second
	signIns := people.signInAgainAndAgain(8)
	var refreshed atomic.Int64
	signIns.Go(func() { people.refreshAgainAndAgain(&refreshed) })
	const minute = 60
	var sizes [minute]int64 // the largest of the machines, by the second
	away := machines[2]
	for second := range sizes {
		time.Sleep(time.Second) // this is the hour
		for _, p := range machines {
			for _, machine := range readClusterStatus(p).Machines {
				sizes[second] = max(sizes[second], machine.Size)
			}
		}
		switch second {
		case 20:
			people.generation.Add(1)
			away.Stop(syscall.SIGKILL)
		case 35:
			away.Start()
		}
	}
	close(people.stop)
	signIns.Wait()
	people.expectNoneLost()
	t.Logf("%d refreshes; bytes of data by the second: %v", refreshed.Load(), sizes)
	// Without compaction they take more than 4 KB for each sign-in.
	if most := slices.Max(sizes[:]); most == 0 || most > 4<<20+people.started.Load()<<10 {
		t.Errorf("the data have grown to %d bytes", most)
	}
	for i, p := range machines {
		eventually(t, "it is well", func() bool { return status(p, "/api/health") == http.StatusOK })
		size := folderSize(filepath.Join(p.Dir, "pb_data", clusterName))
		t.Logf("the folder of %s has %d MB", string("abc"[i]), size>>20)
		if size > 300<<20 {
			t.Error("that is too much")
		}
	}
}

// refreshAgainAndAgain redeems one refresh token after the other, until stop is closed.
func (c *crowd) refreshAgainAndAgain(count *atomic.Int64) {
	for ; ; count.Add(1) {
		select {
		case <-c.stop:
			return
		default:
		}
		got := c.ask(http.MethodPost, fmt.Sprintf("%s/refresh?code=RT-of-%d", c.URL, count.Load()))
		if got.body != testkit.TokenResponse {
			c.T.Errorf("a refresh is answered %+v", got)
		}
	}
}

// smallQuota makes the machines full with 32 MB.
var smallQuota = change{
	file: "hooks/cluster/space.go", old: "const quota = 1 << 30", new: "const quota = 32 << 20",
}

// fullWords are what the machines say when their data have reached the quota.
const fullWords = "he data that the machines share have reached" // with or without a capital letter

// startFull starts three machines that are soon full, whose sign-ins last for some time. The provider gives
// large tokens while large is true.
func startFull(t *testing.T, ttl time.Duration, large *atomic.Bool) testkit.Machines {
	t.Helper()
	path := changedProgram(t, smallQuota, sweepEverySecond)
	machines := testkit.NewMachines(t, "a", "b", "c")
	for _, p := range machines {
		p.Path = path
		p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off", "SESSION_TTL="+ttl.String())
	}
	machines[0].Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		response := testkit.TokenResponse
		if large.Load() {
			response = largeResponse(r.Form.Get("code"))
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, response)
	})
	machines.Start()
	return machines
}

// isFullAt reports whether a machine says that the quota is reached.
func isFullAt(p *testkit.Process) bool {
	got := p.Get("/api/health")
	return got.Status == http.StatusServiceUnavailable && strings.Contains(got.Body, fullWords)
}

// The data reach the quota with tokens that plugins have fetched: the machines make room by themselves, as
// often as it happens, and nothing is lost.
func TestMachinesNoSpace(t *testing.T) {
	t.Parallel()
	large := &atomic.Bool{}
	large.Store(true)
	machines := startFull(t, 10*time.Minute, large)
	people := &crowd{Process: machines[0], machines: machines, stop: make(chan struct{})}
	people.Client.Timeout = 10 * time.Second
	var mu sync.Mutex
	received, failed := map[string]int{}, 0
	var signIns sync.WaitGroup
	for range 4 {
		signIns.Go(func() {
			for {
				select {
				case <-people.stop:
					return
				default:
				}
				response, acknowledged := people.signInFor()
				mu.Lock()
				if acknowledged {
					received[response]++
				} else {
					failed++
				}
				mu.Unlock()
			}
		})
	}
	const words = "there is room for the data that the machines share again"
	began := time.Now()
	starts := startLogins(machines...)
	for times := 1; times <= 3; times++ {
		eventually(t, "it is full, and then has room", func() bool {
			return strings.Count(machines[0].Out.String(), words) >= times
		})
		t.Logf("full, and with room again, for the time number %d after %s", times, time.Since(began))
	}
	longest := starts.end()
	close(people.stop)
	signIns.Wait()
	t.Logf("%d sign-ins with 1 MB of tokens, and %d that failed; longest time without a start %s, answers %v",
		len(received), failed, longest.Round(time.Millisecond), starts.answers)
	if failed > 0 {
		t.Error("machines that make room let no sign-in fail")
	}
	for response, times := range received {
		if times != 1 || len(response) < 1<<20-1000 {
			t.Errorf("an answer of %d bytes was given %d times", len(response), times)
		}
	}
}

// The data reach the quota with tokens that no plugin fetches: nothing can be stored, and all machines say
// so, until these expire. What has not expired then is still there.
func TestMachinesNoSpaceLeft(t *testing.T) {
	t.Parallel()
	const ttl = time.Minute
	large := &atomic.Bool{}
	machines := startFull(t, ttl, large)
	began := time.Now()
	const many = 40 // of a megabyte each
	callbacks := make([]string, many)
	for i := range callbacks {
		p := machines[i%3]
		authorizationURL, _ := p.Authorize()
		callbacks[i] = p.Agree(authorizationURL)
	}
	time.Sleep(time.Until(began.Add(ttl / 2))) // so that the others expire later
	waiting, waitingKey := machines[0].Authorize()
	callback := machines.At(machines[1], machines[0].Agree(waiting))
	var ready []string
	for i, p := range machines {
		page, readKey := loginAcross(machines, p, machines[(i+1)%3])
		p.ExpectPage("the page", page, http.StatusOK, "You are signed in")
		ready = append(ready, readKey)
	}
	large.Store(true)
	for _, callback := range callbacks {
		if isFullAt(machines[0]) {
			break
		}
		machines[0].Get(callback)
	}
	large.Store(false)
	for i, p := range machines {
		eventually(t, "it says that it is full", func() bool { return isFullAt(p) })
		expectAlone(p, ready[i])
		eventually(t, "the admin is told", func() bool {
			printed, _ := p.Run(strings.Fields(clusterCommand)...)
			return strings.Contains(printed, fullWords)
		})
	}
	page := machines[1].Get(callback)
	machines[1].ExpectPage("the page", page, http.StatusServiceUnavailable, "One moment, please")
	machines[0].Expect("a pending poll", machines[0].Poll(waitingKey), http.StatusNotFound, bodyPending)
	if passed := time.Since(began); passed > ttl {
		t.Fatalf("that took %s, and the tokens may have expired", passed)
	}
	for _, p := range machines {
		eventually(t, "there is room again", func() bool { return status(p, "/api/health") == http.StatusOK })
	}
	t.Logf("there is room again after %s", time.Since(began))
	expectFinished(machines, ready, callback, waitingKey)
}

// expectFinished checks that sign-ins that were ready are given, and that one goes on whose person comes back
// to the second machine.
func expectFinished(machines testkit.Machines, ready []string, callback, waitingKey string) {
	machines[0].T.Helper()
	for i, readKey := range ready {
		p := machines[(i+2)%3]
		p.Expect("the poll", p.Post("/poll?wait=5&readKey="+readKey), http.StatusOK, testkit.TokenResponse)
	}
	page := machines[1].Get(callback)
	machines[1].ExpectPage("the page", page, http.StatusOK, "You are signed in")
	polled := machines[2].PollUntilEnded(waitingKey)
	machines[2].Expect("the poll", polled, http.StatusOK, testkit.TokenResponse)
	expectSignInsAnywhere(machines)
}
