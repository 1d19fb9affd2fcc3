package session_test

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
	"weak"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sessiontest"
	"plugin-oauth/internal/fair"
)

var owner = session.Owner{Slug: "sheets", Fingerprint: []byte("fingerprint")}

var request = session.StartRequest{Tenant: "my-store", Network: netip.MustParsePrefix("192.0.2.1/32")}

var response = []byte(`{"access_token":"AT"}`)

// service is the sessions of one process, with a clock that the test sets.
type service struct {
	*session.Sessions
	t *testing.T

	mu       sync.Mutex
	now      time.Time
	outcomes []session.Outcome
}

// open starts a process on a store.
func open(t *testing.T, store *sessiontest.Memory, options session.Options) *service {
	return openTable(t, store.Open(t), options)
}

func openTable(t *testing.T, table session.Table, options session.Options) *service {
	s := &service{t: t, now: time.Now()}
	options.TTL, options.Retention = 10*time.Minute, time.Hour
	options.Now = s.clock
	options.OnOutcome = func(outcome session.Outcome) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.outcomes = append(s.outcomes, outcome)
	}
	s.Sessions = session.New(table, options)
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *service) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *service) advance(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(by)
}

func (s *service) start() session.Started {
	s.t.Helper()
	started, err := s.Start(s.t.Context(), owner, request)
	if err != nil {
		s.t.Fatal(err)
	}
	return started
}

func (s *service) consume(started session.Started) session.Pending {
	s.t.Helper()
	pending, err := s.Consume(s.t.Context(), owner, started.State)
	if err != nil {
		s.t.Fatal(err)
	}
	return pending
}

// login is one whose tokens wait to be claimed.
func (s *service) login() session.Started {
	s.t.Helper()
	started := s.start()
	if err := s.Complete(s.t.Context(), s.consume(started), response); err != nil {
		s.t.Fatal(err)
	}
	return started
}

func (s *service) expectClaim(readKey string, want error) {
	s.t.Helper()
	if _, err := s.Claim(s.t.Context(), owner, readKey); !errors.Is(err, want) {
		s.t.Errorf("the claim: %v, want %v", err, want)
	}
}

// While a login is under way, only its own names are kept of the request that began it, not the request.
func TestStartKeepsNoRequest(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{})
	query := strings.Repeat("tenant-origin", 1000)
	sent := weak.Make(unsafe.StringData(query))
	started, err := s.Start(t.Context(), owner, session.StartRequest{Tenant: query[:6], Origin: query[7:13]})
	if err != nil {
		t.Fatal(err)
	}
	query = ""
	runtime.GC()
	if sent.Value() != nil {
		t.Error("the request is still in memory")
	}
	if got := s.consume(started).Tenant; got != "tenant" {
		t.Errorf("the tenant is %q", got)
	}
}

// A whole login, with what each step says before and after it.
func TestLogin(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{})
	started := s.start()
	s.expectClaim(started.ReadKey, session.ErrPending)
	peeked, err := s.Peek(t.Context(), owner, started.State)
	if err != nil {
		t.Fatal(err)
	}
	pending := s.consume(started)
	for _, got := range []session.Pending{peeked, pending} {
		if got.ID == "" || got.Tenant != request.Tenant || got.Verifier() != started.Verifier ||
			!got.Expires.Equal(started.Expires) || !got.Created.Equal(started.Expires.Add(-10*time.Minute)) {
			t.Errorf("the session is %+v", got)
		}
		if got.Elsewhere(request.Network) || !got.Elsewhere(netip.MustParsePrefix("192.0.2.2/32")) {
			t.Error("it is not known where the login was started")
		}
	}
	if (session.Pending{}).Elsewhere(request.Network) {
		t.Error("a login without a network was started elsewhere")
	}
	if _, err := s.Peek(t.Context(), owner, started.State); !errors.Is(err, session.ErrUsed) {
		t.Errorf("a state that was used: %v", err)
	}
	if err := s.Complete(t.Context(), pending, response); err != nil {
		t.Fatal(err)
	}
	claim, err := s.Claim(t.Context(), owner, started.ReadKey)
	if err != nil || string(claim.Tokens) != string(response) || claim.SessionID != pending.ID {
		t.Fatalf("claimed %+v, %v", claim, err)
	}
	s.expectClaim(started.ReadKey, session.ErrTaken)
	if err := claim.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if claim, err = s.Claim(t.Context(), owner, started.ReadKey); err != nil {
		t.Fatal(err)
	}
	if err := claim.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.expectClaim(started.ReadKey, session.ErrUnknown)
	if len(s.outcomes) != 1 || s.outcomes[0].Session != pending.ID ||
		s.outcomes[0].Status != session.StatusClaimed {
		t.Errorf("told %+v", s.outcomes)
	}
}

