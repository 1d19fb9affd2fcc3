package cluster

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// Machines without data agree on one cluster, whatever happens between their questions.
func TestAgreement(t *testing.T) {
	t.Parallel()
	config := Config{Name: "a", Machines: map[string]string{"a": "a:1", "b": "b:1", "c": "c:1"}}
	token := tokenOf(map[string]string{"a": "1", "b": "2", "c": "3"})
	says := func(nonce, agreed string) answer { return answer{blank: &blank{Nonce: nonce, Agreed: agreed}} }
	runs := func(id string, members ...knownMember) answer {
		return answer{running: &running{clusterID: id, members: members}}
	}
	absent := answer{err: errNotFound}
	old := knownMember{Name: "a", PeerURLs: []string{"https://a:1"}}
	room := knownMember{PeerURLs: []string{"https://a:1"}}
	roomOfAnother := knownMember{PeerURLs: []string{"https://b:1"}}
	for name, test := range map[string]struct {
		asked []map[string]answer // b and c, one time after the other
		enter bool                // after the last one
		room  bool                // in a cluster that is there
	}{
		"nobody answers":     {asked: []map[string]answer{{"b": absent, "c": absent}}},
		"one is missing":     {asked: []map[string]answer{{"b": says("2", ""), "c": absent}}},
		"one has not agreed": {asked: []map[string]answer{{"b": says("2", token), "c": says("3", "")}}},
		"one agreed on another": {
			asked: []map[string]answer{{"b": says("2", token), "c": says("3", "another")}},
		},
		"all agree": {
			asked: []map[string]answer{{"b": says("2", token), "c": says("3", token)}}, enter: true,
		},
		"one was faster": {
			asked: []map[string]answer{
				{"b": says("2", ""), "c": says("3", "")},
				{"b": runs(config.clusterID(token)), "c": absent},
			},
			enter: true,
		},
		"one was faster, and another has started again": {
			asked: []map[string]answer{
				{"b": says("2", ""), "c": says("3", "")},
				{"b": says("4", ""), "c": says("3", "")},
				{"b": absent, "c": runs(config.clusterID(token))},
			},
			enter: true,
		},
		"one has started again": {
			asked: []map[string]answer{
				{"b": says("2", token), "c": says("3", "")},
				{"b": says("4", ""), "c": says("3", token)},
			},
		},
		"a cluster is there": {
			asked: []map[string]answer{{"b": runs("7", old), "c": runs("7", old)}},
		},
		"a cluster has room for another": {
			asked: []map[string]answer{{"b": runs("7", old, roomOfAnother), "c": absent}},
		},
		"a cluster has room": {
			asked: []map[string]answer{{"b": runs("7", roomOfAnother, room), "c": absent}},
			enter: true, room: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := &agreement{config: config, nonce: "1"}
			for i, answers := range test.asked {
				found, ok := a.consider(answers)
				if isLast := i == len(test.asked)-1; ok != (test.enter && isLast) {
					t.Fatalf("after %d questions it enters %+v: %t", i+1, found, ok)
				}
				if ok && (found.running != nil) != test.room || ok && !test.room && found.token != token {
					t.Errorf("it enters %+v", found)
				}
			}
		})
	}
}

// Machines that do not agree on who they are say so, and a stranger learns nothing.
func TestDisagreement(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "a b c")
	ask := func(secret string) answer {
		config := m.config("a")
		identity, err := newIdentity(secret, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for {
			said := newAsker(config, identity).ask(t.Context(), "b")
			if said.err == nil || !strings.Contains(said.err.Error(), "cannot be reached") {
				return said
			}
		}
	}
	for _, test := range []struct {
		name, called, list, secret, want string
	}{
		{name: "list", called: "b", list: "a b d", want: "b has another CLUSTER: a="},
		{name: "name", called: "c", list: "a b c", want: " is called c: set CLUSTER_NAME=b there"},
		{name: "secret", called: "b", list: "a b c", secret: strings.Repeat("x", minSecret),
			want: "has another CLUSTER_SECRET"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := m.config("b")
			config.Machines = map[string]string{}
			for name := range strings.FieldsSeq(test.list) {
				config.Machines[name] = m.list[name]
			}
			identity, err := newIdentity(secret, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			listening := config
			listening.Name = test.called
			blank := &agreement{config: listening, nonce: "nonce"}
			server := http.Server{Handler: blank, TLSConfig: identity.tlsConfig()}
			server.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			listener, err := tls.Listen("tcp", m.list["b"], identity.tlsConfig())
			if err != nil {
				t.Fatal(err)
			}
			go server.Serve(listener)
			defer server.Close()
			key := test.secret
			if key == "" {
				key = secret
			}
			if said := ask(key); said.err == nil || !strings.Contains(said.err.Error(), test.want) {
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
