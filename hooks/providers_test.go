package hooks

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Every row has the form that the code, and a reader, rely on.
func TestPresets(t *testing.T) {
	if len(presets) < 60 {
		t.Errorf("there are only %d", len(presets))
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil || !strings.Contains(string(readme), fmt.Sprintf("knows %d providers", len(presets))) {
		t.Errorf("the README does not say that there are %d: %v", len(presets), err)
	}
	for _, name := range strings.Fields(`google notion airtable hubspot figma github gitlab slack dropbox linear atlassian asana shopify salesforce microsoft
		spotify discord webflow mailchimp typeform zoom stripe`) {
		if _, found := findPreset(name); !found {
			t.Errorf("%s is missing", name)
		}
	}
	names := regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	placeholder := regexp.MustCompile(`\{[^}]*\}`)
	for i, row := range presets {
		t.Run(row.Name, func(t *testing.T) {
			check := func(ok bool, what string) {
				if !ok {
					t.Error(what)
				}
			}
			check(i == 0 || presets[i-1].Name < row.Name, "the names are not sorted, or one stands twice")
			check(names.MatchString(row.Name) && row.Title != "", "the name or the title has not its form")
			check(slices.Contains(tokenAuths, row.TokenAuth), "tokenAuth is unknown")
			check(row.PKCE == "" || row.PKCE == "off", "pkce is neither blank nor off")
			check(slices.Contains([]string{"", " ", ","}, row.ScopeSeparator), "scopeSeparator is neither a space nor a comma")
			check((row.RevokeEndpoint == "") == (row.RevokeKind == ""), "revokeEndpoint and revokeKind do not come together")
			check(slices.Contains([]string{"", "access", "refresh"}, row.RevokeToken) && (row.RevokeToken == "" || row.RevokeKind != ""), "revokeToken is neither access nor refresh")
			check(row.RevokeKind != "bearer" || row.RevokeToken == "access", "a bearer token is an access token")
			check(row.RevokeKind == "" || slices.Contains(revokeKinds, row.RevokeKind), "revokeKind is unknown")
			check(strings.Contains(row.RevokeEndpoint, "{client_id}") == (row.RevokeKind == "github"), "{client_id} is of the kind github only")
			check(len(row.Hint) <= 160 && !strings.Contains(row.Hint, "\n"), "the hint is longer than a line")
			check(len(row.Sources) >= 2 && len(slices.Compact(slices.Sorted(slices.Values(row.Sources)))) == len(row.Sources), "there are not two sources")
			check(row.AuthorizeEndpoint != "" && row.TokenEndpoint != "", "an endpoint is missing")
			_, err := url.ParseQuery(row.TokenParams)
			check(err == nil, "tokenParams is no query string")

			check(row.Console == "" || strings.HasPrefix(row.Console, "https://"), "the console has no https address")

			wanted := ""
			if row.Tenant != nil {
				wanted = row.Tenant.placeholder()
				check(strings.Contains(row.TokenEndpoint, wanted), "the token endpoint has no placeholder")
			}
			for _, endpoint := range []string{row.AuthorizeEndpoint, row.TokenEndpoint, row.RefreshEndpoint, row.RevokeEndpoint, row.Issuer} {
				if endpoint == "" {
					continue
				}
				u, err := absoluteURL(placeholder.ReplaceAllString(endpoint, "x"))
				check(err == nil && u.Scheme == "https", endpoint+" is no https URL without a fragment")
				for _, found := range placeholder.FindAllString(endpoint, -1) {
					check(found == wanted || found == "{client_id}", found+" is not the tenant's placeholder")
				}
				host, _, _ := strings.Cut(strings.TrimPrefix(endpoint, "https://"), "/")
				fixed, _ := strings.CutPrefix(host, wanted)
				check(!strings.Contains(fixed, "{") && strings.Count(fixed, ".") >= 1, "who names a tenant chooses the host of "+endpoint)
				check(wanted == "" || fixed == host || (strings.HasPrefix(fixed, ".") && strings.Count(fixed, ".") >= 2), "who names a tenant chooses the host of "+endpoint)
			}

			// It makes a plugin valid, and all of it arrives there.
			tenant := ""
			if row.Tenant != nil {
				tenant = row.Tenant.Example
			}
			plugin := Plugin{Provider: row.Name, Tenant: tenant, ClientID: "id", ClientSecret: "secret", RedirectURI: "https://backend.example/redirect"}.complete(Config{})
			for _, problem := range plugin.validate() {
				t.Error(problem)
			}
			filled, err := plugin.forTenant(tenant)
			if err != nil {
				t.Fatal(err)
			}
			fill := func(endpoint string) string {
				if wanted == "" {
					return endpoint
				}
				return strings.ReplaceAll(endpoint, wanted, tenant)
			}
			for what, pair := range map[string][2]string{
				"authorizeEndpoint": {filled.AuthorizeEndpoint, fill(row.AuthorizeEndpoint)},
				"tokenEndpoint":     {filled.TokenEndpoint, fill(row.TokenEndpoint)},
				"revokeEndpoint":    {filled.RevokeEndpoint, fill(row.RevokeEndpoint)},
				"issuer":            {filled.Issuer, fill(row.Issuer)},
				"revokeKind":        {filled.revokeKind, cmp.Or(row.RevokeKind, "rfc7009")},
				"tokenAuth":         {filled.TokenAuth, row.TokenAuth},
				"pkce":              {filled.PKCE, cmp.Or(row.PKCE, "on")},
				"authorizeParams":   {filled.AuthorizeParams, row.AuthorizeParams},
				"tokenParams":       {filled.tokenParams, row.TokenParams},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s is %q, not %q", what, pair[0], pair[1])
				}
			}
		})
	}
}

