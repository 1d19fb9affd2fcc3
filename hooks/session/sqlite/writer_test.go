package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"plugin-oauth/hooks/session"
)

// In a shared transaction, each write has its own outcome: one that fails takes no other with it, and its
// error reaches its own caller only.
func TestWritesOfOneBatch(t *testing.T) {
	t.Parallel()
	for name, trigger := range map[string]string{
		// ABORT undoes the statement, ROLLBACK the whole transaction, as a full disk does.
		"statement":   "SELECT RAISE(ABORT, 'this one')",
		"transaction": "SELECT RAISE(ROLLBACK, 'this one')",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, session.Options{})
			s.exec("CREATE TRIGGER refuse BEFORE INSERT ON sessions WHEN NEW.origin = 'refused'"+
				" BEGIN "+trigger+"; END", nil)
			insert := func(i int, origin string) *queuedWrite {
				id := fmt.Sprintf("row%d", i)
				hashes := []any{[]byte("s" + id), []byte("r" + id)}
				args := append([]any{id, "", nil, "", origin, "2026", "2030"}, append(hashes, nil, nil)...)
				return &queuedWrite{statement: s.table.statements.insert, args: args}
			}
			nobody := &queuedWrite{
				statement: s.table.statements.consume,
				args:      []any{"2027", []byte("nobody"), "", nil},
				read:      oneRow(), // there is none
			}
			batch := []*queuedWrite{insert(1, ""), insert(2, "refused"), insert(3, ""), nobody}
			s.table.writer.commit(batch)
			for i, want := range []string{"<nil>", "this one", "<nil>", sql.ErrNoRows.Error()} {
				if got := fmt.Sprint(batch[i].err); !strings.Contains(got, want) {
					t.Errorf("write %d: %s, want %q", i, got, want)
				}
			}
			stored := s.column("SELECT id FROM sessions ORDER BY id")
			if fmt.Sprint(stored) != "[row1 row3]" {
				t.Errorf("stored are %v", stored)
			}
			s.start(owner) // the connection is not left in a transaction
		})
	}
}

// Many writers at a time all get their own answer.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	var done sync.WaitGroup
	for range 300 {
		done.Go(func() {
			started, err := s.sessions.Start(t.Context(), owner, request)
			if err != nil {
				t.Error(err)
				return
			}
			pending, err := s.sessions.Consume(t.Context(), owner, started.State)
			if err != nil {
				t.Error(err)
				return
			}
			_, err = s.sessions.Consume(t.Context(), owner, started.State)
			if !errors.Is(err, session.ErrUsed) {
				t.Errorf("used twice: %v", err)
			}
			if err := s.sessions.Complete(t.Context(), pending, []byte(started.ReadKey)); err != nil {
				t.Error(err)
			}
			claim, err := s.sessions.Claim(t.Context(), owner, started.ReadKey)
			if err != nil || string(claim.Tokens) != started.ReadKey || claim.SessionID != pending.ID {
				t.Errorf("got the tokens of another: %v", err)
			}
		})
	}
	done.Wait()
}

// A queued write is awaited even if its context ends: its caller must learn what became of it.
func TestQueuedWriteIsAwaited(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	connection, err := s.table.writer.db.Conn(t.Context()) // the only one, so that the queue stands still
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan error, 1)
	go func() {
		_, err := s.sessions.Start(ctx, owner, request)
		written <- err
	}()
	for queued := false; !queued; {
		s.table.writer.mu.Lock()
		queued = s.table.writer.busy
		s.table.writer.mu.Unlock()
	}
	cancel()
	if err := connection.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil || s.count() != 1 || s.sessions.PendingCount() != 1 {
		t.Errorf("%d rows, %d pending: %v", s.count(), s.sessions.PendingCount(), err)
	}
}
