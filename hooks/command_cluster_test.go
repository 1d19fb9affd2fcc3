//go:build unix

package hooks

import (
	"archive/zip"
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/internal/testkit"
)

// newSharingMachines prepares three machines with an admin and a key.
func newSharingMachines(t *testing.T) testkit.Machines {
	t.Helper()
	machines := testkit.NewMachines(t, "a", "b", "c")
	for _, p := range machines {
		p.Env = append(p.Env, testkit.SuperuserEnv()...)
		p.Env = append(p.Env, "ENCRYPTION_KEY="+testEncryptionKey)
	}
	return machines
}

// emptyFolder takes a machine's disk away.
func emptyFolder(p *testkit.Process) {
	p.T.Helper()
	if err := os.RemoveAll(filepath.Join(p.Dir, "pb_data")); err != nil {
		p.T.Fatal(err)
	}
}

// expectPlugin checks that a process has a plugin, and an admin who can sign in.
func expectPlugin(p *testkit.Process, slug string) {
	p.T.Helper()
	got := p.Request(http.MethodPost, "/"+slug+"/authorize", "")
	if got.Status != http.StatusOK {
		p.T.Errorf("%s has no plugin %s: %d %s\n%s", p.URL, slug, got.Status, got.Body, p.Out)
	}
	got = p.Request(http.MethodPost, "/api/collections/_superusers/auth-with-password", `{"identity":"`+
		testkit.SuperuserEmail+`","password":"`+testkit.SuperuserPassword+`"}`, asJSON)
	if got.Status != http.StatusOK {
		p.T.Errorf("the admin cannot sign in at %s: %d %s", p.URL, got.Status, got.Body)
	}
}

const quorumSample = "plugin_oauth_cluster_quorum{}"

const clusterCommand = "cluster --dir pb_data"

// The command cluster shows what its machine knows of all, and says what is wrong.
func TestClusterCommand(t *testing.T) {
	t.Parallel()
	alone := testkit.NewProcess(t)
	mustFail(alone, clusterCommand, "this machine is in no cluster: CLUSTER is not set")
	machines := newSharingMachines(t)
	a, metrics := machines[0], freeAddress(t)
	a.Env = append(a.Env, "METRICS_ADDR="+metrics)
	show := func() (string, int) { return a.Run(strings.Fields(clusterCommand)...) }
	expect := func(what string, code int, words ...string) {
		t.Helper()
		var printed string
		var got int
		eventually(t, what, func() bool {
			printed, got = show()
			for _, word := range words {
				if !strings.Contains(printed, word) {
					return false
				}
			}
			return true
		})
		if got != code {
			t.Errorf("%s: it ends with %d:\n%s", what, got, printed)
		}
		t.Logf("%s\n%s", what, printed)
	}
	expect("before the start", 1, "not running", "The service does not run on this machine", "b (127.0.0.1:")
	machines.Start()
	expect("all run", 0, "leads", "follows", "this one")
	samples := scrape(t, metrics)
	for _, family := range append([]string{"plugin_oauth_cluster_watch_lag_seconds"}, etcdFamilies...) {
		isThere := func(sample string) bool { return strings.HasPrefix(sample, family+"{") }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(samples)), isThere) {
			t.Errorf("there is no %s", family)
		}
	}
	if samples[quorumSample] != 1 || samples["etcd_disk_wal_fsync_duration_seconds{}"] == 0 {
		t.Errorf("the metrics are %v", samples)
	}
	expectClusterPanels(t, metrics)
	printed, code := a.Run("cluster", "rest")
	if code != 1 || !strings.Contains(printed, "did you mean reset?") {
		t.Errorf("it ends with %d:\n%s", code, printed)
	}
	mustFail(a, "cluster reset --yes --dir pb_data", "is used by another process")
	machines[2].Stop(syscall.SIGKILL)
	expect("one is away", 0, "away", "c (127.0.0.1:", "The others go on as long as")
	machines[1].Stop(syscall.SIGKILL)
	expect("two are away", 1, "no majority", "This machine cannot reach most of the machines.",
		"plugin-oauth cluster reset")
	if printed, code := a.Run("doctor", "--dir", "pb_data"); code != 1 ||
		!strings.Contains(printed, "This machine cannot reach most of the machines.") {
		t.Errorf("doctor ends with %d:\n%s", code, printed)
	}
	if samples := scrape(t, metrics); samples[quorumSample] != 0 {
		t.Errorf("there is a quorum: %v", samples)
	}
	a.Stop(syscall.SIGTERM)
	expect("it has ended", 1, "The service does not run on this machine")
}

