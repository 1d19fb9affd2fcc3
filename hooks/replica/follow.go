package replica

import (
	"context"
	"errors"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// slice bounds what one request to etcd reads, in rows of some kilobytes.
const slice = 200

// event is what has become of a row in etcd.
type event struct {
	id       string
	revision int64
	row      row // nil: it was deleted
}

// follow takes over what the other machines change from a revision on, until the context ends. If etcd has
// forgotten a part of it, because this machine was away for long, everything is listed again.
func (r *Replica) follow(ctx context.Context, k kind, seenUntil int64) {
	for {
		err := r.watch(ctx, k, seenUntil+1)
		if ctx.Err() != nil {
			return
		}
		r.options.Log.Warn("the changes of the other machines were not seen for a moment",
			"table", k.table, "cause", err)
		for err != nil && ctx.Err() == nil {
			select {
			case <-time.After(r.timing.relist):
			case <-ctx.Done():
			}
			seenUntil, err = r.takeOver(ctx, k)
		}
	}
}

// watch takes over changes until the watch breaks off, or until one cannot be stored. It returns why.
func (r *Replica) watch(ctx context.Context, k kind, from int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for response := range r.watcher.Watch(ctx, k.prefix, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		if err := response.Err(); err != nil {
			return err
		}
		events := map[string]event{} // the last one of each row
		for _, e := range response.Events {
			if changed, readable := r.decode(k, e.Kv, e.Type == clientv3.EventTypeDelete); readable {
				events[changed.id] = changed
			}
		}
		if err := r.apply(k, events); err != nil {
			return err
		}
	}
	return errors.New("the watch has ended")
}

// decode reads a key. One that cannot be read is logged, and left as it is on this machine.
func (r *Replica) decode(k kind, kv *mvccpb.KeyValue, deleted bool) (e event, readable bool) {
	e = event{id: k.idOf(string(kv.Key)), revision: kv.ModRevision}
	if deleted {
		return e, true
	}
	decoded, err := decodeRecord(kv.Value)
	for _, value := range decoded.Row {
		if err == nil {
			_, err = decodeValue(value)
		}
	}
	if err != nil {
		r.options.Log.Error("a record of another machine is not taken over",
			"key", string(kv.Key), "cause", err)
	}
	e.row = decoded.Row
	return e, err == nil
}

// takeOver makes the rows here those that etcd has at a revision, which it returns. What has changed here
// alone stays.
func (r *Replica) takeOver(ctx context.Context, k kind) (revision int64, err error) {
	events := map[string]event{}
	options := []clientv3.OpOption{
		clientv3.WithRange(clientv3.GetPrefixRangeEnd(k.prefix)), clientv3.WithLimit(slice),
	}
	listed := map[string]bool{}
	for from, more := k.prefix, true; more; {
		response, err := r.kv.Get(ctx, from, options...)
		if err != nil {
			return 0, err
		}
		if revision == 0 {
			revision = response.Header.Revision
			options = append(options, clientv3.WithRev(revision))
		}
		for _, kv := range response.Kvs {
			listed[k.idOf(string(kv.Key))] = true
			if e, readable := r.decode(k, kv, false); readable {
				events[e.id] = e
			}
			from = string(kv.Key) + "\x00"
		}
		more = response.More
	}
	all, err := k.allSeen(r.app)
	if err != nil {
		return 0, err
	}
	for id, last := range all {
		if last.isThere() && !listed[id] {
			events[id] = event{id: id, revision: revision}
		}
	}
	return revision, r.apply(k, events)
}

// apply stores what has become of rows, and makes this process take notice of it.
func (r *Replica) apply(k kind, events map[string]event) error {
	var taken, lost []string
	err := r.app.RunInTransaction(func(tx core.App) (err error) {
		taken, lost, err = k.takeIn(tx, events)
		return err
	})
	if err != nil || len(taken) == 0 {
		return err
	}
	for _, name := range lost {
		r.options.Log.Warn("what was changed on this machine gives way to what the other machines have",
			"table", k.table, "record", name)
	}
	return r.notify(k, taken)
}

// takeIn stores what has become of rows, unless this machine has seen it already, or has itself written what
// came later. It returns the ids of what it has stored, and the names of what was changed here alone and is
// lost.
func (k kind) takeIn(tx core.App, events map[string]event) (taken, lost []string, err error) {
	for id, e := range events {
		last, found, err := lastSeen(tx, k.key(id))
		if err != nil {
			return nil, nil, err
		}
		if last.Revision >= e.revision {
			if found && !last.isThere() && e.row == nil { // nothing older can come any more
				if err := forget(tx, dbx.HashExp{"key": k.key(id)}); err != nil {
					return nil, nil, err
				}
			}
			continue
		}
		taken = append(taken, id)
		name, err := k.clear(tx, e, last)
		if err != nil {
			return nil, nil, err
		}
		if name != "" {
			lost = append(lost, name)
		}
	}
	for _, id := range taken { // there is room for all of them now
		names, err := k.store(tx, events[id])
		if err != nil {
			return nil, nil, err
		}
		lost = append(lost, names...)
	}
	return taken, lost, nil
}

// clear deletes a row that is gone in etcd, and makes room for the others: two of them may have exchanged
// their unique values. It returns the name of a row whose change, which was made here alone, is lost.
func (k kind) clear(tx core.App, e event, last seen) (lost string, err error) {
	here, err := k.read(tx, e.id)
	if err != nil || here == nil {
		return "", err
	}
	changed := here.differs(last.Row) && (e.row == nil || here.differs(e.row))
	if changed && (k.only == "" || last.isThere()) { // each new machine has options of its own
		lost = k.name(here, e.id)
	}
	switch {
	case e.row == nil:
		if !last.isThere() {
			return "", nil // it is new here, and was not deleted there
		}
		err = k.delete(tx, e.id)
	case k.unique != "" && here[k.unique] != e.row[k.unique]:
		_, err = tx.DB().Update(k.table, dbx.Params{k.unique: placeholder(e.id)}, k.where(e.id)).Execute()
	}
	if err == nil && k.table == adminRows.table {
		err = forgetBrowsers(tx, here, e)
	}
	return lost, err
}

// placeholder is a unique value that nothing else has, until the right one is written.
func placeholder(id string) string { return "~" + id }

// name is what an admin knows a row by.
func (k kind) name(r row, id string) string {
	if value, found := r[k.unique]; found && value != "" {
		return value[1:]
	}
	return id
}

// forgetBrowsers deletes the browsers from which an admin has signed in, as PocketBase does with the password
// or with the admin.
func forgetBrowsers(tx core.App, here row, e event) error {
	if e.row != nil && here["password"] == e.row["password"] {
		return nil
	}
	_, err := tx.DB().Delete(core.CollectionNameAuthOrigins, dbx.HashExp{"recordRef": e.id}).Execute()
	return err
}

// store writes a row as etcd has it, and notes what this machine has seen. It returns the names of rows that
// had to make room.
func (k kind) store(tx core.App, e event) (displaced []string, err error) {
	key := k.key(e.id)
	if e.row == nil {
		return nil, forget(tx, dbx.HashExp{"key": key})
	}
	if displaced, err = k.displace(tx, e); err != nil {
		return nil, err
	}
	if err := k.write(tx, e.id, e.row); err != nil {
		return nil, err
	}
	return displaced, remember(tx, key, seen{Revision: e.revision, Row: e.row})
}

// notify makes this process take notice of what was stored.
func (r *Replica) notify(k kind, ids []string) error {
	switch k.table {
	case pluginRows.table:
		if r.options.Changed != nil {
			r.options.Changed(ids)
		}
	case adminRows.table:
		r.endSubscriptions(ids)
	case optionRows.table:
		return r.app.ReloadCachedCollections()
	}
	return nil
}

// endSubscriptions takes from connections that wait for news the admin whose password has changed, or who is
// gone.
func (r *Replica) endSubscriptions(ids []string) {
	for _, client := range r.app.SubscriptionsBroker().Clients() {
		admin, _ := client.Get(apis.RealtimeClientAuthKey).(*core.Record)
		if admin == nil || !admin.IsSuperuser() {
			continue
		}
		for _, id := range ids {
			if admin.Id != id {
				continue
			}
			now, err := r.app.FindRecordById(admin.Collection(), id)
			if err != nil || now.TokenKey() != admin.TokenKey() {
				client.Unset(apis.RealtimeClientAuthKey)
			}
		}
	}
}