// What a stranger sends is looked up only if it may be a key.
// A browser that comes back once more learns what became of the login, and waits for that while its code is
// exchanged.
func TestRevisit(t *testing.T) {
	t.Parallel()
	refusal := session.Failure{Status: session.StatusFailed, Code: "invalid_client", Description: "No."}
	for name, test := range map[string]struct {
		end  func(s *service, started session.Started, pending session.Pending) error
		want session.Row
		err  error
	}{
		"success": {
			end: func(s *service, _ session.Started, pending session.Pending) error {
				return s.Complete(t.Context(), pending, response)
			},
			want: session.Row{Status: session.StatusReady},
		},
		"claimed": {
			end: func(s *service, started session.Started, pending session.Pending) error {
				if err := s.Complete(t.Context(), pending, response); err != nil {
					return err
				}
				claim, err := s.Claim(t.Context(), owner, started.ReadKey)
				if err != nil {
					return err
				}
				return claim.Ack(t.Context())
			},
			want: session.Row{Status: session.StatusClaimed},
		},
		"failure": {
			end: func(s *service, _ session.Started, pending session.Pending) error {
				_, err := s.Fail(t.Context(), pending.ID, refusal)
				return err
			},
			want: session.Row{Status: refusal.Status, Code: refusal.Code, Description: refusal.Description},
		},
		"too late": {
			end: func(s *service, _ session.Started, _ session.Pending) error {
				s.advance(10 * time.Minute)
				_, err := s.Sweep(t.Context())
				return err
			},
			err: session.ErrExpired,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := open(t, sessiontest.NewMemory(), session.Options{})
				started := s.start()
				pending := s.consume(started)
				type visit struct {
					row session.Row
					err error
				}
				var waited visit
				go func() {
					waited.row, waited.err = s.Revisit(t.Context(), owner, started.State)
				}()
				synctest.Wait()
				if waited.err != nil || waited.row.Status != "" {
					t.Fatalf("it does not wait: %+v, %v", waited.row, waited.err)
				}
				if err := test.end(s, started, pending); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				var again visit
				again.row, again.err = s.Revisit(t.Context(), owner, started.State)
				for _, got := range []visit{waited, again} {
					got.row = session.Row{
						Status: got.row.Status, Code: got.row.Code, Description: got.row.Description,
					}
					// Who waited may have been told before the plugin claimed the tokens.
					if test.want.Status == session.StatusClaimed && got.row.Status == session.StatusReady {
						got.row.Status = session.StatusClaimed
					}
					if !errors.Is(got.err, test.err) || !reflect.DeepEqual(got.row, test.want) {
						t.Errorf("got %+v, %v", got.row, got.err)
					}
				}
			})
		})
	}
}

// Nobody waits longer than the context says, nor for the login of another plugin.
func TestRevisitInVain(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{})
	started := s.start()
	s.consume(started)
	leaving, leave := context.WithCancel(t.Context())
	leave()
	other := session.Owner{Slug: "other", Fingerprint: owner.Fingerprint}
	for name, test := range map[string]struct {
		owner session.Owner
		state string
		err   error
	}{
		"who leaves":     {owner: owner, state: started.State, err: session.ErrPending},
		"another plugin": {owner: other, state: started.State, err: session.ErrUnknown},
		"unknown":        {owner: owner, state: started.ReadKey, err: session.ErrUnknown},
		"too long":       {owner: owner, state: strings.Repeat("s", 10_000), err: session.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Revisit(leaving, test.owner, test.state); !errors.Is(err, test.err) {
				t.Errorf("got %v, want %v", err, test.err)
			}
		})
	}
}

func TestKeysThatAreTooLong(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{})
	ended, end := context.WithCancel(t.Context())
	end() // so that the table answers with another error
	for length, want := range map[int]error{256: context.Canceled, 257: session.ErrUnknown} {
		key := strings.Repeat("x", length)
		_, peek := s.Peek(ended, owner, key)
		_, consume := s.Consume(ended, owner, key)
		_, claim := s.Claim(ended, owner, key)
		for _, err := range []error{peek, consume, claim} {
			if !errors.Is(err, want) {
				t.Errorf("%d bytes: %v, want %v", length, err, want)
			}
		}
		if _, found := s.FindPending(owner, key); found {
			t.Errorf("%d bytes are a read key", length)
		}
	}
}

