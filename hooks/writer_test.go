package hooks

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// In a shared transaction, each write has its own outcome: one that fails takes no other with it, and its error reaches
// its own caller only.
func TestWritesOfOneBatch(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for name, trigger := range map[string]string{
		// ABORT undoes the statement, ROLLBACK the whole transaction, as a full disk does.
		"statement":   "SELECT RAISE(ABORT, 'this one')",
		"transaction": "SELECT RAISE(ROLLBACK, 'this one')",
	} {
		if _, err := s.app.DB().NewQuery("CREATE TRIGGER refuse BEFORE INSERT ON sessions WHEN NEW.origin = 'refused' BEGIN " + trigger + "; END").Execute(); err != nil {
			t.Fatal(err)
		}
		store, err := newSessions(s.app, Config{}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		insert := func(i int, origin string) *write {
			id := fmt.Sprintf("%s%d", name, i)
			return &write{statement: store.insert, args: []any{id, "", nil, "", origin, "2026", "2030", []byte("s" + id), []byte("r" + id), nil, nil}}
		}
		batch := []*write{insert(1, ""), insert(2, "refused"), insert(3, ""),
			{statement: store.redirect, args: []any{"2027", []byte("nobody"), "", nil}, read: oneRow(new(string), new(string), new([]byte), new(string))}}
		store.writer.commit(batch)
		for i, want := range []string{"", "this one", "", sql.ErrNoRows.Error()} {
			if err := batch[i].err; (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: write %d: %v, want %q", name, i, err, want)
			}
		}
		var stored []string
		if err := s.app.DB().NewQuery("SELECT id FROM sessions WHERE id LIKE '" + name + "%' ORDER BY id").Column(&stored); err != nil || fmt.Sprint(stored) != "["+name+"1 "+name+"3]" {
			t.Errorf("%s: stored are %v, %v", name, stored, err)
		}
		if _, err := s.app.DB().NewQuery("DROP TRIGGER refuse").Execute(); err != nil {
			t.Fatal(err)
		}
	}
	s.authorize() // the connection is not left in a transaction
}

// Many writers at a time all get their own answer.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	store := s.relay.sessions
	var done sync.WaitGroup
	for range 300 {
		done.Go(func() {
			state, readKey, _, err := store.start(&s.provider.plugin, "", "", clientOf("192.0.2.1"))
			if err != nil {
				t.Error(err)
				return
			}
			found, err := store.redirected(&s.provider.plugin, state)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := store.redirected(&s.provider.plugin, state); !errors.Is(err, errUsed) {
				t.Errorf("used twice: %v", err)
			}
			if err := store.complete(found, []byte(readKey)); err != nil {
				t.Error(err)
			}
			if tokens, err := store.claim(found.id, readKey); err != nil || string(tokens) != readKey {
				t.Errorf("got the tokens of another: %v", err)
			}
		})
	}
	done.Wait()
}
