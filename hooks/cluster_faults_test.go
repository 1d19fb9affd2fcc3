//go:build unix && faults

package hooks

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/internal/testkit"
)

// mostMemory notes the most anonymous memory that each process takes, in MB, until stop is called.
func mostMemory(machines testkit.Machines) (stop func() map[string]int) {
	most := map[string]int{}
	ended, sampled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sampled)
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for {
			for i, p := range machines {
				name := string("abc"[i])
				most[name] = max(most[name], anonymousMemory(p.PID()))
			}
			select {
			case <-every.C:
			case <-ended:
				return
			}
		}
	}()
	return func() map[string]int {
		close(ended)
		<-sampled
		return most
	}
}

// anonymousMemory is what the kernel cannot drop of a process, in MB.
func anonymousMemory(pid int) (megabytes int) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, figure, _ := strings.Cut(string(status), "RssAnon:")
	_, _ = fmt.Sscan(figure, &megabytes)
	return megabytes >> 10
}

// largeResponse is a token response of nearly 1 MB, which is the most that the service takes. Nothing of it
// can be compressed.
func largeResponse(code string) string {
	const size = 1<<20 - 200
	var random []byte
	for block := sha256.Sum256([]byte(code)); len(random) < size; block = sha256.Sum256(block[:]) {
		random = append(random, block[:]...)
	}
	token := base64.RawURLEncoding.EncodeToString(random)[:size]
	return `{"access_token":"` + token + `","token_type":"bearer"}`
}

// Thirty people at once whose tokens take a megabyte each: all plugins get theirs, byte for byte, at any
// machine, and no machine needs more memory than a small one has, though one of them is frozen for a while
// and the others keep for it what it has missed.
func TestMachinesLargeTokens(t *testing.T) {
	t.Parallel()
	machines := testkit.NewMachines(t, "a", "b", "c")
	for _, p := range machines {
		p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off", "GOMEMLIMIT=175MiB")
	}
	var mu sync.Mutex
	received := map[string]int{} // by the answer of the provider
	machines[0].Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		response := largeResponse(r.Form.Get("code") + r.Form.Get("refresh_token"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, response)
	})
	machines.Start()
	const atOnce, rounds = 30, 4
	stop := mostMemory(machines)
	began := time.Now()
	people := &crowd{Process: machines[0], machines: machines}
	people.Client.Timeout = 10 * time.Second
	logIn := func(int) {
		response, acknowledged := people.signInFor()
		mu.Lock()
		defer mu.Unlock()
		if acknowledged {
			received[response]++
		}
	}
	refresh := func(i int) {
		token := fmt.Sprint("RT-", i/3)
		got := people.ask(http.MethodPost, people.URL+"/refresh?code="+token)
		if got.body != largeResponse(token) {
			t.Errorf("a refresh is answered %d with %d bytes", got.status, len(got.body))
		}
	}
	for round, do := range []func(int){logIn, logIn, refresh, logIn, logIn} {
		if round == 1 {
			_, others := leading(t, machines)
			others[0].Signal(syscall.SIGSTOP)
			defer time.AfterFunc(8*time.Second, func() { others[0].Signal(syscall.SIGCONT) }).Stop()
		}
		var done sync.WaitGroup
		for i := range atOnce {
			done.Go(func() { do(i) })
		}
		done.Wait()
	}
	took, memory := time.Since(began), stop()
	t.Logf("%d logins and %d refreshes with 1 MB of tokens, %d at once: %s; RssAnon in MB at most: %v",
		len(received), atOnce, atOnce, took.Round(time.Second), memory)
	for response, times := range received {
		if times != 1 || len(response) < 1<<20-1000 {
			t.Errorf("an answer of %d bytes was given %d times", len(response), times)
		}
	}
	if len(received) < 2*atOnce {
		t.Errorf("only %d people are signed in", len(received))
	}
	for name, megabytes := range memory {
		if megabytes > 230 {
			t.Errorf("%s took %d MB", name, megabytes)
		}
	}
}

