package replica

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/http"
	"slices"

	validation "github.com/pocketbase/ozzo-validation/v4"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/internal/etcdtry"
)

// IsTaken reports whether a save has failed because there is a record with the slug of the plugin, or with
// the address of the admin, on this machine or on another one. A start that makes an admin whom another
// machine has just made is content with that.
func IsTaken(err error) bool {
	fields, _ := errors.AsType[validation.Errors](err)
	for _, field := range fields {
		if known, ok := field.(validation.Error); ok && known.Code() == codeTaken {
			return true
		}
	}
	return errors.Is(err, errTaken)
}

// codeTaken is PocketBase's code for a value that another record has.
const codeTaken = "validation_not_unique"

// errTaken says that another machine has a record with a unique value.
var errTaken = errors.New("another record has this value")

// errChanged says that etcd has another row than the one that was to be changed.
var errChanged = errors.New("another machine has changed the record")

// outside is the priority of what must happen around the hooks that seal a secret, and inside those of
// PocketBase that begin with -99.
const outside = -50

// bind makes each save of a record one of etcd, too, whichever way it is saved.
func (r *Replica) bind() {
	for _, k := range kinds {
		if k.only != "" {
			continue
		}
		bind := func(execute *hook.TaggedHook[*core.RecordEvent], check checkRecord) {
			execute.Bind(&hook.Handler[*core.RecordEvent]{Func: r.saveRecord(k, check), Priority: outside})
		}
		bind(r.app.OnRecordCreateExecute(k.table), unchecked)
		bind(r.app.OnRecordUpdateExecute(k.table), k.checkLoaded)
		bind(r.app.OnRecordDeleteExecute(k.table), unchecked)
	}
	r.app.OnRecordUpdateRequest(adminRows.table, pluginRows.table).BindFunc(checkForm)
	r.app.OnCollectionUpdateExecute(core.CollectionNameSuperusers).Bind(&hook.Handler[*core.CollectionEvent]{
		Func: r.saveOptions, Priority: outside,
	})
}

// checkRecord fails if a record cannot be saved as it is.
type checkRecord func(tx core.App, record *core.Record) error

func unchecked(core.App, *core.Record) error { return nil }

// updated is the field that changes with each save.
const updated = "updated"

// checkLoaded fails if another machine has changed the row since the record was loaded: all fields would be
// written as they were before. Of two changes on this machine the later one counts, as without a cluster.
func (k kind) checkLoaded(tx core.App, record *core.Record) error {
	return k.checkSame(tx, record, record.Original().GetString(updated))
}

func (k kind) checkSame(app core.App, record *core.Record, loaded string) error {
	last, _, err := lastSeen(app, k.key(record.Id))
	if err != nil {
		return err
	}
	now, err := app.FindRecordById(record.Collection(), record.Id)
	if errors.Is(err, sql.ErrNoRows) {
		return errChanged
	}
	if err == nil && !last.Own && now.GetString(updated) != loaded {
		return errChanged
	}
	return err
}

// checkForm fails if another machine has changed the record since the form of the dashboard was opened, which
// sends all fields, this one included.
func checkForm(e *core.RecordRequestEvent) error {
	var form struct {
		Updated string `json:"updated" form:"updated"`
	}
	if err := e.BindBody(&form); err != nil {
		return err
	}
	k := pluginRows
	if e.Record.IsSuperuser() {
		k = adminRows
	}
	if form.Updated != "" {
		if err := k.checkSame(e.App, e.Record, form.Updated); err != nil {
			return k.answer(err)
		}
	}
	return e.Next()
}

func (r *Replica) saveRecord(k kind, check checkRecord) func(*core.RecordEvent) error {
	return func(e *core.RecordEvent) error {
		app := e.App
		defer func() { e.App = app }()
		return app.RunInTransaction(func(tx core.App) error {
			e.App = tx
			if err := check(tx, e.Record); err != nil {
				return k.answer(err)
			}
			if err := e.Next(); err != nil {
				return err
			}
			return k.answer(r.push(e.Context, tx, k, e.Record.Id))
		})
	}
}

// saveOptions is saveRecord for the options of the collection of admins.
func (r *Replica) saveOptions(e *core.CollectionEvent) error {
	app := e.App
	defer func() { e.App = app }()
	return app.RunInTransaction(func(tx core.App) error {
		e.App = tx
		if err := e.Next(); err != nil {
			return err
		}
		return optionRows.answer(r.push(e.Context, tx, optionRows, optionRows.only))
	})
}

// push brings a row of SQLite to etcd, or that there is none any more. It fails with errChanged, errTaken, or
// [etcdtry.ErrUnavailable]. If the transaction of SQLite fails later, the change is undone in etcd.
func (r *Replica) push(ctx context.Context, tx core.App, k kind, id string) error {
	here, err := k.read(tx, id)
	if err != nil {
		return err
	}
	last, _, err := lastSeen(tx, k.key(id))
	if err != nil || here == nil && !last.isThere() {
		return err
	}
	c := change{key: k.key(id), id: id, revision: last.revisionThere(), before: last.Row}
	if here != nil {
		if last.isThere() && !here.differs(last.Row) {
			return nil
		}
		columns, err := k.presentColumns(tx)
		if err != nil {
			return err
		}
		c.after = last.Row.unknown(columns)
		if c.after == nil {
			c.after = row{}
		}
		for column, value := range here {
			c.after[column] = value
		}
	}
	c.reserved(k)
	revision, err := r.commit(ctx, c)
	if err != nil {
		return err
	}
	r.undoIfRolledBack(tx, k, c, revision)
	return remember(tx, c.key, seen{Revision: revision, Own: true, Row: c.after})
}

