package hooks

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// tokenTimeout bounds one request to a token endpoint, its answer included.
	tokenTimeout = 10 * time.Second

	// maxTokenResponse bounds an answer of a token endpoint, in bytes.
	maxTokenResponse = 1 << 20
)

// newTokenClient returns the client for token endpoints. It never follows a redirect: the request carries a secret.
// It keeps connections for a busy moment only: a provider may close one that is older just when it is used again, and a
// request that was lost so cannot be repeated.
func newTokenClient() *http.Client {
	quietLog()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.IdleConnTimeout = 500 * time.Millisecond
	transport.MaxIdleConnsPerHost = 32
	return &http.Client{
		Transport:     transport,
		Timeout:       tokenTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// quietLog keeps net/http from printing what a provider sends after its answer, which may be part of a token.
var quietLog = sync.OnceFunc(func() { log.SetOutput(withoutUnsolicited{log.Writer()}) })

type withoutUnsolicited struct{ io.Writer }

func (w withoutUnsolicited) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("Unsolicited response")) {
		return len(line), nil
	}
	return w.Writer.Write(line)
}

// exchange redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5) and returns the provider's token response
// byte for byte. An error of the provider's is a *problem.
func (r *relay) exchange(ctx context.Context, p *Plugin, code, verifier string) ([]byte, error) {
	form, err := url.ParseQuery(p.tokenParams)
	if err != nil {
		return nil, err
	}
	form.Set("grant_type", "authorization_code")
	form.Set("code", code)
	form.Set("redirect_uri", p.RedirectURI)
	if p.PKCE != "off" {
		form.Set("code_verifier", verifier)
	}
	return r.requestToken(ctx, p, p.TokenEndpoint, form)
}

// refreshToken redeems a refresh token (RFC 6749 section 6), likewise.
func (r *relay) refreshToken(ctx context.Context, p *Plugin, refreshToken string) ([]byte, error) {
	return r.requestToken(ctx, p, p.refreshEndpoint, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {refreshToken},
	})
}

// requestToken does not use x/oauth2's Exchange: that returns a parsed token, not the provider's bytes, and refuses
// answers that real providers send (a token nested in an object, a fractional expires_in).
func (r *relay) requestToken(ctx context.Context, p *Plugin, endpoint string, form url.Values) ([]byte, error) {
	request, err := p.authenticatedRequest(ctx, endpoint, form)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	status, body, err := r.ask(request)
	r.metrics.tokenRequest(p, form.Get("grant_type"), status, err, time.Since(began))
	if err != nil {
		return nil, err
	}
	return readTokenResponse(status, body)
}

// authenticatedRequest posts a form as the plugin's client (RFC 6749 section 2.3.1).
func (p *Plugin) authenticatedRequest(ctx context.Context, endpoint string, form url.Values) (*http.Request, error) {
	if p.TokenAuth == "body" {
		form.Set("client_id", p.ClientID)
		form.Set("client_secret", p.ClientSecret)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	switch p.TokenAuth {
	case "basic":
		p.setBasicAuth(request)
	case "basic-secret":
		request.SetBasicAuth(p.ClientSecret, "")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return request, nil
}

// setBasicAuth form-encodes both parts first, as RFC 6749 section 2.3.1 wants it.
func (p *Plugin) setBasicAuth(request *http.Request) {
	request.SetBasicAuth(url.QueryEscape(p.ClientID), url.QueryEscape(p.ClientSecret))
}

// ask sends a request to the provider and reads the whole answer. Its error is a *problem.
func (r *relay) ask(request *http.Request) (status int, body []byte, err error) {
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "plugin-oauth")
	response, err := r.tokenClient.Do(request)
	if err != nil {
		return 0, nil, unreachable(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		// The client's timeout does not reach the body of this one.
		return 0, nil, badResponse("has the status 101")
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, maxTokenResponse+1))
	if err != nil {
		return 0, nil, unreachable(err)
	}
	return response.StatusCode, body, nil
}

// Causes of a provider that gave no whole answer.
var (
	errTooSlow = errors.New("the provider took too long")
	errBroken  = errors.New("the provider's answer is malformed or incomplete")
)

// refusedToken is the cause of a token endpoint that refuses, in whatever format.
type refusedToken struct {
	status int    // of the answer; one under 200 counts as 400
	code   string // the provider's, which may be passed on; blank: it gave none
	object bool   // the answer is an object, in JSON or as a form
}

func (r refusedToken) Error() string {
	return fmt.Sprintf("the token endpoint answered %d with the error %s", r.status, cmp.Or(r.code, "server_error"))
}

// unreachable is the problem of a provider that gave no whole answer.
func unreachable(err error) *problem {
	if os.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
		return problem{
			Status:      http.StatusGatewayTimeout,
			Code:        "temporarily_unavailable",
			Description: "The provider took too long to answer. Try again in a moment.",
		}.because(errTooSlow)
	}
	// net/http quotes the URL, which may carry a key, and lines of a malformed answer. Only what is known to quote
	// neither is logged.
	cause := errBroken
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		cause = operation
	} else if verification, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		cause = verification
	} else if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		cause = record
	} else if errors.Is(err, http.ErrSchemeMismatch) {
		cause = http.ErrSchemeMismatch
	}
	return problem{
		Status:      http.StatusBadGateway,
		Code:        "temporarily_unavailable",
		Description: "The provider could not be reached. Try again in a moment.",
	}.because(cause)
}

