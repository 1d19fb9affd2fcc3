package cluster

import (
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
)

// What etcd says is in the format of the log, in words that help, and a line that is repeated is there once.
func TestLog(t *testing.T) {
	t.Parallel()
	var said output
	var phase phase
	log := newZapLogger(slog.New(slog.NewTextHandler(&said, nil)), &phase)
	log.Info("all is well")
	for range 1000 {
		log.Named("raft").Warn("a disk is slow", zap.String("took", "2s"), zap.Error(errors.New("cause")))
	}
	log.Error("a disk is full")
	log.Warn("rejected connection on peer endpoint", zap.String("remote-addr", "192.0.2.1:1"))
	log.Warn("Running http and grpc server on single port. This is not recommended for production.")
	log.Error("failed to update storage version", zap.String("cluster-version", "3.7.0"))
	for range 3 { // one write that fails makes some lines
		log.Warn("it is not written", zap.Error(&fs.PathError{Op: "write", Path: "db", Err: syscall.ENOSPC}))
		log.Error("writing failed: " + syscall.ENOSPC.Error())
	}
	phase.stopping.Store(true)
	log.Error("a listener is closed")
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	for i, want := range []string{
		`level=WARN msg="a disk is slow" from=etcd error=cause took=2s`,
		`level=ERROR msg="a disk is full" from=etcd`,
		`msg="a connection was refused; if it came from one of the machines, that one has another ` +
			`CLUSTER_SECRET" from=etcd remote-addr=192.0.2.1:1`,
		`level=WARN msg="` + fullDisk,
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Fatalf("line %d is not %s:\n%s", i+1, want, said.String())
		}
	}
	if len(lines) != 4 {
		t.Errorf("there are %d lines:\n%s", len(lines), said.String())
	}
}

// What etcd cannot go on after ends the start with an error, and later the process, with one line that says
// what to do.
func TestFatal(t *testing.T) {
	t.Parallel()
	var said output
	var phase phase
	var codes []int
	phase.exit = func(code int) { codes = append(codes, code) }
	log := newZapLogger(slog.New(slog.NewTextHandler(&said, nil)), &phase)
	func() {
		defer func() {
			err, _ := recover().(error)
			if err == nil || !strings.Contains(err.Error(), "damaged: here") {
				t.Errorf("at the start: %v", err)
			}
		}()
		log.Fatal("the log is damaged", zap.Error(errors.New("here")))
	}()
	phase.running.Store(true)
	log.Fatal("the log is damaged", zap.Error(errors.New("here")))
	log.Panic("it is not written", zap.Error(&fs.PathError{Op: "write", Path: "db", Err: syscall.ENOSPC}))
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if len(codes) != 2 || codes[0] != 1 || len(lines) != 2 || !strings.Contains(lines[0], "damaged: here") ||
		!strings.Contains(lines[0], "the others fill it again") || !strings.Contains(lines[1], fullDisk) {
		t.Errorf("it ends with %v:\n%s", codes, said.String())
	}
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