// startFrom starts a login from the site with this number.
func (s *service) startFrom(site int) session.Started {
	s.t.Helper()
	return s.startOf(0, site)
}

// startOf starts a login from the region and the site with these numbers.
func (s *service) startOf(region, site int) session.Started {
	s.t.Helper()
	from := request
	address := netip.AddrFrom4([4]byte{10, byte(region), 0, byte(site)})
	from.Source.Network, from.Source.Site = netip.PrefixFrom(address, 32), netip.PrefixFrom(address, 32)
	from.Source.Region = netip.PrefixFrom(address, 16).Masked()
	started, err := s.Start(s.t.Context(), owner, from)
	if err != nil {
		s.t.Fatal(err)
	}
	return started
}

// expectUnderWay checks whether a login is under way, or expired early.
func (s *service) expectUnderWay(what string, started session.Started, want bool) {
	s.t.Helper()
	_, pending := s.FindPending(owner, started.ReadKey)
	_, err := s.Peek(s.t.Context(), owner, started.State)
	if want != pending || want != (err == nil) {
		s.t.Errorf("%s: in memory: %t, its state: %v", what, pending, err)
	}
	if want {
		s.expectClaim(started.ReadKey, session.ErrPending)
	} else {
		s.expectClaim(started.ReadKey, session.ErrExpired)
	}
}

// When there is no room, the oldest login that never came back from the provider expires early, and is told
// so.
func TestPendingLoginsAreBounded(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: 3})
	used, oldest, other := s.start(), s.start(), s.start()
	pending := s.consume(used)
	login, found := s.FindPending(owner, oldest.ReadKey)
	if !found {
		t.Fatal("the oldest is not under way")
	}
	last := s.start()
	<-login.Ended()
	s.expectUnderWay("the oldest", oldest, false)
	s.expectUnderWay("another", other, true)
	s.expectUnderWay("the last", last, true)
	if len(s.outcomes) != 1 || s.outcomes[0].Status != session.StatusExpired ||
		!s.outcomes[0].Ended.Equal(s.clock()) {
		t.Errorf("told %+v", s.outcomes)
	}
	if err := s.Complete(t.Context(), pending, response); err != nil {
		t.Errorf("the one that came back: %v", err)
	}
}

// A login that has come back from the provider is never ended for another one.
func TestLoginsThatCameBackStay(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: 3})
	var last session.Pending
	for range 3 {
		last = s.consume(s.start())
	}
	for range 2 {
		_, err := s.Start(t.Context(), owner, request)
		if !errors.Is(err, session.ErrFull) || s.PendingCount() != 3 {
			t.Errorf("with %d logins under way: %v", s.PendingCount(), err)
		}
	}
	if ended, err := s.Cancel(t.Context(), last.ID); err != nil || !ended {
		t.Fatal(ended, err)
	}
	s.start()
}

// A flood from 20 sites neither refuses a start from elsewhere nor ends a login that began there before.
func TestFloodEndsItsOwnLogins(t *testing.T) {
	t.Parallel()
	const sites, capacity = 20, 100
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: capacity})
	before := s.startFrom(100)
	var flood []session.Started
	for i := range 3 * capacity {
		flood = append(flood, s.startFrom(i%sites))
	}
	// As many as each of the others has by now.
	others := []session.Started{before}
	for range 4 {
		others = append(others, s.startFrom(101))
	}
	for i := range 3 * capacity {
		flood = append(flood, s.startFrom(i%sites))
	}
	for _, other := range others {
		s.expectUnderWay("a login from elsewhere", other, true)
	}
	if count := s.PendingCount(); count != capacity {
		t.Errorf("%d logins are under way", count)
	}
	kept := capacity - len(others)
	for _, ended := range flood[:len(flood)-kept-sites] {
		s.expectUnderWay("an older one of the flood", ended, false)
	}
	for _, stays := range flood[len(flood)-kept+sites:] {
		s.expectUnderWay("a later one of the flood", stays, true)
	}
	if err := s.Complete(t.Context(), s.consume(before), response); err != nil {
		t.Error(err)
	}
	if _, err := s.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
}

