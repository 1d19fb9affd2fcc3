package hooks

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
	close(got)
	waiting.Wait()
	if err := shake("backend.example"); err != nil {
		t.Error(err)
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
