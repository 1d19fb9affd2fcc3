package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sessiontest"
	"plugin-oauth/internal/testkit"
)

// store is a data folder. Open closes its database and opens it again, as a restart of the service does.
type store struct{ app core.App }

func (s *store) Open(t *testing.T) session.Table {
	t.Helper()
	if err := testkit.Bootstrap(s.app); err != nil {
		t.Fatal(err)
	}
	table, err := New(s.app)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func (s *store) Join(*testing.T) session.Table { return nil }

func TestTable(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t *testing.T) sessiontest.Store {
		return &store{app: testkit.OpenApp(t)}
	})
}

// Two sessions cannot have one state, whatever made it.
func TestStateIsUnique(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	row := session.Row{ID: "0123456789abcde", StateHash: []byte("state"), ReadKeyHash: []byte("one")}
	if err := s.table.Insert(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	row.ID, row.ReadKeyHash = "0123456789abcdf", []byte("other")
	if err := s.table.Insert(t.Context(), row); err == nil {
		t.Error("two sessions have one state")
	}
}

// No statement reads the whole table: an index serves each.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	var all statements
	queries := []string{
		liveLogins, liveCount, failureKinds, latestClaims, funnelOfRows, funnelOfTotals, countedHours,
		everStarted,
	}
	insertions := []**sql.Stmt{&all.insert, &all.storeTotal, &all.raiseTotal}
	for _, p := range all.list(nil, nil) {
		if !slices.Contains(insertions, p.statement) {
			queries = append(queries, p.query)
		}
	}
	// The first two are indexes of few sessions: those that are alive, and those whose tokens are kept.
	// Whether there has been a login is known from the first row that says so. The others read the current
	// hour, or sort and group the few rows of a report.
	const allowed = "SCAN sessions USING INDEX sessions_living\nSCAN sessions USING INDEX sessions_kept\n" +
		"SCAN login_totals\nSCAN login_totals USING COVERING INDEX sqlite_autoindex_login_totals_1\n" +
		"SCALAR SUBQUERY 1\nSCALAR SUBQUERY 2\nSCAN CONSTANT ROW\n" +
		"USE TEMP B-TREE FOR GROUP BY\nUSE TEMP B-TREE FOR ORDER BY\nCOMPOUND QUERY\n" +
		"LEFT-MOST SUBQUERY\nUNION ALL\n" +
		"CO-ROUTINE (subquery-1)\nSCAN (subquery-1)\nCO-ROUTINE (subquery-2)\nSCAN (subquery-2)\n"
	for _, query := range queries {
		for _, step := range s.plan(query) {
			indexed := strings.Contains(step, "INDEX") || strings.Contains(step, "PRIMARY KEY") ||
				strings.Contains(step, "LIST SUBQUERY")
			if !strings.Contains(allowed, step+"\n") && (strings.Contains(step, "SCAN") || !indexed) {
				t.Errorf("%s: %s", query, step)
			}
		}
	}
}

