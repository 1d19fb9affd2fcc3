package relay

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
	"time"

	"plugin-oauth/internal/tries"
)

// exchange is a call that is under way. It is looked at from time to time, since neither the API nor the page
// may say anything for a long time.
type exchange struct {
	*Relay

	call    Call
	page    *page
	request *http.Request
	began   time.Time
	failed  error

	cancel  context.CancelCauseFunc
	uncut   func() // after it, the page is not cut any more
	timer   *time.Timer
	interim atomic.Int32 // how many answers have come before the answer
	hasHead atomic.Bool
	lastAt  atomic.Int64 // when the API last took or sent something, in nanoseconds after began
	waiting atomic.Int32 // how many reads and writes wait for the page, which has deadlines of its own
}

// begin begins a call. The caller must end it.
func (r *Relay) begin(w http.ResponseWriter, request *http.Request, call Call) *exchange {
	x := &exchange{Relay: r, call: call, began: time.Now()}
	ctx, cancel := context.WithCancelCause(request.Context())
	ctx = httptrace.WithClientTrace(tries.Limit(ctx), &httptrace.ClientTrace{
		TLSHandshakeStart: call.OnHandshake,
		Got1xxResponse:    func(int, textproto.MIMEHeader) error { return x.interimCame() },
	})
	x.request, x.cancel = request.WithContext(ctx), cancel
	x.page = newPage(w, x)
	if request.ContentLength != 0 { // otherwise there is none, and the call must have none
		x.request.Body = x.page.reads(request.Body)
	}
	x.uncut = afterFunc(ctx, x.page.cut)
	x.timer = time.AfterFunc(math.MaxInt64, x.look)
	x.timer.Reset(r.options.LookInterval)
	return x
}

// afterFunc calls f once a context has ended. The result keeps it from being called, or waits for its end.
func afterFunc(ctx context.Context, f func()) (stop func()) {
	ended := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(ended)
		f()
	})
	return func() {
		if !cancel() {
			<-ended
		}
	}
}

func (x *exchange) end() {
	x.uncut()
	x.cancel(nil)
	x.timer.Stop()
	x.page.resetDeadlines()
}

func (x *exchange) headCame(status int) {
	x.hasHead.Store(true)
	x.moved()
	x.call.OnHead(status, time.Since(x.began))
}

// maxInterim bounds the answers before the answer (RFC 9110 section 15.2). Since they are not for the page,
// its pace bounds none. An API that says so each second that it works on a request sends some dozens.
const maxInterim = 100

// interimCame counts one of those. It fails if there are too many, which ends the call.
func (x *exchange) interimCame() error {
	if x.interim.Add(1) > maxInterim {
		return errNoAnswer
	}
	return nil
}

// moved says that the API has taken or sent something.
func (x *exchange) moved() { x.lastAt.Store(int64(time.Since(x.began))) }

// errSilent ends an answer of which nothing comes.
var errSilent = errors.New("the API sends nothing")

// look ends the call if it may not go on, or else looks again later.
func (x *exchange) look() {
	silent := time.Since(x.began) - time.Duration(x.lastAt.Load())
	isWaiting := x.waiting.Load() > 0
	switch {
	case x.request.Context().Err() != nil: // it has ended
	case !x.call.Allowed():
		x.cancel(ErrNotAllowed)
	case !isWaiting && !x.hasHead.Load() && silent > x.patience:
		x.cancel(ErrTimeout) // it does not even take the body
	case !isWaiting && x.hasHead.Load() && silent > x.options.SilenceTimeout:
		x.cancel(errSilent)
	default:
		x.timer.Reset(x.options.LookInterval)
	}
}
