package hooks

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"plugin-oauth/internal/testkit"
)

// However many handshakes come while a certificate is being got, some wait for it, and those for another
// domain are none of them. None is got for a name that was not given.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	got := make(chan struct{})
	asked := make(chan string, 2*maxHandshakes)
	certificate := &tls.Certificate{}
	h := newHandshakes([]string{"Backend.example.", "other.example"},
		func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			asked <- hello.ServerName
			if hello.ServerName != "other.example" {
				<-got
			}
			return certificate, nil
		})
	shake := func(name string) error {
		found, err := h.getCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err == nil && found != certificate {
			t.Error("it is another certificate")
		}
		return err
	}
	var waiting sync.WaitGroup
	for range maxHandshakes {
		waiting.Go(func() {
			if err := shake("BACKEND.example"); err != nil {
				t.Error(err)
			}
		})
	}
	for range maxHandshakes {
		<-asked
	}
	for name, want := range map[string]error{
		"backend.example":     errCertificate,
		"other.example":       nil,
		"www.backend.example": errOtherDomain,
		"":                    errOtherDomain,
	} {
		if err := shake(name); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", name, err, want)
		}
	}
	// The certificate authority sees that the domain is ours.
	check := &tls.ClientHelloInfo{ServerName: "other.example", SupportedProtos: []string{acme.ALPNProto}}
	for range maxHandshakes {
		h.places["other.example"] <- struct{}{}
	}
	if _, err := h.getCertificate(check); err != nil {
		t.Error(err)
	}
	close(got)
	waiting.Wait()
	if err := shake("backend.example"); err != nil {
		t.Error(err)
	}
}

// askedCache has no certificates, and notes which were looked for.
type askedCache struct{ asked []string }

func (c *askedCache) Get(_ context.Context, key string) ([]byte, error) {
	c.asked = append(c.asked, key)
	return nil, autocert.ErrCacheMiss
}

func (c *askedCache) Put(context.Context, string, []byte) error { return nil }
func (c *askedCache) Delete(context.Context, string) error      { return nil }

// A stranger whose client knows no ECDSA has no other certificate asked for than everybody else, who would
// wait behind it.
func TestHandshakeWithoutECDSA(t *testing.T) {
	t.Parallel()
	const domain = "backend.example"
	authority := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(authority.Close)
	cache := &askedCache{}
	manager := &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: cache, Client: &acme.Client{DirectoryURL: authority.URL},
	}
	h := newHandshakes([]string{domain}, manager.GetCertificate)
	hello := &tls.ClientHelloInfo{
		ServerName:       domain,
		CipherSuites:     []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		SignatureSchemes: []tls.SignatureScheme{tls.PSSWithSHA256},
		SupportedCurves:  []tls.CurveID{tls.X25519},
	}
	if _, err := h.getCertificate(hello); err == nil {
		t.Error("there is a certificate")
	}
	if !slices.Contains(cache.asked, domain) || slices.Contains(cache.asked, domain+"+rsa") {
		t.Errorf("it looks for %q", cache.asked)
	}
}

// Certificates are got for the domains of the command line, or for the host of --https.
func TestCertificateDomains(t *testing.T) {
	t.Parallel()
	const address = "backend.example:443"
	for _, test := range []struct {
		config Config
		want   []string
	}{
		{config: Config{speaksTLS: true, domains: []string{"one.example"}}, want: []string{"one.example"}},
		{config: Config{speaksTLS: true}, want: []string{"backend.example"}},
		{config: Config{}},
	} {
		if got := test.config.certificateDomains(address); !slices.Equal(got, test.want) {
			t.Errorf("%v, want %v", got, test.want)
		}
	}
}

// Handshakes that wait for a certificate go on when their connections are closed for others. Nobody waits for
// their end, whether they were closed before or after they began to wait.
func TestHandshakesThatLeave(t *testing.T) {
	t.Parallel()
	c := newConnections(tlsMemory, nothingElse, nothingElse)
	got, waits := make(chan struct{}), make(chan struct{})
	h := newHandshakes([]string{"backend.example"}, func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		waits <- struct{}{}
		<-got
		return nil, errCertificate
	})
	add := func() *connection {
		conn, other := net.Pipe()
		t.Cleanup(func() { other.Close() })
		added := &connection{Conn: conn, counted: c, memory: tlsMemory}
		c.add(added)
		return added
	}
	var shaking sync.WaitGroup
	shake := func(on *connection) {
		shaking.Go(func() {
			_, _ = h.getCertificate(&tls.ClientHelloInfo{ServerName: "backend.example", Conn: on})
			on.Close()
		})
		<-waits
	}
	early, late := add(), add() // for which the first is closed
	shake(early)
	shake(late)
	add()
	if c.leaving != 0 {
		t.Errorf("others wait for %d KB to leave", c.leaving)
	}
	close(got)
	shaking.Wait()
	if c.leaving != 0 || c.open != tlsMemory {
		t.Errorf("%d KB leave, and %d are open", c.leaving, c.open)
	}
}

// The program asks the certificate authority for a certificate of its domain, and for none of www in front of
// it.
func TestHandshakeOfWWW(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Host, "letsencrypt") {
			asked.Store(true)
		}
		http.Error(w, "", http.StatusForbidden)
	}))
	t.Cleanup(proxy.Close)
	secure := freeAddress(t)
	p := testkit.NewProcess(t, "--http", freeAddress(t), "--https", secure, "backend.example")
	p.Env = append(p.Env, "HTTPS_PROXY="+proxy.URL)
	p.Address = secure
	p.Start()
	for _, test := range []struct {
		name string
		asks bool
	}{{name: "www.backend.example"}, {name: "backend.example", asks: true}} {
		connection, err := tls.Dial("tcp", secure, &tls.Config{ServerName: test.name})
		if err == nil {
			connection.Close()
			t.Errorf("%s has a certificate", test.name)
		}
		if asked.Load() != test.asks {
			t.Errorf("%s: asked for is %v", test.name, asked.Load())
		}
	}
}