// A flood on one machine ends no login that others have started, and one there ends its own only: no machine
// knows from which networks the logins of another come.
func TestFloodEndsNoLoginOfAnotherMachine(t *testing.T) {
	t.Parallel()
	const capacity = 10
	store := sessiontest.NewMemory()
	a := openTable(t, store.Open(t), session.Options{Machine: "a", MaxPending: capacity})
	b := openTable(t, store.Join(t), session.Options{Machine: "b", MaxPending: capacity})
	before := map[*service]session.Started{a: a.startFrom(100), b: b.startFrom(101)}
	for _, flooded := range []*service{a, b} {
		for i := range 3 * capacity {
			flooded.startFrom(i % 3)
		}
	}
	for _, s := range []*service{a, b} {
		if count := s.PendingCount(); count != 2*capacity {
			t.Errorf("%d logins are under way", count)
		}
	}
	for at, login := range before {
		for _, s := range []*service{a, b} {
			s.expectUnderWay("a login from elsewhere", login, true)
		}
		if err := at.Complete(t.Context(), at.consume(login), response); err != nil {
			t.Error(err)
		}
	}
	// The room of a machine is its own again once its logins have ended.
	a.startFrom(102)
	if count := a.PendingCount(); count != 2*capacity-1 {
		t.Errorf("%d logins are under way", count)
	}
}

// startIn starts a login from a network of a /48 of IPv6.
func (s *service) startIn(network int) session.Started {
	s.t.Helper()
	from := request
	from.Source.Site = netip.MustParsePrefix("2001:db8:7::/48")
	address := from.Source.Site.Addr().As16()
	address[7] = byte(network)
	from.Source.Network = netip.PrefixFrom(netip.AddrFrom16(address), 64)
	started, err := s.Start(s.t.Context(), owner, from)
	if err != nil {
		s.t.Fatal(err)
	}
	return started
}

// A flood from some networks of a site ends no login of their neighbors there, whoever needs the room.
func TestFloodEndsNoLoginOfANeighbor(t *testing.T) {
	t.Parallel()
	const networks, capacity = 10, 100
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: capacity})
	neighbors := []session.Started{s.startIn(99), s.startIn(99)}
	elsewhere := s.startFrom(1)
	for i := range 2 * capacity {
		s.startIn(i % networks)
	}
	// The neighbor and others need room, too.
	neighbors = append(neighbors, s.startIn(99), s.startIn(98))
	others := []session.Started{elsewhere, s.startFrom(1), s.startFrom(2)}
	for i := range capacity {
		s.startIn(i % networks)
	}
	for _, login := range neighbors {
		s.expectUnderWay("a login of a neighbor", login, true)
	}
	for _, login := range others {
		s.expectUnderWay("a login from elsewhere", login, true)
	}
	if count := s.PendingCount(); count != capacity {
		t.Errorf("%d logins are under way", count)
	}
}

// A network that has as many logins as another of its site would then have loses none to it.
func TestEqualNeighborsLoseTheirOwn(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: 5})
	before := []session.Started{s.startIn(1), s.startIn(1), s.startIn(1)}
	for range 6 {
		s.startIn(2)
	}
	for _, login := range before {
		s.expectUnderWay("a login of a neighbor", login, true)
	}
}

// A site that has as many logins as another would then have loses none to it.
func TestEqualSitesLoseTheirOwn(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: 5})
	before := []session.Started{s.startFrom(1), s.startFrom(1), s.startFrom(1)}
	for range 6 {
		s.startFrom(2)
	}
	for _, login := range before {
		s.expectUnderWay("a login from elsewhere", login, true)
	}
}

// Of sites that have as many logins each, the one that has had some for the longest loses one: however many
// sites a flood comes from, a login has time to be finished.
func TestEqualSitesLoseTheOldest(t *testing.T) {
	t.Parallel()
	const capacity = 50
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: capacity})
	var flood []session.Started
	for site := range capacity {
		flood = append(flood, s.startFrom(site))
	}
	login := s.startFrom(100)
	for i := range capacity - 1 {
		s.startFrom(101 + i)
		s.expectUnderWay("of the flood", flood[1+i], false)
	}
	s.expectUnderWay("another's", login, true)
}

