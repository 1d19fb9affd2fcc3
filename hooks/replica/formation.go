package replica

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/core"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/internal/etcdtry"
)

// A cluster that is new has no records, and each of its machines may have some. All of them are kept, but two
// may have the same slug or address, and there is only one secret that the sessions of admins are signed
// with. So one machine comes first: that of [ComeFirst], then one with plugins before one without, then one
// with admins, then the one whose data are the oldest, and of copies the one that has gone on. Then an admin
// whom the environment makes on a new machine does not take the place of one who has changed their password.
const (
	// foundedKey is there when the first machine has brought its records.
	foundedKey = "records"
	// greetings begins the keys by which machines say what they have, until there is foundedKey.
	greetings = "hello/"
)

// lookEvery is how often a machine looks what the others have said.
const lookEvery = 20 * time.Millisecond

// awaitTurn waits until this machine may bring its records. It returns the cluster, which is blank if this
// machine comes first, and etcd's revision.
func (r *Replica) awaitTurn(ctx context.Context) (cluster string, revision int64, err error) {
	if cluster, revision, err = r.founded(ctx); cluster != "" || err != nil {
		return cluster, revision, err
	}
	rank, err := r.rank(ctx)
	if err != nil {
		return "", 0, err
	}
	own := greetings + r.options.Machine
	if _, err := r.do(ctx, clientv3.OpPut(own, rank)); err != nil {
		return "", 0, err
	}
	began, waiting := time.Now(), false
	for {
		first, count, err := r.firstOf(ctx)
		if err != nil {
			return "", 0, err
		}
		greeted := count >= r.options.Machines || time.Since(began) > r.timing.greeting
		if greeted && first == own || time.Since(began) > r.timing.filling {
			return "", revision, nil
		}
		if cluster, revision, err = r.founded(ctx); cluster != "" || err != nil {
			return cluster, revision, err
		}
		if greeted && !waiting {
			waiting = true
			r.options.Log.Info("another machine brings its plugins and admins first",
				"machine", strings.TrimPrefix(first, greetings))
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return "", 0, ctx.Err()
		}
	}
}

// rank is the lower the sooner this machine comes.
func (r *Replica) rank(ctx context.Context) (string, error) {
	var none [2]bool
	for i, table := range []string{pluginRows.table, adminRows.table} {
		var count int
		if err := r.app.DB().Select("count(*)").From(table).Row(&count); err != nil {
			return "", err
		}
		none[i] = count == 0
	}
	first, err := comesFirst(r.app)
	if err != nil {
		return "", err
	}
	superusers, err := r.app.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		return "", err
	}
	var latest time.Time
	if r.options.Latest != nil {
		if latest, err = r.options.Latest(ctx); err != nil {
			return "", err
		}
	}
	// False comes before true, and what is later before what is earlier.
	return fmt.Sprintf("%-5t %-5t %-5t %s %016x", !first, none[0], none[1], superusers.Created,
		math.MaxInt64-max(0, latest.UnixMilli())), nil
}

// firstOf returns the key of the machine that comes first, and how many have said what they have.
func (r *Replica) firstOf(ctx context.Context) (first string, count int, err error) {
	response, err := r.kv.Get(ctx, greetings, clientv3.WithPrefix())
	if err != nil {
		return "", 0, err
	}
	var ranks []string
	for _, kv := range response.Kvs {
		ranks = append(ranks, string(kv.Value)+" "+string(kv.Key))
	}
	if len(ranks) == 0 { // they are gone, and foundedKey is there
		return "", 0, nil
	}
	least := slices.Min(ranks)
	return least[strings.LastIndex(least, " ")+1:], len(ranks), nil
}

// founded returns what names the cluster, or "" if no machine has brought its records.
func (r *Replica) founded(ctx context.Context) (cluster string, revision int64, err error) {
	response, err := r.kv.Get(ctx, foundedKey)
	if err != nil {
		return "", 0, err
	}
	if len(response.Kvs) > 0 {
		// A cluster that was made of a backup has the same key as the one before, but another id.
		cluster = fmt.Sprintf("%x %s", response.Header.ClusterId, response.Kvs[0].Value)
	}
	return cluster, response.Header.Revision, nil
}

// isNew is the condition that no machine has brought its records.
func isNew() clientv3.Cmp { return clientv3.Compare(clientv3.CreateRevision(foundedKey), "=", 0) }

// found says that this machine has brought its records.
func (r *Replica) found(ctx context.Context) (cluster string, err error) {
	_, err = r.do(ctx, clientv3.OpTxn(
		[]clientv3.Cmp{isNew()},
		[]clientv3.Op{
			clientv3.OpPut(foundedKey, rand.Text()), clientv3.OpDelete(greetings, clientv3.WithPrefix()),
		}, nil))
	if err != nil {
		return "", err
	}
	cluster, _, err = r.founded(ctx)
	return cluster, err
}

// do asks etcd until it answers, for something that may be done twice.
func (r *Replica) do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	for {
		response, err := r.kv.Do(ctx, op)
		if err == nil || etcdtry.IsFinal(err) {
			return response, err
		}
	}
}
