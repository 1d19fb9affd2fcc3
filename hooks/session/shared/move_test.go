package shared_test

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/etcd"
	"plugin-oauth/hooks/session/sqlite"
	"plugin-oauth/internal/etcdtest"
	"plugin-oauth/internal/testkit"
)

// startAlone starts a machine that shares nothing, on the data that it has.
func (m *machine) startAlone() *sqlite.Table {
	m.t.Helper()
	table, err := sqlite.New(m.app)
	if err != nil {
		m.t.Fatal(err)
	}
	table.Now = m.clock
	m.sessions = session.New(table, session.Options{
		TTL: 10 * time.Minute, Retention: retention, Now: m.clock,
	})
	if err := m.sessions.Resume(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	return table
}

// stages are logins of which each has come further than the one before.
type stages struct{ pending, exchanged, ready, kept, failed, claimed, expired session.Started }

func (m *machine) everyStage() (at stages) {
	m.t.Helper()
	at.expired = m.begin(owner)
	m.advance(10 * time.Minute)
	at.pending, at.exchanged, at.ready = m.begin(owner), m.begin(owner), m.begin(other)
	at.kept, at.failed, at.claimed = m.begin(owner), m.begin(owner), m.begin(owner)
	m.redirect(owner, at.exchanged)
	m.complete(other, at.ready)
	m.complete(owner, at.kept)
	claim, err := m.sessions.Claim(m.t.Context(), owner, at.kept.ReadKey)
	if err == nil {
		err = claim.Keep(m.t.Context())
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.fail(m.redirect(owner, at.failed).ID, session.StatusFailed)
	m.complete(owner, at.claimed)
	m.claim(owner, at.claimed)
	return at
}

// allStages is what everyStage amounts to in the end.
const allStages = "/ started 6 redirected 5 finished 3 claimed 3 denied 0 failed 2 expired 1\n" +
	"other started 1 redirected 1 finished 1 claimed 1 denied 0 failed 0 expired 0"

// expectStages checks that each login goes on as it would have.
func (m *machine) expectStages(at stages) {
	m.t.Helper()
	fails := func(what string, started session.Started, want string) {
		m.t.Helper()
		_, err := m.sessions.Claim(m.t.Context(), owner, started.ReadKey)
		if err == nil || err.Error() != want {
			m.t.Errorf("%s: %v; want %s", what, err, want)
		}
	}
	fails("pending", at.pending, session.ErrPending.Error())
	fails("exchanged", at.exchanged, "server_error: The sign-in was interrupted. Please start again.")
	fails("failed", at.failed, "invalid_scope: The scope is wrong.")
	fails("claimed", at.claimed, session.ErrUnknown.Error())
	fails("expired", at.expired, session.ErrExpired.Error())
	_, err := m.sessions.Consume(m.t.Context(), owner, at.claimed.State)
	if !errors.Is(err, session.ErrUsed) {
		m.t.Errorf("a state that was used: %v", err)
	}
	m.complete(owner, at.pending)
	m.claim(owner, at.pending)
	m.claim(other, at.ready)
	m.claim(owner, at.kept)
	fails("pending, twice", at.pending, session.ErrUnknown.Error())
	fails("ready, twice", at.ready, session.ErrUnknown.Error())
	fails("kept, twice", at.kept, session.ErrUnknown.Error())
}

// always holds.
var always = clientv3.Compare(clientv3.CreateRevision("never"), "=", 0)

// bring brings what a machine has that was alone, which fails after some sessions.
func (m *machine) bring(local *sqlite.Table, while clientv3.Cmp, failure error) error {
	m.t.Helper()
	client := etcdtest.Connect(m.t, m.prefix)
	return local.MoveOut(m.t.Context(), m.clock(), func(some []session.Moved) error {
		held, err := etcd.MoveIn(m.t.Context(), client, m.name, some, while)
		if err == nil && !held {
			return errNotHeld
		}
		return errors.Join(err, failure)
	})
}

var errNotHeld = errors.New("the condition does not hold")

// countSecrets returns how many records have something secret.
func (m *machine) countSecrets() string {
	return m.column("SELECT count(*) FROM sessions WHERE readKeyHash IS NOT NULL OR sealed IS NOT NULL")
}

// A machine that was alone brings all that is under way to the others, though it is killed meanwhile. Nothing
// is given or counted twice.
func TestMoveIn(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := &machine{service: s, name: "a", app: testkit.OpenApp(t)}
	local := a.startAlone()
	at := a.everyStage()
	if _, err := a.sessions.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	never := clientv3.Compare(clientv3.CreateRevision("never"), "!=", 0)
	if err := a.bring(local, never, nil); !errors.Is(err, errNotHeld) {
		t.Fatalf("though the condition does not hold: %v", err)
	}
	killed := errors.New("killed")
	if err := a.bring(local, always, killed); !errors.Is(err, killed) || a.countSecrets() != "7" {
		t.Fatalf("after a kill %s records have something secret, and the error is %v", a.countSecrets(), err)
	}
	if err := a.bring(local, always, nil); err != nil || a.countSecrets() != "0" {
		t.Fatalf("then %s records have something secret, and the error is %v", a.countSecrets(), err)
	}
	a.start()
	machines := append(s.machines("b", "c"), a)
	machines[0].expectStages(at)
	for _, m := range machines {
		m.expectTotals(allStages)
	}
}

// goAlone brings what machines share to one of them, as if all had been stopped.
func (m *machine) goAlone(change func(session.Moved) session.Moved) {
	m.t.Helper()
	client := etcdtest.Connect(m.t, m.prefix)
	err := etcd.MoveOut(m.t.Context(), client, func(some []session.Moved) error {
		for i := range some {
			some[i] = change(some[i])
		}
		return sqlite.MoveIn(context.Background(), m.app.NonconcurrentDB(), some, m.clock())
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

// A machine that goes on alone takes along all that is under way, also if it does so twice since it was
// killed. What it has given since is not given again.
func TestMoveOut(t *testing.T) {
	t.Parallel()
	s := newService(t)
	machines := s.machines("a", "b", "c")
	a, b := machines[0], machines[1]
	at := a.everyStage()
	b.ids(7)
	for _, m := range machines {
		m.shared.Close()
	}
	asItIs := func(m session.Moved) session.Moved { return m }
	b.goAlone(asItIs)
	b.goAlone(asItIs)
	b.startAlone()
	b.expectStages(at)
	b.goAlone(asItIs)
	b.startAlone()
	for _, given := range []session.Started{at.pending, at.kept, at.claimed} {
		_, err := b.sessions.Claim(t.Context(), owner, given.ReadKey)
		if !errors.Is(err, session.ErrUnknown) {
			t.Errorf("claimed again: %v", err)
		}
	}
	if _, err := b.sessions.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.totals(); got != allStages {
		t.Errorf("the totals are\n%s\nwant\n%s", got, allStages)
	}
	s.advance(retention + 20*time.Minute)
	for range 2 {
		if _, err := b.sessions.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rows := b.rows(); rows != "" || b.totals() != allStages {
			t.Errorf("later there are\n%s\nand the totals are\n%s", rows, b.totals())
		}
		b.goAlone(asItIs)
	}
}

// A machine that does not know whether tokens were given does not give them. The rest goes on.
func TestMoveOutWithoutTokens(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.machines("a")[0]
	at := a.everyStage()
	a.shared.Close()
	a.goAlone(session.Moved.WithoutTokens)
	a.startAlone()
	_, err := a.sessions.Claim(t.Context(), other, at.ready.ReadKey)
	failure, failed := errors.AsType[*session.Failure](err)
	if !failed || failure.Code != "server_error" {
		t.Errorf("ready: %v", err)
	}
	if _, err := a.sessions.Claim(t.Context(), owner, at.kept.ReadKey); !errors.Is(err, session.ErrUnknown) {
		t.Errorf("kept: %v", err)
	}
	a.complete(owner, at.pending)
	a.claim(owner, at.pending)
	if sealed := a.column("SELECT id FROM sessions WHERE sealed IS NOT NULL"); sealed != "" {
		t.Errorf("sealed tokens are left of %s", sealed)
	}
}
