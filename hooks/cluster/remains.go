package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Remains are the data of a cluster as a machine has them that is no longer a member: it goes on alone. They
// are a copy, so the machine can still come back as a member. Make them with [OpenRemains].
type Remains struct {
	// Client finds the data. What it changes, it changes in the copy.
	Client *clientv3.Client

	etcd    *embed.Etcd
	copy    string
	members []knownMember // this machine among them
}

// copyName is the folder in the cluster's folder with the copy that is read.
const copyName = "reading"

// ErrNoRemains says that there are no data in a folder: the machine never was a member.
var ErrNoRemains = errors.New("there are no data of a cluster")

// OpenRemains reads the data in a cluster's folder that no process uses. It fails with ErrNoRemains.
func OpenRemains(ctx context.Context, folder string) (*Remains, error) {
	if !wal.Exist(filepath.Join(folder, "member", "wal")) {
		return nil, ErrNoRemains
	}
	r := &Remains{copy: filepath.Join(folder, copyName)}
	if err := r.open(ctx, folder); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Remains) open(ctx context.Context, folder string) error {
	if err := os.RemoveAll(r.copy); err != nil { // of a start that was killed
		return err
	}
	if err := copyFolder(filepath.Join(r.copy, "member"), filepath.Join(folder, "member")); err != nil {
		return err
	}
	var err error
	if r.members, err = readMembers(filepath.Join(r.copy, "member", "snap", "db")); err != nil {
		return err
	}
	if err := acceptAll(filepath.Join(r.copy, "member", "wal")); err != nil {
		return err
	}
	if r.etcd, err = startEtcd(remainsConfig(r.copy)); err != nil {
		return err
	}
	select {
	case <-r.etcd.Server.ReadyNotify():
	case <-r.etcd.Server.StopNotify():
		return errors.New("etcd has ended by itself")
	case <-ctx.Done():
		return ctx.Err()
	}
	r.Client = v3client.New(r.etcd.Server)
	return nil
}

func (r *Remains) isThis(member knownMember) bool {
	return member.ID == uint64(r.etcd.Server.MemberID())
}

// Close ends the reading, and removes the copy. It may be called again.
func (r *Remains) Close() error {
	if r.Client != nil {
		r.Client.Close() // that its context has ended is no news
	}
	if r.etcd != nil {
		r.etcd.Close()
		r.etcd = nil
	}
	return os.RemoveAll(r.copy)
}

// acceptAll makes everything in etcd's log count. A machine stores what another one asks it to, and hears
// only then that most have it. If it is killed in between, etcd would leave out what the others relied on:
// that tokens were given, for example.
func acceptAll(folder string) error {
	log, entries, state, err := readLog(folder)
	// It may have been killed while it wrote.
	if errors.Is(err, io.ErrUnexpectedEOF) && wal.Repair(zap.NewNop(), folder) {
		log, entries, state, err = readLog(folder)
	}
	if err != nil {
		return fmt.Errorf("etcd's log cannot be read: %w", err)
	}
	if len(entries) > 0 {
		last := entries[len(entries)-1]
		err = log.Save(&raftpb.HardState{
			Term:   new(max(state.GetTerm(), last.GetTerm())),
			Vote:   new(state.GetVote()),
			Commit: new(last.GetIndex()),
		}, nil)
	}
	return errors.Join(err, log.Close())
}

// readLog reads etcd's log from its latest snapshot on.
func readLog(folder string) (*wal.WAL, []*raftpb.Entry, *raftpb.HardState, error) {
	snapshots, err := wal.ValidSnapshotEntries(zap.NewNop(), folder)
	if err != nil {
		return nil, nil, nil, err
	}
	latest := &walpb.Snapshot{}
	if len(snapshots) > 0 {
		latest = snapshots[len(snapshots)-1]
	}
	log, err := wal.Open(zap.NewNop(), folder, latest)
	if err != nil {
		return nil, nil, nil, err
	}
	_, state, entries, err := log.ReadAll()
	if err != nil {
		return nil, nil, nil, errors.Join(err, log.Close())
	}
	return log, entries, state, nil
}

