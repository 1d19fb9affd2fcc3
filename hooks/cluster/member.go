package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/etcdhttp"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// Member is this machine in its cluster. Make it with [Start], and end it with [Member.Stop]. It is safe for
// concurrent use.
type Member struct {
	config   Config
	identity *identity
	ask      *asker
	door     *door
	etcd     *embed.Etcd
	client   *clientv3.Client

	stop    context.CancelFunc
	phase   phase
	tending sync.WaitGroup
}

// Start makes this machine a member, and returns when it takes part: it votes, and there is a leader. Until
// then it says in the log what it waits for. If it fails, its error is for the admin.
func Start(ctx context.Context, config Config) (*Member, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	config = config.finding()
	identity, err := newIdentity(config.Secret, filepath.Join(config.Folder, "tls"))
	if err != nil {
		return nil, err
	}
	m := &Member{config: config, identity: identity, ask: newAsker(config, identity)}
	for {
		err := m.enter(ctx)
		if errors.Is(err, errReplaced) {
			// The data cannot be used again: the cluster has filled another member in this one's place.
			config.Log.Warn("this machine was replaced while it was away; it is filled anew by the others")
			err = os.RemoveAll(m.memberFolder())
			if err == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		break
	}
	m.client = v3client.New(m.etcd.Server)
	if err := m.takeBackGoodbye(ctx); err != nil {
		m.client.Close()
		m.leave()
		return nil, err
	}
	reigns := newReigns(m.client.KV)
	m.client.KV = reigns
	tend, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.tending.Go(func() { reigns.follow(tend, m.etcd.Server.LeaderChangedNotify) })
	m.tending.Go(func() { m.tend(tend) })
	return m, nil
}

// memberFolder is where etcd keeps the data.
func (m *Member) memberFolder() string { return filepath.Join(m.config.Folder, "member") }

// Client returns a client that needs no connection. It is closed by Stop.
func (m *Member) Client() *clientv3.Client { return m.client }

// Done is closed when the member has ended, be it by Stop or by itself: if its disk fails, or if the others
// have replaced it. The process should end then, too, so that it is started again.
func (m *Member) Done() <-chan struct{} { return m.etcd.Server.StopNotify() }

// maxLag is how many changes a member may be behind and still be up to date.
const maxLag = 1000

// Check returns why this machine should be sent no requests, or nil. It asks nobody.
func (m *Member) Check() error {
	if err := m.checkPart(); err != nil {
		return err
	}
	if _, isFull := m.full(); isFull {
		return ErrFull
	}
	return nil
}

// checkPart returns why this machine does not take part, or nil.
func (m *Member) checkPart() error {
	server := m.etcd.Server
	select {
	case <-server.StopNotify():
		return errors.New("this machine is no longer a member of its cluster")
	default:
	}
	switch lag := server.CommittedIndex() - server.AppliedIndex(); {
	case server.Leader() == 0:
		return errors.New("most of the machines cannot be reached")
	case server.IsLearner():
		return errors.New("this machine is being filled by the others")
	case lag > maxLag:
		return fmt.Errorf("this machine is %d changes behind the others", lag)
	}
	return nil
}

// Leader returns the name of the machine that leads, or "".
func (m *Member) Leader() string {
	leader := m.etcd.Server.Leader()
	for _, member := range m.etcd.Server.Cluster().Members() {
		if member.ID == leader {
			return member.Name
		}
	}
	return ""
}

// HandOver lets another machine lead, if this one does, so that nobody waits for an election when it ends.
// Until then it takes part as before.
func (m *Member) HandOver() {
	server := m.etcd.Server
	if server.Leader() != server.MemberID() {
		return
	}
	if err := server.TryTransferLeadershipOnShutdown(); err != nil {
		m.config.Log.Warn("no other machine could lead before this one ended", "cause", err)
	}
}

// Stop says goodbye, hands over, and ends the member.
func (m *Member) Stop() {
	m.stop()
	m.tending.Wait()
	m.sayGoodbye()
	m.HandOver()
	m.phase.stopping.Store(true)
	m.client.Close() // that its context has ended is no news
	m.leave()
}

// leave ends etcd.
func (m *Member) leave() {
	m.etcd.Close()
	m.door.close()
}

// enter starts etcd, and waits until this machine takes part.
func (m *Member) enter(ctx context.Context) error {
	m.phase.stopping.Store(false)
	m.phase.running.Store(false)
	etcd := m.etcdConfig()
	if err := m.disown(); err != nil {
		return err
	}
	if !wal.Exist(filepath.Join(m.memberFolder(), "wal")) {
		// What a start left behind that was killed before it had a log.
		if err := os.RemoveAll(m.memberFolder()); err != nil {
			return err
		}
		entrance, err := agree(ctx, m.config, m.identity, m.ask)
		if err != nil {
			return err
		}
		entrance.apply(etcd, m.config)
		if err := os.WriteFile(m.ownerFile(), []byte(m.config.Name), 0o600); err != nil {
			return err
		}
	}
	var err error
	if m.door, err = openDoor(m.config.listenAddress(), m.identity, m.config.Log); err != nil {
		return err
	}
	if m.etcd, err = startEtcd(etcd); err != nil {
		m.door.close()
		return err
	}
	go m.door.serve(etcdhttp.NewPeerHandler(m.etcd.GetLogger(), m.etcd.Server))
	m.phase.running.Store(true)
	if err := m.takePart(ctx); err != nil {
		m.phase.stopping.Store(true)
		m.leave()
		return err
	}
	return nil
}

// startEtcd starts etcd. It panics where it does not know how to go on, as with a log that is damaged, and
// leaves its files and its port open then: this process cannot try again.
func startEtcd(config *embed.Config) (started *embed.Etcd, err error) {
	defer func() {
		reason := recover()
		cause, isError := reason.(error)
		if !isError {
			cause = err
		}
		switch {
		case cause != nil && isOtherVersion(cause):
			err = fmt.Errorf("the other machines, or the data in %s, are of a version of this program that "+
				"does not mix with this one: start the version that the others have (%w)", config.Dir, cause)
		case isError && isFull(cause):
			err = fmt.Errorf("the data in %s cannot be written: %w", config.Dir, cause)
		case reason != nil:
			err = fmt.Errorf("the data in %s cannot be used: %v; delete the folder on this machine, and "+
				"the others fill it again", config.Dir, reason)
		}
	}()
	return embed.StartEtcd(config)
}

// isOtherVersion reports whether etcd does not mix with that of the others, or of the data. It says so as
// text.
func isOtherVersion(err error) bool {
	return slices.ContainsFunc([]string{
		"is not supported",                          // the data, or the kind of change that they would need
		"incompatible with current running cluster", // who joins
		"invalid downgrade",                         // who was a member
	}, func(words string) bool { return strings.Contains(err.Error(), words) })
}

// errReplaced says that this machine's data are those of a member that the others have replaced.
var errReplaced = errors.New("this machine was replaced")

// takePart waits until there is a leader, and until this machine votes.
func (m *Member) takePart(ctx context.Context) error {
	server := m.etcd.Server
	if err := m.checkOwner(); err != nil {
		return err
	}
	ready := server.ReadyNotify()
	waiting := newReminder(m.config.Log)
	every := time.NewTicker(askTime / 2)
	defer every.Stop()
	for {
		select {
		case <-ready:
			ready = nil // and from now on by the clock
		case <-server.StopNotify():
			return m.stoppedBy(m.ask.all(ctx))
		case <-every.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if ready == nil && server.IsLearner() {
			// It fails until this machine has caught up, and for the first seconds of a connection.
			_, _ = server.PromoteMember(ctx, uint64(server.MemberID()))
		}
		if ready == nil && m.checkPart() == nil {
			if err := m.publishAddress(ctx); err != nil {
				m.config.Log.Warn("the others do not know this machine's new address", "cause", err)
				continue
			}
			return m.checkData()
		}
		if waiting.isDue() {
			answers := m.ask.all(ctx)
			if err := m.compare(answers); err != nil {
				return err
			}
			waiting.remind("this machine waits for the others", answers)
		}
	}
}

// checkOwner fails if the data are those of another machine.
func (m *Member) checkOwner() error {
	own := m.etcd.Server.Cluster().Member(m.etcd.Server.MemberID())
	if own == nil || own.Name == "" || own.Name == m.config.Name {
		return nil
	}
	return fmt.Errorf("the data in %s are those of %s, and CLUSTER_NAME is %s: set CLUSTER_NAME=%s, or "+
		"start with the data folder of %s", m.config.Folder, own.Name, m.config.Name, own.Name, m.config.Name)
}

// checkData fails if this machine's data are not those of the others at the same revision. etcd can do this
// before it serves its peers (the feature gate InitialCorruptCheck); but then machines that start at the same
// time wait for each other, which took 6.8 seconds instead of 0.8.
func (m *Member) checkData() error {
	if err := m.etcd.Server.CorruptionChecker().InitialCheck(); err != nil {
		return fmt.Errorf("the data in %s differ from those of the others: delete the folder on this "+
			"machine, and the others fill it again (%w)", m.config.Folder, err)
	}
	return nil
}

// compare fails if the others have another cluster than this machine.
func (m *Member) compare(answers map[string]answer) error {
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		said := answers[name].running
		if said != nil && said.clusterID != m.etcd.Server.Cluster().ID().String() {
			return fmt.Errorf("the data in %s are of another cluster than those of %s: if %s has the right "+
				"ones, delete the folder on this machine, and the others fill it again",
				m.config.Folder, name, name)
		}
	}
	return nil
}

// stoppedBy says why etcd has ended by itself.
func (m *Member) stoppedBy(answers map[string]answer) error {
	if err := m.compare(answers); err != nil {
		return err
	}
	for _, said := range answers {
		isMember := func(member knownMember) bool { return member.ID == uint64(m.etcd.Server.MemberID()) }
		if said.running != nil && !slices.ContainsFunc(said.running.members, isMember) {
			return errReplaced
		}
	}
	return errors.New("this machine could not take part in its cluster; the line before this one says why")
}

// etcdConfig returns the settings of etcd. The measurements behind them stand with the tests.
func (m *Member) etcdConfig() *embed.Config {
	own := m.config.url(m.config.Name)
	config := embed.NewConfig()
	config.Name, config.Dir = m.config.Name, m.config.Folder
	config.ListenPeerUrls, config.AdvertisePeerUrls = nil, []url.URL{own} // see door
	config.ListenClientUrls, config.AdvertiseClientUrls = nil, nil        // see Client
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(newZapLogger(m.config.Log, &m.phase))
	config.PeerTLSInfo = m.identity.tlsInfo()
	config.TickMs, config.ElectionMs = 100, 500
	if m.config.election != 0 {
		config.ElectionMs = uint(m.config.election.Milliseconds())
	}
	// Little is kept for a member that lags: it is sent all, which is small.
	config.SnapshotCount, config.SnapshotCatchUpEntries = 500, 100
	config.MaxWalFiles, config.MaxSnapFiles = 1, 1
	config.MaxRequestBytes = 4 << 20
	config.QuotaBackendBytes = quota
	config.AutoCompactionMode, config.AutoCompactionRetention = embed.CompactorModePeriodic, "1m"
	config.AuthToken = "" // nobody signs in
	if m.config.tune != nil {
		m.config.tune(config)
	}
	return config
}

// apply makes etcd enter a cluster.
func (e entrance) apply(config *embed.Config, machines Config) {
	config.InitialCluster = machines.initialCluster()
	config.InitialClusterToken = e.token
	config.ClusterState = embed.ClusterStateFlagNew
	if e.running == nil {
		return
	}
	config.ClusterState = embed.ClusterStateFlagExisting
	var members []string
	for _, member := range e.running.members {
		name := machines.nameOf(member.PeerURLs)
		if name == "" { // it is no longer in CLUSTER, or no longer there; any other name will do
			name = "former-" + strconv.FormatUint(member.ID, 16)
		}
		for _, at := range member.PeerURLs {
			members = append(members, name+"="+at)
		}
	}
	config.InitialCluster = strings.Join(members, ",")
}

// initialCluster returns the machines as etcd has them.
func (c Config) initialCluster() string {
	var members []string
	for _, name := range c.names() {
		at := c.url(name)
		members = append(members, name+"="+at.String())
	}
	return strings.Join(members, ",")
}

// clusterID returns the id of the cluster that is made with a token.
func (c Config) clusterID(token string) string {
	urls, err := types.NewURLsMap(c.initialCluster())
	if err != nil {
		return ""
	}
	made, err := membership.NewClusterFromURLsMap(nil, token, urls)
	if err != nil {
		return ""
	}
	return made.ID().String()
}
