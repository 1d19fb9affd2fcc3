package sqlite

import (
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/dbx"

	"plugin-oauth/hooks/session"
)

// folderSize returns the bytes of all files in the data folder.
func (s *server) folderSize() (bytes int64) {
	s.t.Helper()
	err := filepath.WalkDir(s.app.DataDir(), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return bytes
}

// dataSize returns the bytes of data.db that are in use.
func (s *server) dataSize() int64 {
	s.t.Helper()
	var pages, free, size int64
	s.row("PRAGMA page_count", &pages)
	s.row("PRAGMA freelist_count", &free)
	s.row("PRAGMA page_size", &size)
	return (pages - free) * size
}

// A week of logins that never come back, at the limit of one /48 of IPv6, 600 a minute, leaves the data
// folder under 200 MB. The test starts one login in 600 and sweeps every half hour. What the rows take in
// the database is multiplied by 600, and the rest of the folder is counted as it is.
func TestWeekOfAbandonedLogins(t *testing.T) {
	t.Parallel()
	const scale, perMinute, every = 600, 600, 30
	s := serve(t, session.Options{Retention: 7 * 24 * time.Hour})
	empty := s.dataSize()
	var largest, rows int64
	started := 0
	for range 7 * 24 * 60 / every {
		for range perMinute * every / scale {
			s.start(owner)
			started++
		}
		s.advance(every * time.Minute)
		s.sweep()
		if size := (s.dataSize()-empty)*scale + s.folderSize(); size > largest {
			largest, rows = size, s.count()
		}
	}
	t.Logf("%d logins; at most %d rows and %d MB, scaled", started, rows*scale, largest>>20)
	if largest >= 200<<20 {
		t.Errorf("the folder would have %d MB", largest>>20)
	}
	// They are still counted.
	s.advance(2 * time.Hour)
	s.sweep()
	var counted, expired int
	s.row("SELECT sum(started), sum(expired) FROM login_totals", &counted, &expired)
	if counted != started || expired != started || s.count() != 0 {
		t.Errorf("%d are counted, %d expired, of %d; %d rows are left", counted, expired, started, s.count())
	}
}

// Logins that do come back, as a stranger can make them with errors, are bounded in number: the oldest go.
func TestExpiredRowsAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{Retention: 7 * 24 * time.Hour})
	s.table.bounds.maxExpired = 20
	var ids []string
	for range 50 {
		s.fail(s.redirect(owner, s.start(owner)).ID, session.StatusFailed)
		ids = append(ids, s.latest())
		s.advance(time.Second)
	}
	s.sweep()
	if count := s.count(); count != 50 {
		t.Errorf("%d rows are left that have not expired", count)
	}
	s.advance(10 * time.Minute)
	living := s.start(owner)
	if swept := s.sweep(); swept.Removed != 30 {
		t.Errorf("%d were removed", swept.Removed)
	}
	left := s.column("SELECT id FROM sessions WHERE status = 'failed' ORDER BY rowid")
	if strings.Join(left, " ") != strings.Join(ids[30:], " ") {
		t.Errorf("left are %v of %v", left, ids)
	}
	s.redirect(owner, living)
	var counted int
	s.row("SELECT sum(failed) FROM login_totals", &counted)
	if counted != 50 {
		t.Errorf("%d are counted", counted)
	}
}

// A flood of logins that fail, or are denied or ended, is bounded before any of them expires, between two
// sweeps as well. Those that came last stay, each is counted, and a second flood uses the room of the first.
func TestFruitlessLoginsAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{Retention: 7 * 24 * time.Hour})
	const bound, logins = 40, 600
	s.table.bounds.maxFruitless = bound
	s.sweep()
	s.login(owner)
	flood := func() (latest string) {
		for i := range logins {
			id := s.redirect(owner, s.start(owner)).ID
			s.fail(id, []session.Status{session.StatusFailed, session.StatusDenied}[i%2])
			latest = id
			s.advance(10 * time.Millisecond)
		}
		return latest
	}
	// From one hour to the next, so that the totals of the first must be made again.
	s.advance(s.clock().Truncate(time.Hour).Add(2*time.Hour - logins*5*time.Millisecond).Sub(s.clock()))
	s.sweep()
	var pages, pagesAgain int64
	latest := flood()
	s.row("PRAGMA page_count", &pages)
	s.table.bounds.trimming.Lock() // whatever began has ended then
	if count := s.count(); count > 2*(bound+bound/2) {
		t.Errorf("%d rows are left before the sweep", count)
	}
	s.table.bounds.trimming.Unlock()
	s.sweep()
	// The login with tokens is from before the flood.
	statuses := strings.Join(s.column(`SELECT status || ' ' || count(*) FROM sessions GROUP BY status`), ", ")
	if statuses != "denied 40, expired 1, failed 40" {
		t.Errorf("left are %s", statuses)
	}
	if left := s.column("SELECT id FROM sessions WHERE status = 'denied'"); !slices.Contains(left, latest) {
		t.Error("the latest is gone")
	}
	flood()
	s.sweep()
	if s.row("PRAGMA page_count", &pagesAgain); pagesAgain > pages+pages/2 {
		t.Errorf("the database had %d pages, and has %d after another flood", pages, pagesAgain)
	}
	var failed, denied int
	s.row("SELECT sum(failed), sum(denied) FROM login_totals", &failed, &denied)
	if failed != logins || denied != logins {
		t.Errorf("counted are %d failed and %d denied", failed, denied)
	}
}

