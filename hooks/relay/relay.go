// Package relay calls an API for a page that its browser does not let call it, since the API's answers have
// no CORS headers. The request and the answer are streamed, and change as little as possible.
//
// Whoever uses it says which address is called: it is no open proxy. What it dials is in dial.go, and which
// headers it passes on is in headers.go.
package relay

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

const (
	// MaxBody bounds the body of a request, in bytes: 20 MB.
	MaxBody = 20 << 20

	// DefaultHeadTimeout bounds the time from the end of a request to the head of its answer.
	DefaultHeadTimeout = 30 * time.Second

	// DefaultStallTimeout bounds how long a page may send or read nothing while it could.
	DefaultStallTimeout = time.Minute
)

// The errors of [Relay.Serve]. Nothing has been answered when it returns one of them.
var (
	// ErrBodyTooLarge says that the request's body has more than MaxBody bytes.
	ErrBodyTooLarge = errors.New("the body is too large")

	// ErrBodyIncomplete says that the page did not send the whole body in time.
	ErrBodyIncomplete = errors.New("the body did not arrive")

	// ErrTimeout says that the API was too slow.
	ErrTimeout = errors.New("the API did not answer in time")

	// ErrUnreachable says that the API gave no answer. The cause is wrapped beside it.
	ErrUnreachable = errors.New("the API did not answer")

	// ErrUpgrade says that the request wants to become a WebSocket (RFC 6455), which is not relayed.
	ErrUpgrade = errors.New("WebSockets are not relayed")

	// ErrGone says that the page has left.
	ErrGone = errors.New("the page is gone")
)

// Options say how a [Relay] works. A zero field stands for its default.
type Options struct {
	// HeadTimeout bounds the time from the end of a request to the head of its answer. Zero means
	// [DefaultHeadTimeout].
	HeadTimeout time.Duration

	// StallTimeout bounds how long a page may send or read nothing while it could. Zero means
	// [DefaultStallTimeout].
	StallTimeout time.Duration

	// ProxyHeaders are the names of more request headers that are not passed on.
	ProxyHeaders []string

	// Transport makes the calls, in tests. Nil means one that dials no private address.
	Transport http.RoundTripper
}

// Relay makes calls. It is safe for concurrent use.
type Relay struct {
	options   Options
	transport http.RoundTripper
	buffers   *bufferPool
}

// New returns a relay.
func New(options Options) *Relay {
	if options.HeadTimeout == 0 {
		options.HeadTimeout = DefaultHeadTimeout
	}
	if options.StallTimeout == 0 {
		options.StallTimeout = DefaultStallTimeout
	}
	transport := options.Transport
	if transport == nil {
		transport = newTransport(options.HeadTimeout)
	}
	return &Relay{options: options, transport: transport, buffers: &bufferPool{}}
}

// Call is one request, and what may be done with it.
type Call struct {
	// URL is what is called. It must be an address that may be called.
	URL *url.URL

	// Authorization is what the API gets in the header of that name (RFC 9110 section 11.6.2).
	Authorization string

	// Locate returns the address at which the page may follow a redirect to the API's own address, or ""
	// where the redirect is to stay as it is. No redirect is followed here.
	Locate func(*url.URL) string

	// Allowed reports whether the answer may still be passed on. It is asked before each piece of it. Once it
	// is false, the connection to the page is cut.
	Allowed func() bool

	// OnHead is told the status of the answer, or zero if there is none, and how long that took.
	OnHead func(status int, took time.Duration)
}

