package relay

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// dials counts connections: those that were begun, those that are open or being made, and how many of these
// there were at most.
type dials struct {
	mu                sync.Mutex
	begun, open, most int
}

func (d *dials) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun++
	d.open++
	d.most = max(d.most, d.open)
}

func (d *dials) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
}

func (d *dials) counts() (begun, most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begun, d.most
}

// However many hosts are called, one after another, only so many connections stay open.
func TestConnectionsToManyHosts(t *testing.T) {
	t.Parallel()
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "answer")
	}))
	api.EnableHTTP2 = true
	var open, most atomic.Int64
	api.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			most.Store(max(most.Load(), open.Add(1)))
		case http.StateClosed:
			open.Add(-1)
		}
	}
	api.StartTLS()
	t.Cleanup(api.Close)
	transport := newTransport(time.Minute, func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, api.Listener.Addr().String())
	})
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	t.Cleanup(transport.CloseIdleConnections)
	for i := range maxConnections + 1 {
		request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("https://customer%d.example/", i), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.ProtoMajor != 2 {
			t.Fatal(response.Proto)
		}
	}
	deadline := time.Now().Add(20 * time.Second) // after a minute all that are idle are closed
	for open.Load() > 1 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if open.Load() > 1 || most.Load() > maxConnections+1 {
		t.Errorf("%d connections are open, and there were %d", open.Load(), most.Load())
	}
}

// Connections that are being made for calls that have ended are given up when there are too many.
func TestConnectionsForNobody(t *testing.T) {
	t.Parallel()
	var made dials
	transport := newTransport(time.Minute, func(ctx context.Context, _, _ string) (net.Conn, error) {
		made.begin()
		defer made.end()
		<-ctx.Done() // what is sent to the API gets lost
		return nil, ctx.Err()
	})
	t.Cleanup(transport.CloseIdleConnections)
	for i := range 3 * maxConnections {
		ctx, cancel := context.WithCancel(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if _, err := transport.RoundTrip(request); err == nil {
				t.Error("there was an answer")
			}
		}()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if begun, _ := made.counts(); begun > i {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("call %d does not connect", i)
			}
		}
		cancel()
		<-ended
	}
	if _, most := made.counts(); most >= 2*maxConnections {
		t.Errorf("%d connections were being made", most)
	}
}
