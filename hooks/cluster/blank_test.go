package cluster

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// agreeing is the machine a of three, which has the nonce 1, and its token with the others' nonces 2 and 3.
var (
	agreeing      = Config{Name: "a", Machines: map[string]string{"a": "a:1", "b": "b:1", "c": "c:1"}}
	agreeingToken = tokenOf(map[string]string{"a": "1", "b": "2", "c": "3"})
)

// What other machines say.
var (
	absent        = answer{err: errNotFound}
	old           = knownMember{Name: "a", PeerURLs: []string{"https://a:1"}}
	room          = knownMember{PeerURLs: []string{"https://a:1"}}
	roomOfAnother = knownMember{PeerURLs: []string{"https://b:1"}}
	made          = runs(agreeing.clusterID(agreeingToken))
)

func says(nonce, agreed string) answer { return answer{blank: &blank{Nonce: nonce, Agreed: agreed}} }

func runs(id string, members ...knownMember) answer {
	return answer{running: &running{clusterID: id, members: members}}
}

// agreements are what a is told by b and c, one time after the other, and whether it becomes a member then.
var agreements = map[string]struct {
	b, c  []answer
	enter bool
	room  bool // in a cluster that is there
}{
	"nobody answers":        {b: []answer{absent}, c: []answer{absent}},
	"one is missing":        {b: []answer{says("2", "")}, c: []answer{absent}},
	"one has not agreed":    {b: []answer{says("2", agreeingToken)}, c: []answer{says("3", "")}},
	"one agreed on another": {b: []answer{says("2", agreeingToken)}, c: []answer{says("3", "another")}},
	"all agree": {
		b: []answer{says("2", agreeingToken)}, c: []answer{says("3", agreeingToken)}, enter: true,
	},
	"one was faster": {
		b: []answer{says("2", ""), made}, c: []answer{says("3", ""), absent}, enter: true,
	},
	"one was faster, and another has started again": {
		b:     []answer{says("2", ""), says("4", ""), absent},
		c:     []answer{says("3", ""), says("3", ""), made},
		enter: true,
	},
	"one has started again": {
		b: []answer{says("2", agreeingToken), says("4", "")},
		c: []answer{says("3", ""), says("3", agreeingToken)},
	},
	"a cluster is there":             {b: []answer{runs("7", old)}, c: []answer{runs("7", old)}},
	"a cluster has room for another": {b: []answer{runs("7", old, roomOfAnother)}, c: []answer{absent}},
	"a cluster has room": {
		b: []answer{runs("7", roomOfAnother, room)}, c: []answer{absent}, enter: true, room: true,
	},
}

// Machines without data agree on one cluster, whatever happens between their questions.
func TestAgreement(t *testing.T) {
	t.Parallel()
	for name, test := range agreements {
		t.Run(name, func(t *testing.T) {
			a := &agreement{config: agreeing, nonce: "1"}
			for i := range test.b {
				found, ok := a.consider(map[string]answer{"b": test.b[i], "c": test.c[i]})
				if isLast := i == len(test.b)-1; ok != (test.enter && isLast) {
					t.Fatalf("after %d questions it enters %+v: %t", i+1, found, ok)
				}
				if !ok {
					continue
				}
				if (found.running != nil) != test.room || (!test.room && found.token != agreeingToken) {
					t.Errorf("it enters %+v", found)
				}
			}
		})
	}
}

// serveBlank serves a machine without data at the address of b.
func serveBlank(t *testing.T, m *machines, config Config) {
	t.Helper()
	identity, err := newIdentity(secret, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", m.list["b"], identity.tlsConfig())
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{
		Handler:  &agreement{config: config, nonce: "nonce"},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
}

// askB asks b as the machine a, which has some secret.
func askB(t *testing.T, m *machines, secret string) answer {
	t.Helper()
	identity, err := newIdentity(secret, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for {
		said := newAsker(m.config("a"), identity).ask(t.Context(), "b")
		if said.err == nil || !strings.Contains(said.err.Error(), "cannot be reached") {
			return said
		}
	}
}

// Machines that do not agree on who they are say so, and a stranger learns nothing.
func TestDisagreement(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	another := strings.Repeat("x", minSecret)
	for _, test := range []struct{ name, called, list, secret, want string }{
		{name: "list", called: "b", list: "a b d", secret: secret, want: "b has another CLUSTER: a="},
		{name: "name", called: "c", list: "a b c", secret: secret, want: "c: set CLUSTER_NAME=b there"},
		{name: "secret", called: "b", list: "a b c", secret: another, want: "has another CLUSTER_SECRET"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := m.config("b")
			config.Name, config.Machines = test.called, map[string]string{}
			for name := range strings.FieldsSeq(test.list) {
				config.Machines[name] = m.list[name]
			}
			serveBlank(t, m, config)
			said := askB(t, m, test.secret)
			if said.err == nil || !strings.Contains(said.err.Error(), test.want) {
				t.Errorf("it says %+v", said)
			}
			stranger := http.Client{Transport: &http.Transport{
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			}}
			if response, err := stranger.Get("https://" + m.list["b"] + blankPath); err == nil {
				t.Errorf("a stranger is told: %s", response.Status)
			}
		})
	}
}

// A machine that waits for the others ends when it is told to.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, m.config("a")); err == nil {
		t.Error("it has started alone")
	}
}
