//go:build unix

package hooks

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// newBackupProcess returns the program with an admin and a key.
func newBackupProcess(t *testing.T) *testkit.Process {
	t.Helper()
	p := testkit.NewProcess(t)
	p.Env = append(p.Env, testkit.SuperuserEnv()...)
	p.Env = append(p.Env, "ENCRYPTION_KEY="+testEncryptionKey, "PUBLIC_URL="+p.URL)
	return p
}

// mustRun runs a command, which must succeed and print all these words.
func mustRun(p *testkit.Process, command string, words ...string) (printed string) {
	p.T.Helper()
	printed, code := p.Run(strings.Fields(command)...)
	for _, word := range words {
		if !strings.Contains(printed, word) {
			p.T.Errorf("%s does not print %q:\n%s", command, word, printed)
		}
	}
	if code != 0 {
		p.T.Fatalf("%s: exit %d\n%s", command, code, printed)
	}
	return printed
}

// mustFail runs a command, which must fail with one line that has these words, and change nothing.
func mustFail(p *testkit.Process, command, words string) {
	p.T.Helper()
	before := filesIn(p.T, p.Dir)
	printed, code := p.Run(strings.Fields(command)...)
	line := printed[strings.LastIndexByte(strings.TrimSpace(printed), '\n')+1:]
	if code != 1 || !strings.Contains(line, words) {
		p.T.Errorf("%s: exit %d, want %q\n%s", command, code, words, printed)
	}
	if after := filesIn(p.T, p.Dir); after != before {
		p.T.Errorf("%s changed the folder from\n%s\nto\n%s", command, before, after)
	}
}

// filesIn returns the names of all files in a folder, with their modes.
func filesIn(t testing.TB, folder string) string {
	t.Helper()
	var names strings.Builder
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !strings.HasSuffix(path, "-shm") && !strings.HasSuffix(path, "-wal") {
			fmt.Fprintln(&names, path, entry.Type())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names.String()
}

// A backup that is made while people sign in has all that was acknowledged before, and brings plugins, admins
// and logins to another machine, with the key.
func TestBackup(t *testing.T) {
	t.Parallel()
	p := newBackupProcess(t)
	p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off")
	p.Start()
	notes := addPlugin(p.Backend, "notes", nil)
	_, readKey := notes.Login()
	stop := make(chan struct{})
	var people sync.WaitGroup
	for range 4 {
		people.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					p.Authorize()
				}
			}
		})
	}
	mustRun(p, "backup there.zip --dir pb_data", "1 plugin, 1 admin and ", "ENCRYPTION_KEY", ": notes.")
	close(stop)
	people.Wait()
	file := filepath.Join(p.Dir, "there.zip")
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	archive, err := zip.OpenReader(file)
	if err != nil || !strings.Contains(archive.Comment, "ENCRYPTION_KEY") {
		t.Errorf("%v: the archive says %q", err, archive.Comment)
	}
	archive.Close()
	mustFail(p, "backup there.zip --dir pb_data", "there is a "+file+" already")
	mustFail(p, "backup missing/there.zip --dir pb_data", "cannot be written")
	mustFail(p, "backup other.zip --dir nowhere", "there is no database in nowhere")
	mustFail(p, "restore there.zip --dir pb_data", "is used by another process; stop that one first")
	p.Terminate()

	next := newBackupProcess(t)
	if err := os.Rename(file, filepath.Join(next.Dir, "there.zip")); err != nil {
		t.Fatal(err)
	}
	printed := mustRun(next, "restore there.zip --dir pb_data", "1 plugin, 1 admin and ",
		"The ENCRYPTION_KEY fits.")
	if strings.Contains(printed, "before") {
		t.Errorf("there was nothing before:\n%s", printed)
	}
	expectPrivate(t, filepath.Join(next.Dir, "pb_data"), 2)
	next.Start()
	moved := next.Plugin("notes")
	moved.Expect("poll", moved.Poll(readKey), http.StatusOK, testkit.TokenResponse)
	if next.Admin() == "" {
		t.Error("the admin is not there")
	}
	authorizationURL, _ := moved.Authorize()
	if !strings.HasPrefix(authorizationURL.String(), notes.Provider.URL) {
		t.Errorf("the plugin leads to %s", authorizationURL)
	}
}

