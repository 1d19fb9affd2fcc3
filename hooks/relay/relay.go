// Package relay calls an API for a page that its browser does not let call it, since the API's answers have
// no CORS headers. The request and the answer are streamed, and change as little as possible.
//
// Whoever uses it says which address is called: it is no open proxy. What it dials is in dial.go, which
// headers it passes on is in headers.go, and how long a call may take is in exchange.go and page.go.
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"plugin-oauth/internal/tries"
)

const (
	// MaxBody bounds the body of a request, in bytes: 20 MB.
	MaxBody = 20 << 20

	// DefaultHeadTimeout bounds the time from the end of a request to the head of its answer.
	DefaultHeadTimeout = 30 * time.Second

	// DefaultStallTimeout bounds how long a page may send or read nothing while it could.
	DefaultStallTimeout = time.Minute

	// DefaultSilenceTimeout bounds how long an API may send nothing of its answer. Servers of events send
	// something more often, since proxies wait a minute or two at most.
	DefaultSilenceTimeout = 5 * time.Minute

	// DefaultLookInterval is how often a call that takes long is looked at.
	DefaultLookInterval = 5 * time.Second
)

// The errors of [Relay.Serve]. Nothing has been answered when it returns one of them.
var (
	// ErrMethod says that the request's method is one of those that pages may not use.
	ErrMethod = errors.New("the method is not relayed")

	// ErrBodyTooLarge says that the request's body has more than MaxBody bytes.
	ErrBodyTooLarge = errors.New("the body is too large")

	// ErrBodyIncomplete says that the page did not send the whole body in time.
	ErrBodyIncomplete = errors.New("the body did not arrive")

	// ErrTimeout says that the API was too slow.
	ErrTimeout = errors.New("the API did not answer in time")

	// ErrUnreachable says that the API gave no answer. The cause is wrapped beside it, and quotes nothing
	// that was sent.
	ErrUnreachable = errors.New("the API did not answer")

	// ErrUpgrade says that the request wants to become a WebSocket (RFC 6455), which is not relayed.
	ErrUpgrade = errors.New("WebSockets are not relayed")

	// ErrNotAllowed says that the call was no longer allowed while it was under way.
	ErrNotAllowed = errors.New("the call is no longer allowed")

	// ErrDisplaced is for whoever ends a call since another needs its place: it is the cause with which the
	// context of the request ends.
	ErrDisplaced = errors.New("another call has its place")

	// ErrGone says that the page has left.
	ErrGone = errors.New("the page is gone")
)

// Options say how a [Relay] works. A zero field stands for its default.
type Options struct {
	// HeadTimeout bounds the time from the end of a request to the head of its answer. Zero means
	// [DefaultHeadTimeout].
	HeadTimeout time.Duration

	// StallTimeout bounds how long a page may send or read nothing while it could, and how far it may fall
	// behind 8 KB a second. Zero means [DefaultStallTimeout].
	StallTimeout time.Duration

	// SilenceTimeout bounds how long an API may send nothing of its answer. Zero means
	// [DefaultSilenceTimeout].
	SilenceTimeout time.Duration

	// LookInterval is how often a call that takes long is looked at: whether it is still allowed, and whether
	// the API is silent. Zero means [DefaultLookInterval].
	LookInterval time.Duration

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
	patience  time.Duration // bounds the wait for the head without progress, connecting included
}

