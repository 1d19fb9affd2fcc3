package hooks

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/fatih/color"
)

// PrepareOutput makes all that this process prints fit to --log-format among its arguments. With json, each
// line on standard output and standard error is JSON, whoever prints it, panics aside. Without it, what is
// logged by the default loggers of slog and log are lines for people. The caller must call flush before the
// process ends.
func PrepareOutput(args []string) (flush func()) {
	newHandler, asJSON := newLines, logFormatOf(args) == "json"
	if asJSON {
		newHandler = newJSON
	}
	slog.SetDefault(slog.New(redactedHandler{onStandardError(newHandler)})) // that of log is the same then
	if !asJSON {
		return func() {}
	}
	return logStandardOutput()
}

// logFormatOf returns the value of --log-format, or "". The flags themselves may be what cannot be parsed.
func logFormatOf(args []string) (format string) {
	const flag = "--log-format"
	for i, arg := range args {
		if value, found := strings.CutPrefix(arg, flag+"="); found {
			format = value
		} else if arg == flag && i+1 < len(args) {
			format = args[i+1]
		}
	}
	return format
}

func newText(out io.Writer) slog.Handler  { return slog.NewTextHandler(out, nil) }
func newJSON(out io.Writer) slog.Handler  { return slog.NewJSONHandler(out, nil) }
func newLines(out io.Writer) slog.Handler { return lineHandler{out: out} }

// onStandardError returns a new handler that writes to standard error. If that leads to systemd's journal,
// its lines have their priorities in front.
func onStandardError(newHandler func(io.Writer) slog.Handler) slog.Handler {
	if isJournal, err := journal.StderrIsJournalStream(); err != nil || !isJournal {
		return newHandler(os.Stderr)
	}
	out := &priorityWriter{out: os.Stderr}
	return journalHandler{Handler: newHandler(out), out: out}
}

// priorityWriter writes lines that begin with their priority (sd-daemon(3)).
type priorityWriter struct {
	out io.Writer

	mu    sync.Mutex // held by journalHandler
	level slog.Level
}

// Write writes whole lines.
func (w *priorityWriter) Write(lines []byte) (int, error) {
	priority := 7
	switch {
	case w.level >= slog.LevelError:
		priority = 3
	case w.level >= slog.LevelWarn:
		priority = 4
	case w.level >= slog.LevelInfo:
		priority = 6
	}
	var b bytes.Buffer
	for line := range bytes.Lines(lines) {
		fmt.Fprintf(&b, "<%d>%s", priority, line)
	}
	if _, err := w.out.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// journalHandler tells its writer the level of each record.
type journalHandler struct {
	slog.Handler

	out *priorityWriter
}

func (h journalHandler) Handle(ctx context.Context, record slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.level = record.Level
	return h.Handler.Handle(ctx, record)
}

func (h journalHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return journalHandler{Handler: h.Handler.WithAttrs(attributes), out: h.out}
}

func (h journalHandler) WithGroup(name string) slog.Handler {
	return journalHandler{Handler: h.Handler.WithGroup(name), out: h.out}
}

// lineHandler writes for people: the message with what its attributes add, and below it what help says.
type lineHandler struct {
	out io.Writer
}

func (h lineHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h lineHandler) Handle(_ context.Context, record slog.Record) error {
	var b strings.Builder
	help := ""
	fmt.Fprintf(&b, "plugin-oauth: %s", record.Message)
	record.Attrs(func(attribute slog.Attr) bool {
		if attribute.Key == "help" {
			help = attribute.Value.String() + "\n"
		} else {
			fmt.Fprintf(&b, " (%s: %s)", attribute.Key, attribute.Value)
		}
		return true
	})
	_, err := io.WriteString(h.out, b.String()+"\n"+help)
	return err
}

// WithAttrs returns the handler itself: nobody derives a logger from the default one.
func (h lineHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup returns the handler itself, as WithAttrs does.
func (h lineHandler) WithGroup(string) slog.Handler { return h }

// redactedHandler keeps net/http from printing what a provider or an API has done wrong. It may send part of
// a token after its answer, or cause thousands of lines a second. The request that it was part of fails, and
// says why.
type redactedHandler struct{ slog.Handler }

// ofPeers are what the lines of net/http about its peers begin with, those of HTTP/2 included.
var ofPeers = []string{
	"Unsolicited response", "Transport: unhandled response frame", "protocol error: received", "http2: ",
}

func (h redactedHandler) Handle(ctx context.Context, record slog.Record) error {
	begins := func(words string) bool { return strings.HasPrefix(record.Message, words) }
	if slices.ContainsFunc(ofPeers, begins) {
		return nil
	}
	return h.Handler.Handle(ctx, record)
}

// logStandardOutput makes each line that is printed to standard output one of the default logger, until the
// returned function is called.
func logStandardOutput() (flush func()) {
	reader, writer, err := os.Pipe()
	if err != nil {
		slog.Error("standard output cannot be logged as JSON", "cause", err.Error())
		return func() {}
	}
	before, colored := os.Stdout, color.Output // PocketBase prints to both
	os.Stdout, color.Output = writer, writer
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		for lines := bufio.NewReader(reader); ; {
			line, err := lines.ReadString('\n')
			if line = strings.TrimSpace(line); line != "" {
				slog.Info(line)
			}
			if err != nil {
				return
			}
		}
	}()
	return func() {
		os.Stdout, color.Output = before, colored
		_ = writer.Close() // what was printed is in the pipe
		<-logged
	}
}
