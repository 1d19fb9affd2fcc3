//go:build unix

package hooks

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// shownCertificate returns the certificate that a server shows.
func shownCertificate(t *testing.T, address string) []byte {
	t.Helper()
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	connection, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0].Raw
}

// A certificate whose files have changed is read anew, at once after a SIGHUP, and otherwise by itself. One
// that is broken is logged once, and the one before stays.
func TestCertificateIsReadAnew(t *testing.T) {
	t.Parallel()
	t.Run("after a SIGHUP", func(t *testing.T) {
		t.Parallel()
		testRenewal(t, time.Hour, true)
	})
	t.Run("by itself", func(t *testing.T) {
		t.Parallel()
		testRenewal(t, time.Millisecond, false)
	})
}

// testRenewal breaks the files of a certificate, and then renews them.
func testRenewal(t *testing.T, interval time.Duration, bySignal bool) {
	const readAnew, broken = "the TLS certificate was read anew", "the new TLS certificate cannot be used"
	folder, printed, hangups := t.TempDir(), &testkit.Printed{}, make(chan os.Signal)
	writeCertificate(t, folder)
	s := serve(t, func(c *Config) {
		c.TLSCertFile = filepath.Join(folder, "localhost.pem")
		c.TLSKeyFile = filepath.Join(folder, "localhost-key.pem")
		c.timing.certificate, c.hangups = interval, hangups
		c.Log = slog.NewTextHandler(printed, nil)
	})
	address := strings.TrimPrefix(s.URL, "http://")
	first := shownCertificate(t, address)
	replace := func(write func() error, logged string, atLeast int) {
		t.Helper()
		if err := write(); err != nil {
			t.Fatal(err)
		}
		if bySignal {
			hangups <- syscall.SIGHUP
		}
		eventually(t, "it is logged: "+logged, func() bool {
			return strings.Count(printed.String(), logged) >= atLeast
		})
	}
	replace(func() error {
		return os.WriteFile(filepath.Join(folder, "localhost.pem"), first, 0o600) // it is no PEM
	}, broken, 1)
	if !bytes.Equal(shownCertificate(t, address), first) {
		t.Error("a broken certificate has taken the place of the first one")
	}
	before := strings.Count(printed.String(), broken)
	replace(func() error { return os.Remove(filepath.Join(folder, "localhost-key.pem")) },
		broken, before+1)
	replace(func() error {
		writeCertificate(t, folder)
		return nil
	}, readAnew, 1)
	if bytes.Equal(shownCertificate(t, address), first) {
		t.Error("the first certificate is still shown")
	}
	// The service may look while a file is written, but says no more of one that stays as it is.
	if got := strings.Count(printed.String(), broken); got > 6 {
		t.Errorf("it is logged %d times that it is broken:\n%s", got, printed)
	}
	if !strings.Contains(printed.String(), "notAfter=20") ||
		strings.Contains(printed.String(), "BEGIN") {
		t.Errorf("printed:\n%s", printed)
	}
}

// A SIGHUP ends nothing, with a certificate or without one, not even the polls that are held.
func TestHangupEndsNothing(t *testing.T) {
	t.Parallel()
	for name, words := range map[string]string{
		"without a certificate": "there is no certificate to read anew",
		"with a certificate":    "the TLS certificate was read anew",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testkit.NewProcess(t)
			if strings.HasPrefix(name, "with ") {
				writeCertificate(t, p.Dir)
			}
			p.Start()
			for range 3 {
				if err := syscall.Kill(p.PID(), syscall.SIGHUP); err != nil {
					t.Fatal(err)
				}
			}
			expectPrinted(t, p, words)
			if code := p.Terminate(); code != 0 {
				t.Errorf("ended with %d:\n%s", code, p.Out)
			}
		})
	}
	t.Run("while a poll is held", func(t *testing.T) {
		t.Parallel()
		p := testkit.NewProcess(t)
		p.Start()
		authorizationURL, readKey := p.Authorize()
		polled := make(chan testkit.Answer, 1)
		go func() { polled <- p.Post("/poll?wait=30&readKey=" + readKey) }()
		if err := syscall.Kill(p.PID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		expectPrinted(t, p, "a SIGHUP came")
		p.ExpectPage("redirect", p.Get(p.Agree(authorizationURL)), http.StatusOK, "You are signed in")
		p.Expect("the poll", <-polled, http.StatusOK, testkit.TokenResponse)
	})
}
