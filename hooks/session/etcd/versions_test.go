package etcd

import (
	"encoding/json"
	"testing"
)

// A row that the next version has written, with fields that this one does not know, and without one that it
// has added, goes through a whole login.
func TestRowOfAnotherVersion(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	here, there := s.table(t, "a"), s.table(t, "b")
	row := insert(t, here, "000001")
	now := row.Created
	rewrite := func() {
		t.Helper()
		stored, err := s.client.Get(t.Context(), rowKeys+row.ID)
		if err != nil || len(stored.Kvs) != 1 {
			t.Fatalf("the row is %v, %v", stored, err)
		}
		var fields map[string]any
		if err := json.Unmarshal(stored.Kvs[0].Value, &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields, "clock")
		fields["ofTheNextVersion"] = map[string]any{"has": []int{1, 2}}
		value, err := json.Marshal(fields)
		if err == nil {
			_, err = s.client.Put(t.Context(), rowKeys+row.ID, string(value))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	rewrite()
	if _, err := here.Consume(t.Context(), row.Owner, row.StateHash, now); err != nil {
		t.Fatal(err)
	}
	rewrite()
	if done, err := here.Complete(t.Context(), row.ID, []byte("sealed"), now); err != nil || !done {
		t.Fatal(done, err)
	}
	rewrite()
	hold, err := there.TakeClaim(t.Context(), row.Owner, row.ReadKeyHash, now)
	if err != nil || string(hold.Sealed) != "sealed" {
		t.Fatalf("the claim: %+v, %v", hold, err)
	}
	rewrite()
	if err := there.Keep(t.Context(), hold, now); err != nil {
		t.Fatal(err)
	}
	rewrite()
	expectKept(t, here, now, row)
}
