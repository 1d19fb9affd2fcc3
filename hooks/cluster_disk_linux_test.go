//go:build faults

package hooks

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// The disk of one machine is full, be it the leader or another: the others go on. The machine ends, and says
// what to do in one line, also if it is started on the full disk. When there is room again, it comes back.
func TestMachinesFullDisk(t *testing.T) {
	t.Parallel()
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
			return strings.Contains(full.Out.String(), "this machine ends: the disk with the data folder is")
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
		polled := full.Post("/poll?wait=10&readKey=" + readKey)
		full.Expect("the poll", polled, http.StatusOK, testkit.TokenResponse)
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

// ownDisk mounts a disk of its own for a machine, and returns its number, such as 7:0.
func ownDisk(t *testing.T, p *testkit.Process) (device string) {
	t.Helper()
	run := func(command string) string {
		t.Helper()
		words := strings.Fields(command)
		output, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			words := fmt.Sprintf("no disk can be made: %s: %v %s", command, err, output)
			testkit.Missing(t, "SLOW_DISK_TEST", words)
		}
		return strings.TrimSpace(string(output))
	}
	image, mounted := filepath.Join(t.TempDir(), "image"), t.TempDir()
	run("truncate -s 300M " + image)
	loop := run("losetup --find --show " + image)
	t.Cleanup(func() { run("losetup --detach " + loop) })
	run("mkfs.ext4 -q " + loop)
	run("mount " + loop + " " + mounted)
	t.Cleanup(func() { run("umount " + mounted) })
	p.Dir = mounted
	return "7:" + strings.TrimPrefix(loop, "/dev/loop")
}

// slowDown lets a process write to a disk only so often in a second, until restore is called.
func slowDown(t *testing.T, pid int, device string, often int) (restore func()) {
	t.Helper()
	const first = "/sys/fs/cgroup/blkio" // the folder of the first version of control groups
	root, limit := "/sys/fs/cgroup", fmt.Sprintf("io.max:%s wiops=%d", device, often)
	if _, err := os.Stat(first); err == nil {
		root, limit = first, fmt.Sprintf("blkio.throttle.write_iops_device:%s %d", device, often)
	}
	group := filepath.Join(root, fmt.Sprint("plugin-oauth-", pid))
	err := os.Mkdir(group, 0o700)
	if err == nil {
		name, value, _ := strings.Cut(limit, ":")
		err = os.WriteFile(filepath.Join(group, name), []byte(value), 0o600)
	}
	move := func(to string) error {
		return os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(fmt.Sprint(pid)), 0o600)
	}
	t.Cleanup(func() {
		_ = move(root) // a test that fails leaves the process in it
		os.Remove(group)
	})
	if err == nil {
		err = move(group)
	}
	if err != nil {
		testkit.Missing(t, "SLOW_DISK_TEST", fmt.Sprintf("no disk can be slowed down: %v", err))
	}
	return func() {
		if err := move(root); err != nil {
			t.Error(err)
		}
	}
}

// The disk of one machine gets slow, be it the leader or another: the others go on, another leads, and the
// admin is told which disk it is.
func TestMachinesSlowDisk(t *testing.T) {
	t.Parallel()
	machines := testkit.NewMachines(t, "a", "b", "c")
	var devices []string
	for _, p := range machines {
		p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off")
		devices = append(devices, ownDisk(t, p))
	}
	machines.Start()
	// The disks can be unmounted then.
	t.Cleanup(func() {
		for _, p := range machines {
			p.Stop(syscall.SIGKILL)
		}
	})
	people := &crowd{Process: machines[0], machines: machines, stop: make(chan struct{})}
	people.Client.Timeout = 10 * time.Second
	signIns := people.signInAgainAndAgain(4)
	for _, of := range []string{"a follower", "the leader"} {
		slow, others := leading(t, machines)
		if of == "a follower" {
			slow, others = others[0], testkit.Machines{slow, others[1]}
		}
		i := slices.Index(machines, slow)
		restore := slowDown(t, slow.PID(), devices[i], 2)
		began := time.Now()
		starts := startLogins(others...)
		eventually(t, "another leads", func() bool {
			isOther := readClusterStatus(others[0]).Leader != string("abc"[i])
			return isOther && time.Since(began) > 10*time.Second
		})
		took := time.Since(began)
		// The others' may take some milliseconds longer than they should, since they share a computer.
		name := string("abc"[i])
		isNamed := regexp.MustCompile("The disk of " + name + ` takes up to [0-9.]+ s for a write|` +
			name + " runs, and has told the others nothing for")
		var said string
		eventually(t, "the admin is told", func() bool {
			said, _ = others[0].Run(strings.Fields(clusterCommand)...)
			return isNamed.MatchString(said)
		})
		told, longest := time.Since(began), starts.end()
		t.Logf("the disk of %s is slow: another leads after %s at most; longest time without a start at the "+
			"others %s, answers %v; the admin is told after %s:\n%s", of, took.Round(time.Millisecond),
			longest.Round(time.Millisecond), starts.answers, told.Round(time.Millisecond), said)
		if longest > 5*time.Second {
			t.Errorf("for %s nobody could sign in", longest)
		}
		restore()
		eventually(t, "it is well again", func() bool { return status(slow, "/api/health") == http.StatusOK })
		people.generation.Add(1)
	}
	close(people.stop)
	signIns.Wait()
	people.expectNoneLost()
}