// undoIfRolledBack changes etcd back if the transaction of SQLite is not committed: because a disk is full,
// or because another part of a batch has failed. The form says then that nothing was saved.
func (r *Replica) undoIfRolledBack(tx core.App, k kind, c change, revision int64) {
	undo := change{key: c.key, id: c.id, before: c.after, after: c.before}
	if c.after != nil {
		undo.revision = revision
	}
	undo.reserved(k)
	transaction := tx.TxInfo()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.undos[transaction] = append(r.undos[transaction], undo)
	if len(r.undos[transaction]) > 1 {
		return
	}
	transaction.OnComplete(func(err error) error {
		r.mu.Lock()
		undos := r.undos[transaction]
		delete(r.undos, transaction)
		r.mu.Unlock()
		if err != nil {
			r.undo(undos)
		}
		return nil
	})
}

// undo undoes what one transaction has changed, the last change first. What another machine has changed since
// stays.
func (r *Replica) undo(undos []change) {
	written := map[string]int64{} // the revisions of keys that the transaction has changed several times
	for _, undo := range slices.Backward(undos) {
		if revision, again := written[undo.key]; again {
			undo.revision = revision
		}
		revision, err := r.commit(context.Background(), undo)
		if err != nil && !errors.Is(err, errChanged) {
			r.options.Log.Error("a record could not be stored on this machine, and the others have it all "+
				"the same", "key", undo.key, "cause", err)
		}
		if undo.after == nil {
			revision = 0
		}
		written[undo.key] = revision
	}
}

// change is what becomes of a row in etcd.
type change struct {
	key, id string
	// revision is the one of the row that is changed; 0: there is none.
	revision int64
	// before and after are the row; nil: there is none.
	before, after row

	reserve, release string // keys that stand for unique values; blank: none
}

// reserved fills in the keys that stand for unique values.
func (c *change) reserved(k kind) {
	c.reserve, c.release = k.reservation(c.after), k.reservation(c.before)
	if c.reserve == c.release {
		c.reserve, c.release = "", ""
	}
}

// commit makes a change in etcd, and returns its revision.
func (r *Replica) commit(ctx context.Context, c change) (int64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timing.save)
	defer cancel()
	nonce := rand.Text()
	unchanged := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(c.key), "=", c.revision)}
	then := []clientv3.Op{clientv3.OpDelete(c.key)}
	if c.after != nil {
		value, err := record{By: nonce, Row: c.after}.encode()
		if err != nil {
			return 0, err
		}
		then = []clientv3.Op{clientv3.OpPut(c.key, value)}
	}
	if c.release != "" {
		then = append(then, clientv3.OpDelete(c.release))
	}
	if c.reserve != "" {
		unchanged = append(unchanged, clientv3.Compare(clientv3.CreateRevision(c.reserve), "=", 0))
		then = append(then, clientv3.OpPut(c.reserve, c.id))
	}
	otherwise := []clientv3.Op{clientv3.OpGet(c.key)}
	for {
		response, err := r.kv.Transact(ctx, unchanged, then, otherwise)
		switch {
		case etcdtry.IsFinal(err):
			return 0, err
		case err != nil:
			continue
		case response.Succeeded:
			return response.Header.Revision, nil
		}
		return c.lost(response, nonce)
	}
}

// lost says why a change was not made; or that it was, and that the answer to an earlier try was lost.
func (c change) lost(response *clientv3.TxnResponse, nonce string) (int64, error) {
	there := response.Responses[0].GetResponseRange().Kvs
	if len(there) == 0 {
		switch {
		case c.after == nil: // whoever has deleted it
			return response.Header.Revision, nil
		case c.revision == 0:
			return 0, errTaken
		default:
			return 0, errChanged
		}
	}
	found, err := decodeRecord(there[0].Value)
	switch {
	case err == nil && found.By == nonce:
		return there[0].ModRevision, nil
	case there[0].ModRevision == c.revision:
		return 0, errTaken
	default:
		return 0, errChanged
	}
}

// answer returns the error that the form shows. PocketBase would say of another one that the record could not
// be saved, and not why.
func (k kind) answer(err error) error {
	switch {
	case errors.Is(err, errChanged):
		return router.NewApiError(http.StatusConflict, "Changed on another machine. Load it again.", err)
	case errors.Is(err, errTaken):
		fix := "must be another one: it was taken on another machine"
		field := validation.Errors{k.unique: validation.NewError(codeTaken, fix)}
		return router.NewApiError(http.StatusConflict, "Another machine has a record with this "+k.unique+".",
			errors.Join(errTaken, field))
	case errors.Is(err, rpctypes.ErrNoSpace):
		return router.NewApiError(http.StatusServiceUnavailable, "The storage that the machines share is "+
			"full, so nothing can be saved. They make room: try again in some seconds.", err)
	case errors.Is(err, etcdtry.ErrUnavailable): // whether it was saved is not known
		return router.NewApiError(http.StatusServiceUnavailable, "Most of the machines cannot be reached at "+
			"the moment, so the dashboard is read-only. Load it again when they can.", err)
	default:
		return err
	}
}
