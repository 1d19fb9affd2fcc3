//go:build unix

package hooks

import (
	"net/http"
	"slices"
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

// One machine becomes three, and another one of them goes on alone: plugins and admins come along.
func TestOneToThreeAndBack(t *testing.T) {
	t.Parallel()
	machines := testkit.NewMachines(t, "a", "b", "c")
	first, third := machines[0], machines[2]
	for _, p := range machines {
		p.Env = append(p.Env, "ENCRYPTION_KEY="+testEncryptionKey, "PUBLIC_URL="+first.URL)
	}
	withoutCluster := func(p *testkit.Process) []string {
		return slices.DeleteFunc(slices.Clone(p.Env), func(variable string) bool {
			return strings.HasPrefix(variable, "CLUSTER")
		})
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
	first.Terminate()
	first.Env = together
	machines.Start()
	expectLogin(plugin, third, machines[1])
	third.Admin() // whom the first one made

	for _, p := range machines {
		p.Terminate()
	}
	third.Env = withoutCluster(third)
	third.Start()
	expectLogin(plugin, third, third)
}
