//go:build unix

package hooks

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// crossing is machines of which one is alone before they are a cluster, or after.
type crossing struct{ testkit.Machines }

// newCrossing prepares three machines, of which the first is still alone, and runs.
func newCrossing(t *testing.T) (machines crossing, first *testkit.Process, together []string) {
	t.Helper()
	machines = crossing{testkit.NewMachines(t, "a", "b", "c")}
	first = machines.Machines[0]
	together = first.Env
	first.Env = withoutCluster(first)
	first.Start()
	return machines, first, together
}

// withoutCluster returns the environment in which a process is alone.
func withoutCluster(p *testkit.Process) []string {
	return slices.DeleteFunc(slices.Clone(p.Env), func(variable string) bool {
		return strings.HasPrefix(variable, "CLUSTER")
	})
}

// underWay are sign-ins at different stages.
type underWay struct {
	crossing

	pending                                   *url.URL
	pendingKey, readyKey, deniedKey, givenKey string
}

// begin brings sign-ins as far as they are to come before the machines change.
func (c crossing) begin(at *testkit.Process) (begun underWay) {
	at.T.Helper()
	begun.crossing = c
	begun.pending, begun.pendingKey = at.Authorize()
	var page testkit.Answer
	page, begun.readyKey = loginAcross(c.Machines, at, at)
	at.ExpectPage("ready", page, http.StatusOK, "You are signed in")
	var denied *url.URL
	denied, begun.deniedKey = at.Authorize()
	at.Get("/redirect?error=access_denied&state=" + denied.Query().Get("state"))
	page, begun.givenKey = loginAcross(c.Machines, at, at)
	at.ExpectPage("given", page, http.StatusOK, "You are signed in")
	at.Expect("given", at.Poll(begun.givenKey), http.StatusOK, testkit.TokenResponse)
	return begun
}

// expect checks that all of them go on: browsers come back to one machine, and plugins poll another.
func (u underWay) expect(back, poll *testkit.Process) {
	poll.T.Helper()
	poll.Expect("pending", poll.Poll(u.pendingKey), http.StatusNotFound, bodyPending)
	page := back.Get(u.At(back, back.Agree(u.pending)))
	back.ExpectPage("pending", page, http.StatusOK, "You are signed in")
	poll.Expect("pending, then", poll.PollUntilEnded(u.pendingKey), http.StatusOK, testkit.TokenResponse)
	poll.Expect("ready", poll.Poll(u.readyKey), http.StatusOK, testkit.TokenResponse)
	poll.ExpectError("denied", poll.Poll(u.deniedKey), http.StatusBadRequest, "access_denied")
	u.expectGiven(poll)
}

// expectGiven checks that no tokens are given a second time.
func (u underWay) expectGiven(poll *testkit.Process) {
	poll.T.Helper()
	for _, readKey := range []string{u.pendingKey, u.readyKey, u.givenKey} {
		poll.Expect("given", poll.PollUntilEnded(readKey), http.StatusNotFound, bodyUnknown)
	}
}

// killWhile starts a machine again, and kills it some time after a file has appeared in its data folder. It
// reports whether that came before it listened.
func killWhile(p *testkit.Process, name string, later time.Duration) (killed bool) {
	p.T.Helper()
	p.Output = p.Out
	before := p.PID()
	started := make(chan error, 1)
	go func() { started <- p.Command.Start() }()
	for {
		select {
		case err := <-started:
			if err != nil {
				p.T.Fatalf("%v\n%s", err, p.Out)
			}
			p.Stop(syscall.SIGKILL)
			return false
		case <-time.After(time.Millisecond):
		}
		if _, err := os.Stat(filepath.Join(p.Dir, "pb_data", name)); err == nil && p.PID() != before {
			break
		}
	}
	time.Sleep(later)
	p.Stop(syscall.SIGKILL)
	return <-started != nil
}

// killOften kills a machine again and again while it starts, each time a little later than the last, until it
// listens before.
func killOften(p *testkit.Process, name string) {
	p.T.Helper()
	kills := 0
	for later := time.Duration(0); killWhile(p, name, later); later += later/4 + 30*time.Millisecond {
		kills++
	}
	p.T.Logf("killed %d times", kills)
}

