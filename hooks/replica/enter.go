package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/internal/etcdtry"
)

// enter makes this machine one of those that share the records, and returns the revision of each kind up to
// which it has seen everything.
func (r *Replica) enter(ctx context.Context) ([]int64, error) {
	cluster, revision, err := r.awaitTurn(ctx)
	if err != nil {
		return nil, err
	}
	err = r.app.RunInTransaction(func(tx core.App) error {
		if err := knowCluster(tx, cluster, revision); err != nil {
			return err
		}
		for _, k := range kinds {
			if err := errors.Join(k.forgetLoss(tx), k.learnColumns(tx)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	revisions, err := r.reconcile(ctx)
	if err != nil {
		return nil, err
	}
	if cluster == "" {
		if r.options.First != nil {
			if err := r.options.First(ctx, isNew()); err != nil {
				return nil, err
			}
		}
		if cluster, err = r.found(ctx); err != nil {
			return nil, err
		}
		if err := rememberCluster(r.app, cluster); err != nil {
			return nil, err
		}
	}
	return revisions, forget(r.app, dbx.HashExp{"key": firstKey})
}

// maxRounds bounds how often the two sides are compared at a start. The second time nearly always finds
// nothing, however many machines start.
const maxRounds = 20

// reconcile makes both sides equal, and returns the revision of each kind up to which this machine has seen
// everything. What cannot be brought over stays on this machine alone, and the log says so.
func (r *Replica) reconcile(ctx context.Context) ([]int64, error) {
	var brought summary
	defer func() { brought.log(r.options.Log) }()
	for round := 1; ; round++ {
		revisions := make([]int64, len(kinds))
		for i, k := range kinds {
			var err error
			if revisions[i], err = r.takeOver(ctx, k); err != nil {
				return nil, err
			}
		}
		refused, err := r.bringAllOver(ctx, &brought)
		switch {
		case errors.Is(err, etcdtry.ErrUnavailable):
			round = 0 // the next one waits until the others can be reached
		case err != nil:
			return nil, err
		case len(refused) == 0:
			return revisions, nil
		case round == maxRounds:
			r.options.Log.Warn("these records stay on this machine alone: others have their addresses",
				"records", strings.Join(refused, ", "))
			return revisions, nil
		}
	}
}

func (r *Replica) bringAllOver(ctx context.Context, brought *summary) (refused []string, err error) {
	for _, k := range kinds {
		names, err := r.bringOver(ctx, k, brought)
		if err != nil {
			return nil, err
		}
		refused = append(refused, names...)
	}
	return refused, nil
}

// bringOver brings to etcd what has changed here alone. It returns the names of what etcd has refused: there,
// too, something has changed, which is to be taken over first.
func (r *Replica) bringOver(ctx context.Context, k kind, brought *summary) (refused []string, err error) {
	var changed map[string]string
	err = r.app.RunInTransaction(func(tx core.App) error {
		changed, err = k.changedHere(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	for id, name := range changed {
		err := r.app.RunInTransaction(func(tx core.App) error { return r.push(ctx, tx, k, id) })
		switch {
		case errors.Is(err, errChanged), errors.Is(err, errTaken):
			refused = append(refused, name)
		case err != nil:
			return nil, err
		default:
			brought.add(k, name)
		}
	}
	return refused, nil
}

// changedHere returns the names of rows that are not as this machine has last seen them in etcd, by the ids.
// A table that is empty was lost, and nothing in it was deleted.
func (k kind) changedHere(tx core.App) (map[string]string, error) {
	rows, err := k.readAll(tx)
	if err != nil {
		return nil, err
	}
	all, err := k.allSeen(tx)
	if err != nil {
		return nil, err
	}
	changed := map[string]string{}
	for id, here := range rows {
		if last := all[id]; !last.isThere() || here.differs(last.Row) {
			changed[id] = k.name(here, id)
		}
	}
	for id, last := range all {
		if len(rows) > 0 && rows[id] == nil && last.isThere() {
			changed[id] = k.name(last.Row, id)
		}
	}
	return changed, nil
}

// displace makes room for a row whose unique value another row has here. If that one was never seen in etcd,
// it is a plugin, which is kept under another slug and switched off, or an admin, of whom one is enough.
// Otherwise it was given the value here alone, and gets back the one that it has in etcd.
func (k kind) displace(tx core.App, e event) (displaced []string, err error) {
	if k.reservation(e.row) == "" {
		return nil, nil
	}
	value, err := decodeValue(e.row[k.unique])
	if err != nil {
		return nil, err
	}
	same := "[[" + k.unique + "]] = {:value}"
	if k.foldsCase {
		same += " COLLATE NOCASE"
	}
	var ids []string
	err = tx.DB().Select(k.id).From(k.table).Where(dbx.NewExp(same, dbx.Params{"value": value})).
		AndWhere(dbx.Not(k.where(e.id))).Column(&ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		last, _, err := lastSeen(tx, k.key(id))
		if err != nil {
			return nil, err
		}
		name := fmt.Sprint(value)
		switch {
		case last.isThere():
			err = k.write(tx, id, last.Row)
		case k.table == pluginRows.table:
			name, err = keepAside(tx, id, name)
		default:
			err = k.delete(tx, id)
		}
		if err != nil {
			return nil, err
		}
		displaced = append(displaced, name)
	}
	return displaced, nil
}

// maxSlug is the length of the longest slug.
const maxSlug = 63

// keepAside gives a plugin another slug, and switches it off. It returns what to say of it.
func keepAside(tx core.App, id, slug string) (string, error) {
	for number := 2; ; number++ {
		suffix := fmt.Sprintf("-%d", number)
		free := slug[:min(len(slug), maxSlug-len(suffix))] + suffix
		var used int
		err := tx.DB().Select("count(*)").From(pluginRows.table).Where(dbx.HashExp{"slug": free}).Row(&used)
		if err != nil {
			return "", err
		}
		if used > 0 {
			continue
		}
		_, err = tx.DB().Update(pluginRows.table, dbx.Params{"slug": free, "enabled": false},
			pluginRows.where(id)).Execute()
		return fmt.Sprintf("%s (this machine's is kept as %s, switched off)", slug, free), err
	}
}

// summary has what was brought from this machine to the others.
type summary struct{ plugins, admins []string }

func (s *summary) add(k kind, name string) {
	switch k.table {
	case pluginRows.table:
		s.plugins = append(s.plugins, name)
	case adminRows.table:
		s.admins = append(s.admins, name)
	}
}

func (s *summary) log(log *slog.Logger) {
	if len(s.plugins)+len(s.admins) == 0 {
		return
	}
	slices.Sort(s.plugins)
	slices.Sort(s.admins)
	log.Info("what was new or changed on this machine alone is on the others, too",
		"plugins", strings.Join(s.plugins, ", "), "admins", strings.Join(s.admins, ", "))
}

// scan brings over what the command superuser changes while the service runs. It is another process, which
// writes to SQLite and knows no etcd.
func (r *Replica) scan(ctx context.Context) {
	every := time.NewTicker(r.timing.scan)
	defer every.Stop()
	for failed := false; ; {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		var brought summary
		var err error
		for _, k := range []kind{adminRows, mfaRows, otpRows} {
			_, failure := r.bringOver(ctx, k, &brought)
			err = cmp.Or(err, failure)
		}
		brought.log(r.options.Log)
		if err != nil && !failed && ctx.Err() == nil {
			r.options.Log.Warn("an admin was changed on this machine alone; the others follow as soon as "+
				"that is possible", "cause", err)
		}
		failed = err != nil
	}
}
