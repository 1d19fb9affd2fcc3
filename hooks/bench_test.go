package hooks

import (
	"fmt"
	"net/http"
	"testing"
)

// These measure with net/http's own client in the same process, so they compare one version with the next.
// For the server alone, beside a bare one: go run ./examples/bench

// The cost of a start and of a poll does not grow with the sessions in the table.
func BenchmarkSessions(b *testing.B) {
	for _, count := range []int{10, 1_000, 100_000} {
		s := serve(b, nil)
		s.fill(count)
		_, pending := s.authorize()
		for name, request := range map[string]func(){
			"authorize":    func() { s.authorize() },
			"pending poll": func() { s.expect("poll", s.poll(pending), http.StatusNotFound, bodyPending) },
			"unknown poll": func() { s.expect("poll", s.poll("unknown"), http.StatusNotFound, bodyUnknown) },
		} {
			b.Run(fmt.Sprintf("%s, %d in the table", name, count), func(b *testing.B) {
				for b.Loop() {
					request()
				}
			})
		}
	}
}

func BenchmarkWholeLogin(b *testing.B) {
	s := serve(b, nil)
	for b.Loop() {
		_, readKey := s.login()
		s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
	}
}

func BenchmarkRefresh(b *testing.B) {
	s := serve(b, nil)
	for b.Loop() {
		s.expect("refresh", s.post("/refresh?code="+newKey()), http.StatusOK, tokenResponse)
	}
}

func BenchmarkSealing(b *testing.B) {
	for b.Loop() {
		readKey := newKey()
		private, err := keyPair(readKey)
		if err != nil {
			b.Fatal(err)
		}
		sealed, err := sealTokens(private.PublicKey().Bytes(), "session", []byte(tokenResponse))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := openTokens(readKey, "session", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
