package oauth

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
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

// Hundreds of answers may hang that have more than is read of them. With HTTP/2 a provider sends ahead of the
// reader, and that is in memory as well.
func TestHangingAnswersTakeLittle(t *testing.T) { // not in parallel: it measures the memory of all
	const answers, each = 64, 256 << 10
	var sent atomic.Int64
	provider := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, 4<<10); ; sent.Add(int64(len(piece))) { // until the window is full
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	provider.EnableHTTP2 = true
	provider.StartTLS()
	defer provider.Close()
	client := NewHTTPClient(time.Minute)
	trusted := provider.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: trusted}
	for range maxLarge { // all turns are taken
		large <- struct{}{}
	}
	before := heapInUse()
	ctx, leave := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	defer asking.Wait()
	defer func() {
		leave()
		for range maxLarge {
			<-large
		}
	}()
	for range answers {
		asking.Go(func() {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, provider.URL, nil)
			if err != nil {
				t.Error(err)
				return
			}
			response, err := client.Do(request)
			if err != nil || response.ProtoMajor != 2 {
				t.Error(response, err)
				return
			}
			defer response.Body.Close()
			_, _ = readAnswer(response.Body, time.Minute) // until the test ends
		})
	}
	const most = answers * (2*usualAnswer - 8<<10) // the last pieces may wait for a window
	for began := time.Now(); sent.Load() < most && !t.Failed(); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute/2 {
			t.Fatalf("only %d KB were sent", sent.Load()>>10)
		}
	}
	if took := (heapInUse() - before) / answers; took > each {
		t.Errorf("each takes %d KB", took>>10)
	}
}

// heapInUse is how much memory is in use, in bytes.
func heapInUse() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
