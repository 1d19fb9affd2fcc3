package etcd

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
)

const (
	// totalsRetention is how long the machines share the totals of an hour.
	totalsRetention = 30 * 24 * time.Hour
	// totalsChange is for how long the totals of an hour may change after it has begun. It is longer than any
	// login.
	totalsChange = 24 * time.Hour
	// hourLayout is how the key of an hour ends. Keys sort by time.
	hourLayout = "2006-01-02T15"
	// hoursAtOnce bounds what one request reads.
	hoursAtOnce = 100
)

// totals is what a process knows of the hours' totals. Only the goroutine that sweeps uses it.
type totals struct {
	// shared is up to when this process has shared them. Zero: it has not yet.
	shared time.Time
}

// hourTotals are the totals of an hour as etcd has them.
type hourTotals struct {
	hour     time.Time
	plugins  []session.Funnel // sorted by plugin
	revision int64
}

// TotalsSince returns from which hour on [Table.ShareTotals] wants the totals of this machine.
func (t *Table) TotalsSince(now time.Time) time.Time {
	since := now.Add(-totalsRetention)
	if recent := t.totals.shared.Add(-totalsChange); recent.After(since) {
		since = recent
	}
	return since.Truncate(time.Hour)
}

// ShareTotals gives the other machines what this one knows of the hours since [Table.TotalsSince], and
// returns what they know better: a machine that was away has missed logins. For each plugin and hour the
// counts of the machine that knows most count; see [session.Funnel.KnowsMore]. So nothing is counted twice,
// however often it is shared, and whoever is killed meanwhile. Callers call it one at a time.
func (t *Table) ShareTotals(
	ctx context.Context, own []session.Total, now time.Time,
) (better []session.Total, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.timing.long)
	defer cancel()
	since := t.TotalsSince(now)
	hours, err := t.readHours(ctx, since)
	if err != nil {
		return nil, err
	}
	better = hours.better(own)
	changed := map[time.Time]bool{}
	for _, total := range own {
		if hour := total.Hour.UTC(); !hour.Before(since) && hours.learn(hour, total.Funnel) {
			changed[hour] = true
		}
	}
	isWhole := true
	for hour := range changed {
		written, err := t.writeHour(ctx, hours[hour])
		if err != nil {
			return nil, err
		}
		isWhole = isWhole && written
	}
	if err := t.removeHours(ctx, now.Add(-totalsRetention)); err != nil {
		return nil, err
	}
	if isWhole {
		t.totals.shared = now
	}
	return better, nil
}

// hoursByTime are the totals of hours, by their beginning in UTC.
type hoursByTime map[time.Time]*hourTotals

// better returns the totals that know more than those of this machine.
func (h hoursByTime) better(own []session.Total) (better []session.Total) {
	type place struct {
		hour   time.Time
		plugin string
	}
	here := map[place]session.Funnel{}
	for _, total := range own {
		here[place{hour: total.Hour.UTC(), plugin: total.Plugin}] = total.Funnel
	}
	for hour, known := range h {
		for _, funnel := range known.plugins {
			if funnel.KnowsMore(here[place{hour: hour, plugin: funnel.Plugin}]) {
				better = append(better, session.Total{Hour: hour, Funnel: funnel})
			}
		}
	}
	return better
}

// learn takes in the counts of a plugin, and reports whether they are news.
func (h hoursByTime) learn(hour time.Time, counts session.Funnel) bool {
	known := h[hour]
	if known == nil {
		known = &hourTotals{hour: hour}
		h[hour] = known
	}
	i, found := slices.BinarySearchFunc(known.plugins, counts.Plugin,
		func(f session.Funnel, plugin string) int { return strings.Compare(f.Plugin, plugin) })
	switch {
	case !found:
		known.plugins = slices.Insert(known.plugins, i, counts)
	case counts.KnowsMore(known.plugins[i]):
		known.plugins[i] = counts
	default:
		return false
	}
	return true
}

// readHours reads the totals of the hours since a time.
func (t *Table) readHours(ctx context.Context, since time.Time) (hoursByTime, error) {
	hours := hoursByTime{}
	end := clientv3.WithRange(clientv3.GetPrefixRangeEnd(hourKeys))
	for from := hourKey(since); ; {
		response, err := t.kv.Get(ctx, from, end, clientv3.WithLimit(hoursAtOnce))
		if err != nil {
			return nil, err
		}
		for _, kv := range response.Kvs {
			hour, err := time.Parse(hourLayout, strings.TrimPrefix(string(kv.Key), hourKeys))
			if err != nil {
				continue // it is none of ours
			}
			known := &hourTotals{hour: hour, revision: kv.ModRevision}
			if err := json.Unmarshal(kv.Value, &known.plugins); err != nil {
				t.options.Log.Error("the totals of an hour cannot be read; they are made anew", "cause", err)
				known.plugins = nil
			}
			hours[hour] = known
		}
		if !response.More {
			return hours, nil
		}
		from = string(response.Kvs[len(response.Kvs)-1].Key) + "\x00"
	}
}

func hourKey(hour time.Time) string { return hourKeys + hour.UTC().Format(hourLayout) }

// writeHour writes the totals of an hour, unless another machine has done so since they were read. Then they
// are shared the next time.
func (t *Table) writeHour(ctx context.Context, known *hourTotals) (written bool, err error) {
	key := hourKey(known.hour)
	value, err := json.Marshal(known.plugins)
	if err != nil {
		return false, err
	}
	response, err := t.kv.Transact(ctx,
		[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", known.revision)},
		[]clientv3.Op{clientv3.OpPut(key, string(value))}, nil)
	if err != nil {
		return false, err
	}
	return response.Succeeded, nil
}

// removeHours deletes the totals of the hours before a time, if there are any.
func (t *Table) removeHours(ctx context.Context, before time.Time) error {
	end := clientv3.WithRange(hourKey(before))
	oldest, err := t.kv.Get(ctx, hourKeys, end, clientv3.WithLimit(1), clientv3.WithKeysOnly())
	if err != nil || len(oldest.Kvs) == 0 {
		return err
	}
	_, err = t.kv.Transact(ctx, nil, []clientv3.Op{clientv3.OpDelete(hourKeys, end)}, nil)
	return err
}
