package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/internal/testkit"
)

// What a token endpoint answers to a code that it never issued.
func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	self := serveSelf(t)
	const (
		client = "error /: The provider does not accept the client ID or the secret. " +
			"Enter CLIENT_SECRET again; if it is right, check CLIENT_ID and TOKEN_AUTH."
		notOAuth = "error /: The token endpoint gives an answer that is not OAuth. Check TOKEN_ENDPOINT."
		outage   = "warning /: The provider has a problem of its own, so it could not be checked. " +
			"Run doctor again in a few minutes."
		unclear = "warning /: The provider refused the check with %s, " +
			"which does not tell whether it accepts the client. " +
			"Sign in once to see; if it fails, check TOKEN_AUTH."
		accepted = "warning /: The token endpoint accepted a code that it never issued. Check TOKEN_ENDPOINT."
	)
	redirect := "error /: The provider does not know the redirect URI. Enter " + self +
		"/redirect at the provider, in its developer console."
	for _, test := range []struct {
		name   string
		status int
		body   string
		want   string // blank: nothing
	}{
		{name: "code refused", status: 400, body: `{"error":"invalid_grant","x":"client secret/+&%"}`},
		{name: "in GitHub's way", status: 200, body: "error=bad_verification_code&error_description=x"},
		{name: "in Slack's way", status: 200, body: `{"ok":false,"error":"invalid_code"}`},
		{name: "client", status: 401, body: `{"error":"invalid_client"}`, want: client},
		{name: "client in Slack's way", status: 200, body: `{"ok":false,"error":"bad_client_secret"}`,
			want: client},
		{name: "client that may not", status: 400, body: `{"error":"unauthorized_client"}`, want: client},
		{name: "redirect URI", status: 400, body: `{"error":"redirect_uri_mismatch"}`, want: redirect},
		{name: "redirect URI in Slack's way", status: 200, body: `{"ok":false,"error":"bad_redirect_uri"}`,
			want: redirect},
		{name: "another error", status: 400, body: `{"error":"invalid_request"}`,
			want: fmt.Sprintf(unclear, "the error invalid_request")},
		{name: "an error of its own", status: 404, body: `{"error":"no_such_code"}`,
			want: fmt.Sprintf(unclear, "the error no_such_code")},
		{name: "prose", status: 400, body: `{"error":"Quotes client secret/+&%"}`,
			want: fmt.Sprintf(unclear, "an error")},
		{name: "an object of its own", status: 400, body: `{"message":"Quotes client secret/+&%"}`,
			want: fmt.Sprintf(unclear, "an error")},
		{name: "HTML", status: 200, body: "<html>client secret/+&%</html>", want: notOAuth},
		{name: "HTML under 400", status: 400, body: "<html></html>", want: notOAuth},
		{name: "404", status: 404, body: "<html></html>", want: notOAuth},
		{name: "404 in JSON", status: 404, body: `{"message":"Not found"}`, want: notOAuth},
		{name: "405 in JSON", status: 405, body: `{"message":"Method not allowed"}`, want: notOAuth},
		{name: "410 in JSON", status: 410, body: `{"message":"Gone"}`, want: notOAuth},
		{name: "redirect", status: 302, want: notOAuth},
		{name: "outage", status: 503, body: "<html></html>", want: outage},
		{name: "outage in JSON", status: 500, body: `{"message":"Internal error"}`, want: outage},
		{name: "too many", status: 429, want: outage},
		{name: "its own error", status: 400, body: `{"error":"server_error"}`, want: outage},
		{name: "it is busy", status: 400, body: `{"error":"temporarily_unavailable"}`, want: outage},
		{name: "tokens", status: 200, body: testkit.TokenResponse, want: accepted},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			provider := serveProvider(t, answering(test.status, test.body))
			s := newSetup(t, addresses{self: self, provider: provider})
			s.plugin.RedirectURI += "?secret=client%20secret"
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expectFindings(t, s.check(t), want...)
		})
	}
}

// A public client has no secret that could be entered again.
func TestPublicClientRefused(t *testing.T) {
	t.Parallel()
	provider := serveProvider(t, answering(http.StatusUnauthorized, `{"error":"invalid_client"}`))
	s := newSetup(t, addresses{self: serveSelf(t), provider: provider})
	s.plugin.TokenAuth, s.plugin.ClientSecret = oauth.TokenAuthNone, ""
	expectFindings(t, s.check(t), "error /: The provider does not accept the client ID without a secret. "+
		"Check CLIENT_ID, and that the provider has this client as a public one; if it gave you a secret, "+
		"set TOKEN_AUTH to body and enter CLIENT_SECRET.")
}

// A provider that refuses every deviation treats the check like a login, except for the code.
func TestStrictProvider(t *testing.T) {
	t.Parallel()
	self, provider := serveSelf(t), testkit.NewProvider(t)
	s := newSetup(t, addresses{self: self, provider: provider.URL})
	s.plugin.Client = provider.Client(self)
	provider.Knows(s.plugin.Client.Complete())
	expectFindings(t, s.check(t))
	if provider.Checks() != 1 || provider.Exchanges() != 0 {
		t.Errorf("the provider counts %d checks and %d logins", provider.Checks(), provider.Exchanges())
	}
}