// Of sites that have as many logins each, one of the region with the most sites loses one. So whoever has all
// networks of a provider ends no login elsewhere.
func TestFloodOfARegionEndsNoLoginElsewhere(t *testing.T) {
	t.Parallel()
	const capacity = 50
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: capacity})
	elsewhere := []session.Started{s.startOf(1, 1), s.startOf(1, 2), s.startOf(2, 1)}
	var flood []session.Started
	for i := range 3 * capacity {
		flood = append(flood, s.startOf(9, i))
	}
	elsewhere = append(elsewhere, s.startOf(2, 2), s.startOf(3, 1))
	for _, login := range elsewhere {
		s.expectUnderWay("a login of another region", login, true)
	}
	kept := capacity - len(elsewhere)
	s.expectUnderWay("the latest but for those", flood[len(flood)-kept], true)
	s.expectUnderWay("the one before", flood[len(flood)-kept-1], false)
	for _, login := range flood[len(flood)-kept:] {
		s.consume(login)
	}
	s.startOf(4, 1)
	s.expectUnderWay("the oldest of the region with the most sites", elsewhere[0], false)
}

// An office with several logins loses none to somebody who has all sites of a region, with one login from
// each, whoever needs the room.
func TestFloodOfARegionEndsNoLoginOfAnOffice(t *testing.T) {
	t.Parallel()
	const capacity = 50
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: capacity})
	office := []session.Started{s.startOf(1, 1), s.startOf(1, 1), s.startOf(1, 2)}
	for i := range 2 * capacity {
		s.startOf(9, i)
	}
	office = append(office, s.startOf(1, 1), s.startOf(1, 1))
	for _, login := range office {
		s.expectUnderWay("a login of the office", login, true)
	}
	if count := s.PendingCount(); count != capacity {
		t.Errorf("%d logins are under way", count)
	}
}

// The many customers of one provider lose none to a few sites elsewhere that have several each, though there
// are more of them than of each flood. Nor do they if some of them share an address, as long as each address
// has less than those of the flood.
func TestFloodOfSitesEndsNoLoginOfCustomers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ customers, shared, last int }{
		"an address each":  {customers: 20, shared: 1, last: 20},
		"shared addresses": {customers: 18, shared: 3, last: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const capacity = 50
			s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: capacity})
			var customers []session.Started
			for i := range test.customers {
				customers = append(customers, s.startOf(1, i/test.shared))
			}
			for i := range 2 * capacity {
				s.startOf(2+i%5, 1)
			}
			customers = append(customers, s.startOf(1, test.last))
			for _, login := range customers {
				s.expectUnderWay("a login of a customer", login, true)
			}
		})
	}
}

// A flood from all sites of a region, with several logins from each, ends none of a neighbor there that has
// less, whoever needs the room.
func TestFloodOfARegionEndsNoLoginOfASmallerSite(t *testing.T) {
	t.Parallel()
	const capacity, each = 50, 3
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: capacity})
	neighbor := []session.Started{s.startOf(9, 0)}
	for i := range 2 * capacity {
		s.startOf(9, 1+i%(capacity/each))
	}
	neighbor = append(neighbor, s.startOf(9, 0))
	for _, login := range neighbor {
		s.expectUnderWay("a login of the neighbor", login, true)
	}
}

// After a restart nobody knows where the logins began, but there is room for others all the same.
func TestRoomAfterARestart(t *testing.T) {
	t.Parallel()
	store := sessiontest.NewMemory()
	s := open(t, store, session.Options{MaxPending: 3})
	oldest, others := s.startFrom(1), []session.Started{s.startFrom(2), s.startFrom(3)}
	s = open(t, store, session.Options{MaxPending: 3})
	others = append(others, s.startFrom(4))
	s.expectUnderWay("the oldest", oldest, false)
	for _, other := range others {
		s.expectUnderWay("another", other, true)
	}
}

// Many starts at once exceed the bound no more than one after the other.
func TestRoomInARace(t *testing.T) {
	t.Parallel()
	// Those that are just starting make no room for others, so they must be fewer than the bound.
	const bound, atOnce = 50, 16
	s := open(t, sessiontest.NewMemory(), session.Options{MaxPending: bound})
	var done sync.WaitGroup
	for worker := range atOnce {
		done.Go(func() {
			for i := range 30 {
				s.startFrom((worker + i) % 7)
				if count := s.PendingCount(); count > bound {
					t.Errorf("%d logins are under way", count)
				}
			}
		})
	}
	done.Wait()
	if count := s.PendingCount(); count != bound {
		t.Errorf("%d logins are left", count)
	}
}

// brokenTable can expire nothing, as a database on a full disk.
type brokenTable struct {
	session.Table
	broken bool
}

var errBroken = errors.New("the disk is full")

func (b *brokenTable) Expire(ctx context.Context, id string, now time.Time) (bool, error) {
	if b.broken {
		return false, errBroken
	}
	return b.Table.Expire(ctx, id, now)
}

