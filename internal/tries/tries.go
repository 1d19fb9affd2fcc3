// Package tries bounds how often net/http sends a request.
//
// A server with HTTP/2 may say that it has not processed a request, since it is about to close the connection
// (GOAWAY, RFC 9113 section 6.8). net/http then makes another connection and sends the request again, as
// often as it is told so, and without a pause: one request to a server that does nothing else costs thousands
// of TLS handshakes.
package tries

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
)

// Max is how many connections may be made for a request. A few are lost to servers that close idle ones, or
// that take few requests at a time.
const Max = 10

// ErrTooMany is the cause of the error of a request that was sent so often.
var ErrTooMany = errors.New("the server has sent the request back too often")

// DialFunc connects to an address. It is the type of DialContext in [net/http.Transport].
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// countKey is the key, in the context of a request, of how many connections were made for it.
type countKey struct{}

// Limit returns the context for one request, which ends with [ErrTooMany] if it needs more than [Max] new
// connections. Its transport must connect with what [Dial] returns.
func Limit(ctx context.Context) context.Context {
	return context.WithValue(ctx, countKey{}, new(atomic.Int64))
}

// Dial returns a function that connects with another one, as long as a request that has a limit may connect.
func Dial(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		count, ok := ctx.Value(countKey{}).(*atomic.Int64)
		if ok && count.Add(1) > Max {
			return nil, ErrTooMany
		}
		return dial(ctx, network, address)
	}
}
