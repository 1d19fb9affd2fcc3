package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// headers sends headers that are too long, and headers that do not end.
func (s *siege) headers() error {
	service, err := s.start()
	if err != nil {
		return err
	}
	defer service.stop()
	for _, one := range []struct{ length, want int }{
		{length: 30_000, want: http.StatusOK},
		{length: 40_000, want: http.StatusRequestHeaderFieldsTooLarge},
		{length: 900_000, want: http.StatusRequestHeaderFieldsTooLarge},
	} {
		status, err := service.statusOf(one.length)
		if err != nil {
			return err
		}
		s.report.add(row{
			name: fmt.Sprintf("status for %d KB of headers", one.length/1000), figure: count(status),
			bound: between(float64(one.want), float64(one.want)),
		})
	}
	return s.unfinished(service)
}

// statusOf sends a request with a long header.
func (s *server) statusOf(length int) (status int, err error) {
	conn, err := net.Dial("tcp", s.command.Address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(connectTimeout))
	_, writeErr := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n",
		strings.Repeat("a", length))
	// A service that refuses need not read all of it.
	if _, err := fmt.Fscanf(conn, "HTTP/1.1 %d", &status); err != nil {
		return 0, fmt.Errorf("%d KB of headers: no answer: %w (%v)", length/1000, err, writeErr)
	}
	return status, nil
}

// unfinished measures how long the service keeps a connection whose headers do not end.
func (s *siege) unfinished(service *server) error {
	holds := []kind{silent(service), halfRequest(0)(service), halfRequest(0)(service)}
	holds[1].trickle = ""
	names := []string{"silent connection", "half a request", "half a request, a byte every two seconds"}
	times := make([]time.Duration, len(holds))
	s.progress("headers: waiting for connections to be closed")
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var waiting sync.WaitGroup
	for i, what := range holds {
		waiting.Go(func() {
			held := newCrowd(what, service.command.Address, s.sources)
			conn, err := held.connect(ctx, i)
			if err != nil {
				return
			}
			began := time.Now()
			held.await(ctx, conn, func() {})
			times[i] = time.Since(began)
		})
	}
	waiting.Wait()
	for i, name := range names {
		s.report.add(row{
			name: name + ": closed after", figure: new(times[i].Seconds()), unit: "s", bound: between(9, 12),
			note: unclosedNote(times[i], patience),
		})
	}
	return nil
}

func unclosedNote(took, patience time.Duration) string {
	if took < patience-100*time.Millisecond {
		return ""
	}
	return "it was still open"
}