// A login that could not be ended for another is the next to go all the same.
func TestRoomThatCannotBeMade(t *testing.T) {
	t.Parallel()
	table := &brokenTable{Table: sessiontest.NewMemory().Open(t), broken: true}
	sessions := session.New(table, session.Options{TTL: time.Minute, MaxPending: 2})
	s := &service{Sessions: sessions, t: t}
	oldest, other := s.start(), s.start()
	for range 3 {
		if _, err := s.Start(t.Context(), owner, request); !errors.Is(err, errBroken) {
			t.Errorf("a start: %v", err)
		}
	}
	table.broken = false
	s.start()
	s.expectUnderWay("the oldest", oldest, false)
	s.expectUnderWay("another", other, true)
}

// countingTable stores nothing. It takes and ends whatever it is given.
type countingTable struct {
	session.Table
	watcher session.Watcher
}

func (c *countingTable) Watch(watcher session.Watcher) { c.watcher = watcher }

func (c *countingTable) Insert(_ context.Context, row session.Row) error {
	c.watcher.Pending(row)
	return nil
}

func (c *countingTable) Expire(_ context.Context, id string, _ time.Time) (bool, error) {
	c.watcher.Woken(id)
	return true, nil
}

// BenchmarkStartWhenFull starts logins from 10,000 sites while 100,000 are under way.
func BenchmarkStartWhenFull(b *testing.B) {
	s := session.New(&countingTable{}, session.Options{TTL: time.Hour})
	started := 0
	start := func() {
		from := request
		site := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(started % 10_000 >> 8),
			byte(started)}), 32)
		from.Source = fair.Source{Network: site, Site: site}
		started++
		if _, err := s.Start(b.Context(), owner, from); err != nil {
			b.Fatal(err)
		}
	}
	for range 100_000 {
		start()
	}
	for b.Loop() {
		start()
	}
	if count := s.PendingCount(); count != 100_000 {
		b.Errorf("%d logins are under way", count)
	}
}

// Of several polls that wait for one login the newest waits on.
func TestReplace(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{})
	login, _ := s.FindPending(owner, s.start().ReadKey)
	first := login.Replace()
	second := login.Replace()
	<-first
	select {
	case <-second:
		t.Error("the newest does not wait")
	default:
	}
	login.Replace()
	<-second
}

// A poll that waits is woken, whichever way the login ends, and nothing of it is kept.
func TestEnded(t *testing.T) {
	t.Parallel()
	failure := session.Failure{
		Status:      session.StatusFailed,
		Code:        "invalid_scope",
		Description: "The scope is wrong.",
		Cause:       "the provider said so",
	}
	for name, test := range map[string]struct {
		end   func(s *service, pending session.Pending) error
		claim error // nil: there are tokens, or a failure
	}{
		"completed": {end: func(s *service, pending session.Pending) error {
			return s.Complete(s.t.Context(), pending, response)
		}},
		"failed": {end: func(s *service, pending session.Pending) error {
			_, err := s.Fail(s.t.Context(), pending.ID, failure)
			return err
		}},
		"cancelled": {end: func(s *service, pending session.Pending) error {
			_, err := s.Cancel(s.t.Context(), pending.ID)
			return err
		}},
		"expired": {claim: session.ErrExpired, end: func(s *service, _ session.Pending) error {
			s.advance(10 * time.Minute)
			_, err := s.Sweep(s.t.Context())
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, sessiontest.NewMemory(), session.Options{})
			started := s.start()
			login, found := s.FindPending(owner, started.ReadKey)
			if !found || !login.Expires().Equal(started.Expires) {
				t.Fatalf("the login is not pending: %+v", login)
			}
			pending := s.consume(started)
			select {
			case <-login.Ended():
				t.Fatal("the poll is woken before the end")
			default:
			}
			if err := test.end(s, pending); err != nil {
				t.Fatal(err)
			}
			select {
			case <-login.Ended():
			default:
				t.Error("the poll is not woken")
			}
			if _, found := s.FindPending(owner, started.ReadKey); found || s.PendingCount() != 0 {
				t.Errorf("%d logins are pending", s.PendingCount())
			}
			_, err := s.Claim(t.Context(), owner, started.ReadKey)
			if told, ok := errors.AsType[*session.Failure](err); ok {
				want := failure
				if name == "cancelled" {
					want = session.CancelledByAdmin()
				}
				if want.Cause = ""; *told != want {
					t.Errorf("the plugin is told %+v, want %+v", told, want)
				}
			} else if !errors.Is(err, test.claim) {
				t.Errorf("the claim: %v, want %v", err, test.claim)
			}
		})
	}
}