// remainsConfig returns the settings of an etcd that has no other members, and that nobody reaches.
func remainsConfig(folder string) *embed.Config {
	config := embed.NewConfig()
	config.Name, config.Dir, config.ForceNewCluster = "alone", folder, true
	config.ListenPeerUrls, config.ListenClientUrls, config.AdvertiseClientUrls = nil, nil, nil
	config.TickMs, config.ElectionMs = 10, 50 // it elects itself
	config.UnsafeNoFsync = true
	config.QuotaBackendBytes = 2 << 30 // of a cluster that was full, too
	config.AuthToken = ""
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(
		zap.New(zapcore.NewNopCore(), zap.WithFatalHook(zapcore.WriteThenPanic)))
	return config
}

// readMembers reads the members in etcd's database. Once etcd has started alone, it knows no others.
func readMembers(path string) (members []knownMember, err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.View(func(tx *bbolt.Tx) error {
		stored := tx.Bucket([]byte("members"))
		if stored == nil {
			return errors.New("there are no members in it")
		}
		return stored.ForEach(func(_, value []byte) error {
			var member knownMember
			if err := json.Unmarshal(value, &member); err != nil {
				return err
			}
			members = append(members, member)
			return nil
		})
	})
	return members, err
}

// nameOrNumber names a member that may never have run.
func nameOrNumber(member knownMember) string {
	if member.Name != "" {
		return member.Name
	}
	return fmt.Sprintf("%x", member.ID)
}

// address returns where a member is reached, or "".
func address(member knownMember) string {
	for _, at := range member.PeerURLs {
		if parsed, err := url.Parse(at); err == nil {
			return parsed.Host
		}
	}
	return ""
}

// KnowsAll reports whether this machine has all that the cluster has ever stored: the others that have not
// said goodbye to it could not go on without it. They must not have been started again since.
func (r *Remains) KnowsAll(ctx context.Context) (bool, error) {
	said, err := r.Client.Get(ctx, goodbyes, clientv3.WithPrefix())
	if err != nil {
		return false, err
	}
	hasLeft := map[string]bool{}
	for _, kv := range said.Kvs {
		hasLeft[strings.TrimPrefix(string(kv.Key), goodbyes)] = true
	}
	present := func(member knownMember) bool { return !r.isThis(member) && !hasLeft[member.Name] }
	return !isMajority(r.members, present), nil
}

// isMajority reports whether those of the members that match are most of those that vote.
func isMajority(members []knownMember, match func(knownMember) bool) bool {
	voters, matching := 0, 0
	for _, member := range members {
		if member.IsLearner {
			continue
		}
		voters++
		if match(member) {
			matching++
		}
	}
	return matching > voters/2
}

// Running returns the other machines at whose addresses something listens, as name (address), sorted.
func (r *Remains) Running(ctx context.Context) (running []string) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var mu sync.Mutex
	var done sync.WaitGroup
	for _, member := range r.members {
		at := address(member)
		if r.isThis(member) {
			continue
		}
		done.Go(func() {
			connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
			if err != nil {
				return
			}
			connection.Close()
			mu.Lock()
			defer mu.Unlock()
			running = append(running, nameOrNumber(member)+" ("+at+")")
		})
	}
	done.Wait()
	slices.Sort(running)
	return running
}

// copyFolder copies the files of a folder, and those of the folders in it.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return copyFile(target, path)
	})
}

// copyFile copies a file, and leaves holes where it has nothing but zeros: etcd's log takes its room in
// advance.
func copyFile(to, from string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	buffer := make([]byte, 64<<10)
	for offset := int64(0); ; {
		count, err := io.ReadFull(source, buffer)
		isZero := !slices.ContainsFunc(buffer[:count], func(b byte) bool { return b != 0 })
		if !isZero {
			if _, err := target.WriteAt(buffer[:count], offset); err != nil {
				return err
			}
		}
		offset += int64(count)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return target.Truncate(offset)
		case err != nil:
			return err
		}
	}
}
