package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plugin-oauth/internal/goaway"
	"plugin-oauth/internal/tries"
)

// rawAPI starts an API that gets connections and answers as it likes, until the test ends.
func rawAPI(t testing.TB, answer func(net.Conn)) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { connection.Close() })
			go answer(connection)
		}
	}()
	return &url.URL{Scheme: "http", Host: "localhost:" + portOf(listener), Path: "/"}
}

// answering reads the head of a request, writes these bytes and closes the connection.
func answering(answer string) func(net.Conn) {
	return func(connection net.Conn) {
		beginning(answer)(connection)
		connection.Close()
	}
}

// beginning reads the head of a request and writes these bytes.
func beginning(answer string) func(net.Conn) {
	return func(connection net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(connection)); err == nil {
			_, _ = io.WriteString(connection, answer)
		}
	}
}

const half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"

// call relays one request to an address, and returns the answer and the relay's error once it has ended.
func call(t *testing.T, relay *Relay, one Call, request string) (answer string, err error) {
	t.Helper()
	ended := make(chan error, 1)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		returned := errors.New("cut")
		defer func() { ended <- returned }()
		returned = relay.Serve(w, r, one)
		if returned != nil {
			w.Header().Set("Connection", "close")
		}
	}))
	t.Cleanup(service.Close)
	connection, dialErr := net.Dial("tcp", service.Listener.Addr().String())
	if dialErr != nil {
		t.Fatal(dialErr)
	}
	t.Cleanup(func() { connection.Close() })
	answers := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(connection)
		answers <- string(all)
	}()
	go func() { _, _ = io.WriteString(connection, request) }()
	select {
	case err = <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the call has no end")
	}
	_ = connection.SetReadDeadline(time.Now().Add(time.Second))
	return <-answers, err
}

// to returns a call of an address.
func to(u *url.URL) Call {
	return Call{
		URL: u, Authorization: "Bearer token",
		Locate:  func(*url.URL) string { return "" },
		Allowed: func() bool { return true },
		OnHead:  func(int, time.Duration) {},
	}
}

const plainGet = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

// What is no answer is none, opens no tunnel, and its words are not for a log.
func TestNoAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"101":             "HTTP/1.1 101 Switching Protocols\r\n\r\nsecret",
		"101 to h2c":      "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nsecret",
		"status 099":      "HTTP/1.1 099 x\r\nContent-Length: 6\r\n\r\nsecret",
		"status 000":      "HTTP/1.1 000 x\r\nContent-Length: 6\r\n\r\nsecret",
		"not HTTP":        "secret",
		"broken header":   "HTTP/1.1 200 OK\r\nsecret\r\n\r\n",
		"folded header":   "HTTP/1.1 200 OK\r\n secret: 1\r\n\r\n",
		"broken length":   "HTTP/1.1 200 OK\r\nContent-Length: secret\r\n\r\n",
		"two lengths":     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nsecret",
		"broken encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: secret\r\n\r\n",
		"too many before": strings.Repeat("HTTP/1.1 103 x\r\nX: secret\r\n\r\n", maxInterim+1) +
			"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret",
		"too many headers": "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Secret: secret\r\n", 10_000) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, err := call(t, New(Options{}), to(rawAPI(t, answering(answer))), plainGet)
			if !errors.Is(err, ErrUnreachable) || strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("%v", err)
			}
			if strings.Contains(answer, "secret") {
				t.Errorf("the page got %q", answer)
			}
		})
	}
}

// An API that sends each call back is not asked for ever.
func TestCallsThatAreSentBack(t *testing.T) {
	t.Parallel()
	api := goaway.Serve(t)
	transport := newTransport(DefaultHeadTimeout, (&net.Dialer{}).DialContext)
	transport.TLSClientConfig = api.TLS
	t.Cleanup(transport.CloseIdleConnections)
	page, address := serveTo(t, Options{Transport: transport}, api.URL)
	response, err := page.Get(address)
	said, asked := read(t, response, err), api.Requests.Load()
	if !strings.HasPrefix(said, ErrUnreachable.Error()) || asked != tries.Max {
		t.Errorf("asked %d times, and the page got %s", asked, said)
	}
}

