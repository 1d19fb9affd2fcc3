package replica

import (
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// seenTable says which revision each row here is of. It is written in the transaction that writes the row, so
// that the two always agree, whatever this process is killed in the middle of. It is what tells, after this
// machine was away, what has changed here from what has changed there. No migration makes it: without a
// cluster there is none.
const seenTable = "_replica"

// seen is a row as this machine has last seen it in etcd.
type seen struct {
	// Revision is the one at which it was written, or deleted.
	Revision int64
	// Own says that this machine has written it.
	Own bool
	// Row is what etcd has; nil: nothing.
	Row row
}

// isThere reports whether etcd had the row.
func (s seen) isThere() bool { return s.Row != nil }

// revisionThere is the revision that etcd has of the key; 0: there is no such key.
func (s seen) revisionThere() int64 {
	if !s.isThere() {
		return 0
	}
	return s.Revision
}

func makeSeenTable(app core.App) error {
	_, err := app.NonconcurrentDB().NewQuery(createSeenTable).Execute()
	return err
}

// storedSeen is a row of seenTable.
type storedSeen struct {
	Key      string         `db:"key"`
	Revision int64          `db:"revision"`
	Own      bool           `db:"own"`
	Value    sql.NullString `db:"value"`
}

func (s storedSeen) decode() (seen, error) {
	decoded := seen{Revision: s.Revision, Own: s.Own}
	if !s.Value.Valid {
		return decoded, nil
	}
	err := json.Unmarshal([]byte(s.Value.String), &decoded.Row)
	return decoded, err
}

// lastSeen returns what this machine has seen of a key, and whether it has.
func lastSeen(tx core.App, key string) (last seen, found bool, err error) {
	var stored storedSeen
	err = tx.DB().Select("*").From(seenTable).Where(dbx.HashExp{"key": key}).One(&stored)
	if errors.Is(err, sql.ErrNoRows) {
		return seen{}, false, nil
	}
	if err != nil {
		return seen{}, false, err
	}
	last, err = stored.decode()
	return last, err == nil, err
}

// allSeen returns what this machine has seen of a kind, by the ids.
func (k kind) allSeen(tx core.App) (map[string]seen, error) {
	var rows []storedSeen
	if err := tx.DB().Select("*").From(seenTable).Where(k.seenKeys()).All(&rows); err != nil {
		return nil, err
	}
	all := make(map[string]seen, len(rows))
	for _, stored := range rows {
		decoded, err := stored.decode()
		if err != nil {
			return nil, err
		}
		all[k.idOf(stored.Key)] = decoded
	}
	return all, nil
}

// seenKeys is the condition that a row of seenTable is about this kind.
func (k kind) seenKeys() dbx.Expression {
	return dbx.NewExp("key > {:from} AND key < {:to}",
		dbx.Params{"from": k.prefix, "to": clientv3.GetPrefixRangeEnd(k.prefix)})
}

// remember stores what this machine has seen of a key.
func remember(tx core.App, key string, last seen) error {
	var value any
	if last.isThere() {
		encoded, err := json.Marshal(last.Row)
		if err != nil {
			return err
		}
		value = string(encoded)
	}
	_, err := tx.DB().NewQuery("INSERT OR REPLACE INTO " + seenTable +
		" (key, revision, own, value) VALUES ({:key}, {:revision}, {:own}, {:value})").
		Bind(dbx.Params{"key": key, "revision": last.Revision, "own": last.Own, "value": value}).Execute()
	return err
}

func forget(tx core.App, where dbx.Expression) error {
	_, err := tx.DB().Delete(seenTable, where).Execute()
	return err
}

// clusterKey is the key in seenTable whose value says which cluster the other keys are of.
const clusterKey = "cluster"

// knowCluster notes which cluster this machine is in. What was seen of another one counts for nothing, nor
// does it if the cluster was set back to an earlier revision: a row that is missing there was not deleted
// there. The cluster is blank until it has been filled.
func knowCluster(tx core.App, cluster string, revision int64) error {
	var known string
	err := tx.DB().Select("value").From(seenTable).Where(dbx.HashExp{"key": clusterKey}).Row(&known)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var latest int64
	err = tx.DB().Select("coalesce(max(revision), 0)").From(seenTable).Row(&latest)
	if err != nil {
		return err
	}
	outdated := dbx.NewExp("value IS NULL") // nothing that is older than a deletion can come any more
	if cluster == "" || known != cluster || latest > revision {
		outdated = dbx.NewExp("true")
	}
	// A start that is interrupted must not forget that this machine comes first.
	if err := forget(tx, dbx.And(outdated, dbx.Not(dbx.HashExp{"key": firstKey}))); err != nil {
		return err
	}
	return rememberCluster(tx, cluster)
}

func rememberCluster(tx core.App, cluster string) error {
	_, err := tx.DB().NewQuery("INSERT OR REPLACE INTO " + seenTable +
		" (key, revision, own, value) VALUES ({:key}, 0, 0, {:cluster})").
		Bind(dbx.Params{"key": clusterKey, "cluster": cluster}).Execute()
	return err
}

// learnColumns fills columns that this version knows and the one before did not, if a machine of another
// version has filled them meanwhile. Otherwise it would seem that somebody has emptied them here.
func (k kind) learnColumns(tx core.App) error {
	columns, err := k.presentColumns(tx)
	if err != nil {
		return err
	}
	before, found, err := lastSeen(tx, k.prefix)
	if err != nil {
		return err
	}
	now := row{}
	isNew := func(column string) bool {
		_, known := before.Row[column]
		return !known
	}
	for _, column := range columns {
		now[column] = ""
	}
	if found && slices.ContainsFunc(columns, isNew) {
		if err := k.fillColumns(tx, slices.DeleteFunc(slices.Clone(columns),
			func(column string) bool { return !isNew(column) })); err != nil {
			return err
		}
	}
	return remember(tx, k.prefix, seen{Row: now})
}

func (k kind) fillColumns(tx core.App, columns []string) error {
	all, err := k.allSeen(tx)
	if err != nil {
		return err
	}
	for id, last := range all {
		filled := row{}
		for _, column := range columns {
			if value, known := last.Row[column]; known {
				filled[column] = value
			}
		}
		here, err := k.read(tx, id)
		if err != nil {
			return err
		}
		if len(filled) > 0 && here != nil {
			if err := k.write(tx, id, filled); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetLoss forgets what was seen of a kind of which this machine has no row left: nobody empties a table
// one by one, so it was lost, and is filled again.
func (k kind) forgetLoss(tx core.App) error {
	rows, err := k.readAll(tx)
	if err != nil || len(rows) > 0 {
		return err
	}
	return forget(tx, k.seenKeys())
}