// A pending login is found by its own plugin only, and until it expires.
func TestFindPending(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{})
	started := s.start()
	find := func(owner session.Owner, readKey string, want bool) {
		t.Helper()
		if _, found := s.FindPending(owner, readKey); found != want {
			t.Errorf("%s, %s: found is %v", owner.Slug, owner.Fingerprint, found)
		}
	}
	find(owner, started.ReadKey, true)
	find(session.Owner{Slug: "other", Fingerprint: owner.Fingerprint}, started.ReadKey, false)
	find(session.Owner{Slug: owner.Slug, Fingerprint: []byte("another client")}, started.ReadKey, false)
	find(owner, started.State, false)
	s.advance(10*time.Minute - time.Millisecond)
	find(owner, started.ReadKey, true)
	s.advance(time.Millisecond)
	find(owner, started.ReadKey, false)
	s.expectClaim(started.ReadKey, session.ErrExpired)
}

// lookups counts the lookups by state that reach a table.
type lookups struct {
	session.Table
	count int
}

func (l *lookups) ByState(ctx context.Context, owner session.Owner, hash []byte) (session.Row, error) {
	l.count++
	return l.Table.ByState(ctx, owner, hash)
}

// What the question of another network needs is in memory while the state has not been used. Everything else,
// the table is asked.
func TestPeekFromMemory(t *testing.T) {
	t.Parallel()
	store := sessiontest.NewMemory()
	table := &lookups{Table: store.Open(t)}
	s := session.New(table, session.Options{TTL: time.Minute})
	started, err := s.Start(t.Context(), owner, request)
	if err != nil {
		t.Fatal(err)
	}
	pending, err := s.Peek(t.Context(), owner, started.State)
	if err != nil || pending.ID == "" || pending.Tenant != request.Tenant || pending.Created.IsZero() {
		t.Errorf("it finds %+v, %v", pending, err)
	}
	elsewhere := netip.MustParsePrefix("198.51.100.1/32")
	isTheirs := pending.Verifier() == started.Verifier
	if !isTheirs || pending.Elsewhere(request.Network) || !pending.Elsewhere(elsewhere) {
		t.Error("what it finds is not the login that was started")
	}
	if table.count != 0 {
		t.Errorf("the table was asked %d times", table.count)
	}
	other := session.Owner{Slug: "other", Fingerprint: owner.Fingerprint}
	_, err = s.Peek(t.Context(), other, started.State)
	if !errors.Is(err, session.ErrUnknown) || table.count != 1 {
		t.Errorf("another plugin: %v; the table was asked %d times", err, table.count)
	}
	if _, err := s.Consume(t.Context(), owner, started.State); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Peek(t.Context(), owner, started.State); !errors.Is(err, session.ErrUsed) {
		t.Errorf("a state that was used: %v", err)
	}
}

// A sweep of many logins lets polls in between its steps, and leaves those alone that have time left.
func TestSweepInSteps(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{})
	const many = 2_500
	for range many {
		s.start()
	}
	s.advance(time.Minute)
	late := s.start()
	s.advance(9 * time.Minute)
	if _, err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, found := s.FindPending(owner, late.ReadKey); !found || s.PendingCount() != 1 {
		t.Errorf("%d logins are pending", s.PendingCount())
	}
}

// Finding a pending login is what most polls do.
func TestFindPendingAllocatesLittle(t *testing.T) {
	s := open(t, sessiontest.NewMemory(), session.Options{})
	started := s.start()
	allocations := testing.AllocsPerRun(100, func() { s.FindPending(owner, started.ReadKey) })
	if allocations > 2 {
		t.Errorf("it allocates %v times", allocations)
	}
}

// What came of an exchange is told, though the session is gone by then.
func TestCompleteTooLate(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{})
	cancelled, expired := s.consume(s.start()), s.consume(s.start())
	if ended, err := s.Cancel(t.Context(), cancelled.ID); err != nil || !ended {
		t.Fatal(ended, err)
	}
	if err := s.Complete(t.Context(), cancelled, response); !errors.Is(err, session.ErrCancelled) {
		t.Errorf("a session that was cancelled: %v", err)
	}
	s.advance(10 * time.Minute)
	if err := s.Complete(t.Context(), expired, response); !errors.Is(err, session.ErrExpired) {
		t.Errorf("a session that has expired: %v", err)
	}
	// Its end is the sweep's to tell.
	if len(s.outcomes) != 1 {
		t.Errorf("told %+v", s.outcomes)
	}
}