// An API that is slow in whatever way holds no call for ever.
func TestSlowAPI(t *testing.T) {
	t.Parallel()
	drip := func(before, piece string) func(net.Conn) {
		return func(connection net.Conn) {
			_, err := http.ReadRequest(bufio.NewReader(connection))
			if err == nil {
				_, err = io.WriteString(connection, before)
			}
			for ; err == nil; time.Sleep(time.Millisecond) {
				_, err = io.WriteString(connection, piece)
			}
		}
	}
	upload := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", MaxBody) +
		strings.Repeat("x", MaxBody)
	for _, test := range []struct {
		name, request string
		api           func(net.Conn)
		want          string
	}{
		{name: "says nothing", request: plainGet, api: func(net.Conn) {}, want: ErrTimeout.Error()},
		{name: "takes no body", request: upload, api: func(net.Conn) {}, want: ErrTimeout.Error()},
		{
			name: "drips the head", request: plainGet, want: ErrTimeout.Error(),
			api: drip("HTTP/1.1 200 OK\r\nX: ", "x"),
		},
		{
			name: "has endless hints", request: plainGet, want: ErrTimeout.Error(),
			api: drip("", "HTTP/1.1 103 x\r\n\r\n"),
		},
		{name: "says nothing after the head", request: plainGet, api: beginning(half), want: "cut"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			relay := New(Options{
				HeadTimeout: 100 * time.Millisecond, SilenceTimeout: 200 * time.Millisecond,
				LookInterval: 10 * time.Millisecond,
			})
			relay.patience = 200 * time.Millisecond
			_, err := call(t, relay, to(rawAPI(t, test.api)), test.request)
			if err == nil || err.Error() != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

// A call that may not go on ends although nobody says anything, before the head and after it.
func TestNoLongerAllowed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ answer, want string }{
		"before the head": {want: ErrNotAllowed.Error()},
		"after the head":  {answer: half, want: "cut"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var switchedOff atomic.Bool
			one := to(rawAPI(t, func(connection net.Conn) {
				beginning(test.answer)(connection)
				time.AfterFunc(50*time.Millisecond, func() { switchedOff.Store(true) })
			}))
			one.Allowed = func() bool { return !switchedOff.Load() }
			_, err := call(t, New(Options{LookInterval: 10 * time.Millisecond}), one, plainGet)
			if err == nil || err.Error() != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

// A page that sends a byte now and then falls behind.
func TestDrippingPage(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(api.Close)
	relay := New(Options{StallTimeout: 300 * time.Millisecond})
	host := strings.Replace(api.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	u := &url.URL{Scheme: "http", Host: host, Path: "/"}
	ended := make(chan error, 1)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := relay.Serve(w, r, to(u))
		ended <- err
		w.Header().Set("Connection", "close")
	}))
	t.Cleanup(service.Close)
	connection, err := net.Dial("tcp", service.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	_, _ = io.WriteString(connection, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(30 * time.Second); ; {
		select {
		case <-tick.C:
			_, _ = io.WriteString(connection, "x")
		case err := <-ended:
			if !errors.Is(err, ErrBodyIncomplete) {
				t.Errorf("%v", err)
			}
			return
		case <-timeout:
			t.Fatal("the page keeps its place")
		}
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		name string
		pace pace
		want time.Duration
	}{
		{name: "at first", want: time.Minute},
		{name: "quick", pace: pace{bytes: 1 << 20, waited: time.Second}, want: time.Minute},
		{name: "as slow as may be", pace: pace{bytes: slowest, waited: time.Second}, want: time.Minute},
		{name: "slower", pace: pace{bytes: slowest, waited: 31 * time.Second}, want: 30 * time.Second},
		{name: "too slow", pace: pace{bytes: 1, waited: 2 * time.Minute}, want: -time.Minute},
		{name: "a terabyte", pace: pace{bytes: 1 << 40, waited: time.Hour}, want: time.Minute},
	} {
		test.pace.stall = time.Minute
		if got := test.pace.deadline(now).Sub(now).Round(time.Second); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// Trailers go neither way, and so does no word of an upgrade.
func TestTrailersAndUpgrades(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 1)
	api := rawAPI(t, func(connection net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(connection))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		asked <- request
		_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"+
			"Trailer: Set-Cookie\r\n\r\n1\r\nx\r\n0\r\nSet-Cookie: a=b\r\nX-Other: 1\r\n\r\n")
	})
	answer, err := call(t, New(Options{}), to(api), "POST / HTTP/1.1\r\nHost: x\r\n"+
		"Connection: close, Upgrade, authorization\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"+
		"Transfer-Encoding: chunked\r\nTrailer: Cookie\r\n\r\n1\r\nx\r\n0\r\nCookie: a=b\r\n\r\n")
	if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 200") || strings.Contains(answer, "Trailer") ||
		strings.Contains(answer, "Cookie") || strings.Contains(answer, "X-Other") {
		t.Errorf("%v %q", err, answer)
	}
	request := <-asked
	header := request.Header
	if len(request.Trailer) > 0 || header.Get("Upgrade") != "" || header.Get("Connection") != "" ||
		header.Get("Authorization") != "Bearer token" {
		t.Errorf("the API got %v and %v", header, request.Trailer)
	}
}
