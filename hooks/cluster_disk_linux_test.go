package hooks

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// The disk of one machine is full, be it the leader or another: the others go on. The machine ends, and says
// what to do in one line, also if it is started on the full disk. When there is room again, it comes back.
func TestMachinesFullDisk(t *testing.T) {
	t.Parallel()
	needFaults(t)
	machines := testkit.NewMachines(t, "a", "b", "c")
	for _, p := range machines {
		p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off")
		p.Dir = filepath.Dir(smallDisk(t, "300"))
	}
	machines.Start()
	for _, of := range []string{"a follower", "the leader"} {
		full, others := leading(t, machines)
		if of == "a follower" {
			full, others = others[0], testkit.Machines{full, others[1]}
		}
		filler := fillDisk(t, filepath.Join(full.Dir, "pb_data"))
		starts := startLogins(others...)
		eventually(t, "it ends, and says why", func() bool {
			return strings.Contains(full.Out.String(), "this machine ends: the disk with the data folder is full")
		})
		// What the others miss of it shows some seconds later.
		eventually(t, "they begin some logins", func() bool { return starts.begun() > 1000 })
		longest := starts.end()
		t.Logf("the disk of %s is full: longest time without a start at the others %s, answers %v",
			of, longest.Round(time.Millisecond), starts.answers)
		if longest > 5*time.Second {
			t.Errorf("for %s nobody could sign in", longest)
		}
		if strings.Contains(full.Out.String(), "goroutine ") {
			t.Errorf("it prints a stack:\n%s", full.Out)
		}
		comesBack(t, full, filler)
		page, readKey := loginAcross(machines, full, others[0])
		full.ExpectPage("the page", page, http.StatusOK, "You are signed in")
		full.Expect("the poll", full.Post("/poll?wait=10&readKey="+readKey), http.StatusOK, testkit.TokenResponse)
	}
}

// comesBack starts a machine on its full disk, and makes room then.
func comesBack(t *testing.T, full *testkit.Process, filler string) {
	t.Helper()
	full.Out = &testkit.Printed{}
	full.Output = full.Out
	ended := make(chan error, 1)
	go func() { ended <- full.Command.Start() }()
	eventually(t, "it says that the disk is full", func() bool {
		return strings.Contains(full.Out.String(), "disk with the data folder is full")
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Logf("on the full disk %v:\n%s", err, full.Out)
		full.Start()
	}
	eventually(t, "it is well again", func() bool { return full.Get("/api/health").Status == http.StatusOK })
}