// signInFor signs somebody in, and returns what the plugin gets if they were told that they are signed in.
func (c *crowd) signInFor() (tokens string, acknowledged bool) {
	var login struct{ URL, ReadKey string }
	if err := json.Unmarshal([]byte(c.ask(http.MethodPost, c.URL+"/authorize").body), &login); err != nil {
		c.T.Error(err)
		return "", false
	}
	response, err := c.Client.Get(login.URL)
	if err != nil {
		c.T.Error(err)
		return "", false
	}
	response.Body.Close()
	if page := c.ask(http.MethodGet, response.Header.Get("Location")); page.status != http.StatusOK {
		return "", false
	}
	poll := c.URL + "/poll?wait=5&readKey=" + login.ReadKey
	polled := c.ask(http.MethodPost, poll)
	for polled.status == http.StatusNotFound && strings.Contains(polled.body, "authorization_pending") {
		polled = c.ask(http.MethodPost, poll)
	}
	return polled.body, true
}

// starts begins logins at machines, one after the other and over and over again, and knows the longest time
// in which none could begin at any of them. Make it with startLogins.
type starts struct {
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	last    time.Time
	longest time.Duration
	answers map[string]int
}

func startLogins(machines ...*testkit.Process) *starts {
	s := &starts{stop: make(chan struct{}), last: time.Now(), answers: map[string]int{}}
	for _, p := range machines {
		s.done.Go(func() {
			for {
				select {
				case <-s.stop:
					return
				default:
					s.start(p)
				}
			}
		})
	}
	return s
}

func (s *starts) start(p *testkit.Process) {
	response, err := p.Client.Post(p.URL+"/authorize", "", nil)
	outcome := fmt.Sprint(err)
	if err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		outcome = response.Status
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[outcome]++
	if err != nil || response.StatusCode != http.StatusOK {
		return
	}
	now := time.Now()
	s.longest, s.last = max(s.longest, now.Sub(s.last)), now
}

// begun returns how many logins have begun.
func (s *starts) begun() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers["200 OK"]
}

// end returns the longest time in which no login could begin.
func (s *starts) end() time.Duration {
	close(s.stop)
	s.done.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.longest, time.Since(s.last))
}

// freezeTime is longer than everything that machines wait for.
const freezeTime = 15 * time.Second

// A machine is frozen while people sign in, be it the leader or another, as a host does that moves to another
// one: the others go on, and when it wakes, it gives nothing that the others have given.
func TestMachinesFrozen(t *testing.T) {
	t.Parallel()
	machines := startMachines(t)
	people := &crowd{Process: machines[0], machines: machines, stop: make(chan struct{})}
	people.Client = testkit.NewClient()
	people.Client.Timeout = 3 * time.Second
	signIns := people.signInAgainAndAgain(6)
	enough := func() {
		t.Helper()
		before := people.acknowledged.Load()
		eventually(t, "people sign in", func() bool { return people.acknowledged.Load() >= before+50 })
	}
	for round := range 3 {
		enough()
		leads, others := leading(t, machines)
		frozen := leads
		if round == 1 {
			frozen, others = others[0], testkit.Machines{leads, others[1]}
		}
		people.generation.Add(1)
		frozen.Signal(syscall.SIGSTOP)
		starts := startLogins(others...)
		time.Sleep(freezeTime) // this is the fault
		frozen.Signal(syscall.SIGCONT)
		people.generation.Add(1)
		longest := starts.end()
		t.Logf("frozen in round %d: longest time without a start at the others %s, answers %v",
			round, longest.Round(time.Millisecond), starts.answers)
		if longest > 5*time.Second {
			t.Errorf("for %s nobody could sign in", longest)
		}
		eventually(t, "it is well again", func() bool {
			return frozen.Get("/api/health").Status == http.StatusOK
		})
	}
	enough()
	close(people.stop)
	signIns.Wait()
	people.expectNoneLost()
	for _, p := range machines { // what the others said meanwhile came late, and says nothing of its clock
		if strings.Contains(p.Out.String(), "the clock of this machine differs") {
			t.Errorf("it takes its clock for a wrong one:\n%s", p.Out)
		}
	}
}

