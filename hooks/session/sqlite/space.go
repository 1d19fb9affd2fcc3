package sqlite

import (
	"context"
	"time"

	"github.com/pocketbase/dbx"
)

// CheckWritable writes to the database, and changes nothing that anybody reads. It fails if the disk is full
// or read-only, or if the database is held by another process until the context ends.
func (t *Table) CheckWritable(ctx context.Context) error {
	// Each commit changes the first page. Nothing else uses this number, and one that stays as it is might
	// not be written.
	query := "PRAGMA user_version = 1"
	if time.Now().Unix()%2 == 0 {
		query = "PRAGMA user_version = 2"
	}
	_, err := t.writer.db.ExecContext(ctx, query)
	return err
}

// Checkpoint moves what stands in the write-ahead log into the database, and gives the room of the log back
// to the disk.
func Checkpoint(db dbx.Builder) error {
	// The pragma answers with a row, and reports by it that a reader was in the way, which is no fault.
	var busy, frames, moved int
	return db.NewQuery("PRAGMA wal_checkpoint(TRUNCATE)").Row(&busy, &frames, &moved)
}
