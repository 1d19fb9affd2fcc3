package etcd

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sessiontest"
	"plugin-oauth/internal/etcdtry"
)

// endpoint is the address of the etcd of this package's tests.
var endpoint string

func TestMain(m *testing.M) {
	as := map[string]func(string, string, string) error{
		processArgument: runProcess,
		memberArgument:  runMember,
	}
	if len(os.Args) == 5 && as[os.Args[1]] != nil {
		if err := as[os.Args[1]](os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(func() int {
		stop, err := serve()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer stop()
		return m.Run()
	}())
}

// serve starts an etcd of one member on a free port.
func serve() (stop func(), err error) {
	folder, err := os.MkdirTemp("", "etcd")
	if err != nil {
		return nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	endpoint = free.Addr().String()
	client := url.URL{Scheme: "http", Host: endpoint}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	config := embed.NewConfig()
	config.Dir, config.Name = folder, "a"
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.InitialCluster = "a=" + peer.String()
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.UnsafeNoFsync = true
	if err := free.Close(); err != nil {
		return nil, err
	}
	server, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	<-server.Server.ReadyNotify()
	return func() {
		server.Close()
		os.RemoveAll(folder)
	}, nil
}

// connect returns a client whose keys nobody else has who uses another prefix.
func connect(t testing.TB, prefix string) *clientv3.Client {
	t.Helper()
	client, err := dial(endpoint, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func dial(endpoint, prefix string) (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	client.KV = namespace.NewKV(client.KV, prefix)
	client.Watcher = namespace.NewWatcher(client.Watcher, prefix)
	return client, nil
}

// store is a part of etcd's keys, and the machines that share it.
type store struct {
	prefix string
	client *clientv3.Client
	opened []*Table
}

func newStore(t testing.TB) *store {
	prefix := newPrefix()
	return &store{prefix: prefix, client: connect(t, prefix)}
}

// newPrefix returns what the keys of one test begin with.
func newPrefix() string { return rand.Text() + "/" }

// table opens the table of a machine.
func (s *store) table(t testing.TB, machine string) *Table { return s.open(t, s.client, machine) }

func (s *store) open(t testing.TB, client *clientv3.Client, machine string) *Table {
	kv := etcdtry.KV{KV: client.KV, Try: time.Minute, Pause: time.Millisecond}
	patient := timing{short: time.Minute, long: time.Minute}
	table := newTable(kv, client.Watcher, Options{Machine: machine, Log: logger(t)}, patient)
	t.Cleanup(table.Close)
	s.opened = append(s.opened, table)
	return table
}

func logger(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func (s *store) Open(t *testing.T) session.Table {
	for _, table := range s.opened {
		table.Close()
	}
	return s.table(t, "a")
}

func (s *store) Join(t *testing.T) session.Table { return s.table(t, "b") }

func TestTable(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t *testing.T) sessiontest.Store { return newStore(t) })
}
