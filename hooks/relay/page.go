package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// page is the side of the page: it gets the answer as long as that is allowed, and must read it.
type page struct {
	http.ResponseWriter

	x        *exchange
	control  *http.ResponseController
	out, in  pace
	readsAny bool // a deadline for reading has been set

	// How the request's body failed, which transports do not always say.
	tooLarge, incomplete atomic.Bool
}

func newPage(w http.ResponseWriter, x *exchange) *page {
	stall := x.options.StallTimeout
	return &page{
		ResponseWriter: w,
		x:              x,
		control:        http.NewResponseController(w),
		out:            pace{stall: stall},
		in:             pace{stall: stall},
	}
}

// WriteHeader leaves out the answers that come before the answer (RFC 9110 section 15.2). Without a
// Content-Type there is none: net/http would guess one.
func (p *page) WriteHeader(status int) {
	if status < http.StatusOK {
		return
	}
	if header := p.Header(); header["Content-Type"] == nil {
		header["Content-Type"] = nil
	}
	p.extendWriting()
	p.ResponseWriter.WriteHeader(status)
}

// extendWriting gives the page time for what net/http still has to send, whatever the call has taken so far.
func (p *page) extendWriting() { _ = p.control.SetWriteDeadline(time.Now().Add(p.out.stall)) }

// Write passes a piece of the answer on.
func (p *page) Write(piece []byte) (int, error) {
	if !p.x.call.Allowed() {
		return 0, ErrNotAllowed
	}
	p.x.waiting.Add(1)
	defer p.x.waiting.Add(-1)
	began := time.Now()
	// If the connection has no deadline, the server's own still applies.
	_ = p.control.SetWriteDeadline(p.out.deadline(began))
	if err := context.Cause(p.x.request.Context()); err != nil { // it may have ended before the deadline
		return 0, err
	}
	n, err := p.ResponseWriter.Write(piece)
	p.out.add(n, time.Since(began))
	p.x.moved()
	return n, err
}

// Unwrap is for [http.ResponseController].
func (p *page) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// reads makes the request's body one that is bounded in size and must keep coming.
func (p *page) reads(body io.ReadCloser) io.ReadCloser {
	p.readsAny = true
	return &requestBody{ReadCloser: http.MaxBytesReader(p.ResponseWriter, body, MaxBody), page: p}
}

// cut ends what waits for the page, once the context of the call has ended: its place may be another's by
// now.
func (p *page) cut() {
	_ = p.control.SetWriteDeadline(past)
	if p.readsAny {
		_ = p.control.SetReadDeadline(past)
	}
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// resetDeadlines lets the page read the rest of an answer without a body, or an error, and lets the server
// wait for its next request as long as it does otherwise.
func (p *page) resetDeadlines() {
	p.extendWriting()
	if p.readsAny {
		_ = p.control.SetReadDeadline(time.Time{})
	}
}

// requestBody is the body of a request.
type requestBody struct {
	io.ReadCloser

	page *page
}

// Read reads from the page.
func (b *requestBody) Read(piece []byte) (int, error) {
	x := b.page.x
	x.waiting.Add(1)
	defer x.waiting.Add(-1)
	began := time.Now()
	_ = b.page.control.SetReadDeadline(b.page.in.deadline(began))
	if err := context.Cause(x.request.Context()); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(piece)
	b.page.in.add(n, time.Since(began))
	x.moved()
	if err != nil && !errors.Is(err, io.EOF) {
		_, isTooLarge := errors.AsType[*http.MaxBytesError](err)
		b.page.tooLarge.Store(isTooLarge)
		b.page.incomplete.Store(true)
	}
	return n, err
}

// slowest is the rate below which a page falls behind, in bytes a second.
const slowest = 8 << 10

// pace bounds how long a page may keep a call waiting: so long at a time, and so long in all, not counting
// what its bytes take at the slowest rate. A page that sends or takes a byte now and then would otherwise
// keep its place for ever.
type pace struct {
	stall  time.Duration
	bytes  int
	waited time.Duration
}

// deadline returns when the page must have moved.
func (p *pace) deadline(now time.Time) time.Time {
	left := p.stall + time.Duration(p.bytes)*(time.Second/slowest) - p.waited
	return now.Add(min(left, p.stall))
}

// add says how many bytes have moved, and how long that took.
func (p *pace) add(bytes int, took time.Duration) {
	p.bytes += bytes
	p.waited += took
}
