package tries

import (
	"context"
	"errors"
	"net/http"
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
