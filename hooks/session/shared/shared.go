// Package shared has the sessions of machines that share them in etcd, as each machine's dashboard shows and
// ends them. etcd decides; the PocketBase app of each machine has a copy, so that PocketBase's lists and
// filters, the Sign-ins page and the totals are those of the whole service on every machine.
package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/etcd"
	"plugin-oauth/hooks/session/sqlite"
	"plugin-oauth/internal/etcdtry"
)

// Options are the settings of [Sessions].
type Options struct {
	// Machine and ExchangeTime are those of [etcd.Options].
	Machine      string
	ExchangeTime time.Duration
	// Retention is how long the record of a login stays for the admin after its secrets are gone.
	Retention time.Duration
	// Log is told what the admin should know.
	Log *slog.Logger
}

// Sessions are those that this machine shares with others. Make them with [Open]. They are safe for
// concurrent use.
type Sessions struct {
	// Table is the one of all machines, for [session.New].
	Table *etcd.Table

	local     *sqlite.Table
	copy      *sqlite.Copy
	retention time.Duration
	sweeping  sync.Mutex
}

// Open begins to follow the sessions that a client finds, until Close is called. From now on the local table
// has nothing but the copy of them; what it had under way ends. Its clock, Now, must not change any more.
func Open(client *clientv3.Client, local *sqlite.Table, options Options) *Sessions {
	copied := sqlite.NewCopy(local, options.Retention)
	return &Sessions{
		Table: etcd.New(client, etcd.Options{
			Machine:      options.Machine,
			ExchangeTime: options.ExchangeTime,
			Now:          local.Now,
			Copy:         copied,
			Log:          options.Log,
		}),
		local:     local,
		copy:      copied,
		retention: options.Retention,
	}
}

// Close stops following. The client stays open.
func (s *Sessions) Close() { s.Table.Close() }

// Retention is how long the machines share the row of a login that has expired, for [session.Options].
func (s *Sessions) Retention() time.Duration { return min(s.retention, session.SharedRetention) }

// copyTime bounds how long something waits for the copy, which otherwise shows what it has.
const copyTime = time.Second

// Report reports on the logins of all machines.
func (s *Sessions) Report(ctx context.Context, request sqlite.ReportRequest) (session.Report, error) {
	if err := s.count(ctx); err != nil {
		return session.Report{}, err
	}
	return s.local.Report(ctx, request)
}

// count adds up what the copy has, up to this moment if etcd answers.
func (s *Sessions) count(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, copyTime)
	defer cancel()
	_ = s.Table.AwaitCopy(waiting) // the copier says why it lags
	return s.copy.Sweep(ctx)
}

// Sweep adds up the hours, lets the other machines know, learns of those that this one has missed, and
// removes the records whose retention is over. Call it every minute, after [session.Sessions.Sweep].
func (s *Sessions) Sweep(ctx context.Context) error {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	if err := s.count(ctx); err != nil {
		return fmt.Errorf("the copy of the sign-ins for the dashboard: %w", err)
	}
	now := s.local.Now()
	own, err := s.copy.Totals(ctx, s.Table.TotalsSince(now))
	if err != nil {
		return err
	}
	better, err := s.Table.ShareTotals(ctx, own, now)
	if err != nil {
		return err
	}
	return s.copy.Raise(ctx, better)
}

// Cancel ends a session for the admin on whatever machine it is, and reports whether it was under way. It
// fails with an answer for the dashboard if most of the machines cannot be reached.
func (s *Sessions) Cancel(ctx context.Context, id string) (cancelled bool, err error) {
	cancelled, err = s.Table.Cancel(ctx, id, session.CancelledByAdmin(), s.local.Now())
	return cancelled, forAdmin(err)
}

// RecordDeleted ends the login of a record that an admin deletes, and deletes the record on all machines. If
// most of them cannot be reached, it deletes nothing and says so. Bind it to the app's
// OnRecordDelete("sessions").
func (s *Sessions) RecordDeleted(e *core.RecordEvent) error {
	return s.copy.RecordDeleted(e, func(ctx context.Context, id string) error {
		return forAdmin(s.Table.Delete(ctx, id, session.CancelledByAdmin(), s.local.Now()))
	})
}

// forAdmin returns an error as PocketBase's dashboard shows it.
func forAdmin(err error) error {
	if !errors.Is(err, etcdtry.ErrUnavailable) {
		return err
	}
	const words = "Most of the machines cannot be reached, so nothing was ended or deleted. " +
		"Try again in a minute."
	return router.NewApiError(http.StatusServiceUnavailable, words, nil)
}
