//go:build unix

package hooks

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// All machines can be given another secret while they are stopped: what was under way goes on.
func TestNewClusterSecret(t *testing.T) {
	t.Parallel()
	machines := startMachines(t)
	page, readKey := loginAcross(machines, machines[0], machines[1])
	machines[1].ExpectPage("the page", page, http.StatusOK, "You are signed in")
	for _, p := range machines {
		p.Terminate()
		p.Env = append(p.Env, "CLUSTER_SECRET="+strings.ToUpper(testkit.ClusterSecret))
	}
	machines.Start()
	machines[2].Expect("poll", machines[2].PollUntilEnded(readKey), http.StatusOK, testkit.TokenResponse)
}

// One machine becomes three, and another one of them goes on alone: plugins, admins, and what is under way
// come along.
func TestOneToThreeAndBack(t *testing.T) {
	t.Parallel()
	machines := crossing{testkit.NewMachines(t, "a", "b", "c")}
	first, third := machines.Machines[0], machines.Machines[2]
	for _, p := range machines.Machines {
		p.Env = append(p.Env, "ENCRYPTION_KEY="+testEncryptionKey, "PUBLIC_URL="+first.URL)
	}
	expectLogin := func(plugin *testkit.Backend, start, back *testkit.Process) {
		t.Helper()
		at := *plugin
		at.URL = start.URL + "/shop"
		authorizationURL, readKey := at.Authorize()
		page := at.Get(machines.At(back, at.Agree(authorizationURL)))
		at.ExpectPage("the page", page, http.StatusOK, "You are signed in")
		at.Expect("poll", at.PollUntilEnded(readKey), http.StatusOK, testkit.TokenResponse)
	}

	together := first.Env
	first.Env = append(withoutCluster(first), testkit.SuperuserEnv()...)
	first.Start()
	plugin := addPlugin(first.Backend, "shop", nil)
	expectLogin(plugin, first, first)
	alone := machines.begin(first)
	first.Terminate()
	first.Env = together
	machines.Start()
	alone.expect(machines.Machines[1], third)
	expectLogin(plugin, third, machines.Machines[1])
	third.Admin() // whom the first one made

	shared := machines.begin(machines.Machines[1])
	for _, p := range machines.Machines {
		p.Terminate()
	}
	third.Env = withoutCluster(third)
	third.Start()
	shared.expect(third, third)
	expectLogin(plugin, third, third)
	if _, err := os.Stat(filepath.Join(third.Dir, "pb_data", clusterName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its part of the cluster is still there: %v", err)
	}
	again := machines.begin(third)
	third.Crash()
	again.expect(third, third)
	shared.expectGiven(third)
}
