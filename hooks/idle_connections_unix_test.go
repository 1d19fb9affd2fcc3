//go:build unix

package hooks

import (
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// Thousands of connections that send nothing, and some that never finish their request, do not keep anybody
// out. It is not parallel, since it takes most of the sockets that a process may have.
func TestIdleAndSlowConnections(t *testing.T) {
	p := testkit.NewProcess(t)
	p.Start()
	p.Client.Timeout = 10 * time.Second
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var connections []net.Conn
	defer func() {
		for _, connection := range connections {
			connection.Close()
		}
	}()
	for i := range min(10_000, int(limit.Cur)-2_000) {
		connection, err := net.Dial("tcp", p.Address)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		connections = append(connections, connection)
		if i%100 == 0 {
			// A header without an end.
			fmt.Fprint(connection, "POST /poll?readKey=x HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
		}
	}
	t.Logf("%d connections", len(connections))
	page, readKey := p.Login()
	p.ExpectPage("login", page, http.StatusOK, "You are signed in")
	p.Expect("poll", p.Poll(readKey), http.StatusOK, testkit.TokenResponse)
}