// However many logins wait to be stored, surplus rows are removed before them: else a flood would make more
// rows than are removed.
func TestSurplusIsRemovedFirst(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	s.table.bounds.maxFruitless = 1
	s.table.bounds.trimming.Lock() // nothing is removed yet
	defer s.table.bounds.trimming.Unlock()
	for range 3 {
		s.fail(s.redirect(owner, s.start(owner)).ID, session.StatusFailed)
		s.advance(time.Millisecond)
	}
	connection, err := s.table.writer.db.Conn(t.Context()) // the only one, so that the queue stands still
	if err != nil {
		t.Fatal(err)
	}
	queued := func(statement *sql.Stmt) (count int) {
		s.table.writer.mu.Lock()
		defer s.table.writer.mu.Unlock()
		for _, write := range s.table.writer.queue {
			if write.statement == statement {
				count++
			}
		}
		return count
	}
	const logins = 16 * maxBatch
	var starting sync.WaitGroup
	defer starting.Wait()
	for range logins {
		starting.Go(func() { s.start(owner) })
	}
	// One that is in no queue is being written, with those of its batch.
	for queued(s.table.statements.insert) < logins-maxBatch {
		time.Sleep(time.Millisecond)
	}
	removed := make(chan error, 1)
	go func() {
		_, err := s.table.removeSurplus(t.Context(), forever)
		removed <- err
	}()
	for deadline := time.Now().Add(time.Second); queued(s.table.statements.removeOf) == 0; {
		if time.Now().After(deadline) {
			break // it has joined the first batch
		}
		time.Sleep(time.Millisecond)
	}
	if err := connection.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-removed; err != nil {
		t.Fatal(err)
	}
	if stored := s.sessions.PendingCount(); stored > logins/2 {
		t.Errorf("%d of %d logins were stored before", stored, logins)
	}
}

// A login whose row is gone before the sweep sees its end counts in the hour in which it began.
func TestLoginsRemovedBeforeTheyAreCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{Retention: 7 * 24 * time.Hour})
	s.table.bounds.maxFruitless = 8
	var ids []string
	start := func() {
		for range 20 {
			ids = append(ids, s.redirect(owner, s.start(owner)).ID)
			s.advance(time.Millisecond) // what expires at one time goes at one time
		}
	}
	s.advance(s.clock().Truncate(time.Hour).Add(2*time.Hour - 90*time.Second).Sub(s.clock()))
	start()
	s.advance(3 * time.Minute)
	start()
	s.sweep()
	for _, id := range ids {
		s.fail(id, session.StatusFailed)
	}
	// What is removed meanwhile has seen only some of the ends.
	s.table.bounds.trimming.Lock()
	_, err := s.table.removeSurplus(t.Context(), forever)
	s.table.bounds.trimming.Unlock()
	left := s.column("SELECT substr(created, 1, 13) FROM sessions")
	want := slices.Repeat([]string{timestamp(s.clock())[:13]}, s.table.bounds.maxFruitless)
	if err != nil || !slices.Equal(left, want) {
		t.Fatalf("before the sweep the rows are of %q, %v", left, err)
	}
	s.sweep()
	if failed := s.column("SELECT failed FROM login_totals"); fmt.Sprint(failed) != "[20 20]" {
		t.Errorf("counted are %s", failed)
	}
}

// The rows that are kept when all bounds are reached leave room on a disk of 1 GB.
func TestSizeAtTheBounds(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	const rows = 5000
	s.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {:rows})
		INSERT INTO sessions (id, plugin, client, status, error, errorDescription, cause, origin, created,
			redirected, completed, expires, stateHash, readKeyHash, network)
		SELECT 'row' || i, 'plugin', randomblob(32), 'failed', 'invalid_request', {:text}, {:text},
			'https://abc123.plugins.framercdn.com', {:time}, {:time}, {:time}, {:time} || i, randomblob(41),
			randomblob(41), randomblob(32) FROM n`,
		dbx.Params{"rows": rows, "time": timestamp(s.clock()), "text": strings.Repeat("x", 100)})
	kept := max(defaultMaxExpired, int64(len(fruitlessKinds))*defaultMaxFruitless)
	size := s.dataSize() / rows * kept
	t.Logf("%d rows take %d MB", kept, size>>20)
	if size > 150<<20 {
		t.Errorf("%d rows take %d MB", kept, size>>20)
	}
}
