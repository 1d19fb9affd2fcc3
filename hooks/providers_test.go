package hooks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/internal/testkit"
)

// The program signs in, refreshes and revokes with every preset, at providers that refuse any deviation from
// it. They answer under the real names: a proxy stands in for the network.
func TestEveryPreset(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	network := newWorld(t)
	p.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "PUBLIC_URL=" + p.URL, "AUTHORIZE_RATE_LIMIT=off",
		"ENCRYPTION_KEY=" + testEncryptionKey,
		"HTTPS_PROXY=" + network.proxy, "SSL_CERT_FILE=" + network.certificates,
		"PROVIDER=Figma", "SCOPE=read,write",
		"CLIENT_ID=" + testkit.ClientID, "CLIENT_SECRET=" + testkit.ClientSecret,
	}, testkit.SuperuserEnv()...)
	// The plugin of the environment uses the same presets.
	figma := oauth.Client{Provider: "figma", Scope: "read,write", RedirectURI: p.URL + "/redirect"}
	p.Provider.Knows(figma.Complete())
	network.serve(p.Provider)
	p.Start()
	// The check at start must be over before another provider takes its place.
	eventually(t, "the provider is checked at start", func() bool { return p.Provider.Checks() > 0 })
	network.signIn(p.Backend, providerLogin{path: "/authorize"})
	p.Expect("refresh", p.Post("/refresh?code=RT-1"), http.StatusOK, testkit.TokenResponse)

	for _, preset := range oauth.Presets() {
		t.Run(preset.Name, func(t *testing.T) { network.tryPreset(t, p.Backend, preset) })
	}
}

// tryPreset creates a plugin with a preset, and does everything that people do with it.
func (w *world) tryPreset(t *testing.T, root *testkit.Backend, preset oauth.Preset) {
	provider := &testkit.Provider{}
	b := *root
	b.T, b.URL, b.Provider = t, root.URL+"/"+preset.Name, provider
	scope := "read" + preset.ScopeSeparator + "write"
	fields := map[string]any{
		"slug": preset.Name, "enabled": true, "provider": preset.Name, "scope": scope,
		"clientId": testkit.ClientID, "clientSecret": testkit.ClientSecret,
	}
	known := oauth.Client{
		Provider: preset.Name, Scope: scope,
		RedirectURI: b.URL + "/redirect", RedirectName: preset.RedirectName,
	}
	fields["redirectName"] = preset.RedirectName
	if preset.SignedSecret != nil {
		key, err := testkit.SigningKey()
		if err != nil {
			t.Fatal(err)
		}
		fields["clientSecret"], fields["teamId"], fields["keyId"] = key, testkit.TeamID, testkit.KeyID
	}
	tenant, parameter := "", ""
	switch {
	case preset.Tenant == nil:
	case preset.Tenant.Fixed:
		known.Tenant, fields["tenant"] = preset.Tenant.Example, preset.Tenant.Example
	default:
		tenant = preset.Tenant.Example
		parameter = preset.Tenant.Name + "=" + tenant
	}
	if got := b.CreatePlugin(fields); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	known = known.Complete()
	filled, err := known.ForTenant(tenant)
	if err != nil {
		t.Fatal(err)
	}
	provider.Knows(*filled)
	w.serve(provider)

	w.signIn(&b, providerLogin{path: "/authorize?" + parameter, issuer: filled.Issuer})
	b.Expect("refresh", b.Post("/refresh?code=RT-1&"+parameter), http.StatusOK, testkit.TokenResponse)
	revoked := b.Post("/revoke?token=RT-1&" + parameter)
	if preset.RevokeEndpoint == "" {
		b.ExpectError("revoke", revoked, http.StatusNotFound, "not_found")
	} else {
		b.Expect("revoke", revoked, http.StatusOK, "{}")
	}
	if tenant != "" && preset.Tenant.Default == "" {
		b.ExpectError("no tenant", b.Post("/authorize"), http.StatusBadRequest, "invalid_request")
		got := b.Post("/refresh?code=RT-1")
		if got.Status != http.StatusBadRequest || !strings.Contains(got.Body, parameter) {
			t.Errorf("no tenant: %d %s", got.Status, got.Body)
		}
	}
	for _, refusal := range provider.Refusals() {
		t.Errorf("the provider was asked in a wrong way: %s", refusal)
	}
}