// What a plugin sets itself wins; and a token endpoint of its own is another server's.
func TestPresetIsOverridden(t *testing.T) {
	own := Plugin{Provider: "gitlab", AuthorizeEndpoint: "https://git.example/authorize", TokenEndpoint: "https://git.example/token", TokenAuth: "basic", PKCE: "off"}.complete(Config{})
	if own.AuthorizeEndpoint != "https://git.example/authorize" || own.TokenEndpoint != "https://git.example/token" || own.refreshEndpoint != own.TokenEndpoint ||
		own.TokenAuth != "basic" || own.PKCE != "off" || own.RevokeEndpoint != "" || own.Issuer != "" {
		t.Errorf("got %+v", own)
	}
	figma := Plugin{Provider: "figma", TokenEndpoint: "https://proxy.example/token"}.complete(Config{})
	if figma.refreshEndpoint != "https://proxy.example/token" {
		t.Errorf("refreshes at %s", figma.refreshEndpoint)
	}
	revoke := Plugin{Provider: "slack", RevokeEndpoint: "https://proxy.example/revoke"}.complete(Config{})
	if revoke.RevokeEndpoint != "https://proxy.example/revoke" || revoke.revokeKind != "rfc7009" {
		t.Errorf("revokes at %s in the way %s", revoke.RevokeEndpoint, revoke.revokeKind)
	}
	// The preset's own addresses, as an older .env may have them, are no other server's.
	same := Plugin{Provider: "figma", TokenEndpoint: "https://api.figma.com/v1/oauth/token"}.complete(Config{})
	if same.refreshEndpoint != "https://api.figma.com/v1/oauth/refresh" {
		t.Errorf("refreshes at %s", same.refreshEndpoint)
	}
	google := Plugin{Provider: "google", AuthorizeEndpoint: "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline"}.complete(Config{})
	if google.AuthorizeParams != "prompt=consent" {
		t.Errorf("a parameter of the endpoint's is repeated: %s", google.AuthorizeParams)
	}
	if own := (Plugin{Provider: "github", AuthorizeParams: "allow_signup="}).complete(Config{}); own.AuthorizeParams != "allow_signup=" {
		t.Errorf("got %s", own.AuthorizeParams)
	}
	for own, want := range map[string]string{
		"":                           "access_type=offline&prompt=consent",
		"prompt=select_account":      "prompt=select_account&access_type=offline",
		"hd=plugin.example&prompt=":  "hd=plugin.example&access_type=offline",
		"access_type=online&prompt=": "access_type=online",
	} {
		if got := (Plugin{Provider: "google", AuthorizeParams: own}).complete(Config{}).AuthorizeParams; got != want {
			t.Errorf("%q becomes %q, not %q", own, got, want)
		}
	}
}

