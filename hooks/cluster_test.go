//go:build unix

package hooks

import (
	"archive/zip"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// startMachines starts three machines.
func startMachines(t *testing.T) testkit.Machines {
	t.Helper()
	machines := testkit.NewMachines(t, "a", "b", "c")
	for _, p := range machines {
		p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off")
	}
	machines.Start()
	return machines
}

// loginAcross starts a sign-in at one machine, and finishes it at another.
func loginAcross(machines testkit.Machines, at, back *testkit.Process) (page testkit.Answer, readKey string) {
	at.T.Helper()
	authorizationURL, readKey := at.Authorize()
	return back.Get(machines.At(back, at.Agree(authorizationURL))), readKey
}

// A sign-in may start at one machine, come back at a second and be polled at a third, where a poll that is
// held wakes at once. Of many polls on all machines one gets the tokens.
func TestMachines(t *testing.T) {
	t.Parallel()
	machines := startMachines(t)
	a, b, c := machines[0], machines[1], machines[2]
	var waits []time.Duration
	for range 5 {
		authorizationURL, readKey := a.Authorize()
		polled := make(chan testkit.Answer, 1)
		var answered time.Time
		go func() {
			got := c.Post("/poll?wait=30&readKey=" + readKey)
			answered = time.Now()
			polled <- got
		}()
		a.Expect("meanwhile", a.Poll(readKey), http.StatusNotFound, bodyPending)
		page := b.Get(machines.At(b, a.Agree(authorizationURL)))
		finished := time.Now()
		b.ExpectPage("the page", page, http.StatusOK, "You are signed in")
		c.Expect("the held poll", <-polled, http.StatusOK, testkit.TokenResponse)
		waits = append(waits, answered.Sub(finished))
	}
	// Other tests run at the same time, so that only the quickest says something.
	if quickest := slices.Min(waits); quickest > 50*time.Millisecond {
		t.Errorf("the held poll was answered after %s at the earliest", quickest)
	}
	t.Logf("from the page to the poll that waits elsewhere: %v", waits)
	for _, p := range machines {
		if strings.Contains(p.Out.String(), "level=ERROR") {
			t.Errorf("nothing is wrong, and the log says:\n%s", p.Out)
		}
	}
	for range 3 {
		_, readKey := loginAcross(machines, b, c)
		var polls sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for i := range 30 {
			polls.Go(func() {
				got := machines[i%3].Post("/poll?readKey=" + readKey)
				mu.Lock()
				defer mu.Unlock()
				statuses[got.Status]++
			})
		}
		polls.Wait()
		if statuses[http.StatusOK] != 1 || statuses[http.StatusNotFound] != 29 {
			t.Errorf("30 polls got %v", statuses)
		}
		for _, p := range machines {
			eventually(t, "the tokens are gone", func() bool { return p.Poll(readKey).Body == bodyUnknown })
		}
	}
	for _, p := range machines {
		if printed := p.Out.String(); strings.Contains(printed, "is not taken over") {
			t.Errorf("%s takes a key for another's:\n%s", p.URL, printed)
		}
	}
}

// A refresh token that several machines get at once is redeemed once, and all of them have the answer, until
// one of its tokens is revoked anywhere.
func TestMachinesRefreshOnce(t *testing.T) {
	t.Parallel()
	machines := testkit.NewMachines(t, "a", "b", "c")
	client := machines[0].Provider.Known()
	client.RevokeEndpoint = machines[0].Provider.URL + "/revoke"
	machines[0].Provider.Knows(client)
	for _, p := range machines {
		p.Env = append(p.Env, "REVOKE_ENDPOINT="+client.RevokeEndpoint)
	}
	machines.Start()
	before := machines[0].Provider.Exchanges()
	var refreshes sync.WaitGroup
	for i := range 30 {
		refreshes.Go(func() {
			p := machines[i%3]
			p.Expect("refresh", p.Post("/refresh?code=RT-0"), http.StatusOK, testkit.TokenResponse)
		})
	}
	refreshes.Wait()
	if asked := machines[0].Provider.Exchanges() - before; asked != 1 {
		t.Errorf("the provider was asked %d times", asked)
	}
	a, b, c := machines[0], machines[1], machines[2]
	before = a.Provider.Exchanges()
	a.Expect("refresh", a.Post("/refresh?code=RT-9"), http.StatusOK, testkit.TokenResponse)
	b.Expect("revoke", b.Post("/revoke?token=RT-9"), http.StatusOK, "{}")
	// It has the answer in memory for 30 seconds, unless it hears of the revocation.
	revoked := time.Now()
	eventually(t, "the provider is asked again", func() bool {
		a.Expect("refresh", a.Post("/refresh?code=RT-9"), http.StatusOK, testkit.TokenResponse)
		return a.Provider.Exchanges()-before == 2
	})
	if took := time.Since(revoked); took > 20*time.Second {
		t.Errorf("it heard of the revocation after %s", took)
	}
	c.Expect("refresh", c.Post("/refresh?code=RT-9"), http.StatusOK, testkit.TokenResponse)
	if asked := a.Provider.Exchanges() - before; asked != 2 {
		t.Errorf("around a revocation the provider was asked %d times", asked)
	}
}

// Machines are killed, and then stopped one after the other as in a deploy, while people sign in at all of
// them: each login whose page said "You are signed in" reaches its plugin, once.
func TestMachinesUnderLoad(t *testing.T) {
	t.Parallel()
	machines := startMachines(t)
	people := &crowd{Process: machines[0], machines: machines, stop: make(chan struct{})}
	people.Client.Timeout = 15 * time.Second
	signIns := people.signInAgainAndAgain(6)
	for round := range 7 {
		stopped := machines[round%3]
		// This picks a random moment; it does not wait for anything.
		time.Sleep(time.Duration(20+rand.IntN(180)) * time.Millisecond)
		if round < 4 {
			stopped.Stop(syscall.SIGKILL)
		} else if code := stopped.Terminate(); code != 0 {
			t.Errorf("deploy of %d ended with %d:\n%s", round, code, stopped.Out)
		}
		people.generation.Add(1)
		stopped.Start()
	}
	eventually(t, "enough logins are told that they are signed in", func() bool {
		return people.acknowledged.Load() >= 100
	})
	close(people.stop)
	signIns.Wait()
	t.Logf("%d logins started, %d told that they are signed in, %d interrupted before; %d lost, %d given "+
		"twice", people.started.Load(), people.acknowledged.Load(), people.interrupted.Load(),
		people.lost.Load(), people.twice.Load())
	if lost, twice := people.lost.Load(), people.twice.Load(); lost != 0 || twice != 0 {
		t.Errorf("of %d logins %d are lost and %d were given twice", people.acknowledged.Load(), lost, twice)
	}
}

// leader returns the machine that leads, and the others, from what a machine has logged.
func leader(t *testing.T, machines testkit.Machines) (leads *testkit.Process, others testkit.Machines) {
	t.Helper()
	_, name, found := strings.Cut(machines[0].Out.String(), "leader=")
	if !found {
		t.Fatalf("nobody says who leads:\n%s", machines[0].Out)
	}
	i := strings.Index("abc", name[:1])
	return machines[i], slices.Delete(slices.Clone(machines), i, i+1)
}

// expectNoStart checks that a machine without a majority begins no login, and says so in time.
func expectNoStart(alone *testkit.Process) {
	alone.T.Helper()
	began := time.Now()
	refused := alone.Post("/authorize")
	took := time.Since(began)
	alone.ExpectError("/authorize", refused, http.StatusServiceUnavailable, "temporarily_unavailable")
	if refused.Header.Get("Retry-After") == "" || took > 3*time.Second {
		alone.T.Errorf("the answer has the headers %v, and took %s", refused.Header, took)
	}
}

// Without a majority a machine says so in time, uses up nothing, and goes on to refresh. All is there when
// there is a majority again.
func TestNoMajority(t *testing.T) {
	t.Parallel()
	machines := startMachines(t)
	alone, others := leader(t, machines)
	waiting, waitingKey := alone.Authorize()
	callback := machines.At(alone, alone.Agree(waiting))
	_, readyKey := loginAcross(machines, others[0], others[1])
	for _, p := range others {
		p.Stop(syscall.SIGKILL)
	}
	// It still believes that it leads, and may have written down what it is asked for.
	_, form, _ := strings.Cut(callback, "?")
	alone.ExpectPage("the choice", alone.Request(http.MethodPost, "/redirect", form+"&choice=continue",
		"Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin"),
		http.StatusServiceUnavailable, `name="choice"`)
	alone.ExpectPage("the page", alone.Get(callback), http.StatusServiceUnavailable, "One moment, please")
	eventually(t, "the health check fails", func() bool {
		got := alone.Get("/api/health")
		return got.Status == http.StatusServiceUnavailable &&
			strings.Contains(got.Body, "Most of the machines cannot be reached.")
	})
	expectNoStart(alone)
	alone.Expect("a ready poll", alone.Poll(readyKey), http.StatusNotFound, bodyPending)
	alone.Expect("a pending poll", alone.Poll(waitingKey), http.StatusNotFound, bodyPending)
	page := alone.Get(callback)
	alone.ExpectPage("the page", page, http.StatusServiceUnavailable, `http-equiv="refresh"`)
	for _, token := range []string{"RT-2", "RT-3", "RT-2"} {
		alone.Expect("refresh", alone.Post("/refresh?code="+token), http.StatusOK, testkit.TokenResponse)
	}
	if lines := strings.Count(alone.Out.String(), "without the other machines"); lines != 1 {
		t.Errorf("%d lines say that refreshes go on alone:\n%s", lines, alone.Out)
	}
	eventually(t, "the log says so", func() bool {
		return strings.Contains(alone.Out.String(), "nothing can be stored until they can")
	})
	others[0].Start()
	eventually(t, "the machine is well again", func() bool {
		return alone.Get("/api/health").Status == http.StatusOK
	})
	eventually(t, "the state is unused", func() bool { return alone.Get(callback).Status == http.StatusOK })
	for _, readKey := range []string{readyKey, waitingKey} {
		eventually(t, "the tokens are given", func() bool {
			got := others[0].Poll(readKey)
			return got.Status == http.StatusOK && got.Body == testkit.TokenResponse
		})
	}
	_, readKey := loginAcross(machines, alone, others[0])
	eventually(t, "a new sign-in gets tokens", func() bool {
		return alone.Poll(readKey).Status == http.StatusOK
	})
}

// What a machine has of its cluster is for its owner only, and in no backup.
func TestClusterFolder(t *testing.T) {
	t.Parallel()
	machines := testkit.NewMachines(t, "a", "b", "c")
	p := machines[0]
	p.Env = append(p.Env, testkit.SuperuserEnv()...)
	withUmask(t, p)
	machines.Start()
	loginAcross(machines, machines[1], machines[2])
	got := p.Request(http.MethodPost, "/api/backups", `{"name":"backup.zip"}`, p.Admin(), asJSON)
	if got.Status != http.StatusNoContent {
		t.Fatalf("backup: %d %s", got.Status, got.Body)
	}
	mustRun(p, "backup pb_data/backups/own.zip --dir pb_data")
	folder := filepath.Join(p.Dir, "pb_data")
	expectPrivate(t, folder, 15)
	for _, name := range []string{"backup.zip", "own.zip"} {
		archive, err := zip.OpenReader(filepath.Join(folder, "backups", name))
		if err != nil {
			t.Fatal(err)
		}
		defer archive.Close()
		for _, file := range archive.File {
			if strings.HasPrefix(file.Name, clusterName) {
				t.Errorf("%s has %s", name, file.Name)
			}
		}
	}
}

// A machine that the others have removed ends with words for the admin.
func TestRemovedMachineEnds(t *testing.T) {
	t.Parallel()
	machines := testkit.NewMachines(t, "a", "b", "c")
	machines.Start()
	removed := machines[2]
	for _, p := range machines[:2] {
		p.Terminate()
		for i, variable := range p.Env {
			if list, found := strings.CutPrefix(variable, "CLUSTER="); found {
				list, _, _ = strings.Cut(list, ",c=")
				p.Env[i] = "CLUSTER=" + list + ",d=127.0.0.1:9"
			}
		}
		p.Start()
	}
	// As long as it leads, it goes by the list that it was started with. On a busy machine it may lead again.
	hasEnded := func() bool { return strings.Contains(removed.Out.String(), errNoMember.Error()) }
	for !hasEnded() {
		removed.Signal(syscall.SIGSTOP)
		eventually(t, "another leads", func() bool {
			return machines[0].Post("/authorize").Status == http.StatusOK
		})
		removed.Signal(syscall.SIGCONT)
		for until := time.Now().Add(15 * time.Second); !hasEnded() && time.Now().Before(until); {
			time.Sleep(10 * time.Millisecond)
		}
	}
	if code := removed.Stop(syscall.SIGCONT); code != 1 {
		t.Errorf("it ended with %d:\n%s", code, removed.Out)
	}
}

// An address of the cluster that is taken is not mistaken for that of the service.
func TestTakenClusterAddress(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := testkit.NewMachines(t, "a", "b", "c")[0]
	p.Env = append(p.Env, "CLUSTER_LISTEN="+listener.Addr().String())
	printed, code := p.Run("serve", "--http", "127.0.0.1:0")
	if code != 1 || !strings.Contains(printed, "CLUSTER_LISTEN") || strings.Contains(printed, "--http") {
		t.Errorf("it ends with %d:\n%s", code, printed)
	}
}

// A machine that waits for the others says so, and can be stopped.
func TestMachineWaits(t *testing.T) {
	t.Parallel()
	p := testkit.NewMachines(t, "a", "b", "c")[0]
	ended := make(chan error, 1)
	p.Output = p.Out
	go func() { ended <- p.Command.Start() }()
	eventually(t, "it says what it waits for", func() bool {
		return strings.Contains(p.Out.String(), "this machine has no data, and waits for the others") &&
			strings.Contains(p.Out.String(), "machine=c")
	})
	if code := p.Terminate(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	if err := <-ended; err == nil {
		t.Error("it listened without the others")
	}
}

// Every dashboard shows the whole service, and ends sign-ins of any machine.
func TestMachinesShareDashboards(t *testing.T) {
	t.Parallel()
	machines := testkit.NewMachines(t, "a", "b", "c")
	for _, p := range machines {
		p.Env = append(p.Env, testkit.SuperuserEnv()...)
	}
	machines.Start()
	a, b, c := machines[0], machines[1], machines[2]
	_, readKey := loginAcross(machines, a, b)
	c.Expect("poll", c.PollUntilEnded(readKey), http.StatusOK, testkit.TokenResponse)
	_, living := a.Authorize()
	type answer struct {
		Funnel   []struct{ Started, Claimed, Denied int }
		Live     []struct{ ID string }
		Machines []struct {
			Name  string
			Leads bool
			Seen  *float64
		}
	}
	read := func(p *testkit.Process) (got answer) {
		readJSON(p.Backend, "/api/plugin-oauth/sign-ins?span=day", &got)
		return got
	}
	for _, p := range machines {
		eventually(t, "the dashboard has all", func() bool {
			got := read(p)
			seen := 0
			for _, machine := range got.Machines {
				if machine.Seen != nil {
					seen++
				}
			}
			return len(got.Funnel) == 1 && got.Funnel[0].Started == 2 && got.Funnel[0].Claimed == 1 &&
				len(got.Live) == 1 && seen == 3
		})
	}
	end := c.Request(http.MethodPost, "/api/plugin-oauth/sign-ins/"+read(c).Live[0].ID+"/end", "", c.Admin())
	c.Expect("end", end, http.StatusNoContent, "")
	b.ExpectError("poll", b.PollUntilEnded(living), http.StatusBadRequest, "access_denied")
	if got := read(c); got.Funnel[0].Denied != 1 || len(got.Live) != 0 {
		t.Errorf("afterwards: %+v", got)
	}
}
