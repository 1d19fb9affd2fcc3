package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// etcd repeats itself while something is wrong.
const (
	// sampled is the time in which each line of etcd's is logged once.
	sampled = time.Minute
	// remindAfter is how often the admin is told what this machine waits for.
	remindAfter = 10 * time.Second
)

// newZapLogger returns a logger for etcd that passes on its warnings and errors, each once a minute, until
// etcd is told to stop.
func newZapLogger(log *slog.Logger, phase *phase) *zap.Logger {
	passOn := slogCore{log: log.With("from", "etcd"), phase: phase}
	core := zapcore.NewSamplerWithOptions(passOn, sampled, 1, 0)
	end := fatal{log: log, phase: phase}
	return zap.New(core, zap.WithFatalHook(end), zap.WithPanicHook(end))
}

// refused is what the admin is told of a connection whose other end does not know the secret.
const refused = "a connection was refused; if it came from one of the machines, that one has another " +
	"CLUSTER_SECRET"

// ourWords has what the admin is told instead of a message of etcd's. An empty one is left out.
var ourWords = map[string]string{
	"rejected connection on peer endpoint": refused,
	// Each request that is refused would be a line. Whoever has sent it is told, and keepRoom tells the
	// admin.
	"failed to apply request":                       "",
	"message exceeded backend quota; raising alarm": "",
	// A first start may look for it before anything is stored, and looks again.
	"Failed to detect schema version":  "",
	"failed to update storage version": "",
	// Who starts it says that, and what to do.
	"bootstrap failed":          "",
	"Failed to validate schema": "",
	// It has no clients.
	"Running http and grpc server on single port. This is not recommended for production.": "",
}

// slogCore passes lines of zap on to slog.
type slogCore struct {
	log   *slog.Logger
	phase *phase
}

func (slogCore) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }

func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	c.log = slog.New(c.log.Handler().WithAttrs(attributes(fields)))
	return c
}

func (c slogCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c slogCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	message := entry.Message
	if words, found := ourWords[message]; found {
		message = words
	}
	if c.phase.stopping.Load() || message == "" || entry.Level > zapcore.DPanicLevel { // see fatal
		return nil
	}
	if isAbout, isDue := c.phase.tellsFull(message, fields); isDue {
		message = fullDisk
	} else if isAbout {
		return nil
	}
	level := slog.LevelWarn
	if entry.Level > zapcore.WarnLevel {
		level = slog.LevelError
	}
	c.log.LogAttrs(context.Background(), level, message, attributes(fields)...)
	return nil
}

func (slogCore) Sync() error { return nil }

// attributes returns fields of zap as text, sorted by their names. The log of the dashboard takes no others,
// such as durations.
func attributes(fields []zapcore.Field) (attributes []slog.Attr) {
	encoder := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(encoder)
	}
	for _, name := range slices.Sorted(maps.Keys(encoder.Fields)) {
		attributes = append(attributes, slog.String(name, fmt.Sprint(encoder.Fields[name])))
	}
	return attributes
}

// isAboutCertificate reports whether one of both ends did not accept the certificate of the other.
func isAboutCertificate(err error) bool {
	_, here := errors.AsType[*tls.CertificateVerificationError](err)
	there, isAlert := errors.AsType[*net.OpError](err)
	return here || (isAlert && there.Op == "remote error")
}

// reminder tells the admin from time to time what this machine waits for.
type reminder struct {
	log  *slog.Logger
	next time.Time
}

// newReminder returns one that waits at first: most starts take no time.
func newReminder(log *slog.Logger) *reminder {
	return &reminder{log: log, next: time.Now().Add(2 * askTime)}
}

func (r *reminder) isDue() bool { return !time.Now().Before(r.next) }

// remind logs one line for each machine that is the reason, if it is time.
func (r *reminder) remind(message string, answers map[string]answer) {
	if !r.isDue() {
		return
	}
	r.next = time.Now().Add(remindAfter)
	reasons := 0
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		if err := answers[name].err; err != nil {
			r.log.Warn(message, "machine", name, "cause", err.Error())
			reasons++
		}
	}
	if reasons == 0 {
		r.log.Warn(message)
	}
}
