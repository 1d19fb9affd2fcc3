package hooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/replica"
	"plugin-oauth/hooks/rotation"
	"plugin-oauth/hooks/session/shared"
	"plugin-oauth/hooks/session/sqlite"
)

// clusterName is the name of the folder in the data folder where this machine has its share of the cluster's
// data. It is in no backup: a copy of one machine's would vote as that machine did.
const clusterName = "cluster"

// membership is this machine's part in its cluster, and what it shares there with the others.
type membership struct {
	member    *cluster.Member
	sessions  *shared.Sessions
	rotations *rotation.Store
	roster    *cluster.Roster
	log       *slog.Logger // passes on each message once a minute

	ends    []func()    // end what has been started, the last one first
	ending  atomic.Bool // the service ends, and the member with it
	stopped sync.Once
}

// ownStore is what a machine has by itself, and what a cluster makes equal on all machines.
type ownStore struct {
	app       core.App
	records   *plugins.Records
	sessions  *sqlite.Table
	refreshes *refreshCache
}

// joinCluster makes this machine a member of its cluster, and returns when it takes part. Without a cluster
// it returns nil, and the machine leaves the one that it was in. The app's termination ends the wait, and
// later the membership.
func joinCluster(own ownStore, config Config, log *slog.Logger) (*membership, error) {
	// A start may have been killed before it was gone.
	if err := os.RemoveAll(filepath.Join(own.app.DataDir(), leftName)); err != nil {
		return nil, err
	}
	if config.Cluster == nil {
		return nil, leaveCluster(own.app, config.timing.now(), log)
	}
	ctx, cancel := context.WithCancel(context.Background())
	joined := make(chan struct{})
	defer close(joined)
	m := &membership{log: slog.New(&seldomHandler{Handler: log.Handler(), said: map[string]time.Time{}})}
	own.app.OnTerminate().Bind(&hook.Handler[*core.TerminateEvent]{
		// When the requests under way have been answered, and before the database is closed.
		Priority: afterShutdown,
		Func: func(e *core.TerminateEvent) error {
			cancel()
			<-joined
			m.stop()
			return e.Next()
		},
	})
	settings := config.clusterIn(own.app.DataDir())
	settings.Log = log
	member, err := cluster.Start(ctx, settings)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, errors.New("another program uses the address where this machine listens for the " +
			"others: end it, or choose another address with CLUSTER or CLUSTER_LISTEN")
	case isFull(err):
		return nil, fmt.Errorf("this machine cannot take part in its cluster, since the disk with the data "+
			"folder is full: make room on it, and start it again (%w)", err)
	case err != nil:
		return nil, fmt.Errorf("this machine cannot take part in its cluster: %w", err)
	}
	m.member = member
	m.ends = append(m.ends, member.Stop)
	if err := m.share(ctx, own, config); err != nil {
		return nil, err
	}
	log.Info("this machine takes part in its cluster", "machine", settings.Name, "leader", member.Leader())
	return m, nil
}

// share begins to share with the other machines, which must be before anything is served.
func (m *membership) share(ctx context.Context, own ownStore, config Config) error {
	records, err := replica.Start(ctx, own.app, m.member.Client(), replica.Options{
		Machine:  config.Cluster.Name,
		Machines: config.Cluster.Size(),
		Changed:  func(ids []string) { own.records.Reload(ids...) },
		Latest:   own.sessions.Latest,
		First: func(ctx context.Context, isNew clientv3.Cmp) error {
			return m.bringSessions(ctx, own.sessions, config, isNew)
		},
		Log: m.log,
	})
	if err != nil {
		return fmt.Errorf("the plugins and admins of the other machines cannot be had: %w", err)
	}
	m.ends = append(m.ends, records.Close)
	m.startRoster(ctx, own, config)
	m.sessions = shared.Open(m.member.Client(), own.sessions, shared.Options{
		Machine:      config.Cluster.Name,
		ExchangeTime: config.timing.provider + finishTime,
		Retention:    config.SessionRetention,
		Log:          m.log,
	})
	m.ends = append(m.ends, m.sessions.Close)
	m.rotations = rotation.New(m.member.Client(), rotation.Options{
		Kept: config.timing.refreshKept,
		Busy: config.timing.provider + rotationSpare,
		Now:  own.sessions.Now,
		Log:  m.log,
	})
	m.follow(own.refreshes)
	return nil
}

