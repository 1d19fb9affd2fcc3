package main

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"plugin-oauth/examples/bench/tokens"
)

// soakReport is how the memory of a server went while it had a steady load.
type soakReport struct {
	// LoginsPerSecond is how many whole logins were started in a second.
	LoginsPerSecond int `json:"logins_per_second"`

	// Samples are some 60, from the start to the end.
	Samples []sample `json:"samples"`

	// Plateau says whether the memory has stopped growing.
	Plateau plateau `json:"plateau"`
}

// soak starts whole logins at a steady rate, whether or not those before have ended, and watches the server's
// memory.
func (b *bench) soak(s *server, length time.Duration, rate int) error {
	if err := b.restartEmpty(s); err != nil {
		return err
	}
	one, err := newSide(s, b.report.Settings.Connections)
	if err != nil {
		return err
	}
	defer one.close()
	ended := make(chan struct{})
	samples := make(chan []sample, 1)
	go func() { samples <- b.watch(s, length, ended) }()
	cpu, began := s.cpu(), time.Now()
	latencies, err := one.loginsAt(rate, length)
	total := round{elapsed: time.Since(began), cpu: s.cpu() - cpu, latencies: latencies}
	close(ended)
	watched := <-samples
	if err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	result := summarize(fmt.Sprintf("soak, %s", length), []round{total})
	result.Resident = s.memory()
	b.report.add(s, result)
	b.report.Soak = &soakReport{
		LoginsPerSecond: rate,
		Samples:         watched,
		Plateau:         findPlateau(watched, rate),
	}
	return nil
}

// watch samples the server's memory until the end.
func (b *bench) watch(s *server, length time.Duration, ended <-chan struct{}) (samples []sample) {
	began := time.Now()
	ticker := time.NewTicker(max(length/60, 100*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return samples
		case <-ticker.C:
		}
		if resident := s.memory(); resident != nil {
			elapsed := time.Since(began)
			samples = append(samples, sample{Seconds: elapsed.Seconds(), Resident: *resident})
			b.progress("soak: %s of %s, %.1f MB resident", elapsed.Round(time.Second), length, *resident)
		}
	}
}

// loginsAt starts so many whole logins a second, and returns how long after its time each was done. It fails
// at the first login that does, and if the server falls 10 seconds behind.
func (s *side) loginsAt(rate int, length time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	due := make(chan time.Time, 10*rate)
	results := make(chan loginResult)
	var working sync.WaitGroup
	for _, c := range s.clients {
		working.Go(func() { results <- c.logins(due) })
	}
	behind := make(chan error, 1)
	go func() {
		defer close(due)
		behind <- schedule(ctx, due, rate, length)
	}()
	go func() {
		working.Wait()
		close(results)
	}()
	var latencies []time.Duration
	var err error
	for result := range results {
		latencies, err = append(latencies, result.latencies...), cmp.Or(err, result.err)
		if err != nil {
			cancel()
		}
	}
	return latencies, cmp.Or(err, <-behind)
}

// schedule sends the time of each login when it has come, until it is cancelled. It fails if nobody takes
// them.
func schedule(ctx context.Context, due chan<- time.Time, rate int, length time.Duration) error {
	began := time.Now()
	for i := range int(length.Seconds() * float64(rate)) {
		at := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return nil
		}
		select {
		case due <- at:
		default:
			return fmt.Errorf("the server cannot keep up with %d logins a second", rate)
		}
	}
	return nil
}

// loginResult is what one connection did.
type loginResult struct {
	latencies []time.Duration
	err       error
}

// logins does a whole login at each time that comes.
func (c *client) logins(due <-chan time.Time) (result loginResult) {
	step := wholeLogin(tokens.Small)
	for at := range due {
		if result.err = step(c); result.err != nil {
			return result
		}
		result.latencies = append(result.latencies, time.Since(at))
	}
	return result
}
