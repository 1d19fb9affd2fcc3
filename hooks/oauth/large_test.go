package oauth

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// Of answers that are large and do not end, some are read at a time. Another large one waits for its turn,
// and usual ones for nothing.
func TestLargeAnswersTakeTurns(t *testing.T) { // not in parallel: the others have large answers, too
	large := strings.Repeat("x", usualAnswer+1)
	read := func(limit time.Duration) (got []byte, err error) {
		return readAnswer(strings.NewReader(large), limit)
	}
	hanging, finish := io.Pipe()
	var reading sync.WaitGroup
	for range maxLarge {
		reading.Go(func() {
			body := io.MultiReader(strings.NewReader(large), hanging)
			if got, err := readAnswer(body, time.Minute); err != nil || len(got) != len(large) {
				t.Errorf("one that ends late: %d bytes, %v", len(got), err)
			}
		})
	}
	for refused := false; !refused; {
		_, err := read(time.Millisecond)
		refused = errors.Is(err, context.DeadlineExceeded)
	}
	usual := large[:usualAnswer-1]
	if got, err := readAnswer(strings.NewReader(usual), 0); err != nil || string(got) != usual {
		t.Errorf("a usual one: %d bytes, %v", len(got), err)
	}
	waited := make(chan []byte)
	go func() {
		got, err := read(time.Minute)
		if err != nil {
			t.Error(err)
		}
		waited <- got
	}()
	finish.Close()
	if got := <-waited; !bytes.Equal(got, []byte(large)) {
		t.Errorf("one that waited: %d bytes", len(got))
	}
	reading.Wait()
}