// readTokenResponse judges the answer of a token endpoint (RFC 6749 sections 5.1 and 5.2). A good one is a 2xx with a
// JSON object, under whatever content type, that carries neither "error" nor "ok": false; it comes back unchanged.
// A form-encoded one, as GitHub sends it, is turned into JSON.
func readTokenResponse(status int, body []byte) ([]byte, error) {
	if len(body) > maxTokenResponse {
		return nil, badResponse("is larger than 1 MB")
	}
	tokens := body
	answer, ok := jsonObject(body)
	if !ok {
		if tokens, ok = formToJSON(body); ok {
			answer, ok = jsonObject(tokens)
		}
	}
	success := status >= 200 && status < 300
	code, failed := "", false
	if ok {
		code, failed = errorOf(answer)
		if (code == "" || code == "unauthorized_client") && deadRefreshToken(answer) {
			code = "invalid_grant"
		}
	}
	switch {
	case success && ok && !failed:
		return tokens, nil
	case success && !ok:
		return nil, badResponse("is not a JSON object")
	case success:
		// RFC 6749 has errors under 400; GitHub and Slack send them under 200.
		status = http.StatusBadRequest
	case status < 400 || status > 599:
		return nil, badResponse(fmt.Sprintf("has the status %d", status))
	}
	p := problem{Status: status, Code: code, Description: describe(code)}
	if code == "" {
		p.Code = "server_error"
	}
	if code == "" && status >= 500 {
		p.Description = describe(p.Code)
	}
	return nil, p.because(refusedToken{status, code, ok})
}

func badResponse(what string) *problem {
	return problem{
		Status:      http.StatusBadGateway,
		Code:        "server_error",
		Description: "The provider gave an answer that is not OAuth. Try again; if it stays, the plugin's author must check TOKEN_ENDPOINT.",
	}.because(errors.New("the provider's answer " + what))
}

// jsonObject decodes one JSON object, without a byte order mark if there is one. Version 1 of the package takes what
// providers send: duplicate names, and bytes that are not UTF-8.
func jsonObject(body []byte) (map[string]json.RawMessage, bool) {
	var object map[string]json.RawMessage
	err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &object)
	return object, err == nil && object != nil
}

// formToJSON turns a form-encoded token response or error into a JSON object. Lifetimes become numbers, as in JSON.
func formToJSON(body []byte) ([]byte, bool) {
	form, err := url.ParseQuery(strings.TrimSpace(string(body)))
	if err != nil || (!form.Has("access_token") && !form.Has("error")) {
		return nil, false
	}
	object := make(map[string]any, len(form))
	for name, values := range form {
		// Broken JSON and HTML can look like a form, but not with such names.
		if !formName.MatchString(name) {
			return nil, false
		}
		object[name] = values[0]
		if seconds, err := strconv.ParseInt(values[0], 10, 64); err == nil && strings.HasSuffix(name, "expires_in") {
			object[name] = seconds
		}
	}
	encoded, err := json.Marshal(object)
	return encoded, err == nil
}

