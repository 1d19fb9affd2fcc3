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
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// Max is how many connections a request may be sent on. A few are lost to servers that close idle ones, or
// that take few requests at a time.
const Max = 10

// ErrTooMany is the cause of the error of a request that was sent so often.
var ErrTooMany = errors.New("the server has sent the request back too often")

// Limit returns the same request, which ends with [ErrTooMany] if it needs more than [Max] new connections.
func Limit(request *http.Request) *http.Request {
	ctx, cancel := context.WithCancelCause(request.Context())
	var tries atomic.Int64
	return request.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) {
			if tries.Add(1) > Max {
				cancel(ErrTooMany)
			}
		},
		// One that was kept may be dead by now. There are only so many of those.
		GotConn: func(got httptrace.GotConnInfo) {
			if got.Reused {
				tries.Add(-1)
			}
		},
	}))
}
