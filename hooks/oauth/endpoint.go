package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"plugin-oauth/internal/tries"
)

const (
	// DefaultTimeout bounds one request to a provider, its answer included.
	DefaultTimeout = 10 * time.Second

	// maxAnswer bounds an answer of a provider, in bytes: 1 MB.
	maxAnswer = 1 << 20

	// usualAnswer is how much of it is read at any time: 64 KB. The largest tokens that people reported have
	// nearly 20 KB, and an answer has three.
	usualAnswer = 64 << 10

	// maxLarge is how many answers are read at a time of which there is more. Hundreds may be under way, at a
	// provider that never ends them.
	maxLarge = 16

	// maxAnswerHeaders bounds the headers of an answer, in bytes: 64 KB. net/http would take 10 MB.
	maxAnswerHeaders = 64 << 10

	grantCode         = "authorization_code" // RFC 6749 section 4.1.3
	grantRefreshToken = "refresh_token"      // RFC 6749 section 6
)

// Endpoint talks to the token and revocation endpoints of any client. It is safe for concurrent use.
type Endpoint struct {
	// HTTP sends the requests: see [NewHTTPClient]. It must not follow redirects, since the requests carry
	// secrets.
	HTTP *http.Client

	// Observe is called for each token request once it is answered. It may be nil.
	Observe func(Call)
}

// Call is a token request that was made.
type Call struct {
	// GrantType is authorization_code or refresh_token (RFC 6749 sections 4.1.3 and 6).
	GrantType string

	// Status is the status of the answer. Zero means that there was none, and Err says why.
	Status int

	// Err is an *[Error], or nil if there was an answer, whatever it said.
	Err error

	// Duration is the time from the request to the end of its answer.
	Duration time.Duration
}

// NewHTTPClient returns a client for the endpoints of providers, which never follows a redirect. It keeps
// connections for a busy moment only: a provider may close one that is older just when it is used again, and
// a request that was lost that way cannot be repeated.
func NewHTTPClient(timeout time.Duration) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.IdleConnTimeout = 500 * time.Millisecond
	transport.MaxIdleConnsPerHost = 32
	transport.MaxResponseHeaderBytes = maxAnswerHeaders
	transport.DialContext = tries.Dial(transport.DialContext)
	// What an answer sends ahead of its reader is in memory, too, while it waits for its turn.
	transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: usualAnswer}
	return &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Exchange redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5) and returns the provider's token
// response byte for byte. It fails with an *[Error], or with another error if the client is not valid. The
// client must not have an open tenant.
func (e *Endpoint) Exchange(ctx context.Context, c *Client, grant CodeGrant) ([]byte, error) {
	c, err := c.inRegionOf(grant.RedirectParams)
	if err != nil {
		return nil, err
	}
	form, err := c.tokenParams(c.CodeParams)
	if err != nil {
		return nil, err
	}
	for _, name := range c.CodeRedirectParams {
		if value := grant.RedirectParams[name]; value != "" {
			form.Set(name, value)
		}
	}
	form.Set("grant_type", grantCode)
	form.Set("code", grant.Code)
	form.Set("redirect_uri", c.sentRedirectURI())
	if c.usesPKCE() {
		form.Set("code_verifier", grant.Verifier)
	}
	tokens, err := e.requestToken(ctx, c, c.TokenEndpoint, form)
	if err != nil || c.LongLived == nil {
		return tokens, err
	}
	return e.lengthen(ctx, c, tokens)
}

// tokenParams returns the client's further parameters for the token endpoint, and those of another query
// string.
func (c *Client) tokenParams(more string) (url.Values, error) {
	return url.ParseQuery(strings.Trim(c.TokenParams+"&"+more, "&"))
}

// CodeGrant is what a code is redeemed with.
type CodeGrant struct {
	// Code is the authorization code (RFC 6749 section 4.1.2).
	Code string

	// Verifier is the PKCE code verifier (RFC 7636 section 4.1).
	Verifier string

	// RedirectParams are parameters of the redirect by their names: at least those of
	// [Client.RedirectParamNames]. Others are not sent.
	RedirectParams map[string]string
}

// Refresh redeems a refresh token (RFC 6749 section 6) and returns the provider's token response byte for
// byte. It fails like [Endpoint.Exchange], and the client must not have an open tenant either.
func (e *Endpoint) Refresh(ctx context.Context, c *Client, refreshToken string) ([]byte, error) {
	if c.LongLived != nil {
		return e.renew(ctx, c, refreshToken)
	}
	form, err := c.tokenParams("")
	if err != nil {
		return nil, err
	}
	form.Set("grant_type", grantRefreshToken)
	form.Set("refresh_token", refreshToken)
	return e.requestToken(ctx, c, c.RefreshEndpoint, form)
}

// requestToken does not use x/oauth2's Exchange: that returns a parsed token, not the provider's bytes, and
// refuses answers that real providers send (a token nested in an object, a fractional expires_in).
func (e *Endpoint) requestToken(
	ctx context.Context, c *Client, endpoint string, form url.Values,
) ([]byte, error) {
	request, err := c.authenticatedRequest(ctx, endpointRequest{
		address: endpoint, form: form, format: c.TokenFormat,
	})
	if err != nil {
		return nil, err
	}
	return e.sendTokenRequest(request, form.Get("grant_type"))
}