// refuseReset checks that a machine which finds the others is told that they run, and that nothing is done
// where they cannot be found.
func refuseReset(t *testing.T, p *testkit.Process) {
	t.Helper()
	list := p.Env[slices.IndexFunc(p.Env, func(variable string) bool {
		return strings.HasPrefix(variable, "CLUSTER=")
	})]
	machines, err := cluster.ParseMachines(strings.TrimPrefix(list, "CLUSTER="))
	if err != nil {
		t.Fatal(err)
	}
	var lost error
	folder := filepath.Join(p.Dir, "pb_data")
	r := reset{folder: folder, settings: cluster.Config{
		Name:     "c",
		Machines: map[string]string{"c": machines["c"]},
		Secret:   testkit.ClusterSecret,
		Folder:   filepath.Join(folder, clusterName),
		Find:     func(context.Context) (map[string]string, error) { return machines, lost },
	}}
	_, err = r.run(t.Context(), true)
	if err == nil || !strings.Contains(err.Error(), "a and b run, and have the data") {
		t.Errorf("beside machines that run: %v", err)
	}
	lost = errors.New("no such host")
	if _, err := r.run(t.Context(), true); !errors.Is(err, lost) {
		t.Errorf("without a way to find them: %v", err)
	}
}

// After the loss of most disks a new cluster is made of what one machine has, and of what is under way there.
func TestClusterReset(t *testing.T) {
	t.Parallel()
	// One of the machines gets a disk with this later, which would come first since it is the oldest.
	old := newBackupProcess(t)
	old.Start()
	addPlugin(old.Backend, "notes", func(fields map[string]any) { fields["clientId"] = "an old one" })
	old.Terminate()
	machines := newSharingMachines(t)
	machines.Start()
	a, b, c := machines[0], machines[1], machines[2]
	addPlugin(a.Backend, "notes", nil)
	eventually(t, "the plugin is at c", func() bool {
		return c.Request(http.MethodPost, "/notes/authorize", "").Status == http.StatusOK
	})
	pending, pendingKey := c.Authorize()
	_, ready := loginAcross(machines, c, c)
	c.Terminate()
	const resetCommand = "cluster reset --yes --dir pb_data"
	mustFail(c, resetCommand, "a and b run, and have the data of the cluster")
	refuseReset(t, c)
	for _, p := range []*testkit.Process{a, b} {
		p.Stop(syscall.SIGKILL)
		emptyFolder(p)
	}
	if err := os.Rename(filepath.Join(old.Dir, "pb_data"), filepath.Join(a.Dir, "pb_data")); err != nil {
		t.Fatal(err)
	}

	mustFail(a, "cluster reset --yes --dir elsewhere", "there is no database in elsewhere yet")
	mustFail(c, "cluster reset --dir pb_data", "nothing was changed; run plugin-oauth cluster reset --yes")
	mustRun(c, resetCommand, "c begins a new cluster, with its 1 plugin and 1 admin",
		"2 logins under way there can go on", "may have given the tokens of 1 login", "On a and b: stop",
		"before-reset-")
	machines.Start()
	for _, p := range machines {
		expectPlugin(p, "notes")
	}
	page := b.Get(machines.At(b, c.Agree(pending)))
	b.ExpectPage("what was under way", page, http.StatusOK, "You are signed in")
	a.Expect("what was under way", a.PollUntilEnded(pendingKey), http.StatusOK, testkit.TokenResponse)
	a.ExpectError("tokens that may have been given", a.Poll(ready), http.StatusBadRequest, "server_error")
	plugin := c.Plugin("notes")
	authorizationURL, _ := plugin.Authorize()
	if id := authorizationURL.Query().Get("client_id"); id != testkit.ClientID {
		t.Errorf("the client ID is %s: another machine came first", id)
	}
	kept, err := filepath.Glob(filepath.Join(c.Dir, "pb_data", resetPrefix+"*", clusterName, "member"))
	if err != nil || len(kept) != 1 {
		t.Errorf("kept is %v, %v", kept, err)
	}
	expectPrivate(t, filepath.Join(c.Dir, "pb_data"), 15)
}