// Serve makes the call and passes the answer on, with the headers that w has already. If the API breaks off
// its answer, it panics with [http.ErrAbortHandler], so that the page does not take half of it for all.
func (r *Relay) Serve(w http.ResponseWriter, req *http.Request, call Call) error {
	if isWebSocket(req.Header) {
		return ErrUpgrade
	}
	if req.ContentLength > MaxBody {
		return ErrBodyTooLarge
	}
	page := &page{ResponseWriter: w, stall: r.options.StallTimeout, allowed: call.Allowed}
	defer page.resetDeadlines()
	body := page.reads(req)
	own := w.Header().Clone()
	clear(w.Header()) // what the API sends before its answer would clear it as well
	began := time.Now()
	var failed error
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { r.rewrite(p, call) },
		ModifyResponse: func(response *http.Response) error {
			call.OnHead(response.StatusCode, time.Since(began))
			rewriteAnswer(response, call, own)
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) {
			failed = errorOf(err, body, req)
			call.OnHead(0, time.Since(began))
		},
		Transport:  r.transport,
		BufferPool: r.buffers,
		ErrorLog:   log.New(io.Discard, "", 0), // it would say what went wrong a second time
	}
	proxy.ServeHTTP(page, req)
	if failed != nil {
		copyHeader(w.Header(), own)
	}
	return failed
}

// errorOf returns one of this package's errors for one of the transport's.
func errorOf(err error, body *requestBody, req *http.Request) error {
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case body.tooLarge:
		return ErrBodyTooLarge
	case req.Context().Err() != nil:
		return ErrGone
	case body.failed:
		return ErrBodyIncomplete
	case isNet && timeout.Timeout():
		return ErrTimeout
	default:
		return errors.Join(ErrUnreachable, err)
	}
}

// page is the side of the page: it gets the answer as long as that is allowed, and must read it.
type page struct {
	http.ResponseWriter

	stall   time.Duration
	allowed func() bool
}

// errNotAllowed ends an answer that may no longer be passed on.
var errNotAllowed = errors.New("the call is no longer allowed")

// WriteHeader leaves out the answers that come before the answer (RFC 9110 section 15.2).
func (p *page) WriteHeader(status int) {
	if status >= http.StatusOK {
		p.extend((*http.ResponseController).SetWriteDeadline)
		p.ResponseWriter.WriteHeader(status)
	}
}

// Write passes a piece of the answer on.
func (p *page) Write(piece []byte) (int, error) {
	if !p.allowed() {
		return 0, errNotAllowed
	}
	p.extend((*http.ResponseController).SetWriteDeadline)
	return p.ResponseWriter.Write(piece)
}

// Unwrap is for [http.ResponseController].
func (p *page) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// extend moves a deadline. If the connection has none, the server's own still applies.
func (p *page) extend(set func(*http.ResponseController, time.Time) error) {
	_ = set(http.NewResponseController(p.ResponseWriter), time.Now().Add(p.stall))
}

func (p *page) resetDeadlines() {
	_ = http.NewResponseController(p.ResponseWriter).SetReadDeadline(time.Time{})
}

// reads makes the request's body one that is bounded in size and must keep coming.
func (p *page) reads(req *http.Request) *requestBody {
	body := &requestBody{
		ReadCloser: http.MaxBytesReader(p.ResponseWriter, req.Body, MaxBody),
		extend:     func() { p.extend((*http.ResponseController).SetReadDeadline) },
	}
	if req.ContentLength != 0 { // otherwise there is none, and the call must have none
		req.Body = body
	}
	return body
}

// requestBody is the body of a request, which remembers how it failed: transports do not always say.
type requestBody struct {
	io.ReadCloser

	extend           func()
	tooLarge, failed bool
}

// Read reads from the page.
func (b *requestBody) Read(piece []byte) (int, error) {
	b.extend()
	n, err := b.ReadCloser.Read(piece)
	if err != nil && !errors.Is(err, io.EOF) {
		_, b.tooLarge = errors.AsType[*http.MaxBytesError](err)
		b.failed = true
	}
	return n, err
}

// bufferPool lends the buffers through which answers are copied.
type bufferPool struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get returns a buffer.
func (p *bufferPool) Get() []byte {
	if buffer, ok := p.pool.Get().(*[bufferSize]byte); ok {
		return buffer[:]
	}
	return make([]byte, bufferSize)
}

// Put takes a buffer back.
func (p *bufferPool) Put(buffer []byte) { p.pool.Put((*[bufferSize]byte)(buffer)) }
