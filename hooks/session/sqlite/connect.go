package sqlite

import (
	"context"
	"net/url"
	"path/filepath"

	"github.com/pocketbase/dbx"
)

// Connect opens a database for a PocketBase app, as its DBConnect. What is committed to data.db is on the
// disk: PocketBase's own connections leave the last commits to the operating system, which a power cut loses
// (https://www.sqlite.org/pragma.html#pragma_synchronous). And each connection caches 2 MB of pages instead
// of 32, so that less memory stays in use after a load.
func Connect(path string) (*dbx.DB, error) {
	synchronous := "FULL"
	if filepath.Base(path) != "data.db" {
		synchronous = "NORMAL" // the log
	}
	pragmas := url.Values{"_pragma": {
		"busy_timeout(10000)", // first: the next one waits for other connections
		"journal_mode(WAL)",
		"journal_size_limit(16000000)", // what stays of a write-ahead log that had to grow
		"synchronous(" + synchronous + ")",
		"foreign_keys(ON)",
		"temp_store(MEMORY)",
		"cache_size(-2000)", // in KiB if negative
	}, "_defensive": {"1"}}
	return dbx.Open("sqlite", path+"?"+pragmas.Encode())
}

// IsDurable reports whether what the table has committed survives a power cut: whether the app was opened
// with [Connect].
func (t *Table) IsDurable(ctx context.Context) (bool, error) {
	const full = 2
	var synchronous int
	err := t.writer.db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous)
	return synchronous >= full, err
}
