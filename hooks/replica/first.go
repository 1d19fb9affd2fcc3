package replica

import (
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// firstKey is in seenTable on a machine that comes first in the next cluster, whatever the others have.
const firstKey = "first"

// createSeenTable makes seenTable.
const createSeenTable = "CREATE TABLE IF NOT EXISTS " + seenTable +
	" (key TEXT PRIMARY KEY NOT NULL, revision INTEGER NOT NULL, own INTEGER NOT NULL, value TEXT)"

// ComeFirst makes the machine with a database the one that brings its records to the next cluster first. It
// is for a database that no app has open.
func ComeFirst(db dbx.Builder) error {
	_, err := db.NewQuery(createSeenTable).Execute()
	if err != nil {
		return err
	}
	_, err = db.NewQuery("INSERT OR REPLACE INTO " + seenTable +
		" (key, revision, own, value) VALUES ({:key}, 0, 0, NULL)").
		Bind(dbx.Params{"key": firstKey}).Execute()
	return err
}

// comesFirst reports whether this machine was made the first.
func comesFirst(app core.App) (bool, error) {
	_, found, err := lastSeen(app, firstKey)
	return found, err
}
