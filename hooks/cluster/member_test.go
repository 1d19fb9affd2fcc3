package cluster

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// The first start of three machines makes one cluster, whose data are on each of them, and still are after
// all were stopped.
func TestThree(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.start(t, "a b c")
	m.put(t, "a", "key", "value")
	for name, member := range m.members {
		m.expect(t, name, "key", "value")
		m.expectVoters(t, name, 3)
		if err := member.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if member.Leader() == "" || member.clusterID() != m.members["a"].clusterID() {
			t.Errorf("%s has the leader %q and the cluster %s", name, member.Leader(), member.clusterID())
		}
	}
	m.stopAll(t, "a b c")
	m.start(t, "b c") // two are enough
	m.expect(t, "b", "key", "value")
}

// A machine that stops while it leads has another lead first: nobody waits for an election.
func TestHandOver(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.election = 5 * time.Second
	m.start(t, "a b c")
	leader := m.members["a"].Leader()
	stopped := m.members[leader]
	follower := m.members[map[string]string{"a": "b", "b": "c", "c": "a"}[leader]]
	m.stop(t, leader)
	for began := time.Now(); follower.Leader() == leader || follower.Leader() == ""; {
		if time.Since(began) > m.election-time.Second/2 {
			t.Fatalf("%s led, and now %q does", leader, follower.Leader())
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case <-stopped.Done():
	default:
		t.Error("it is not done")
	}
	if err := stopped.Check(); err == nil {
		t.Error("a machine that has stopped says that it is well")
	}
}

// A machine that comes back without its data is filled by the others, and votes again. If its data are found
// later, they are of no use, and it is filled again.
func TestLostDisk(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.start(t, "a b c")
	m.stop(t, "c")
	folder, away := m.config("c").Folder, filepath.Join(m.folder, "away")
	if err := os.Rename(folder, away); err != nil {
		t.Fatal(err)
	}
	m.put(t, "a", "key", "value")
	m.start(t, "c")
	m.expect(t, "c", "key", "value")
	m.expectVoters(t, "c", 3)
	m.stop(t, "c")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, folder); err != nil {
		t.Fatal(err)
	}
	m.put(t, "a", "key", "another value")
	m.start(t, "c")
	m.expect(t, "c", "key", "another value")
	m.expectVoters(t, "c", 3)
}

// The members follow CLUSTER: machines come, move, and go, while the others serve.
func TestResize(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c d e")
	five := maps.Clone(m.list)
	restart := func(names string, list map[string]string) {
		m.stopAll(t, names)
		m.list = list
		m.start(t, names)
	}
	three := maps.Clone(five)
	delete(three, "d")
	delete(three, "e")
	restart("a b c", three)
	m.put(t, "a", "key", "value")
	restart("a b c", five)
	m.start(t, "d e")
	m.expect(t, "e", "key", "value")
	m.expectVoters(t, "e", 5)

	moved := maps.Clone(five)
	moved["c"] = freeAddress(t)
	restart("c", moved)
	m.expect(t, "c", "key", "value")
	for _, member := range m.members["c"].etcd.Server.Cluster().Members() {
		if member.Name == "c" && !slices.Contains(member.PeerURLs, "https://"+moved["c"]) {
			t.Errorf("c is said to be at %v", member.PeerURLs)
		}
	}
	m.stopAll(t, "e d")
	left := maps.Clone(moved)
	delete(left, "d")
	delete(left, "e")
	restart("a b c", left)
	m.expectVoters(t, "a", 3)
	m.expect(t, "a", "key", "value")
}

// Machines without data make no cluster as long as one of them has not said that it has none.
func TestNoClusterOfTwo(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	var both sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		both.Go(func() { m.startAlone(t, m.config(name), "cause=\"c (127.0.0.1:") })
	}
	both.Wait()
	for _, name := range []string{"a", "b"} {
		if _, err := os.Stat(filepath.Join(m.config(name).Folder, "member")); err == nil {
			t.Errorf("%s has data", name)
		}
	}
}

// What is wrong with a machine, it says in one line that says what to do.
func TestMistakes(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	m.start(t, "a b c")
	m.put(t, "a", "key", "value")
	m.expect(t, "c", "key", "value")
	m.stop(t, "c")
	for _, test := range []struct {
		name, want string
		config     func(t *testing.T, config Config) Config
	}{
		{
			name: "secret", want: "another CLUSTER_SECRET: make it the same on each machine",
			config: func(t *testing.T, config Config) Config {
				config.Secret, config.Folder = strings.Repeat("x", minSecret), t.TempDir()
				return config
			},
		},
		{
			name: "name", want: "CLUSTER_NAME is a: set CLUSTER_NAME=c",
			config: func(t *testing.T, config Config) Config {
				config.Name = "a"
				config.Machines = map[string]string{"a": m.list["c"], "b": m.list["b"], "c": freeAddress(t)}
				return config
			},
		},
		{
			name:   "data of another cluster",
			want:   "are of another cluster than those of a: if a has the right ones, delete",
			config: ofAnotherCluster,
		},
		{
			name: "data of a later version", want: "start the version that the others have",
			config: ofLaterVersion,
		},
		{
			name: "data that differ", want: "differ from those of the others: delete the folder",
			config: withOtherValues,
		},
		{
			name:   "damaged data",
			want:   "delete the folder on this machine, and the others fill it again",
			config: withDamagedLog,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m.startAlone(t, test.config(t, m.config("c")), test.want)
		})
	}
	if line := "that one has another CLUSTER_SECRET"; !strings.Contains(m.logs["a"].String(), line) {
		t.Errorf("the others do not say: %s", line)
	}
}

// ofAnotherCluster gives a machine the data of a member of another cluster.
func ofAnotherCluster(t *testing.T, config Config) Config {
	other := newMachines(t, "a b c")
	other.start(t, "a b c")
	other.stopAll(t, "a b c")
	config.Folder = other.config("c").Folder
	return config
}

// ofLaterVersion gives a machine its data as if a version had stored them that this one cannot read.
func ofLaterVersion(t *testing.T, config Config) Config {
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(config.Folder)); err != nil {
		t.Fatal(err)
	}
	config.Folder = folder
	changeData(t, config, "meta", func(bucket *bbolt.Bucket) error {
		return bucket.Put([]byte("storageVersion"), []byte("3.99.0"))
	})
	return config
}

// withOtherValues changes a value behind etcd's back.
func withOtherValues(t *testing.T, config Config) Config {
	changeData(t, config, "key", func(bucket *bbolt.Bucket) error {
		key, value := bucket.Cursor().First()
		return bucket.Put(key, append(value[:len(value)-1:len(value)-1], 'x'))
	})
	return config
}

func changeData(t *testing.T, config Config, bucket string, change func(*bbolt.Bucket) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(config.Folder, "member", "snap", "db"), 0o600, nil)
	if err == nil {
		err = db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket([]byte(bucket))) })
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// withDamagedLog overwrites etcd's log.
func withDamagedLog(t *testing.T, config Config) Config {
	logs, err := filepath.Glob(filepath.Join(config.Folder, "member", "wal", "*.wal"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	for _, log := range logs {
		if err := os.WriteFile(log, []byte(strings.Repeat("no log. ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config
}
