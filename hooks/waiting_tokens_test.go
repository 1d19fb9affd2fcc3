package hooks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"plugin-oauth/hooks/session"
)

// Large tokens that nobody fetches neither fill the disk nor end other logins. There is room again once they
// have been fetched, or have expired.
func TestLargeTokensThatWait(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, clock.setIn)
	answer := func(size int) {
		s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"access_token":%q}`, strings.Repeat("x", size))
		})
	}
	const size = 900_000
	s.server.largeTokens.limit = 5 * size // of which one plugin may have half
	answer(size)
	readKeys := []string{}
	for range 2 {
		page, readKey := s.Login()
		s.ExpectPage("one that fits", page, http.StatusOK, "You are signed in")
		readKeys = append(readKeys, readKey)
	}
	expectNoRoom := func() {
		t.Helper()
		page, readKey := s.Login()
		s.ExpectPage("one too many", page, http.StatusBadGateway, "Sign-in failed")
		s.ExpectError("its poll", s.Poll(readKey), http.StatusBadRequest, "temporarily_unavailable")
	}
	expectNoRoom()
	answer(usualTokens / 2)
	page, _ := s.Login()
	s.ExpectPage("a usual one", page, http.StatusOK, "You are signed in")

	answer(size)
	if got := s.Post("/poll?ack=1&readKey=" + readKeys[0]); got.Status != http.StatusOK {
		t.Fatal(got.Status)
	}
	expectNoRoom() // until they are certainly erased
	clock.move(session.AckWindow)
	page, _ = s.Login()
	s.ExpectPage("after one was fetched", page, http.StatusOK, "You are signed in")
	expectNoRoom()
	clock.move(s.server.config.SessionTTL)
	page, _ = s.Login()
	s.ExpectPage("after all have expired", page, http.StatusOK, "You are signed in")
}

// Nor do usual ones, of which there may be many more. Large ones have their own room.
func TestUsualTokensThatWait(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.server.usualTokens.limit = 5 * leastTokens // of which one plugin may have half
	readKeys := []string{}
	for range 2 {
		page, readKey := s.Login()
		s.ExpectPage("one that fits", page, http.StatusOK, "You are signed in")
		readKeys = append(readKeys, readKey)
	}
	page, readKey := s.Login()
	s.ExpectPage("one too many", page, http.StatusBadGateway, "Poll until a sign-in ends.")
	s.ExpectError("its poll", s.Poll(readKey), http.StatusBadRequest, "temporarily_unavailable")

	before := s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"access_token":%q}`, strings.Repeat("x", usualTokens))
	})
	page, _ = s.Login()
	s.ExpectPage("a large one", page, http.StatusOK, "You are signed in")

	s.Provider.Answers(before)
	s.expectTokens(readKeys[0])
	page, _ = s.Login()
	s.ExpectPage("after one was fetched", page, http.StatusOK, "You are signed in")
	for _, ack := range []string{"1", "done"} {
		s.Post("/poll?ack=" + ack + "&readKey=" + readKeys[1])
	}
	page, _ = s.Login()
	s.ExpectPage("after one was acknowledged", page, http.StatusOK, "You are signed in")
}

// Tokens of a login that was cancelled meanwhile do not wait for anybody.
func TestLargeTokensOfACancelledLogin(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	authorizationURL, readKey := s.Authorize()
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		s.Expect("cancel", s.Post("/cancel?readKey="+readKey), http.StatusNoContent, "")
		fmt.Fprintf(w, `{"access_token":%q}`, strings.Repeat("x", 2*usualTokens))
	})
	page := s.Get(s.Agree(authorizationURL))
	s.ExpectPage("the page", page, http.StatusBadRequest, "ended before it was finished")
	s.server.largeTokens.mu.Lock()
	defer s.server.largeTokens.mu.Unlock()
	if total := s.server.largeTokens.total; total != 0 {
		t.Errorf("%d bytes are counted", total)
	}
}

// One plugin leaves room to the next.
func TestWaitingTokensOfPlugins(t *testing.T) {
	t.Parallel()
	const unit = 1 << 20
	w := newWaitingTokens(16 * unit)
	now := time.Now()
	for i, want := range []int{8, 4, 2, 1, 0} {
		slug, added := fmt.Sprint(i), 0
		for w.add(fmt.Sprint(i, "-", added), waitingResponse{
			slug: slug, size: unit, until: now.Add(time.Minute),
		}, now) {
			added++
		}
		if added != want {
			t.Errorf("plugin %d has %d, want %d", i, added, want)
		}
	}
	w.ended("0-0", session.StatusDenied, now)
	w.ended("0-0", session.StatusDenied, now)
	w.ended("unknown", session.StatusClaimed, now)
	if w.total != 14*unit || w.bySlug["0"] != 7*unit {
		t.Errorf("%d bytes are counted, and %v", w.total, w.bySlug)
	}
	w.add("last", waitingResponse{slug: "last", size: 16 * unit}, now.Add(time.Minute))
	if w.total != 0 || len(w.byID)+len(w.bySlug) != 0 {
		t.Errorf("%d bytes are counted of what has expired, and %v", w.total, w.bySlug)
	}
}
