package plugins

import (
	"strings"
	"testing"
)

// opening returns the slugs of the plugins whose secret opens under a key.
func (f *fixture) opening(key encryptionKey) string {
	f.t.Helper()
	var slugs []string
	for _, slug := range []string{"one", "two"} {
		row := f.stored(slug)
		plugin := enteredIn(row)
		if secret, err := plugin.binding().open(key, sealedIn(row)); err == nil && secret == testSecret {
			slugs = append(slugs, slug)
		}
	}
	return strings.Join(slugs, " ")
}

// All secrets are sealed under the new key, or none.
func TestRekey(t *testing.T) {
	t.Parallel()
	wrongKey := testKey[1:] + "x"
	there, back := Rekeying{OldKey: testKey, NewKey: otherKey}, Rekeying{OldKey: otherKey, NewKey: testKey}
	type attempt struct {
		change Rekeying
		count  int
		words  string // of its error; blank: there is none
	}
	for name, test := range map[string]struct {
		attempts         []attempt
		spoil            string // a statement before the last attempt
		underOld, wanted string // the plugins whose secret opens in the end, under testKey and otherKey
	}{
		"done": {attempts: []attempt{{change: there, count: 2}}, wanted: "one two"},
		"done twice": {
			attempts: []attempt{{change: there, count: 2}, {change: there, count: 2}}, wanted: "one two",
		},
		"and back": {
			attempts: []attempt{{change: there, count: 2}, {change: back, count: 2}}, underOld: "one two",
		},
		"a public client has none": {
			attempts: []attempt{{change: there, count: 1}},
			spoil:    "UPDATE plugins SET sealedSecret = NULL, tokenAuth = 'none' WHERE slug = 'two'",
			wanted:   "one",
		},
		"wrong old key": {
			attempts: []attempt{
				{change: Rekeying{OldKey: wrongKey, NewKey: otherKey}, count: 2, words: "one, two"},
			},
			underOld: "one two",
		},
		"short new key": {
			attempts: []attempt{
				{change: Rekeying{OldKey: testKey, NewKey: "short"}, count: 2, words: "32 characters"},
			},
			underOld: "one two",
		},
		"one is spoilt": {
			attempts: []attempt{{change: there, count: 2, words: "client secrets of two; enter them again"}},
			spoil:    "UPDATE plugins SET sealedSecret = x'00' WHERE slug = 'two'",
			underOld: "one",
		},
		"one is missing": {
			attempts: []attempt{{change: there, count: 2, words: "client secrets of two; enter them again"}},
			spoil:    "UPDATE plugins SET sealedSecret = NULL WHERE slug = 'two'",
			underOld: "one",
		},
		"half is done": {
			attempts: []attempt{{change: there, count: 2}, {change: back, count: 2, words: "of two;"}},
			spoil:    "UPDATE plugins SET sealedSecret = x'00' WHERE slug = 'two'",
			wanted:   "one",
		},
		"full disk": {
			attempts: []attempt{{change: there, count: 2, words: "disk is full"}},
			spoil: "CREATE TRIGGER full BEFORE UPDATE ON plugins WHEN NEW.slug = 'two' " +
				"BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
			underOld: "one two",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, withKey)
			f.add("one", nil)
			f.add("two", map[string]any{"enabled": false}) // which counts as well
			for i, attempt := range test.attempts {
				if test.spoil != "" && i == len(test.attempts)-1 {
					f.execute(test.spoil)
				}
				count, err := Rekey(f.app, attempt.change)
				if attempt.words != "" {
					expectError(t, err, attempt.words)
				} else if err != nil {
					t.Error(err)
				}
				if count != attempt.count {
					t.Errorf("there are %d records", count)
				}
			}
			if got := f.opening(testKey); got != test.underOld {
				t.Errorf("under the old key open %q", got)
			}
			if got := f.opening(otherKey); got != test.wanted {
				t.Errorf("under the new key open %q", got)
			}
		})
	}
}

// After a change of the key, a start under the new one signs people in again.
func TestStartAfterRekey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	f.add("one", nil)
	if state := f.reopen(otherKey).mustFind("one").State; state != SecretUnreadable {
		t.Errorf("before, the state is %d", state)
	}
	if _, err := Rekey(f.app, Rekeying{OldKey: testKey, NewKey: otherKey}); err != nil {
		t.Fatal(err)
	}
	plugin := f.reopen(otherKey).mustFind("one")
	if plugin.State != Available || plugin.ClientSecret != testSecret {
		t.Errorf("got %+v", plugin)
	}
}

func TestRekeyWithoutRecords(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	count, err := Rekey(f.app, Rekeying{OldKey: testKey, NewKey: otherKey})
	if count != 0 || err != nil {
		t.Errorf("got %d, %v", count, err)
	}
}
