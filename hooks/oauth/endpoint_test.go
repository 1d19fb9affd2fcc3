package oauth_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/internal/goaway"
	"plugin-oauth/internal/testkit"
	"plugin-oauth/internal/tries"
)

// The request is the one that was agreed with the provider, and its answer comes back byte for byte.
func TestExchangeAndRefresh(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*oauth.Client){
		"secret in the body":   nil,
		"Basic authentication": func(c *oauth.Client) { c.TokenAuth = oauth.TokenAuthBasic },
		"secret as user name":  func(c *oauth.Client) { c.TokenAuth = oauth.TokenAuthBasicSecret },
		"without PKCE":         func(c *oauth.Client) { c.PKCE = oauth.PKCEOff },
		"token parameters":     func(c *oauth.Client) { c.TokenParams = "expiring=1&x=a%20b" },
		"token parameters that come twice": func(c *oauth.Client) {
			c.TokenParams = "resource=https://b.example&audience=x&resource=https://a.example"
		},
		"parameters of the code": func(c *oauth.Client) { c.CodeParams, c.TokenParams = "expiring=1", "x=1" },
		"JSON": func(c *oauth.Client) {
			c.TokenFormat, c.TokenParams = oauth.TokenFormatJSON, "resource=b&resource=a&x=1"
		},
		"JSON, Basic authentication": func(c *oauth.Client) {
			c.TokenFormat, c.TokenAuth = oauth.TokenFormatJSON, oauth.TokenAuthBasic
		},
		"public client": func(c *oauth.Client) { c.TokenAuth, c.ClientSecret = oauth.TokenAuthNone, "" },
		"public client with a secret, JSON": func(c *oauth.Client) {
			c.TokenAuth, c.TokenFormat = oauth.TokenAuthNone, oauth.TokenFormatJSON
		},
		"client key":    func(c *oauth.Client) { c.ClientIDParam = "client_key" },
		"redirect name": func(c *oauth.Client) { c.RedirectName = "Name-App-PRD-abc" },
		"parameters of the redirect": func(c *oauth.Client) {
			c.CodeRedirectParams, c.RedirectParams = []string{"scope", "context"}, []string{"realmId"}
		},
		"authorize parameters": func(c *oauth.Client) { c.AuthorizeParams = "access_type=offline&x=%20" },
		"query of the endpoint": func(c *oauth.Client) {
			c.AuthorizeEndpoint += "?owner=user"
		},
		"without a scope": func(c *oauth.Client) { c.Scope = "" },
		"refresh endpoint": func(c *oauth.Client) {
			c.RefreshEndpoint = strings.TrimSuffix(c.TokenEndpoint, "/token") + "/refresh"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, change)
			tokens, err := f.exchange()
			if err != nil || string(tokens) != testkit.TokenResponse {
				t.Errorf("exchange: %q, %v", tokens, err)
			}
			tokens, err = f.endpoint.Refresh(t.Context(), &f.client, "RT/1+x==%")
			if err != nil || string(tokens) != testkit.TokenResponse {
				t.Errorf("refresh: %q, %v", tokens, err)
			}
			if f.Provider.Exchanges() != 2 {
				t.Errorf("it makes %d requests", f.Provider.Exchanges())
			}
		})
	}
}

// A refresh token reaches the provider as it is.
func TestRefreshSendsTheToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"access_token":"`+r.Form.Get("refresh_token")+`"}`)
	})
	for _, token := range []string{"oaa1.v1/x+y==", "50%", "a;b", "ü", strings.Repeat("j", 12_000)} {
		tokens, err := f.endpoint.Refresh(t.Context(), &f.client, token)
		if want := `{"access_token":"` + token + `"}`; err != nil || string(tokens) != want {
			t.Errorf("%.20s: got %.50s, %v", token, tokens, err)
		}
	}
}

// raw answers with bytes instead of a response, and then closes the connection.
func raw(response string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(connection, response)
		if !strings.Contains(response, " 101 ") { // that one stays open
			_ = connection.Close()
		}
	}
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for _, err := io.WriteString(w, `{"access_token":"`); err == nil; {
		_, err = io.WriteString(w, strings.Repeat("x", 1<<16))
	}
}