var formName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

var codeForm = regexp.MustCompile(`^[a-z_]{1,40}$`)

// safeCode returns a provider's error code if it may be passed on, else "". What is not of a code's form may be prose, or
// quote a secret; and a plugin must not take the provider's words for those that /poll has for itself.
func safeCode(code string) string {
	if !codeForm.MatchString(code) || slices.Contains([]string{"authorization_pending", "slow_down", "expired_token", "not_found"}, code) {
		return ""
	}
	return code
}

// errorOf returns the error code of an answer, if it has one, and whether the answer is an error at all.
// An error of null or "" is none. A code that is not of a code's form is left out.
func errorOf(answer map[string]json.RawMessage) (code string, failed bool) {
	ok := true // which null leaves alone
	if raw, found := answer["ok"]; found && json.Unmarshal(raw, &ok) == nil && !ok {
		failed = true
	}
	raw, found := answer["error"]
	if !found || string(raw) == "null" || string(raw) == `""` {
		return "", failed
	}
	if json.Unmarshal(raw, &code) != nil {
		return "", true
	}
	return safeCode(code), true
}

// deadRefreshToken reports whether an error says in the provider's own words that the refresh token is not good any more:
// HubSpot's status BAD_REFRESH_TOKEN, Atlassian's error_description. In OAuth's words that is invalid_grant (RFC 6749 section
// 5.2), by which a plugin knows that the person must sign in again.
func deadRefreshToken(answer map[string]json.RawMessage) bool {
	for _, raw := range answer {
		if deadRefreshTokenWords.Match(raw) {
			return true
		}
	}
	return false
}

var deadRefreshTokenWords = regexp.MustCompile(`(?i)^"[^"]*((bad|invalid|unknown|expired|revoked)[ _]refresh[ _]?token|refresh[ _]?token[^"]* (invalid|expired|revoked|unknown|not valid))`)

// meaning is what an error code is about. Providers have many names for the same.
type meaning int

const (
	meansNothingKnown meaning = iota
	meansDenied
	meansWrongClient
	meansWrongGrant
	meansWrongScope
	meansWrongRedirectURI
	meansWrongRequest
	meansProviderFails
)

func meaningOf(code string) meaning {
	switch code {
	case "access_denied":
		return meansDenied
	case "invalid_client", "incorrect_client_credentials", "unauthorized_client", "bad_client_secret", "invalid_client_id":
		return meansWrongClient
	case "invalid_grant", "bad_verification_code", "bad_refresh_token", "invalid_code", "invalid_refresh_token":
		return meansWrongGrant
	case "invalid_scope":
		return meansWrongScope
	case "redirect_uri_mismatch", "bad_redirect_uri":
		return meansWrongRedirectURI
	case "invalid_request", "unsupported_response_type", "unsupported_grant_type":
		return meansWrongRequest
	case "server_error", "temporarily_unavailable":
		return meansProviderFails
	default:
		return meansNothingKnown
	}
}

// describe says in our own words what an error code means. The provider's words may quote the code or the token.
func describe(code string) string {
	switch meaningOf(code) {
	case meansDenied:
		return "The sign-in was cancelled, or access was not allowed. The plugin has no access."
	case meansWrongClient:
		return "The provider does not accept the plugin's client ID or secret. The plugin's author must check CLIENT_ID, CLIENT_SECRET and TOKEN_AUTH."
	case meansWrongGrant:
		return "The provider does not accept this sign-in any more. Please sign in again."
	case meansWrongScope:
		return "The provider does not offer what the plugin asks for. The plugin's author must check SCOPE."
	case meansWrongRedirectURI:
		return "The provider does not know this redirect URI. The plugin's author must enter REDIRECT_URI at the provider exactly as it is configured here."
	case meansWrongRequest:
		return "The provider does not accept the way the plugin asks. The plugin's author must check the endpoints, PKCE and AUTHORIZE_PARAMS."
	case meansProviderFails:
		return "The provider has a problem of its own. Try again in a moment."
	default:
		return "The provider refused the sign-in."
	}
}