// The sweep lets others in between its steps.
func TestSweepOfMany(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{Retention: time.Hour})
	s.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
		INSERT INTO sessions (id, status, created, expires, stateHash, readKeyHash)
		SELECT printf('%015d', i), iif(i % 2, 'ready', 'claimed'),
			'2020-01-01 00:00:00.000Z', '2020-01-01 00:10:00.000Z',
			randomblob(41), randomblob(41) FROM n`, nil)
	swept := make(chan error, 1)
	go func() {
		_, err := s.sessions.Sweep(t.Context())
		swept <- err
	}()
	requests := 0
	for sweeping := true; sweeping; requests++ {
		s.start(owner)
		select {
		case err := <-swept:
			if sweeping = false; err != nil {
				t.Error(err)
			}
		default:
		}
	}
	if requests < 20 {
		t.Errorf("only %d starts got in during the sweep", requests)
	}
	if left := s.column("SELECT id FROM sessions WHERE created < '2021'"); len(left) != 0 {
		t.Errorf("the sweep left %d", len(left))
	}
}

// An admin who swaps the public key of a pending session for their own gets no tokens: the code verifier no
// longer fits.
func TestSwappedPublicKey(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	started, admins := s.start(owner), s.start(owner)
	peeked, err := s.sessions.Peek(t.Context(), owner, started.State)
	if err != nil || peeked.Verifier() != started.Verifier {
		t.Fatalf("the verifier is not the one that the login began with: %v", err)
	}
	s.exec(`UPDATE sessions SET publicKey = (SELECT publicKey FROM sessions WHERE id = {:admins})
		WHERE id = {:id}`,
		dbx.Params{"id": peeked.ID, "admins": s.redirect(owner, admins).ID})
	if s.redirect(owner, started).Verifier() == started.Verifier {
		t.Error("the provider would accept the code")
	}
}

// Of many polls at a time one gets the tokens, and an expired session gives none.
func TestClaimOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	for range 10 {
		started, _ := s.login(owner)
		var done sync.WaitGroup
		var claims atomic.Int32
		for range 16 {
			done.Go(func() {
				claim, err := s.sessions.Claim(t.Context(), owner, started.ReadKey)
				if err == nil && string(claim.Tokens) == string(response) {
					claims.Add(1)
					if err := claim.Ack(t.Context()); err != nil {
						t.Error(err)
					}
				} else if !errors.Is(err, session.ErrUnknown) && !errors.Is(err, session.ErrTaken) {
					t.Error(err)
				}
			})
		}
		done.Wait()
		if claims.Load() != 1 {
			t.Fatalf("%d claims of one session", claims.Load())
		}
	}
	started, _ := s.login(owner)
	s.advance(10 * time.Minute)
	if _, err := s.sessions.Claim(t.Context(), owner, started.ReadKey); !errors.Is(err, session.ErrExpired) {
		t.Errorf("the claim of an expired session: %v", err)
	}
}

// A poll that finds the row ready while another poll is still reading it waits to learn whether the other
// gets the tokens.
func TestClaimBesideAnother(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	started, _ := s.login(owner)
	var readKeyHash []byte
	s.row("SELECT readKeyHash FROM sessions", &readKeyHash)
	other := session.Hold{Row: session.Row{ReadKeyHash: readKeyHash}, Holder: "another"}
	claims := &s.table.claims
	for name, test := range map[string]struct {
		decide func(claim *heldClaim)
		want   error
	}{
		"not theirs": {decide: func(c *heldClaim) { claims.decide(c, false, other) }, want: nil},
		"theirs":     {decide: func(c *heldClaim) { claims.decide(c, true, other) }, want: session.ErrTaken},
		"delivered": {
			decide: func(claim *heldClaim) {
				claims.mu.Lock()
				claim.acked = true
				claims.mu.Unlock()
				claims.decide(claim, true, other)
			},
			want: session.ErrUnknown,
		},
	} {
		claim, isNew := claims.findOrAdd(readKeyHash)
		if !isNew {
			t.Fatalf("%s: the claim before was left behind", name)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if err := claims.await(ended, claim); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: undecided: %v", name, err)
		}
		polled := make(chan error, 1)
		go func() {
			_, err := s.sessions.Claim(t.Context(), owner, started.ReadKey)
			polled <- err
		}()
		test.decide(claim)
		if err := claims.await(t.Context(), claim); !errors.Is(err, test.want) {
			t.Errorf("%s: decided: %v, want %v", name, err, test.want)
		}
		if err := <-polled; !errors.Is(err, test.want) {
			t.Errorf("%s: the poll: %v, want %v", name, err, test.want)
		}
		claims.byReadKey = map[string]*heldClaim{}
	}
}

// If it cannot be stored that the plugin has its tokens, nobody gets them again, and the sweep stores it.
func TestAckThatFails(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	started, id := s.login(owner)
	claim, err := s.sessions.Claim(t.Context(), owner, started.ReadKey)
	if err != nil {
		t.Fatal(err)
	}
	s.exec("CREATE TRIGGER refuse BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END", nil)
	if err := claim.Ack(t.Context()); err == nil {
		t.Fatal("the database did not refuse")
	}
	if err := claim.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	unknown := func() {
		t.Helper()
		_, err := s.sessions.Claim(t.Context(), owner, started.ReadKey)
		if !errors.Is(err, session.ErrUnknown) {
			t.Errorf("the next poll: %v", err)
		}
	}
	unknown()
	if _, err := s.sessions.Sweep(t.Context()); err == nil {
		t.Error("the sweep could not store it, and says nothing")
	}
	unknown()
	s.exec("DROP TRIGGER refuse", nil)
	s.sweep()
	unknown()
	var erased bool
	if s.row("SELECT sealed IS NULL FROM sessions WHERE status = 'claimed'", &erased); !erased {
		t.Error("the tokens are not erased")
	}
	if outcomes := s.ended(); len(outcomes) != 1 || outcomes[0].Session != id ||
		outcomes[0].Status != session.StatusClaimed {
		t.Errorf("the outcomes are %+v", outcomes)
	}
	if len(s.table.claims.byReadKey) != 0 {
		t.Errorf("%d claims are kept", len(s.table.claims.byReadKey))
	}
}

// A record that an admin deletes ends its login: its polls wake when the row is gone, and its outcome is
// reported once.
func TestRecordDeleted(t *testing.T) {
	t.Parallel()
	s := serve(t, session.Options{})
	pending := s.start(owner)
	pendingID := s.latest()
	ready, readyID := s.login(owner)
	login, found := s.sessions.FindPending(owner, pending.ReadKey)
	if !found {
		t.Fatal("the login is not pending")
	}
	for _, id := range []string{pendingID, readyID} {
		s.delete(id)
	}
	select {
	case <-login.Ended():
	default:
		t.Error("the polls were not woken")
	}
	for _, started := range []session.Started{pending, ready} {
		_, err := s.sessions.Claim(t.Context(), owner, started.ReadKey)
		if !errors.Is(err, session.ErrUnknown) {
			t.Errorf("the poll of a deleted session: %v", err)
		}
		_, err = s.sessions.Consume(t.Context(), owner, started.State)
		if !errors.Is(err, session.ErrUnknown) {
			t.Errorf("the redirect of a deleted session: %v", err)
		}
	}
	outcomes := s.ended()
	if len(outcomes) != 2 || outcomes[0].Session != pendingID || outcomes[1].Session != readyID {
		t.Fatalf("the outcomes are %+v", outcomes)
	}
	for _, outcome := range outcomes {
		if outcome.Status != session.StatusDenied || outcome.Error != "access_denied" {
			t.Errorf("the outcome is %+v", outcome)
		}
	}
}

// SQLite's result code says what is wrong with a folder, whatever wraps it.
func TestErrorsOfTheDatabase(t *testing.T) {
	t.Parallel()
	t.Run("read-only", func(t *testing.T) {
		t.Parallel()
		s := serve(t, session.Options{})
		if _, err := s.app.NonconcurrentDB().NewQuery("PRAGMA query_only = 1").Execute(); err != nil {
			t.Fatal(err)
		}
		_, err := s.sessions.Start(t.Context(), owner, request)
		if !IsReadOnly(err) || IsDamaged(err) {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		garbage := []byte(strings.Repeat("this is not a database. ", 1000))
		if err := os.WriteFile(filepath.Join(folder, "data.db"), garbage, 0o600); err != nil {
			t.Fatal(err)
		}
		err := testkit.Bootstrap(core.NewBaseApp(core.BaseAppConfig{DataDir: folder}))
		if !IsDamaged(err) || IsReadOnly(err) {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("another", func(t *testing.T) {
		t.Parallel()
		if err := errors.New("attempt to write a readonly database"); IsReadOnly(err) || IsDamaged(nil) {
			t.Error("an error that is not SQLite's is taken for one")
		}
	})
}
