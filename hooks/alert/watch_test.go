package alert

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"
)

// told is a watch with a clock that stands still, and all that it told.
type told struct {
	*Watch

	now     time.Time
	changes []Change
}

func newTold(states map[string]State) *told {
	t := &told{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	t.Watch = NewWatch(WatchOptions{
		OnChange: func(change Change) { t.changes = append(t.changes, change) },
		States:   states,
		Now:      func() time.Time { return t.now },
	})
	return t
}

// fail notes as many failures.
func (t *told) fail(times int) {
	for range times {
		t.Failed("notes", ProviderDown, "")
	}
}

func (t *told) expect(test *testing.T, what string, changes int) {
	test.Helper()
	if len(t.changes) != changes {
		test.Errorf("%s: told %d times, want %d: %+v", what, len(t.changes), changes, t.changes)
	}
}

// One message when it begins to fail, however long it does, and one when it works again.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := newTold(nil)
	w.Worked("notes")
	w.fail(InARow - 1)
	w.Worked("notes")
	w.fail(InARow - 1)
	w.Failed("other", ProviderDown, "")
	w.expect(t, "a handful", 0)
	if w.IsFailing("notes") {
		t.Error("it fails already")
	}
	w.Failed("notes", ClientRefused, "")
	want := Change{Plugin: "notes", Failing: true, Reason: ClientRefused, Since: w.now}
	if w.expect(t, "one more", 1); !reflect.DeepEqual(w.changes[0], want) || !w.IsFailing("notes") {
		t.Errorf("told %+v, want %+v", w.changes[0], want)
	}
	w.now = w.now.Add(100 * time.Hour)
	w.fail(100)
	w.expect(t, "it goes on", 1)
	w.Worked("other")
	w.Worked("notes")
	want = Change{Plugin: "notes", Since: want.Since}
	if w.expect(t, "it works", 2); !reflect.DeepEqual(w.changes[1], want) || w.IsFailing("notes") {
		t.Errorf("told %+v, want %+v", w.changes[1], want)
	}
	w.Worked("notes")
	w.expect(t, "it goes on working", 2)
}

// A token that is tried over and over again is one failure.
func TestWatchSubjects(t *testing.T) {
	t.Parallel()
	w := newTold(nil)
	for range 100 {
		w.Failed("notes", TokensRefused, "a token")
	}
	w.expect(t, "one token", 0)
	for i := range InARow - 1 {
		w.Failed("notes", TokensRefused, fmt.Sprint("another ", i))
	}
	w.expect(t, "others", 1)
}

// A plugin that fails and works by turns is told of ever more seldom. A failure that was not told is not said
// to be over either.
func TestWatchFlapping(t *testing.T) {
	t.Parallel()
	w := newTold(nil)
	for range 24 * 60 {
		w.fail(InARow)
		w.now = w.now.Add(30 * time.Second)
		w.Worked("notes")
		w.now = w.now.Add(30 * time.Second)
	}
	w.expect(t, "a day of it", 10)
	w.now = w.now.Add(maxQuiet)
	w.fail(InARow)
	w.expect(t, "after a quiet day", 11)
	w.Worked("notes")
	w.expect(t, "it works", 12)
	w.fail(InARow)
	w.now = w.now.Add(minQuiet - time.Second)
	w.fail(1)
	w.expect(t, "soon after that", 12)
	w.now = w.now.Add(time.Second)
	w.fail(1)
	w.expect(t, "an hour after that, since it still fails", 13)
}

// What was told is known after a restart. It takes the way that the service stores it.
func TestWatchRestart(t *testing.T) {
	t.Parallel()
	restarted := func(w *told) *told {
		t.Helper()
		stored, err := json.Marshal(w.States())
		var states map[string]State
		if err == nil {
			err = json.Unmarshal(stored, &states)
		}
		if err != nil {
			t.Fatal(err)
		}
		next := newTold(states)
		next.now = w.now
		return next
	}
	w := newTold(nil)
	w.Failed("other", ProviderDown, "")
	if states := w.States(); len(states) != 0 {
		t.Errorf("a single failure is stored: %+v", states)
	}
	w.fail(InARow)
	since := w.now
	w = restarted(w)
	w.now = w.now.Add(10 * time.Hour)
	if !w.IsFailing("notes") {
		t.Error("it works after the restart")
	}
	w.fail(2 * InARow)
	w.expect(t, "it still fails", 0)
	w = restarted(w)
	w.Worked("notes")
	if w.expect(t, "it works", 1); !w.changes[0].Since.Equal(since) {
		t.Errorf("it failed since %s, want %s", w.changes[0].Since, since)
	}
	w = restarted(w)
	w.fail(InARow)
	w.expect(t, "soon after", 0)
	w.now = w.now.Add(24 * time.Hour)
	w.fail(1)
	w.expect(t, "later", 1)
}
