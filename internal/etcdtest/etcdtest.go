// Package etcdtest runs an etcd for tests.
package etcdtest

import (
	"fmt"
	"net/url"
	"os"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// endpoint is the address of the etcd of this process.
var endpoint string

// Main runs the tests of a package, with an etcd of one member beside them, and ends the process.
func Main(m *testing.M) {
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

// Endpoint returns the address of the etcd, for another process.
func Endpoint() string { return endpoint }

func serve() (stop func(), err error) {
	folder, err := os.MkdirTemp("", "etcd")
	if err != nil {
		return nil, err
	}
	anyPort := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	config := embed.NewConfig()
	config.Dir, config.Name = folder, "a"
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{anyPort}, []url.URL{anyPort}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{anyPort}, []url.URL{anyPort}
	config.InitialCluster = "a=" + anyPort.String()
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.UnsafeNoFsync = true
	server, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	endpoint = server.Clients[0].Addr().String()
	<-server.Server.ReadyNotify()
	return func() {
		server.Close()
		os.RemoveAll(folder)
	}, nil
}

// Dial returns a client. Those with another prefix do not see its keys.
func Dial(endpoint, prefix string) (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	client.KV = namespace.NewKV(client.KV, prefix)
	client.Watcher = namespace.NewWatcher(client.Watcher, prefix)
	return client, nil
}

// Connect returns a client of the etcd of this process, which is closed at the end of the test.
func Connect(t testing.TB, prefix string) *clientv3.Client {
	t.Helper()
	client, err := Dial(endpoint, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
