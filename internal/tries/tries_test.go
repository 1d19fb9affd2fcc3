package tries

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"

	"plugin-oauth/internal/goaway"
)

// A request that each connection sends back ends, whatever its method.
func TestLimit(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			server := goaway.Serve(t)
			transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: server.TLS}
			defer transport.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = transport.RoundTrip(Limit(request))
			if requests := server.Requests.Load(); !errors.Is(err, ErrTooMany) || requests != Max {
				t.Errorf("%d requests, and %v", requests, err)
			}
		})
	}
}

// Connections that were kept, and turn out to be dead, are no tries.
func TestKeptConnections(t *testing.T) {
	t.Parallel()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := Limit(request).Context()
	trace := httptrace.ContextClientTrace(ctx)
	for range 3 * Max {
		trace.GetConn("localhost:80")
		trace.GotConn(httptrace.GotConnInfo{Reused: true})
	}
	for range Max {
		trace.GetConn("localhost:80")
		trace.GotConn(httptrace.GotConnInfo{})
	}
	if err := ctx.Err(); err != nil {
		t.Error(err)
	}
	if trace.GetConn("localhost:80"); !errors.Is(context.Cause(ctx), ErrTooMany) {
		t.Error("there is no limit")
	}
}