// Whoever names a tenant cannot lead the client secret elsewhere.
func TestTenantNames(t *testing.T) {
	shopify := Plugin{Provider: "shopify"}.complete(Config{})
	microsoft := Plugin{Provider: "microsoft"}.complete(Config{})
	for name, want := range map[string][2]bool{
		"my-store": {true, true}, "contoso.onmicrosoft.com": {false, true}, "a": {true, true}, "8eaef023-2b34-4da1-9baa-8bc8c9d6a490": {true, true},
		"a.myshopify.com.myshopify.com": {false, true}, ".myshopify.com": {},
		"evil.example/": {}, "evil.example#": {}, "evil.example?": {}, "x@evil.example": {}, "a/b": {}, "..": {}, ".": {}, "-": {}, "a b": {}, "ä": {}, "a%2fb": {}, "{shop}": {}, "a\n": {},
		strings.Repeat("a", 256): {},
	} {
		for i, plugin := range []Plugin{shopify, microsoft} {
			filled, err := plugin.forTenant(name)
			if (err == nil) != want[i] {
				t.Errorf("%s: %q: %v", plugin.Provider, name, err)
			}
			if err == nil && (!strings.Contains(filled.TokenEndpoint, name) || filled.Tenant != name) {
				t.Errorf("%s: %q: %s", plugin.Provider, name, filled.TokenEndpoint)
			}
		}
	}
	if _, err := shopify.forTenant(""); err == nil {
		t.Error("a shop is not needed")
	}
	if filled, err := microsoft.forTenant(""); err != nil || !strings.Contains(filled.TokenEndpoint, "/common/") {
		t.Errorf("the default is not used: %v", err)
	}
	// People also write the whole host. A plugin's own shop is the only one that its people can name.
	fixed := Plugin{Provider: "shopify", Tenant: "mine.myshopify.com"}.complete(Config{})
	for name, want := range map[string]bool{"": true, "mine": true, "mine.myshopify.com": true, "other": false} {
		filled, err := fixed.forTenant(name)
		if (err == nil) != want || (err == nil && !strings.HasPrefix(filled.TokenEndpoint, "https://mine.myshopify.com/")) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// The program signs in, refreshes and revokes with every preset, at providers that refuse any deviation from its row.
// They answer under the real names: a proxy stands in for the network.
func TestEveryPreset(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	network := newNetwork(t)
	p.env = []string{
		"PATH=" + os.Getenv("PATH"), "PUBLIC_URL=" + p.url, "AUTHORIZE_RATE_LIMIT=off", "ENCRYPTION_KEY=" + testEncryptionKey, "HTTPS_PROXY=" + network.proxy.URL, "SSL_CERT_FILE=" + network.certificates,
		"SUPERUSER_EMAIL=admin@plugin.example", "SUPERUSER_PASSWORD=superuser-password",
		"PROVIDER=Figma", "CLIENT_ID=" + testClientID, "CLIENT_SECRET=" + testClientSecret, "SCOPE=read,write",
	}
	// The plugin of the environment is filled by the same presets.
	p.provider.knows(Plugin{Provider: "figma", Scope: "read,write", RedirectURI: p.url + "/redirect"}.complete(Config{}))
	network.serve(p.provider)
	p.start()
	p.signIn()
	// The check at start must be over before another provider stands in its place.
	for deadline := time.Now().Add(30 * time.Second); p.provider.examinations() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the provider was not checked at start:\n%s", p.out)
		}
	}
	network.signIn(p.relayServer, "/authorize", "")
	p.expect("refresh", p.post("/refresh?code=RT-1"), http.StatusOK, tokenResponse)

	for _, row := range presets {
		t.Run(row.Name, func(t *testing.T) {
			scope := "read" + row.ScopeSeparator + "write"
			fields := map[string]any{"slug": row.Name, "enabled": true, "provider": row.Name, "clientId": testClientID, "clientSecret": testClientSecret, "scope": scope}
			if row.Tenant != nil && row.Tenant.Fixed {
				fields["tenant"] = row.Tenant.Example
			}
			s := &relayServer{t: t, url: p.url + "/" + row.Name, client: p.client, admin: p.admin}
			if got := s.save(http.MethodPost, "", fields); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			plugin := Plugin{Provider: row.Name, Scope: scope, RedirectURI: s.url + "/redirect"}.complete(Config{})
			tenant, authorize := "", "/authorize"
			if row.Tenant != nil && row.Tenant.Fixed {
				plugin.Tenant = row.Tenant.Example
				filled, err := plugin.forTenant("")
				if err != nil {
					t.Fatal(err)
				}
				plugin = *filled
			} else if row.Tenant != nil {
				tenant = "&" + row.Tenant.Name + "=" + row.Tenant.Example
				authorize += "?" + tenant[1:]
				filled, err := plugin.forTenant(row.Tenant.Example)
				if err != nil {
					t.Fatal(err)
				}
				plugin = *filled
			}
			s.provider = &provider{plugin: plugin, codes: map[string]string{}}
			network.serve(s.provider)
			defer func() {
				for _, refusal := range s.provider.refusals {
					t.Errorf("the provider was asked in a wrong way: %s", refusal)
				}
			}()

			network.signIn(s, authorize, plugin.Issuer)
			s.expect("refresh", s.post("/refresh?code=RT-1"+tenant), http.StatusOK, tokenResponse)
			if row.RevokeEndpoint == "" {
				s.expectError("revoke", s.post("/revoke?token=RT-1"+tenant), http.StatusNotFound, "not_found")
			} else {
				s.expect("revoke", s.post("/revoke?token=RT-1"+tenant), http.StatusOK, "{}")
			}
			if row.Tenant != nil && row.Tenant.Default == "" && !row.Tenant.Fixed {
				s.expectError("no tenant", s.post("/authorize"), http.StatusBadRequest, "invalid_request")
				if got := s.post("/refresh?code=RT-1"); got.status != http.StatusBadRequest || !strings.Contains(got.body, row.Tenant.Name+"="+row.Tenant.Example) {
					t.Errorf("no tenant: %d %s", got.status, got.body)
				}
			}
		})
	}
}

