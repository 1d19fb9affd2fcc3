package main

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"plugin-oauth/examples/bench/tokens"
)

// waiter is a poll that waits for the end of its login.
type waiter struct {
	*client

	state string
}

// waitingPolls lets many polls wait, then finishes up to a thousand of their logins, and measures how long
// after the end of the redirect the tokens reach the poll.
func (b *bench) waitingPolls(s *server, count int) error {
	// A new process on a new folder, so that its memory is that of the waiting polls.
	if err := b.restartEmpty(s); err != nil {
		return err
	}
	b.progress("starting %d polls", count)
	waiters, err := startWaiting(s, count, b.report.Settings.Connections)
	defer func() {
		for _, w := range waiters {
			w.close()
		}
	}()
	if err != nil {
		return err
	}
	time.Sleep(time.Second)
	resident := s.memory()
	b.report.add(s, row{
		Name:     fmt.Sprintf("%d polls waiting", count),
		Resident: resident,
		Goal:     goalFor("resident_megabytes", resident, 140),
	})
	b.progress("finishing logins whose polls wait")
	lags, err := finish(s, waiters[:min(1000, len(waiters))])
	if err != nil {
		return err
	}
	slices.Sort(lags)
	p99 := new(milliseconds(percentile(lags, 99)))
	b.report.add(s, row{
		Name:    "redirect's end to tokens",
		P50:     new(milliseconds(percentile(lags, 50))),
		P99:     p99,
		Longest: new(milliseconds(percentile(lags, 100))),
		Goal:    goalFor("p99_milliseconds", p99, 1),
	})
	return nil
}

// startWaiting starts logins and their polls, each on a connection of its own. Some start at the same time,
// since the first must not have waited too long when the last begins.
func startWaiting(s *server, count, starters int) ([]*waiter, error) {
	waiters := make([]*waiter, count)
	var group errgroup.Group
	for offset := range starters {
		group.Go(func() error {
			starter, err := dial(s.command.Address)
			if err != nil {
				return err
			}
			defer starter.close()
			for i := offset; i < count; i += starters {
				if waiters[i], err = startPoll(s, starter); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(waiters, func(w *waiter) bool { return w == nil }), err
}

func startPoll(s *server, starter *client) (*waiter, error) {
	state, readKey, err := starter.login()
	if err != nil {
		return nil, err
	}
	c, err := dial(s.command.Address)
	if err != nil {
		return nil, fmt.Errorf("%w (each waiting poll needs an open file: see ulimit -n)", err)
	}
	if err := c.send(http.MethodPost, "/poll?wait=30&readKey="+readKey); err != nil {
		c.close()
		return nil, err
	}
	return &waiter{client: c, state: state}, nil
}

// finish finishes logins one after another, and returns how long after each redirect its tokens came. It
// stops after 15 seconds, since the polls wait no longer than 30.
func finish(s *server, waiters []*waiter) (lags []time.Duration, err error) {
	browser, err := dial(s.command.Address)
	if err != nil {
		return nil, err
	}
	defer browser.close()
	type arrival struct {
		at  time.Time
		err error
	}
	deadline := time.Now().Add(15 * time.Second)
	for _, w := range waiters {
		if time.Now().After(deadline) {
			break
		}
		arrivals := make(chan arrival, 1)
		go func() {
			err := w.receive(http.StatusOK)
			arrivals <- arrival{at: time.Now(), err: err}
		}()
		redirect := "/redirect?code=" + tokens.Small + "&state=" + w.state
		if err := browser.do(http.MethodGet, redirect, http.StatusOK); err != nil {
			return nil, err
		}
		redirected := time.Now()
		arrived := <-arrivals
		if arrived.err != nil {
			return nil, arrived.err
		}
		lags = append(lags, max(0, arrived.at.Sub(redirected)))
	}
	return lags, nil
}
