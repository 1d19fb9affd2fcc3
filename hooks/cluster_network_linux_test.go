//go:build faults

package hooks

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plugin-oauth/internal/testkit"
)

// network has a machine in each of its network namespaces. They reach each other by a bridge in another one,
// which has no way out. The test reaches their service, and they reach the provider, through pipes that the
// test makes from one namespace to another.
type network struct {
	t        *testing.T
	prefix   string
	machines testkit.Machines
}

// run runs a command of iproute2.
func (n *network) run(command string) {
	n.t.Helper()
	if output, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v\n%s", command, err, output)
	}
}

func (n *network) namespace(i int) string { return fmt.Sprint(n.prefix, i) }

func (n *network) address(i int) string { return fmt.Sprintf("10.77.0.%d", i+1) }

// newNetwork starts three machines. It needs the right to make network namespaces.
func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{
		t:        t,
		prefix:   fmt.Sprintf("po%06d-", rand.IntN(1e6)),
		machines: testkit.NewMachines(t, "a", "b", "c"),
	}
	if output, err := exec.Command("ip", "netns", "add", n.namespace(0)).CombinedOutput(); err != nil {
		testkit.Missing(t, "NETNS_TEST", fmt.Sprintf("no network namespace can be made: %v %s", err, output))
	}
	bridge := n.namespace(9)
	n.run("netns add " + bridge)
	for i := range n.machines {
		name := n.namespace(i)
		if i > 0 {
			n.run("netns add " + name)
		}
		t.Cleanup(func() { n.run("netns del " + name) })
	}
	t.Cleanup(func() { n.run("netns del " + bridge) })
	n.run("-n " + bridge + " link add name hub type bridge")
	n.run("-n " + bridge + " link set hub up")
	for i := range n.machines {
		n.connect(i, bridge)
	}
	n.start()
	return n
}

// connect connects the namespace of a machine with the bridge.
func (n *network) connect(i int, bridge string) {
	name := n.namespace(i)
	n.run(fmt.Sprintf("link add name eth netns %s type veth peer name port%d netns %s", name, i, bridge))
	n.run(fmt.Sprintf("-n %s link set port%d master hub up", bridge, i))
	n.run(fmt.Sprintf("-n %s address add %s/24 dev eth", name, n.address(i)))
	n.run("-n " + name + " link set eth up")
	n.run("-n " + name + " link set lo up")
}

// start starts the machines, each in its namespace.
func (n *network) start() {
	n.t.Helper()
	program, err := testkit.Build()
	if err != nil {
		n.t.Fatal(err)
	}
	tool, err := exec.LookPath("ip")
	if err != nil {
		n.t.Fatal(err)
	}
	var list []string
	for i, name := range []string{"a", "b", "c"} {
		list = append(list, fmt.Sprintf("%s=%s:2380", name, n.address(i)))
	}
	for i, p := range n.machines {
		p.Env = append(p.Env, "CLUSTER="+strings.Join(list, ","), "AUTHORIZE_RATE_LIMIT=off")
		p.Args = append([]string{"netns", "exec", n.namespace(i), program}, p.Args...)
		p.Path, p.Client.Timeout = tool, 10*time.Second
		n.pipe(p.Address, "", n.namespace(i))
		n.pipe(strings.TrimPrefix(p.Provider.URL, "http://"), n.namespace(i), "")
	}
	var starting sync.WaitGroup
	for _, p := range n.machines {
		starting.Go(p.Start)
	}
	starting.Wait()
	for _, p := range n.machines {
		eventually(n.t, "it is well", func() bool { return status(p, "/api/health") == http.StatusOK })
	}
}

