package cluster

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

// What etcd says is in the format of the log, in words that help, and a line that is repeated is there once.
func TestLog(t *testing.T) {
	t.Parallel()
	var said output
	var stopping atomic.Bool
	log := newZapLogger(slog.New(slog.NewTextHandler(&said, nil)), &stopping)
	log.Info("all is well")
	for range 1000 {
		log.Named("raft").Warn("a disk is slow", zap.String("took", "2s"), zap.Error(errors.New("cause")))
	}
	log.Error("a disk is full")
	log.Warn("rejected connection on peer endpoint", zap.String("remote-addr", "192.0.2.1:1"))
	log.Warn("Running http and grpc server on single port. This is not recommended for production.")
	stopping.Store(true)
	log.Error("a listener is closed")
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	for i, want := range []string{
		`level=WARN msg="a disk is slow" from=etcd error=cause took=2s`,
		`level=ERROR msg="a disk is full" from=etcd`,
		`msg="a connection was refused; if it came from one of the machines, that one has another ` +
			`CLUSTER_SECRET" from=etcd remote-addr=192.0.2.1:1`,
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Fatalf("line %d is not %s:\n%s", i+1, want, said.String())
		}
	}
	if len(lines) != 3 {
		t.Errorf("there are %d lines:\n%s", len(lines), said.String())
	}
	defer func() {
		if recover() == nil {
			t.Error("what is fatal to etcd ends the process without a word")
		}
	}()
	log.Fatal("the log is damaged")
}

// The log of the dashboard has all that etcd says.
func TestAttributes(t *testing.T) {
	t.Parallel()
	got := attributes([]zap.Field{
		zap.Duration("took", 2*time.Second), zap.Int("count", 3), zap.Strings("names", []string{"a", "b"}),
	})
	want := []slog.Attr{slog.String("count", "3"), slog.String("names", "[a b]"), slog.String("took", "2s")}
	if !slices.EqualFunc(got, want, slog.Attr.Equal) {
		t.Errorf("the attributes are %v", got)
	}
}