// After a restart polls can wait for what is still pending, and what was cut off has failed, once.
func TestResume(t *testing.T) {
	t.Parallel()
	store := sessiontest.NewMemory()
	before := open(t, store, session.Options{})
	pending, interrupted, ready := before.start(), before.start(), before.login()
	before.consume(interrupted)

	s := open(t, store, session.Options{})
	login, found := s.FindPending(owner, pending.ReadKey)
	if !found || s.PendingCount() != 1 {
		t.Fatalf("%d logins are pending", s.PendingCount())
	}
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, _ := s.FindPending(owner, pending.ReadKey); again != login {
		t.Error("polls that wait are forgotten")
	}
	failure, ok := errors.AsType[*session.Failure](func() error {
		_, err := s.Claim(t.Context(), owner, interrupted.ReadKey)
		return err
	}())
	const description = "The sign-in was interrupted. Please start again."
	if !ok || failure.Code != "server_error" || failure.Description != description {
		t.Errorf("the plugin is told %+v", failure)
	}
	if len(s.outcomes) != 1 || s.outcomes[0].Status != session.StatusFailed || s.outcomes[0].Cause == "" {
		t.Errorf("told %+v", s.outcomes)
	}
	s.expectClaim(ready.ReadKey, nil)
}

// Tokens that do not open are nobody's, and the claim is free again.
func TestClaimThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{})
	started, other := s.start(), s.start()
	// Sealed as a stranger seals them, who swapped the public keys.
	pending, swapped := s.consume(started), s.consume(other)
	swapped.ID = pending.ID
	if err := s.Complete(t.Context(), swapped, response); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := s.Claim(t.Context(), owner, started.ReadKey)
		if err == nil || errors.Is(err, session.ErrTaken) {
			t.Errorf("the claim: %v", err)
		}
	}
}

// slowTable is a table whose claims take longer than they last.
type slowTable struct {
	session.Table
	service *service
}

func (t slowTable) TakeClaim(
	ctx context.Context, owner session.Owner, readKeyHash []byte, now time.Time,
) (session.Hold, error) {
	hold, err := t.Table.TakeClaim(ctx, owner, readKeyHash, now)
	t.service.advance(time.Until(hold.Until) + time.Minute)
	return hold, err
}

// Tokens are not handed out when another may have them by now.
func TestClaimThatTookTooLong(t *testing.T) {
	t.Parallel()
	store := sessiontest.NewMemory()
	s := open(t, store, session.Options{})
	started := s.login()
	slow := session.New(slowTable{Table: store.Join(t), service: s}, session.Options{Now: s.clock})
	if _, err := slow.Claim(t.Context(), owner, started.ReadKey); !errors.Is(err, session.ErrTaken) {
		t.Errorf("the claim: %v", err)
	}
	s.expectClaim(started.ReadKey, nil)
}

// One sweep runs at a time, and does what the retention says.
func TestSweep(t *testing.T) {
	t.Parallel()
	s := open(t, sessiontest.NewMemory(), session.Options{})
	for range 3 {
		s.start()
	}
	sweep := func(want session.Swept) {
		t.Helper()
		if got, err := s.Sweep(t.Context()); err != nil || got != want {
			t.Errorf("swept %+v, %v; want %+v", got, err, want)
		}
	}
	sweep(session.Swept{})
	s.advance(10 * time.Minute)
	sweep(session.Swept{Expired: 3})
	s.advance(time.Hour - time.Millisecond)
	sweep(session.Swept{})
	s.advance(time.Millisecond)
	sweep(session.Swept{Removed: 3})
}

// Who has counted a login further knows more; who has not counted some knows less, whatever else it has.
func TestKnowsMore(t *testing.T) {
	t.Parallel()
	stages := []session.Funnel{
		{},
		{Started: 1},
		{Started: 1, Redirected: 1},
		{Started: 1, Redirected: 1, Finished: 1},
		{Started: 1, Redirected: 1, Denied: 1}, // it was cancelled with its tokens
		{Started: 2, Redirected: 1, Denied: 1},
		{Started: 2, Redirected: 1, Denied: 1, Expired: 1},
	}
	for i, one := range stages {
		for j, other := range stages {
			if got := one.KnowsMore(other); got != (i > j) {
				t.Errorf("%+v knows more than %+v: %t", one, other, got)
			}
		}
	}
}
