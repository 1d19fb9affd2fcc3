package hooks

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pocketbase/pocketbase/core"
)

const (
	// probeInterval is how long the outcome of a probe is believed, however often strangers ask.
	probeInterval = 5 * time.Second
	// probeTimeout is shorter than what those who ask usually wait.
	probeTimeout = 1500 * time.Millisecond
)

// health knows whether the service can write. It is safe for concurrent use.
type health struct {
	check func(context.Context) error
	now   func() time.Time

	probing sync.Mutex
	probed  time.Time             // guarded by probing
	failure atomic.Pointer[error] // nil if the last probe wrote
}

// bindHealth makes /api/health answer 503 while the service cannot write, or takes no part in its cluster.
// PocketBase's own answer says only that it listens.
func (s *server) bindHealth(e *core.ServeEvent) error {
	e.Router.BindFunc(func(e *core.RequestEvent) error {
		if e.Request.URL.Path != "/api/health" {
			return e.Next()
		}
		if err := s.disk.health.probe(); err != nil {
			return e.Error(http.StatusServiceUnavailable, healthMessage(err), nil)
		}
		if err := s.membership.check(); err != nil {
			return e.Error(http.StatusServiceUnavailable, err.Error(), nil)
		}
		return e.Next()
	})
	return nil
}

// healthMessage says what to do when the service cannot write.
func healthMessage(err error) string {
	switch {
	case isFull(err):
		return "The disk with the data folder is full. Make room on it."
	case isReadOnly(err):
		return "The data folder is read-only. Mount it writable, or change its owner."
	default:
		return "The data folder cannot be written. Its disk may be full, or another program holds data.db."
	}
}

// probe writes to the database, unless that was done a moment ago, and returns why it cannot. Of callers at
// the same time one probes, and the others get the outcome before.
func (h *health) probe() error {
	if h.probing.TryLock() {
		defer h.probing.Unlock()
		if now := h.now(); h.probed.IsZero() || now.Before(h.probed) || now.Sub(h.probed) >= probeInterval {
			if err := h.checkInTime(); err != nil {
				h.failure.Store(&err)
			} else {
				h.failure.Store(nil)
			}
			h.probed = h.now()
		}
	}
	if failure := h.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// checkInTime does not wait for a check that takes too long: SQLite looks at no context while another process
// holds the database.
func (h *health) checkInTime() error {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	checked := make(chan error, 1)
	go func() { checked <- h.check(ctx) }()
	select {
	case err := <-checked:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
