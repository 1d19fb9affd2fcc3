package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// admin guesses the admin's password, with many at a time, each from a network of its own.
func (s *siege) admin() error {
	service, err := s.start()
	if err != nil {
		return err
	}
	defer service.stop()
	s.progress("admin: guessing passwords for %s", s.flood)
	ctx, cancel := context.WithTimeout(context.Background(), s.flood)
	defer cancel()
	var answers tally
	var working sync.WaitGroup
	working.Go(func() { service.guess(ctx, &answers) })
	var logins, signIns paced
	working.Go(func() {
		logins = pace(ctx, 50*time.Millisecond, func(i int) error {
			_, err := service.begin(bystander(i))
			return err
		})
	})
	const signInCount = 5
	working.Go(func() {
		signIns = pace(ctx, s.flood/signInCount, func(int) error {
			_, err := service.want(signInFrom(bystander(1<<16 - 1))(adminPassword))
			return err
		})
	})
	working.Wait()
	s.reportLoginsMeanwhile(logins)
	s.report.add(row{
		name:   "guesses that were checked, a second",
		figure: new(float64(answers.count("400")) / s.flood.Seconds()),
		bound:  atMost(3), // one, and the first of each region
		note:   answers.String(),
	})
	s.report.add(row{
		name:   "sign-ins of the admin from elsewhere that failed",
		figure: count(signIns.failures),
		bound:  none,
		note:   signIns.note(),
	})
	s.report.add(row{
		name:   "the longest of those that did not",
		figure: percentile(signIns.times, 100),
		unit:   "ms",
		bound:  atMost(3000), // two turns, of a second each, and the hashes
	})
	return nil
}

// reportLoginsMeanwhile reports what became of the logins that others started while passwords were guessed.
func (s *siege) reportLoginsMeanwhile(logins paced) {
	s.report.add(row{
		name:   "/authorize meanwhile, p99",
		figure: percentile(logins.times, 99),
		unit:   "ms",
		bound:  atMost(100),
		note:   logins.note(),
	})
	s.report.add(row{name: "/authorize meanwhile, failed", figure: count(logins.failures), bound: none})
}

// signInFrom returns what signs in as the admin with a password, from a network.
func signInFrom(network string) func(password string) query {
	return func(password string) query {
		return query{
			method:  http.MethodPost,
			target:  "/api/collections/_superusers/auth-with-password",
			network: network,
			json:    fmt.Sprintf(`{"identity":%q,"password":%q}`, adminEmail, password),
		}
	}
}

// guess guesses until the context ends. Each guess begins a tenth of a second after the last one at the
// earliest: refusals that cost nothing must not keep the cores busy that others need here.
func (s *server) guess(ctx context.Context, answers *tally) {
	const workers, interval = 100, 100 * time.Millisecond
	repeat(ctx, workers, interval, func(worker int) {
		s.send(signInFrom(besieger(worker))(rand.Text()), answers)
	})
}
