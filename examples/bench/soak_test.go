package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		due := make(chan time.Time, 100)
		if err := schedule(t.Context(), due, 50, 2*time.Second); err != nil {
			t.Fatal(err)
		}
		close(due)
		want := began
		for at := range due {
			if !at.Equal(want) {
				t.Fatalf("a login is due after %s, want %s", at.Sub(began), want.Sub(began))
			}
			want = want.Add(20 * time.Millisecond)
		}
		if took := want.Sub(began); took != 2*time.Second {
			t.Errorf("got logins for %s, want 2s", took)
		}
		if took := time.Since(began); took != 1980*time.Millisecond {
			t.Errorf("the last login was started after %s, want 1.98s", took)
		}
	})
}

// TestScheduleBehind checks that a server that cannot keep up is not measured as if it could.
func TestScheduleBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if err := schedule(t.Context(), make(chan time.Time, 99), 50, 2*time.Second); err == nil {
			t.Error("nobody took the logins, and nothing was said")
		}
	})
}

func TestScheduleCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := schedule(ctx, make(chan time.Time, 100), 50, 2*time.Second)
		if took := time.Since(began); err != nil || took > time.Second {
			t.Errorf("got %v after %s, want to end after 1s", err, took)
		}
	})
}