// sendTokenRequest reads the answer to a token request. The request is observed unless its grant type is
// blank.
func (e *Endpoint) sendTokenRequest(request *http.Request, grantType string) ([]byte, error) {
	began := time.Now()
	answer, err := e.Do(request)
	if e.Observe != nil && grantType != "" {
		e.Observe(Call{GrantType: grantType, Status: answer.Status, Err: err, Duration: time.Since(began)})
	}
	if err != nil {
		return nil, err
	}
	return readTokenResponse(answer, grantType)
}

// endpointRequest is what is sent to the token or the revocation endpoint.
type endpointRequest struct {
	address string
	form    url.Values // without what authenticates the client
	format  TokenFormat
}

// authenticatedRequest returns a POST with the client's authentication (RFC 6749 section 2.3.1). It adds to
// the form.
func (c *Client) authenticatedRequest(ctx context.Context, sent endpointRequest) (*http.Request, error) {
	switch c.TokenAuth {
	case TokenAuthBody:
		sent.form.Set(c.clientIDParam(), c.ClientID)
		sent.form.Set("client_secret", c.secret())
	case TokenAuthNone:
		sent.form.Set(c.clientIDParam(), c.ClientID)
	}
	request, err := sent.newRequest(ctx)
	if err != nil {
		return nil, err
	}
	switch c.TokenAuth {
	case TokenAuthBasic:
		c.setBasicAuth(request)
	case TokenAuthBasicSecret:
		request.SetBasicAuth(c.secret(), "")
	}
	return request, nil
}

func (r endpointRequest) newRequest(ctx context.Context) (*http.Request, error) {
	if r.format == TokenFormatJSON {
		members := make(map[string]any, len(r.form))
		for name, values := range r.form {
			members[name] = values[0]
			if len(values) > 1 {
				members[name] = values
			}
		}
		return postJSON(ctx, r.address, members)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.address,
		strings.NewReader(r.form.Encode()))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return request, err
}

// setBasicAuth form-encodes both parts first (RFC 6749 section 2.3.1).
func (c *Client) setBasicAuth(request *http.Request) {
	request.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.secret()))
}

// Answer is what a provider answered.
type Answer struct {
	// Status is the HTTP status.
	Status int

	// Body is the whole body, or the first megabyte and a byte of a larger one.
	Body []byte

	// Location is where it redirects to, as it stands in the answer. It is not followed.
	Location string

	// RetryAfter is how long the provider asks to wait. Zero means that it does not say.
	RetryAfter time.Duration

	// Server is the name of the program that answered, as it says itself (RFC 9110 section 10.2.4).
	Server string
}

// Do sends a request to a provider and reads the whole answer. It fails with an *[Error] if none came.
func (e *Endpoint) Do(request *http.Request) (Answer, error) {
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "plugin-oauth")
	response, err := e.HTTP.Do(request.WithContext(tries.Limit(request.Context())))
	if err != nil {
		return Answer{}, noAnswer(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		// The client's time limit does not reach the body of this one.
		return Answer{}, notOAuth("has the status 101")
	}
	body, err := readAnswer(response.Body, e.HTTP.Timeout)
	if err != nil {
		return Answer{}, noAnswer(err)
	}
	return Answer{
		Status:     response.StatusCode,
		Body:       body,
		Location:   response.Header.Get("Location"),
		RetryAfter: readRetryAfter(response.Header, time.Now()),
		Server:     response.Header.Get("Server"),
	}, nil
}

// large has an element for each answer that is read and has more than usualAnswer.
var large = make(chan struct{}, maxLarge)

// readAnswer reads the body of an answer, and not more than a byte too many. It waits for its turn if there
// is much, as long as an answer may take.
func readAnswer(body io.Reader, limit time.Duration) ([]byte, error) {
	usual, err := io.ReadAll(io.LimitReader(body, usualAnswer))
	if err != nil || len(usual) < usualAnswer {
		return usual, err
	}
	select {
	case large <- struct{}{}:
		defer func() { <-large }()
	case <-time.After(limit):
		return nil, context.DeadlineExceeded
	}
	rest, err := io.ReadAll(io.LimitReader(body, maxAnswer+1-usualAnswer))
	return append(usual, rest...), err
}

var (
	errTooSlow = errors.New("the provider took too long")

	// ErrIncomplete is the cause of an [Unreachable] error if the provider's answer was malformed or
	// incomplete.
	ErrIncomplete = errors.New("the provider's answer is malformed or incomplete")
)

// noAnswer returns the error for a provider that gave no answer, or an incomplete one.
func noAnswer(err error) *Error {
	if os.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
		return newError(TimedOut, errTooSlow)
	}
	// net/http quotes the URL, which may carry a key, and lines of a malformed answer. Only what is known to
	// quote neither is kept.
	cause := ErrIncomplete
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		cause = operation
	} else if verification, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		cause = verification
	} else if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		cause = record
	}
	for _, plain := range []error{http.ErrSchemeMismatch, tries.ErrTooMany} {
		if errors.Is(err, plain) {
			cause = plain
		}
	}
	return newError(Unreachable, cause)
}

func notOAuth(what string) *Error {
	return newError(NotOAuth, fmt.Errorf("the provider's answer %s", what))
}
