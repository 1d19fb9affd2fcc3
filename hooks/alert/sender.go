package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"plugin-oauth/internal/tries"
)

// DefaultTimeout bounds one POST, its answer included.
const DefaultTimeout = 10 * time.Second

// Post sends a text to an address: one POST of {"text": …}, which Slack, Mattermost and Discord's form for
// Slack take. It follows no redirect. Its error quotes neither the address, which is a secret, nor the
// answer.
func Post(ctx context.Context, address, text string) error {
	body, err := json.Marshal(struct {
		Text string `json:"text"`
	}{Text: text})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(tries.Limit(ctx), http.MethodPost, address,
		bytes.NewReader(body))
	if err != nil {
		return errNoAnswer
	}
	request.GetBody = nil // else net/http would send it again if a connection breaks
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "plugin-oauth")
	response, err := client.Do(request)
	if err != nil {
		return withoutAddress(err)
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case status >= 300 && status < 400:
		return fmt.Errorf("the host answered %d, a redirect, which is not followed", status)
	case status < 200 || status >= 300:
		return fmt.Errorf("the host answered %d", status)
	}
	return nil
}

// client has a connection for each message: there are few.
var client = &http.Client{
	Transport:     newTransport(),
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func newTransport() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.MaxResponseHeaderBytes = 64 << 10
	transport.DialContext = tries.Dial(transport.DialContext)
	return transport
}

var (
	errUnreachable = errors.New("the host cannot be reached")
	errTooSlow     = errors.New("the host does not answer in time")
	errNotTrusted  = errors.New("the certificate of the host is not valid")
	errStopped     = errors.New("the service was stopped before the host had answered")
	errNoAnswer    = errors.New("the host gave no answer that can be read")
)

// withoutAddress returns an error that says as much as may be logged.
func withoutAddress(err error) error {
	operation, isNetwork := errors.AsType[*net.OpError](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case isCertificate:
		return errNotTrusted
	case errors.Is(err, context.Canceled):
		return errStopped
	case isNetwork && operation.Op == "dial":
		return errUnreachable // so it has got nothing
	case os.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded):
		return errTooSlow
	default:
		return errNoAnswer
	}
}

// Message is what is to be sent about a plugin.
type Message struct {
	// Plugin is the plugin's slug.
	Plugin string

	// Failing says whether it fails now.
	Failing bool

	// Text is what is sent.
	Text string
}

// SenderOptions are the options of a [Sender].
type SenderOptions struct {
	// URL is where the messages are posted.
	URL string

	// Before is called before each message is sent, and if there is none any more. Once it has returned, the
	// message counts as sent: if the process ends then, it is lost, and not sent twice.
	Before func()

	// OnError is called if a message could not be sent.
	OnError func(Message, error)

	// Timeout bounds one message. Zero means [DefaultTimeout].
	Timeout time.Duration

	// RetryAfter is how long after the first try the second comes, if the host cannot be reached; after that
	// one it is twice as long, and so on. Zero means half a minute.
	RetryAfter time.Duration
}

// maxTries is how often it is tried to reach the host. Once there is a connection, nothing is tried again:
// the message may have arrived.
const maxTries = 5

// Sender posts messages, one at a time and in order. It is safe for concurrent use.
type Sender struct {
	options SenderOptions
	send    func(ctx context.Context, address, text string) error
	wake    chan struct{} // has a value if there is something to send
	closing chan struct{}
	ended   chan struct{}

	sending context.Context // ends when nothing more may be sent
	abort   context.CancelFunc

	mu      sync.Mutex
	waiting []Message // one for each plugin at most
}

// NewSender returns a sender, which runs until it is closed.
func NewSender(options SenderOptions) *Sender { return newSender(options, Post) }

func newSender(options SenderOptions, send func(ctx context.Context, address, text string) error) *Sender {
	if options.Timeout == 0 {
		options.Timeout = DefaultTimeout
	}
	if options.RetryAfter == 0 {
		options.RetryAfter = 30 * time.Second
	}
	s := &Sender{
		options: options,
		send:    send,
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		ended:   make(chan struct{}),
	}
	s.sending, s.abort = context.WithCancel(context.Background())
	go s.run()
	return s
}

// Send has a message sent, and returns at once. If the one that says that the plugin fails has not been sent
// yet, neither that one nor the one that it works again is.
func (s *Sender) Send(message Message) {
	s.mu.Lock()
	i := slices.IndexFunc(s.waiting, func(other Message) bool { return other.Plugin == message.Plugin })
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	} else {
		s.waiting = append(s.waiting, message)
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close sends what is waiting, as long as the context allows, and ends the sender. It calls OnError for what
// is not sent then. Send must not be called any more.
func (s *Sender) Close(ctx context.Context) {
	close(s.closing)
	defer context.AfterFunc(ctx, s.abort)()
	<-s.ended
	s.abort()
}

func (s *Sender) run() {
	defer close(s.ended)
	for {
		select {
		case <-s.wake:
			s.sendWaiting()
		case <-s.closing:
			s.sendWaiting()
			return
		}
	}
}

func (s *Sender) sendWaiting() {
	for {
		s.options.Before()
		message, found := s.next()
		if !found {
			return
		}
		if err := s.post(message); err != nil {
			s.options.OnError(message, err)
		}
	}
}

func (s *Sender) next() (message Message, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return Message{}, false
	}
	message = s.waiting[0]
	s.waiting = slices.Delete(s.waiting, 0, 1)
	return message, true
}

// post sends a message, and tries again while the host cannot be reached.
func (s *Sender) post(message Message) error {
	wait := s.options.RetryAfter
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(s.sending, s.options.Timeout)
		err := s.send(ctx, s.options.URL, message.Text)
		cancel()
		if !errors.Is(err, errUnreachable) || try == maxTries {
			return err
		}
		select {
		case <-time.After(wait):
		case <-s.closing:
			return err
		}
		wait *= 2
	}
}