// network is a proxy that leads every https address to one provider, under a certificate of its own authority.
type network struct {
	proxy        *httptest.Server
	certificates string // the authority's, in a file
	browser      *http.Client

	mu       sync.Mutex
	provider http.Handler
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	newCertificate := func(template, parent *x509.Certificate) []byte {
		template.SerialNumber, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, key)
		if err != nil {
			t.Error(err)
		}
		return der
	}
	authority := &x509.Certificate{Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	authorityPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: newCertificate(authority, authority)})
	n := &network{certificates: filepath.Join(t.TempDir(), "authority.pem")}
	if err := os.WriteFile(n.certificates, authorityPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		der := newCertificate(&x509.Certificate{DNSNames: []string{hello.ServerName}}, authority)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
	}}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.provider.ServeHTTP(w, r)
	})}
	go server.Serve(listener)
	n.proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("the proxy was asked %s %s", r.Method, r.URL)
			return
		}
		upstream, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		client, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(upstream, buffered); upstream.Close() }()
		go func() { _, _ = io.Copy(client, upstream); client.Close() }()
	}))
	t.Cleanup(func() {
		n.proxy.Close()
		server.Close()
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authorityPEM)
	proxyURL, err := url.Parse(n.proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	n.browser = &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyURL(proxyURL), TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
		CheckRedirect: showRedirects,
	}
	return n
}

// signIn goes through a whole login.
func (n *network) signIn(s *relayServer, authorize, issuer string) {
	s.t.Helper()
	authorizationURL, readKey := s.authorizeAt(authorize)
	response, err := n.browser.Get(authorizationURL.String())
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	callback := response.Header.Get("Location")
	if issuer != "" {
		callback += "&iss=" + url.QueryEscape(issuer)
	}
	s.expectPage("redirect", s.get(callback), http.StatusOK, "You are signed in")
	s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
}

func (n *network) serve(provider http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.provider = provider
}
