package hooks

import (
	"encoding/json"
	"testing"
	"time"

	"plugin-oauth/hooks/cluster"
)

// The page gets seconds, and null for what is not known.
func TestShownMachines(t *testing.T) {
	t.Parallel()
	now := time.Now()
	got, err := json.Marshal(shownMachines([]cluster.Machine{
		{
			Name: "a", Version: "1.0", IsThis: true, Leads: true, Seen: now, Free: new(uint64(5)),
			Ahead: new(time.Duration(0)),
		},
		{Name: "b", Version: "1.1", Seen: now.Add(-1500 * time.Millisecond), Ahead: new(-2 * time.Second)},
		{Name: "c"},
	}, now))
	const want = `[{"name":"a","version":"1.0","leads":true,"isThis":true,"seen":0,"free":5,"ahead":0},` +
		`{"name":"b","version":"1.1","leads":false,"isThis":false,"seen":1.5,"free":null,"ahead":-2},` +
		`{"name":"c","version":"","leads":false,"isThis":false,"seen":null,"free":null,"ahead":null}]`
	if err != nil || string(got) != want {
		t.Errorf("got\n%s, %v\nwant\n%s", got, err, want)
	}
}
