package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap/zapcore"
)

// phase says how far etcd is, for what it logs.
type phase struct {
	running  atomic.Bool  // what is fatal ends the process; before, it is a panic for startEtcd
	stopping atomic.Bool  // etcd says much then that is no news
	toldFull atomic.Int64 // when the admin was last told that the disk is full, in nanoseconds since 1970

	exit func(code int) // nil: os.Exit
}

const (
	// fullDisk is what the admin is told when there is no room on the disk.
	fullDisk = "the disk with the data folder is full: make room on it; the other machines go on meanwhile"
	// goesOn is what becomes of a machine whose process has ended.
	goesOn = "when it is started again, it takes part again"
)

// fatal is what happens when etcd says that it cannot go on. Nothing may be stored after that, so the process
// ends, and a stack would only hide what is wrong.
type fatal struct {
	log   *slog.Logger
	phase *phase
}

// OnWrite ends the process, or the start.
func (f fatal) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	err := errorOf(entry.Message, fields)
	if !f.phase.running.Load() {
		panic(err)
	}
	words := "this machine ends: " + fullDisk + "; " + goesOn
	if !isFull(err) {
		words = "this machine ends, since its share of the data cannot be used; " + goesOn + ", and if " +
			"not, delete the folder cluster in its data folder, and the others fill it again"
	}
	f.log.Error(words, "cause", err.Error())
	if f.phase.exit != nil {
		f.phase.exit(1)
		return
	}
	os.Exit(1)
}

// errorOf returns the error that a line of etcd's is about.
func errorOf(message string, fields []zapcore.Field) error {
	for _, field := range fields {
		if err, isError := field.Interface.(error); isError {
			return fmt.Errorf("%s: %w", message, err)
		}
	}
	return errors.New(message)
}

// isFull reports whether an error says that there is no room on the disk. etcd writes some errors as text.
func isFull(err error) bool {
	text := err.Error()
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		strings.Contains(text, syscall.ENOSPC.Error()) || strings.HasPrefix(text, "writeAt failed")
}

// tellsFull reports whether a line is about a full disk, and whether the admin is to be told of that now: one
// write that fails makes some lines.
func (p *phase) tellsFull(message string, fields []zapcore.Field) (isAbout, isDue bool) {
	if !isFull(errorOf(message, fields)) {
		return false, false
	}
	now := time.Now().UnixNano()
	last := p.toldFull.Load()
	isDue = last == 0 || now-last > int64(sampled)
	return true, isDue && p.toldFull.CompareAndSwap(last, now)
}
