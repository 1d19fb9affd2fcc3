package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// round is what a server did while it had its turn.
type round struct {
	elapsed   time.Duration
	cpu       float64 // µs
	latencies []time.Duration
}

// side is one of the two servers of a comparison.
type side struct {
	*server

	clients []*client // the same in all rounds
	rounds  []round
}

// newSide starts the server if need be, and connects to it.
func newSide(s *server, connections int) (*side, error) {
	one := &side{server: s}
	if err := s.start(); err != nil {
		return nil, err
	}
	for range connections {
		c, err := dial(s.command.Address)
		if err != nil {
			one.close()
			return nil, err
		}
		c.api = s.api
		one.clients = append(one.clients, c)
	}
	return one, nil
}

func (s *side) close() {
	for _, c := range s.clients {
		c.close()
	}
}

// compare measures a load at a server and at another one beside it, in turns, so that whatever else keeps the
// machine busy meets both. It adds a row for each.
func (b *bench) compare(load workload, measured, beside *server) error {
	first, err := newSide(measured, b.report.Settings.Connections)
	if err != nil {
		return err
	}
	defer first.close()
	second, err := newSide(beside, b.report.Settings.Connections)
	if err != nil {
		return err
	}
	defer second.close()
	for turn := range load.rounds + 1 {
		length := b.report.Settings.turnLength()
		if turn == 0 {
			b.progress("%s: warming up", load.name)
			length /= 2
		} else {
			b.progress("%s: round %d of %d", load.name, turn, load.rounds)
		}
		for _, s := range []*side{first, second} {
			one, err := s.measure(load.step, length)
			if err != nil {
				return fmt.Errorf("%s at %s: %w", load.name, s.identity, err)
			}
			if turn > 0 {
				s.rounds = append(s.rounds, one)
			}
		}
	}
	result := summarize(load.name, first.rounds)
	if result.Ratio = newRatio(first.rounds, second.rounds); result.Ratio != nil {
		result.Ratio.Beside = beside.identity.String()
		result.Goal = goalFor("cpu_ratio", &result.Ratio.Median, load.goal)
	}
	b.report.add(measured, result)
	b.report.add(beside, summarize(load.name, second.rounds))
	return nil
}

// summarize makes a row of rounds, as if they had been one.
func summarize(name string, rounds []round) row {
	var total round
	for _, one := range rounds {
		total.elapsed += one.elapsed
		total.cpu += one.cpu
		total.latencies = append(total.latencies, one.latencies...)
	}
	slices.Sort(total.latencies)
	count := float64(len(total.latencies))
	summary := row{
		Name:      name,
		PerSecond: new(count / total.elapsed.Seconds()),
		P50:       new(milliseconds(percentile(total.latencies, 50))),
		P99:       new(milliseconds(percentile(total.latencies, 99))),
		Longest:   new(milliseconds(percentile(total.latencies, 100))),
	}
	if total.cpu > 0 {
		summary.CPU = new(total.cpu / count)
	}
	return summary
}

// newRatio divides what an operation cost a server by what it cost the other one, in each round. It returns
// nil if CPU times are not known.
func newRatio(measured, beside []round) *ratio {
	var ratios []float64
	for i := range measured {
		cost := measured[i].cpu / float64(len(measured[i].latencies))
		yardstick := beside[i].cpu / float64(len(beside[i].latencies))
		if yardstick > 0 {
			ratios = append(ratios, cost/yardstick)
		}
	}
	if len(ratios) == 0 {
		return nil
	}
	slices.Sort(ratios)
	return &ratio{
		Median:  (ratios[(len(ratios)-1)/2] + ratios[len(ratios)/2]) / 2,
		Lowest:  ratios[0],
		Highest: ratios[len(ratios)-1],
		Rounds:  len(ratios),
	}
}

// measure repeats a step on all connections at the same time.
func (s *side) measure(step func(*client) error, length time.Duration) (round, error) {
	type outcome struct {
		latencies []time.Duration
		err       error
	}
	outcomes := make(chan outcome, len(s.clients))
	cpu, began := s.cpu(), time.Now()
	for _, c := range s.clients {
		go func() {
			latencies, err := repeat(c, step, began.Add(length))
			outcomes <- outcome{latencies: latencies, err: err}
		}()
	}
	var one round
	var err error
	for range s.clients {
		o := <-outcomes
		one.latencies, err = append(one.latencies, o.latencies...), cmp.Or(err, o.err)
	}
	one.elapsed, one.cpu = time.Since(began), s.cpu()-cpu
	if err == nil && len(one.latencies) == 0 {
		err = errors.New("nothing was measured")
	}
	return one, err
}

// repeat repeats a step on one connection, and returns how long each repetition took.
func repeat(c *client, step func(*client) error, deadline time.Time) (latencies []time.Duration, err error) {
	for began := time.Now(); began.Before(deadline); began = time.Now() {
		if err := step(c); err != nil {
			return latencies, err
		}
		latencies = append(latencies, time.Since(began))
	}
	return latencies, nil
}
