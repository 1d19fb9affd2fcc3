package hooks

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"testing"

	"github.com/pocketbase/dbx"

	"plugin-oauth/internal/testkit"
)

// These measure with net/http's own client in the same process, so they compare one version with the next.
// For the server alone, compared with a bare one: go run ./examples/bench

// fill puts sessions that ended long ago into the table.
func (s *testServer) fill(count int) {
	s.T.Helper()
	query := s.App.NonconcurrentDB().NewQuery(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {:count})
		INSERT INTO sessions (id, status, created, expires, stateHash, readKeyHash)
		SELECT printf('%015d', i), iif(i % 2, 'ready', 'claimed'), '2020-01-01 00:00:00.000Z',
			'2020-01-01 00:10:00.000Z', randomblob(41), randomblob(41)
		FROM n`)
	if _, err := query.Bind(dbx.Params{"count": count}).Execute(); err != nil {
		s.T.Fatal(err)
	}
}

// The cost of a start and of a poll does not grow with the sessions in the table.
func BenchmarkSessions(b *testing.B) {
	for _, count := range []int{10, 1_000, 100_000} {
		root := serve(b, nil)
		root.fill(count)
		_, pending := root.Authorize()
		for name, send := range map[string]func(s *testServer){
			"authorize": func(s *testServer) { s.Authorize() },
			"pending poll": func(s *testServer) {
				s.Expect("poll", s.Poll(pending), http.StatusNotFound, bodyPending)
			},
			"unknown poll": func(s *testServer) {
				s.Expect("poll", s.Poll("unknown"), http.StatusNotFound, bodyUnknown)
			},
		} {
			b.Run(fmt.Sprintf("%s, %d in the table", name, count), func(b *testing.B) {
				s := root.in(b)
				for b.Loop() {
					send(s)
				}
			})
		}
	}
}

func BenchmarkWholeLogin(b *testing.B) {
	s := serve(b, nil)
	for b.Loop() {
		_, readKey := s.Login()
		s.expectTokens(readKey)
	}
}

func BenchmarkRefresh(b *testing.B) {
	s := serve(b, nil)
	for b.Loop() {
		s.Expect("refresh", s.Post("/refresh?code="+rand.Text()), http.StatusOK, testkit.TokenResponse)
	}
}