// expectNoneLost checks what has become of those who signed in.
func (c *crowd) expectNoneLost() {
	c.T.Helper()
	c.T.Logf("%d logins started, %d told that they are signed in, %d interrupted before; %d lost, %d given "+
		"twice", c.started.Load(), c.acknowledged.Load(), c.interrupted.Load(), c.lost.Load(), c.twice.Load())
	if c.lost.Load() != 0 || c.twice.Load() != 0 {
		c.T.Errorf("of %d logins %d are lost and %d were given twice",
			c.acknowledged.Load(), c.lost.Load(), c.twice.Load())
	}
}

// leading returns the machine that leads at the moment, and the others, as those say that run.
func leading(t *testing.T, machines testkit.Machines) (leads *testkit.Process, others testkit.Machines) {
	t.Helper()
	i := strings.Index("abc", leaderOf(t, machines))
	return machines[i], slices.Delete(slices.Clone(machines), i, i+1)
}

// leaderOf returns the name of the machine that leads, as some machines say.
func leaderOf(t *testing.T, machines testkit.Machines) (name string) {
	t.Helper()
	eventually(t, "one leads", func() bool {
		name = ""
		for _, p := range machines {
			said := readClusterStatus(p).Leader
			if said == "" || name != "" && name != said {
				return false
			}
			name = said
		}
		return true
	})
	return name
}

// readClusterStatus returns what a machine has noted of its cluster, or a status that says nothing.
func readClusterStatus(p *testkit.Process) (status cluster.Status) {
	content, err := os.ReadFile(filepath.Join(p.Dir, "pb_data", clusterName, "status.json"))
	if err == nil {
		err = json.Unmarshal(content, &status)
	}
	if err != nil || time.Since(status.Time) > 10*time.Second {
		return cluster.Status{}
	}
	return status
}

// Three machines get this version instead of another one, whose program PREVIOUS_PROGRAM names, one after the
// other while people sign in. What was under way goes on. Without that variable it is a restart of each.
func TestMachinesUpgrade(t *testing.T) {
	t.Parallel()
	previous := os.Getenv("PREVIOUS_PROGRAM")
	machines := testkit.NewMachines(t, "a", "b", "c")
	for _, p := range machines {
		p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off")
		p.Path = previous
	}
	machines.Start()
	waiting, waitingKey := machines[0].Authorize()
	_, readyKey := loginAcross(machines, machines[1], machines[2])
	people := &crowd{Process: machines[0], machines: machines, stop: make(chan struct{})}
	people.Client.Timeout = 15 * time.Second
	signIns := people.signInAgainAndAgain(4)
	for _, p := range machines {
		before := people.acknowledged.Load()
		eventually(t, "people sign in", func() bool { return people.acknowledged.Load() >= before+30 })
		if code := p.Terminate(); code != 0 {
			t.Errorf("it ended with %d:\n%s", code, p.Out)
		}
		people.generation.Add(1)
		p.Path, p.Out = "", &testkit.Printed{}
		p.Start()
	}
	close(people.stop)
	signIns.Wait()
	people.expectNoneLost()
	page := machines[1].Get(machines.At(machines[1], machines[0].Agree(waiting)))
	machines[1].ExpectPage("the page", page, http.StatusOK, "You are signed in")
	for _, readKey := range []string{waitingKey, readyKey} {
		got := machines[2].Post("/poll?wait=10&readKey=" + readKey)
		machines[2].Expect("the poll", got, http.StatusOK, testkit.TokenResponse)
	}
}
