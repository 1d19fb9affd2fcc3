package hooks

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// certificateFiles are TLS_CERT_FILE and TLS_KEY_FILE. They may change while the service runs, as they do
// when the certificate is renewed.
type certificateFiles struct {
	certFile, keyFile string

	current atomic.Pointer[tls.Certificate]
	seen    [sha256.Size]byte // what was read last, whether it could be used or not
}

// newCertificate reads the files for the first time.
func newCertificate(certFile, keyFile string) (*certificateFiles, error) {
	c := &certificateFiles{certFile: certFile, keyFile: keyFile}
	if _, err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// get is the GetCertificate of a [tls.Config].
func (c *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// read reads the files, and reports whether they are others than those that it read last. If they cannot be
// used, the certificate before stays. It must not be called concurrently.
func (c *certificateFiles) read() (changed bool, err error) {
	certPEM, certErr := os.ReadFile(c.certFile)
	keyPEM, keyErr := os.ReadFile(c.keyFile)
	seen := sha256.Sum256(fmt.Appendf(nil, "%q %v %q %v", certPEM, certErr, keyPEM, keyErr))
	changed, c.seen = seen != c.seen, seen
	for _, err := range []error{certErr, keyErr} {
		if err != nil {
			return changed, c.explain(err)
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return changed, c.explain(err)
	}
	c.current.Store(&pair)
	return changed, nil
}

func (c *certificateFiles) explain(err error) error {
	return fmt.Errorf("%s and %s must be a PEM certificate and its key (TLS_CERT_FILE, TLS_KEY_FILE): %w",
		c.certFile, c.keyFile, err)
}

// reload reads the certificate anew at each SIGHUP, and in between when its files have changed, until closing
// is closed. Without a certificate, a SIGHUP does nothing.
func (s *server) reload(certificate *certificateFiles, closing <-chan struct{}) {
	changes := time.NewTicker(s.config.timing.certificate)
	defer changes.Stop()
	for {
		select {
		case <-closing:
			return
		case <-s.config.hangups:
			notifySystemd(stateReloading())
			if certificate == nil {
				s.log.Info("a SIGHUP came; there is no certificate to read anew, and the settings are read " +
					"at the start only")
			} else {
				_, err := certificate.read()
				s.logCertificate(certificate, err)
			}
			notifySystemd(stateReady)
		case <-changes.C:
			if certificate == nil {
				continue
			}
			if changed, err := certificate.read(); changed {
				s.logCertificate(certificate, err)
			}
		}
	}
}

// logCertificate writes the line of a certificate that was read anew.
func (s *server) logCertificate(certificate *certificateFiles, err error) {
	if err != nil {
		s.log.Error("the new TLS certificate cannot be used; the one before stays until the files are right",
			"cause", err.Error())
		return
	}
	s.log.Info("the TLS certificate was read anew",
		"notAfter", certificate.current.Load().Leaf.NotAfter.Format(time.RFC3339))
}
