package tries

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"plugin-oauth/internal/goaway"
)

// A request that each connection sends back ends, whatever its method. The others of the transport do not end
// with it.
func TestLimit(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			server := goaway.Serve(t)
			transport := &http.Transport{
				ForceAttemptHTTP2: true,
				TLSClientConfig:   server.TLS,
				DialContext:       Dial((&net.Dialer{}).DialContext),
			}
			defer transport.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			for round := int64(1); round <= 2; round++ {
				_, err = transport.RoundTrip(request.WithContext(Limit(ctx)))
				if requests := server.Requests.Load(); !errors.Is(err, ErrTooMany) || requests != round*Max {
					t.Errorf("round %d: %d requests, and %v", round, requests, err)
				}
			}
		})
	}
}

// A request without a limit connects as often as it likes.
func TestNoLimit(t *testing.T) {
	t.Parallel()
	errNobody := errors.New("nobody is there")
	dial := Dial(func(context.Context, string, string) (net.Conn, error) { return nil, errNobody })
	for range 2 * Max {
		if _, err := dial(t.Context(), "tcp", "localhost:80"); !errors.Is(err, errNobody) {
			t.Fatal(err)
		}
	}
}