// serveTLS starts a provider whose certificate is not trusted, and which does not say what time it is. config
// may be nil.
func serveTLS(t *testing.T, config *tls.Config) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		refusingCode(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it would print that its certificate is refused
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// What an endpoint may do instead of answering.
func TestNetErrors(t *testing.T) {
	t.Parallel()
	self, well := serveSelf(t), serveProvider(t, refusingCode)
	const (
		refusing = "http://127.0.0.1:1" // a port that another test could get meanwhile would not do
		nowhere  = "https://provider.invalid"
	)
	untrusted, notTLS := serveTLS(t, nil).URL, strings.Replace(well, "http://", "https://", 1)
	alerting := serveTLS(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return nil, errors.New("this server serves nobody")
	}}).URL
	breaking := serveProvider(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	short := serveProvider(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusBadRequest)
	})
	const (
		authorize = "error /: The authorize endpoint %s. " +
			"Check AUTHORIZE_ENDPOINT, and that this machine reaches %s."
		token  = "error /: The token endpoint %s. Check TOKEN_ENDPOINT, and that this machine reaches %s."
		noHost = "has a host name that leads nowhere"
	)
	for _, test := range []struct {
		name             string
		authorize, token string // hosts; blank: one where nothing is wrong
		want             string
	}{
		{name: "DNS", authorize: nowhere, want: fmt.Sprintf(authorize, noHost, nowhere)},
		{name: "DNS of both is said once", authorize: nowhere, token: nowhere,
			want: fmt.Sprintf(authorize, noHost, nowhere)},
		{name: "DNS of the token endpoint", token: nowhere, want: fmt.Sprintf(token, noHost, nowhere)},
		{name: "refused", token: refusing,
			want: fmt.Sprintf(token, "refuses connections, or cannot be reached", refusing)},
		{name: "certificate", token: untrusted,
			want: fmt.Sprintf(token, "has a certificate that this machine does not accept", untrusted)},
		{name: "no TLS", token: notTLS,
			want: fmt.Sprintf(token, "answers, but not over TLS as it must with https", notTLS)},
		{name: "TLS that fails", token: alerting,
			want: fmt.Sprintf(token, "answers, but not over TLS as it must with https", alerting)},
		{name: "broken off", token: breaking, want: fmt.Sprintf(token, "breaks off its answer", breaking)},
		{name: "broken off later", token: short, want: fmt.Sprintf(token, "breaks off its answer", short)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, addresses{self: self, provider: well})
			if test.authorize != "" {
				s.plugin.AuthorizeEndpoint = test.authorize + "/authorize"
			}
			if test.token != "" {
				s.plugin.TokenEndpoint = test.token + "/token"
			}
			expectFindings(t, s.check(t), test.want)
		})
	}
}

// A provider has ten seconds.
func TestSlowProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSetup(t, addresses{self: "http://localhost", provider: "http://localhost"})
		s.options.Transport = roundTripper(func(request *http.Request) (*http.Response, error) {
			if request.Method == http.MethodPost {
				<-request.Context().Done()
				return nil, request.Context().Err()
			}
			body := `{"service":"plugin-oauth"}`
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		began := time.Now()
		expectFindings(t, s.check(t), "error /: The token endpoint takes longer than 10 seconds to answer. "+
			"Check TOKEN_ENDPOINT, and that this machine reaches http://localhost.")
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// The status under which the authorization endpoint answers the start of a login.
func TestAuthorizeEndpoint(t *testing.T) {
	t.Parallel()
	self := serveSelf(t)
	const fails = "warning /: The authorize endpoint answers with the status %d. Check AUTHORIZE_ENDPOINT."
	refuses := "warning /: The authorize endpoint refuses the login with the status %d. " +
		"Check CLIENT_ID, and that the provider knows the redirect URI " + self + "/redirect."
	for status, want := range map[int]string{
		200: "", 302: "", 418: "",
		400: refuses, 401: refuses, 403: refuses,
		404: fails, 410: fails, 500: fails, 503: fails,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			provider := serveHandler(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					w.Header().Set("Location", "https://elsewhere.invalid")
					w.WriteHeader(status)
					return
				}
				refusingCode(w, r)
			})
			s := newSetup(t, addresses{self: self, provider: provider})
			s.plugin.AuthorizeEndpoint += "?secret=client%20secret"
			s.plugin.RedirectURI += "?secret=client%20secret"
			if want == "" {
				expectFindings(t, s.check(t))
				return
			}
			expectFindings(t, s.check(t), fmt.Sprintf(want, status))
		})
	}
}

// realNames returns a transport on which one provider answers at every https address, except those that end
// in .invalid.
func realNames(t *testing.T) http.RoundTripper {
	t.Helper()
	server := serveTLS(t, nil)
	trusting := server.Client().Transport.(*http.Transport).TLSClientConfig
	return &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: trusting.RootCAs, ServerName: "example.com"},
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasSuffix(address, ":443") && !strings.HasSuffix(address, ".invalid:443") {
				address = server.Listener.Addr().String()
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
}

// A preset's address is right, so the finding does not send the admin to check it.
func TestPresetUnreachable(t *testing.T) {
	t.Parallel()
	self := serveSelf(t)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, ":443") {
			notFound := &net.DNSError{Err: "no such host", IsNotFound: true}
			return nil, &net.OpError{Op: "dial", Net: network, Err: notFound}
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	for _, test := range []struct{ name, provider, tenant, want string }{
		{
			name:     "one address for all",
			provider: "github",
			want:     "Check that this machine reaches https://github.com: its network, DNS and firewall.",
		},
		{
			name:     "a tenant's",
			provider: "shopify",
			tenant:   "my-store",
			want:     "Check TENANT, and that this machine reaches https://my-store.myshopify.com.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, addresses{self: self})
			s.preset(test.provider)
			s.plugin.Tenant, s.options.Transport = test.tenant, transport
			expectFindings(t, s.check(t),
				"error /: The authorize endpoint has a host name that leads nowhere. "+test.want)
		})
	}
}