// A machine that is killed while it brings its sign-ins to the others, or while it takes them along from
// there, loses none, and gives none twice.
func TestKilledWhileCrossing(t *testing.T) {
	t.Parallel()
	machines, first, together := newCrossing(t)
	alone := machines.begin(first)
	first.Terminate()
	first.Env = together
	others := make(chan bool)
	go func() {
		defer close(others)
		machines.Machines[1:].Start()
	}()
	killOften(first, filepath.Join(clusterName, "member", "wal"))
	first.Start()
	<-others
	if t.Failed() {
		t.FailNow()
	}
	alone.expect(machines.Machines[1], machines.Machines[2])

	shared := machines.begin(machines.Machines[2])
	for _, p := range slices.Backward(machines.Machines) {
		p.Terminate()
	}
	first.Env = withoutCluster(first)
	killOften(first, filepath.Join(clusterName, "reading"))
	first.Start()
	shared.expect(first, first)
	first.Crash()
	shared.expectGiven(first)
}

// A machine that was stopped before the others knows not what they have done since: it gives no tokens that
// they may have given. What waits for the person goes on.
func TestAloneAfterTheOthers(t *testing.T) {
	t.Parallel()
	machines := crossing{startMachines(t)}
	a, b, c := machines.Machines[0], machines.Machines[1], machines.Machines[2]
	_, given := loginAcross(machines.Machines, a, b)
	_, waits := loginAcross(machines.Machines, a, b)
	pending, pendingKey := a.Authorize()
	c.Expect("meanwhile", c.Poll(pendingKey), http.StatusNotFound, bodyPending)
	c.Terminate()
	a.Expect("given", a.Poll(given), http.StatusOK, testkit.TokenResponse)
	together := c.Env
	c.Env = withoutCluster(c)
	c.Out = &testkit.Printed{}
	mustNotStart(c, "this machine was in a cluster, and others of it run: a (127.0.0.1:", "Set CLUSTER again")
	c.Env = together
	c.Start() // nothing has happened
	c.Stop(syscall.SIGKILL)
	a.Terminate()
	b.Terminate()
	c.Env = withoutCluster(c)
	c.Start()
	for _, readKey := range []string{given, waits} {
		if got := c.Poll(readKey); got.Status == http.StatusOK {
			t.Errorf("tokens are given that another machine may have given: %s", got.Body)
		}
	}
	c.ExpectError("ready", c.Poll(waits), http.StatusBadRequest, "server_error")
	page := c.Get(machines.At(c, c.Agree(pending)))
	c.ExpectPage("pending", page, http.StatusOK, "You are signed in")
	c.Expect("pending", c.Poll(pendingKey), http.StatusOK, testkit.TokenResponse)
	if printed := c.Out.String(); !strings.Contains(printed, "may have gone on after this one") {
		t.Errorf("it does not say what it has ended:\n%s", printed)
	}
}

// mustNotStart checks that a program ends at its start, with these words.
func mustNotStart(p *testkit.Process, words ...string) {
	p.T.Helper()
	p.Output = p.Out
	err := p.Command.Start()
	for _, word := range words {
		if err == nil || !strings.Contains(p.Out.String(), word) {
			p.T.Errorf("it starts with %v, and says nothing of %q:\n%s", err, word, p.Out)
		}
	}
}

// An old copy of the data folder brings nothing back, though its machine has the first name: the one that has
// gone on begins the cluster.
func TestOldFolderJoins(t *testing.T) {
	t.Parallel()
	machines := crossing{testkit.NewMachines(t, "a", "b", "c")}
	old, fresh, last := machines.Machines[0], machines.Machines[1], machines.Machines[2]
	together := last.Env
	last.Env = withoutCluster(last)
	last.Start()
	_, given := loginAcross(machines.Machines, last, last)
	last.Terminate()
	data := os.DirFS(filepath.Join(last.Dir, "pb_data"))
	if err := os.CopyFS(filepath.Join(old.Dir, "pb_data"), data); err != nil {
		t.Fatal(err)
	}
	last.Start()
	last.Expect("poll", last.Poll(given), http.StatusOK, testkit.TokenResponse)
	_, readKey := loginAcross(machines.Machines, last, last)
	pending, pendingKey := last.Authorize()
	last.Terminate()
	last.Env = together
	machines.Start()
	fresh.Expect("poll", fresh.PollUntilEnded(readKey), http.StatusOK, testkit.TokenResponse)
	page := fresh.Get(machines.At(fresh, fresh.Agree(pending)))
	fresh.ExpectPage("pending", page, http.StatusOK, "You are signed in")
	fresh.Expect("poll", fresh.Poll(pendingKey), http.StatusOK, testkit.TokenResponse)
	for _, p := range machines.Machines {
		for _, key := range []string{given, readKey, pendingKey} {
			p.Expect("again", p.PollUntilEnded(key), http.StatusNotFound, bodyUnknown)
		}
	}
}
