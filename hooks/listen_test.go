package hooks

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"plugin-oauth/internal/testkit"
)

// listenAt listens until the test ends.
func listenAt(t *testing.T, host, port string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func portOf(listener net.Listener) string { return port(listener.Addr().String()) }

// localhost is both loopback addresses, with one listener for them.
func TestListenOnBothLoopbacks(t *testing.T) {
	t.Parallel()
	testkit.NeedIPv6(t)
	free := func() string { return port(freeAddress(t)) }
	for _, test := range []struct {
		address string
		both    bool
		want    string // the addresses that are listened on
	}{
		{address: "localhost:0", want: "127.0.0.1 ::1"},
		{address: "localhost:" + free(), want: "127.0.0.1 ::1"},
		{address: "127.0.0.1:" + free(), both: true, want: "127.0.0.1 ::1"},
		{address: "127.0.0.1:" + free(), want: "127.0.0.1"},
		{address: "[::1]:" + free(), want: "::1"},
	} {
		t.Run(test.address, func(t *testing.T) {
			listener, err := listen(test.address, test.both)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			for _, host := range strings.Fields(test.want) {
				dialed, err := net.Dial("tcp", net.JoinHostPort(host, portOf(listener)))
				if err != nil {
					t.Fatal(err)
				}
				defer dialed.Close()
				accepted, err := listener.Accept()
				if err != nil || accepted.RemoteAddr().String() != dialed.LocalAddr().String() {
					t.Fatalf("accepted %v, %v", accepted, err)
				}
				defer accepted.Close()
			}
			if err := listener.Close(); err != nil {
				t.Error(err)
			}
			if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after it was closed: %v", err)
			}
			if port(test.address) == "0" {
				return // anybody may have it by now
			}
			testkit.AwaitExec()
			for _, host := range strings.Fields(test.want) {
				listenAt(t, host, portOf(listener))
			}
		})
	}
}

// If another program has one of the two, the error names it, and the other is free again.
func TestLoopbackIsTaken(t *testing.T) {
	t.Parallel()
	testkit.NeedIPv6(t)
	for i, host := range loopbacks {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			taken := listenAt(t, host, port(freeAddress(t)))
			_, err := listen("localhost:"+portOf(taken), false)
			if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), taken.Addr().String()) {
				t.Errorf("the error is %v", err)
			}
			testkit.AwaitExec()
			other := listenAt(t, loopbacks[1-i], portOf(taken))
			if got := takenLoopback(other); got != taken.Addr().String() {
				t.Errorf("%q is taken", got)
			}
			taken.Close()
			testkit.AwaitExec()
			if got := takenLoopback(other); got != "" {
				t.Errorf("%q is taken by nobody", got)
			}
		})
	}
}

// An address that the machine does not have is left out, as IPv6 may be.
func TestListenWithoutIPv6(t *testing.T) {
	t.Parallel()
	const missing = "192.0.2.1" // of no machine (RFC 5737)
	listener, err := listenOn([]string{"127.0.0.1", missing}, "0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, isJoined := listener.(*joinedListener); isJoined {
		t.Error("it has two listeners")
	}
	if _, err := listenOn([]string{missing}, "0"); err == nil {
		t.Error("it listens nowhere")
	}
}

// The service answers on both, and a start says which address another program has.
func TestServeOnBothLoopbacks(t *testing.T) {
	t.Parallel()
	testkit.NeedIPv6(t)
	p := testkit.NewProcess(t)
	free := port(p.Address)
	p.Args[2] = free
	p.Start()
	for _, host := range loopbacks {
		response, err := http.Get("http://" + net.JoinHostPort(host, free))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d", host, response.StatusCode)
		}
	}
	expectPrinted(t, p, "Backend    http://localhost:"+free+"\n")
	if code := p.Terminate(); code != 0 {
		t.Errorf("ended with %d", code)
	}

	listenAt(t, "::1", free)
	for _, address := range []string{free, "localhost:" + free} {
		out, code := p.Run("serve", "--http", address)
		isNamed := strings.HasPrefix(out, "plugin-oauth: listen tcp [::1]:"+free+": ")
		isAdvised := strings.HasSuffix(out, "\nAnother program uses this address. End it, or choose another "+
			"address with --http.\n")
		if code != 1 || !isNamed || !isAdvised {
			t.Errorf("exit %d\n%s", code, out)
		}
	}
	// Whoever asks for one address gets it, and is told.
	p.Args[2], p.Out = "127.0.0.1:"+free, &testkit.Printed{}
	p.Start()
	expectPrinted(t, p, `level=WARN msg="Another program listens at [::1]:`+free+`."`)
}

// expectPrinted waits until a process has printed some words, which may be a moment after it listens.
func expectPrinted(t *testing.T, p *testkit.Process, words string) {
	t.Helper()
	eventually(t, "it prints "+words, func() bool { return strings.Contains(p.Out.String(), words) })
}