// One machine becomes three, and three one, and a backup of one of them is one's or three's: no plugin and no
// admin is lost.
func TestOneThreeOne(t *testing.T) {
	t.Parallel()
	machines := newSharingMachines(t)
	a, b, c := machines[0], machines[1], machines[2]
	shared := a.Env
	var own []string
	for _, variable := range shared {
		if !strings.HasPrefix(variable, "CLUSTER") {
			own = append(own, variable)
		}
	}
	a.Env = own
	a.Start()
	addPlugin(a.Backend, "notes", nil)
	a.Terminate()

	a.Env = shared
	machines.Start()
	for _, p := range machines {
		expectPlugin(p, "notes")
	}
	loginAcross(machines, b, c)
	backup := filepath.Join(b.Dir, "backup.zip")
	eventually(t, "the sign-in is in the copy", func() bool {
		os.Remove(backup)
		return strings.Contains(mustRun(b, "backup backup.zip --dir pb_data", "1 plugin, 1 admin"), "sign-in")
	})
	archive, err := zip.OpenReader(backup)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for _, file := range archive.File {
		if strings.HasPrefix(file.Name, clusterName) {
			t.Errorf("the backup has %s", file.Name)
		}
	}
	addPlugin(a.Backend, "later", nil)
	a.Terminate()
	mustFail(a, "restore "+backup+" --dir pb_data",
		"these machines run, and have newer data, which count: b, c")
	got := b.Request(http.MethodPost, "/api/backups/backup.zip/restore", "", b.Admin())
	if got.Status != http.StatusBadRequest || !strings.Contains(got.Body, "plugin-oauth restore") {
		t.Errorf("the dashboard restores: %d %s", got.Status, got.Body)
	}
	b.Terminate()
	c.Terminate()

	a.Env = own
	a.Start()
	expectPlugin(a, "notes")
	a.Terminate()
	emptyFolder(a)
	mustRun(a, "restore "+backup+" --dir pb_data", "1 plugin, 1 admin")
	a.Start()
	expectPlugin(a, "notes")
	a.Terminate()

	// b goes back to the backup, and with it all others.
	a.Env = shared
	mustRun(b, "restore "+backup+" --dir pb_data", "On a and c: stop the service, and empty its data folder")
	if _, err := os.Stat(filepath.Join(b.Dir, "pb_data", clusterName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("b still has a part in the old cluster: %v", err)
	}
	emptyFolder(a)
	emptyFolder(c)
	machines.Start()
	for _, p := range machines {
		expectPlugin(p, "notes")
		if got := p.Request(http.MethodPost, "/later/authorize", ""); got.Status != http.StatusNotFound {
			t.Errorf("%s has a plugin that is not in the backup: %d %s", p.URL, got.Status, got.Body)
		}
	}
}

// What is wrong with a machine is said of it, and only that.
func TestClusterFindings(t *testing.T) {
	t.Parallel()
	for what, edit := range map[string]func(view *cluster.View, b *cluster.Machine){
		"": func(*cluster.View, *cluster.Machine) {},
		"The clock of b is 2.0 s ahead of this machine's.": func(_ *cluster.View, b *cluster.Machine) {
			b.Ahead = new(2 * time.Second)
		},
		"The clock of b is 5 min behind this machine's.": func(_ *cluster.View, b *cluster.Machine) {
			b.Ahead = new(-5 * time.Minute)
		},
		"The disk of b takes up to 512 ms for a write.": func(_ *cluster.View, b *cluster.Machine) {
			b.Slow = new(512 * time.Millisecond)
		},
		"The disk of b takes up to 4.1 s for a write.": func(_ *cluster.View, b *cluster.Machine) {
			b.Slow, b.Ahead = new(4096*time.Millisecond), new(-5*time.Second)
		},
		"b is 1001 changes behind the others.": func(_ *cluster.View, b *cluster.Machine) {
			b.Behind = new(uint64(1001))
		},
		"The data of the cluster take 700.0 MB on b.": func(_ *cluster.View, b *cluster.Machine) {
			b.Size = 700 << 20
		},
		"The disk of b has only 50 MB left.": func(_ *cluster.View, b *cluster.Machine) {
			b.Free = new(uint64(50 << 20))
		},
		"b runs, and has told the others nothing for 90.0 s.": func(_ *cluster.View, b *cluster.Machine) {
			b.Silent = 90 * time.Second
		},
		"The machines run different versions: a v1, b v2, c v1.": func(_ *cluster.View, b *cluster.Machine) {
			b.Version = "v2"
		},
		"b has no data, and waits for the others.": func(view *cluster.View, _ *cluster.Machine) {
			view.Answers["b"] = cluster.Answer{Waits: true}
		},
		"b has another CLUSTER_SECRET.": func(view *cluster.View, b *cluster.Machine) {
			b.Silent = time.Hour
			view.Answers["b"] = cluster.Answer{Err: errors.New("b has another CLUSTER_SECRET")}
		},
		"This machine is being filled by the others.": func(view *cluster.View, _ *cluster.Machine) {
			view.Status.Problem = "this machine is being filled by the others"
		},
		"This machine cannot reach most of the machines.": func(view *cluster.View, _ *cluster.Machine) {
			view.Status.Leader, view.Status.Problem = "", "most of the machines cannot be reached"
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			machine := func(name string) cluster.Machine {
				return cluster.Machine{
					Name:    name,
					Version: "v1",
					Seen:    time.Now(),
					Size:    1 << 20,
					Free:    new(uint64(1 << 30)),
					Slow:    new(2 * time.Millisecond),
					Behind:  new(uint64(3)),
					Ahead:   new(10 * time.Millisecond),
				}
			}
			view := cluster.View{
				Status: &cluster.Status{Leader: "a", Machines: []cluster.Machine{
					machine("a"), machine("b"), machine("c"),
				}},
				Answers: map[string]cluster.Answer{"b": {TakesPart: true}, "c": {TakesPart: true}},
			}
			edit(&view, &view.Status.Machines[1])
			findings := clusterFindings(view)
			if what == "" && len(findings) == 0 {
				return
			}
			if len(findings) != 1 || findings[0].What != what {
				t.Errorf("found %+v", findings)
			}
		})
	}
}
