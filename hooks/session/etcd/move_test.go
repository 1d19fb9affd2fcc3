package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/etcdtry"
)

// isEmpty holds as long as nobody has put the key.
var isEmpty = clientv3.Compare(clientv3.CreateRevision(isEmptyKey), "=", 0)

const isEmptyKey = "somebody"

// readySession returns a session of a machine that was alone, with large tokens.
func readySession(number, size int) session.Moved {
	row := newRow(fmt.Sprintf("%06d", number))
	row.Status, row.Redirected, row.Completed = session.StatusReady, row.Created, row.Created
	row.PublicKey = nil
	return session.Moved{Row: row, Sealed: slices.Repeat([]byte{byte(number)}, size)}
}

// expectMoved checks that all sessions come out as they went in.
func (s *store) expectMoved(t *testing.T, want []session.Moved) {
	t.Helper()
	var got []session.Moved
	err := MoveOut(t.Context(), s.client, func(some []session.Moved) error {
		got = append(got, some...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(want, func(a, b session.Moved) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
	if fmt.Sprintf("%x", got) != fmt.Sprintf("%x", want) {
		t.Errorf("%d sessions came out, of %d", len(got), len(want))
	}
}

// More sessions than one transaction takes, in number and in bytes, come in and out whole, however often.
func TestMoveMany(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var sessions []session.Moved
	for number := range 3*moveStep + 1 {
		sessions = append(sessions, readySession(number, 10+number%2*moveBytes/8))
	}
	for range 2 {
		held, err := MoveIn(t.Context(), s.client, "a", sessions, isEmpty)
		if err != nil || !held {
			t.Fatal(held, err)
		}
	}
	s.expectMoved(t, sessions)
	if _, err := s.client.Put(t.Context(), isEmptyKey, ""); err != nil {
		t.Fatal(err)
	}
	late := []session.Moved{readySession(999, 10)}
	if held, err := MoveIn(t.Context(), s.client, "a", late, isEmpty); err != nil || held {
		t.Errorf("the condition held: %t, %v", held, err)
	}
	s.expectMoved(t, sessions)
}

// lostAnswers loses the answer to each transaction once.
type lostAnswers struct {
	clientv3.KV
	calls int
}

func (l *lostAnswers) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	response, err := l.KV.Do(ctx, op)
	if l.calls++; err == nil && op.IsTxn() && l.calls%2 == 1 {
		err = errors.New("the answer is lost")
	}
	return response, err
}

// What cannot be found here is left out, what was interrupted is of the machine that brings it, and an answer
// that is lost changes nothing.
func TestMoveIn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.client.KV = &lostAnswers{KV: s.client.KV}
	old, exchanged := readySession(1, 10), readySession(2, 0)
	old.StateHash = old.StateHash[session.TimeLength:]
	exchanged.Status, exchanged.Sealed = session.StatusPending, nil
	exchanged.Completed = time.Time{}
	held, err := MoveIn(t.Context(), s.client, "a", []session.Moved{old, exchanged}, isEmpty)
	if err != nil || !held {
		t.Fatal(held, err)
	}
	s.expectMoved(t, []session.Moved{exchanged})
	late := readySession(3, 10)
	for range 2 { // the second time it has expired
		if _, err := MoveIn(t.Context(), s.client, "a", []session.Moved{late}, isEmpty); err != nil {
			t.Fatal(err)
		}
		late.Status, late.Sealed = session.StatusExpired, nil
	}
	s.expectMoved(t, []session.Moved{exchanged, late})
	tokens, err := s.client.Get(t.Context(), tokenKeys, clientv3.WithPrefix())
	if err != nil || len(tokens.Kvs) > 0 {
		t.Errorf("there are tokens: %v, %v", tokens, err)
	}
	kv := etcdtry.KV{KV: s.client.KV}
	stored, err := kv.Get(t.Context(), rowKeys+exchanged.ID)
	if err != nil {
		t.Fatal(err)
	}
	e, err := decode(string(stored.Kvs[0].Key), stored.Kvs[0].Value, 1)
	if err != nil || e.Machine != "a" || !e.isBeingExchanged() {
		t.Errorf("%+v, %v", e.record, err)
	}
}

// What an admin has deleted does not come back, and what cannot be read does no harm.
func TestMoveOut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	table := s.table(t, "a")
	stays, deleted := insert(t, table, "000001"), insert(t, table, "000002")
	now := stays.Created
	if err := table.Delete(t.Context(), deleted.ID, session.CancelledByAdmin(), now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Put(t.Context(), rowKeys+"000000000000003", "{"); err != nil {
		t.Fatal(err)
	}
	stays.Status = session.StatusPending
	s.expectMoved(t, []session.Moved{{Row: stays}})
}
