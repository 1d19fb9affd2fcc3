package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		row  row
		want string
		held bool
	}{
		"held": {
			row:  row{name: "memory", figure: new(219.96), unit: "MB", bound: atMost(220)},
			want: "220 MB at most 220: held", held: true,
		},
		"broken": {
			row:  row{name: "memory", figure: new(220.5), unit: "MB", bound: atMost(220)},
			want: "220.5 MB at most 220: BROKEN",
		},
		"too little": {
			row:  row{name: "status", figure: count(200), bound: between(431, 431)},
			want: "200 431 to 431: BROKEN",
		},
		"none": {
			row:  row{name: "failures", figure: count(0), bound: none},
			want: "0 none: held", held: true,
		},
		"not none": {row: row{name: "failures", figure: count(1), bound: none}, want: "1 none: BROKEN"},
		"unknown":  {row: row{name: "memory", bound: atMost(1)}, want: "at most 1: unknown", held: true},
		"unbounded": {
			row:  row{name: "guesses", figure: count(7), note: "400:\n7"},
			want: "7 400: 7", held: true,
		},
		"failed": {row: row{name: "memory", failed: true, note: "it broke"}, want: "FAILED it broke"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var table strings.Builder
			r := report{out: &table, attack: "one"}
			r.add(test.row)
			got := strings.Join(strings.Fields(table.String()), " ")
			if !strings.HasSuffix(got, "one "+test.row.name+" "+test.want) || r.held() != test.held {
				t.Errorf("held %t, and it says %s", r.held(), got)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	if percentile(nil, 99) != nil {
		t.Error("there is a percentile of nothing")
	}
	times := []time.Duration{3 * time.Millisecond, time.Millisecond, 2 * time.Millisecond}
	for percent, want := range map[int]float64{0: 1, 50: 2, 99: 3, 100: 3} {
		if got := percentile(times, percent); *got != want {
			t.Errorf("%d %%: %v, want %v", percent, *got, want)
		}
	}
}

// A step that takes long makes those late whose turn came meanwhile, and that counts.
func TestPace(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	failure := errors.New("failure")
	done := pace(ctx, time.Millisecond, func(i int) error {
		switch i {
		case 0:
			time.Sleep(50 * time.Millisecond)
		case 2:
			cancel()
			return failure
		}
		return nil
	})
	if len(done.times) != 2 || done.times[1] < 49*time.Millisecond {
		t.Errorf("the steps took %v", done.times)
	}
	if done.failures != 1 || done.failed != failure {
		t.Errorf("%d failed, the first with %v", done.failures, done.failed)
	}
}

// A crowd counts how its connections end, and leaves none.
func TestCrowd(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	left := make(chan error, 1)
	go func() {
		for _, answer := range []string{"HTTP/1.1 429 Too Many Requests\r\n", ""} {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, answer)
			conn.Close()
		}
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, err = io.ReadAll(conn)
		left <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	held := newCrowd(silent(nil), listener.Addr().String(), localAddresses())
	held.gather(ctx, 3)
	for held.open.Load() != 1 || held.ends.count("429") != 1 || held.ends.count("closed") != 1 {
		if t.Context().Err() != nil {
			t.Fatal(held.note())
		}
		time.Sleep(time.Millisecond)
	}
	if got := held.note(); got != "1 open; ended since: 429: 1, closed: 1" {
		t.Error(got)
	}
	cancel()
	held.wait()
	if err := <-left; err == nil {
		t.Error("the connection was not reset")
	}
}

func TestWeek(t *testing.T) {
	t.Parallel()
	s := &siege{
		settings: settings{simulated: 2 * time.Minute},
		began:    time.Now(),
		dir:      t.TempDir(),
		report:   report{out: io.Discard},
	}
	if err := s.week(); err != nil {
		t.Fatal(err)
	}
	if len(s.report.rows) != 2 || !s.report.held() {
		t.Errorf("it found %+v", s.report.rows)
	}
	for _, found := range s.report.rows {
		if *found.figure < 1 || found.note != "1200 logins in 2m0s" {
			t.Errorf("%s: %v MB, %s", found.name, *found.figure, found.note)
		}
	}
}
