package relay

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// serve starts an API, and a service that relays to it. The service answers with the relay's error as text.
// page is a client of the service.
func serve(t *testing.T, options Options, api http.HandlerFunc) (page *http.Client, address string) {
	t.Helper()
	apiServer := httptest.NewServer(api)
	t.Cleanup(apiServer.Close)
	return serveTo(t, options, strings.Replace(apiServer.URL, "127.0.0.1", "localhost", 1))
}

func serveTo(t *testing.T, options Options, target string) (page *http.Client, address string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	relay := New(options)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Own", "1")
		called := *u
		called.Path = r.URL.Path
		err := relay.Serve(w, r, Call{
			URL: &called, Authorization: "Bearer token",
			Locate:  func(*url.URL) string { return "" },
			Allowed: func() bool { return true },
			OnHead:  func(int, time.Duration) {},
		})
		if err != nil {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, err)
		}
	}))
	t.Cleanup(func() {
		service.CloseClientConnections()
		service.Close()
	})
	return service.Client(), service.URL
}

func read(t *testing.T, response *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.Header.Get("X-Own") != "1" {
		t.Errorf("the service's own headers are gone: %v", response.Header)
	}
	return string(body)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	closed, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, closedPort, _ := net.SplitHostPort(closed)
	hang := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	short := Options{HeadTimeout: 50 * time.Millisecond}
	for _, test := range []struct {
		name    string
		options Options
		api     http.HandlerFunc
		target  string // in place of the API's
		body    io.Reader
		want    error
	}{
		{name: "nobody listens", target: "http://localhost:" + closedPort, want: ErrUnreachable},
		{name: "no such host", target: "https://api.invalid", want: ErrUnreachable},
		{name: "private by number", target: "https://127.0.0.1:" + closedPort, want: ErrPrivateAddress},
		{name: "too slow", options: short, api: hang, want: ErrTimeout},
		{
			name: "cut before the head", want: ErrUnreachable,
			api: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		},
		{name: "too large", api: hang, body: bytes.NewReader(make([]byte, MaxBody+1)), want: ErrBodyTooLarge},
		{
			name: "too large, of unknown length", api: hang, want: ErrBodyTooLarge,
			body: io.MultiReader(bytes.NewReader(make([]byte, MaxBody)), strings.NewReader("x")),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := test.target
			if target == "" {
				api := httptest.NewServer(test.api)
				t.Cleanup(api.Close)
				target = strings.Replace(api.URL, "127.0.0.1", "localhost", 1)
			}
			page, address := serveTo(t, test.options, target)
			response, err := page.Post(address, "text/plain", test.body)
			if got := read(t, response, err); !strings.HasPrefix(got, test.want.Error()) &&
				!strings.Contains(got, test.want.Error()) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func portOf(listener net.Listener) string {
	return fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
}

// A body of exactly 20 MB passes, whether its length is known or not.
func TestLargestBody(t *testing.T) {
	t.Parallel()
	page, address := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	for name, body := range map[string]io.Reader{
		"known":   bytes.NewReader(make([]byte, MaxBody)),
		"unknown": io.MultiReader(bytes.NewReader(make([]byte, MaxBody))),
	} {
		response, err := page.Post(address, "", body)
		if got := read(t, response, err); got != fmt.Sprint(MaxBody, " <nil>") {
			t.Errorf("%s length: the API got %s", name, got)
		}
	}
}

// A page that stops sending, or stops reading, ends the call.
func TestStalls(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 2)
	_, address := serve(t, Options{StallTimeout: 100 * time.Millisecond},
		func(w http.ResponseWriter, r *http.Request) {
			defer func() { ended <- struct{}{} }()
			if r.Method == http.MethodPost {
				_, _ = io.Copy(io.Discard, r.Body)
				return
			}
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		})
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		if _, err := io.WriteString(connection, request); err != nil {
			t.Fatal(err)
		}
		<-ended
	}
}

// An answer that the API breaks off breaks off at the page too.
func TestBrokenAnswer(t *testing.T) {
	t.Parallel()
	page, address := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	response, err := page.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("%q was taken for the whole answer", body)
	}
}

// Events come through as they are sent, and whatever is not an event as well.
func TestEventsComeAtOnce(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"text/event-stream", "application/x-ndjson", "text/plain"} {
		next := make(chan struct{}, 1)
		page, address := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			for range next {
				_, _ = io.WriteString(w, "data: 1\n")
				_ = http.NewResponseController(w).Flush()
			}
		})
		next <- struct{}{}
		response, err := page.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(response.Body)
		for range 3 {
			if line, err := lines.ReadString('\n'); line != "data: 1\n" {
				t.Fatalf("%s: %q %v", contentType, line, err)
			}
			next <- struct{}{} // only now is the next one sent
		}
		close(next)
		response.Body.Close()
	}
}

