//go:build unix

package hooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"plugin-oauth/internal/testkit"
)

// With --log-format json, whatever stops a start is one line of JSON with what to do.
func TestFatalErrorsAreJSON(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		"serve --log-format json --bogus":            "unknown flag: --bogus",
		"serve --bogus --log-format=json":            "unknown flag: --bogus",
		"serve --log-format json --http x":           `--http "x" has no port`,
		"serve --log-format json 8787":               `"8787" is not a domain`,
		"serve --log-format json --dir file/pb_data": "the data folder cannot be used",
	} {
		t.Run(arguments, func(t *testing.T) {
			t.Parallel()
			p := testkit.NewProcess(t)
			if err := os.WriteFile(filepath.Join(p.Dir, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			out, code := p.Run(strings.Fields(arguments)...)
			var line struct{ Level, Msg string }
			if err := json.Unmarshal([]byte(out), &line); err != nil || code != 1 || line.Level != "ERROR" ||
				!strings.HasPrefix(line.Msg, want) {
				t.Errorf("exit %d, %v\n%s", code, err, out)
			}
		})
	}
}

// openFolder makes a data folder that others can read, which is warned of at a start.
func openFolder(t *testing.T, p *testkit.Process) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(p.Dir, "pb_data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(p.Dir, "pb_data"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// startInJournal starts a program whose output leads to a pipe, and tells it that the journal is there, or
// elsewhere. It sends a SIGHUP, which is logged as information, and returns what is printed.
func startInJournal(t *testing.T, p *testkit.Process, elsewhere bool) *testkit.Printed {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	var stream syscall.Stat_t
	if err := syscall.Fstat(int(writer.Fd()), &stream); err != nil {
		t.Fatal(err)
	}
	if elsewhere {
		stream.Ino++
	}
	p.Env = append(p.Env, fmt.Sprintf("JOURNAL_STREAM=%d:%d", stream.Dev, stream.Ino))
	p.Output = writer
	t.Cleanup(func() { p.Stop(syscall.SIGKILL) })
	err = p.Command.Start()
	writer.Close()
	if err == nil {
		err = syscall.Kill(p.PID(), syscall.SIGHUP)
	}
	if err != nil {
		t.Fatal(err)
	}
	printed := &testkit.Printed{}
	go io.Copy(printed, reader) // until the program ends
	return printed
}

// In systemd's journal the lines have their priorities, and elsewhere they have none.
func TestJournalPriorities(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args      []string
		elsewhere bool
		want      []string
	}{
		"text": {want: []string{
			"<4>plugin-oauth: others on this machine could read", "<6>time=",
		}},
		"json": {args: []string{"--log-format", "json"}, want: []string{
			`<4>{"time":`, `<6>{"time":`,
		}},
		"the variable of another stream": {elsewhere: true, want: []string{
			"plugin-oauth: others on this machine could read", "time=",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testkit.NewProcess(t, test.args...)
			openFolder(t, p)
			printed := startInJournal(t, p, test.elsewhere)
			for _, line := range test.want {
				eventually(t, "a line begins with "+line, func() bool {
					return strings.Contains("\n"+printed.String(), "\n"+line)
				})
			}
			p.Terminate()
			if test.elsewhere && strings.Contains(printed.String(), "<6>") {
				t.Errorf("printed:\n%s", printed)
			}
		})
	}
}

// Each line of a text has the priority, and what is above an error or below information has one, too.
func TestPriorities(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	out := &priorityWriter{out: &b}
	log := slog.New(journalHandler{Handler: newLines(out), out: out})
	log.Error("first", "help", "second\nthird")
	log.With("a", "b").WithGroup("c").Warn("fourth", "cause", "x")
	log.Log(t.Context(), slog.LevelError+4, "fifth")
	log.Debug("never")
	const want = "<3>plugin-oauth: first\n<3>second\n<3>third\n<4>plugin-oauth: fourth (cause: x)\n" +
		"<3>plugin-oauth: fifth\n"
	if b.String() != want {
		t.Errorf("written:\n%s", &b)
	}
}

// What a provider or an API does wrong is not printed by net/http: it may be part of a token, or come often.
func TestPeersPrintNothing(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := slog.New(redactedHandler{newLines(&b)})
	log.Info(`Unsolicited response received on idle HTTP channel starting with "SECRET"; err=<nil>`)
	log.Info("Transport: unhandled response frame type *http2.UnknownFrame")
	log.Info("protocol error: received *http2.PingFrame before a SETTINGS frame")
	log.Info("http2: Transport received unsolicited DATA frame; closing connection")
	log.Info("another line")
	if b.String() != "plugin-oauth: another line\n" {
		t.Errorf("written:\n%s", &b)
	}
}

// A refresh token that is dead is no fault of the service: its line is information, and stays out of the
// dashboard's log. Any other refusal is a warning.
func TestDeadGrantIsNoWarning(t *testing.T) {
	t.Parallel()
	s, _, out := serveLogged(t)
	for code, level := range map[string]string{"invalid_grant": "INFO", "invalid_client": "WARN"} {
		s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"`+code+`"}`)
		})
		s.Post("/refresh?code=RT-" + code)
		found := false
		for line := range strings.Lines(out.String()) {
			var logged struct{ Level, Msg, Error string }
			if err := json.Unmarshal([]byte(line), &logged); err != nil {
				t.Fatal(err)
			}
			found = found || logged.Msg == "request failed" && logged.Error == code && logged.Level == level
		}
		if !found {
			t.Errorf("%s: logged\n%s", code, out)
		}
	}
	if logged := s.waitLogged("invalid_client"); strings.Contains(logged, "invalid_grant") {
		t.Errorf("the dashboard's log has\n%s", logged)
	}
}