// status returns the status of the answer to a GET, or zero if there is none.
func status(p *testkit.Process, path string) int {
	response, err := p.Client.Get(p.URL + path)
	if err != nil {
		if os.IsTimeout(err) {
			p.T.Errorf("%v\n%s", err, p.Out)
		}
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// within does something in a network namespace, of which "" is the test's own.
func (n *network) within(namespace string, do func() error) error {
	if namespace == "" {
		return do()
	}
	there, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return err
	}
	defer there.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and not unlocked, so that the thread ends
		err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

// pipe listens at an address in one namespace, and passes connections on to the same address in another.
func (n *network) pipe(address, from, to string) {
	n.t.Helper()
	var listener net.Listener
	err := n.within(from, func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			here, err := listener.Accept()
			if err != nil {
				return
			}
			go n.pass(here, address, to)
		}
	}()
}

func (n *network) pass(here net.Conn, address, to string) {
	defer here.Close()
	var there net.Conn
	err := n.within(to, func() (err error) {
		there, err = net.Dial("tcp", address)
		return err
	})
	if err != nil {
		return
	}
	defer there.Close()
	ended := make(chan struct{}, 2)
	for _, ends := range [][2]net.Conn{{here, there}, {there, here}} {
		go func() {
			_, _ = io.Copy(ends[0], ends[1])
			ended <- struct{}{}
		}()
	}
	<-ended
}

// cut cuts a machine off: what it sends to the others, what they send to it, or both. All of it vanishes
// without a word.
func (n *network) cut(i int, sends, receives bool) (mend func()) {
	n.t.Helper()
	if sends && receives {
		port := fmt.Sprintf("-n %s link set port%d ", n.namespace(9), i)
		n.run(port + "down")
		return func() { n.run(port + "up") }
	}
	var mends []string
	for j := range n.machines {
		if j == i {
			continue
		}
		from, to := i, j
		if receives {
			from, to = j, i
		}
		neighbour := fmt.Sprintf("-n %s neigh %%s %s dev eth", n.namespace(from), n.address(to))
		// An address that no machine has.
		n.run(fmt.Sprintf(neighbour, "replace") + " lladdr 02:00:00:00:00:77 nud permanent")
		mends = append(mends, fmt.Sprintf(neighbour, "del"))
	}
	return func() {
		for _, command := range mends {
			n.run(command)
		}
	}
}

// The network cuts one machine off, be it the leader or another, both ways or one: the others go on, the
// machine says so and gives nothing, and all goes on when the network does.
func TestMachinesCutOff(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	people := &crowd{Process: n.machines[0], machines: n.machines, stop: make(chan struct{})}
	signIns := people.signInAgainAndAgain(4)
	for _, fault := range []struct {
		name            string
		sends, receives bool
	}{
		{name: "both ways", sends: true, receives: true},
		{name: "what it sends", sends: true},
		{name: "what it receives", receives: true},
	} {
		for _, isLeader := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, leader %t", fault.name, isLeader), func(t *testing.T) {
				n.cutOff(t, isLeader, fault.sends, fault.receives)
				people.generation.Add(1)
			})
		}
	}
	close(people.stop)
	signIns.Wait()
	people.expectNoneLost()
}

// cutOff cuts the leader off for a while, or another machine.
func (n *network) cutOff(t *testing.T, isLeader, sends, receives bool) {
	t.Helper()
	alone, others := leading(t, n.machines)
	if !isLeader {
		alone, others = others[0], testkit.Machines{alone, others[1]}
	}
	_, readyKey := loginAcross(n.machines, others[0], others[1])
	mend := n.cut(slices.Index(n.machines, alone), sends, receives)
	began := time.Now()
	starts := startLogins(others...)
	eventually(t, "the one that is cut off says so", func() bool {
		return status(alone, "/api/health") == http.StatusServiceUnavailable
	})
	noticed := time.Since(began)
	expectAlone(alone, readyKey)
	// As long as everything that machines wait for takes.
	eventually(t, "it has lasted", func() bool { return time.Since(began) > 8*time.Second })
	longest := starts.end()
	mend()
	mended := time.Now()
	eventually(t, "it is well again", func() bool { return status(alone, "/api/health") == http.StatusOK })
	well := time.Since(mended)
	t.Logf("noticed after %s; longest time without a start at the others %s, answers %v; well again after %s",
		noticed.Round(time.Millisecond), longest.Round(time.Millisecond), starts.answers,
		well.Round(time.Millisecond))
	if longest > 5*time.Second || noticed > 5*time.Second || well > 15*time.Second {
		t.Error("that is too long")
	}
	var polled testkit.Answer
	eventually(t, "the tokens are given", func() bool {
		polled = alone.Post("/poll?wait=1&readKey=" + readyKey)
		return polled.Status != http.StatusNotFound
	})
	alone.Expect("the poll", polled, http.StatusOK, testkit.TokenResponse)
}

// expectAlone checks what a machine answers that is cut off.
func expectAlone(alone *testkit.Process, readyKey string) {
	alone.T.Helper()
	expectNoStart(alone)
	alone.Expect("a ready poll", alone.Poll(readyKey), http.StatusNotFound, bodyPending)
	alone.Expect("refresh", alone.Post("/refresh?code=RT-2"), http.StatusOK, testkit.TokenResponse)
}