// An event takes less than 50 milliseconds through the relay, connecting included. The median is compared,
// since other packages' tests may run meanwhile.
func TestEventsTakeNoTime(t *testing.T) {
	sent := make(chan time.Time, 1)
	page, address := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		sent <- time.Now()
		_, _ = io.WriteString(w, "data: 1\n")
	})
	var took []time.Duration
	for range 20 {
		response, err := page.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(response.Body, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(<-sent))
		response.Body.Close()
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median > 50*time.Millisecond {
		t.Errorf("it takes %v", median)
	}
}

// What an API sends is not kept for a page that does not read it, with HTTP/2 as with HTTP/1.
func TestMemory(t *testing.T) {
	const answer = 30 << 20
	for _, isHTTP2 := range []bool{false, true} {
		written := make(chan int, 1)
		api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isHTTP2 != (r.ProtoMajor == 2) {
				t.Errorf("the API is asked with %s", r.Proto)
			}
			sent, piece := 0, make([]byte, 64<<10) // only one, since what is garbage would count as well
			for sent < answer {
				n, err := w.Write(piece)
				if sent += n; err != nil {
					break
				}
			}
			written <- sent
		}))
		api.EnableHTTP2 = isHTTP2
		api.StartTLS()
		t.Cleanup(api.Close)
		transport := newTransport(time.Minute, dial)
		transport.TLSClientConfig = api.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		transport.TLSClientConfig.NextProtos = nil
		transport.TLSClientConfig.InsecureSkipVerify = true // its certificate is not for localhost
		if !isHTTP2 {
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
			transport.ForceAttemptHTTP2 = false
		}
		page, address := serveTo(t, Options{Transport: transport},
			strings.Replace(api.URL, "127.0.0.1", "localhost", 1))
		response, err := page.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		before := heap()
		most, total, piece := uint64(0), 0, make([]byte, 256<<10)
		for {
			n, err := response.Body.Read(piece)
			if total += n; err != nil {
				break
			}
			if total%(4<<20) < n {
				most = max(most, heap())
			}
		}
		response.Body.Close()
		if total != answer || <-written != answer {
			t.Errorf("%d bytes arrived", total)
		}
		if grown := int64(most) - int64(before); grown > 5<<20 {
			t.Errorf("HTTP/2 %t: %d KB are held", isHTTP2, grown>>10)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// Names count by what they resolve to, so that the check cannot be tricked by a name that changes.
func TestDialsPublicAddressesOnly(t *testing.T) {
	t.Parallel()
	for address, public := range map[string]bool{
		"1.1.1.1:443": true, "8.8.8.8:8443": true, "[2606:4700:4700::1111]:443": true,
		"127.0.0.1:443": false, "127.9.9.9:1": false, "0.0.0.0:443": false, "0.1.2.3:443": false,
		"10.0.0.1:443": false, "172.16.0.1:443": false, "172.31.255.255:443": false,
		"192.168.1.1:443": false, "169.254.169.254:443": false, "100.64.0.1:443": false,
		"100.127.255.255:443": false, "192.0.0.1:443": false, "192.0.2.1:443": false,
		"198.18.0.1:443": false, "198.51.100.1:443": false, "203.0.113.1:443": false,
		"224.0.0.1:443": false, "239.1.1.1:443": false, "240.0.0.1:443": false, "255.255.255.255:443": false,
		"[::]:443": false, "[::1]:443": false, "[fe80::1]:443": false, "[fe80::1%eth0]:443": false,
		"[fc00::1]:443": false, "[fdaa::3]:443": false, "[ff02::1]:443": false, "[fec0::1]:443": false,
		"[::ffff:127.0.0.1]:443": false, "[::ffff:10.0.0.1]:443": false, "[::127.0.0.1]:443": false,
		"[64:ff9b::7f00:1]:443": false, "[64:ff9b:1::1]:443": false, "[2002:7f00:1::1]:443": false,
		"[2001::1]:443": false, "[2001:db8::1]:443": false, "[100::1]:443": false,
	} {
		network := "tcp4"
		if strings.HasPrefix(address, "[") {
			network = "tcp6"
		}
		err := publicOnly(network, address, nil)
		if (err == nil) != public {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && !errors.Is(err, ErrPrivateAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for address, local := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "10.0.0.1:80": false, "1.1.1.1:80": false,
	} {
		if err := loopbackOnly("tcp", address, nil); (err == nil) != local {
			t.Errorf("localhost at %s: %v", address, err)
		}
	}
}

// Whatever the address is spelled like, only the name localhost leads to this machine.
func FuzzDial(f *testing.F) {
	port := rawAPI(f, func(connection net.Conn) { connection.Close() }).Port()
	for _, host := range []string{
		"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "::1", "[::ffff:127.0.0.1]",
		"localhost.", "LOCALHOST", "0", "", "[::]",
	} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		isName := strings.ContainsAny(host, "ghijklmnopqrstuvwyz") && !strings.HasPrefix(host, "localhost.")
		if host == "localhost" || isName {
			return // of others, which the resolver would be asked for
		}
		connection, err := dial(t.Context(), "tcp", host+":"+port)
		if err == nil {
			t.Errorf("%q led to %s", host, connection.RemoteAddr())
			connection.Close()
		}
	})
}
