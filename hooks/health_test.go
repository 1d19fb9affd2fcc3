package hooks

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// While the service cannot write, /api/health says so with 503 and what to do. It writes every few seconds at
// most, however often strangers ask.
func TestHealthSaysWhetherItCanWrite(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, clock.setIn)
	var mu sync.Mutex
	probes := 0
	var pragma string
	write := s.server.disk.health.check
	s.server.disk.health.check = func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		probes++
		if pragma != "" {
			if _, err := s.App.NonconcurrentDB().NewQuery(pragma).Execute(); err != nil {
				return err
			}
			pragma = ""
		}
		return write(ctx)
	}
	expect := func(what string, status int, words string) {
		t.Helper()
		got := s.Get("/api/health")
		if got.Status != status || !strings.Contains(got.Body, words) {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
	}
	later := func(next string) {
		mu.Lock()
		pragma = next
		mu.Unlock()
		clock.move(probeInterval)
	}
	clock.move(probeInterval)
	for range 100 {
		expect("healthy", http.StatusOK, "API is healthy")
	}
	later("PRAGMA query_only = 1")
	for range 100 {
		expect("read-only", http.StatusServiceUnavailable, "read-only")
	}
	later("PRAGMA query_only = 0")
	expect("again", http.StatusOK, "API is healthy")
	if probes != 3 {
		t.Errorf("%d probes for 201 requests", probes)
	}
}

// Whoever asks while a probe takes long gets the outcome before at once.
func TestHealthDoesNotQueue(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	began, finish := make(chan struct{}), make(chan struct{})
	h := &health{now: clock.now, check: func(context.Context) error {
		close(began)
		<-finish
		return errors.New("full")
	}}
	probed := make(chan error)
	go func() { probed <- h.probe() }()
	<-began
	if err := h.probe(); err != nil {
		t.Errorf("before the outcome: %v", err)
	}
	close(finish)
	if err := <-probed; err == nil || h.probe() == nil {
		t.Errorf("after it: %v, %v", err, h.probe())
	}
}

// A database that another process holds makes the service unhealthy, and soon enough for who asks.
func TestHealthOfLockedDatabase(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, clock.setIn)
	unlock := s.lockDatabase()
	defer unlock()
	clock.move(time.Hour)
	began := time.Now()
	got := s.Get("/api/health")
	// SQLite itself waits for ten seconds.
	if took := time.Since(began); got.Status != http.StatusServiceUnavailable || took > 8*time.Second {
		t.Errorf("%d %s after %s", got.Status, got.Body, took)
	}
	unlock()
	clock.move(time.Hour)
	if got := s.Get("/api/health"); got.Status != http.StatusOK {
		t.Errorf("after it: %d %s", got.Status, got.Body)
	}
}
