package cluster

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveDoor opens a door to something that sends back what it is sent. Handshakes have some time.
func serveDoor(t *testing.T, logged io.Writer, handshake time.Duration) (*door, *identity) {
	t.Helper()
	known, err := newIdentity(secret, filepath.Join(t.TempDir(), "tls"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDoor("127.0.0.1:0", known, slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	d.time = handshake
	go d.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		_, _ = w.Write(sent)
	}))
	return d, known
}

func (d *door) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// count returns how many strangers are at the door.
func (d *door) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.strangers)
}

// However many do not end their handshakes, few are held, and a machine is let in.
func TestStrangersAtTheDoor(t *testing.T) {
	t.Parallel()
	d, known := serveDoor(t, io.Discard, time.Hour)
	hello := []byte{0x16, 3, 1, 4, 0, 1, 0, 0xf0, 0} // of 60 KB, in records of 1 KB
	var first net.Conn
	for i := range 2 * maxStrangers {
		conn := d.dial(t)
		if i == 0 {
			first = conn
		}
		_, _ = conn.Write(hello)
	}
	expectClosed(t, first)
	if got := d.count(); got > maxStrangers {
		t.Errorf("%d strangers are held", got)
	}
	machine := http.Client{Transport: &http.Transport{TLSClientConfig: known.tlsConfig()}, Timeout: patience}
	defer machine.CloseIdleConnections()
	const sent = 3 * maxHandshake
	body := strings.NewReader(strings.Repeat("x", sent))
	response, err := machine.Post("https://"+d.Addr().String(), "", body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	if response.Body.Close(); err != nil || len(got) != sent {
		t.Errorf("of what a machine sends %d bytes come back: %v", len(got), err)
	}
	if got := d.count(); got > maxStrangers-1 {
		t.Errorf("a machine counts as one of %d strangers", got)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, found := d.known["127.0.0.1"]; !found {
		t.Error("where it has come from is not known")
	}
}

// Who has another secret is not let in, nor who sends too much first. The log is told once.
func TestRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	logged := &output{}
	d, _ := serveDoor(t, logged, time.Hour)
	other, err := newIdentity(strings.Repeat("o", minSecret), "")
	if err != nil {
		t.Fatal(err)
	}
	trusting := other.tlsConfig()
	trusting.InsecureSkipVerify = true
	for range 2 {
		machine := tls.Client(d.dial(t), trusting)
		if _, err := machine.Read(make([]byte, 1)); err == nil {
			t.Error("one with another secret is let in")
		}
	}
	if got := strings.Count(logged.String(), "another CLUSTER_SECRET"); got != 1 {
		t.Errorf("the log is told %d times: %s", got, logged)
	}
	long := d.dial(t)
	record := append([]byte{0x16, 3, 1, 4, 0}, make([]byte, 1<<10)...)
	first := bytes.Clone(record)
	copy(first[5:], []byte{1, 0, 0xf0, 0}) // a ClientHello of 60 KB
	_, _ = long.Write(append(first, bytes.Repeat(record, maxHandshake>>10)...))
	expectClosed(t, long)
}

// Who does not end the handshake in time is not let in.
func TestSlowAtTheDoor(t *testing.T) {
	t.Parallel()
	d, _ := serveDoor(t, io.Discard, 50*time.Millisecond)
	expectClosed(t, d.dial(t))
}

// expectClosed fails unless the other end closes a connection.
func expectClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, conn)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Error("a connection stays open")
	}
}

// Those who come from the address that has the most make room, the oldest first, but not machines.
func TestOthersAtTheDoor(t *testing.T) {
	t.Parallel()
	d := &door{known: map[string]struct{}{"192.0.2.3": {}}}
	from := func(address string) *stranger {
		conn, _ := net.Pipe()
		return d.add(at{Conn: conn, address: address})
	}
	machine := from("192.0.2.3:1")
	from("192.0.2.3:2")
	quiet := from("192.0.2.1:1")
	var loud []*stranger
	for range 2 * maxStrangers {
		loud = append(loud, from("192.0.2.2:1"))
	}
	if len(d.strangers) != maxStrangers || d.strangers[2] != quiet || d.strangers[3] != loud[maxStrangers+3] {
		t.Errorf("there are %d, and the third one is %s", len(d.strangers), d.strangers[2].host)
	}
	for i := range 2 * maxStrangers {
		from(fmt.Sprintf("198.51.100.%d:1", i))
	}
	if d.strangers[0] != machine {
		t.Error("a machine makes room for those who have an address each")
	}
}

// at is a connection from an address.
type at struct {
	net.Conn

	address string
}

func (a at) RemoteAddr() net.Addr {
	tcp, _ := net.ResolveTCPAddr("tcp", a.address)
	return tcp
}
