package etcd

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
)

// noon is the hour of the tests.
var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func total(hour time.Time, plugin string, started, failed int) session.Total {
	return session.Total{
		Hour: hour, Funnel: session.Funnel{Plugin: plugin, Started: started, Failed: failed},
	}
}

func sortTotals(totals []session.Total) []session.Total {
	slices.SortFunc(totals, func(a, b session.Total) int {
		if a.Hour.Equal(b.Hour) {
			return strings.Compare(a.Plugin, b.Plugin)
		}
		return a.Hour.Compare(b.Hour)
	})
	return totals
}

// expectBetter shares the totals of a machine, and expects what it learns.
func expectBetter(t *testing.T, table *Table, now time.Time, own, want []session.Total) {
	t.Helper()
	better, err := table.ShareTotals(t.Context(), own, now)
	if err != nil || !slices.Equal(sortTotals(better), want) {
		t.Errorf("it learns %+v, %v; want %+v", better, err, want)
	}
}

// For each plugin and hour the machine that knows most is believed, however often it says so.
func TestShareTotals(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a, b := s.table(t, "a"), s.table(t, "b")
	before, now := noon.Add(-time.Hour), noon.Add(30*time.Minute)
	ofA := []session.Total{total(before, "/", 5, 2), total(noon, "/", 3, 0), total(noon, "other", 1, 1)}
	ofB := []session.Total{total(before, "/", 5, 3), total(noon, "/", 2, 2)}
	for range 2 {
		expectBetter(t, a, now, ofA, nil)
	}
	expectBetter(t, b, now, ofB, []session.Total{total(noon, "/", 3, 0), total(noon, "other", 1, 1)})
	expectBetter(t, a, now, ofA, []session.Total{total(before, "/", 5, 3)})
	expectBetter(t, s.table(t, "c"), now, nil,
		[]session.Total{total(before, "/", 5, 3), total(noon, "/", 3, 0), total(noon, "other", 1, 1)})
}

// What machines share at the same time comes together after a few rounds.
func TestShareTotalsAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	plugins := []string{"one", "two", "three"}
	for range 4 {
		var machines sync.WaitGroup
		for _, plugin := range plugins {
			table := s.table(t, plugin)
			machines.Go(func() {
				own := []session.Total{total(noon, plugin, 1, 0)}
				if _, err := table.ShareTotals(t.Context(), own, noon); err != nil {
					t.Error(err)
				}
			})
		}
		machines.Wait()
	}
	expectBetter(t, s.table(t, "d"), noon, nil,
		[]session.Total{total(noon, "one", 1, 0), total(noon, "three", 1, 0), total(noon, "two", 1, 0)})
}

// A process looks back 30 days at first, and a day from then on. Older totals are removed.
func TestTotalsAreSharedForAMonth(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	table := s.table(t, "a")
	first := table.TotalsSince(noon)
	if want := noon.Add(-totalsRetention); !first.Equal(want) {
		t.Errorf("at first since %s", first)
	}
	old := total(first, "/", 1, 0)
	expectBetter(t, table, noon, []session.Total{old, total(first.Add(-time.Hour), "/", 1, 0)}, nil)
	if since := table.TotalsSince(noon); !since.Equal(noon.Add(-totalsChange)) {
		t.Errorf("then since %s", since)
	}
	other := s.table(t, "b")
	expectBetter(t, other, noon, nil, []session.Total{old})
	expectBetter(t, other, noon.Add(2*time.Hour), nil, nil)
	kept, err := s.client.Get(t.Context(), hourKeys, clientv3.WithPrefix())
	if err != nil || len(kept.Kvs) != 0 {
		t.Errorf("%v, %v are kept", kept.Kvs, err)
	}
}

// What cannot be read is left out, and written over.
func TestUnreadableTotals(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if _, err := s.client.Put(t.Context(), hourKey(noon), "what is this"); err != nil {
		t.Fatal(err)
	}
	own := []session.Total{total(noon, "/", 1, 0)}
	a, b := s.table(t, "a"), s.table(t, "b")
	for range 2 {
		expectBetter(t, a, noon, own, nil)
	}
	expectBetter(t, b, noon, nil, own)
}
