package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// refreshes sends junk refresh tokens from one network, where somebody else refreshes good ones.
func (s *siege) refreshes() error {
	service, err := s.start()
	if err != nil {
		return err
	}
	defer service.stop()
	network := besieger(0)
	refreshToken, err := service.signIn(network)
	if err != nil {
		return err
	}
	person := &refresher{service: service, network: network, refreshToken: refreshToken}
	const before = 150 // more than may be refused in a minute
	refused, first := 0, error(nil)
	for range before {
		if err := person.refresh(); err != nil {
			refused, first = refused+1, err
		}
	}
	s.report.add(row{
		name:   fmt.Sprintf("of %d good refreshes before, refused", before),
		figure: count(refused),
		bound:  none,
		note:   noteOf(first),
	})
	s.progress("refreshes: junk for %s", s.flood)
	ctx, cancel := context.WithTimeout(context.Background(), s.flood)
	defer cancel()
	reached := s.provider.junk.Load()
	flood := &junkFlood{service: service, network: network}
	var flooding sync.WaitGroup
	flooding.Go(func() { flood.run(ctx) })
	good := pace(ctx, 500*time.Millisecond, func(int) error { return person.refresh() })
	flooding.Wait()
	s.reportJunk(flood, s.provider.junk.Load()-reached)
	s.report.add(row{
		name:   "good refreshes from there meanwhile, refused",
		figure: count(good.failures),
		bound:  none,
		note:   good.note(),
	})
	return nil
}

// reportJunk reports what became of the junk, of which so many have reached the provider.
func (s *siege) reportJunk(flood *junkFlood, reached int64) {
	const eachMinute, late = 120, 30            // late: those that were under way when the limit was reached
	minutes := math.Ceil(s.flood.Minutes()) + 1 // the limiter's first one has begun before
	s.report.add(row{
		name:   "junk refreshes that reached the provider",
		figure: count(reached),
		bound:  between(1, eachMinute*minutes+late),
		note:   fmt.Sprintf("of %d in %s; %s", flood.sent.Load(), s.flood, &flood.answers),
	})
	s.report.add(row{
		name:   "of the rest, not 429 with Retry-After",
		figure: count(flood.sent.Load() - reached - flood.limited.Load()),
		bound:  none,
	})
}

// refresher is a person who stays signed in.
type refresher struct {
	service      *server
	network      string
	refreshToken string
}

// refresh refreshes the token that the last answer brought.
func (r *refresher) refresh() error {
	target := "/refresh?code=" + r.refreshToken
	got, err := r.service.want(query{method: http.MethodPost, target: target, network: r.network})
	if err != nil {
		return err
	}
	next, err := refreshTokenOf(got)
	if err == nil {
		r.refreshToken = next
	}
	return err
}

// junkFlood refreshes tokens that nobody has issued.
type junkFlood struct {
	service *server
	network string

	sent    atomic.Int64
	limited atomic.Int64 // how many were answered with 429 and Retry-After
	answers tally
}

// run sends some thousand in a second, until the context ends.
func (f *junkFlood) run(ctx context.Context) {
	const workers, interval = 16, 10 * time.Millisecond
	repeat(ctx, workers, interval, func(int) { f.send() })
}

func (f *junkFlood) send() {
	target := fmt.Sprintf("/refresh?code=%s-%d", junkToken, f.sent.Add(1))
	got, err := f.service.ask(query{method: http.MethodPost, target: target, network: f.network})
	if err != nil {
		f.answers.fail(err)
		return
	}
	f.answers.add(fmt.Sprint(got.status))
	if got.status == http.StatusTooManyRequests && got.header.Get("Retry-After") != "" {
		f.limited.Add(1)
	}
}
