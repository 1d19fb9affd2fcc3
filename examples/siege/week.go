package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"golang.org/x/sync/errgroup"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sqlite"
	"plugin-oauth/internal/testkit"
)

const (
	// The default AUTHORIZE_RATE_LIMIT lets a /64 of IPv6 start 60 logins in a minute, and a /48 ten times as
	// many.
	startsOfNetwork, networksOfSite = 60, 10

	// together is how many logins are started at the same time.
	together = 64

	// folderSize is what the data folder may have at the end, and volumeSize is where a simulation gives up,
	// in MB.
	folderSize, volumeSize = 200, 1024

	// simulationLimit is how long the simulations may take.
	simulationLimit = time.Hour
)

// week simulates floods of logins at the default limits from one IPv6 /48. No time can be moved in the
// program itself, so each is a table of sessions in this process, with a clock of its own, swept each minute.
func (s *siege) week() error {
	simulations := []*simulation{
		{name: "logins that never came back"},
		{name: "logins that came back with a junk code", failure: &junkCode},
	}
	defer func() {
		for _, one := range simulations {
			one.close()
		}
	}()
	for _, one := range simulations { // in turn: PocketBase sorts its list of migrations in place
		var err error
		if one.dir, err = os.MkdirTemp(s.dir, "simulation"); err != nil {
			return err
		}
		one.began = time.Now().Truncate(time.Hour)
		if err := one.open(); err != nil {
			return err
		}
	}
	s.progress("week: simulating %s", s.simulated)
	var group errgroup.Group
	for _, one := range simulations {
		group.Go(func() error { return one.run(s) })
	}
	err := group.Wait()
	for _, one := range simulations {
		s.report.add(row{
			name:   one.name + ": the folder",
			figure: &one.size,
			unit:   "MB",
			bound:  atMost(folderSize),
			note:   one.note(s.simulated),
		})
	}
	return err
}

// simulation is a service of which only the sessions are there.
type simulation struct {
	name string

	// failure is how the logins fail when the browsers come back. Nil: they do not come back.
	failure *session.Failure

	dir   string
	began time.Time // when it begins, in simulated time

	app      core.App
	sessions *session.Sessions
	minutes  atomic.Int64 // of simulated time

	// started is how many logins have started in this minute, each a millisecond after the last: the time
	// tells their ids apart.
	started atomic.Int64

	logins int
	size   float64 // of the folder, in MB
	ended  string  // why it ended early, if it did
}

// open opens the table of sessions on its folder, which is empty.
func (one *simulation) open() error {
	one.app = core.NewBaseApp(core.BaseAppConfig{DataDir: one.dir, DBConnect: sqlite.Connect})
	if err := testkit.Bootstrap(one.app); err != nil {
		return err
	}
	if err := one.app.RunAllMigrations(); err != nil {
		return err
	}
	// What an fsync costs is of no interest here, and does not change the size.
	if _, err := one.app.NonconcurrentDB().NewQuery("PRAGMA synchronous=OFF").Execute(); err != nil {
		return err
	}
	table, err := sqlite.New(one.app)
	if err != nil {
		return err
	}
	now := func() time.Time {
		return one.began.Add(one.elapsed() + time.Duration(one.started.Load())*time.Millisecond)
	}
	table.Now = now
	one.sessions = session.New(table, session.Options{
		TTL:       10 * time.Minute,
		Retention: 168 * time.Hour,
		Now:       now,
	})
	return nil
}

// close removes the simulation with its folder.
func (one *simulation) close() {
	if one.app != nil {
		_ = one.app.ClearBootstrap() // the folder goes anyway
		_ = os.RemoveAll(one.dir)
	}
}

// run lets the time pass.
func (one *simulation) run(s *siege) error {
	ctx := context.Background()
	began := time.Now()
	for one.elapsed() < s.simulated {
		if err := one.minute(ctx, networksOfSite); err != nil {
			return err
		}
		var err error
		if one.size, err = sizeOf(one.dir); err != nil {
			return err
		}
		if one.minutes.Load()%(6*60) == 0 {
			s.progress("week: %s, %d %s, %.0f MB", one.elapsed(), one.logins, one.name, one.size)
		}
		if one.size > volumeSize {
			one.ended = "the volume of 1 GB was full"
			return nil
		}
		if time.Since(began) > simulationLimit {
			one.ended = "it takes too long"
			return fmt.Errorf("in %s no more than %s can be simulated", simulationLimit, one.elapsed())
		}
	}
	return nil
}

func (one *simulation) elapsed() time.Duration {
	return time.Duration(one.minutes.Load()) * time.Minute
}

// minute starts all logins that the limits allow some networks in a minute, and lets the minute pass.
func (one *simulation) minute(ctx context.Context, networks int) error {
	site := netip.MustParsePrefix("2001:db8::/48").Addr().As16()
	origin := "https://" + strings.Repeat("a.", 123) + "a" // as long as it is stored
	var group errgroup.Group
	group.SetLimit(together)
	for i := range startsOfNetwork * networks {
		address := site
		address[7] = byte(i % networks)
		request := session.StartRequest{
			Origin:  origin,
			Network: netip.PrefixFrom(netip.AddrFrom16(address), 64),
		}
		group.Go(func() error { return one.startLogin(ctx, request) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	one.logins += startsOfNetwork * networks
	one.minutes.Add(1)
	one.started.Store(0)
	_, err := one.sessions.Sweep(ctx)
	return err
}

// junkCode is what becomes of a login that comes back with a code that the provider refuses.
var junkCode = session.Failure{
	Status:      session.StatusFailed,
	Code:        "invalid_grant",
	Description: "The sign-in took too long, or was used before. Please start again.",
	Cause:       "the provider answered 400 invalid_grant",
}

// startLogin starts a login. If its browser comes back, it fails.
func (one *simulation) startLogin(ctx context.Context, request session.StartRequest) error {
	one.started.Add(1)
	owner := session.Owner{Fingerprint: []byte("siege")}
	started, err := one.sessions.Start(ctx, owner, request)
	if err != nil || one.failure == nil {
		return err
	}
	pending, err := one.sessions.Consume(ctx, owner, started.State)
	if err != nil {
		return err
	}
	_, err = one.sessions.Fail(ctx, pending.ID, *one.failure)
	return err
}

// note says how much was simulated.
func (one *simulation) note(wanted time.Duration) string {
	note := fmt.Sprintf("%d logins in %s", one.logins, one.elapsed())
	if one.ended != "" {
		note += fmt.Sprintf(" of %s: %s", wanted, one.ended)
	}
	return note
}