// What was there before is kept, and the keys of another machine are spoken of. The dashboard's own backups
// are restored, too.
func TestRestore(t *testing.T) {
	t.Parallel()
	p := newBackupProcess(t)
	p.Start()
	addPlugin(p.Backend, "notes", nil)
	got := p.Request(http.MethodPost, "/api/backups", `{"name":"own.zip"}`, p.Admin(), asJSON)
	if got.Status != http.StatusNoContent {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	addPlugin(p.Backend, "later", nil)
	p.Stop(9) // so that there is a write-ahead log
	env := p.Env
	p.Env = append(p.Env[:len(p.Env):len(p.Env)], "ENCRYPTION_KEY="+strings.ToUpper(testEncryptionKey))
	printed := mustRun(p, "restore pb_data/backups/own.zip --dir pb_data", "1 plugin, 1 admin and 0 sign-ins",
		"What was there before is in pb_data/before-restore-", "not the one of the backup", ": notes.")
	p.Env = env
	_, rest, _ := strings.Cut(printed, "What was there before is in ")
	aside, _, _ := strings.Cut(rest, ". ")
	for _, name := range []string{"data.db", "data.db-wal", "auxiliary.db"} {
		if _, err := os.Stat(filepath.Join(p.Dir, aside, name)); err != nil {
			t.Error(err)
		}
	}
	p.Start()
	plugins := func() string {
		return p.Request(http.MethodGet, "/api/collections/plugins/records", "", p.Admin()).Body
	}
	if list := plugins(); !strings.Contains(list, `"notes"`) || strings.Contains(list, `"later"`) {
		t.Errorf("after the restore: %s", list)
	}
	got = p.Request(http.MethodPost, "/api/backups", `{"name":"next.zip"}`, p.Admin(), asJSON)
	if got.Status != http.StatusNoContent {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	archive, err := zip.OpenReader(filepath.Join(p.Dir, "pb_data", "backups", "next.zip"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archive.File {
		if strings.HasPrefix(file.Name, asidePrefix) {
			t.Errorf("the dashboard's backup has %s", file.Name)
		}
	}
	archive.Close()
	p.Terminate()
	// And back, as when an upgrade is taken back.
	if err := os.Remove(filepath.Join(p.Dir, "pb_data", "data.db")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"data.db", "data.db-wal"} {
		from, to := filepath.Join(p.Dir, aside, name), filepath.Join(p.Dir, "pb_data", name)
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	p.Start()
	if list := plugins(); !strings.Contains(list, `"later"`) {
		t.Errorf("moved back: %s", list)
	}
}

// The dashboard restores what the command has made.
func TestRestoreInDashboard(t *testing.T) {
	t.Parallel()
	p := newBackupProcess(t)
	p.Start()
	addPlugin(p.Backend, "notes", nil)
	mustRun(p, "backup pb_data/backups.zip --dir pb_data")
	addPlugin(p.Backend, "later", nil)
	backups := filepath.Join(p.Dir, "pb_data", "backups")
	if err := os.MkdirAll(backups, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(p.Dir, "pb_data", "backups.zip"),
		filepath.Join(backups, "notes.zip")); err != nil {
		t.Fatal(err)
	}
	got := p.Request(http.MethodPost, "/api/backups/notes.zip/restore", "", p.Admin())
	if got.Status != http.StatusNoContent {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	eventually(t, "the service has the backup", func() bool {
		response, err := http.Post(p.URL+"/later/authorize", "", nil)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusNotFound
	})
	p.Client.CloseIdleConnections()
	if got := p.Post("/notes/authorize"); got.Status != http.StatusOK {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// zipOf returns an archive of files.
func zipOf(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var content bytes.Buffer
	archive := zip.NewWriter(&content)
	for name, file := range files {
		entry, err := archive.Create(name)
		if err == nil {
			_, err = entry.Write(file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

// What is no good backup changes nothing.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	p := newBackupProcess(t)
	folder := filepath.Join(p.Dir, "pb_data")
	if err := os.CopyFS(folder, os.DirFS(testkit.MigratedDir(t))); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(folder, "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(good)
	_, _ = rand.Read(damaged[4096 : len(damaged)-4096])
	newer := changed(t, good, "INSERT INTO _migrations (file, applied) VALUES ('1999999999_later.go', 1)")
	empty := changed(t, nil, "VACUUM")
	foreign := changed(t, nil, "CREATE TABLE sessions (id)")
	const notOurs = "not a database of this service"
	inZip := func(name string, file []byte) []byte { return zipOf(t, map[string][]byte{name: file}) }
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"junk":      {file: []byte("junk"), want: "cannot be read; it must be an archive"},
		"database":  {file: good, want: "cannot be read; it must be an archive"},
		"cut":       {file: inZip("data.db", good)[:10_000], want: "cannot be read"},
		"without":   {file: inZip("x", nil), want: "there is no data.db in it"},
		"elsewhere": {file: inZip("a/data.db", good), want: "there is no data.db in it"},
		"damaged":   {file: inZip("data.db", damaged), want: "so nothing was changed: it is damaged"},
		"empty":     {file: inZip("data.db", empty), want: notOurs},
		"foreign":   {file: inZip("data.db", foreign), want: notOurs},
		"newer":     {file: inZip("data.db", newer), want: "comes from a newer version"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(p.Dir, "backup.zip"), test.file, 0o600); err != nil {
				t.Fatal(err)
			}
			p := *p
			backend := *p.Backend
			backend.T, p.Backend = t, &backend
			mustFail(&p, "restore backup.zip --dir pb_data", test.want)
		})
	}
	mustFail(p, "restore nothing.zip --dir pb_data", "no such file")
	if out, code := p.Run("restore"); code != 1 || !strings.Contains(out, "name one file") {
		t.Errorf("%d %s", code, out)
	}
	evil := zipOf(t, map[string][]byte{
		"data.db": good, "../evil": nil, "storage/../../evil": nil, "auxiliary.db": nil, "evil": nil,
	})
	if err := os.WriteFile(filepath.Join(p.Dir, "backup.zip"), evil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(p, "restore backup.zip --dir pb_data")
	if files := filesIn(t, filepath.Dir(p.Dir)); strings.Contains(files, "evil") {
		t.Errorf("unpacked\n%s", files)
	}
}

// changed returns a database after a statement.
func changed(t *testing.T, database []byte, statement string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "changed.db")
	if err := os.WriteFile(path, database, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := openFile(path)
	if err == nil {
		_, err = db.NewQuery(statement).Execute()
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// A copy of data.db without its write-ahead log is not taken for a new database, nor is what a restore has
// left half done.
func TestStartWithoutTables(t *testing.T) {
	t.Parallel()
	p := newBackupProcess(t)
	p.Start()
	content, err := os.ReadFile(filepath.Join(p.Dir, "pb_data", "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	p.Terminate()
	copied := filepath.Join(p.Dir, "copied")
	if err := os.Mkdir(copied, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, database := range [][]byte{content, nil} {
		if err := os.WriteFile(filepath.Join(copied, "data.db"), database, 0o600); err != nil {
			t.Fatal(err)
		}
		serve := "serve --http " + p.Address + " --dir copied"
		mustFail(p, serve, "copied/data.db is empty, and the service would begin without its data")
		mustFail(p, "superuser upsert a@plugin.example long-enough --dir copied", "copy data.db-wal too")
		mustFail(p, "backup there.zip --dir copied", "the database has no tables")
		out, code := p.Run("doctor", "--dir", "copied")
		if code != 1 || !strings.Contains(out, "is missing or empty") {
			t.Errorf("%d %s", code, out)
		}
	}
	if err := os.Remove(filepath.Join(copied, "data.db")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(copied, restoringName), 0o700); err != nil {
		t.Fatal(err)
	}
	mustFail(p, "serve --http "+p.Address+" --dir copied", "did not end; run it again")
	if err := os.Remove(filepath.Join(copied, restoringName)); err != nil {
		t.Fatal(err)
	}
	p.Args = []string{"serve", "--http", p.Address, "--dir", "copied"}
	p.Start() // a new one
}

// What takes long says how far it has come.
func TestProgress(t *testing.T) {
	t.Parallel()
	printed := &testkit.Printed{}
	p := &progress{out: printed, every: time.Millisecond}
	reader, writer := io.Pipe()
	go func() {
		_, _ = writer.Write(make([]byte, 1<<20))
		eventually(t, "it says how far it is", func() bool {
			return strings.Contains(printed.String(), "Copying: 50 % of 2.0 MB\n")
		})
		writer.Close()
	}()
	sized := sizedReader{Reader: reader, size: 2 << 20}
	if err := p.copy(t.Context(), "Copying", io.Discard, sized); err != nil {
		t.Error(err)
	}
}