// startRoster lets the machines know of each other. From then on what they share goes by the time that most
// of their clocks have.
func (m *membership) startRoster(ctx context.Context, own ownStore, config Config) {
	m.roster = m.member.NewRoster(cluster.RosterOptions{
		Version: config.Version,
		Free:    func() (bytes uint64, known bool) { return doctor.FreeSpace(own.app.DataDir()) },
	})
	m.ends = append(m.ends, m.roster.Close)
	ctx, cancel := context.WithTimeout(ctx, clocksTime)
	defer cancel()
	m.roster.AwaitClocks(ctx)
	own.sessions.Now = func() time.Time { return config.timing.now().Add(m.roster.Correction()) }
}

// clocksTime bounds how long a start waits for the clocks of the other machines, which takes some
// milliseconds if they run.
const clocksTime = 2 * time.Second

// follow makes this machine forget the answers to refreshes that the others no longer give.
func (m *membership) follow(refreshes *refreshCache) {
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() {
		m.rotations.Follow(ctx, func(hash rotation.Hash) { refreshes.forgetKey(refreshKey(hash)) })
	})
	m.ends = append(m.ends, func() {
		cancel()
		following.Wait()
	})
}

// refuseRestore makes the dashboard restore no backup on a machine of a cluster: at the restart that follows,
// the data of the others would count, and nothing of the backup.
func (s *server) refuseRestore(e *core.ServeEvent) error {
	if s.membership == nil {
		return nil
	}
	e.Router.BindFunc(func(e *core.RequestEvent) error {
		path := e.Request.URL.Path
		isRestore := strings.HasPrefix(path, "/api/backups/") && strings.HasSuffix(path, "/restore")
		if !isRestore || !e.HasSuperuserAuth() {
			return e.Next()
		}
		return e.BadRequestError("The other machines have newer data, which would count. Stop the service "+
			"on all machines, and run plugin-oauth restore on one of them; it says what to do then.", nil)
	})
	return nil
}

// rotationSpare is how much longer another machine may take for a refresh than its provider.
const rotationSpare = 2 * time.Second

// handOver lets another machine lead. The service is about to end.
func (m *membership) handOver() {
	if m == nil {
		return
	}
	m.ending.Store(true)
	m.member.HandOver()
}

// stop ends the membership. It may be called again.
func (m *membership) stop() {
	m.ending.Store(true)
	m.stopped.Do(func() {
		for _, end := range slices.Backward(m.ends) {
			end()
		}
	})
}

// check returns why this machine should be sent no requests, or nil. A machine that is alone is asked for
// nothing.
func (m *membership) check() error {
	if m == nil {
		return nil
	}
	return m.member.Check()
}

// findings returns what is wrong with the cluster.
func (m *membership) findings(ctx context.Context) []doctor.Finding {
	if m == nil {
		return nil
	}
	return clusterFindings(m.roster.View(ctx))
}

// sweep brings what the admin sees of the sign-ins up to date, and removes the answers to refreshes that are
// no longer given.
func (m *membership) sweep() error {
	if m == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), sweepTime)
	defer cancel()
	return errors.Join(m.sessions.Sweep(ctx), m.rotations.Sweep(ctx))
}

// sweepTime bounds a sweep that loses the majority.
const sweepTime = 10 * time.Second

// errNoMember says that the process cannot go on, and should be started again.
var errNoMember = errors.New("this machine is no longer a member of its cluster; the lines before this one " +
	"say why. Start it again")

// watch returns a listener that fails, and with it the service, once the member has ended by itself.
func (m *membership) watch(listener net.Listener) net.Listener {
	if m == nil {
		return listener
	}
	go func() {
		<-m.member.Done()
		listener.Close()
	}()
	return memberListener{Listener: listener, membership: m}
}

type memberListener struct {
	net.Listener

	membership *membership
}

// Accept returns the next connection.
func (l memberListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err == nil || l.membership.ending.Load() {
		return connection, err
	}
	select {
	case <-l.membership.member.Done():
		return nil, errNoMember
	default:
		return nil, err
	}
}

// seldomHandler passes on each message once a minute: what one request finds wrong, all others find as well.
type seldomHandler struct {
	slog.Handler

	mu   sync.Mutex
	said map[string]time.Time
}

// Handle passes a line on, unless it repeats one.
func (h *seldomHandler) Handle(ctx context.Context, record slog.Record) error {
	h.mu.Lock()
	last, found := h.said[record.Message]
	isRepeated := found && record.Time.Sub(last) < time.Minute
	if !isRepeated {
		h.said[record.Message] = record.Time
	}
	h.mu.Unlock()
	if isRepeated {
		return nil
	}
	return h.Handler.Handle(ctx, record)
}