// New returns a relay.
func New(options Options) *Relay {
	for _, option := range []struct {
		value        *time.Duration
		defaultValue time.Duration
	}{
		{value: &options.HeadTimeout, defaultValue: DefaultHeadTimeout},
		{value: &options.StallTimeout, defaultValue: DefaultStallTimeout},
		{value: &options.SilenceTimeout, defaultValue: DefaultSilenceTimeout},
		{value: &options.LookInterval, defaultValue: DefaultLookInterval},
	} {
		if *option.value == 0 {
			*option.value = option.defaultValue
		}
	}
	transport := options.Transport
	if transport == nil {
		transport = newTransport(options.HeadTimeout, dial)
	}
	return &Relay{
		options:   options,
		transport: withoutTrailers{transport},
		buffers:   &bufferPool{},
		patience:  options.HeadTimeout + 2*connectTimeout,
	}
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

	// Allowed reports whether the answer may still be passed on. It is asked before each piece of it, and
	// every few seconds. Once it is false, the connection to the page is cut.
	Allowed func() bool

	// OnHead is told the status of the answer, or zero if there is none, and how long that took.
	OnHead func(status int, took time.Duration)

	// OnHandshake is called for each TLS handshake that the call causes. It may end before, since the
	// connection is made for the next call then. Nil does nothing.
	OnHandshake func()
}

// notRelayed are the methods that pages may not use (Fetch standard, section 2.2.1). An API that answers
// TRACE says what it was sent, the token included.
var notRelayed = []string{http.MethodConnect, http.MethodTrace, "TRACK"}

// Serve makes the call and passes the answer on, with the headers that w has already. If the API breaks off
// its answer, it panics with [http.ErrAbortHandler], so that the page does not take half of it for all.
func (r *Relay) Serve(w http.ResponseWriter, req *http.Request, call Call) error {
	switch {
	case slices.Contains(notRelayed, strings.ToUpper(req.Method)):
		return ErrMethod
	case isWebSocket(req.Header):
		return ErrUpgrade
	case req.ContentLength > MaxBody:
		return ErrBodyTooLarge
	}
	own := w.Header().Clone()
	clear(w.Header()) // what the API sends before its answer would clear it as well
	x := r.begin(w, req, call)
	defer x.end()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { r.rewrite(p, call) },
		ModifyResponse: func(response *http.Response) error {
			if response.StatusCode < http.StatusOK {
				return errNoAnswer // 101 would make a tunnel
			}
			x.headCame(response.StatusCode)
			rewriteAnswer(response, call, own)
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { x.fail(err) },
		Transport:    r.transport,
		BufferPool:   r.buffers,
		ErrorLog:     noLog,
	}
	proxy.ServeHTTP(x.page, x.request)
	if x.failed != nil {
		maps.Copy(w.Header(), own)
	}
	return x.failed
}

// noLog is for what would be said a second time.
var noLog = log.New(io.Discard, "", 0)

// errNoAnswer is the cause of an error where the API's own words are not for a log.
var errNoAnswer = errors.New("its answer is malformed or incomplete")

// fail turns one of the transport's errors into one of this package's.
func (x *exchange) fail(err error) {
	x.call.OnHead(0, time.Since(x.began))
	timeout, isNet := errors.AsType[net.Error](err)
	ended := context.Cause(x.request.Context())
	switch {
	case x.page.tooLarge.Load():
		x.failed = ErrBodyTooLarge
	case errors.Is(ended, ErrTimeout), errors.Is(ended, ErrNotAllowed), errors.Is(ended, ErrDisplaced):
		x.failed = ended
	case x.page.incomplete.Load(): // the server takes that for a page that has left
		x.failed = ErrBodyIncomplete
	case ended != nil:
		x.failed = ErrGone
	case isNet && timeout.Timeout():
		x.failed = ErrTimeout
	default:
		x.failed = errors.Join(ErrUnreachable, quotingNothing(err))
	}
}

// quotingNothing returns an error of net/http that may be logged. Others quote lines of an answer.
func quotingNothing(err error) error {
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return operation
	}
	if verification, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return verification
	}
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return record
	}
	if errors.Is(err, tries.ErrTooMany) {
		return tries.ErrTooMany
	}
	return errNoAnswer
}

// withoutTrailers calls without the trailers of requests, and returns answers without theirs (RFC 9110
// section 6.5): a proxy on the way may take them for headers, which those that are not passed on would be.
type withoutTrailers struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t withoutTrailers) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	same := *response // the transport sets the trailers of its own at the end of the body
	same.Trailer = nil
	return &same, nil
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