// The faults of a provider that answers, but not as HTTP or OAuth has it.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	notOAuth := wanted{code: "server_error", means: oauth.NotOAuth}
	large := `{"access_token":"x"}` + strings.Repeat(" ", 8<<20)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   wanted
	}{
		"8 MB": {
			answer: raw("HTTP/1.1 200 OK\r\nContent-Length: 8388628\r\n\r\n" + large), want: notOAuth,
		},
		"endless": {answer: endless, want: notOAuth},
		"101": {
			answer: raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
			want:   notOAuth,
		},
		"status 99": {answer: raw("HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\n{}"), want: notOAuth},
		"too short a length": {
			answer: raw("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" +
				`{"access_token":"x", "refresh_token":""}`),
			want: notOAuth,
		},
		"too long a length": {
			answer: raw("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{\"access_token\":\"HIDDEN\"}"),
			want:   unreachable,
		},
		"malformed header": {answer: raw("HTTP/1.1 200 OK\r\ncode=HIDDEN\r\n\r\n"), want: unreachable},
		"not HTTP":         {answer: raw("HIDDEN\r\n"), want: unreachable},
		"100 KB of headers": {
			answer: raw("HTTP/1.1 200 OK\r\nContent-Length: 20\r\nX: " + strings.Repeat("x", 100<<10) +
				"\r\n\r\n" + `{"access_token":"x"}`),
			want: unreachable,
		},
		"100 KB of early hints": {
			answer: raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+
				strings.Repeat("x", 1<<10)+"\r\n\r\n", 100) +
				"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + `{"access_token":"x"}`),
			want: unreachable,
		},
		"reset": {
			answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			want:   unreachable,
		},
		"echoed code": {
			answer: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error":"`+r.Form.Get("code")+`","error_description":"HIDDEN"}`)
			},
			want: wanted{code: "server_error", status: 400, means: oauth.Refused},
		},
		"refused": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"HIDDEN"}`)
			},
			want: wanted{code: "invalid_client", status: 401, means: oauth.InvalidClient},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.Provider.Answers(test.answer)
			tokens, err := f.exchange()
			if tokens != nil {
				t.Errorf("there are tokens: %.100q", tokens)
			}
			test.want.expect(t, err)
			if test.want == unreachable && !errors.Is(err, oauth.ErrIncomplete) {
				t.Errorf("its cause is %v", err)
			}
		})
	}
}

// A request carries a secret, so no redirect is followed.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				t.Error("the redirect was followed")
			}))
			t.Cleanup(elsewhere.Close)
			f := newFixture(t, func(c *oauth.Client) {
				c.RevokeEndpoint = strings.TrimSuffix(c.TokenEndpoint, "/token") + "/revoke"
			})
			f.Provider.Answers(http.RedirectHandler(elsewhere.URL, status).ServeHTTP)
			_, err := f.exchange()
			wanted{code: "server_error", means: oauth.NotOAuth}.expect(t, err)
			_, err = f.endpoint.Refresh(t.Context(), &f.client, "RT")
			wanted{code: "server_error", means: oauth.NotOAuth}.expect(t, err)
			err = f.endpoint.Revoke(t.Context(), &f.client, oauth.Token{Value: "RT"})
			wanted{code: "server_error", status: 502, means: oauth.NotRevoked}.expect(t, err)
		})
	}
}

// The time limit is that of the client, or of the context if that is shorter.
func TestTooSlow(t *testing.T) {
	t.Parallel()
	tooSlow := wanted{code: "temporarily_unavailable", means: oauth.TimedOut}
	for name, beginning := range map[string]string{
		"before the headers": "", "in the body": `{"access_token":`,
	} {
		hang := func(w http.ResponseWriter, r *http.Request) {
			if beginning != "" {
				_, _ = io.WriteString(w, beginning)
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.endpoint.HTTP = oauth.NewHTTPClient(shortTimeout)
			f.Provider.Answers(hang)
			_, err := f.exchange()
			tooSlow.expect(t, err)
		})
		t.Run(name+", by the context", func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.Provider.Answers(hang)
			ctx, cancel := context.WithTimeout(t.Context(), shortTimeout)
			defer cancel()
			_, err := f.endpoint.Refresh(ctx, &f.client, "RT")
			tooSlow.expect(t, err)
		})
	}
}

// A provider that sends each request back is not asked for ever.
func TestRequestsThatAreSentBack(t *testing.T) {
	t.Parallel()
	provider := goaway.Serve(t)
	f := newFixture(t, nil)
	f.client.TokenEndpoint = provider.URL
	transport := f.endpoint.HTTP.Transport.(*http.Transport)
	transport.TLSClientConfig = provider.TLS
	t.Cleanup(transport.CloseIdleConnections)
	_, err := f.endpoint.Exchange(t.Context(), &f.client, oauth.CodeGrant{Code: "code"})
	failure, ok := errors.AsType[*oauth.Error](err)
	if asked := provider.Requests.Load(); !ok || failure.Meaning != oauth.Unreachable || asked != tries.Max {
		t.Errorf("asked %d times: %v", asked, err)
	}
	if !errors.Is(err, tries.ErrTooMany) {
		t.Errorf("the cause is %v", err)
	}
}

// A provider that cannot be reached is one error; its cause says why, without the address.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	encrypted := httptest.NewUnstartedServer(http.NotFoundHandler())
	encrypted.Config.ErrorLog = log.New(io.Discard, "", 0)
	encrypted.StartTLS()
	t.Cleanup(encrypted.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, test := range map[string]struct {
		endpoint string
		isCause  func(error) bool
	}{
		"refused": {
			endpoint: "http://127.0.0.1:1/token?key=HIDDEN",
			isCause: func(err error) bool {
				operation, ok := errors.AsType[*net.OpError](err)
				return ok && operation.Op == "dial" && strings.Contains(err.Error(), "connection refused")
			},
		},
		"untrusted certificate": {
			endpoint: encrypted.URL + "/token?key=HIDDEN",
			isCause: func(err error) bool {
				_, ok := errors.AsType[*tls.CertificateVerificationError](err)
				return ok
			},
		},
		"no TLS": {
			endpoint: "https" + strings.TrimPrefix(plain.URL, "http") + "/token?key=HIDDEN",
			isCause:  func(err error) bool { return errors.Is(err, http.ErrSchemeMismatch) },
		},
		"neither TLS nor HTTP": {
			endpoint: "https://" + listenForGarbage(t) + "/token?key=HIDDEN",
			isCause: func(err error) bool {
				_, ok := errors.AsType[tls.RecordHeaderError](err)
				return ok
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			grant := f.grant()
			f.client.TokenEndpoint, f.client.RefreshEndpoint = test.endpoint, test.endpoint
			f.client.RevokeEndpoint = test.endpoint
			_, err := f.endpoint.Exchange(t.Context(), &f.client, grant)
			expectUnreachable(t, err, test.isCause)
			_, err = f.endpoint.Refresh(t.Context(), &f.client, "HIDDEN")
			expectUnreachable(t, err, test.isCause)
			err = f.endpoint.Revoke(t.Context(), &f.client, oauth.Token{Value: "HIDDEN"})
			expectUnreachable(t, err, test.isCause)
		})
	}
}

func expectUnreachable(t *testing.T, err error, isCause func(error) bool) {
	t.Helper()
	unreachable.expect(t, err)
	expectNoSecret(t, err)
	if !isCause(err) || strings.Contains(err.Error(), "/token") {
		t.Errorf("its cause is %v", err)
	}
}

// listenForGarbage returns the address of a server that speaks no protocol.
func listenForGarbage(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.WriteString(connection, "garbage that is long enough for a record\r\n")
				_, _ = io.Copy(io.Discard, connection)
				_ = connection.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

// Observe is called once for each token request, with or without an answer, and for no revocation.
func TestObserve(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls []oauth.Call
	f := newFixture(t, func(c *oauth.Client) {
		c.RevokeEndpoint = strings.TrimSuffix(c.TokenEndpoint, "/token") + "/revoke"
	})
	f.endpoint.Observe = func(call oauth.Call) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, call)
	}
	_, _ = f.exchange()
	f.answersWith(http.StatusBadRequest, `{"error":"invalid_grant"}`)
	_, _ = f.endpoint.Refresh(t.Context(), &f.client, "RT")
	f.answersWith(http.StatusOK, "<html>")
	_, _ = f.exchange()
	_ = f.endpoint.Revoke(t.Context(), &f.client, oauth.Token{Value: "RT"})
	f.Provider.Answers(raw("HTTP/1.1 200 OK\r\n")) // an incomplete answer
	_, _ = f.endpoint.Refresh(t.Context(), &f.client, "RT")

	mu.Lock()
	defer mu.Unlock()
	got := []oauth.Call{}
	for _, call := range calls {
		if call.Duration <= 0 || call.Duration > time.Minute {
			t.Errorf("it took %s", call.Duration)
		}
		if (call.Err != nil) != (call.Status == 0) {
			t.Errorf("there is an answer and an error, or neither: %+v", call)
		}
		if call.Err != nil {
			unreachable.expect(t, call.Err)
		}
		got = append(got, oauth.Call{GrantType: call.GrantType, Status: call.Status})
	}
	want := []oauth.Call{
		{GrantType: "authorization_code", Status: http.StatusOK},
		{GrantType: "refresh_token", Status: http.StatusBadRequest},
		{GrantType: "authorization_code", Status: http.StatusOK},
		{GrantType: "refresh_token"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// An endpoint may be used by many at once.
func TestEndpointIsConcurrent(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.endpoint.Observe = func(oauth.Call) {}
	var done sync.WaitGroup
	for range 16 {
		grant := f.grant()
		done.Go(func() {
			tokens, err := f.endpoint.Exchange(t.Context(), &f.client, grant)
			if err != nil || string(tokens) != testkit.TokenResponse {
				t.Errorf("got %q, %v", tokens, err)
			}
		})
	}
	done.Wait()
	if f.Provider.Exchanges() != 16 {
		t.Errorf("there were %d requests", f.Provider.Exchanges())
	}
}

// Making a client changes nothing that belongs to the process.
func TestNewHTTPClientIsLocal(t *testing.T) {
	// Not parallel: the log and the default transport are everybody's.
	writer, flags, prefix := log.Writer(), log.Flags(), log.Prefix()
	transport := http.DefaultTransport.(*http.Transport)
	idle, redirects := transport.IdleConnTimeout, http.DefaultClient.CheckRedirect != nil
	client := oauth.NewHTTPClient(time.Minute)
	if log.Writer() != writer || log.Flags() != flags || log.Prefix() != prefix {
		t.Error("the process's log was changed")
	}
	if transport.IdleConnTimeout != idle || (http.DefaultClient.CheckRedirect != nil) != redirects {
		t.Error("the default client was changed")
	}
	shared := client == http.DefaultClient || client.Transport == http.DefaultTransport
	if shared || client.Timeout != time.Minute {
		t.Errorf("got %+v", client)
	}
}

// A connection that the provider may have closed is not used again: the request could not be repeated.
func TestConnectionsAreNotKept(t *testing.T) {
	t.Parallel()
	transport := oauth.NewHTTPClient(oauth.DefaultTimeout).Transport.(*http.Transport)
	if transport.IdleConnTimeout <= 0 || transport.IdleConnTimeout > time.Second {
		t.Errorf("connections are kept for %s", transport.IdleConnTimeout)
	}
}