// world leads every https address to one provider, through a proxy, under a certificate of its own authority.
type world struct {
	proxy        string // its URL
	certificates string // the authority's, in a file
	browser      *http.Client

	mu       sync.Mutex
	provider http.Handler
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{certificates: filepath.Join(t.TempDir(), "authority.pem")}
	signer := newAuthority(t)
	authorityPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer.certificate.Raw})
	if err := os.WriteFile(w.certificates, authorityPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: signer.certificateFor})
	if err != nil {
		t.Fatal(err)
	}
	origin := &http.Server{Handler: w}
	served := make(chan error, 1)
	go func() { served <- origin.Serve(listener) }()
	proxy := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("the proxy was asked %s %s", r.Method, r.URL)
			return
		}
		if err := tunnel(response, listener.Addr().String()); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(func() {
		proxy.Close()
		origin.Close()
		<-served
	})
	w.proxy = proxy.URL
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authorityPEM)
	w.browser = &http.Client{
		Transport: &http.Transport{
			Proxy:             http.ProxyURL(proxyURL),
			TLSClientConfig:   &tls.Config{RootCAs: roots},
			DisableKeepAlives: true,
		},
		CheckRedirect: testkit.ShowRedirects,
	}
	return w
}

// ServeHTTP answers as the current provider.
func (w *world) ServeHTTP(response http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.provider.ServeHTTP(response, r)
}

// serve replaces the current provider.
func (w *world) serve(provider http.Handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.provider = provider
}

// tunnel connects whoever asked a proxy (RFC 9110 section 9.3.6) with an address.
func tunnel(response http.ResponseWriter, address string) error {
	upstream, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	client, buffered, err := http.NewResponseController(response).Hijack()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return err
	}
	// Either side may leave.
	go func() {
		_, _ = io.Copy(upstream, buffered)
		upstream.Close()
	}()
	go func() {
		_, _ = io.Copy(client, upstream)
		client.Close()
	}()
	return nil
}

// authority signs certificates for any name.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	a.certificate = &x509.Certificate{
		Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := a.sign(a.certificate)
	if err == nil {
		a.certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) sign(template *x509.Certificate) ([]byte, error) {
	now := time.Now()
	template.SerialNumber, template.NotAfter = big.NewInt(now.UnixNano()), now.Add(time.Hour)
	return x509.CreateCertificate(rand.Reader, template, a.certificate, &a.key.PublicKey, a.key)
}

// certificateFor is a tls.Config's GetCertificate.
func (a *authority) certificateFor(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	der, err := a.sign(&x509.Certificate{DNSNames: []string{hello.ServerName}})
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}, err
}

// providerLogin is how a login begins and ends.
type providerLogin struct {
	path   string // of /authorize, with the tenant
	issuer string // that the provider sends; blank: none
}

// signIn goes through a whole login.
func (w *world) signIn(b *testkit.Backend, l providerLogin) {
	b.T.Helper()
	authorizationURL, readKey := b.AuthorizeAt(l.path)
	b.ExpectPage("redirect", w.agree(b, authorizationURL, l), http.StatusOK, "You are signed in")
	known := b.Provider.Known()
	want := known.WithRedirectParams([]byte(testkit.TokenResponse), b.Provider.RedirectParams())
	b.Expect("poll", b.Poll(readKey), http.StatusOK, string(want))
}

// agree lets the person sign in at the provider, whose answer the browser takes to the program.
func (w *world) agree(b *testkit.Backend, authorizationURL *url.URL, l providerLogin) testkit.Answer {
	b.T.Helper()
	response, err := w.browser.Get(authorizationURL.String())
	if err != nil {
		b.T.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		b.T.Fatal(err)
	}
	if response.StatusCode == http.StatusOK {
		address, params, err := testkit.ReadFormPost(string(page))
		if err != nil {
			b.T.Fatal(err)
		}
		return b.Request(http.MethodPost, address, params.Encode(),
			"Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: cross-site",
			"Origin: "+authorizationURL.Scheme+"://"+authorizationURL.Host)
	}
	callback := response.Header.Get("Location")
	if l.issuer != "" {
		callback += "&iss=" + url.QueryEscape(l.issuer)
	}
	return b.Get(callback)
}
