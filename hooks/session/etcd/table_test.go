package etcd

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sessiontest"
	"plugin-oauth/internal/etcdtest"
	"plugin-oauth/internal/etcdtry"
)

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
	etcdtest.Main(m)
}

// store is a part of etcd's keys, and the machines that share it.
type store struct {
	prefix string
	client *clientv3.Client
	opened []*Table
}

func newStore(t testing.TB) *store {
	prefix := newPrefix()
	return &store{prefix: prefix, client: etcdtest.Connect(t, prefix)}
}

// newPrefix returns what the keys of one test begin with.
func newPrefix() string { return rand.Text() + "/" }

// table opens the table of a machine. It has read all rows, and does nothing by itself, so a test may set
// what later requests go by.
func (s *store) table(t testing.TB, machine string) *Table {
	table := s.open(t, s.client, machine)
	<-table.listed
	return table
}

func (s *store) open(t testing.TB, client *clientv3.Client, machine string) *Table {
	kv := etcdtry.KV{KV: client.KV, Try: time.Minute, Pause: time.Millisecond}
	patient := timing{short: time.Minute, long: time.Minute, claim: time.Minute, hold: claimTime}
	table := newTable(kv, client.Watcher, Options{
		Machine: machine, Log: logger(t), ExchangeTime: time.Hour,
	}, patient)
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

// startedBy gets the machines that have started what is pending.
type startedBy chan string

func (s startedBy) Pending(row session.Row) { s <- row.StartedBy }
func (startedBy) Woken(string)              {}
func (startedBy) Ended(session.Outcome)     {}

// Other machines know which one has started a login.
func TestStartedBy(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a, b := s.table(t, "a"), s.table(t, "b")
	got := make(startedBy, 10)
	b.Watch(got)
	row := newRow("starts")
	row.StartedBy = "a"
	if err := a.Insert(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if machine := <-got; machine != "a" {
		t.Errorf("it was started by %q", machine)
	}
}
