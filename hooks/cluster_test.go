package hooks

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// startMachines starts three machines.
func startMachines(t *testing.T) testkit.Machines {
	t.Helper()
	machines := testkit.NewMachines(t, "a", "b", "c")
	for _, p := range machines {
		p.Env = append(p.Env, "AUTHORIZE_RATE_LIMIT=off")
	}
	machines.Start()
	return machines
}

// loginAcross starts a sign-in at one machine, and finishes it at another.
func loginAcross(machines testkit.Machines, at, back *testkit.Process) (page testkit.Answer, readKey string) {
	at.T.Helper()
	authorizationURL, readKey := at.Authorize()
	return back.Get(machines.At(back, at.Agree(authorizationURL))), readKey
}

// A sign-in may start at one machine, come back at a second and be polled at a third, where a poll that is
// held wakes at once. Of many polls on all machines one gets the tokens.
func TestMachines(t *testing.T) {
	t.Parallel()
	machines := startMachines(t)
	a, b, c := machines[0], machines[1], machines[2]
	var waits []time.Duration
	for range 5 {
		authorizationURL, readKey := a.Authorize()
		polled := make(chan testkit.Answer, 1)
		var answered time.Time
		go func() {
			got := c.Post("/poll?wait=30&readKey=" + readKey)
			answered = time.Now()
			polled <- got
		}()
		a.Expect("meanwhile", a.Poll(readKey), http.StatusNotFound, bodyPending)
		page := b.Get(machines.At(b, a.Agree(authorizationURL)))
		finished := time.Now()
		b.ExpectPage("the page", page, http.StatusOK, "You are signed in")
		c.Expect("the held poll", <-polled, http.StatusOK, testkit.TokenResponse)
		waits = append(waits, answered.Sub(finished))
	}
	// Other tests run at the same time, so that only the quickest says something.
	if quickest := slices.Min(waits); quickest > 50*time.Millisecond {
		t.Errorf("the held poll was answered after %s at the earliest", quickest)
	}
	t.Logf("from the page to the poll that waits elsewhere: %v", waits)
	for range 3 {
		_, readKey := loginAcross(machines, b, c)
		var polls sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for i := range 30 {
			polls.Go(func() {
				got := machines[i%3].Post("/poll?readKey=" + readKey)
				mu.Lock()
				defer mu.Unlock()
				statuses[got.Status]++
			})
		}
		polls.Wait()
		if statuses[http.StatusOK] != 1 || statuses[http.StatusNotFound] != 29 {
			t.Errorf("30 polls got %v", statuses)
		}
		for _, p := range machines {
			eventually(t, "the tokens are gone", func() bool { return p.Poll(readKey).Body == bodyUnknown })
		}
	}
}
